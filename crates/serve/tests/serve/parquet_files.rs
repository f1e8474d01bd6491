//! Parquet files for the tests, written and read with Arrow.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::{Field, Float32Type, Schema, UInt32Type},
};
use corruptor::Edit;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    file::{
        metadata::KeyValue, properties::WriterProperties, reader::FileReader,
        serialized_reader::SerializedFileReader,
    },
};

/// A batch of nullable columns whose schema carries metadata.
pub(crate) fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let schema = Schema::new_with_metadata(fields, [("origin".to_owned(), "a test".to_owned())]);
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// Writes `table` in row groups of `group_rows` rows, with a key of its own in the file's metadata.
pub(crate) fn write(path: &Path, table: &RecordBatch, group_rows: usize) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_key_value_metadata(Some(vec![KeyValue::new("recipe".to_owned(), "[corrupt]".to_owned())]))
        .build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), table.schema(), Some(properties)).unwrap();
    writer.write(table).unwrap();
    writer.close().unwrap();
}

/// The whole file as one batch.
pub(crate) fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// Rows of each row group, and the keys of the file's metadata.
pub(crate) fn layout(path: &Path) -> (Vec<i64>, Vec<String>) {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let metadata = reader.metadata();
    let rows =
        metadata.row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).collect();
    let pairs = metadata.file_metadata().key_value_metadata().cloned().unwrap_or_default();
    (rows, pairs.into_iter().map(|pair| pair.key).collect())
}

/// The names of the columns.
pub(crate) fn names(table: &RecordBatch) -> Vec<String> {
    table.schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// A string column.
pub(crate) fn strings(table: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let column = table.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

/// The column `confidence`.
pub(crate) fn confidences(table: &RecordBatch) -> Vec<Option<f32>> {
    table.column_by_name("confidence").unwrap().as_primitive::<Float32Type>().iter().collect()
}

/// The column `edits`.
pub(crate) fn edits(table: &RecordBatch) -> Vec<Option<Vec<Edit>>> {
    let lists = table.column_by_name("edits").unwrap().as_list::<i32>();
    (0..lists.len())
        .map(|row| {
            lists.is_valid(row).then(|| {
                let list = lists.value(row);
                let edit = list.as_struct();
                let start = edit.column_by_name("start").unwrap().as_primitive::<UInt32Type>();
                let end = edit.column_by_name("end").unwrap().as_primitive::<UInt32Type>();
                let replacement = edit.column_by_name("replacement").unwrap().as_string::<i32>();
                let confidence = edit.column_by_name("confidence").unwrap().as_primitive::<Float32Type>();
                (0..edit.len())
                    .map(|index| Edit {
                        start: start.value(index) as usize,
                        end: end.value(index) as usize,
                        replacement: replacement.value(index).to_owned(),
                        confidence: confidence.value(index),
                    })
                    .collect()
            })
        })
        .collect()
}
