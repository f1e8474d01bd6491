//! Rows on their way into a row group: columns that grow straight from borrowed texts.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float32Array, ListArray, StringArray, StringBuilder, StructArray, UInt8Array,
    UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;

use super::schema::EVENT_FIELDS;
use crate::op::EventOp;
use crate::pair::Pair;

/// A row but for its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'r> {
    pub(crate) id: u64,
    pub(crate) doc_id: &'r str,
    pub(crate) source: &'r str,
    pub(crate) start: u64,
    pub(crate) copy: u32,
    pub(crate) noise: Option<f32>,
    pub(crate) original: &'r str,
    pub(crate) corrupted: &'r str,
    pub(crate) cer: f32,
}

/// An event whose texts lie elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventRow<'r> {
    pub(crate) op: EventOp,
    pub(crate) start: u32,
    pub(crate) length: u32,
    pub(crate) removed: &'r str,
    pub(crate) replacement: &'r str,
}

/// The columns of one row group.
#[derive(Debug)]
pub(crate) struct Columns {
    id: Vec<u64>,
    doc_id: StringBuilder,
    source: StringBuilder,
    start: Vec<u64>,
    copy: Vec<u32>,
    noise: Vec<Option<f32>>,
    original: StringBuilder,
    corrupted: StringBuilder,
    /// How many events each row has.
    event_counts: Vec<usize>,
    event_op: Vec<u8>,
    event_start: Vec<u32>,
    event_length: Vec<u32>,
    event_removed: StringBuilder,
    event_replacement: StringBuilder,
    cer: Vec<f32>,
}

impl Columns {
    /// Room for this many rows with originals of this many bytes in all.
    pub(crate) fn with_capacity(rows: usize, text_bytes: usize) -> Self {
        let events = text_bytes / 32;
        let corrupted_bytes = text_bytes + text_bytes / 8;
        Self {
            id: Vec::with_capacity(rows),
            doc_id: StringBuilder::with_capacity(rows, rows * 32),
            source: StringBuilder::with_capacity(rows, rows * 8),
            start: Vec::with_capacity(rows),
            copy: Vec::with_capacity(rows),
            noise: Vec::with_capacity(rows),
            original: StringBuilder::with_capacity(rows, text_bytes),
            corrupted: StringBuilder::with_capacity(rows, corrupted_bytes),
            event_counts: Vec::with_capacity(rows),
            event_op: Vec::with_capacity(events),
            event_start: Vec::with_capacity(events),
            event_length: Vec::with_capacity(events),
            event_removed: StringBuilder::with_capacity(events, events * 2),
            event_replacement: StringBuilder::with_capacity(events, events * 2),
            cer: Vec::with_capacity(rows),
        }
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> usize {
        self.id.len()
    }

    /// Appends a row with its events.
    pub(crate) fn push<'r>(&mut self, row: &Row<'_>, events: impl IntoIterator<Item = EventRow<'r>>) {
        self.id.push(row.id);
        self.doc_id.append_value(row.doc_id);
        self.source.append_value(row.source);
        self.start.push(row.start);
        self.copy.push(row.copy);
        self.noise.push(row.noise);
        self.original.append_value(row.original);
        self.corrupted.append_value(row.corrupted);
        self.cer.push(row.cer);
        let before = self.event_op.len();
        for event in events {
            self.event_op.push(op_key(event.op));
            self.event_start.push(event.start);
            self.event_length.push(event.length);
            self.event_removed.append_value(event.removed);
            self.event_replacement.append_value(event.replacement);
        }
        self.event_counts.push(self.event_op.len() - before);
    }

    /// Appends a pair.
    pub(crate) fn push_pair(&mut self, pair: &Pair) {
        let row = Row {
            id: pair.id,
            doc_id: &pair.doc_id,
            source: &pair.source,
            start: pair.start,
            copy: pair.copy,
            noise: pair.noise,
            original: &pair.original,
            corrupted: &pair.corrupted,
            cer: pair.cer,
        };
        let events = pair.events.iter().map(|event| EventRow {
            op: event.op,
            start: event.start,
            length: event.length,
            removed: &event.removed,
            replacement: &event.replacement,
        });
        self.push(&row, events);
    }

    /// The arrays, in the order of the schema; `op` as a dictionary, which Parquet stores as the strings it stands for.
    pub(super) fn finish(mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        let names = Arc::new(StringArray::from_iter_values(EventOp::ALL.map(EventOp::name)));
        let fields: Vec<ArrayRef> = vec![
            Arc::new(DictionaryArray::try_new(UInt8Array::from(self.event_op), names)?),
            Arc::new(UInt32Array::from(self.event_start)),
            Arc::new(UInt32Array::from(self.event_length)),
            Arc::new(self.event_removed.finish()),
            Arc::new(self.event_replacement.finish()),
        ];
        let as_built = EVENT_FIELDS
            .iter()
            .zip(&fields)
            .map(|(field, array)| Field::new(field.name(), array.data_type().clone(), field.is_nullable()));
        let events = StructArray::try_new(as_built.collect::<Fields>(), fields, None)?;
        let item = Arc::new(Field::new("element", DataType::Struct(events.fields().clone()), false));
        let offsets = OffsetBuffer::from_lengths(self.event_counts);
        Ok(vec![
            Arc::new(UInt64Array::from(self.id)),
            Arc::new(self.doc_id.finish()),
            Arc::new(self.source.finish()),
            Arc::new(UInt64Array::from(self.start)),
            Arc::new(UInt32Array::from(self.copy)),
            Arc::new(Float32Array::from(self.noise)),
            Arc::new(self.original.finish()),
            Arc::new(self.corrupted.finish()),
            Arc::new(ListArray::try_new(item, offsets, Arc::new(events), None)?),
            Arc::new(Float32Array::from(self.cer)),
        ])
    }
}

/// The index of an operation in [`EventOp::ALL`].
fn op_key(op: EventOp) -> u8 {
    match op {
        EventOp::Channel(op) => op as u8,
        EventOp::Edit => EventOp::ALL.len() as u8 - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_indices_of_the_operations() {
        for (index, op) in EventOp::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(op_key(op)), index);
        }
    }
}
