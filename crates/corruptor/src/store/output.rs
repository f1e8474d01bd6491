//! A directory of outputs, on this machine or on a store.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use walkdir::WalkDir;

use super::list::{Object, below, name_below};
use super::location::{Location, ObjectUrl};
use super::remote;
use crate::atomic::{self, AtomicDir, AtomicFile, Existing};
use crate::io_error::IoError;

/// A directory that becomes an output on [`commit`](Self::commit). Dropped before that, nothing of it is left.
///
/// On this machine it is an [`AtomicDir`]. On a store each file is an object of its own: it is uploaded by
/// [`publish`](Self::publish), appears whole, and is removed again if the output is never committed. A program that is killed
/// leaves the objects it has uploaded; what was there before them (with [`Existing::Replace`]) goes with the first upload.
#[derive(Debug)]
pub struct Output(Kind);

#[derive(Debug)]
enum Kind {
    Local(AtomicDir),
    Remote(RemoteDir),
}

#[derive(Debug)]
struct RemoteDir {
    /// Where files are written before they are uploaded.
    local: TempDir,
    upload: Upload,
}

/// Objects below a URL that are removed again unless they are kept.
#[derive(Debug)]
struct Upload {
    url: ObjectUrl,
    /// What was there before.
    replaced: Vec<Object>,
    uploaded: Vec<ObjectUrl>,
}

impl Output {
    /// Starts an output at `out`, a path or a URL.
    ///
    /// # Errors
    /// If `out` is there already and `existing` does not allow to replace it, or the place is not writable or not reachable.
    pub fn create(out: &Path, existing: Existing) -> Result<Self, IoError> {
        let url = match Location::of(out)? {
            Location::Local(path) => return Ok(Self(Kind::Local(AtomicDir::create(path, existing)?))),
            Location::Remote(url) => url,
        };
        let upload = Upload::start(url, existing)?;
        let parent = std::env::temp_dir();
        let local =
            TempDir::with_prefix_in("corruptor-", &parent).map_err(IoError::file("create", &parent))?;
        Ok(Self(Kind::Remote(RemoteDir { local, upload })))
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Kind::Local(directory) => directory.path(),
            Kind::Remote(remote) => remote.local.path(),
        }
    }

    /// Uploads the files that are complete and removes them here; on this machine there is nothing to do.
    ///
    /// A file is complete when its name does not start with a dot, as with [`AtomicFile`].
    ///
    /// # Errors
    /// If the store refuses, or drops the connection too often.
    pub fn publish(&mut self) -> Result<(), IoError> {
        match &mut self.0 {
            Kind::Local(_) => Ok(()),
            Kind::Remote(remote) => remote.publish(),
        }
    }

    /// Publishes what is left and keeps the output.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), or if a rename is refused; nothing of the output is left then.
    pub fn commit(self) -> Result<(), IoError> {
        match self.0 {
            Kind::Local(directory) => directory.commit(),
            Kind::Remote(mut remote) => {
                remote.publish()?;
                remote.upload.keep();
                Ok(())
            }
        }
    }
}

impl RemoteDir {
    fn publish(&mut self) -> Result<(), IoError> {
        for (path, name) in complete_files(self.local.path())? {
            self.upload.file(&path, &name)?;
            fs::remove_file(&path).map_err(IoError::file("remove", &path))?;
        }
        Ok(())
    }
}

impl Upload {
    fn start(url: ObjectUrl, existing: Existing) -> Result<Self, IoError> {
        Ok(Self { replaced: replaceable(&url, existing)?, url, uploaded: Vec::new() })
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<(), IoError> {
        for object in std::mem::take(&mut self.replaced) {
            remote::delete(&object.url)?;
        }
        let url = self.url.join(name);
        // An upload whose answer is lost may have come through.
        self.uploaded.push(url.clone());
        remote::upload(path, &url)
    }

    fn keep(&mut self) {
        self.uploaded.clear();
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        for url in &self.uploaded {
            // The error that led here is the one to tell.
            let _ = remote::delete(url);
        }
    }
}

/// Uploads the files of a directory; where one cannot be, those that were are removed again. The files stay.
///
/// # Errors
/// If the output is there already and `existing` does not allow to replace it, or the store refuses.
pub(crate) fn upload_directory(directory: &Path, url: &ObjectUrl, existing: Existing) -> Result<(), IoError> {
    let mut upload = Upload::start(url.clone(), existing)?;
    for (path, name) in complete_files(directory)? {
        upload.file(&path, &name)?;
    }
    upload.keep();
    Ok(())
}

/// Whether an output may be written to a path or a URL.
///
/// # Errors
/// If it is there already and `existing` does not allow to replace it, or a store refuses.
pub(crate) fn check_replaceable(out: &Path, existing: Existing) -> Result<(), IoError> {
    match Location::of(out)? {
        Location::Local(path) => atomic::check_replaceable(&path, existing),
        Location::Remote(url) => replaceable(&url, existing).map(drop),
    }
}

/// Paths of the complete files below a directory and their names there, in the order of their names.
fn complete_files(directory: &Path) -> Result<Vec<(PathBuf, String)>, IoError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(directory).sort_by_file_name() {
        let entry = entry.map_err(|error| IoError::file("list", directory)(error.into()))?;
        let is_complete = !entry.file_name().as_encoded_bytes().starts_with(b".");
        if entry.file_type().is_file() && is_complete {
            let below = entry.path().strip_prefix(directory).unwrap_or(entry.path());
            let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            files.push((entry.path().to_path_buf(), parts.join("/")));
        }
    }
    Ok(files)
}

/// What is at `url` and may be replaced: what this program writes.
fn replaceable(url: &ObjectUrl, existing: Existing) -> Result<Vec<Object>, IoError> {
    let found = below(url)?;
    if found.is_empty() {
        return Ok(found);
    }
    if existing == Existing::Keep {
        return Err(IoError::Exists { path: url.to_path() });
    }
    match found.iter().find(|object| !name_below(url, object).ends_with(".parquet")) {
        Some(foreign) => Err(IoError::Foreign { path: url.to_path(), foreign: foreign.url.to_path() }),
        None => Ok(found),
    }
}

/// Writes a whole file at once, to a path (missing directories are made) or a URL; what is there is replaced.
///
/// # Errors
/// If the place is not writable or the store refuses.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), IoError> {
    match Location::of(path)? {
        Location::Remote(url) if url.key.is_empty() => Err(IoError::Url {
            url: url.to_string(),
            message: "it names no object; write SCHEME://BUCKET/KEY".to_owned(),
        }),
        Location::Remote(url) => remote::put(content.to_vec(), &url),
        Location::Local(path) => {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(IoError::file("create", parent))?;
            }
            AtomicFile::write_whole(path, content)
        }
    }
}

/// Uploads a file to a URL; an object of that name is replaced, as a whole.
///
/// # Errors
/// If `url` is no URL of an object, the file cannot be read, or the store refuses.
pub fn upload_file(local: &Path, url: &Path) -> Result<(), IoError> {
    match Location::of(url)? {
        Location::Remote(url) if !url.key.is_empty() => remote::upload(local, &url),
        _ => Err(IoError::Url {
            url: url.display().to_string(),
            message: "it names no object; write SCHEME://BUCKET/KEY".to_owned(),
        }),
    }
}
