//! One file of pairs that is being written.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use super::encode::{EncodedGroup, GroupEncoder};
use crate::io_error::IoError;

/// A file of pairs over anything that can be written to; `path` is its name in errors.
pub(crate) struct Part<W: io::Write + Send> {
    path: PathBuf,
    file: SerializedFileWriter<W>,
    /// Rows so far.
    pub(crate) rows: usize,
}

impl<W: io::Write + Send> Part<W> {
    pub(crate) fn start(encoder: &GroupEncoder, path: &Path, out: W) -> Result<Self, IoError> {
        let file = encoder.file(out).map_err(write_error(path))?;
        Ok(Self { path: path.to_path_buf(), file, rows: 0 })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn append(&mut self, group: EncodedGroup) -> Result<(), IoError> {
        self.rows += group.rows;
        group.append_to(&mut self.file).map_err(write_error(&self.path))
    }

    /// Writes the footer and gives back what was written to.
    pub(crate) fn finish(self) -> Result<W, IoError> {
        self.file.into_inner().map_err(write_error(&self.path))
    }
}

/// What went wrong while writing: most often the system's word, such as a full disk.
pub(crate) fn write_error(path: &Path) -> impl FnOnce(ParquetError) -> IoError {
    let path = path.to_path_buf();
    move |error| match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(source) => IoError::File { action: "write", path, source: *source },
            Err(inner) => IoError::Parquet { path, source: ParquetError::External(inner) },
        },
        source => IoError::Parquet { path, source },
    }
}
