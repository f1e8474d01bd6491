//! Writing pairs: parts cut by row count, each of which appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use super::columns::Columns;
use super::encode::{GROUP_ROWS, GroupEncoder, group_is_full};
use super::metadata::PairMetadata;
use super::part::{Part, write_error};
use crate::atomic::AtomicFile;
use crate::io_error::IoError;
use crate::pair::Pair;

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
pub struct PairWriter {
    directory: PathBuf,
    encoder: GroupEncoder,
    part_rows: usize,
    /// The row group under construction.
    group: Columns,
    /// Bytes of the originals in it.
    group_text_bytes: usize,
    part: Option<Part<AtomicFile>>,
    written: Written,
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
        Ok(Self {
            directory: directory.to_path_buf(),
            encoder: GroupEncoder::new(metadata).map_err(write_error(directory))?,
            part_rows: Self::DEFAULT_PART_ROWS,
            group: Columns::with_capacity(GROUP_ROWS, 0),
            group_text_bytes: 0,
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
    #[expect(clippy::needless_pass_by_value, reason = "a pair that is written is done with")]
    pub fn write(&mut self, pair: Pair) -> Result<(), IoError> {
        self.group.push_pair(&pair);
        self.group_text_bytes += pair.original.len();
        let rows = self.part.as_ref().map_or(0, |part| part.rows) + self.group.rows();
        if rows == self.part_rows || group_is_full(self.group.rows(), self.group_text_bytes) {
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
        if self.group.rows() > 0 {
            self.flush()?;
        } else if self.written.parts == 0 && self.part.is_none() {
            self.part = Some(self.start_part()?);
        }
        self.close_part()?;
        Ok(self.written)
    }

    fn start_part(&self) -> Result<Part<AtomicFile>, IoError> {
        let path = self.directory.join(part_name(self.written.parts));
        Part::start(&self.encoder, &path, AtomicFile::create(&path)?)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.start_part()?,
        };
        let columns = std::mem::replace(&mut self.group, Columns::with_capacity(GROUP_ROWS, 0));
        self.group_text_bytes = 0;
        let group = self.encoder.encode(columns).map_err(write_error(part.path()))?;
        self.written.rows += group.rows as u64;
        part.append(group)?;
        self.part = Some(part);
        Ok(())
    }

    fn close_part(&mut self) -> Result<(), IoError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        part.finish()?.commit()?;
        self.written.parts += 1;
        Ok(())
    }
}

/// The name of a part in the directory of its split.
pub(crate) fn part_name(number: u32) -> String {
    format!("part-{number:05}.parquet")
}
