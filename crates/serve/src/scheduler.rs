//! The scheduler: one engine thread that runs the model, fed by a bounded queue.
//!
//! Between any two steps of the model, texts join what is under way and leave it when they are done. There is no timer: an idle
//! engine starts at once, a busy one batches by itself. Those who wait come before what can wait. A text whose client has gone is
//! dropped before it is started, or given up within a step.

mod engine;
mod queue;
mod rate;
mod shares;
mod ticket;

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use restorer::{ModelInfo, RestoreRequest, Restorer, engine::EngineLimits};
use tokio::sync::mpsc;

use crate::{http::auth::Client, metrics::EngineMetrics};

pub use self::ticket::{AnswerError, Answered, Event, Ticket, Timing};
use self::{
    queue::{Job, Queue},
    rate::Rate,
};

/// Bounds of the queue and of what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Texts that may wait.
    pub queue_texts: usize,
    /// Tokens that may wait; also the most that one request may hold.
    pub queue_tokens: usize,
    /// Texts that are restored at once, at most.
    pub batch_texts: usize,
    /// Tokens that go through the model in one step, at most.
    pub batch_tokens: usize,
    /// Bytes of keys, values and hypotheses that are held, at most.
    pub cache_bytes: usize,
}

impl Limits {
    /// [`Limits::queue_texts`] unless told otherwise.
    pub const DEFAULT_QUEUE_TEXTS: usize = 1024;
    /// [`Limits::queue_tokens`] unless told otherwise.
    pub const DEFAULT_QUEUE_TOKENS: usize = 1 << 20;
    /// [`Limits::batch_texts`] unless told otherwise.
    pub const DEFAULT_BATCH_TEXTS: usize = 128;
    /// [`Limits::batch_tokens`] unless told otherwise.
    pub const DEFAULT_BATCH_TOKENS: usize = 8192;
    /// [`Limits::cache_bytes`] unless told otherwise.
    pub const DEFAULT_CACHE_BYTES: usize = EngineLimits::DEFAULT_CACHE_BYTES;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_texts: Self::DEFAULT_QUEUE_TEXTS,
            queue_tokens: Self::DEFAULT_QUEUE_TOKENS,
            batch_texts: Self::DEFAULT_BATCH_TEXTS,
            batch_tokens: Self::DEFAULT_BATCH_TOKENS,
            cache_bytes: Self::DEFAULT_CACHE_BYTES,
        }
    }
}

/// Why a request was not queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The request alone is larger than the whole queue.
    #[error(
        "the request holds {texts} texts of {tokens} tokens; the server takes at most {max_texts} texts of {max_tokens} tokens"
    )]
    TooLarge {
        /// Texts in the request.
        texts: usize,
        /// Tokens in the request.
        tokens: usize,
        /// [`Limits::queue_texts`].
        max_texts: usize,
        /// [`Limits::queue_tokens`].
        max_tokens: usize,
    },
    /// There is no room now.
    #[error("{texts} texts of {tokens} tokens wait already")]
    Full {
        /// Texts that wait.
        texts: usize,
        /// Tokens that wait.
        tokens: usize,
        /// The time in which the engine works off what waits now, at its current speed.
        retry_after: Duration,
    },
    /// The scheduler drains or its engine has stopped.
    #[error("no requests are taken any more")]
    Closed,
}

/// What the engine and the clients share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when there is work or the scheduler closes.
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    rate: Rate,
    /// Tokens of the texts that are being restored.
    running_tokens: usize,
    /// Whether requests are taken.
    open: bool,
    /// Whether the engine runs.
    alive: bool,
}

impl Shared {
    /// The state is consistent after each statement that changes it, so a poisoned lock is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle to the engine. Dropping it closes it; the engine then ends after what waits.
pub struct Scheduler {
    model: Arc<dyn Restorer>,
    limits: Limits,
    metrics: EngineMetrics,
    shared: Arc<Shared>,
    engine: Mutex<Option<JoinHandle<()>>>,
}

impl Scheduler {
    /// Starts the engine thread of a model that metrics know by `name`.
    ///
    /// # Errors
    ///
    /// Where the operating system gives no thread.
    pub fn start(model: Arc<dyn Restorer>, limits: Limits, name: &str) -> io::Result<Self> {
        let metrics = EngineMetrics::new(name, model.info());
        let state = State {
            queue: Queue::new(limits),
            rate: Rate::default(),
            running_tokens: 0,
            open: true,
            alive: true,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() });
        let engine_limits =
            EngineLimits { step_tokens: limits.batch_tokens, cache_bytes: limits.cache_bytes };
        let (engine_model, engine_shared, engine_metrics) =
            (Arc::clone(&model), Arc::clone(&shared), metrics.clone());
        let engine = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
            engine::run(engine_model.as_ref(), &engine_shared, engine_limits, engine_metrics);
        })?;
        Ok(Self { model, limits, metrics, shared, engine: Mutex::new(Some(engine)) })
    }

    /// What is known about the model.
    pub fn model(&self) -> &ModelInfo {
        self.model.info()
    }

    /// What one pass over `text` costs, in the model's tokens.
    pub fn tokens(&self, text: &str) -> usize {
        self.model.tokens(text)
    }

    /// Texts that who can wait may keep here at a time: those that are restored at once and as many that wait, in half the queue.
    pub fn bulk_texts(&self) -> usize {
        (2 * self.limits.batch_texts).min(self.limits.queue_texts / 2).max(1)
    }

    /// Queues the texts of one request, all or none.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]: larger than the queue, no room now, or closed.
    pub fn submit(&self, requests: Vec<RestoreRequest>, client: &Client) -> Result<Ticket, SubmitError> {
        self.submit_until(requests, client, None)
    }

    /// The same; what has not begun by `until` is dropped.
    ///
    /// # Errors
    ///
    /// As [`Scheduler::submit`].
    pub fn submit_until(
        &self,
        requests: Vec<RestoreRequest>,
        client: &Client,
        until: Option<Instant>,
    ) -> Result<Ticket, SubmitError> {
        let queued = Instant::now();
        let (jobs, answers): (Vec<_>, Vec<_>) = requests
            .into_iter()
            .map(|request| {
                let (answer, receiver) = mpsc::unbounded_channel();
                let tokens = self.model.tokens(&request.text).max(1);
                (Job { request, client: client.clone(), tokens, queued, until, answer }, receiver)
            })
            .unzip();
        let (texts, tokens) = (jobs.len(), jobs.iter().map(|job| job.tokens).sum());
        let (max_texts, max_tokens) = (self.limits.queue_texts, self.limits.queue_tokens);
        if texts > max_texts || tokens > max_tokens {
            return Err(SubmitError::TooLarge { texts, tokens, max_texts, max_tokens });
        }
        let mut state = self.shared.lock();
        if !state.open {
            return Err(SubmitError::Closed);
        }
        let admitted = state.queue.admit(jobs);
        let (texts, tokens) = (state.queue.len(), state.queue.tokens());
        self.metrics.queue(texts, tokens);
        if admitted.is_err() {
            let retry_after = state.rate.time_for(tokens + state.running_tokens);
            return Err(SubmitError::Full { texts, tokens, retry_after });
        }
        drop(state);
        self.shared.wake.notify_one();
        Ok(Ticket::new(answers))
    }

    /// Whether the engine runs and takes requests.
    pub fn is_open(&self) -> bool {
        self.shared.lock().open
    }

    /// Whether the engine runs. Once it has stopped it stays so.
    pub fn is_alive(&self) -> bool {
        self.shared.lock().alive
    }

    /// Takes no more requests; those that wait are still answered.
    pub fn close(&self) {
        self.shared.lock().open = false;
        self.shared.wake.notify_one();
    }

    /// Closes and blocks until everything that waited is answered and the engine has ended.
    pub fn drain(&self) {
        self.close();
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        if engine.is_some_and(|engine| engine.join().is_err()) {
            tracing::error!("the engine had panicked");
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
