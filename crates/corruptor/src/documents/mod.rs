//! Documents from files: `.txt` (one document a file), `.jsonl`, `.csv` and `.parquet`, plain, `.gz` or `.zst`, and directories.
//!
//! Files are read as streams: memory holds a record (a batch of them for Parquet), whatever the size of the input.
//!
//! What is wrong with one *record* (invalid UTF-8, null, empty) makes it a counted [`Skip`] with its place; what is wrong
//! with a *file* (truncated, no such column, another type, broken syntax) is an [`IoError`] that names the file, so that
//! half a file is never taken for a whole one.

mod csv;
mod digests;
mod files;
mod jsonl;
mod lines;
mod open;
mod parquet;
mod place;
mod skips;
mod text;
mod unique;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use files::{Compression, Format, InputFile, input_files};
pub use place::Place;
pub use skips::{Skip, SkipReason, Skips};
pub use unique::UniqueDocuments;

pub(crate) use lines::Lines;
pub(crate) use unique::digest;

use crate::guarded::guarded;
use crate::io_error::IoError;
use crate::store::Fetcher;

/// Which columns (Parquet, CSV) or keys (JSON lines) are read, and how large a record may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentOptions {
    /// The column that holds the text.
    pub text_column: String,
    /// The column that holds the document's id.
    pub id_column: Column,
    /// The column that holds the name of the corpus the document comes from.
    pub source_column: Column,
    /// Bytes above which a record of a text or JSON lines file is refused, so that memory stays bounded.
    pub max_record_bytes: u64,
}

impl DocumentOptions {
    /// The default of [`text_column`](Self::text_column).
    pub const DEFAULT_TEXT_COLUMN: &str = "text";
    /// The default of [`max_record_bytes`](Self::max_record_bytes): 128 MiB, so that a run stays under 1 GiB.
    pub const DEFAULT_MAX_RECORD_BYTES: u64 = 128 << 20;
}

impl Default for DocumentOptions {
    fn default() -> Self {
        Self {
            text_column: Self::DEFAULT_TEXT_COLUMN.to_owned(),
            id_column: Column::IfPresent("doc_id".to_owned()),
            source_column: Column::IfPresent("source".to_owned()),
            max_record_bytes: Self::DEFAULT_MAX_RECORD_BYTES,
        }
    }
}

/// A column besides the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// Do not read one.
    Ignored,
    /// Read it where a file has it.
    IfPresent(String),
    /// A file without it is an error.
    Required(String),
}

impl Column {
    /// The name, if one is to be read.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Ignored => None,
            Self::IfPresent(name) | Self::Required(name) => Some(name),
        }
    }

    fn is_required(&self) -> bool {
        matches!(self, Self::Required(_))
    }
}

/// One text with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The text, verbatim.
    pub text: String,
    /// The value of the id column, if there is one and it is not null.
    pub doc_id: Option<String>,
    /// The value of the source column, if there is one and it is not null.
    pub source: Option<String>,
    /// Where it was read.
    pub place: Place,
}

/// What a reader yields for each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A document with text.
    Document(Document),
    /// A record without text.
    Skipped(Skip),
}

type Records = Box<dyn Iterator<Item = Result<Record, IoError>> + Send>;

/// The records of many files, in the order of the files.
pub struct Documents {
    files: VecDeque<InputFile>,
    options: Arc<DocumentOptions>,
    fetcher: Fetcher,
    current: Option<Records>,
    /// Bytes of the files read to their end.
    finished_bytes: u64,
    /// Bytes read of the current file, as stored.
    current_bytes: Arc<AtomicU64>,
    current_size: u64,
    total_bytes: u64,
}

impl Documents {
    /// Opens files and directories (recursively, sorted by path), also of object stores by URL, in the order given.
    ///
    /// # Errors
    /// If a path does not exist, has no known extension, is a directory without readable files, or a store refuses.
    pub fn open(paths: &[PathBuf], options: DocumentOptions) -> Result<Self, IoError> {
        Ok(Self::of_files(input_files(paths)?, options))
    }

    /// Reads files that are listed already.
    pub fn of_files(files: Vec<InputFile>, options: DocumentOptions) -> Self {
        Self {
            total_bytes: files.iter().map(|file| file.bytes).sum(),
            files: files.into(),
            options: Arc::new(options),
            fetcher: Fetcher::default(),
            current: None,
            finished_bytes: 0,
            current_bytes: Arc::default(),
            current_size: 0,
        }
    }

    /// Bytes read so far and in all, as stored (before decompression).
    pub fn progress(&self) -> (u64, u64) {
        let current = self.current_bytes.load(Ordering::Relaxed).min(self.current_size);
        (self.finished_bytes + current, self.total_bytes)
    }

    fn open_next(&mut self, file: &InputFile) -> Result<Records, IoError> {
        self.finished_bytes += self.current_size;
        self.current_size = file.bytes;
        self.current_bytes.store(0, Ordering::Relaxed);
        let (options, counter) = (Arc::clone(&self.options), Arc::clone(&self.current_bytes));
        let next = self.files.front().and_then(|next| next.object.as_ref());
        let stored = self.fetcher.open(&file.path, file.object.as_ref(), next)?;
        Ok(match file.format {
            Format::Text => Box::new(std::iter::once(text::read(file, stored, &options, counter))),
            Format::JsonLines => Box::new(jsonl::JsonLines::open(file, stored, options, counter)?),
            Format::Csv => Box::new(csv::Csv::open(file, stored, &options, counter)?),
            Format::Parquet => {
                let open = || parquet::ParquetTexts::open(file, stored, &options, counter);
                Box::new(guarded(open).map_err(IoError::parquet(&file.label))??)
            }
        })
    }
}

impl Iterator for Documents {
    type Item = Result<Record, IoError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.current.as_mut().and_then(Iterator::next) {
                if record.is_err() {
                    // A file that failed is not read on, and nothing after it is.
                    self.current = None;
                    self.files.clear();
                }
                return Some(record);
            }
            let file = self.files.pop_front()?;
            match self.open_next(&file) {
                Ok(records) => self.current = Some(records),
                Err(error) => {
                    self.current = None;
                    self.files.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}
