//! `.jsonl`: a JSON object a line.

use std::io::{BufRead, Read as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};

use super::files::InputFile;
use super::open::{open, read_error};
use super::{Column, Document, DocumentOptions, Place, Record, Skip, SkipReason};
use crate::io_error::IoError;

/// The records of a JSON lines file; blank lines are none.
pub(super) struct JsonLines {
    file: InputFile,
    options: Arc<DocumentOptions>,
    reader: Box<dyn BufRead + Send>,
    /// Lines read so far.
    lines: u64,
    /// Where the next line starts, in bytes.
    offset: u64,
}

impl JsonLines {
    pub(super) fn open(
        file: &InputFile,
        options: Arc<DocumentOptions>,
        counter: Arc<AtomicU64>,
    ) -> Result<Self, IoError> {
        Ok(Self { reader: open(file, counter)?, file: file.clone(), options, lines: 0, offset: 0 })
    }

    /// The next line that is not blank, with its place; an empty vector at the end of the file.
    fn next_line(&mut self) -> Result<(Vec<u8>, Place), IoError> {
        loop {
            let place = Place::of(&self.file.label).at_line(self.lines + 1).at_byte(self.offset);
            let limit_bytes = self.options.max_record_bytes;
            let mut line = Vec::new();
            let mut limited = (&mut self.reader).take(limit_bytes + 1);
            let read = limited.read_until(b'\n', &mut line).map_err(read_error(&self.file))?;
            if read as u64 > limit_bytes {
                return Err(IoError::TooLarge { place: Box::new(place), limit_bytes });
            }
            self.lines += u64::from(read > 0);
            self.offset += read as u64;
            if read == 0 || !line.trim_ascii().is_empty() {
                return Ok((line, place));
            }
        }
    }

    fn parse(&self, line: &[u8], place: Place) -> Result<Record, IoError> {
        let start = place.byte.unwrap_or_default();
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => {
                let place = place.at_byte(start + error.valid_up_to() as u64);
                return Ok(Record::Skipped(Skip { place, reason: SkipReason::InvalidUtf8 }));
            }
        };
        let bare = if start == 0 { text.trim_start_matches('\u{feff}') } else { text };
        let mut object: Map<String, Value> = serde_json::from_str(bare).map_err(|error| {
            IoError::Malformed { place: Box::new(place.clone()), message: format!("no JSON object: {error}") }
        })?;
        let options = &self.options;
        let doc_id = optional(&mut object, &options.id_column, &place)?;
        let source = optional(&mut object, &options.source_column, &place)?;
        match object.get_mut(&options.text_column).map(Value::take) {
            Some(Value::String(text)) if text.is_empty() => {
                Ok(Record::Skipped(Skip { place, reason: SkipReason::Empty }))
            }
            Some(Value::String(text)) => Ok(Record::Document(Document { text, doc_id, source, place })),
            Some(Value::Null) => Ok(Record::Skipped(Skip { place, reason: SkipReason::Null })),
            Some(other) => Err(not_text(&options.text_column, &other, &object, place)),
            None => Err(missing(&options.text_column, &object, place)),
        }
    }
}

impl Iterator for JsonLines {
    type Item = Result<Record, IoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_first = self.lines == 0;
        match self.next_line() {
            Ok((line, _)) if line.is_empty() => {
                // A file without a line is worth a word; the second call ends it.
                let report = is_first && self.lines == 0;
                self.lines += 1;
                let skip = Skip { place: Place::of(&self.file.label), reason: SkipReason::Empty };
                report.then_some(Ok(Record::Skipped(skip)))
            }
            Ok((line, place)) => Some(self.parse(&line, place)),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A string, or a number as text; `None` for null, or where the key may be missing.
fn optional(
    object: &mut Map<String, Value>,
    column: &Column,
    place: &Place,
) -> Result<Option<String>, IoError> {
    let Some(name) = column.name() else { return Ok(None) };
    match object.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(Value::Null) => Ok(None),
        Some(other) => Err(not_text(name, &other, object, place.clone())),
        None if column.is_required() => Err(missing(name, object, place.clone())),
        None => Ok(None),
    }
}

fn missing(column: &str, object: &Map<String, Value>, place: Place) -> IoError {
    IoError::MissingColumn { place: Box::new(place), column: column.to_owned(), available: keys(object) }
}

fn not_text(column: &str, value: &Value, object: &Map<String, Value>, place: Place) -> IoError {
    let found = match value {
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::Array(_) => "a list",
        _ => "an object",
    };
    IoError::NotText {
        place: Box::new(place),
        column: column.to_owned(),
        found: found.to_owned(),
        available: keys(object),
    }
}

fn keys(object: &Map<String, Value>) -> String {
    object.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
