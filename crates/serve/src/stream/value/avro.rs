//! Values in Avro, behind the id of their schema in a registry.
//!
//! A value is a zero, the id of its schema (four bytes, the most significant first) and the datum: Confluent's wire format,
//! <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>. The fields of a record
//! follow each other in its binary encoding (<https://avro.apache.org/docs/1.12.0/specification/#complex-types>), so those that pass through
//! are written byte by byte as they were read, and those of the answer after them.

mod schema;
#[cfg(test)]
mod tests;
mod types;
mod walk;

use std::{sync::Arc, time::Duration};

use apache_avro::{Schema, types::Value, writer::datum::GenericDatumWriter};
use corruptor::guarded;
use moka::sync::Cache;
use restorer::Restoration;
use tokio::runtime::Handle;

use self::{
    schema::{Derived, answer},
    walk::{Found, Walk},
};
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
/// Time for which a registry that does not answer is not asked, and one that cannot tell a schema not asked for that.
const AWAY: Duration = Duration::from_secs(2);

/// Reads values in Avro.
pub(in crate::stream) struct Avro {
    registry: Registry,
    runtime: Handle,
    /// The text's field, and what leads from there to the text.
    first: String,
    rest: Vec<String>,
    overwrites: bool,
    /// Of an answer.
    answer: Arc<Schema>,
    known: Cache<u32, Arc<Written>>,
    refused: Cache<u32, RecordError>,
    /// Why the registry has not answered, or not about this schema.
    away: Cache<Option<u32>, String>,
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
    /// For values that are answered in `topic`; it asks the registry whether it is there.
    pub(in crate::stream) fn new(
        settings: &RegistrySettings,
        (pointer, overwrites): (&str, bool),
        topic: &str,
        runtime: &Handle,
    ) -> Result<Self, StreamError> {
        let registry = Registry::new(settings, topic)?;
        runtime.block_on(registry.check())?;
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
            answer: Arc::new(answer),
            known: Cache::new(SCHEMAS),
            refused: Cache::builder().max_capacity(SCHEMAS).time_to_live(REFUSED).build(),
            away: Cache::builder().max_capacity(SCHEMAS).time_to_live(AWAY).build(),
        })
    }

    /// Reads a value.
    pub(super) fn parse(&self, value: &[u8]) -> Result<Message, Unparsed> {
        let (id, datum) = unframed(value)?;
        let written = self.written(id)?;
        let (kept, text) = written.derived.read(datum, &self.rest)?;
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
        if let Some(reason) = self.away.get(&None).or_else(|| self.away.get(&Some(id))) {
            return Err(Unparsed::Later(self.registry.failed(reason)));
        }
        match self.runtime.block_on(self.made(id)) {
            Ok(written) => {
                self.known.insert(id, Arc::clone(&written));
                Ok(written)
            }
            Err(RegistryError::Refused(error)) => {
                self.refused.insert(id, error.clone());
                Err(error.into())
            }
            Err(RegistryError::Denied(reason) | RegistryError::Forbidden(reason)) => {
                Err(Unparsed::Never(self.registry.failed(reason)))
            }
            Err(RegistryError::Unable(reason)) => {
                self.away.insert(Some(id), reason.clone());
                Err(Unparsed::Later(self.registry.failed(reason)))
            }
            Err(RegistryError::Unavailable(reason)) => {
                self.away.insert(None, reason.clone());
                Err(Unparsed::Later(self.registry.failed(reason)))
            }
        }
    }

    async fn made(&self, id: u32) -> Result<Arc<Written>, RegistryError<RecordError>> {
        let of_schema = |kind, reason: &str| {
            RegistryError::Refused(RecordError::new(kind, format!("schema {id}: {reason}")))
        };
        let unusable = |reason: String| of_schema(ErrorKind::UnusableSchema, &reason);
        let found = self.registry.schema(id).await.map_err(|error| error.or_refused(unusable))?;
        // The library panics on some that no registry should have taken.
        let derived =
            guarded(|| Derived::new(&found.schema, &found.referenced, &self.first, self.overwrites))
                .map_err(|error| unusable(error.to_string()))?
                .map_err(|error| of_schema(error.kind, &error.message))?;
        let output = self.registry.id_of(&derived.output, &found.references).await;
        let output = output.map_err(|error| {
            if let RegistryError::Refused(reason) = &error {
                tracing::warn!(
                    id,
                    reason,
                    output = derived.output,
                    "the schema of the output is not registered"
                );
            }
            error.or_refused(unusable)
        })?;
        Ok(Arc::new(Written { derived, id: output, answer: Arc::clone(&self.answer) }))
    }
}

/// The id of the schema of a value, and its datum.
fn unframed(value: &[u8]) -> Result<(u32, &[u8]), RecordError> {
    match value {
        // Ids are positive ints to registries.
        [0, a @ 0..0x80, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(RecordError::new(
            ErrorKind::InvalidAvro,
            "the value does not begin with a zero and the id of a schema in a registry",
        )),
    }
}

impl Derived {
    /// The fields of `datum` that are kept, as they were written, and the text, to which `rest` leads from its field.
    fn read(&self, datum: &[u8], rest: &[String]) -> Result<(Vec<u8>, Option<String>), RecordError> {
        let mut walk = Walk::new(&self.types, datum);
        let (mut kept, mut text) = (Vec::with_capacity(datum.len()), None);
        for (at, (name, of)) in self.fields().iter().enumerate() {
            let begin = datum.len() - walk.left();
            let wrong = |error: String| invalid(&format!("in the field `{name}`, {error}"));
            if at == self.field {
                text = text_of(walk.find(*of, rest).map_err(wrong)?, name)?;
            } else {
                walk.skip(*of).map_err(wrong)?;
            }
            if self.keeps[at] {
                kept.extend_from_slice(&datum[begin..datum.len() - walk.left()]);
            }
        }
        match walk.left() {
            0 => Ok((kept, text)),
            left => Err(invalid(&format!("{left} bytes follow its last field"))),
        }
    }
}

/// The text that was found; none where it is null.
fn text_of(found: Found, field: &str) -> Result<Option<String>, RecordError> {
    match found {
        Found::Text(text) => Ok(Some(text)),
        Found::Null => Ok(None),
        Found::NotText => {
            let message = format!("what was looked for in the field `{field}` is no string");
            Err(RecordError::new(ErrorKind::NotText, message))
        }
        Found::NoPart(part) => {
            let message = format!("the field `{field}` has no `{part}` in it");
            Err(RecordError::new(ErrorKind::NoField, message))
        }
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

fn invalid(error: &impl std::fmt::Display) -> RecordError {
    RecordError::new(ErrorKind::InvalidAvro, format!("the value cannot be read: {error}"))
}
