//! Record batches to pairs.

use arrow::array::{Array, ArrayRef, AsArray as _, ListArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{Float32Type, UInt32Type, UInt64Type};

use super::schema::{EVENT_FIELDS, pair_schema};
use crate::event::Event;
use crate::op::EventOp;
use crate::pair::Pair;

/// The pairs of a batch whose schema has passed the check; the message says which column holds what it must not.
pub(super) fn from_batch(batch: &RecordBatch) -> Result<Vec<Pair>, String> {
    let columns: Vec<ArrayRef> = pair_schema()
        .fields()
        .iter()
        .map(|field| {
            let column =
                batch.column_by_name(field.name()).ok_or(format!("it has no column {:?}", field.name()))?;
            if !field.is_nullable() {
                without_nulls(column, field.name())?;
            }
            cast(column, field.data_type()).map_err(|error| format!("its column {:?}: {error}", field.name()))
        })
        .collect::<Result<_, String>>()?;
    let [id, doc_id, source, start, copy, noise, original, corrupted, events, cer] = columns.as_slice()
    else {
        return Err("it has other columns than the schema".to_owned());
    };
    let (id, start) = (id.as_primitive::<UInt64Type>(), start.as_primitive::<UInt64Type>());
    let (noise, cer) = (noise.as_primitive::<Float32Type>(), cer.as_primitive::<Float32Type>());
    let copy = copy.as_primitive::<UInt32Type>();
    let text = |column: &ArrayRef, row| column.as_string::<i32>().value(row).to_owned();
    let mut logs = from_lists(events.as_list::<i32>())?.into_iter();
    Ok((0..batch.num_rows())
        .map(|row| Pair {
            id: id.value(row),
            doc_id: text(doc_id, row),
            source: text(source, row),
            start: start.value(row),
            copy: copy.value(row),
            noise: noise.is_valid(row).then(|| noise.value(row)),
            original: text(original, row),
            corrupted: text(corrupted, row),
            events: logs.next().unwrap_or_default(),
            cer: cer.value(row),
        })
        .collect())
}

fn from_lists(lists: &ListArray) -> Result<Vec<Vec<Event>>, String> {
    let fields = lists.values().as_struct();
    without_nulls(lists.values(), "events")?;
    for (field, column) in EVENT_FIELDS.iter().zip(fields.columns()) {
        without_nulls(column, &format!("events.{}", field.name()))?;
    }
    let [op, start, length, removed, replacement] = fields.columns() else {
        return Err("its column \"events\" has other fields than the schema".to_owned());
    };
    let (op, removed) = (op.as_string::<i32>(), removed.as_string::<i32>());
    let replacement = replacement.as_string::<i32>();
    let (start, length) = (start.as_primitive::<UInt32Type>(), length.as_primitive::<UInt32Type>());
    let event = |i: usize| -> Result<Event, String> {
        Ok(Event {
            op: op.value(i).parse::<EventOp>().map_err(|error| error.to_string())?,
            start: start.value(i),
            length: length.value(i),
            removed: removed.value(i).to_owned(),
            replacement: replacement.value(i).to_owned(),
        })
    };
    lists.value_offsets().windows(2).map(|of| (of[0] as usize..of[1] as usize).map(event).collect()).collect()
}

fn without_nulls(column: &dyn Array, name: &str) -> Result<(), String> {
    match column.null_count() {
        0 => Ok(()),
        nulls => Err(format!("its column {name:?} holds {nulls} nulls")),
    }
}
