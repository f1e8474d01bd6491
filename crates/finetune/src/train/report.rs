//! What a run says: its log, its trackers, and lines for people.

use std::path::Path;
use std::time::Duration;

use super::log::{EvaluationRecord, RunLog, StepRecord};
use crate::error::FinetuneError;
use crate::optimizer::Gradients;
use crate::progress::Progress;
use crate::track::{End, RunFacts, TrackOptions, Trackers};

/// The one place through which a run speaks. Of several processes only one has a log and trackers.
#[derive(Debug)]
pub(super) struct Report {
    records: Option<(RunLog, Trackers)>,
    progress: Progress,
}

impl Report {
    /// Of the process that writes: the log from its first `log_bytes` on, and the trackers that `tracking` names.
    pub(super) fn start(
        log: &Path,
        log_bytes: u64,
        tracking: &TrackOptions,
        facts: &RunFacts,
        progress: Progress,
    ) -> Result<Self, FinetuneError> {
        let trackers = Trackers::start(tracking, facts, &progress);
        Ok(Self { records: Some((RunLog::open(log, log_bytes)?, trackers)), progress })
    }

    /// Of a process that only computes.
    pub(super) fn silent() -> Self {
        Self { records: None, progress: Progress::hidden() }
    }

    /// A step more.
    pub(super) fn advance(&self, message: impl FnOnce() -> String) {
        self.progress.advance(1, message);
    }

    /// Something that should stay.
    pub(super) fn note(&self, text: &str) {
        self.progress.note(text);
    }

    /// Figures of the steps since the last record.
    pub(super) fn steps(&mut self, record: &StepRecord) -> Result<(), FinetuneError> {
        let Some((log, trackers)) = &mut self.records else { return Ok(()) };
        log.write(record)?;
        trackers.metrics(record.step, &record.metrics(), &self.progress);
        Ok(())
    }

    /// Figures of an evaluation.
    pub(super) fn evaluation(&mut self, record: &EvaluationRecord) -> Result<(), FinetuneError> {
        let Some((log, trackers)) = &mut self.records else { return Ok(()) };
        log.write(record)?;
        trackers.metrics(record.step, &record.metrics(), &self.progress);
        Ok(())
    }

    /// Bytes of the log.
    pub(super) fn log_bytes(&self) -> u64 {
        self.records.as_ref().map_or(0, |(log, _)| log.bytes())
    }

    /// The run has ended.
    pub(super) fn finish(&mut self, end: End<'_>) {
        if let Some((_, trackers)) = &mut self.records {
            trackers.finish(end, &self.progress);
        }
    }

    /// The bar goes.
    pub(super) fn close(&self) {
        self.progress.finish();
    }
}

/// Sums since the last record.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) loss: f64,
    pub(super) labels: usize,
    pub(super) tokens: usize,
    pub(super) padded: usize,
    pub(super) time: Duration,
}

impl Window {
    pub(super) fn add(&mut self, sum: &Gradients, padded: usize, time: Duration) {
        self.loss += sum.loss;
        self.labels += sum.labels;
        self.tokens += sum.tokens;
        self.padded += padded;
        self.time += time;
    }
}
