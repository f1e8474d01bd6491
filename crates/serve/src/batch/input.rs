//! A file of rows, in any format, whose columns have been checked.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use arrow::array::RecordBatch;
use corruptor::store::{self, Location};

use super::{
    BatchError, BatchSettings, Format,
    lines::{Line, Lines},
    records::{Records, Row},
    rows::RowText,
    table::Table,
    text_column::TextColumn,
    writer::Writer,
};

/// An input, ready to be restored.
#[derive(Debug)]
pub struct Input {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    file: File,
    kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Table(Table),
    Records(Records),
    Lines(Lines),
}

/// Rows that are in memory together.
#[derive(Debug)]
pub(super) enum Chunk {
    Table(RecordBatch, TextColumn),
    Records(Vec<Row>, usize),
    Lines(Vec<Line>),
}

/// The chunks of a unit.
pub(super) type Chunks<'i> = Box<dyn Iterator<Item = Result<Chunk, BatchError>> + 'i>;

impl Input {
    /// Opens the file at a path, or fetches that at a URL, and checks its columns. Of CSV and JSON lines all rows are looked through.
    ///
    /// # Errors
    ///
    /// Where there is none, it is not whole, or its columns do not fit.
    pub fn open(path: &Path, settings: &BatchSettings) -> Result<Self, BatchError> {
        let format = Format::of_path(path).ok_or_else(|| BatchError::UnknownFormat(path.to_path_buf()))?;
        let file = match Location::of(path)? {
            Location::Local(local) => {
                File::open(local).map_err(|source| BatchError::Open { path: path.to_path_buf(), source })?
            }
            Location::Remote(_) => store::open(path)?,
        };
        Self::new(path, file, format, settings)
    }

    /// The same of an open file, which messages call `label`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn new(
        label: &Path,
        file: File,
        format: Format,
        settings: &BatchSettings,
    ) -> Result<Self, BatchError> {
        let kind = match (format, format.delimiter()) {
            (Format::Parquet, _) => Kind::Table(Table::open(label, &file, settings)?),
            (_, Some(delimiter)) => Kind::Records(Records::open(label, &file, delimiter, settings)?),
            (_, None) => Kind::Lines(Lines::open(label, &file, settings)?),
        };
        Ok(Self { path: label.to_path_buf(), format, file, kind })
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.unit_rows().iter().sum()
    }

    /// Rows of each of its units.
    pub fn unit_rows(&self) -> Vec<u64> {
        match &self.kind {
            Kind::Table(table) => table.unit_rows(),
            Kind::Records(Records { units, .. }) | Kind::Lines(Lines { units, .. }) => {
                units.iter().map(|unit| unit.rows).collect()
            }
        }
    }

    /// The rows of a unit.
    pub(super) fn chunks(&self, unit: usize) -> Result<Chunks<'_>, BatchError> {
        match &self.kind {
            Kind::Table(table) => table.chunks(&self.path, &self.file, unit),
            Kind::Records(records) => records.chunks(&self.path, &self.file, unit),
            Kind::Lines(lines) => lines.chunks(&self.path, &self.file, unit),
        }
    }

    /// What the output begins with, before its first row.
    pub(super) fn header(&self) -> std::io::Result<Vec<u8>> {
        match &self.kind {
            Kind::Records(records) => records.header(),
            Kind::Table(_) | Kind::Lines(_) => Ok(Vec::new()),
        }
    }

    /// A writer of restored rows into `sink`, which messages call `output`; the header is not its own.
    pub(super) fn writer<W: Write + Send>(&self, sink: W, output: &Path) -> Result<Writer<W>, BatchError> {
        Writer::new(&self.kind, sink, output)
    }
}

impl Chunk {
    /// What each row has for the model.
    pub(super) fn texts(&self) -> Vec<RowText<'_>> {
        match self {
            Self::Table(_, texts) => {
                (0..texts.len()).map(|row| texts.get(row).map_or(RowText::Null, RowText::Text)).collect()
            }
            Self::Records(rows, column) => rows.iter().map(|row| row.text(*column)).collect(),
            Self::Lines(lines) => lines.iter().map(Line::text).collect(),
        }
    }
}
