//! Whether the stream takes part in its group.

use std::sync::atomic::{AtomicBool, Ordering};

/// Told by the reader, asked by `/readyz`.
#[derive(Debug, Default)]
pub struct StreamHealth {
    is_member: AtomicBool,
}

impl StreamHealth {
    /// Whether the group has given it its partitions, be they none, and has not taken it for lost.
    pub fn is_member(&self) -> bool {
        self.is_member.load(Ordering::Relaxed)
    }

    pub(super) fn join(&self) {
        self.is_member.store(true, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.is_member.store(false, Ordering::Relaxed);
    }
}
