//! When to stop early: a budget of minutes, SIGTERM or SIGINT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why a run stops before its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// `--max-minutes` are over.
    Budget,
    /// SIGTERM or SIGINT.
    Signal,
}

/// What may stop a run between two steps.
#[derive(Clone, Debug)]
pub struct Stop {
    started: Instant,
    budget: Option<Duration>,
    signalled: Arc<AtomicBool>,
}

impl Stop {
    /// Stops after `budget`, or as soon as `signalled` is set.
    pub fn new(budget: Option<Duration>, signalled: Arc<AtomicBool>) -> Self {
        Self { started: Instant::now(), budget, signalled }
    }

    /// Never stops early.
    pub fn never() -> Self {
        Self::new(None, Arc::default())
    }

    /// Whether a signal has asked to stop.
    pub fn is_signalled(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
    }

    /// The reason to stop now, if there is one.
    pub fn reason(&self) -> Option<StopReason> {
        if self.is_signalled() {
            return Some(StopReason::Signal);
        }
        let over = self.budget.is_some_and(|budget| self.started.elapsed() >= budget);
        over.then_some(StopReason::Budget)
    }
}
