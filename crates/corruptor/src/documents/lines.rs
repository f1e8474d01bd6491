//! Lines of a file, each with its place.

use std::fs::File;
use std::io::{BufRead, Read as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::files::InputFile;
use super::open::{decompressed, read_error};
use super::{Document, Place, Record, Skip, SkipReason};
use crate::io_error::IoError;

/// Reads a file line by line, as bytes, in bounded memory.
pub(super) struct LineReader {
    file: InputFile,
    limit_bytes: u64,
    reader: Box<dyn BufRead + Send>,
    /// Lines read so far.
    lines: u64,
    /// Where the next line starts, in bytes.
    offset: u64,
}

impl LineReader {
    pub(super) fn open(
        file: &InputFile,
        stored: File,
        limit_bytes: u64,
        counter: Arc<AtomicU64>,
    ) -> Result<Self, IoError> {
        Ok(Self {
            reader: decompressed(file, stored, counter)?,
            file: file.clone(),
            limit_bytes,
            lines: 0,
            offset: 0,
        })
    }

    /// The next line with its line end, and where it starts; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Place)>, IoError> {
        let place = Place::of(&self.file.label).at_line(self.lines + 1).at_byte(self.offset);
        let limit_bytes = self.limit_bytes;
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(limit_bytes + 1);
        let read = limited.read_until(b'\n', &mut line).map_err(read_error(&self.file))?;
        if read as u64 > limit_bytes {
            return Err(IoError::TooLarge { place: Box::new(place), limit_bytes });
        }
        self.lines += u64::from(read > 0);
        self.offset += read as u64;
        Ok((read > 0).then_some((line, place)))
    }
}

/// A text file with a record a line; a line ends at LF or CR LF, and a byte order mark before the first one is none of it.
pub(crate) struct Lines(LineReader);

impl Lines {
    /// Opens a file; a line of more than `limit_bytes` is an error.
    pub(crate) fn open(file: &InputFile, limit_bytes: u64, counter: Arc<AtomicU64>) -> Result<Self, IoError> {
        LineReader::open(file, file.open()?, limit_bytes, counter).map(Self)
    }
}

impl Iterator for Lines {
    type Item = Result<Record, IoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, place) = match self.0.next() {
            Ok(line) => line?,
            Err(error) => return Some(Err(error)),
        };
        let line = line.strip_suffix(b"\n").map_or(line.as_slice(), |l| l.strip_suffix(b"\r").unwrap_or(l));
        let start = place.byte.unwrap_or_default();
        let mark = if start == 0 { "\u{feff}".as_bytes() } else { b"" };
        let line = line.strip_prefix(mark).unwrap_or(line);
        Some(Ok(match std::str::from_utf8(line) {
            Ok("") => Record::Skipped(Skip { place, reason: SkipReason::Empty }),
            Ok(text) => {
                Record::Document(Document { text: text.to_owned(), doc_id: None, source: None, place })
            }
            Err(error) => {
                let place = place.at_byte(start + error.valid_up_to() as u64);
                Record::Skipped(Skip { place, reason: SkipReason::InvalidUtf8 })
            }
        }))
    }
}
