//! Row groups in memory: columns become encoded, compressed column chunks on whatever thread is free.

use std::io;
use std::sync::Arc;

use arrow::array::ArrayRef;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};

use super::columns::Columns;
use super::metadata::PairMetadata;
use super::schema::pair_schema;

/// The zstd level of pairs: the encoder is what bounds the throughput, and higher levels save a few per cent only.
pub const ZSTD_LEVEL: i32 = 1;

/// Rows after which a row group ends.
pub(crate) const GROUP_ROWS: usize = 4_096;
/// Bytes of originals after which a row group ends, so that its memory is bounded whatever the window.
pub(crate) const GROUP_TEXT_BYTES: usize = 2 << 20;

/// Whether a row group with so much in it is full. Part of the format: the bytes of a file depend on it.
pub(crate) fn group_is_full(rows: usize, text_bytes: usize) -> bool {
    rows >= GROUP_ROWS || text_bytes >= GROUP_TEXT_BYTES
}

/// Encodes row groups of pairs; shared by threads.
pub(crate) struct GroupEncoder {
    factory: ArrowRowGroupWriterFactory,
    schema: TypePtr,
    properties: WriterPropertiesPtr,
}

/// An encoded row group.
pub(crate) struct EncodedGroup {
    /// Its rows.
    pub(crate) rows: usize,
    chunks: Vec<ArrowColumnChunk>,
}

impl GroupEncoder {
    /// For files with this metadata.
    pub(crate) fn new(metadata: &PairMetadata) -> Result<Self, ParquetError> {
        let arrow_schema = pair_schema();
        let mut properties = properties(metadata)?;
        add_encoded_arrow_schema_to_metadata(&arrow_schema, &mut properties);
        let properties = Arc::new(properties);
        let schema = ArrowSchemaConverter::new().convert(&arrow_schema)?.root_schema_ptr();
        // The factory takes schema and properties from a file; nothing is written into this one.
        let template = SerializedFileWriter::new(io::sink(), Arc::clone(&schema), Arc::clone(&properties))?;
        Ok(Self { factory: ArrowRowGroupWriterFactory::new(&template, arrow_schema), schema, properties })
    }

    /// Encodes and compresses the columns of a row group.
    pub(crate) fn encode(&self, columns: Columns) -> Result<EncodedGroup, ParquetError> {
        let rows = columns.rows();
        Ok(EncodedGroup { rows, chunks: self.encode_arrays(&columns.finish()?)? })
    }

    fn encode_arrays(&self, arrays: &[ArrayRef]) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let mut writers = self.factory.create_column_writers(0)?.into_iter();
        let mut chunks = Vec::new();
        for (field, array) in pair_schema().fields().iter().zip(arrays) {
            for leaf in compute_leaves(field, array)? {
                let mut writer =
                    writers.next().ok_or_else(|| ParquetError::General("a leaf without a writer".into()))?;
                writer.write(&leaf)?;
                chunks.push(writer.close()?);
            }
        }
        Ok(chunks)
    }

    /// Starts a file for row groups of this encoder.
    pub(super) fn file<W: io::Write + Send>(&self, out: W) -> Result<SerializedFileWriter<W>, ParquetError> {
        SerializedFileWriter::new(out, Arc::clone(&self.schema), Arc::clone(&self.properties))
    }
}

impl EncodedGroup {
    pub(super) fn append_to<W: io::Write + Send>(
        self,
        file: &mut SerializedFileWriter<W>,
    ) -> Result<(), ParquetError> {
        let mut group = file.next_row_group()?;
        self.chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut group))?;
        group.close().map(drop)
    }
}

/// How the columns are stored.
fn properties(metadata: &PairMetadata) -> Result<WriterProperties, ParquetError> {
    let path = |name: &str| ColumnPath::new(name.split('.').map(str::to_owned).collect());
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(metadata.key_values()));
    let event = |name: &str| path(&format!("events.list.element.{name}"));
    // Dictionaries pay where values repeat by nature; on the texts of events they cost more time and bytes than they save.
    for column in [path("doc_id"), path("source"), path("copy"), path("noise"), event("op")] {
        builder = builder.set_column_dictionary_enabled(column, true);
    }
    for column in [path("start"), event("start"), event("length")] {
        builder = builder.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    for column in [path("original"), path("corrupted"), event("removed"), event("replacement")] {
        // All lengths first, then all bytes: zstd is faster on it, and finds more. Least and greatest of free text tell a
        // reader nothing that it could skip a row group by.
        builder = builder
            .set_column_encoding(column.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    Ok(builder.build())
}
