//! Why a command failed, and the exit status for it.

use std::io;

use crate::{
    batch::BatchError,
    config::ConfigError,
    http::{server::ListenError, tls::TlsError},
    jobs::{JobsError, StoreError},
    keys::KeysError,
    logging::LogError,
    metrics::MetricsError,
    model::ModelError,
    models::golden::{GoldenError, NotGolden},
    text_error::TextError,
};

/// Exit status of a command that failed.
pub const EXIT_FAILED: u8 = 1;
/// Exit status of a command that was used wrongly.
pub const EXIT_USAGE: u8 = 2;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The model was not loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model was loaded and does not work.
    #[error("the model does not work: {0}")]
    SelfCheck(TextError),
    /// The golden texts cannot be used.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// The model restores golden texts otherwise.
    #[error(transparent)]
    NotGolden(#[from] NotGolden),
    /// A text was not restored.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A file was not restored.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The jobs cannot be kept.
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// Two models have one name.
    #[error("there are two models of the name `{0}`")]
    TwoModels(String),
    /// The shares of models make no sense.
    #[error("model `{name}`: {message}")]
    Shares {
        /// The model.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// The file of flags and models cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server could not listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The log could not be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The metrics could not be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The stream cannot begin, or has ended.
    #[cfg(feature = "kafka")]
    #[error(transparent)]
    Stream(#[from] crate::stream::StreamError),
    /// Standard input is not text.
    #[error("standard input is not valid UTF-8: byte {at} starts no character")]
    InputEncoding {
        /// First byte that is wrong.
        at: usize,
    },
    /// The server was stopped before its last answers were sent.
    #[error("{connections} connections were cut off")]
    CutOff {
        /// Connections that were still open.
        connections: usize,
    },
    /// The operating system refused something.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl Failure {
    /// Wraps an operating-system error with what was tried.
    pub(crate) fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Model(ModelError::NoneBuiltIn) => {
                Some("name a checkpoint directory with --model (or REVERTANT_MODEL), such as models/default")
            }
            Self::Model(ModelError::NoDirectory(_)) => Some(
                "--model takes a checkpoint directory, DIR@ALIAS of a directory of versions, owner/name of a hub, or \
                     models:/NAME@ALIAS of a registry",
            ),
            Self::Golden(GoldenError::Line { .. } | GoldenError::Empty(_)) => {
                Some(r#"each line is {"text": "...", "restored": "..."}"#)
            }
            Self::NotGolden(_) => Some("take another version, or correct the golden texts or their share"),
            Self::Keys(KeysError::Read { .. }) => Some("make one with serve key NAME >> keys.toml"),
            Self::Keys(KeysError::Content { .. }) => Some("serve key NAME prints a table as it has to be"),
            Self::Tls(TlsError::Read { .. }) => Some("certificates and keys are files in PEM"),
            Self::Tls(TlsError::Pair { .. }) => {
                Some("--tls-key takes the key that the first certificate was made for")
            }
            Self::Config(ConfigError::TwoPlaces { .. }) => {
                Some("give each model a table [[model]] with `name` and `source`, or none")
            }
            Self::Jobs(JobsError::Busy(_)) => Some("give each server a directory of its own with --jobs"),
            Self::Jobs(JobsError::Store(StoreError::Newer { .. })) => {
                Some("use the version of the program that has written it, or another directory")
            }
            Self::TwoModels(_) => Some("give each its own with --also NAME=DIR and --model-name NAME"),
            Self::Batch(error) => error.hint(),
            Self::Listen(error) => Some(error.hint()),
            #[cfg(feature = "kafka")]
            Self::Stream(error) => error.hint(),
            Self::Log(LogError::Filter { .. }) => Some("a filter is a level such as info, or serve=debug"),
            Self::InputEncoding { .. } => Some("convert the text to UTF-8 first, for instance with iconv"),
            Self::CutOff { .. } => Some("give the server more time with --drain-seconds"),
            _ => None,
        }
    }

    /// Whether it may not happen when the same is tried again.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Model(ModelError::Fetch(_)) | Self::System { .. })
    }

    /// The exit status that stands for this failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Model(ModelError::NoneBuiltIn | ModelError::NoDirectory(_))
            | Self::Keys(_)
            | Self::Tls(_)
            | Self::Golden(_)
            | Self::TwoModels(_)
            | Self::Shares { .. }
            | Self::Config(_)
            | Self::Jobs(JobsError::Root { .. })
            | Self::Log(LogError::Filter { .. }) => EXIT_USAGE,
            Self::Batch(error) if error.is_usage() => EXIT_USAGE,
            #[cfg(feature = "kafka")]
            Self::Stream(error) if error.is_usage() => EXIT_USAGE,
            _ => EXIT_FAILED,
        }
    }
}
