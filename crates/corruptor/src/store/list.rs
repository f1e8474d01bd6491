//! What lies under a URL.

use std::path::Path;

use super::location::{Location, ObjectUrl};
use super::remote;
use crate::io_error::IoError;

/// An object as its store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where it lies.
    pub url: ObjectUrl,
    /// Its size.
    pub bytes: u64,
    /// What the store calls this version of it (its entity tag, without quotes), where it says so: another one is another content.
    pub version: Option<String>,
}

/// The object at `url`, or all objects below it, sorted by the parts of their keys, as directories are walked.
///
/// Below a prefix, what has a part that starts with a dot is passed over.
///
/// # Errors
/// If the store refuses, or there is neither an object nor a prefix of that name.
pub fn objects(url: &ObjectUrl) -> Result<Vec<Object>, IoError> {
    if let Some(object) = remote::stat(url)? {
        return Ok(vec![object]);
    }
    let found = below(url)?;
    if found.is_empty() { Err(absent(url)) } else { Ok(found) }
}

/// The object at `url`.
///
/// # Errors
/// If the store refuses or there is no such object.
pub fn object(url: &ObjectUrl) -> Result<Object, IoError> {
    remote::stat(url)?.ok_or_else(|| absent(url))
}

fn absent(url: &ObjectUrl) -> IoError {
    let message = "there is no such object, and none below it; check the name".to_owned();
    IoError::Store { action: "read", url: url.to_string(), message }
}

/// All objects below `url`, possibly none, as [`objects`] lists them.
pub(super) fn below(url: &ObjectUrl) -> Result<Vec<Object>, IoError> {
    let mut found = remote::list(url)?;
    found.retain(|object| {
        let name = name_below(url, object);
        !name.is_empty() && !name.split('/').any(|part| part.starts_with('.'))
    });
    found.sort_by(|a, b| a.url.key.split('/').cmp(b.url.key.split('/')));
    Ok(found)
}

/// The key without the prefix; empty for what stands for the prefix itself.
pub(super) fn name_below<'o>(url: &ObjectUrl, object: &'o Object) -> &'o str {
    if url.key.is_empty() {
        return &object.url.key;
    }
    object.url.key.strip_prefix(url.key.as_str()).and_then(|name| name.strip_prefix('/')).unwrap_or_default()
}

/// Whether `path` is a directory, or a URL with objects below it.
///
/// # Errors
/// If it is a URL that is malformed or whose store refuses. A local path that cannot be looked at is none.
pub fn is_directory(path: &Path) -> Result<bool, IoError> {
    match Location::of(path)? {
        Location::Local(path) => Ok(path.is_dir()),
        Location::Remote(url) => Ok(!below(&url)?.is_empty()),
    }
}
