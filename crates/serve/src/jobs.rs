//! Files that are restored in the background, and survive a restart of the server.
//!
//! # Layout
//! - `job` is what is known of one; `store` keeps all of them; `roots` says which paths and URLs they may name.
//! - `files` is what they have on the disk; `live` is how far those have come that are under way.
//! - `runner` works on them, some at a time, in their order.
//!
//! A job is in the store before it is accepted, and its finished units are on the disk: a process that is killed loses the unit that was under
//! way, and nothing else.

mod files;
mod job;
mod live;
mod roots;
mod runner;
mod store;
#[cfg(test)]
mod tests;

pub use files::Files;
pub(crate) use files::new_id;
pub use job::{Job, NewJob, Source, Spec, State};
pub use live::{Live, Progress};
pub use roots::{PlaceError, Roots};
pub use store::StoreError;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use corruptor::{IoError, lock::FileLock};
use tokio::sync::watch;

use self::store::Store;
use crate::metrics;

/// Bounds of all jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLimits {
    /// Jobs that are worked on at a time.
    pub at_once: usize,
    /// Jobs that may wait or be under way; more are refused.
    pub waiting: usize,
    /// Time after which a job that has ended is removed.
    pub kept: Duration,
}

impl JobLimits {
    /// [`JobLimits::at_once`] unless told otherwise.
    pub const DEFAULT_AT_ONCE: usize = 2;
    /// [`JobLimits::waiting`] unless told otherwise.
    pub const DEFAULT_WAITING: usize = 1000;
    /// Days in [`JobLimits::kept`] unless told otherwise.
    pub const DEFAULT_DAYS: usize = 7;
}

/// Why there are no jobs. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// Another server has the directory.
    #[error("another server works on the jobs in {}", .0.display())]
    Busy(PathBuf),
    /// The directory, or its lock, cannot be used.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The directory cannot be used.
    #[error("cannot keep jobs in {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A root is not there.
    #[error("--root {} is no directory and no URL: {message}", root.display())]
    Root {
        /// What was given.
        root: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

/// The jobs of a server; a clone is another handle to the same.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    files: Files,
    roots: Roots,
    limits: JobLimits,
    store: Mutex<Store>,
    /// Those that are under way. Locked before the store, where both are.
    live: Mutex<HashMap<String, Arc<Live>>>,
    /// Told when there is work, or no more.
    wake: Condvar,
    stopping: AtomicBool,
    /// Told when anything about any job has changed.
    changes: watch::Sender<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: FileLock,
}

/// What has become of the wish to end a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// It was waiting or under way; now it is cancelled.
    Cancelled(Box<Job>),
    /// It had ended before; now it is gone.
    Removed,
}

impl Jobs {
    /// Opens the jobs in `directory`, which is made where it is missing. Nobody works on them yet.
    ///
    /// # Errors
    ///
    /// [`JobsError`]: where another server has the directory, or it or a root cannot be used.
    pub fn open(directory: &Path, roots: &[PathBuf], limits: JobLimits) -> Result<Self, JobsError> {
        let directory_error = |source| JobsError::Directory { path: directory.to_path_buf(), source };
        std::fs::create_dir_all(directory).map_err(directory_error)?;
        let lock = FileLock::acquire(directory.join("lock"))?;
        let lock = lock.ok_or_else(|| JobsError::Busy(directory.to_path_buf()))?;
        let store = Store::open(&directory.join("jobs.sqlite"))?;
        let files = Files::new(directory);
        files.remove_others(&store.ids()?).map_err(directory_error)?;
        let inner = Inner {
            files,
            roots: Roots::new(roots)?,
            limits,
            store: Mutex::new(store),
            live: Mutex::default(),
            wake: Condvar::new(),
            stopping: AtomicBool::new(false),
            changes: watch::channel(()).0,
            threads: Mutex::default(),
            _lock: lock,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// What jobs have on the disk.
    pub fn files(&self) -> &Files {
        &self.0.files
    }

    /// Where jobs may read and write.
    pub fn roots(&self) -> &Roots {
        &self.0.roots
    }

    /// Accepts a job: once this returns, it survives a restart.
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`] where too many wait already, and where the store fails.
    pub fn add(&self, new: NewJob) -> Result<Job, StoreError> {
        // Locked, so that nobody has looked for jobs before and begins to wait after.
        let live = self.live();
        let job = self.store().add(new, self.0.limits.waiting)?;
        self.0.wake.notify_one();
        drop(live);
        self.changed();
        Ok(job)
    }

    /// The job of this id, with how far it has come.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    pub fn get(&self, id: &str) -> Result<Option<(Job, Option<Progress>)>, StoreError> {
        let progress = self.progress(id);
        Ok(self.store().get(id)?.map(|job| (job, progress)))
    }

    /// The newest jobs, of one client or of all.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    pub fn newest(
        &self,
        client: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Job, Option<Progress>)>, StoreError> {
        let jobs = self.store().newest(client, limit)?;
        Ok(jobs
            .into_iter()
            .map(|job| (self.progress(&job.id), job))
            .map(|(progress, job)| (job, progress))
            .collect())
    }

    /// Cancels a job that waits or is under way, and removes one that has ended, with all its files. None where there is no such job.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    pub fn end(&self, id: &str) -> Result<Option<Ended>, StoreError> {
        let live = self.live();
        let cancelled = self.store().cancel(id)?;
        let ended = match cancelled {
            Some(job) => Some(Ended::Cancelled(Box::new(job))),
            None => self.store().remove(id)?.then_some(Ended::Removed),
        };
        match live.get(id) {
            // Whoever works on it removes its files.
            Some(live) => live.stop(),
            None if ended.is_some() => self.0.files.remove(id),
            None => {}
        }
        drop(live);
        self.changed();
        Ok(ended)
    }

    /// Told when anything about any job has changed.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// From now on no job is begun, and those under way stop within a chunk; they go on when the server is started again.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.live().values().for_each(|live| live.stop());
        self.0.wake.notify_all();
        self.changed();
    }

    /// Blocks until nobody works on jobs any more, once they were told to stop.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of jobs had panicked");
            }
        }
    }

    fn progress(&self, id: &str) -> Option<Progress> {
        self.live().get(id).map(|live| live.progress())
    }

    fn changed(&self) {
        self.0.changes.send_replace(());
        self.count();
    }

    /// Tells the metrics how many there are of each state.
    fn count(&self) {
        match self.store().counts() {
            Ok(counts) => {
                for (state, jobs) in State::ALL.into_iter().zip(counts) {
                    metrics::jobs(state.name(), jobs);
                }
            }
            Err(error) => tracing::warn!(%error, "cannot count the jobs"),
        }
    }

    /// Each statement leaves the store consistent, so a poisoned lock is no reason to stop.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Arc<Live>>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
