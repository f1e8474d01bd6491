//! `.csv`: comma-separated, quoted by RFC 4180, with a header line.

use std::fs::File;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::files::InputFile;
use super::open::decompressed;
use super::{Column, Document, DocumentOptions, Place, Record, Skip, SkipReason};
use crate::io_error::IoError;

/// The records of a CSV file. An empty field is an empty text: CSV has no null.
pub(super) struct Csv {
    label: Arc<Path>,
    records: csv::ByteRecordsIntoIter<Box<dyn BufRead + Send>>,
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
        let mut reader = csv::Reader::from_reader(decompressed(file, stored, counter)?);
        let header = reader.byte_headers().map_err(|error| malformed(&label, &error))?.clone();
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
        Ok(Self { records: reader.into_byte_records(), label, text, doc_id, source, is_empty })
    }

    fn record(&self, record: &csv::ByteRecord) -> Record {
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
        let record = self.records.next()?;
        Some(record.map(|record| self.record(&record)).map_err(|error| malformed(&self.label, &error)))
    }
}

fn malformed(label: &Arc<Path>, error: &csv::Error) -> IoError {
    let mut place = Place::of(label);
    if let Some(position) = error.position() {
        place = place.at_line(position.line()).at_byte(position.byte());
    }
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => IoError::Malformed {
            place: Box::new(place),
            message: format!("a record of {len} fields where the header has {expected_len}"),
        },
        _ => IoError::Malformed { place: Box::new(place), message: error.to_string() },
    }
}
