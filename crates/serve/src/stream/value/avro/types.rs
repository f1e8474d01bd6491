//! Types of values in Avro: what of a schema says how many bytes a value takes.

use std::collections::HashMap;

use apache_avro::{Schema, schema::Name};

/// A type, by its place in [`Types`].
pub(super) type TypeId = usize;

/// How a value is encoded: <https://avro.apache.org/docs/1.12.0/specification/#binary-encoding>.
#[derive(Debug, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    /// So many bytes: numbers of floating point, and what is fixed.
    Sized(usize),
    Bytes,
    String,
    /// One of so many.
    Enum(usize),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(Vec<(String, TypeId)>),
}

/// The types of schemas, those in others too.
#[derive(Debug)]
pub(super) struct Types {
    all: Vec<Type>,
    names: HashMap<Name, TypeId>,
    /// Names that were used, and are not defined yet.
    missing: HashMap<Name, TypeId>,
}

impl Types {
    /// Of schemas that refer to each other; the last of them is at the place that is returned as well.
    ///
    /// # Errors
    ///
    /// Where a name is not defined, or is twice.
    pub(super) fn of(schemas: &[Schema]) -> Result<(Self, TypeId), String> {
        let mut types = Self { all: Vec::new(), names: HashMap::new(), missing: HashMap::new() };
        let mut last = None;
        for schema in schemas {
            last = Some(types.add(schema)?);
        }
        if let Some(name) = types.missing.keys().map(|name| name.fullname(None)).min() {
            return Err(format!("there is no schema `{name}`"));
        }
        last.map(|last| (types, last)).ok_or_else(|| "there is no schema".to_owned())
    }

    pub(super) fn get(&self, id: TypeId) -> &Type {
        // Every id was given by `add`.
        &self.all[id]
    }

    /// Whether values of the type stand in others.
    pub(super) fn is_used(&self, id: TypeId) -> bool {
        self.all.iter().any(|one| match one {
            Type::Array(of) | Type::Map(of) => *of == id,
            Type::Union(variants) => variants.contains(&id),
            Type::Record(fields) => fields.iter().any(|(_, of)| *of == id),
            _ => false,
        })
    }

    /// The type that is called so.
    pub(super) fn named(&self, name: &str) -> Option<TypeId> {
        self.names.iter().find(|(known, _)| known.fullname(None) == name).map(|(_, id)| *id)
    }

    /// Schemas are as deep as their JSON, which is read to a depth of 128.
    fn add(&mut self, schema: &Schema) -> Result<TypeId, String> {
        let found = match schema {
            Schema::Ref { name } => {
                if let Some(id) = self.names.get(name).or_else(|| self.missing.get(name)) {
                    return Ok(*id);
                }
                let id = self.push(Type::Null);
                self.missing.insert(name.clone(), id);
                return Ok(id);
            }
            Schema::Record(record) => {
                let id = self.begin(&record.name)?;
                let fields = record.fields.iter();
                let fields = fields.map(|field| Ok((field.name.clone(), self.add(&field.schema)?)));
                self.all[id] = Type::Record(fields.collect::<Result<_, String>>()?);
                return Ok(id);
            }
            Schema::Enum(found) => {
                let id = self.begin(&found.name)?;
                self.all[id] = Type::Enum(found.symbols.len());
                return Ok(id);
            }
            Schema::Fixed(found) => {
                let id = self.begin(&found.name)?;
                self.all[id] = Type::Sized(found.size);
                return Ok(id);
            }
            Schema::Null => Type::Null,
            Schema::Boolean => Type::Boolean,
            Schema::Int => Type::Int,
            Schema::Long => Type::Long,
            Schema::Float => Type::Sized(4),
            Schema::Double => Type::Sized(8),
            Schema::Bytes => Type::Bytes,
            Schema::String => Type::String,
            Schema::Array(array) => Type::Array(self.add(&array.items)?),
            Schema::Map(map) => Type::Map(self.add(&map.types)?),
            Schema::Union(union) => {
                let variants = union.variants().iter().map(|variant| self.add(variant));
                Type::Union(variants.collect::<Result<_, _>>()?)
            }
            // What values stand for was taken out.
            other => return Err(format!("a type of it is not known: {other:?}")),
        };
        Ok(self.push(found))
    }

    /// The place of a type that has a name, which may be used in it.
    fn begin(&mut self, name: &Name) -> Result<TypeId, String> {
        let id = self.missing.remove(name).unwrap_or_else(|| self.push(Type::Null));
        match self.names.insert(name.clone(), id) {
            None => Ok(id),
            Some(_) => Err(format!("it has two schemas `{}`", name.fullname(None))),
        }
    }

    fn push(&mut self, found: Type) -> TypeId {
        self.all.push(found);
        self.all.len() - 1
    }
}
