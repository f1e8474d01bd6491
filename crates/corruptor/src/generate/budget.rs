//! How far the reader may be ahead: a bound on the bytes of documents that are held between reading and cutting.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes in use, and whether anybody still wants more.
#[derive(Debug, Default)]
pub(super) struct Budget {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    held_bytes: usize,
    is_closed: bool,
}

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    bytes: usize,
    budget: Arc<Budget>,
}

impl Budget {
    /// Waits until no more than `limit_bytes` are held; false: nobody wants more.
    pub(super) fn wait(&self, limit_bytes: usize) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(state, |s| s.held_bytes > limit_bytes && !s.is_closed);
        !waited.unwrap_or_else(PoisonError::into_inner).is_closed
    }

    /// Takes bytes, without waiting.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.change(|state| state.held_bytes += bytes);
        Held { bytes, budget: Arc::clone(self) }
    }

    /// Nobody wants more: whoever waits goes home.
    pub(super) fn close(&self) {
        self.change(|state| state.is_closed = true);
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.change(|state| state.held_bytes -= self.bytes);
    }
}
