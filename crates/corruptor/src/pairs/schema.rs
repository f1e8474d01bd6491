//! The Arrow schema of pairs.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::io_error::IoError;

/// The fields of an event, in order.
pub(super) static EVENT_FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("op", DataType::Utf8, false),
        Field::new("start", DataType::UInt32, false),
        Field::new("length", DataType::UInt32, false),
        Field::new("removed", DataType::Utf8, false),
        Field::new("replacement", DataType::Utf8, false),
    ])
});

static PAIR_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::UInt64, false),
        Field::new("doc_id", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("start", DataType::UInt64, false),
        Field::new("copy", DataType::UInt32, false),
        Field::new("noise", DataType::Float32, true),
        Field::new("original", DataType::Utf8, false),
        Field::new("corrupted", DataType::Utf8, false),
        Field::new("events", DataType::List(event_item()), false),
        Field::new("cer", DataType::Float32, false),
    ]))
});

/// The columns of a file of pairs, in order; only `noise` is nullable.
pub fn pair_schema() -> SchemaRef {
    Arc::clone(&PAIR_SCHEMA)
}

/// The list item of the column `events`, named as the Parquet format demands.
pub(super) fn event_item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Struct(EVENT_FIELDS.clone()), false))
}

/// Checks that every column of the schema is there with its type.
///
/// Other columns, another order, nullability and the width of string offsets are left to the writer's taste.
pub(super) fn check_schema(found: &Schema, path: &Path) -> Result<(), IoError> {
    let fail = |message| Err(IoError::PairSchema { path: path.to_path_buf(), message });
    for field in pair_schema().fields() {
        let Ok(other) = found.field_with_name(field.name()) else {
            let names: Vec<_> = found.fields().iter().map(|f| f.name().as_str()).collect();
            return fail(format!("it has no column {:?}, only {}", field.name(), names.join(", ")));
        };
        if !same_kind(field.data_type(), other.data_type()) {
            return fail(format!(
                "its column {:?} holds {}, not {}",
                field.name(),
                other.data_type(),
                field.data_type()
            ));
        }
    }
    Ok(())
}

fn same_kind(expected: &DataType, found: &DataType) -> bool {
    match (expected, found) {
        (DataType::Utf8, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => true,
        (DataType::Utf8, DataType::Dictionary(_, value)) => same_kind(expected, value),
        (DataType::List(a), DataType::List(b) | DataType::LargeList(b)) => {
            same_kind(a.data_type(), b.data_type())
        }
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.name() == b.name() && same_kind(a.data_type(), b.data_type()))
        }
        (a, b) => a == b,
    }
}
