//! Why a text has no restoration.

use restorer::RestoreError;

/// Why one text has no restoration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The model returned an error for this text.
    #[error("the model cannot restore this text: {0}")]
    Refused(String),
    /// The model panicked on this text: a bug.
    #[error("the model panicked on this text: {0}")]
    Panicked(String),
    /// Its turn came when its answer was of no use any more.
    #[error("the text's turn came after its deadline")]
    Late,
}

impl From<RestoreError> for TextError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Panicked(message) => Self::Panicked(message),
            other => Self::Refused(other.to_string()),
        }
    }
}
