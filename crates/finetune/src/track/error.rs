//! What can go wrong in tracking; none of it ends a training.

use std::path::{Path, PathBuf};

/// The errors of trackers.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file cannot be replaced as a whole.
    #[error(transparent)]
    Replace(#[from] corruptor::IoError),
    /// A file that a tracker goes on with is not what it writes.
    #[error("{}: {what}; remove it, and the tracker starts anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The address of a tracking server is none.
    #[error("`{uri}`: {what}; a server's address is needed, like http://127.0.0.1:5000")]
    Address {
        /// What was given, without a password.
        uri: String,
        /// What is wrong with it.
        what: String,
    },
    /// The server cannot be reached, or is not able to answer; it may be later.
    #[error("{server} does not answer: {what}")]
    Unreachable {
        /// The server.
        server: String,
        /// What happened.
        what: String,
    },
    /// The server says no.
    #[error("{server} refuses {request}: {status} {what}")]
    Refused {
        /// The server.
        server: String,
        /// What was asked.
        request: String,
        /// The HTTP status.
        status: u16,
        /// Its reason.
        what: String,
    },
    /// The server keeps files where only its own clients can put them.
    #[error("the server keeps files in {place} and takes none itself; start it with --serve-artifacts")]
    Artifacts {
        /// Where it keeps them.
        place: String,
    },
    /// The system refuses a thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl TrackError {
    /// Wraps an input or output error of `path`.
    pub(crate) fn file(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, action, source }
    }
}
