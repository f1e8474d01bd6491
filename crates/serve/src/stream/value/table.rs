//! Values that are tables: Arrow IPC streams.

use std::{
    io::Cursor,
    path::Path,
    sync::{Mutex, PoisonError},
};

use arrow::{
    error::ArrowError,
    ipc::{reader::StreamReader, writer::StreamWriter},
    record_batch::RecordBatch,
};
use corruptor::guarded;

use super::{ErrorKind, RecordError};
use crate::batch::{BatchSettings, Halt, RowResult, TableRows, Texts};

/// What messages call it.
const VALUE: &str = "the value";

/// A table, read.
#[derive(Debug)]
pub(in crate::stream) struct Table {
    rows: TableRows,
    batches: Vec<RecordBatch>,
    /// Those of all batches.
    pub(in crate::stream) texts: Vec<Option<String>>,
}

impl Table {
    /// Reads the value, whose texts have at most `max_bytes`, each row's counted.
    pub(super) fn parse(
        value: &[u8],
        settings: &BatchSettings,
        max_bytes: usize,
    ) -> Result<Self, RecordError> {
        let read = || -> Result<_, ArrowError> {
            let reader = StreamReader::try_new(Cursor::new(value), None)?;
            let schema = reader.schema();
            Ok((schema, reader.collect::<Result<Vec<_>, _>>()?))
        };
        let read = guarded(read).map_err(|error| invalid(&error))?;
        let (schema, batches) = read.map_err(|error| invalid(&error))?;
        let rows = TableRows::new(&schema, settings, Path::new(VALUE)).map_err(|error| invalid(&error))?;
        let table = Self { rows, batches, texts: Vec::new() };
        // The texts are those that somebody is asked for who knows none.
        let seen = Seen { most: max_bytes, texts: Mutex::default() };
        let encoded = table.encode(&seen);
        let (bytes, texts) = seen.texts.into_inner().unwrap_or_else(PoisonError::into_inner);
        if bytes > max_bytes {
            let message = format!("the texts of the table have more than {max_bytes} bytes");
            return Err(RecordError::new(ErrorKind::TooLarge, message));
        }
        encoded?;
        Ok(Self { texts, ..table })
    }

    /// The table with its new columns.
    pub(super) fn encode(&self, texts: &dyn Texts) -> Result<Vec<u8>, RecordError> {
        let mut writer =
            StreamWriter::try_new(Vec::new(), &self.rows.schema()).map_err(|error| invalid(&error))?;
        for batch in &self.batches {
            let (restored, _) =
                self.rows.restore(batch, texts, &mut |_| true).map_err(|error| invalid(&error))?;
            writer.write(&restored).map_err(|error| invalid(&error))?;
        }
        writer.into_inner().map_err(|error| invalid(&error))
    }
}

fn invalid(error: &impl std::fmt::Display) -> RecordError {
    RecordError::new(ErrorKind::InvalidArrow, format!("{VALUE} cannot be read: {error}"))
}

/// Sees texts, and restores none.
struct Seen {
    /// Bytes of texts that it takes.
    most: usize,
    /// Bytes that there are, and the texts.
    texts: Mutex<(usize, Vec<Option<String>>)>,
}

impl Texts for Seen {
    fn restore(
        &self,
        texts: &[Option<&str>],
        _done: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<RowResult>, Halt> {
        let mut seen = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        for text in texts {
            // Those of a dictionary, or of views, can be more than the value has.
            seen.0 = seen.0.saturating_add(text.map_or(0, str::len));
            if seen.0 > self.most {
                return Err(Halt::Stopped);
            }
            seen.1.push(text.map(str::to_owned));
        }
        Ok(texts.iter().map(|_| None).collect())
    }

    fn digests(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Knows what has become of the texts, in their order.
pub(super) struct Known(Mutex<std::vec::IntoIter<RowResult>>);

impl Known {
    pub(super) fn new(results: Vec<RowResult>) -> Self {
        Self(Mutex::new(results.into_iter()))
    }
}

impl Texts for Known {
    fn restore(
        &self,
        texts: &[Option<&str>],
        _done: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<RowResult>, Halt> {
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(texts.iter().map(|_| results.next().flatten()).collect())
    }

    fn digests(&self) -> Vec<String> {
        Vec::new()
    }
}
