//! The training side of Revertant: batches, optimizer, schedule, the training loop, resumable state, and evaluation.
//!
//! # Layout
//! - [`train`] is the loop for every model family that implements [`restorer::train::Trainable`]; [`train_recipe`] picks the family.
//! - [`batch`] cuts labelled pairs into token-budget batches, bucketed by length.
//! - [`optimizer`] is `AdamW` for dense parameters and row-wise Adagrad for large embedding tables; [`schedule`] their learning rate.
//! - [`evaluate`] measures a checkpoint: CER before and after, exact matches, harm, intervals; [`sets`] makes its sets.
//! - [`parallel`] trains one model in several processes.
//! - [`track`] shows a run to the tools that people watch runs with.
//! - [`prior`] counts a corpus into a prior, or mixes several into an ensemble.
//! - [`settings`] are the recipe's `[train]` and `[evaluate]` tables.

mod allocator;
pub mod batch;
pub mod calibrate;
pub mod data;
mod error;
pub mod evaluate;
mod family;
pub mod judged;
pub mod optimizer;
pub mod parallel;
pub mod prior;
mod progress;
pub mod schedule;
pub mod scores;
pub mod sets;
pub mod settings;
mod stop;
pub mod track;
pub mod train;
pub mod workers;

pub use allocator::keep_pages;
pub use error::FinetuneError;
pub use family::{Family, ModelSource, train_recipe};
pub use progress::Progress;
pub use stop::{Stop, StopReason};
