//! `.parquet`: the text column of each row, streamed batch by batch.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array as _, AsArray as _, RecordBatch, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::files::InputFile;
use super::open::seekable;
use super::{Column, Document, DocumentOptions, Place, Record, Skip, SkipReason};
use crate::guarded::guarded;
use crate::io_error::IoError;

/// Rows decoded at a time where all texts of a row group together are small.
const BATCH_ROWS: usize = 64;
/// Texts of a row group, as stored but not compressed, above which rows are decoded one by one: each may be large.
const SMALL_GROUP_BYTES: i64 = 128 << 20;

/// The records of a Parquet file.
pub(super) struct ParquetTexts {
    label: Arc<Path>,
    batches: ParquetRecordBatchReader,
    current: Option<Batch>,
    text: String,
    doc_id: Option<String>,
    source: Option<String>,
    limit_bytes: u64,
    rows_read: u64,
    rows: u64,
    file_bytes: u64,
    counter: Arc<AtomicU64>,
}

/// A decoded batch and the next row in it.
struct Batch {
    /// Views into the page: a large text is not copied until it is read.
    text: StringViewArray,
    doc_id: Option<StringArray>,
    source: Option<StringArray>,
    next: usize,
}

impl ParquetTexts {
    pub(super) fn open(
        file: &InputFile,
        stored: File,
        options: &DocumentOptions,
        counter: Arc<AtomicU64>,
    ) -> Result<Self, IoError> {
        let seekable = seekable(file, stored)?;
        let metadata = ArrowReaderMetadata::load(&seekable, ArrowReaderOptions::default())
            .map_err(IoError::parquet(&file.label))?;
        let schema = Arc::clone(metadata.schema());
        let text = options.text_column.clone();
        check(&schema, &file.label, &text, is_text)?;
        let viewed = ArrowReaderOptions::new().with_schema(Arc::new(with_view(&schema, &text)));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), viewed)
            .map_err(IoError::parquet(&file.label))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(seekable, metadata);
        let doc_id = optional(&schema, &file.label, &options.id_column)?;
        let source = optional(&schema, &file.label, &options.source_column)?;
        let wanted = [Some(&text), doc_id.as_ref(), source.as_ref()];
        let roots = wanted.into_iter().flatten().filter_map(|name| schema.index_of(name).ok());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let rows = builder.metadata().file_metadata().num_rows().max(0) as u64;
        let batch_rows =
            if largest_group_bytes(&builder, &text) > SMALL_GROUP_BYTES { 1 } else { BATCH_ROWS };
        let batches = builder
            .with_projection(mask)
            .with_batch_size(batch_rows)
            .build()
            .map_err(IoError::parquet(&file.label))?;
        let label = Arc::clone(&file.label);
        let file_bytes = file.bytes;
        Ok(Self {
            label,
            batches,
            current: None,
            text,
            doc_id,
            source,
            limit_bytes: options.max_record_bytes,
            rows_read: 0,
            rows,
            file_bytes,
            counter,
        })
    }

    fn decode(&self, batch: &RecordBatch) -> Result<Batch, IoError> {
        let column = |name: &str, as_type: &DataType| {
            let Some(column) = batch.column_by_name(name) else {
                return Err(missing(&batch.schema(), &self.label, name));
            };
            cast(column, as_type).map_err(IoError::arrow(&self.label))
        };
        let strings = |name: &str| column(name, &DataType::Utf8).map(|strings| strings.as_string().clone());
        Ok(Batch {
            text: column(&self.text, &DataType::Utf8View)?.as_string_view().clone(),
            doc_id: self.doc_id.as_deref().map(strings).transpose()?,
            source: self.source.as_deref().map(strings).transpose()?,
            next: 0,
        })
    }

    /// The next row of the current batch.
    fn row(&mut self) -> Option<Result<Record, IoError>> {
        let batch = self.current.as_mut().filter(|batch| batch.next < batch.text.len())?;
        let row = batch.next;
        batch.next += 1;
        let place = Place::of(&self.label).at_row(self.rows_read);
        self.rows_read += 1;
        let read_bytes = self.file_bytes as f64 * self.rows_read as f64 / self.rows.max(1) as f64;
        self.counter.store(read_bytes as u64, Ordering::Relaxed);
        let limit_bytes = self.limit_bytes;
        if batch.text.is_valid(row) && batch.text.value(row).len() as u64 > limit_bytes {
            return Some(Err(IoError::TooLarge { place: Box::new(place), limit_bytes }));
        }
        let value = |column: &StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
        let text = batch.text.is_valid(row).then(|| batch.text.value(row).to_owned());
        Some(Ok(match text {
            None => Record::Skipped(Skip { place, reason: SkipReason::Null }),
            Some(text) if text.is_empty() => Record::Skipped(Skip { place, reason: SkipReason::Empty }),
            Some(text) => Record::Document(Document {
                text,
                doc_id: batch.doc_id.as_ref().and_then(value),
                source: batch.source.as_ref().and_then(value),
                place,
            }),
        }))
    }
}

impl Iterator for ParquetTexts {
    type Item = Result<Record, IoError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.row() {
                return Some(record);
            }
            // Its pages are done with; the next ones may be as large.
            self.current = None;
            let batch = match guarded(|| self.batches.next()) {
                Err(error) => Err(IoError::parquet(&self.label)(error)),
                Ok(Some(Ok(batch))) => self.decode(&batch),
                Ok(Some(Err(error))) => Err(IoError::arrow(&self.label)(error)),
                Ok(None) if self.rows == 0 => {
                    // A file without rows is worth a word, once.
                    self.rows = 1;
                    let skip = Skip { place: Place::of(&self.label), reason: SkipReason::Empty };
                    return Some(Ok(Record::Skipped(skip)));
                }
                Ok(None) => return None,
            };
            match batch {
                Ok(batch) => self.current = Some(batch),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The schema with a column of strings as views.
fn with_view(schema: &Schema, column: &str) -> Schema {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 if field.name() == column => {
            Arc::new(Field::new(column, DataType::Utf8View, field.is_nullable()))
        }
        _ => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// Bytes of a column in the row group where it has most, before compression.
fn largest_group_bytes(builder: &ParquetRecordBatchReaderBuilder<File>, column: &str) -> i64 {
    let groups = builder.metadata().row_groups().iter();
    let columns = groups.flat_map(RowGroupMetaData::columns);
    let own = columns.filter(|chunk| chunk.column_path().parts().first().is_some_and(|name| name == column));
    own.map(ColumnChunkMetaData::uncompressed_size).max().unwrap_or_default()
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// Ids and names may also be integers.
fn is_label(data_type: &DataType) -> bool {
    is_text(data_type) || data_type.is_integer()
}

fn check(schema: &Schema, label: &Path, column: &str, fits: fn(&DataType) -> bool) -> Result<(), IoError> {
    let field = schema.field_with_name(column).map_err(|_| missing(schema, label, column))?;
    if fits(field.data_type()) {
        return Ok(());
    }
    Err(IoError::NotText {
        place: Box::new(Place::file(label)),
        column: column.to_owned(),
        found: field.data_type().to_string(),
        available: columns(schema),
    })
}

fn optional(schema: &Schema, label: &Path, column: &Column) -> Result<Option<String>, IoError> {
    let Some(name) = column.name() else { return Ok(None) };
    if !column.is_required() && schema.index_of(name).is_err() {
        return Ok(None);
    }
    check(schema, label, name, is_label)?;
    Ok(Some(name.to_owned()))
}

fn missing(schema: &Schema, label: &Path, column: &str) -> IoError {
    IoError::MissingColumn {
        place: Box::new(Place::file(label)),
        column: column.to_owned(),
        available: columns(schema),
    }
}

fn columns(schema: &Schema) -> String {
    let named = schema.fields().iter().map(|field| format!("{} ({})", field.name(), field.data_type()));
    named.collect::<Vec<_>>().join(", ")
}
