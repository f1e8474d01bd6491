//! Records of a Kafka topic, restored into another, each exactly once.
//!
//! A record goes one way: the reader (a thread with the consumer) collects records into batches; a batch is restored by the engine of the
//! server while the next is collected; the writer (a thread with the producer) writes batches in their order, each in one transaction
//! with its dead letters and its offsets (KIP-98, KIP-447). Restoring happens before a transaction begins, so transactions are short
//! whatever the model.
//!
//! What keeps it exact: a partition that is taken away is given up only between two transactions, and what was read of it is dropped;
//! after a transaction that was aborted everything is read again from the committed offsets.

mod batch;
mod client;
mod context;
mod error;
mod health;
mod outgoing;
mod ownership;
mod parked;
mod reader;
mod record;
#[cfg(feature = "avro")]
pub(crate) mod registry;
mod restore;
pub mod settings;
mod sink;
mod topics;
mod turns;
mod value;
mod writer;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use tokio::runtime::Handle;

use crate::{http::state::AppState, metrics};

use self::{
    context::consumer, ownership::Ownership, reader::Reader, restore::Restoring, value::Codec, writer::Writer,
};
pub use self::{
    error::StreamError,
    health::StreamHealth,
    settings::{Settings, ValueFormat},
};

/// A stream that runs.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    health: Arc<StreamHealth>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Stream {
    /// Checks the topics and starts the threads. `ended` is called once, when the stream has ended by itself or was stopped.
    ///
    /// It blocks until the brokers have answered.
    ///
    /// # Errors
    ///
    /// [`StreamError`]: brokers that cannot be reached or refuse, topics that are not there, properties that are not known.
    pub fn start(
        settings: Settings,
        state: &AppState,
        runtime: &Handle,
        ended: impl FnOnce(Result<(), StreamError>) + Send + 'static,
    ) -> Result<Self, StreamError> {
        metrics::stream::describe();
        let settings = Arc::new(settings);
        let (ownership, health) = (Arc::new(Ownership::default()), Arc::new(StreamHealth::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let consumer = Arc::new(consumer(&settings, &ownership, &health)?);
        let counts = topics::check(&settings, &consumer, runtime)?;
        let until = if settings.replay { topics::ends(&settings, &consumer)? } else { HashMap::new() };
        let codec = Codec::new(&settings, runtime)?;
        let restoring = Restoring::new(state.clone(), &settings);
        // What is in it is bounded by the tokens in flight.
        let (batches, restored) = mpsc::channel();
        let reader = Reader {
            settings: Arc::clone(&settings),
            consumer: Arc::clone(&consumer),
            ownership: Arc::clone(&ownership),
            health: Arc::clone(&health),
            stop: Arc::clone(&stop),
            codec,
            restoring,
            runtime: runtime.clone(),
            batches,
        };
        let writer = Writer::new(settings, Arc::clone(&consumer), ownership, Arc::clone(&stop), counts)?;
        drop(consumer);
        let (writer_stop, reader_health) = (Arc::clone(&stop), Arc::clone(&health));
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StreamError::Thread)
        };
        let (told, outcome) = mpsc::channel();
        let reader_told = told.clone();
        let reading = spawn(
            "stream-reader",
            Box::new(move || {
                let read = reader.run(&until);
                reader_health.leave();
                // The writer has ended first where nobody listens.
                let _gone = reader_told.send(read);
            }),
        )?;
        let writing = spawn(
            "stream-writer",
            Box::new(move || {
                let written = writer.run(&restored);
                // The reader has nobody left to read for.
                writer_stop.store(true, Ordering::Relaxed);
                let _gone = told.send(written);
            }),
        )?;
        let ending = spawn(
            "stream-end",
            Box::new(move || {
                let mut ends: Vec<Result<(), StreamError>> = outcome.iter().collect();
                if ends.len() < 2 {
                    ends.push(Err(StreamError::Panicked));
                }
                ended(ends.into_iter().collect());
            }),
        )?;
        Ok(Self { stop, health, threads: Mutex::new(vec![reading, writing, ending]) })
    }

    /// Whether it takes part in its group.
    pub fn health(&self) -> &Arc<StreamHealth> {
        &self.health
    }

    /// Reads no more; what was read is still written.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Blocks until everything that was read is written, and the group was left.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the stream had panicked");
            }
        }
    }
}
