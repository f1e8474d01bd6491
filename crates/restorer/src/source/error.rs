//! What can go wrong between a model's name and its files.

use std::io;
use std::path::{Path, PathBuf};

/// Why a registry did not give a model.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The name has the scheme of a registry and not its form.
    #[error("a registry's model is models:/NAME@ALIAS or models:/NAME/VERSION, the version a number")]
    Form,
    /// Nothing says which server is meant.
    #[error(
        "MLFLOW_TRACKING_URI is not set; set it to the address of the registry's server, such as http://127.0.0.1:5000"
    )]
    NoServer,
    /// What stands for the server is none.
    #[error("MLFLOW_TRACKING_URI ({uri}): {what}; it is an address such as http://127.0.0.1:5000")]
    Address {
        /// The address, without credentials.
        uri: String,
        /// What is wrong with it.
        what: String,
    },
    /// The server cannot be reached, or is too busy.
    #[error("{server} does not answer: {what}; check MLFLOW_TRACKING_URI and the network")]
    Unreachable {
        /// Its address, without credentials.
        server: String,
        /// The cause.
        what: String,
    },
    /// The server does not let us in.
    #[error(
        "{server} refuses: {status} {what}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
         MLFLOW_TRACKING_TOKEN, to those of someone who may read the model"
    )]
    Credentials {
        /// Its address, without credentials.
        server: String,
        /// 401 or 403.
        status: u16,
        /// What it said.
        what: String,
    },
    /// The server answers something else than what was asked for.
    #[error(
        "{server} refused {request}: {status} {what}; check that MLFLOW_TRACKING_URI is an MLflow server"
    )]
    Refused {
        /// Its address, without credentials.
        server: String,
        /// What was asked for.
        request: String,
        /// The status.
        status: u16,
        /// What it said.
        what: String,
    },
    /// The registry knows no such model.
    #[error("{server} has no registered model `{name}`; check the name and MLFLOW_TRACKING_URI")]
    UnknownModel {
        /// Its address, without credentials.
        server: String,
        /// The model.
        name: String,
    },
    /// The model has no such alias or version.
    #[error("{place} has no {wanted}; {known}")]
    Unknown {
        /// The registry, or the directory.
        place: String,
        /// What was asked for: an alias, a version, or either.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// The version's files are not complete yet, or never will be.
    #[error("version {version} is {status} on {server}; register the model again, or take another version")]
    NotReady {
        /// Its address, without credentials.
        server: String,
        /// The version.
        version: String,
        /// What the registry says of it.
        status: String,
    },
    /// The files lie in a store that the server does not read for us.
    #[error(
        "its files lie at {uri}, which is not read from here; start the MLflow server with --artifacts-destination, so that it \
         serves them, and register the model again, or download them and name their directory"
    )]
    Elsewhere {
        /// Where they lie.
        uri: String,
    },
    /// The files lie on a machine that is not this one.
    #[error("its files lie in {}, which is no directory of this machine; mount it here, or let the server serve artifacts \
             (--artifacts-destination) and register the model again", .path.display())]
    NotHere {
        /// Where the registry says they are.
        path: PathBuf,
    },
    /// What was registered is no checkpoint.
    #[error(
        "{place} has neither config.json nor adapter_config.json ({found}); register the directory of a checkpoint"
    )]
    NoCheckpoint {
        /// Where the files lie.
        place: String,
        /// What is there.
        found: String,
    },
    /// A file would lie outside the model's directory.
    #[error("{place} names a file `{}`, which is no plain file name; nothing of it was kept", .name.escape_debug())]
    FileName {
        /// Where it was listed.
        place: String,
        /// The name.
        name: String,
    },
    /// Folders within folders, or files, without an end.
    #[error("{place} has more than {limit}; register the directory of a checkpoint")]
    TooMuch {
        /// Where it was listed.
        place: String,
        /// How many of what are allowed.
        limit: String,
    },
    /// A download broke off, or has become another file meanwhile.
    #[error("{file} has {found} bytes instead of {expected}; nothing of it was kept: try again")]
    Size {
        /// The file.
        file: String,
        /// Its size by the server's list.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The file of aliases cannot be used.
    #[error("{}: {message}; a line is ALIAS = \"VERSION\"", .path.display())]
    Aliases {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// An alias stands for a version that is not there.
    #[error("alias `{alias}` stands for {}, which is no directory; {known}", .path.display())]
    MissingVersion {
        /// The alias.
        alias: String,
        /// The version's directory.
        path: PathBuf,
        /// What there is.
        known: String,
    },
    /// Neither `REVERTANT_CACHE` nor a home directory says where downloads go.
    #[error("there is no home directory to keep downloads in; set REVERTANT_CACHE to a directory")]
    NoCache,
    /// A file or directory of this machine.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program lacks the registry's client.
    #[error("this program was built without the feature `mlflow`")]
    NotBuilt,
}

impl SourceError {
    /// Wraps what the system said of a path.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path: path.clone(), source }
    }

    /// Whether another attempt may succeed.
    #[cfg(feature = "mlflow")]
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Size { .. })
    }
}
