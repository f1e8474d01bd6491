//! Values in Avro, behind the id of their schema in a registry.
//!
//! A value is a zero, the id of its schema (four bytes, the most significant first) and the datum: Confluent's wire format,
//! <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>. The fields of a record
//! follow each other in its binary encoding (<https://avro.apache.org/docs/1.12.0/specification/#complex-types>), so those that pass through
//! are written byte by byte as they were read, and those of the answer after them.

mod schema;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value, util::max_allocation_bytes,
    writer::datum::GenericDatumWriter,
};
use corruptor::{chain, guarded};
use moka::sync::Cache;
use restorer::Restoration;
use tokio::runtime::Handle;

use self::schema::{Derived, answer};
use super::{Unparsed, unescaped};
use crate::stream::{
    StreamError,
    record::{ErrorKind, RecordError},
    registry::{Registry, RegistryError, RegistrySettings},
};

/// Bytes before the datum: a zero and the id.
const FRAME: usize = 5;
/// Schemas that are remembered.
const SCHEMAS: u64 = 1000;
/// Time for which it is remembered that a schema cannot be used.
const REFUSED: Duration = Duration::from_secs(10);
/// Bytes that reading may take for each byte of a value: of a list of small values, every one takes that many.
const INFLATION: usize = 128;

/// Reads values in Avro.
pub(in crate::stream) struct Avro {
    registry: Registry,
    runtime: Handle,
    /// The text's field, and what leads from there to the text.
    first: String,
    rest: Vec<String>,
    overwrites: bool,
    max_bytes: usize,
    /// Of an answer.
    answer: Arc<Schema>,
    known: Cache<u32, Arc<Written>>,
    refused: Cache<u32, RecordError>,
}

/// How the values of a schema are written.
#[derive(Debug)]
struct Written {
    derived: Derived,
    /// The id of the schema.
    id: u32,
    /// Schema of an answer.
    answer: Arc<Schema>,
}

/// A value, read.
#[derive(Debug)]
pub(in crate::stream) struct Message {
    written: Arc<Written>,
    /// The fields that are written as they were read.
    kept: Vec<u8>,
    pub(in crate::stream) text: Option<String>,
}

impl Avro {
    /// For values of at most `max_bytes`, answered in `topic`; it asks the registry whether it is there.
    pub(in crate::stream) fn new(
        settings: &RegistrySettings,
        (pointer, overwrites): (&str, bool),
        max_bytes: usize,
        topic: &str,
        runtime: &Handle,
    ) -> Result<Self, StreamError> {
        let registry = Registry::new(settings, topic)?;
        runtime.block_on(registry.check())?;
        // Of the process, and only the first counts; nothing else reads Avro.
        max_allocation_bytes(max_bytes.saturating_mul(INFLATION));
        let mut parts = pointer.split('/').skip(1).map(unescaped);
        let first = parts.next().unwrap_or_default();
        let rest = parts.collect();
        let answer = answer().map_err(|error| registry.failed(error.message))?;
        Ok(Self {
            registry,
            runtime: runtime.clone(),
            first,
            rest,
            overwrites,
            max_bytes,
            answer: Arc::new(answer),
            known: Cache::new(SCHEMAS),
            refused: Cache::builder().max_capacity(SCHEMAS).time_to_live(REFUSED).build(),
        })
    }

    /// Reads a value.
    pub(super) fn parse(&self, value: &[u8]) -> Result<Message, Unparsed> {
        let (id, datum) = unframed(value)?;
        let written = self.written(id)?;
        let read = guarded(|| written.derived.read(datum, &self.rest)).map_err(|error| invalid(&error))?;
        let (kept, text) = read?;
        Ok(Message { written, kept, text })
    }

    /// How values of the schema `id` are written.
    fn written(&self, id: u32) -> Result<Arc<Written>, Unparsed> {
        if let Some(found) = self.known.get(&id) {
            return Ok(found);
        }
        if let Some(error) = self.refused.get(&id) {
            return Err(error.into());
        }
        let made = self.runtime.block_on(self.made(id));
        match &made {
            Ok(written) => self.known.insert(id, Arc::clone(written)),
            Err(Unparsed::Record(error)) => self.refused.insert(id, error.clone()),
            Err(Unparsed::Unavailable(_)) => {}
        }
        made
    }

    async fn made(&self, id: u32) -> Result<Arc<Written>, Unparsed> {
        let refused = |error| match error {
            RegistryError::Refused(reason) => {
                let message = format!("the registry does not take the schema {id}: {reason}");
                Unparsed::Record(RecordError::new(ErrorKind::UnusableSchema, message))
            }
            RegistryError::Unavailable(reason) => Unparsed::Unavailable(self.registry.failed(reason)),
        };
        let found = self.registry.schema(id).await.map_err(refused)?;
        let derived =
            Derived::new(&found.schema, &found.referenced, &self.first, self.overwrites, self.max_bytes)?;
        let id = self.registry.id_of(&derived.output, &found.references).await.map_err(refused)?;
        Ok(Arc::new(Written { derived, id, answer: Arc::clone(&self.answer) }))
    }
}

/// The id of the schema of a value, and its datum.
fn unframed(value: &[u8]) -> Result<(u32, &[u8]), RecordError> {
    match value {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(RecordError::new(
            ErrorKind::InvalidAvro,
            "the value does not begin with a zero and the id of a schema in a registry",
        )),
    }
}

impl Derived {
    /// The fields of `datum` that are kept, as they were written, and the text, to which `rest` leads from its field.
    fn read(&self, datum: &[u8], rest: &[String]) -> Result<(Vec<u8>, Option<String>), RecordError> {
        let names = self.resolved()?;
        let mut left = Left { bytes: datum, ran_out: false };
        let (mut kept, mut text) = (Vec::with_capacity(datum.len()), None);
        for (at, field) in self.fields().iter().enumerate() {
            let begin = datum.len() - left.bytes.len();
            let reader =
                GenericDatumReader::builder(&field.schema).resolved_writer_schemata(names.clone()).build();
            let value = reader.and_then(|reader| reader.read_value(&mut left));
            // Asked before the error: what has run out is often taken for a null.
            if left.ran_out {
                return Err(invalid(&format!("it ends within the field `{}`", field.name)));
            }
            let value = value
                .map_err(|error| invalid(&format!("in the field `{}`: {}", field.name, chain(&error))))?;
            if self.keeps[at] {
                kept.extend_from_slice(&datum[begin..datum.len() - left.bytes.len()]);
            }
            if at == self.field {
                text = text_in(value, &field.name, rest)?;
            }
        }
        if !left.bytes.is_empty() {
            return Err(invalid(&format!("{} bytes follow its last field", left.bytes.len())));
        }
        Ok((kept, text))
    }
}

/// The text to which `rest` leads; none where it is null.
fn text_in(value: Value, field: &str, rest: &[String]) -> Result<Option<String>, RecordError> {
    let mut value = value;
    let mut rest = rest.iter();
    loop {
        value = match value {
            Value::Union(_, inner) => *inner,
            Value::Null if rest.len() == 0 => return Ok(None),
            Value::String(text) if rest.len() == 0 => return Ok(Some(text)),
            other => {
                let Some(part) = rest.next() else {
                    return Err(RecordError::new(
                        ErrorKind::NotText,
                        format!("what was looked for in the field `{field}` is no string"),
                    ));
                };
                inside(other, part).ok_or_else(|| {
                    RecordError::new(ErrorKind::NoField, format!("the field `{field}` has no `{part}` in it"))
                })?
            }
        }
    }
}

/// What is called `part` in a record, a map or an array.
fn inside(value: Value, part: &str) -> Option<Value> {
    match value {
        Value::Record(fields) => fields.into_iter().find(|(name, _)| name == part).map(|(_, value)| value),
        Value::Map(mut entries) => entries.remove(part),
        Value::Array(mut items) => {
            let at: usize = part.parse().ok()?;
            // As RFC 6901 has it: nothing stands before the digits.
            (at < items.len() && at.to_string() == part).then(|| items.swap_remove(at))
        }
        _ => None,
    }
}

impl Message {
    /// The value with an answer.
    pub(super) fn encode(
        &self,
        restoration: Option<&Restoration>,
        digest: &str,
    ) -> Result<Vec<u8>, RecordError> {
        let answer = Value::Record(
            super::NEW_FIELDS.map(str::to_owned).into_iter().zip(answered(restoration, digest)).collect(),
        );
        let writer = GenericDatumWriter::builder(&self.written.answer).build();
        let answer =
            writer.and_then(|writer| writer.write_value_to_vec(answer)).map_err(|error| invalid(&error))?;
        let mut value = Vec::with_capacity(FRAME + self.kept.len() + answer.len());
        value.push(0);
        value.extend(self.written.id.to_be_bytes());
        value.extend_from_slice(&self.kept);
        value.extend(answer);
        Ok(value)
    }
}

/// The values of the new fields.
fn answered(restoration: Option<&Restoration>, digest: &str) -> [Value; 4] {
    let or_null = |value: Option<Value>| match value {
        Some(value) => Value::Union(1, Box::new(value)),
        None => Value::Union(0, Box::new(Value::Null)),
    };
    let long = |at: usize| Value::Long(i64::try_from(at).unwrap_or(i64::MAX));
    let edits = restoration.map(|one| {
        let edits = one.edits.iter().map(|edit| {
            let fields = [
                ("start", long(edit.start)),
                ("end", long(edit.end)),
                ("replacement", Value::String(edit.replacement.clone())),
                ("confidence", Value::Float(edit.confidence)),
            ];
            Value::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
        });
        Value::Array(edits.collect())
    });
    [
        or_null(restoration.map(|one| Value::String(one.text.clone()))),
        or_null(edits),
        or_null(restoration.map(|one| Value::Float(one.confidence))),
        Value::String(digest.to_owned()),
    ]
}

/// Bytes that are read, and whether more was asked for than there are: the library takes that for a null now and then.
struct Left<'a> {
    bytes: &'a [u8],
    ran_out: bool,
}

impl Read for Left<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(into)?;
        self.ran_out |= count < into.len();
        Ok(count)
    }
}

fn invalid(error: &impl std::fmt::Display) -> RecordError {
    RecordError::new(ErrorKind::InvalidAvro, format!("the value cannot be read: {error}"))
}
