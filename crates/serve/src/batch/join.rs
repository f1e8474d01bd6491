//! Parts into one file, without decoding them again.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use parquet::{
    column::writer::ColumnCloseResult,
    errors::ParquetError,
    file::{
        metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader},
        properties::WriterProperties,
        writer::SerializedFileWriter,
    },
};

use super::{
    BatchError, Format, Input,
    parts::{Parts, open},
};

/// Writes the first `units` parts of `input` into `sink`, which messages call `output`.
pub(super) fn join<W: Write + Send>(
    input: &Input,
    parts: &Parts<'_>,
    units: usize,
    mut sink: W,
    output: &Path,
) -> Result<W, BatchError> {
    if input.format() == Format::Parquet {
        return tables(parts, units, sink, output);
    }
    let write_error = |source| BatchError::WriteText { path: output.to_path_buf(), source };
    sink.write_all(&input.header().map_err(write_error)?).map_err(write_error)?;
    for unit in 0..units {
        io::copy(&mut open(&parts.path(unit))?, &mut sink).map_err(write_error)?;
    }
    Ok(sink)
}

/// Column chunks are copied as they are.
fn tables<W: Write + Send>(parts: &Parts<'_>, units: usize, sink: W, output: &Path) -> Result<W, BatchError> {
    let write_error = |source| BatchError::Write { path: output.to_path_buf(), source };
    let first = footer(&open(&parts.path(0))?, &parts.path(0))?;
    let first = first.file_metadata();
    let properties =
        WriterProperties::builder().set_key_value_metadata(first.key_value_metadata().cloned()).build();
    let schema = first.schema_descr().root_schema_ptr();
    let mut writer = SerializedFileWriter::new(sink, schema, Arc::new(properties)).map_err(write_error)?;
    for unit in 0..units {
        let path = parts.path(unit);
        let file = open(&path)?;
        let metadata = footer(&file, &path)?;
        append(&mut writer, &file, &metadata).map_err(write_error)?;
    }
    writer.into_inner().map_err(write_error)
}

fn append<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    file: &File,
    metadata: &ParquetMetaData,
) -> Result<(), ParquetError> {
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let mut row_group = writer.next_row_group()?;
        let pages = metadata.page_index_for_row_group(at);
        for (column, chunk) in group.columns().iter().enumerate() {
            let column_index = pages.column_index(column).cloned();
            let offset_index = pages.offset_index(column).cloned();
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(chunk.compressed_size()).unwrap_or_default(),
                rows_written: u64::try_from(group.num_rows()).unwrap_or_default(),
                metadata: chunk.clone(),
                bloom_filter: None,
                column_index,
                offset_index,
            };
            row_group.append_column(file, close)?;
        }
        row_group.close()?;
    }
    Ok(())
}

fn footer(file: &File, path: &Path) -> Result<ParquetMetaData, BatchError> {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(file)
        .map_err(|source| BatchError::Read { path: path.to_path_buf(), source })
}
