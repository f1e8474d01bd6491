//! Where something lies: a path of this machine or an object of a store.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::io_error::IoError;

/// The protocol of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `s3://bucket/key`: Amazon S3 and whatever speaks its protocol.
    S3,
    /// `gs://bucket/key`: Google Cloud Storage.
    Gcs,
    /// `az://container/key`: Azure Blob Storage; the account comes from the environment.
    Azure,
}

impl Scheme {
    /// What stands before `://`.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

/// The URL of an object, or of all objects whose keys start with `key/`.
///
/// Keys stand in a URL as they are: nothing is percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectUrl {
    /// The protocol.
    pub scheme: Scheme,
    /// The bucket or container.
    pub bucket: String,
    /// The key, without a slash at either end; empty: the whole bucket.
    pub key: String,
}

impl ObjectUrl {
    /// The URL of what lies below.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}/{name}", self.key) };
        Self { key, ..self.clone() }
    }

    /// The URL as a path, the form in which inputs and places carry it.
    pub fn to_path(&self) -> PathBuf {
        PathBuf::from(self.to_string())
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.bucket)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, "/{}", self.key) }
    }
}

/// A path of this machine or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A path; `file://` has been taken off.
    Local(PathBuf),
    /// A URL of a store.
    Remote(ObjectUrl),
}

impl Location {
    /// Tells paths and URLs apart: a URL starts with a scheme and `://`. A path that looks like one is named `./s3://…`.
    ///
    /// # Errors
    /// If the scheme is unknown, the bucket is missing, or the key has empty parts, `.` or `..`.
    pub fn of(path: &Path) -> Result<Self, IoError> {
        let Some((scheme, rest)) = path.to_str().and_then(split_scheme) else {
            return Ok(Self::Local(path.to_path_buf()));
        };
        let bad =
            |message: &str| IoError::Url { url: path.display().to_string(), message: message.to_owned() };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "file" => {
                let local = rest.strip_prefix("localhost").unwrap_or(rest);
                let is_absolute = local.starts_with('/');
                return if is_absolute {
                    Ok(Self::Local(local.into()))
                } else {
                    Err(bad("it names another machine; write file:///PATH"))
                };
            }
            "s3" => Scheme::S3,
            "gs" => Scheme::Gcs,
            "az" => Scheme::Azure,
            _ => return Err(bad("its scheme is unknown; known are s3://, gs://, az:// and file://")),
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(bad("it names no bucket; write SCHEME://BUCKET/KEY"));
        }
        let key = key.strip_suffix('/').unwrap_or(key);
        if !key.is_empty() && key.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(bad("its key has an empty part, . or ..; name the object by its whole key"));
        }
        Ok(Self::Remote(ObjectUrl { scheme, bucket: bucket.to_owned(), key: key.to_owned() }))
    }
}

/// Scheme and the rest, if there is a scheme: a letter, then letters, digits, `+`, `-` and `.` (RFC 3986).
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Result<Location, String> {
        Location::of(Path::new(text)).map_err(|error| error.to_string())
    }

    fn url(scheme: Scheme, bucket: &str, key: &str) -> Location {
        Location::Remote(ObjectUrl { scheme, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    #[test]
    fn urls_and_paths_are_told_apart() {
        assert_eq!(of("s3://b/a/c.txt").unwrap(), url(Scheme::S3, "b", "a/c.txt"));
        assert_eq!(of("gs://b").unwrap(), url(Scheme::Gcs, "b", ""));
        assert_eq!(of("AZ://b/a b%20c/").unwrap(), url(Scheme::Azure, "b", "a b%20c"));
        for path in ["a/b.txt", "./s3://b/c", "c:/x", "/s3:/b", "://x", "1s://x"] {
            assert_eq!(of(path).unwrap(), Location::Local(path.into()));
        }
        assert_eq!(of("file:///a/b").unwrap(), Location::Local("/a/b".into()));
        assert_eq!(of("file://localhost/a/b").unwrap(), Location::Local("/a/b".into()));
    }

    #[test]
    fn bad_urls_say_what_to_write() {
        let cases = [
            ("ftp://b/c", "known are s3://, gs://, az:// and file://"),
            ("s3:///c", "it names no bucket"),
            ("s3://b/a//c", "empty part"),
            ("s3://b/a/../c", "empty part"),
            ("file://host/a", "write file:///PATH"),
        ];
        for (text, message) in cases {
            let error = of(text).unwrap_err();
            assert!(error.contains(text) && error.contains(message), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(scheme in prop_oneof![Just(Scheme::S3), Just(Scheme::Gcs), Just(Scheme::Azure)],
                                    bucket in "[a-z0-9][a-z0-9.-]{2,20}",
                                    parts in prop::collection::vec("[^/.\u{0}][^/\u{0}]{0,8}", 0..4)) {
            let shown = ObjectUrl { scheme, bucket, key: parts.join("/") };
            prop_assert_eq!(Location::of(&shown.to_path()).unwrap(), Location::Remote(shown.clone()));
            let below = shown.join("train");
            prop_assert_eq!(below.to_path(), shown.to_path().join("train"));
        }
    }
}
