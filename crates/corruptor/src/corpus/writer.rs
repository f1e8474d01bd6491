//! Documents in Parquet: one row a document, one file a source.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::report::SourceSummary;
use crate::atomic::AtomicFile;
use crate::documents::Place;
use crate::io_error::IoError;

/// A row group ends when it holds this many bytes of text or rows, so that memory stays bounded.
const GROUP_TEXT_BYTES: usize = 8 << 20;
const GROUP_ROWS: usize = 8_192;

static CORPUS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let columns = ["doc_id", "source", "licence", "text"];
    Arc::new(Schema::new(columns.map(|name| Field::new(name, DataType::Utf8, false)).to_vec()))
});

/// The columns of a corpus file, in order: `doc_id`, `source`, `licence`, `text`; all strings, none nullable.
pub fn corpus_schema() -> SchemaRef {
    Arc::clone(&CORPUS_SCHEMA)
}

/// Writes the documents of one source.
pub(super) struct CorpusWriter {
    path: PathBuf,
    writer: ArrowWriter<AtomicFile>,
    source: String,
    licence: String,
    doc_ids: Vec<String>,
    texts: Vec<String>,
    pending_bytes: usize,
}

impl CorpusWriter {
    pub(super) fn create(directory: &Path, source: &str, licence: &str) -> Result<Self, IoError> {
        let path = directory.join(format!("{source}.parquet"));
        let metadata =
            vec![KeyValue::new("revertant.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
            .set_statistics_enabled(EnabledStatistics::None)
            .set_key_value_metadata(Some(metadata))
            .build();
        let writer = ArrowWriter::try_new(AtomicFile::create(&path)?, corpus_schema(), Some(properties))
            .map_err(IoError::parquet(&path))?;
        let (source, licence) = (source.to_owned(), licence.to_owned());
        Ok(Self { path, writer, source, licence, doc_ids: Vec::new(), texts: Vec::new(), pending_bytes: 0 })
    }

    pub(super) fn write(&mut self, doc_id: String, text: String) -> Result<(), IoError> {
        self.pending_bytes += text.len();
        self.doc_ids.push(doc_id);
        self.texts.push(text);
        if self.pending_bytes >= GROUP_TEXT_BYTES || self.texts.len() >= GROUP_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the rest and what the file says about its making: no path of this machine and no date.
    pub(super) fn finish(mut self, summary: &SourceSummary) -> Result<(), IoError> {
        self.flush()?;
        let about = serde_json::to_string(summary).map_err(|error| IoError::Malformed {
            place: Box::new(Place::file(&self.path)),
            message: format!("its summary has no form in JSON: {error}"),
        })?;
        self.writer.append_key_value_metadata(KeyValue::new("revertant.source".to_owned(), about));
        self.writer.into_inner().map_err(IoError::parquet(&self.path))?.commit()
    }

    fn flush(&mut self) -> Result<(), IoError> {
        let rows = self.texts.len();
        let repeated = |value: &str| Arc::new(StringArray::from(vec![value; rows])) as ArrayRef;
        let columns = vec![
            Arc::new(StringArray::from(std::mem::take(&mut self.doc_ids))) as ArrayRef,
            repeated(&self.source),
            repeated(&self.licence),
            Arc::new(StringArray::from(std::mem::take(&mut self.texts))) as ArrayRef,
        ];
        self.pending_bytes = 0;
        let batch = RecordBatch::try_new(corpus_schema(), columns).map_err(IoError::arrow(&self.path))?;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(IoError::parquet(&self.path))
    }
}
