//! What a run shows while it trains: figures, parameters and files, for the tools that people watch runs with.
//!
//! - [`Tracker`] is one such tool; [`Trackers`] calls all of them, and stops for none.
//! - [`DvcLive`] writes the files of `DVCLive`, [`TensorBoard`] event files, and [`Mlflow`] (feature `mlflow`) talks to a server.
//! - [`Machine`] knows what the hardware could do: peak FLOP/s and memory.

mod dvclive;
mod error;
mod facts;
mod machine;
#[cfg(feature = "mlflow")]
mod mlflow;
mod options;
mod records;
mod tensorboard;
mod trackers;
mod yaml;

use std::fmt::Debug;
use std::path::Path;

pub use dvclive::DvcLive;
pub use error::TrackError;
pub use facts::{DatasetFacts, RunFacts};
pub use machine::{FlopsPerToken, Machine, peak_memory_bytes};
#[cfg(feature = "mlflow")]
pub use mlflow::Mlflow;
pub use options::{MlflowOptions, Registration, TrackOptions};
pub use records::{Metric, summary_metrics};
pub use tensorboard::TensorBoard;
pub use trackers::Trackers;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End<'a> {
    /// All steps are done.
    Finished {
        /// The last step.
        step: u64,
        /// The figures of the whole run.
        summary: &'a [Metric],
        /// The directory of the complete checkpoint.
        checkpoint: &'a Path,
    },
    /// Stopped early and saved.
    Stopped,
    /// Ended by an error.
    Failed,
}

/// A tool that shows runs. No call may take long: what waits for a network does so on a thread of its own.
pub trait Tracker: Debug + Send {
    /// Its name, for what is said about it.
    fn name(&self) -> &'static str;

    /// Begins a run, or goes on with it.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn start(&mut self, facts: &RunFacts) -> Result<(), TrackError>;

    /// Takes figures of one step; all of them are finite.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn metrics(&mut self, step: u64, metrics: &[Metric]) -> Result<(), TrackError>;

    /// Ends the run; what is still on its way is waited for, but not for long.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn finish(&mut self, end: End<'_>) -> Result<(), TrackError>;

    /// What happened in the background since the last call, in sentences.
    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }
}
