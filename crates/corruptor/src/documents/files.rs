//! Which files an input is made of.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use crate::io_error::IoError;
use crate::store::{Fetcher, Location, Object, ObjectUrl, object, objects};

/// What a file holds, by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.txt`: the file is one document.
    Text,
    /// `.jsonl` or `.ndjson`: a JSON object a line.
    JsonLines,
    /// `.csv`: comma-separated, with a header line.
    Csv,
    /// `.parquet`.
    Parquet,
}

/// How a file is compressed, by its last extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `.gz`, also of several members.
    Gzip,
    /// `.zst`, also of several frames.
    Zstd,
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Where it lies: a path or the URL of an object.
    pub path: PathBuf,
    /// The object, where it lies on a store.
    pub object: Option<Object>,
    /// How reports and errors name it.
    pub label: Arc<Path>,
    /// What it holds.
    pub format: Format,
    /// How it is compressed.
    pub compression: Compression,
    /// Its size as stored.
    pub bytes: u64,
}

impl InputFile {
    /// The file or object at `path`; its name tells format and compression.
    ///
    /// # Errors
    /// If there is no such file, its extension is unknown, or a store refuses.
    pub fn new(path: &Path) -> Result<Self, IoError> {
        let path = match Location::of(path)? {
            Location::Local(path) => path,
            Location::Remote(url) => return Self::of_object(object(&url)?),
        };
        let path = path.as_path();
        let bytes = path.metadata().map_err(IoError::file("read", path))?.len();
        Self::of_kind(path, bytes, None)
    }

    /// Opens it as it is stored; an object is fetched first.
    pub(crate) fn open(&self) -> Result<File, IoError> {
        Fetcher::default().open(&self.path, self.object.as_ref(), None)
    }

    fn of_object(object: Object) -> Result<Self, IoError> {
        Self::of_kind(&object.url.to_path(), object.bytes, Some(object))
    }

    fn of_kind(path: &Path, bytes: u64, object: Option<Object>) -> Result<Self, IoError> {
        let Some((format, compression)) = kind(path) else {
            return Err(IoError::UnknownFormat { path: path.to_path_buf() });
        };
        Ok(Self { path: path.to_path_buf(), object, label: path.into(), format, compression, bytes })
    }
}

/// Format and compression that a file name stands for.
fn kind(path: &Path) -> Option<(Format, Compression)> {
    let extension = |path: &Path| path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    let compression = match extension(path)?.as_str() {
        "gz" => Compression::Gzip,
        "zst" => Compression::Zstd,
        _ => Compression::None,
    };
    let inner = if compression == Compression::None { path.to_path_buf() } else { path.with_extension("") };
    let format = match extension(&inner)?.as_str() {
        "txt" => Format::Text,
        "jsonl" | "ndjson" => Format::JsonLines,
        "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        _ => return None,
    };
    Some((format, compression))
}

/// The files of an input: files and objects as they are given, directories and prefixes recursively and sorted by path.
///
/// In directories, hidden entries and files of other extensions are passed over; symbolic links are followed.
///
/// # Errors
/// If a path does not exist, a named file has no known extension, a directory holds no readable file, or a store refuses.
pub fn input_files(paths: &[PathBuf]) -> Result<Vec<InputFile>, IoError> {
    let mut files = Vec::new();
    for path in paths {
        let path = match Location::of(path)? {
            Location::Local(path) => path,
            Location::Remote(url) => {
                files.extend(object_files(&url)?);
                continue;
            }
        };
        if path.is_dir() {
            let before = files.len();
            for entry in
                WalkDir::new(&path).follow_links(true).sort_by_file_name().into_iter().filter_entry(is_shown)
            {
                let entry = entry.map_err(|error| IoError::file("list", &path)(error.into()))?;
                if entry.file_type().is_file() && kind(entry.path()).is_some() {
                    files.push(InputFile::new(entry.path())?);
                }
            }
            if files.len() == before {
                return Err(IoError::NoFiles { path });
            }
        } else {
            files.push(InputFile::new(&path)?);
        }
    }
    Ok(files)
}

/// The object at a URL, or those below it.
fn object_files(url: &ObjectUrl) -> Result<Vec<InputFile>, IoError> {
    let found = objects(url)?;
    let is_one = matches!(found.as_slice(), [object] if object.url == *url);
    let known = found.into_iter().filter(|object| is_one || kind(Path::new(&object.url.key)).is_some());
    let files: Vec<_> = known.map(InputFile::of_object).collect::<Result<_, _>>()?;
    if files.is_empty() { Err(IoError::NoFiles { path: url.to_path() }) } else { Ok(files) }
}

fn is_shown(entry: &walkdir::DirEntry) -> bool {
    entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_format_and_compression() {
        let kind = |name: &str| kind(Path::new(name));
        assert_eq!(kind("a.txt"), Some((Format::Text, Compression::None)));
        assert_eq!(kind("a.b.JSONL.gz"), Some((Format::JsonLines, Compression::Gzip)));
        assert_eq!(kind("x/a.parquet.zst"), Some((Format::Parquet, Compression::Zstd)));
        assert_eq!(kind("a.gz"), None);
        assert_eq!(kind("a.json"), None);
        assert_eq!(kind("csv"), None);
    }
}
