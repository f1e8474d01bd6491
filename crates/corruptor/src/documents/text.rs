//! `.txt`: one document a file, verbatim.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::files::InputFile;
use super::open::{decompressed, read_error};
use super::{Document, DocumentOptions, Place, Record, Skip, SkipReason};
use crate::io_error::IoError;

/// Reads the only record of a text file.
pub(super) fn read(
    file: &InputFile,
    stored: File,
    options: &DocumentOptions,
    counter: Arc<AtomicU64>,
) -> Result<Record, IoError> {
    let place = Place::of(&file.label);
    let limit_bytes = options.max_record_bytes;
    let mut bytes = Vec::new();
    decompressed(file, stored, counter)?
        .take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(read_error(file))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(IoError::TooLarge { place: Box::new(place), limit_bytes });
    }
    if bytes.is_empty() {
        return Ok(Record::Skipped(Skip { place, reason: SkipReason::Empty }));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Record::Document(Document { text, doc_id: None, source: None, place }),
        Err(error) => {
            let place = place.at_byte(error.utf8_error().valid_up_to() as u64);
            Record::Skipped(Skip { place, reason: SkipReason::InvalidUtf8 })
        }
    })
}
