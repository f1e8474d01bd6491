//! What stands in for stores in a build without them: one error.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use super::list::Object;
use super::location::ObjectUrl;
use crate::io_error::IoError;

fn absent<T>(url: &ObjectUrl) -> Result<T, IoError> {
    Err(IoError::NoStores { url: url.to_string() })
}

pub(super) fn stat(url: &ObjectUrl) -> Result<Option<Object>, IoError> {
    absent(url)
}

pub(super) fn list(url: &ObjectUrl) -> Result<Vec<Object>, IoError> {
    absent(url)
}

pub(super) fn fetch(object: &Object) -> Result<File, IoError> {
    absent(&object.url)
}

pub(super) fn read_range(object: &Object, _range: Range<u64>) -> Result<Vec<u8>, IoError> {
    absent(&object.url)
}

pub(super) fn upload(_local: &Path, url: &ObjectUrl) -> Result<(), IoError> {
    absent(url)
}

pub(super) fn put(_content: Vec<u8>, url: &ObjectUrl) -> Result<(), IoError> {
    absent(url)
}

pub(super) fn delete(url: &ObjectUrl) -> Result<(), IoError> {
    absent(url)
}
