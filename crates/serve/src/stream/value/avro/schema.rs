//! The schema of what is written, made of the schema of what was read.

use std::collections::HashSet;

use apache_avro::{
    Schema,
    schema::{Name, NamesRef, RecordField, ResolvedSchema},
};
use corruptor::chain;
use serde::Deserialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::super::NEW_FIELDS;
use crate::{
    members::Members,
    stream::record::{ErrorKind, RecordError},
};

/// What is wrong with most schemas.
const NO_RECORD: &str = "it is not one of a record";

/// The schema of values that were read, and what of it is written.
#[derive(Debug)]
pub(super) struct Derived {
    /// Of what was read: a record, of physical types.
    schema: Schema,
    /// Schemas that it refers to, each after those that it refers to itself.
    referenced: Vec<Schema>,
    /// By field: whether it is written as it was read.
    pub(super) keeps: Vec<bool>,
    /// The field that holds the text, or leads to it.
    pub(super) field: usize,
    /// Of what is written: the fields that are kept, then those of an answer.
    pub(super) output: String,
}

/// The fields that are new.
fn new_fields() -> [Value; 4] {
    let [restored, edits, confidence, digest] = NEW_FIELDS;
    let edit = json!({
        "type": "record", "name": "Edit", "namespace": "revertant",
        "doc": "A replacement in the text that was read.",
        "fields": [
            {"name": "start", "type": "long", "doc": "Where it begins, in bytes."},
            {"name": "end", "type": "long", "doc": "Where it ends, excluded."},
            {"name": "replacement", "type": "string"},
            {"name": "confidence", "type": "float", "doc": "Probability that the edit is right."},
        ],
    });
    let or_null = |name: &str, of: Value| json!({"name": name, "type": ["null", of], "default": null});
    [
        or_null(restored, json!("string")),
        or_null(edits, json!({"type": "array", "items": edit})),
        or_null(confidence, json!("float")),
        json!({"name": digest, "type": "string", "default": ""}),
    ]
}

/// Schema of an answer: of the fields that are new.
pub(super) fn answer() -> Result<Schema, RecordError> {
    Schema::parse(&json!({"type": "record", "name": "revertant.Answer", "fields": new_fields()}))
        .map_err(|error| unusable(&chain(&error)))
}

impl Derived {
    /// Of a schema with all that it refers to, each after what it refers to itself. `first` is the field that holds the text or leads
    /// to it; no fixed value has more than `max_bytes`.
    pub(super) fn new(
        schema: &str,
        referenced: &[String],
        first: &str,
        overwrites: bool,
        max_bytes: usize,
    ) -> Result<Self, RecordError> {
        let (output, names) = with_answer(schema)?;
        let is_new = |name: &String| NEW_FIELDS.contains(&name.as_str());
        if let (false, Some(name)) = (overwrites, names.iter().find(|name| is_new(name))) {
            let message = format!("the schema has a field `{name}` already");
            return Err(RecordError::new(ErrorKind::FieldTaken, message));
        }
        let field = names.iter().position(|name| name == first).ok_or_else(|| {
            RecordError::new(ErrorKind::NoField, format!("the schema has no field `{first}`"))
        })?;
        let keeps = names.iter().map(|name| !is_new(name)).collect();
        let referenced = referenced.iter().map(|text| physical(text)).collect::<Result<Vec<_>, _>>()?;
        let parsed = |text: &str| {
            Schema::parse_str_with_list(&physical(text)?, &referenced)
                .map_err(|error| unusable(&chain(&error)))
        };
        let (schema, referenced) = parsed(schema)?;
        if !matches!(schema, Schema::Record(_)) {
            return Err(unusable(NO_RECORD));
        }
        parsed(&output)?;
        let derived = Self { schema, referenced, keeps, field, output };
        derived.resolved()?;
        derived.is_bounded(max_bytes)?;
        Ok(derived)
    }

    /// The fields of what is read.
    pub(super) fn fields(&self) -> &[RecordField] {
        match &self.schema {
            Schema::Record(record) => &record.fields,
            _ => &[],
        }
    }

    /// Names of all schemas in it.
    pub(super) fn resolved(&self) -> Result<ResolvedSchema<'_>, RecordError> {
        let all = self.referenced.iter().chain([&self.schema]).collect();
        ResolvedSchema::new_with_schemata(all).map_err(|error| unusable(&chain(&error)))
    }

    /// Refuses what a small value could exhaust the memory or the stack with.
    fn is_bounded(&self, max_bytes: usize) -> Result<(), RecordError> {
        let resolved = self.resolved()?;
        let walk = Walk { names: resolved.get_names(), max_bytes };
        walk.visit(&self.schema, &mut Vec::new(), &mut HashSet::new())
    }
}

/// The schema less what its values stand for: what passes through is not judged, such as a UUID that is none.
fn physical(schema: &str) -> Result<String, RecordError> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("logicalType");
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value =
        serde_json::from_str(schema).map_err(|error| unusable(&format!("it is no JSON: {error}")))?;
    strip(&mut value);
    Ok(value.to_string())
}

/// The schema with the fields of an answer, and the names of its own.
fn with_answer(schema: &str) -> Result<(String, Vec<String>), RecordError> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Deserialize)]
    struct Fields {
        fields: Vec<Box<RawValue>>,
    }
    let no_record = |_| unusable(NO_RECORD);
    let own: Members<Box<RawValue>> = serde_json::from_str(schema).map_err(no_record)?;
    let Fields { mut fields } = serde_json::from_str(schema).map_err(no_record)?;
    let names = fields.iter().map(|field| serde_json::from_str::<Named>(field.get()).map(|field| field.name));
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(no_record)?;
    let mut at = 0;
    fields.retain(|_| {
        at += 1;
        !NEW_FIELDS.contains(&names[at - 1].as_str())
    });
    let mut written = || {
        for field in new_fields() {
            fields.push(to_raw_value(&field)?);
        }
        serde_json::to_string(&own.with(&[("fields", to_raw_value(&fields)?)]))
    };
    let output = written().map_err(|error| unusable(&error.to_string()))?;
    Ok((output, names))
}

struct Walk<'n> {
    names: &'n NamesRef<'n>,
    max_bytes: usize,
}

impl<'n> Walk<'n> {
    /// Visits a schema below those that `path` names; `done` names those that were visited.
    fn visit(
        &self,
        schema: &'n Schema,
        path: &mut Vec<&'n Name>,
        done: &mut HashSet<&'n Name>,
    ) -> Result<(), RecordError> {
        match schema {
            Schema::Ref { name } if path.contains(&name) => Err(unusable(&format!(
                "`{}` contains itself, and so values of it have no bound",
                name.fullname(None)
            ))),
            Schema::Ref { name } if done.contains(name) => Ok(()),
            Schema::Ref { name } => match self.names.get(name) {
                Some(found) => self.visit(found, path, done),
                None => Err(unusable(&format!("there is no schema `{}`", name.fullname(None)))),
            },
            Schema::Record(record) => {
                path.push(&record.name);
                for field in &record.fields {
                    self.visit(&field.schema, path, done)?;
                }
                path.pop();
                done.insert(&record.name);
                Ok(())
            }
            Schema::Array(array) => {
                self.visit(&array.items, path, done)?;
                if self.takes_bytes(&array.items) {
                    return Ok(());
                }
                Err(unusable("it has an array whose items take no bytes, and so values of it have no bound"))
            }
            Schema::Map(map) => self.visit(&map.types, path, done),
            Schema::Union(union) => union.variants().iter().try_for_each(|one| self.visit(one, path, done)),
            Schema::Fixed(fixed) if fixed.size > self.max_bytes => {
                let (name, size, most) = (fixed.name.fullname(None), fixed.size, self.max_bytes);
                Err(unusable(&format!("`{name}` has {size} bytes; at most {most} are taken")))
            }
            _ => Ok(()),
        }
    }

    /// Whether every value of a schema takes a byte at least. It was visited: it does not contain itself.
    fn takes_bytes(&self, schema: &Schema) -> bool {
        match schema {
            Schema::Null => false,
            Schema::Fixed(fixed) => fixed.size > 0,
            Schema::Record(record) => record.fields.iter().any(|field| self.takes_bytes(&field.schema)),
            Schema::Ref { name } => self.names.get(name).is_none_or(|found| self.takes_bytes(found)),
            _ => true,
        }
    }
}

/// The schema is at fault.
pub(super) fn unusable(why: &str) -> RecordError {
    RecordError::new(ErrorKind::UnusableSchema, format!("the schema cannot be used: {why}"))
}
