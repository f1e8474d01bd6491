//! How far long work has come, for whoever watches and may stop it.

use std::ops::ControlFlow;

use crate::io_error::IoError;

/// A report of long work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done: "collect sotu", "generate", "inspect test".
    pub stage: &'a str,
    /// Bytes read of the stored input, or rows.
    pub done: u64,
    /// All of them; 0 while that is unknown.
    pub total: u64,
    /// Documents or pairs made or checked so far.
    pub records: u64,
}

/// Called between chunks of work, from the thread that does it; [`ControlFlow::Break`] ends the work without an output.
pub type Observer<'o> = dyn FnMut(Progress<'_>) -> ControlFlow<()> + 'o;

/// The observer of those who do not watch.
pub fn unobserved(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Reports, and turns the wish to stop into an error.
pub(crate) fn report(observer: &mut Observer<'_>, progress: Progress<'_>) -> Result<(), IoError> {
    match observer(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(IoError::Stopped),
    }
}
