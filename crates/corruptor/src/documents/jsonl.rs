//! `.jsonl`: a JSON object a line.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};

use super::files::InputFile;
use super::lines::LineReader;
use super::{Column, Document, DocumentOptions, Place, Record, Skip, SkipReason};
use crate::io_error::IoError;

/// The records of a JSON lines file; blank lines are none.
pub(super) struct JsonLines {
    label: Arc<Path>,
    options: Arc<DocumentOptions>,
    lines: LineReader,
    /// No line has been read.
    is_empty: bool,
}

impl JsonLines {
    pub(super) fn open(
        file: &InputFile,
        stored: File,
        options: Arc<DocumentOptions>,
        counter: Arc<AtomicU64>,
    ) -> Result<Self, IoError> {
        let lines = LineReader::open(file, stored, options.max_record_bytes, counter)?;
        Ok(Self { label: Arc::clone(&file.label), options, lines, is_empty: true })
    }

    /// The next line that is not blank, with its place; `None` at the end of the file.
    fn next_line(&mut self) -> Result<Option<(Vec<u8>, Place)>, IoError> {
        while let Some((line, place)) = self.lines.next()? {
            self.is_empty = false;
            if !line.trim_ascii().is_empty() {
                return Ok(Some((line, place)));
            }
        }
        Ok(None)
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
        match self.next_line() {
            Ok(None) => {
                // A file without a line is worth a word; the second call ends it.
                let skip = Skip { place: Place::of(&self.label), reason: SkipReason::Empty };
                std::mem::take(&mut self.is_empty).then_some(Ok(Record::Skipped(skip)))
            }
            Ok(Some((line, place))) => Some(self.parse(&line, place)),
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
