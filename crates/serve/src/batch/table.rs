//! Rows in columns: a Parquet file, or whatever else comes in record batches.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use corruptor::guarded;
use parquet::{
    arrow::{
        ARROW_SCHEMA_META_KEY, ArrowWriter,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::{ParquetMetaData, RowGroupMetaData},
        properties::WriterProperties,
    },
};

use super::{
    BatchError, BatchSettings, Tally, Texts,
    input::{Chunk, Chunks},
    plan::Plan,
    restore::restore_chunk,
    results::Results,
    rows::Outcome,
    text_column::TextColumn,
};

/// Decoded bytes that are held at a time, about.
const CHUNK_BYTES: u64 = 8 << 20;
/// Rows that are held at a time, at most.
const CHUNK_ROWS: u64 = 4096;
/// Encoded bytes of a row group of the output that are held before they are written.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// A Parquet file whose columns have been checked. Its units are its row groups.
#[derive(Debug)]
pub(super) struct Table {
    metadata: ArrowReaderMetadata,
    plan: Plan,
}

impl Table {
    /// Reads the footer of `file` and checks its columns.
    pub(super) fn open(path: &Path, file: &File, settings: &BatchSettings) -> Result<Self, BatchError> {
        let metadata = guarded(|| ArrowReaderMetadata::load(file, ArrowReaderOptions::new()))
            .flatten()
            .map_err(|source| BatchError::Read { path: path.to_path_buf(), source })?;
        let plan = Plan::new(metadata.schema(), &settings.column, settings.existing, path)?;
        Ok(Self { metadata, plan })
    }

    /// Rows of each unit: at least one, so that there is one to write.
    pub(super) fn unit_rows(&self) -> Vec<u64> {
        let groups = self.metadata.metadata().row_groups().iter();
        let rows: Vec<u64> =
            groups.map(|group| u64::try_from(group.num_rows()).unwrap_or_default()).collect();
        if rows.is_empty() { vec![0] } else { rows }
    }

    /// The rows of row group `unit`.
    pub(super) fn chunks<'t>(
        &'t self,
        path: &'t Path,
        file: &File,
        unit: usize,
    ) -> Result<Chunks<'t>, BatchError> {
        let Some(group) = self.metadata.metadata().row_groups().get(unit) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let read_error = |source: ParquetError| BatchError::Read { path: path.to_path_buf(), source };
        let file =
            file.try_clone().map_err(|source| BatchError::Open { path: path.to_path_buf(), source })?;
        let build = || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![unit])
                .with_batch_size(chunk_rows(group))
                .build()
        };
        let mut batches = guarded(build).flatten().map_err(read_error)?;
        let mut is_over = false;
        let next = move || -> Option<Result<Chunk, BatchError>> {
            if is_over {
                return None;
            }
            let batch = guarded(|| batches.next()).transpose()?;
            let batch = batch.and_then(|batch| batch.map_err(ParquetError::from)).map_err(read_error);
            let chunk = batch.and_then(|batch| table_chunk(&self.plan, batch, path));
            // A reader that has panicked must not be used again.
            is_over = chunk.is_err();
            Some(chunk)
        };
        Ok(Box::new(std::iter::from_fn(next)))
    }

    /// A writer of the rows with their new columns, in Zstd, with the key–value metadata of the input.
    pub(super) fn writer<W: Write + Send>(&self, sink: W) -> Result<TableWriter<W>, ParquetError> {
        let properties = properties(self.metadata.metadata());
        let writer = ArrowWriter::try_new(sink, Arc::clone(&self.plan.schema), Some(properties))?;
        Ok(TableWriter { writer, plan: self.plan.clone() })
    }
}

/// Writes rows of a table with their new columns.
pub(super) struct TableWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    plan: Plan,
}

impl<W: Write + Send> TableWriter<W> {
    pub(super) fn write(&mut self, batch: &RecordBatch, outcomes: &[Outcome]) -> Result<(), ParquetError> {
        self.writer.write(&assembled(&self.plan, batch, outcomes)?)?;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Ends the row group.
    pub(super) fn end_unit(&mut self) -> Result<(), ParquetError> {
        self.writer.flush()
    }

    /// Writes the footer.
    pub(super) fn finish(self) -> Result<W, ParquetError> {
        self.writer.into_inner()
    }
}

/// How record batches of one schema are restored.
#[derive(Debug)]
pub struct TableRows {
    label: PathBuf,
    plan: Plan,
}

impl TableRows {
    /// Of record batches with `schema`, which messages call `label`.
    ///
    /// # Errors
    ///
    /// Where the columns do not fit.
    pub fn new(schema: &Schema, settings: &BatchSettings, label: &Path) -> Result<Self, BatchError> {
        let plan = Plan::new(schema, &settings.column, settings.existing, label)?;
        Ok(Self { label: label.to_path_buf(), plan })
    }

    /// The schema with the new columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.schema)
    }

    /// Restores a batch; `done` is that of [`Texts::restore`].
    ///
    /// # Errors
    ///
    /// Where the batch cannot be decoded, nobody restores, or the work is stopped.
    pub fn restore(
        &self,
        batch: &RecordBatch,
        texts: &dyn Texts,
        done: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(RecordBatch, Tally), BatchError> {
        let chunk = table_chunk(&self.plan, batch.clone(), &self.label)?;
        let (outcomes, tally) = restore_chunk(&chunk, &self.label, texts, done)?;
        let rows = assembled(&self.plan, batch, &outcomes)
            .map_err(|source| BatchError::Arrow { path: self.label.clone(), source })?;
        Ok((rows, tally))
    }
}

fn table_chunk(plan: &Plan, batch: RecordBatch, path: &Path) -> Result<Chunk, BatchError> {
    let texts = TextColumn::open(batch.column(plan.text))
        .map_err(|source| BatchError::Arrow { path: path.to_path_buf(), source })?;
    Ok(Chunk::Table(batch, texts))
}

/// The rows of `batch` with their new columns.
fn assembled(
    plan: &Plan,
    batch: &RecordBatch,
    outcomes: &[Outcome],
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut results = Results::with_capacity(outcomes.len());
    for outcome in outcomes {
        results.append(outcome);
    }
    plan.assemble(batch, &results.finish())
}

/// How many rows of `row_group` make about [`CHUNK_BYTES`].
fn chunk_rows(row_group: &RowGroupMetaData) -> usize {
    let rows = u64::try_from(row_group.num_rows()).unwrap_or_default().max(1);
    let bytes = u64::try_from(row_group.total_byte_size()).unwrap_or_default();
    let row_bytes = (bytes / rows).max(1);
    (CHUNK_BYTES / row_bytes).clamp(1, CHUNK_ROWS) as usize
}

/// Zstd, and the key–value metadata of the input, less the Arrow schema, which the writer sets anew.
fn properties(metadata: &ParquetMetaData) -> WriterProperties {
    let kept = metadata.file_metadata().key_value_metadata().map(|pairs| {
        pairs.iter().filter(|pair| pair.key != ARROW_SCHEMA_META_KEY).cloned().collect::<Vec<_>>()
    });
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(kept)
        .build()
}
