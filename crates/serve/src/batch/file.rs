//! One Parquet file, streamed.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use arrow::array::RecordBatch;
use corruptor::{atomic::AtomicFile, guarded};
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
use restorer::Restorer;

use super::{
    BatchError, BatchSettings, Summary, Watch, plan::Plan, results::Results, rows::restore_rows,
    text_column::TextColumn,
};

/// Decoded bytes that are held at a time, about.
const CHUNK_BYTES: u64 = 8 << 20;
/// Rows that are held at a time, at most.
const CHUNK_ROWS: u64 = 4096;
/// Encoded bytes of a row group of the output that are held before they are written.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// An input whose columns have been checked.
pub(super) struct Input {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    plan: Plan,
}

impl Input {
    /// Opens the file at `path` and checks its columns.
    ///
    /// # Errors
    ///
    /// Where it is no whole Parquet file or its columns do not fit.
    pub(super) fn open(path: &Path, settings: &BatchSettings) -> Result<Self, BatchError> {
        let file =
            File::open(path).map_err(|source| BatchError::Open { path: path.to_path_buf(), source })?;
        let metadata = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))
            .flatten()
            .map_err(|source| BatchError::Read { path: path.to_path_buf(), source })?;
        let plan = Plan::new(metadata.schema(), &settings.column, settings.existing, path)?;
        Ok(Self { path: path.to_path_buf(), file, metadata, plan })
    }

    /// Rows in the file.
    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or_default()
    }

    /// Restores the file into `output`, which appears whole at the end or not at all.
    ///
    /// # Errors
    ///
    /// Where reading or writing fails, the model fails on every text, or the work is stopped.
    pub(super) fn restore(
        &self,
        output: &Path,
        model: &dyn Restorer,
        settings: &BatchSettings,
        watch: &mut dyn Watch,
    ) -> Result<Summary, BatchError> {
        let file = AtomicFile::create(output)?;
        let properties = properties(self.metadata.metadata());
        let write_error = |source| BatchError::Write { path: output.to_path_buf(), source };
        let mut writer =
            ArrowWriter::try_new(file, self.plan.schema.clone(), Some(properties)).map_err(write_error)?;
        let mut summary = Summary::default();
        let mut last_failure = None;
        for (index, row_group) in self.metadata.metadata().row_groups().iter().enumerate() {
            let mut batches = self.batches(index, row_group)?;
            while let Some(batch) = guarded(|| batches.next()).map_err(|error| self.read_error(error))? {
                let batch = batch.map_err(|error| self.read_error(error.into()))?;
                let (rows, part, failure) = self.restore_batch(&batch, model, settings, watch)?;
                summary.add(&part);
                last_failure = failure.or(last_failure);
                writer.write(&rows).map_err(write_error)?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES {
                    writer.flush().map_err(write_error)?;
                }
            }
            writer.flush().map_err(write_error)?;
        }
        if let (0, Some(reason)) = (summary.restored, last_failure) {
            return Err(BatchError::AllFailed { path: self.path.clone(), texts: summary.failed, reason });
        }
        // Writes the footer.
        writer.into_inner().map_err(write_error)?.commit()?;
        Ok(summary)
    }

    fn batches(
        &self,
        index: usize,
        row_group: &RowGroupMetaData,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>> + use<>, BatchError> {
        let file =
            self.file.try_clone().map_err(|source| BatchError::Open { path: self.path.clone(), source })?;
        let build = || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![index])
                .with_batch_size(chunk_rows(row_group))
                .build()
        };
        guarded(build).flatten().map_err(|error| self.read_error(error))
    }

    /// The output rows of `batch`, their counts, and the last failure among them.
    fn restore_batch(
        &self,
        batch: &RecordBatch,
        model: &dyn Restorer,
        settings: &BatchSettings,
        watch: &mut dyn Watch,
    ) -> Result<(RecordBatch, Summary, Option<String>), BatchError> {
        let column =
            TextColumn::open(batch.column(self.plan.text)).map_err(|error| self.read_error(error.into()))?;
        let texts: Vec<_> = (0..column.len()).map(|row| column.get(row)).collect();
        let done = |rows| {
            watch.advance(rows);
            !watch.stop_flag().load(Ordering::Relaxed)
        };
        let rows = restore_rows(model, &texts, settings.options, settings.batch_tokens, done)
            .ok_or_else(|| BatchError::Stopped(self.path.clone()))?;
        let mut results = Results::with_capacity(texts.len());
        let mut failure = None;
        for (text, row) in texts.iter().zip(rows) {
            if let Some(Err(error)) = &row {
                failure = Some(error.to_string());
            }
            results.append(*text, row);
        }
        let summary = results.summary;
        let rows =
            self.plan.assemble(batch, &results.finish()).map_err(|error| self.read_error(error.into()))?;
        Ok((rows, summary, failure))
    }

    fn read_error(&self, source: ParquetError) -> BatchError {
        BatchError::Read { path: self.path.clone(), source }
    }
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
