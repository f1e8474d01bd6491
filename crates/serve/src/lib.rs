//! The serving side of Revertant: models restore text over HTTP, on the command line, and for whole files.
//!
//! # Layout
//!
//! A request goes one way: [`http`] (connection, body) → [`routes`] (what was asked) → [`scheduler`] (queue, the
//! one engine thread of a model) → the model, and its answer comes back as one of [`api`]'s or as one of the kinds of [`error`].
//!
//! - [`scheduler`] feeds the model: a bounded queue, texts that join and leave between steps, no timer.
//! - [`routes`] is the HTTP API; [`http`] is what is around it: connections, limits, problem documents, request ids.
//! - [`batch`] restores Parquet, CSV and JSON-lines files, unit by unit; [`jobs`] does so in the background.
//! - `stream` (feature `kafka`, and `avro` for values in Avro) restores the records of a topic, exactly once.
//! - [`api`] is what the HTTP API takes and gives, as types.
//! - [`model`] loads a checkpoint directory or the checkpoint built into the binary; [`models`] are those of a server.
//! - [`keys`] are who may ask; [`cache`] holds what was answered before.
//! - [`error`] and [`failure`] are what goes wrong, for clients and for users.
//! - [`cli`] is the command line, [`config`] a file of it, and [`commands`] does it; [`logging`], [`metrics`], [`progress`] and [`shutdown`]
//!   are around all of it.

pub mod api;
pub mod batch;
mod builtin;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod config;
pub mod error;
pub mod failure;
pub mod http;
pub mod jobs;
pub mod keys;
mod list;
pub mod logging;
mod members;
pub mod metrics;
pub mod model;
pub mod models;
pub mod progress;
pub mod routes;
pub mod scheduler;
mod served_texts;
pub mod shutdown;
#[cfg(feature = "kafka")]
pub mod stream;
#[cfg(test)]
mod testing;
mod text_error;

pub use error::{ApiError, Kind};
pub use failure::Failure;
pub use model::ModelSource;
pub use scheduler::{Limits, Scheduler};
pub use text_error::TextError;

/// Version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
