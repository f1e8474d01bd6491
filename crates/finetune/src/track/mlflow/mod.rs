//! Tracking on an `MLflow` server, over its REST API (version 2.0).
//!
//! - [`client`] sends one request, [`queue`] stands between the training and the network, [`worker`] works it off on a thread of its own.
//! - [`run`] begins a run on the server or goes on with it, [`registry`] registers the finished model.
//! - [`model_file`] writes `MLmodel`, by which the server knows a model among the files.
//!
//! The training never waits for the server, but for a bounded time at its end.

mod client;
mod model_file;
mod queue;
mod registry;
mod run;
mod worker;

use self::queue::{Ending, Queue};
use self::worker::Worker;
use super::{End, Metric, MlflowOptions, RunFacts, TrackError, Tracker};

/// Reports a run to an `MLflow` server.
#[derive(Debug)]
pub struct Mlflow {
    options: MlflowOptions,
    queue: Option<Queue>,
}

impl Mlflow {
    /// The tracker on the server that `options` names; nothing is sent before the run starts.
    pub fn new(options: MlflowOptions) -> Self {
        Self { options, queue: None }
    }

    /// Checks an address, without a request.
    ///
    /// # Errors
    /// [`TrackError::Address`] if it is not one of an HTTP server.
    pub fn check_address(uri: &str) -> Result<(), TrackError> {
        client::address(uri).map(|_| ())
    }
}

impl Tracker for Mlflow {
    fn name(&self) -> &'static str {
        "MLflow"
    }

    fn start(&mut self, facts: &RunFacts) -> Result<(), TrackError> {
        let client = client::Client::new(&self.options)?;
        let (options, facts) = (self.options.clone(), facts.clone());
        self.queue = Some(Queue::start(|jobs, shared| Worker::new(client, options, facts, jobs, shared))?);
        Ok(())
    }

    fn metrics(&mut self, step: u64, metrics: &[Metric]) -> Result<(), TrackError> {
        if let Some(queue) = &self.queue {
            queue.metrics(step, metrics);
        }
        Ok(())
    }

    fn finish(&mut self, end: End<'_>) -> Result<(), TrackError> {
        if let Some(queue) = &mut self.queue {
            let ending = match end {
                End::Finished { step, summary, checkpoint } => {
                    queue.metrics(step, summary);
                    Ending::Finished { checkpoint: checkpoint.to_owned() }
                }
                End::Stopped => Ending::Stopped,
                End::Failed => Ending::Failed,
            };
            queue.finish(ending);
        }
        Ok(())
    }

    fn notices(&mut self) -> Vec<String> {
        self.queue.as_ref().map(Queue::notices).unwrap_or_default()
    }
}
