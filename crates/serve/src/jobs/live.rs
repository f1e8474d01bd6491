//! How far a job has come that is under way.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crate::batch::Tally;

/// A job under way.
#[derive(Debug)]
pub struct Live {
    stop: AtomicBool,
    state: Mutex<LiveState>,
}

#[derive(Debug)]
struct LiveState {
    since: Instant,
    seconds_before: f64,
    rows: u64,
    rows_before: u64,
    tally: Tally,
}

/// How far a job has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Rows that are done, also those of the unit that is not finished.
    pub rows: u64,
    /// What was done, up to the last finished unit.
    pub tally: Tally,
    /// Rows in a second since the work began or went on.
    pub rows_per_second: Option<f64>,
}

impl Live {
    /// A job that was worked on for so long before.
    pub(super) fn new(seconds_before: f64) -> Self {
        let state = LiveState {
            since: Instant::now(),
            seconds_before,
            rows: 0,
            rows_before: 0,
            tally: Tally::default(),
        };
        Self { stop: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Ends the work within a chunk.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to end.
    pub(super) fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// So many more rows are done, now or in work of before.
    pub(super) fn advance(&self, rows: u64, before: bool) {
        let mut state = self.state();
        state.rows += rows;
        if before {
            state.rows_before += rows;
        }
    }

    /// A unit is finished; all that was done so far, and the time of it.
    pub(super) fn unit(&self, tally: &Tally) -> (Tally, f64) {
        let mut state = self.state();
        state.tally.add(tally);
        (state.tally.clone(), state.seconds_before + state.since.elapsed().as_secs_f64())
    }

    /// How far it has come.
    pub(super) fn progress(&self) -> Progress {
        let state = self.state();
        let seconds = state.since.elapsed().as_secs_f64();
        let rows = state.rows - state.rows_before;
        let rows_per_second = (rows > 0 && seconds > 0.0).then(|| rows as f64 / seconds);
        Progress { rows: state.rows, tally: state.tally.clone(), rows_per_second }
    }

    fn state(&self) -> MutexGuard<'_, LiveState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
