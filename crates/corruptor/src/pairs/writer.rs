//! Writing pairs: parts cut by row count, each of which appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::convert::to_batch;
use super::metadata::PairMetadata;
use super::schema::pair_schema;
use crate::atomic::AtomicFile;
use crate::io_error::IoError;
use crate::pair::Pair;

/// Rows of a row group, which is what a reader or writer holds in memory.
const GROUP_ROWS: usize = 8_192;
/// Rows handed to the Parquet writer at a time. Pages depend on it, so it is fixed: the caller's chunks must not show.
const BATCH_ROWS: usize = 1_024;

/// What a writer has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows in all parts.
    pub rows: u64,
    /// Files.
    pub parts: u32,
}

/// Writes `part-00000.parquet`, `part-00001.parquet`, … into a directory.
///
/// The bytes depend on the pairs and the metadata alone, not on how the calls of [`write`](Self::write) cut them. A part takes
/// its name when it is complete; to make a whole data set appear at once, write into an [`AtomicDir`](crate::atomic::AtomicDir).
#[derive(Debug)]
pub struct PairWriter {
    directory: PathBuf,
    properties: WriterProperties,
    part_rows: usize,
    pending: Vec<Pair>,
    part: Option<Part>,
    written: Written,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    writer: ArrowWriter<AtomicFile>,
    rows: usize,
}

impl PairWriter {
    /// Rows of a part unless [`with_part_rows`](Self::with_part_rows) says otherwise.
    pub const DEFAULT_PART_ROWS: usize = 262_144;

    /// Starts writing into `directory`, which is made if it is missing.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn create(directory: &Path, metadata: &PairMetadata) -> Result<Self, IoError> {
        fs::create_dir_all(directory).map_err(IoError::file("create", directory))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_key_value_metadata(Some(metadata.key_values()))
            .build();
        Ok(Self {
            directory: directory.to_path_buf(),
            properties,
            part_rows: Self::DEFAULT_PART_ROWS,
            pending: Vec::with_capacity(BATCH_ROWS),
            part: None,
            written: Written::default(),
        })
    }

    /// Sets the rows of a part (at least 1).
    #[must_use]
    pub fn with_part_rows(mut self, part_rows: usize) -> Self {
        self.part_rows = part_rows.max(1);
        self
    }

    /// Appends a pair.
    ///
    /// # Errors
    /// If the disk is full or a file cannot be made.
    pub fn write(&mut self, pair: Pair) -> Result<(), IoError> {
        self.pending.push(pair);
        let rows = self.part.as_ref().map_or(0, |part| part.rows) + self.pending.len();
        if self.pending.len() == BATCH_ROWS || rows == self.part_rows {
            self.flush()?;
        }
        if rows == self.part_rows {
            self.close_part()?;
        }
        Ok(())
    }

    /// Completes the last part; without any pair, one part without rows.
    ///
    /// # Errors
    /// If the disk is full or the part cannot take its name.
    pub fn finish(mut self) -> Result<Written, IoError> {
        let has_no_part = self.written.parts == 0 && self.part.is_none();
        if !self.pending.is_empty() || has_no_part {
            self.flush()?;
        }
        self.close_part()?;
        Ok(self.written)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        let part = match &mut self.part {
            Some(part) => part,
            none => {
                let path = self.directory.join(format!("part-{:05}.parquet", self.written.parts));
                let file = AtomicFile::create(&path)?;
                let writer = ArrowWriter::try_new(file, pair_schema(), Some(self.properties.clone()))
                    .map_err(IoError::parquet(&path))?;
                none.insert(Part { path, writer, rows: 0 })
            }
        };
        let batch = to_batch(&self.pending).map_err(IoError::arrow(&part.path))?;
        part.writer.write(&batch).map_err(IoError::parquet(&part.path))?;
        part.rows += self.pending.len();
        self.written.rows += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn close_part(&mut self) -> Result<(), IoError> {
        let Some(Part { path, writer, .. }) = self.part.take() else { return Ok(()) };
        writer.into_inner().map_err(IoError::parquet(&path))?.commit()?;
        self.written.parts += 1;
        Ok(())
    }
}
