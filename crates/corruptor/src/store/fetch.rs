//! Opening what is to be read, wherever it lies.

use std::fs::File;
use std::path::Path;
use std::thread::{self, JoinHandle};

use super::list::{Object, object};
use super::location::Location;
use super::remote;
use crate::io_error::IoError;

/// Opens a file or fetches an object.
///
/// # Errors
/// As [`Fetcher::open`].
pub fn open(path: &Path) -> Result<File, IoError> {
    match Location::of(path)? {
        Location::Local(path) => Fetcher::default().open(&path, None, None),
        Location::Remote(url) => Fetcher::default().open(path, Some(&object(&url)?), None),
    }
}

/// Opens files one after the other; objects come into unnamed temporary files, the next one while the current one is read.
///
/// An unnamed file is gone as soon as it is closed, however the program ends.
#[derive(Debug, Default)]
pub struct Fetcher {
    ahead: Option<(Object, JoinHandle<Result<File, IoError>>)>,
}

impl Fetcher {
    /// Opens the file at `path`, or `object` where there is one, and begins to fetch `next`.
    ///
    /// # Errors
    /// If there is no such file, the store refuses or drops the connection too often, the object is no longer the one that was
    /// listed, or the disk of temporary files is full.
    pub fn open(
        &mut self,
        path: &Path,
        object: Option<&Object>,
        next: Option<&Object>,
    ) -> Result<File, IoError> {
        let opened = match (object, self.ahead.take()) {
            (None, _) => File::open(path).map_err(IoError::file("read", path)),
            (Some(object), Some((fetched, thread))) if fetched == *object => {
                thread.join().unwrap_or_else(|_| remote::fetch(object))
            }
            (Some(object), _) => remote::fetch(object),
        }?;
        if let Some(next) = next.cloned() {
            let object = next.clone();
            let thread =
                thread::Builder::new().name("fetch".to_owned()).spawn(move || remote::fetch(&object));
            // Without a thread it is fetched when it is reached.
            self.ahead = thread.ok().map(|thread| (next, thread));
        }
        Ok(opened)
    }
}
