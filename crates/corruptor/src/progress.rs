//! How far long work has come, for whoever watches.

/// A report of long work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done: "collect sotu", "generate", "inspect test".
    pub stage: &'a str,
    /// Bytes read of the stored input, or rows.
    pub done: u64,
    /// All of them.
    pub total: u64,
    /// Documents or pairs made or checked so far.
    pub records: u64,
}

/// Called between chunks of work, from the thread that does it.
pub type Observer<'o> = dyn FnMut(Progress<'_>) + 'o;

/// The observer of those who do not watch.
pub fn unobserved(_: Progress<'_>) {}
