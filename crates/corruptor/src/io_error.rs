//! What can go wrong between this crate and the outside: files, their formats, and the tools that fetch them.

use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use crate::documents::Place;
use crate::recipe::RecipeError;
use crate::settings::SettingsError;

/// An error of reading, writing or collecting text. Each message says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}{}", path.display(), hint(source))]
    File {
        /// What was tried, as a verb: "read", "write", "rename".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A compressed file is damaged or cut off.
    #[error("cannot decompress {}: {source}; is the file complete?", path.display())]
    Decompress {
        /// The file.
        path: PathBuf,
        /// The decoder's reason.
        source: io::Error,
    },
    /// The file is not a Parquet file, or not a whole one.
    #[error("{} is not a whole Parquet file: {source}; write or fetch it again", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The Parquet reader's or writer's reason.
        source: ParquetError,
    },
    /// Arrow could not decode or build a batch.
    #[error("cannot decode {}: {source}; write or fetch it again", path.display())]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Arrow's reason.
        source: ArrowError,
    },
    /// The path ends in no known extension.
    #[error(
        "{} has no known extension: known are .txt, .jsonl, .ndjson, .csv and .parquet, each also with .gz or .zst",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A directory holds nothing that can be read.
    #[error("{} holds no .txt, .jsonl, .csv or .parquet file; name a directory that does, or a file", path.display())]
    NoFiles {
        /// The directory.
        path: PathBuf,
    },
    /// A column or key is not there.
    #[error("{place} has no column {column:?}: there are {available}; choose one of them")]
    MissingColumn {
        /// The file, and the record where records may differ.
        place: Box<Place>,
        /// The column that was asked for.
        column: String,
        /// The columns there are, comma-separated.
        available: String,
    },
    /// A column or value is there but holds no text.
    #[error(
        "column {column:?} of {place} holds {found}, not text: there are {available}; choose a text column"
    )]
    NotText {
        /// The file, and the record where records may differ.
        place: Box<Place>,
        /// The column that was asked for.
        column: String,
        /// The type found.
        found: String,
        /// The columns there are, with their types where the format has types, comma-separated.
        available: String,
    },
    /// A record is not what its format demands.
    #[error("{place}: {message}; correct the file, or write it again")]
    Malformed {
        /// Where.
        place: Box<Place>,
        /// What is wrong.
        message: String,
    },
    /// One record is too large to be held in memory.
    #[error("{place}: a record of more than {limit_bytes} bytes; split it, or raise the limit")]
    TooLarge {
        /// Where it starts.
        place: Box<Place>,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// Two files that belong together row by row do not have the same number of rows.
    #[error(
        "{} has {correct_rows} rows, but {} has {corrupted_rows}: row n of one belongs to row n of the other; make them equal in number",
        correct.display(),
        corrupted.display()
    )]
    UnequalRows {
        /// The file with the originals.
        correct: PathBuf,
        /// Its rows.
        correct_rows: u64,
        /// The file with the corrupted texts.
        corrupted: PathBuf,
        /// Its rows.
        corrupted_rows: u64,
    },
    /// No document with text was found.
    #[error("no text in the input ({skipped}); give at least one document with text")]
    NoText {
        /// What was skipped, in words.
        skipped: String,
    },
    /// There is no pair from which a channel can be estimated.
    #[error("{} {message}", path.display())]
    NothingToFit {
        /// The pairs.
        path: PathBuf,
        /// What they lack, and what to do.
        message: String,
    },
    /// One document id stands for two texts, so that records would share a key.
    #[error(
        "{place}: the document id {doc_id:?} of source {source_name:?} stands for two different texts; make ids unique, or leave the id column out"
    )]
    AmbiguousId {
        /// The second document.
        place: Box<Place>,
        /// The corpus name.
        source_name: String,
        /// The id.
        doc_id: String,
    },
    /// The output is there already.
    #[error("{} exists already; remove it, or replace it with --force", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// The output holds something that this program did not write.
    #[error("{} holds {}, which is no output of this program; choose another output directory", path.display(), foreign.display())]
    Foreign {
        /// The output.
        path: PathBuf,
        /// The first foreign entry.
        foreign: PathBuf,
    },
    /// A file of pairs departs from the pair schema.
    #[error("{} is no file of pairs: {message}", path.display())]
    PairSchema {
        /// The file.
        path: PathBuf,
        /// The column and what is wrong with it.
        message: String,
    },
    /// A client of a package registry failed.
    #[error("cannot fetch {package}: {message}")]
    Fetch {
        /// Package and version.
        package: String,
        /// Why, and what to do.
        message: String,
    },
    /// What was fetched is not what the recipe pins.
    #[error(
        "{what} has SHA-256 {found}, but the recipe pins {pinned}; check where it comes from before you change the recipe"
    )]
    Digest {
        /// The package or path.
        what: String,
        /// The digest of what is there, in hex.
        found: String,
        /// The digest in the recipe, in hex.
        pinned: String,
    },
    /// An object store refused, or could not be reached.
    #[error("cannot {action} {url}: {message}")]
    Store {
        /// What was tried, as a verb: "read", "write", "list".
        action: &'static str,
        /// The object, prefix or bucket.
        url: String,
        /// The store's reason, and what to do.
        message: String,
    },
    /// An object is no longer the one that was listed.
    #[error("{url} changed while it was read; run again when nothing writes to it")]
    Changed {
        /// The object.
        url: String,
    },
    /// There is no room for the temporary copy of an object.
    #[error(
        "cannot keep a temporary copy of {url} in {}: {source}; free space there, or name another folder in TMPDIR",
        directory.display()
    )]
    Copy {
        /// The object.
        url: String,
        /// The folder of temporary files.
        directory: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A URL is malformed.
    #[error("{url} is no place to read or write: {message}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// A URL was given to a build without stores.
    #[error(
        "cannot reach {url}: this program was built without object stores; build it with --features corruptor/object-store"
    )]
    NoStores {
        /// The URL.
        url: String,
    },
    /// A setting is out of its range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The recipe cannot be read.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The observer wanted no more.
    #[error("stopped; nothing was written")]
    Stopped,
    /// The observer wanted no more, and what is finished is kept.
    #[error(
        "stopped; {parts} finished parts are kept in {}: the same command goes on from there",
        partial.display()
    )]
    Paused {
        /// Where.
        partial: PathBuf,
        /// Finished files.
        parts: usize,
    },
    /// Something failed, and what was finished before is kept.
    #[error(
        "{cause}\n{parts} finished parts are kept in {}: once that is mended, the same command goes on from there",
        partial.display()
    )]
    Interrupted {
        /// What failed.
        cause: Box<IoError>,
        /// Where the parts are.
        partial: PathBuf,
        /// Finished files.
        parts: usize,
    },
    /// An interrupted run has left its parts, but was begun with something else.
    #[error(
        "{} was left by a run with {difference}; repeat that one to go on, or remove the directory or give --force to start anew",
        partial.display()
    )]
    OtherRun {
        /// What it left.
        partial: PathBuf,
        /// What is different: "another recipe".
        difference: &'static str,
    },
    /// Another process is writing the same output.
    #[error("another run is writing {}; wait for its end, or choose another output", path.display())]
    Busy {
        /// The output.
        path: PathBuf,
    },
    /// Finished parts do not come from this input.
    #[error(
        "the documents of split {split} are not those that its finished parts were made from; remove {} to start anew",
        partial.display()
    )]
    InputChanged {
        /// The split.
        split: &'static str,
        /// Where the parts are.
        partial: PathBuf,
    },
    /// The threads could not be started.
    #[error("cannot start the worker threads: {0}; ask for fewer with --threads")]
    Threads(String),
}

/// What to do about an error of the operating system, where that is plain.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room there",
        _ => "",
    }
}

impl IoError {
    /// Wraps an operating-system error with what was tried on which path.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }

    /// Wraps a Parquet error with its file.
    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Parquet { path, source }
    }

    /// Wraps an Arrow error with its file.
    pub(crate) fn arrow(path: &Path) -> impl FnOnce(ArrowError) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Arrow { path, source }
    }
}
