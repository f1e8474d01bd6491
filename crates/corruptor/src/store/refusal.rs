//! What a store answers, in words that say what to do.

use object_store::Error;

use super::location::{ObjectUrl, Scheme};
use crate::causes::chain;
use crate::io_error::IoError;

/// Characters kept of a store's own words, which may be a whole page.
const WORDS_KEPT: usize = 600;

const NAMES: &str = "check the names of bucket and object, and the endpoint";

/// Names the object, the store's reason, and what to do.
pub(super) fn refused(action: &'static str, url: &ObjectUrl, error: &Error) -> IoError {
    let words = words(error);
    let hint = match error {
        _ if asks_for_credentials(&words) => {
            format!("no credentials were found; set {}", credentials(url.scheme))
        }
        Error::NotFound { .. } => NAMES.to_owned(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => refused_credentials(url.scheme),
        // Of a listing the library tells the status in words only.
        _ if words.contains("status code: 404") => NAMES.to_owned(),
        _ if words.contains("status code: 403") || words.contains("status code: 401") => {
            refused_credentials(url.scheme)
        }
        _ => format!("check the network and the endpoint ({}), then run again", endpoint(url.scheme)),
    };
    let message = format!("{words}; {hint}");
    IoError::Store { action, url: url.to_string(), message }
}

/// Without credentials the library asks the metadata service that machines of the provider have.
fn asks_for_credentials(words: &str) -> bool {
    ["169.254.169.254", "metadata.google.internal", "latest/api/token"]
        .iter()
        .any(|host| words.contains(host))
}

/// The error and what it comes from, each once, on one line.
fn words(error: &Error) -> String {
    let one_line = chain(error).split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(WORDS_KEPT) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

fn refused_credentials(scheme: Scheme) -> String {
    format!("check the credentials ({}) and what they allow", credentials(scheme))
}

fn credentials(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, perhaps AWS_SESSION_TOKEN",
        Scheme::Gcs => "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT",
        Scheme::Azure => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    }
}

fn endpoint(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 => "AWS_ENDPOINT_URL, AWS_REGION",
        Scheme::Gcs => "GOOGLE_BASE_URL",
        Scheme::Azure => "AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_ACCOUNT_NAME",
    }
}
