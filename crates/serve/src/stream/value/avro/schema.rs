//! The schema of what is written, made of the schema of what was read.

use std::sync::Once;

use apache_avro::{
    AvroResult, Schema,
    error::Details,
    validator::{
        EnumSymbolNameValidator, RecordFieldNameValidator, SchemaNameValidator, SchemaNamespaceValidator,
        set_enum_symbol_name_validator, set_record_field_name_validator, set_schema_name_validator,
        set_schema_namespace_validator,
    },
};
use corruptor::chain;
use serde::Deserialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::{
    super::NEW_FIELDS,
    types::{Type, TypeId, Types},
};
use crate::{
    members::Members,
    stream::record::{ErrorKind, RecordError},
};

/// What is wrong with most schemas.
const NO_RECORD: &str = "it is not one of a record";
/// Name of the type of an edit.
const EDIT: &str = "revertant.Edit";

/// The schema of values that were read, and what of it is written.
#[derive(Debug)]
pub(super) struct Derived {
    /// Of what was read.
    pub(super) types: Types,
    record: TypeId,
    /// By field: whether it is written as it was read.
    pub(super) keeps: Vec<bool>,
    /// The field that holds the text, or leads to it.
    pub(super) field: usize,
    /// Of what is written: the fields that are kept, then those of an answer.
    pub(super) output: String,
}

/// The fields that are new, of edits of this type.
fn new_fields(edit: &Value) -> [Value; 4] {
    let [restored, edits, confidence, digest] = NEW_FIELDS;
    let or_null = |name: &str, of: Value| json!({"name": name, "type": ["null", of], "default": null});
    [
        or_null(restored, json!("string")),
        or_null(edits, json!({"type": "array", "items": edit})),
        or_null(confidence, json!("float")),
        json!({"name": digest, "type": "string", "default": ""}),
    ]
}

/// The type of an edit.
fn edit() -> Value {
    json!({
        "type": "record", "name": "Edit", "namespace": "revertant",
        "doc": "A replacement in the text that was read.",
        "fields": [
            {"name": "start", "type": "long", "doc": "Where it begins, in bytes."},
            {"name": "end", "type": "long", "doc": "Where it ends, excluded."},
            {"name": "replacement", "type": "string"},
            {"name": "confidence", "type": "float", "doc": "Probability that the edit is right."},
        ],
    })
}

/// Schema of an answer: of the fields that are new.
pub(super) fn answer() -> Result<Schema, RecordError> {
    let schema = json!({"type": "record", "name": "revertant.Answer", "fields": new_fields(&edit())});
    Ok(parsed(&schema.to_string(), &[])?.swap_remove(0))
}

impl Derived {
    /// Of a schema with all that it refers to, each after what it refers to itself. `first` is the field that holds the text or leads
    /// to it.
    pub(super) fn new(
        schema: &str,
        referenced: &[String],
        first: &str,
        overwrites: bool,
    ) -> Result<Self, RecordError> {
        let own = Own::of(schema)?;
        let is_new = |name: &String| NEW_FIELDS.contains(&name.as_str());
        if let (false, Some(name)) = (overwrites, own.names.iter().find(|name| is_new(name))) {
            let message = format!("the schema has a field `{name}` already");
            return Err(RecordError::new(ErrorKind::FieldTaken, message));
        }
        let field = own.names.iter().position(|name| name == first).ok_or_else(|| {
            RecordError::new(ErrorKind::NoField, format!("the schema has no field `{first}`"))
        })?;
        let keeps = own.names.iter().map(|name| !is_new(name)).collect();
        let types_of =
            |schema: &str| Types::of(&parsed(schema, referenced)?).map_err(|error| unusable(&error));
        let (kept, _) = types_of(&own.with(&[])?)?;
        let edit = match kept.named(EDIT) {
            None => edit(),
            Some(known) if is_edit(&kept, known) => json!(EDIT),
            Some(_) => return Err(unusable(&format!("`{EDIT}` is another type in it"))),
        };
        let output = own.with(&new_fields(&edit))?;
        types_of(&output)?;
        let (types, record) = types_of(schema)?;
        if types.is_used(record) {
            return Err(unusable(
                "the record contains itself, and those in it would need an answer as well; another type may, in a field of it",
            ));
        }
        Ok(Self { types, record, keeps, field, output })
    }

    /// The fields of what is read.
    pub(super) fn fields(&self) -> &[(String, TypeId)] {
        match self.types.get(self.record) {
            Type::Record(fields) => fields,
            _ => &[],
        }
    }
}

/// Whether a type is that of an edit.
fn is_edit(types: &Types, id: TypeId) -> bool {
    let Type::Record(fields) = types.get(id) else { return false };
    let fields = fields.iter().map(|(name, of)| (name.as_str(), types.get(*of)));
    fields.eq([
        ("start", &Type::Long),
        ("end", &Type::Long),
        ("replacement", &Type::String),
        ("confidence", &Type::Sized(4)),
    ])
}

/// Those that are referred to, and then the schema.
fn parsed(schema: &str, referenced: &[String]) -> Result<Vec<Schema>, RecordError> {
    take_all_names();
    let referenced = referenced.iter().map(|text| physical(text)).collect::<Result<Vec<_>, _>>()?;
    let (schema, mut all) = Schema::parse_str_with_list(&physical(schema)?, &referenced)
        .map_err(|error| unusable(&chain(&error)))?;
    all.push(schema);
    Ok(all)
}

/// The schema less what its values stand for, and what stands for them: what passes through is not judged, such as a UUID that is
/// none. Less aliases, too: the library takes them for names of the schema, but they are for readers of another one.
fn physical(schema: &str) -> Result<String, RecordError> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("logicalType");
                members.remove("default");
                members.remove("aliases");
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

/// The schema of a record, as it is written.
struct Own {
    members: Members<Box<RawValue>>,
    fields: Vec<Box<RawValue>>,
    /// Of the fields.
    names: Vec<String>,
}

impl Own {
    fn of(schema: &str) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        #[derive(Deserialize)]
        struct Record {
            r#type: String,
            fields: Vec<Box<RawValue>>,
        }
        let no_record = |_| unusable(NO_RECORD);
        let members = serde_json::from_str(schema).map_err(no_record)?;
        let Record { r#type, fields } = serde_json::from_str(schema).map_err(no_record)?;
        if r#type != "record" {
            return Err(unusable(NO_RECORD));
        }
        let names =
            fields.iter().map(|field| serde_json::from_str::<Named>(field.get()).map(|field| field.name));
        let names = names.collect::<Result<_, _>>().map_err(no_record)?;
        Ok(Self { members, fields, names })
    }

    /// With other fields of the names of an answer's.
    fn with(&self, new: &[Value]) -> Result<String, RecordError> {
        let kept = self.fields.iter().zip(&self.names);
        let kept =
            kept.filter(|(_, name)| !NEW_FIELDS.contains(&name.as_str())).map(|(field, _)| field.clone());
        let mut fields: Vec<Box<RawValue>> = kept.collect();
        let mut written = || {
            for field in new {
                fields.push(to_raw_value(field)?);
            }
            serde_json::to_string(&self.members.with(&[("fields", to_raw_value(&fields)?)]))
        };
        written().map_err(|error| unusable(&error.to_string()))
    }
}

/// What Java's Avro takes: letters and digits of all languages in names, anything in namespaces.
struct AnyLanguage;

impl AnyLanguage {
    fn takes(name: &str) -> bool {
        name.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && name.chars().all(|one| one.is_alphanumeric() || one == '_')
    }
}

impl SchemaNameValidator for AnyLanguage {
    fn validate(&self, name: &str) -> AvroResult<usize> {
        let begin = name.rfind('.').map_or(0, |dot| dot + 1);
        if Self::takes(&name[begin..]) {
            return Ok(begin);
        }
        Err(Details::InvalidSchemaName(name.to_owned(), "letters, digits and _").into())
    }
}

impl SchemaNamespaceValidator for AnyLanguage {
    fn validate(&self, _: &str) -> AvroResult<()> {
        Ok(())
    }
}

impl EnumSymbolNameValidator for AnyLanguage {
    fn validate(&self, symbol: &str) -> AvroResult<()> {
        if Self::takes(symbol) { Ok(()) } else { Err(Details::EnumSymbolName(symbol.to_owned()).into()) }
    }
}

impl RecordFieldNameValidator for AnyLanguage {
    fn validate(&self, name: &str) -> AvroResult<()> {
        if Self::takes(name) { Ok(()) } else { Err(Details::FieldName(name.to_owned()).into()) }
    }
}

/// Of the process, before the first schema is parsed; nothing else reads Avro.
pub(super) fn take_all_names() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let taken = set_schema_name_validator(Box::new(AnyLanguage)).is_ok()
            && set_schema_namespace_validator(Box::new(AnyLanguage)).is_ok()
            && set_enum_symbol_name_validator(Box::new(AnyLanguage)).is_ok()
            && set_record_field_name_validator(Box::new(AnyLanguage)).is_ok();
        if !taken {
            tracing::warn!("names in schemas are taken by the letter of Avro's specification");
        }
    });
}

/// The schema is at fault.
pub(super) fn unusable(why: &str) -> RecordError {
    RecordError::new(ErrorKind::UnusableSchema, format!("the schema cannot be used: {why}"))
}
