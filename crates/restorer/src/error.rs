//! The crate's errors.

use std::path::PathBuf;

use crate::source::SourceError;

/// What can go wrong between a checkpoint and a restored text.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file of a checkpoint cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a checkpoint has the wrong form.
    #[error("{path}: {message}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A checkpoint lacks a tensor.
    #[error(
        "{path} has no tensor `{name}` (wanted for {family}); the checkpoint is incomplete or of another family"
    )]
    MissingTensor {
        /// The weights file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Family that wants it.
        family: &'static str,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{path}: tensor `{name}` has shape {found:?}, but config.json asks for {wanted:?}")]
    TensorShape {
        /// The weights file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape by the configuration.
        wanted: Vec<usize>,
    },
    /// A file holds tensors that the model has no place for.
    #[error(
        "{path} holds tensors that {family} has no place for: {}; it is another family's, or made for another model",
        shortened(names)
    )]
    UnusedTensors {
        /// The weights file.
        path: PathBuf,
        /// What was loaded.
        family: &'static str,
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// An adapter was made for another model than the one at its side.
    #[error(
        "{path}: the adapter was trained on a model with digest {wanted}…, but this one has {found}…; put that model in its place"
    )]
    OtherBase {
        /// The model's weights file.
        path: PathBuf,
        /// First digits of the model's digest.
        found: String,
        /// First digits of the digest that the adapter names.
        wanted: String,
    },
    /// No map of the model has a name that the adapter's targets select.
    #[error("no linear map of the model is one of the adapter's target modules ({targets})")]
    NoTargets {
        /// The targets.
        targets: String,
    },
    /// The configuration cannot be used.
    #[error("model configuration: `{key}`: {message}")]
    Config {
        /// The key.
        key: &'static str,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// A channel cannot be decoded.
    #[error("channel: {0}")]
    Channel(#[from] corruptor::SettingsError),
    /// A channel was given to a model that knows none.
    #[error(
        "a channel was given, but a model of the family {family} has learned its noise and decodes no channel; leave it out, or load a prior (family `ngram`)"
    )]
    NoChannel {
        /// The model's family.
        family: &'static str,
    },
    /// A pair's log does not fit its texts.
    #[error("pair {id}: {source}")]
    Events {
        /// The pair's id.
        id: u64,
        /// What does not fit.
        source: corruptor::EventError,
    },
    /// A model cannot be taken from a hub.
    #[error("cannot fetch {model}: {message}")]
    Hub {
        /// As the user named it.
        model: String,
        /// Reason and remedy.
        message: String,
    },
    /// A model cannot be taken from a registry or a directory of versions.
    #[error("cannot find {model}: {source}")]
    Source {
        /// As the user named it.
        model: String,
        /// Reason and remedy.
        source: Box<SourceError>,
    },
    /// The device is not there or not supported by this build.
    #[error("device {device}: {message}")]
    Device {
        /// As the user named it.
        device: String,
        /// Reason and remedy.
        message: String,
    },
    /// The model panicked on a text: a bug.
    #[error("the model panicked on this text, which is a bug: {0}")]
    Panicked(String),
    /// The tensor library failed.
    #[error("tensor computation: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// The first few of many names.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
