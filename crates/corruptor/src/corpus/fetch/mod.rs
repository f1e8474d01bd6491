//! Fetching: each kind of source becomes files on this machine that are what the recipe pins.

mod deb;
mod glob;
mod http;
mod hub;
mod npm;
mod path;
mod pypi;
mod retry;
mod tool;
mod unpack;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::digest;
use super::source::Source;
use crate::io_error::IoError;

pub use glob::glob_matches;
pub(super) use tool::run as run_tool;

/// What a source has been fetched into.
#[derive(Debug)]
pub(super) struct Fetched {
    /// What was fetched, without a path of this machine: a package, a dataset, a URL; `None` for a path.
    pub(super) package: Option<String>,
    /// Its version, which is not the recipe's where it has changed: of a package, or a commit.
    pub(super) version: Option<String>,
    /// Its SHA-256 in hex, where it has one.
    pub(super) sha256: Option<String>,
    /// Whether it is something else than what the recipe pins.
    pub(super) changed: bool,
    /// The files that the source includes, in the order of their names.
    pub(super) files: Vec<SourceFile>,
    /// Holds the files as long as this lives.
    _directory: Option<TempDir>,
}

/// A file of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceFile {
    /// How errors and reports name it.
    pub(super) label: PathBuf,
    /// Where it lies.
    pub(super) path: PathBuf,
}

/// Fetches a source; `allow_changed` takes what there is where the kind's content may move on (deb, hub, http).
pub(super) fn fetch(source: &Source, allow_changed: bool) -> Result<Fetched, IoError> {
    match source {
        Source::Npm(source) => npm::fetch(source),
        Source::Pypi(source) => pypi::fetch(source),
        Source::Deb(source) => deb::fetch(source, allow_changed),
        Source::Hub(source) => hub::fetch(source, allow_changed),
        Source::Http(source) => http::fetch(source, allow_changed),
        Source::Path(source) => path::fetch(source),
    }
}

/// A fresh directory for one source.
fn temporary() -> Result<TempDir, IoError> {
    tempfile::tempdir().map_err(IoError::file("create", &std::env::temp_dir()))
}

/// Whether the digest is another one than the recipe's, where that is allowed at all.
fn has_changed(what: &str, found: &str, pinned: &str, allowed: bool) -> Result<bool, IoError> {
    match digest::check(what, found.to_owned(), pinned) {
        Ok(()) => Ok(false),
        Err(_) if allowed => Ok(true),
        Err(error) => Err(error),
    }
}

/// The files that a source includes out of those in `directory`, labelled `package/name`; none is an error.
fn select(
    package: &str,
    directory: &Path,
    include: &str,
    exclude: Option<&str>,
) -> Result<Vec<SourceFile>, IoError> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(directory).sort_by_file_name() {
        let entry = entry.map_err(|error| IoError::file("list", directory)(error.into()))?;
        let name = name_below(directory, entry.path());
        if entry.file_type().is_file() && glob::selects(include, exclude, &name) {
            let path = entry.path().to_path_buf();
            files.push(SourceFile { label: Path::new(package).join(name), path });
        }
    }
    if files.is_empty() {
        let message = format!("it has no file that {include:?} matches; correct the key `include`");
        return Err(IoError::Fetch { package: package.to_owned(), message });
    }
    Ok(files)
}

/// A path below a directory, its parts joined by `/` on every platform.
fn name_below(directory: &Path, path: &Path) -> String {
    let below = path.strip_prefix(directory).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
