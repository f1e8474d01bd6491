//! Two streams of texts, read row by row side by side.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::run::Texts;
use crate::documents::{
    Column, Document, DocumentOptions, Documents, Format, InputFile, Lines, Record, Skip,
};
use crate::io_error::IoError;

/// The records of one of the two files.
struct Side {
    path: PathBuf,
    records: Box<dyn Iterator<Item = Result<Record, IoError>>>,
    rows: u64,
}

impl Side {
    /// A `.txt` file has a record a line, the other formats one a row.
    fn open(texts: &Texts, options: DocumentOptions, counter: Arc<AtomicU64>) -> Result<Self, IoError> {
        let file = InputFile::new(&texts.path)?;
        let limit_bytes = options.max_record_bytes;
        let options = DocumentOptions { text_column: texts.column.clone(), ..options };
        let records: Box<dyn Iterator<Item = Result<Record, IoError>>> = match file.format {
            Format::Text => Box::new(Lines::open(&file, limit_bytes, counter)?),
            _ => Box::new(Columns { documents: Documents::of_files(vec![file], options), counter }),
        };
        Ok(Self { path: texts.path.clone(), records, rows: 0 })
    }

    fn next(&mut self) -> Result<Option<Record>, IoError> {
        let record = self.records.next().transpose()?;
        self.rows += u64::from(record.is_some());
        Ok(record)
    }
}

/// Documents of a file with columns, telling how many of its bytes are read.
struct Columns {
    documents: Documents,
    counter: Arc<AtomicU64>,
}

impl Iterator for Columns {
    type Item = Result<Record, IoError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let record = self.documents.next()?;
            self.counter.store(self.documents.progress().0, Ordering::Relaxed);
            // A file without rows is reported as a skip of the file; here it simply has none.
            let is_row = |skip: &Skip| skip.place.line.is_some() || skip.place.row.is_some();
            if !matches!(&record, Ok(Record::Skipped(skip)) if !is_row(skip)) {
                return Some(record);
            }
        }
    }
}

/// What one row gives.
pub(super) enum Row {
    /// Both texts are there.
    Pair {
        /// The original, with the ids of its row.
        correct: Document,
        /// The corrupted text.
        corrupted: String,
    },
    /// One of them is not.
    Skipped(Skip),
}

/// The rows of both files.
pub(super) struct Rows {
    correct: Side,
    corrupted: Side,
    read_bytes: Arc<AtomicU64>,
    total_bytes: u64,
}

impl Rows {
    pub(super) fn open(
        correct: &Texts,
        corrupted: &Texts,
        documents: &DocumentOptions,
    ) -> Result<Self, IoError> {
        let read_bytes = Arc::new(AtomicU64::new(0));
        let bare = DocumentOptions {
            id_column: Column::Ignored,
            source_column: Column::Ignored,
            ..documents.clone()
        };
        Ok(Self {
            total_bytes: InputFile::new(&correct.path)?.bytes,
            correct: Side::open(correct, documents.clone(), Arc::clone(&read_bytes))?,
            corrupted: Side::open(corrupted, bare, Arc::default())?,
            read_bytes,
        })
    }

    /// Bytes read so far and in all, of the file with the originals.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.read_bytes.load(Ordering::Relaxed).min(self.total_bytes), self.total_bytes)
    }

    pub(super) fn next(&mut self) -> Result<Option<Row>, IoError> {
        Ok(Some(match (self.correct.next()?, self.corrupted.next()?) {
            (Some(Record::Document(correct)), Some(Record::Document(corrupted))) => {
                Row::Pair { correct, corrupted: corrupted.text }
            }
            (Some(Record::Skipped(skip)), Some(_)) | (Some(_), Some(Record::Skipped(skip))) => {
                Row::Skipped(skip)
            }
            (None, None) => return Ok(None),
            _ => return Err(self.unequal()?),
        }))
    }

    /// One file has ended: counts the rest of the other.
    fn unequal(&mut self) -> Result<IoError, IoError> {
        for side in [&mut self.correct, &mut self.corrupted] {
            while side.next()?.is_some() {}
        }
        Ok(IoError::UnequalRows {
            correct: self.correct.path.clone(),
            correct_rows: self.correct.rows,
            corrupted: self.corrupted.path.clone(),
            corrupted_rows: self.corrupted.rows,
        })
    }
}
