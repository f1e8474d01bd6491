//! Where a record stands.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file, and the record in it where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named (or as a package names it).
    pub file: Arc<Path>,
    /// Number of the line, counted from 1 (JSON lines, CSV).
    pub line: Option<u64>,
    /// Number of the row, counted from 0 (Parquet).
    pub row: Option<u64>,
    /// Byte offset in the decompressed file, counted from 0.
    pub byte: Option<u64>,
}

impl Place {
    /// A whole file.
    pub fn file(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into().into(), line: None, row: None, byte: None }
    }

    pub(crate) fn of(file: &Arc<Path>) -> Self {
        Self { file: Arc::clone(file), line: None, row: None, byte: None }
    }

    pub(crate) fn at_byte(self, byte: u64) -> Self {
        Self { byte: Some(byte), ..self }
    }

    pub(crate) fn at_line(self, line: u64) -> Self {
        Self { line: Some(line), ..self }
    }

    pub(crate) fn at_row(self, row: u64) -> Self {
        Self { row: Some(row), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        let parts = [("line", self.line), ("row", self.row), ("byte", self.byte)];
        for (unit, number) in parts {
            if let Some(number) = number {
                write!(f, ", {unit} {number}")?;
            }
        }
        Ok(())
    }
}
