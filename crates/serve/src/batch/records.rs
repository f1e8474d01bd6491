//! Rows of cells: CSV and its kin.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

use csv::{ByteRecord, ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use serde_json::json;

use super::{
    BatchError, BatchSettings,
    input::{Chunk, Chunks},
    plan::{NEW_COLUMNS, Source, only_column, sources},
    rows::{Outcome, RowText},
    units::{Cutter, Limited, ROW_BYTES, Unit},
};
use crate::{api::answer::EditBody, list::list};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes that the reader holds beside a row.
const BUFFER_BYTES: usize = 1 << 16;

/// A file of cells whose header has been checked.
#[derive(Debug)]
pub(super) struct Records {
    delimiter: u8,
    text: usize,
    header: Vec<String>,
    sources: Vec<Source>,
    dialect: Dialect,
    pub(super) units: Vec<Unit>,
}

/// What the output takes over of how the input is written.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    has_mark: bool,
    has_carriage_returns: bool,
}

/// A row: as many cells as the header has, and why it is not restored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    cells: StringRecord,
    bad: Option<String>,
}

impl Records {
    /// Checks the header of `file` and finds its rows.
    pub(super) fn open(
        path: &Path,
        file: &File,
        delimiter: u8,
        settings: &BatchSettings,
    ) -> Result<Self, BatchError> {
        let read_error = |source: io::Error| BatchError::ReadText { path: path.to_path_buf(), source };
        let dialect = Dialect::of(file).map_err(read_error)?;
        let (limited, left) = Limited::new(BufReader::new(rewound(file, 0).map_err(read_error)?));
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(false)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(limited);
        let mut record = ByteRecord::new();
        let mut next = |row: u64, record: &mut ByteRecord| {
            left.set(ROW_BYTES + BUFFER_BYTES as u64);
            let is_there = reader.read_byte_record(record).map_err(|error| {
                if matches!(error.kind(), csv::ErrorKind::Io(io) if io.kind() == io::ErrorKind::FileTooLarge)
                {
                    return BatchError::LongRow { path: path.to_path_buf(), row, limit_bytes: ROW_BYTES };
                }
                read_error(error.into())
            })?;
            Ok::<_, BatchError>(is_there.then(|| reader.position().byte()))
        };
        let start = next(0, &mut record)?.unwrap_or_default();
        let header = lossy(&record);
        let names: Vec<&str> = header.iter().map(String::as_str).collect();
        let text = only_column(&names, &settings.column, path)?;
        let sources = sources(&names, settings.existing, path)?;
        let mut cutter = Cutter::new(start);
        while let Some(end) = next(cutter.rows() + 1, &mut record)? {
            cutter.row(end);
        }
        Ok(Self { delimiter, text, header, sources, dialect, units: cutter.finish() })
    }

    /// The rows of a unit, all at once: they are few.
    pub(super) fn chunks<'r>(
        &'r self,
        path: &'r Path,
        file: &File,
        unit: usize,
    ) -> Result<Chunks<'r>, BatchError> {
        let rows = self.rows(file, self.units[unit]);
        let rows = rows.map_err(|source| BatchError::ReadText { path: path.to_path_buf(), source })?;
        if rows.len() as u64 != self.units[unit].rows {
            return Err(BatchError::Changed(path.to_path_buf()));
        }
        Ok(Box::new(std::iter::once(Ok(Chunk::Records(rows, self.text)))))
    }

    fn rows(&self, file: &File, unit: Unit) -> io::Result<Vec<Row>> {
        // The line feed, which is passed over, keeps a mark in the first cell from being taken for the file's own.
        let bytes = io::Cursor::new(b"\n").chain(rewound(file, unit.start)?.take(unit.end - unit.start));
        let mut reader = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .flexible(true)
            .has_headers(false)
            .from_reader(bytes);
        reader.byte_records().map(|record| Ok(self.row(&record?))).collect()
    }

    /// The row that a record is.
    fn row(&self, record: &ByteRecord) -> Row {
        let mut cells = lossy(record);
        let found = cells.len();
        let unreadable = (0..found).find(|&cell| std::str::from_utf8(&record[cell]).is_err());
        let others = cells.split_off(found.min(self.header.len()));
        cells.resize(self.header.len(), String::new());
        let bad = if found < self.header.len() {
            Some(format!("the row has {found} cells, the header {}", self.header.len()))
        } else if !others.is_empty() {
            let others = json!(others);
            Some(format!(
                "the row has {found} cells, the header {}; the others are {others}",
                self.header.len()
            ))
        } else {
            unreadable.map(|cell| format!("{} is not UTF-8", list([self.header[cell].as_str()])))
        };
        Row { cells: StringRecord::from(cells), bad }
    }

    /// The header of the output.
    pub(super) fn header(&self) -> io::Result<Vec<u8>> {
        let cells = self.sources.iter().map(|source| match *source {
            Source::Input(index) => self.header[index].as_str(),
            Source::New(index) => NEW_COLUMNS[index],
        });
        let bytes = if self.dialect.has_mark { BYTE_ORDER_MARK.to_vec() } else { Vec::new() };
        let mut writer = self.writer(bytes);
        writer.writer.write_record(cells)?;
        writer.finish()
    }

    /// A writer of rows, without a header.
    pub(super) fn writer<W: Write>(&self, sink: W) -> RecordsWriter<W> {
        let terminator =
            if self.dialect.has_carriage_returns { Terminator::CRLF } else { Terminator::Any(b'\n') };
        let writer = WriterBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .terminator(terminator)
            .from_writer(sink);
        RecordsWriter { writer, sources: self.sources.clone() }
    }
}

impl Row {
    /// What it has for the model; CSV has no null.
    pub(super) fn text(&self, column: usize) -> RowText<'_> {
        match &self.bad {
            Some(reason) => RowText::Bad(reason),
            None => RowText::Text(&self.cells[column]),
        }
    }
}

/// Writes rows with their new cells.
pub(super) struct RecordsWriter<W: Write> {
    writer: csv::Writer<W>,
    sources: Vec<Source>,
}

impl<W: Write> RecordsWriter<W> {
    pub(super) fn write(&mut self, row: &Row, outcome: &Outcome) -> io::Result<()> {
        let new = new_cells(outcome)?;
        let cells = self.sources.iter().map(|source| match *source {
            Source::Input(index) => &row.cells[index],
            Source::New(index) => new[index].as_str(),
        });
        Ok(self.writer.write_record(cells)?)
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// The cells `restored`, `edits`, `confidence` and `error`; empty where there is nothing to say.
fn new_cells(outcome: &Outcome) -> io::Result<[String; 4]> {
    Ok(match outcome {
        Outcome::Null => <[String; 4]>::default(),
        Outcome::Failed(reason) => [String::new(), String::new(), String::new(), reason.clone()],
        Outcome::Restored(restoration) => {
            let edits: Vec<EditBody> = restoration.edits.iter().cloned().map(EditBody::from).collect();
            let edits = serde_json::to_string(&edits)?;
            [restoration.text.clone(), edits, restoration.confidence.to_string(), String::new()]
        }
    })
}

impl Dialect {
    fn of(file: &File) -> io::Result<Self> {
        let mut start = Vec::new();
        rewound(file, 0)?.take(1 << 16).read_to_end(&mut start)?;
        let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let has_carriage_returns = line.len() < start.len() && line.ends_with(b"\r");
        Ok(Self { has_mark: start.starts_with(BYTE_ORDER_MARK), has_carriage_returns })
    }
}

/// What is no UTF-8 is replaced, so that the output can be read.
fn lossy(record: &ByteRecord) -> Vec<String> {
    record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
}

/// Another handle to the file, at byte `start`.
pub(super) fn rewound(file: &File, start: u64) -> io::Result<File> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(start))?;
    Ok(file)
}
