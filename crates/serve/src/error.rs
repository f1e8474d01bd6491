//! What can go wrong for a client of the HTTP API: one table of kinds, one error type.

use std::time::Duration;

use crate::{batch::BatchError, scheduler::SubmitError};

/// The kinds of error that the API knows. [`TABLE`] gives each its status, name, title and hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The body is not UTF-8 or not JSON.
    MalformedBody,
    /// A file that is not what its content type or extension says, or a part of it.
    MalformedFile,
    /// No key, or none that is known.
    Unauthorized,
    /// A key that is not for this.
    Forbidden,
    /// A path or URL that jobs may not name.
    OutsideRoots,
    /// No such route.
    NotFound,
    /// No model of this name.
    UnknownModel,
    /// No job of this id, or one of another client.
    UnknownJob,
    /// The route exists, not with this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The model cannot go back to a version before.
    NoPreviousVersion,
    /// The job has no output here, or not yet.
    NoResult,
    /// The body, or the texts in it, are over a limit.
    TooLarge,
    /// The body is not announced as JSON.
    UnsupportedMediaType,
    /// JSON, but not what the route takes: an unknown key, a wrong type, a value out of range.
    InvalidRequest,
    /// The path takes WebSockets only.
    UpgradeRequired,
    /// The queue holds as much as it may.
    QueueFull,
    /// A key was used too often.
    RateLimited,
    /// A bug in the server.
    Internal,
    /// The server is starting, draining, or its engine has stopped.
    Unavailable,
    /// The answer was not ready in time.
    Timeout,
}

/// One row of the table of kinds.
#[derive(Debug, Clone, Copy)]
pub struct KindEntry {
    /// The kind that this row describes.
    pub kind: Kind,
    /// HTTP status code.
    pub status: u16,
    /// Last segment of the problem type `/problems/{name}`; stable.
    pub name: &'static str,
    /// Short summary, the same for each occurrence.
    pub title: &'static str,
    /// What the client can do about it.
    pub hint: &'static str,
}

/// Every kind of error, in the order of [`Kind`].
pub const TABLE: &[KindEntry] = &[
    KindEntry {
        kind: Kind::MalformedBody,
        status: 400,
        name: "malformed-body",
        title: "The body is not valid JSON",
        hint: "Send one JSON object, encoded as UTF-8.",
    },
    KindEntry {
        kind: Kind::MalformedFile,
        status: 400,
        name: "malformed-file",
        title: "The file cannot be read",
        hint: "Send a whole file, with the content type or extension of its format.",
    },
    KindEntry {
        kind: Kind::Unauthorized,
        status: 401,
        name: "unauthorized",
        title: "A key is needed",
        hint: "Send the header Authorization: Bearer KEY, with a key of this server.",
    },
    KindEntry {
        kind: Kind::Forbidden,
        status: 403,
        name: "forbidden",
        title: "The key is not for this",
        hint: "Use a key of the role `admin`.",
    },
    KindEntry {
        kind: Kind::OutsideRoots,
        status: 403,
        name: "outside-roots",
        title: "Jobs may not read or write there",
        hint: "Send the file as the body, or name one under a root; whoever runs the server allows directories and URLs by --root.",
    },
    KindEntry {
        kind: Kind::NotFound,
        status: 404,
        name: "not-found",
        title: "There is nothing at this path",
        hint: "Texts are restored by POST /v1/restore; /docs shows all paths.",
    },
    KindEntry {
        kind: Kind::UnknownModel,
        status: 404,
        name: "unknown-model",
        title: "There is no model of this name",
        hint: "GET /v1/models lists those that there are; without `model`, the first of them answers.",
    },
    KindEntry {
        kind: Kind::UnknownJob,
        status: 404,
        name: "unknown-job",
        title: "There is no job of this id",
        hint: "GET /v1/jobs lists those that there are; some time after their end they are removed.",
    },
    KindEntry {
        kind: Kind::MethodNotAllowed,
        status: 405,
        name: "method-not-allowed",
        title: "The path does not take this method",
        hint: "The Allow header lists the methods that it takes.",
    },
    KindEntry {
        kind: Kind::BodyTimeout,
        status: 408,
        name: "body-timeout",
        title: "The body did not arrive in time",
        hint: "Send the whole body without pauses.",
    },
    KindEntry {
        kind: Kind::NoPreviousVersion,
        status: 409,
        name: "no-previous-version",
        title: "The model cannot go back to the version before",
        hint: "Have the registry's alias name the version that is wanted.",
    },
    KindEntry {
        kind: Kind::NoResult,
        status: 409,
        name: "no-result",
        title: "The job has no result here",
        hint: "GET the job: its state, its error and its output tell why, and its events tell when it is done.",
    },
    KindEntry {
        kind: Kind::TooLarge,
        status: 413,
        name: "too-large",
        title: "The request is over a limit",
        hint: "Send fewer or shorter texts a request.",
    },
    KindEntry {
        kind: Kind::UnsupportedMediaType,
        status: 415,
        name: "unsupported-media-type",
        title: "The content type is not supported",
        hint: "Send one of the content types that the route takes, such as application/json, and the body as it is or in gzip.",
    },
    KindEntry {
        kind: Kind::InvalidRequest,
        status: 422,
        name: "invalid-request",
        title: "The request is not one that this route takes",
        hint: "Correct the value that `pointer` names.",
    },
    KindEntry {
        kind: Kind::UpgradeRequired,
        status: 426,
        name: "upgrade-required",
        title: "The path takes WebSockets only",
        hint: "Open it as a WebSocket: ws://HOST:PORT/v1/ws.",
    },
    KindEntry {
        kind: Kind::QueueFull,
        status: 429,
        name: "queue-full",
        title: "The queue is full",
        hint: "Send the request again after the time in the Retry-After header.",
    },
    KindEntry {
        kind: Kind::RateLimited,
        status: 429,
        name: "rate-limited",
        title: "The key or the address asked too often",
        hint: "Send the request again after the time in the Retry-After header.",
    },
    KindEntry {
        kind: Kind::Internal,
        status: 500,
        name: "internal",
        title: "The server failed",
        hint: "This is a bug: report it with the request id and the server's log.",
    },
    KindEntry {
        kind: Kind::Unavailable,
        status: 503,
        name: "unavailable",
        title: "The server takes no requests now",
        hint: "Send the request again after the time in the Retry-After header.",
    },
    KindEntry {
        kind: Kind::Timeout,
        status: 504,
        name: "timeout",
        title: "The answer was not ready in time",
        hint: "Send fewer or shorter texts a request, or try when the server is less busy.",
    },
];

impl Kind {
    /// This kind's row of [`TABLE`].
    pub fn entry(self) -> &'static KindEntry {
        &TABLE[self as usize]
    }
}

/// An error that is answered to a client, as a problem document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ApiError {
    /// Which row of the table this is.
    pub kind: Kind,
    /// What was wrong in this request.
    pub detail: String,
    /// JSON pointer (RFC 6901) to the value that is wrong, where there is one.
    pub pointer: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// An error of `kind` with what was wrong in this request.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), pointer: None, retry_after: None }
    }

    /// The server takes nothing now; a client may ask again in a second.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, detail).retry_after(Duration::from_secs(1))
    }

    /// The same error, about the value at `pointer`.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The same error, with the time after which trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::TooLarge { .. } => Self::new(Kind::TooLarge, detail),
            SubmitError::Full { retry_after, .. } => {
                Self::new(Kind::QueueFull, detail).retry_after(retry_after)
            }
            SubmitError::Closed => Self::unavailable(detail),
        }
    }
}

impl From<BatchError> for ApiError {
    fn from(error: BatchError) -> Self {
        let detail = error.to_string();
        match error {
            BatchError::Read { .. }
            | BatchError::ReadText { .. }
            | BatchError::Arrow { .. }
            | BatchError::LongRow { .. } => Self::new(Kind::MalformedFile, detail),
            BatchError::NoColumn { .. } | BatchError::NotText { .. } | BatchError::TwiceColumn { .. } => {
                Self::new(Kind::InvalidRequest, detail).at("/column")
            }
            BatchError::ColumnsExist { .. } => {
                Self::new(Kind::InvalidRequest, detail).at("/overwrite_columns")
            }
            BatchError::TwoFormats { .. } => Self::new(Kind::InvalidRequest, detail).at("/output"),
            BatchError::UnknownFormat(_)
            | BatchError::Open { .. }
            | BatchError::EmptyDirectory(_)
            | BatchError::FileAndDirectory { .. }
            | BatchError::Output(_) => Self::new(Kind::InvalidRequest, detail).at("/input"),
            BatchError::AllFailed { .. } => Self::new(Kind::Internal, detail),
            BatchError::Write { .. }
            | BatchError::WriteText { .. }
            | BatchError::Unable { .. }
            | BatchError::Changed(_)
            | BatchError::Stopped(_) => Self::unavailable(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_its_names_are_unique() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.kind as usize, index, "{}", row.name);
            assert_eq!(row.kind.entry().name, row.name);
            assert!((400..600).contains(&row.status), "{}", row.name);
            assert!(!TABLE[..index].iter().any(|other| other.name == row.name), "{}", row.name);
        }
    }
}
