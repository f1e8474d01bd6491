//! Scores as rows of a Parquet file or lines of JSON.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, StructArray, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::run::PairScore;
use crate::atomic::AtomicFile;
use crate::event::Event;
use crate::io_error::IoError;
use crate::pairs::pair_schema;

/// The columns; `explained_ln_probability`, `explained_level` and `events` are null where no log was asked for or possible.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::UInt64, false),
        Field::new("ln_probability", DataType::Float64, false),
        Field::new("nats_per_grapheme", DataType::Float64, false),
        Field::new("clean", DataType::Float64, false),
        Field::new("first_impossible", DataType::UInt64, true),
        Field::new("explained_ln_probability", DataType::Float64, true),
        Field::new("explained_level", DataType::Float64, true),
        Field::new("events", events_type(), false),
    ]))
});

/// The type of the column `events` of a file of pairs.
fn events_type() -> DataType {
    pair_schema().field_with_name("events").map_or(DataType::Null, |field| field.data_type().clone())
}

/// Logs as a column, a list a log.
fn event_lists(logs: &[&[Event]]) -> Result<ListArray, ArrowError> {
    let events_type = events_type();
    let DataType::List(item) = events_type else {
        return Err(ArrowError::SchemaError("events are no list".to_owned()));
    };
    let DataType::Struct(fields) = item.data_type() else {
        return Err(ArrowError::SchemaError("events are no structures".to_owned()));
    };
    let events = || logs.iter().copied().flatten();
    let strings = |of: &dyn Fn(&Event) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(events().map(of)))
    };
    let columns: Vec<ArrayRef> = vec![
        strings(&|event| event.op.name()),
        Arc::new(UInt32Array::from_iter_values(events().map(|event| event.start))),
        Arc::new(UInt32Array::from_iter_values(events().map(|event| event.length))),
        strings(&|event| event.removed.as_str()),
        strings(&|event| event.replacement.as_str()),
    ];
    let values = StructArray::try_new(fields.clone(), columns, None)?;
    let offsets = OffsetBuffer::from_lengths(logs.iter().map(|log| log.len()));
    ListArray::try_new(item, offsets, Arc::new(values), None)
}

/// Writes scores to a file that appears whole or not at all: Parquet, or JSON lines.
///
/// In JSON a probability of 0 has `null` as its logarithm; a clean record has the level 0.
pub struct ScoreWriter {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Parquet(Box<ArrowWriter<AtomicFile>>),
    Lines(BufWriter<AtomicFile>),
}

impl ScoreWriter {
    /// Starts the file `path`, whose extension says which form it has.
    ///
    /// # Errors
    /// If it ends neither in `.parquet` nor in `.jsonl`, or cannot be made.
    pub fn create(path: &Path) -> Result<Self, IoError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let sink = match extension {
            Some("parquet") => {
                let zstd = Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default());
                let properties = WriterProperties::builder().set_compression(zstd).build();
                let file = AtomicFile::create(path)?;
                let writer = ArrowWriter::try_new(file, Arc::clone(&SCHEMA), Some(properties));
                Sink::Parquet(Box::new(writer.map_err(IoError::parquet(path))?))
            }
            Some("jsonl") => Sink::Lines(BufWriter::new(AtomicFile::create(path)?)),
            _ => {
                let message = "scores are written as .parquet or .jsonl; give the file one of these names";
                let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, message);
                return Err(IoError::file("write", path)(error));
            }
        };
        Ok(Self { path: path.to_path_buf(), sink })
    }

    /// Appends scores.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn write(&mut self, scores: &[PairScore]) -> Result<(), IoError> {
        match &mut self.sink {
            Sink::Parquet(writer) => {
                let batch = to_batch(scores).map_err(IoError::arrow(&self.path))?;
                writer.write(&batch).map_err(IoError::parquet(&self.path))
            }
            Sink::Lines(writer) => scores.iter().try_for_each(|scored| {
                writeln!(writer, "{}", to_json(scored)).map_err(IoError::file("write", &self.path))
            }),
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// If the disk is full or the file cannot take its name.
    pub fn finish(self) -> Result<(), IoError> {
        match self.sink {
            Sink::Parquet(writer) => writer.into_inner().map_err(IoError::parquet(&self.path))?.commit(),
            Sink::Lines(writer) => {
                let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error);
                file.map_err(IoError::file("write", &self.path))?.commit()
            }
        }
    }
}

fn to_batch(scores: &[PairScore]) -> Result<RecordBatch, ArrowError> {
    let floats = |of: &dyn Fn(&PairScore) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(scores.iter().map(of)))
    };
    let explained = |of: &dyn Fn(&super::Explanation) -> f64| -> ArrayRef {
        Arc::new(scores.iter().map(|scored| scored.explanation.as_ref().map(of)).collect::<Float64Array>())
    };
    let impossible = scores.iter().map(|scored| scored.score.first_impossible.map(|at| at as u64));
    let log = |scored: &'_ PairScore| -> Vec<Event> {
        scored.explanation.as_ref().map(|explanation| explanation.events.clone()).unwrap_or_default()
    };
    let logs: Vec<Vec<Event>> = scores.iter().map(log).collect();
    RecordBatch::try_new(
        Arc::clone(&SCHEMA),
        vec![
            Arc::new(UInt64Array::from_iter_values(scores.iter().map(|scored| scored.id))),
            floats(&|scored| scored.score.ln_probability),
            floats(&PairScore::nats_per_grapheme),
            floats(&|scored| scored.score.clean),
            Arc::new(impossible.collect::<UInt64Array>()),
            explained(&|explanation| explanation.ln_probability),
            explained(&|explanation| explanation.level.unwrap_or(0.0)),
            Arc::new(event_lists(&logs.iter().map(Vec::as_slice).collect::<Vec<_>>())?),
        ],
    )
}

fn to_json(scored: &PairScore) -> serde_json::Value {
    let mut line = serde_json::json!({
        "id": scored.id,
        "ln_probability": scored.score.ln_probability,
        "nats_per_grapheme": scored.nats_per_grapheme(),
        "clean": scored.score.clean,
        "first_impossible": scored.score.first_impossible,
    });
    if let Some(explanation) = &scored.explanation {
        line["explained_ln_probability"] = explanation.ln_probability.into();
        line["explained_level"] = explanation.level.unwrap_or(0.0).into();
        line["events"] = serde_json::json!(explanation.events);
    }
    line
}
