//! Those who work on jobs.

use std::{
    any::Any,
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use corruptor::store::{self, Location};
use tokio::runtime::Handle;

use super::{Job, Jobs, Live, PlaceError, Source, State, StoreError, store::now_ms};
use crate::{
    batch::{BatchError, Input, Tally, Watch, restore_in_parts},
    http::{auth::Client, state::AppState},
    metrics,
    served_texts::ServedTexts,
};

/// Time after which those who wait for jobs look whether some are too old.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Why a job has failed.
#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the format `.{0}` is not known any more")]
    Format(String),
    #[error("the server panicked on it: {0}")]
    Panicked(String),
}

impl JobError {
    fn is_stopped(&self) -> bool {
        matches!(self, Self::Batch(BatchError::Stopped(_)))
    }
}

impl Jobs {
    /// Starts those who work on jobs with the models of `state`. What was under way when the server ended goes on.
    ///
    /// # Errors
    ///
    /// Where the operating system gives no thread.
    pub fn start(&self, state: &AppState, runtime: &Handle) -> io::Result<()> {
        self.count();
        for number in 0..self.0.limits.at_once {
            let (jobs, state, runtime) = (self.clone(), state.clone(), runtime.clone());
            let thread = std::thread::Builder::new().name(format!("job-{number}"));
            let thread = thread.spawn(move || jobs.work(&state, &runtime))?;
            self.0.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(())
    }

    fn work(&self, state: &AppState, runtime: &Handle) {
        while let Some((job, live)) = self.next() {
            self.changed();
            let id = job.id.clone();
            let rows = job.tally.summary.rows;
            tracing::info!(job = id, client = job.client, rows, "a job begins, or goes on");
            let worked = catch_unwind(AssertUnwindSafe(|| self.restore(&job, &live, state, runtime)));
            let worked = worked.unwrap_or_else(|panic| Err(JobError::Panicked(said(panic.as_ref()))));
            self.ended(&job, &worked);
        }
    }

    /// Waits for a job; none once they are to stop.
    fn next(&self) -> Option<(Job, Arc<Live>)> {
        let mut live = self.live();
        loop {
            if self.0.stopping.load(Ordering::Relaxed) {
                return None;
            }
            self.expire();
            let begun = self.store().begin(|id| !live.contains_key(id));
            match begun {
                Ok(Some(job)) => {
                    let new = Arc::new(Live::new(job.seconds));
                    live.insert(job.id.clone(), Arc::clone(&new));
                    return Some((job, new));
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "cannot look for jobs"),
            }
            let waited = self.0.wake.wait_timeout(live, LOOK_EVERY);
            live = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Removes the jobs that ended long ago.
    fn expire(&self) {
        let kept = u64::try_from(self.0.limits.kept.as_millis()).unwrap_or(u64::MAX);
        match self.store().expire(now_ms().saturating_sub(kept)) {
            Ok(ids) => ids.iter().for_each(|id| self.0.files.remove(id)),
            Err(error) => tracing::warn!(%error, "cannot remove old jobs"),
        }
    }

    fn restore(
        &self,
        job: &Job,
        live: &Arc<Live>,
        state: &AppState,
        runtime: &Handle,
    ) -> Result<(), JobError> {
        let (spec, files) = (&job.spec, &self.0.files);
        let format = spec.format().ok_or_else(|| JobError::Format(spec.extension.clone()))?;
        let (input, version) = match &spec.input {
            Source::Upload => {
                let path = files.upload(&job.id, &spec.extension);
                let label = Path::new("the upload");
                let open_error = |source| BatchError::Open { path: label.to_path_buf(), source };
                let file = File::open(&path).map_err(open_error)?;
                (Input::new(label, file, format, &spec.settings())?, String::new())
            }
            Source::Place(given) => {
                let path = self.0.roots.input(given)?;
                let version = version(&path)?;
                if job.input_version.as_ref().is_some_and(|before| *before != version) {
                    return Err(BatchError::Changed(path).into());
                }
                (Input::open(&path, &spec.settings())?, version)
            }
        };
        let output = match &spec.output {
            Some(given) => self.0.roots.output(given)?,
            None => files.result(&job.id, &spec.extension),
        };
        self.store().input(&job.id, &version, input.rows())?;
        let client = Client(job.client.as_str().into());
        let texts =
            ServedTexts::new(state.clone(), spec.model.clone(), spec.options(), client, runtime.clone());
        let mut watch = JobWatch { jobs: self, id: &job.id, live };
        restore_in_parts(&input, &output, &files.parts(&job.id), &texts, &mut watch)?;
        Ok(())
    }

    /// Keeps what has become of a job, and lets go of it.
    fn ended(&self, job: &Job, worked: &Result<(), JobError>) {
        let id = job.id.as_str();
        let state = match worked {
            Ok(()) => Some((State::Succeeded, None)),
            Err(error) if error.is_stopped() => None,
            Err(error) => Some((State::Failed, Some(error.to_string()))),
        };
        let mut live = self.live();
        let mut store = self.store();
        let finished =
            state.as_ref().map_or(Ok(false), |(state, error)| store.finish(id, *state, error.as_deref()));
        let now = store.get(id);
        drop(store);
        live.remove(id);
        drop(live);
        match (finished, now) {
            (Ok(true), Ok(Some(now))) => {
                let seconds = now.seconds;
                metrics::job(now.state.name(), seconds);
                let Tally { summary, .. } = &now.tally;
                match &now.error {
                    None => tracing::info!(job = id, seconds, %summary, "a job has succeeded"),
                    Some(error) => tracing::warn!(job = id, seconds, %summary, error, "a job has failed"),
                }
                self.0.files.remove_inputs(id, &job.spec.extension);
            }
            // It was removed while somebody worked on it.
            (_, Ok(None)) => self.0.files.remove(id),
            (_, Ok(Some(now))) if now.state == State::Cancelled => {
                tracing::info!(job = id, "a job was cancelled");
                self.0.files.remove(id);
            }
            (_, Ok(Some(_))) => tracing::info!(job = id, "a job is interrupted"),
            (_, Err(error)) => tracing::error!(job = id, %error, "cannot tell what has become of a job"),
        }
        self.changed();
    }
}

/// Keeps what a job has done.
struct JobWatch<'j> {
    jobs: &'j Jobs,
    id: &'j str,
    live: &'j Live,
}

impl Watch for JobWatch<'_> {
    fn start(&mut self, _rows: u64) {}

    fn advance(&mut self, rows: u64) {
        if rows > 0 {
            metrics::job_rows(rows);
            self.live.advance(rows, false);
            self.jobs.0.changes.send_replace(());
        }
    }

    fn skip(&mut self, rows: u64, tally: &Tally) {
        self.live.advance(rows, true);
        self.live.unit(tally);
    }

    fn unit(&mut self, tally: &Tally) {
        let (tally, seconds) = self.live.unit(tally);
        let kept = self.jobs.store().progress(self.id, &tally, seconds);
        if let Err(error) = kept {
            // The parts tell the same; the next unit tries again.
            tracing::warn!(job = self.id, %error, "cannot keep how far a job has come");
        }
    }

    fn stop_flag(&self) -> &AtomicBool {
        self.live.stop_flag()
    }
}

/// What tells another content of a file or object.
fn version(path: &Path) -> Result<String, BatchError> {
    let open_error = |source| BatchError::Open { path: path.to_path_buf(), source };
    match Location::of(path)? {
        Location::Local(path) => {
            let metadata = fs::metadata(&path).map_err(open_error)?;
            let modified = metadata
                .modified()
                .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).map_err(io::Error::other));
            let modified = modified.map_err(open_error)?.as_nanos();
            Ok(format!("{} bytes of {modified}", metadata.len()))
        }
        Location::Remote(url) => {
            let object = store::object(&url)?;
            Ok(format!("{} bytes of {}", object.bytes, object.version.unwrap_or_default()))
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned()
}
