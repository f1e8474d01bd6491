//! What can go wrong with a file of texts.

use std::path::PathBuf;

use arrow::error::ArrowError;
use corruptor::IoError;
use parquet::errors::ParquetError;

use super::Format;

/// Why a file was not restored. Nothing half-written is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The input is not there or cannot be opened.
    #[error("cannot read {}: {source}", path.display())]
    Open {
        /// The input.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is no Parquet file, or a part of one.
    #[error("{} is not a whole Parquet file: {source}", path.display())]
    Read {
        /// The input.
        path: PathBuf,
        /// The reader's reason.
        source: ParquetError,
    },
    /// The file of texts cannot be read on.
    #[error("cannot read {}: {source}", path.display())]
    ReadText {
        /// The input.
        path: PathBuf,
        /// The reader's reason.
        source: std::io::Error,
    },
    /// Rows cannot be decoded, or not put together.
    #[error("cannot decode {}: {source}", path.display())]
    Arrow {
        /// The input.
        path: PathBuf,
        /// Arrow's reason.
        source: ArrowError,
    },
    /// A row is too large to be held in memory.
    #[error("row {row} of {} has more than {limit_bytes} bytes", path.display())]
    LongRow {
        /// The input.
        path: PathBuf,
        /// Number of the row, from 1, the header not counted.
        row: u64,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// The input is not what it was when the work on it began.
    #[error("{} changed while it was restored", .0.display())]
    Changed(PathBuf),
    /// The name has another extension.
    #[error("{} does not end in {}", .0.display(), Format::EXTENSIONS)]
    UnknownFormat(PathBuf),
    /// Input and output are of two formats.
    #[error("{} and {} are of two formats", input.display(), output.display())]
    TwoFormats {
        /// The input.
        input: PathBuf,
        /// The output.
        output: PathBuf,
    },
    /// The input directory has nothing to restore.
    #[error("the directory {} holds no {} file", .0.display(), Format::EXTENSIONS)]
    EmptyDirectory(PathBuf),
    /// One is a file, the other a directory.
    #[error("{} is a directory, {} is not", directory.display(), file.display())]
    FileAndDirectory {
        /// The path that is a directory.
        directory: PathBuf,
        /// The path that is a file.
        file: PathBuf,
    },
    /// The column of texts is not there.
    #[error("{} has no column `{column}`; its columns are {columns}", path.display())]
    NoColumn {
        /// The input.
        path: PathBuf,
        /// The column that was asked for.
        column: String,
        /// The columns there are, for the message.
        columns: String,
    },
    /// The column of texts holds something else.
    #[error("the column `{column}` of {} has the type {found}, not string; its string columns are {columns}", path.display())]
    NotText {
        /// The input.
        path: PathBuf,
        /// The column that was asked for.
        column: String,
        /// Its type.
        found: String,
        /// The string columns there are, for the message.
        columns: String,
    },
    /// Two columns have one name.
    #[error("{} has two columns `{column}`", path.display())]
    TwiceColumn {
        /// The input.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// Columns with the names of the new ones are there already.
    #[error("{} already has {columns}", path.display())]
    ColumnsExist {
        /// The input.
        path: PathBuf,
        /// The columns, for the message.
        columns: String,
    },
    /// The output cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// The writer's reason.
        source: ParquetError,
    },
    /// The output cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    WriteText {
        /// The output.
        path: PathBuf,
        /// The writer's reason.
        source: std::io::Error,
    },
    /// The output file or directory cannot be created or take its name, or a store refuses.
    #[error(transparent)]
    Output(#[from] IoError),
    /// There is nobody who can restore.
    #[error("cannot restore {}: {reason}", path.display())]
    Unable {
        /// The input.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The model failed on every text.
    #[error("the model failed on each of the {texts} texts of {}, on the last because {reason}", path.display())]
    AllFailed {
        /// The input.
        path: PathBuf,
        /// Texts in it.
        texts: u64,
        /// The last error.
        reason: String,
    },
    /// Asked to stop.
    #[error("stopped; nothing was written for {}", .0.display())]
    Stopped(PathBuf),
}

impl BatchError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("write or fetch the file again"),
            Self::UnknownFormat(_) => Some("convert the file, or give it the extension of its format"),
            Self::TwoFormats { .. } => {
                Some("a file is restored into its own format: give both the same extension")
            }
            Self::LongRow { .. } => Some("look for a quote that is never closed, or split the row"),
            Self::Changed(_) => Some("restore it again when nothing writes to it"),
            Self::FileAndDirectory { .. } => Some("give two files, or two directories"),
            Self::NoColumn { .. } | Self::NotText { .. } => Some("name the column of texts with --column"),
            Self::ColumnsExist { .. } => Some("replace them with --overwrite-columns"),
            Self::AllFailed { .. } => Some("check the model with `serve restore`"),
            _ => None,
        }
    }

    /// Whether the command line, and not the data or the machine, is to blame.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownFormat(_)
                | Self::TwoFormats { .. }
                | Self::FileAndDirectory { .. }
                | Self::ColumnsExist { .. }
        )
    }
}
