//! `.csv`: comma-separated, quoted by RFC 4180, with a header line.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::InputFile;
use super::open::decompressed;
use super::{Column, Document, DocumentOptions, Place, Record, Skip, SkipReason};
use crate::io_error::IoError;

/// The records of a CSV file. An empty field is an empty text: CSV has no null.
pub(super) struct Csv {
    label: Arc<Path>,
    reader: csv::Reader<Limited>,
    /// The record, whose memory is used again.
    record: csv::ByteRecord,
    /// Bytes that the reader may still take for this record.
    left: Arc<AtomicU64>,
    limit_bytes: u64,
    text: usize,
    doc_id: Option<usize>,
    source: Option<usize>,
    /// The file has no header line.
    is_empty: bool,
}

impl Csv {
    pub(super) fn open(
        file: &InputFile,
        stored: File,
        options: &DocumentOptions,
        counter: Arc<AtomicU64>,
    ) -> Result<Self, IoError> {
        let label = Arc::clone(&file.label);
        let limit_bytes = options.max_record_bytes;
        let left = Arc::new(AtomicU64::new(limit_bytes.saturating_add(READ_AHEAD_BYTES)));
        let mut reader = csv::Reader::from_reader(Limited {
            inner: decompressed(file, stored, counter)?,
            left: Arc::clone(&left),
        });
        let header = reader.byte_headers().map_err(|error| malformed(&label, limit_bytes, &error))?.clone();
        let is_empty = header.is_empty();
        let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
        let position = |column: &str| names.iter().position(|name| name == column);
        let missing = |column: &str| IoError::MissingColumn {
            place: Box::new(Place::of(&label)),
            column: column.to_owned(),
            available: names.join(", "),
        };
        let optional = |column: &Column| {
            let Some(name) = column.name() else { return Ok(None) };
            match position(name) {
                None if column.is_required() && !is_empty => Err(missing(name)),
                found => Ok(found),
            }
        };
        let text = match position(&options.text_column) {
            Some(text) => text,
            None if is_empty => 0,
            None => return Err(missing(&options.text_column)),
        };
        let (doc_id, source) = (optional(&options.id_column)?, optional(&options.source_column)?);
        let record = csv::ByteRecord::new();
        Ok(Self { label, reader, record, left, limit_bytes, text, doc_id, source, is_empty })
    }

    fn document(&self) -> Record {
        let record = &self.record;
        let mut place = Place::of(&self.label);
        if let Some(position) = record.position() {
            place = place.at_line(position.line()).at_byte(position.byte());
        }
        let field = |index| std::str::from_utf8(record.get(index).unwrap_or_default());
        let optional = |index: Option<usize>| index.map(field).transpose();
        match (field(self.text), optional(self.doc_id), optional(self.source)) {
            (Ok(""), _, _) => Record::Skipped(Skip { place, reason: SkipReason::Empty }),
            (Ok(text), Ok(doc_id), Ok(source)) => Record::Document(Document {
                text: text.to_owned(),
                doc_id: doc_id.filter(|id| !id.is_empty()).map(str::to_owned),
                source: source.filter(|source| !source.is_empty()).map(str::to_owned),
                place,
            }),
            _ => Record::Skipped(Skip { place, reason: SkipReason::InvalidUtf8 }),
        }
    }
}

impl Iterator for Csv {
    type Item = Result<Record, IoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::take(&mut self.is_empty) {
            let skip = Skip { place: Place::of(&self.label), reason: SkipReason::Empty };
            return Some(Ok(Record::Skipped(skip)));
        }
        self.left.store(self.limit_bytes.saturating_add(READ_AHEAD_BYTES), Ordering::Relaxed);
        if self.record.as_slice().len() > LARGE_RECORD_BYTES {
            self.record = csv::ByteRecord::new();
        }
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => Some(Ok(self.document())),
            Ok(false) => None,
            Err(error) => Some(Err(malformed(&self.label, self.limit_bytes, &error))),
        }
    }
}

/// What the CSV reader may take beyond the record that it is at.
const READ_AHEAD_BYTES: u64 = 64 << 10;
/// Records above this do not keep their memory.
const LARGE_RECORD_BYTES: usize = 1 << 20;

/// A quotation mark that is never closed makes the rest of a file one record: this ends it.
struct Limited {
    inner: Box<dyn BufRead + Send>,
    left: Arc<AtomicU64>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.load(Ordering::Relaxed).checked_sub(read as u64);
        let left = left.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.left.store(left, Ordering::Relaxed);
        Ok(read)
    }
}

fn malformed(label: &Arc<Path>, limit_bytes: u64, error: &csv::Error) -> IoError {
    let mut place = Place::of(label);
    if let Some(position) = error.position() {
        place = place.at_line(position.line()).at_byte(position.byte());
    }
    match error.kind() {
        csv::ErrorKind::Io(io) if io.kind() == io::ErrorKind::FileTooLarge => {
            IoError::TooLarge { place: Box::new(place), limit_bytes }
        }
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => IoError::Malformed {
            place: Box::new(place),
            message: format!("a record of {len} fields where the header has {expected_len}"),
        },
        _ => IoError::Malformed { place: Box::new(place), message: error.to_string() },
    }
}
