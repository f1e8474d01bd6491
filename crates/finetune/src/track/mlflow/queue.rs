//! What stands between the training and the network: a bounded queue. Where it is full, figures are dropped and counted.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::client::SLOWEST_BYTES_PER_SECOND;
use super::run::now_ms;
use super::worker::Worker;
use crate::track::{Metric, TrackError};

/// Records that wait at most; one is the figures of a step, or a file.
const RECORDS: usize = 2048;
/// How long the end of a run waits for what is on its way, besides the time that its files take.
const FLUSH: Duration = Duration::from_mins(1);

/// The figures of one record, on their way to the server.
pub(super) type Points = Vec<Point>;

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) name: &'static str,
    pub(super) value: f64,
    pub(super) step: u64,
    /// Milliseconds since 1970.
    pub(super) timestamp: u64,
}

impl Point {
    /// The figures of a step, as of now.
    pub(super) fn all(step: u64, metrics: &[Metric]) -> Vec<Self> {
        let timestamp = now_ms();
        metrics.iter().map(|(name, value)| Self { name, value: *value, step, timestamp }).collect()
    }
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Finished { checkpoint: PathBuf },
    Stopped,
    Failed,
}

/// What both threads see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    notices: Mutex<Vec<String>>,
    ending: Mutex<Option<(Ending, Instant)>>,
    lost: AtomicU64,
}

impl Shared {
    /// Something to say.
    pub(super) fn note(&self, text: String) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// How the run ended and when, once it has.
    pub(super) fn ending(&self) -> Option<(Ending, Instant)> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts records that the server will not get.
    pub(super) fn lose(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }

    /// Records that the server did not get.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// The training's end of the queue.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: Option<SyncSender<Points>>,
    shared: Arc<Shared>,
    worker: Thread,
    done: Mutex<Receiver<()>>,
}

impl Queue {
    /// Starts the thread that works the queue off.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(super) fn start(
        worker: impl FnOnce(Receiver<Points>, Arc<Shared>) -> Worker,
    ) -> Result<Self, TrackError> {
        let (jobs, receiver) = sync_channel(RECORDS);
        let (finished, done) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let worker = worker(receiver, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("mlflow".to_owned()).spawn(move || {
            worker.work();
            // Nobody listens any more where the wait was over first.
            let _ = finished.send(());
        });
        let worker = thread.map_err(TrackError::Thread)?.thread().clone();
        Ok(Self { jobs: Some(jobs), shared, worker, done: Mutex::new(done) })
    }

    /// Figures of a step.
    pub(super) fn metrics(&self, step: u64, metrics: &[Metric]) {
        let points = Point::all(step, metrics);
        if self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(points).is_err()) {
            self.shared.lose(1);
        }
    }

    /// Says how the run ended, and waits until the server knows; not for long.
    pub(super) fn finish(&mut self, ending: Ending) {
        if self.jobs.is_none() {
            return;
        }
        let size = match &ending {
            Ending::Finished { checkpoint } => directory_bytes(checkpoint),
            Ending::Stopped | Ending::Failed => 0,
        };
        *self.shared.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some((ending, Instant::now()));
        self.jobs = None;
        self.worker.unpark();
        let limit = FLUSH + Duration::from_secs(size / SLOWEST_BYTES_PER_SECOND);
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(limit).is_err() {
            self.shared.note(format!("not all was sent within {} seconds", limit.as_secs()));
        }
    }

    /// What is to be said since the last call.
    pub(super) fn notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes of the files right in a directory.
fn directory_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}
