//! The columns of the output: those of the input in their order, and the new ones.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::{DataType, Field, Fields, Schema, SchemaRef},
    error::ArrowError,
};

use crate::list::list;

use super::{BatchError, ExistingColumns, text_column::is_text};

/// Names of the new columns, in their order.
pub(super) const NEW_COLUMNS: [&str; 4] = ["restored", "edits", "confidence", "error"];

/// Where a column of the output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// This column of the input.
    Input(usize),
    /// This one of the new columns.
    New(usize),
}

/// What is read and what is written.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Index of the column of texts in the input.
    pub(super) text: usize,
    /// Schema of the output, with the input's metadata.
    pub(super) schema: SchemaRef,
    sources: Vec<Source>,
}

impl Plan {
    /// Checks the input's `schema` and plans the output's.
    ///
    /// # Errors
    ///
    /// Where the column of texts is not there or no string, or a new column is there already.
    pub(super) fn new(
        schema: &Schema,
        column: &str,
        existing: ExistingColumns,
        path: &Path,
    ) -> Result<Self, BatchError> {
        let text = text_column(schema, column, path)?;
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let sources = sources(&names, existing, path)?;
        let new = new_fields();
        let fields: Fields = sources
            .iter()
            .map(|source| match *source {
                Source::Input(index) => Arc::clone(&schema.fields()[index]),
                Source::New(index) => Arc::clone(&new[index]),
            })
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Self { text, schema, sources })
    }

    /// The output rows of the rows of `input` and their new columns.
    pub(super) fn assemble(
        &self,
        input: &RecordBatch,
        new: &[ArrayRef; 4],
    ) -> Result<RecordBatch, ArrowError> {
        let columns = self.sources.iter().map(|source| match *source {
            Source::Input(index) => Arc::clone(input.column(index)),
            Source::New(index) => Arc::clone(&new[index]),
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())
    }
}

/// The columns of the output of an input with the columns `names`.
///
/// # Errors
///
/// Where a new column is there already and is to stay.
pub(super) fn sources(
    names: &[&str],
    existing: ExistingColumns,
    path: &Path,
) -> Result<Vec<Source>, BatchError> {
    let taken: Vec<&str> = NEW_COLUMNS.into_iter().filter(|name| names.contains(name)).collect();
    refuse_taken(&taken, existing, path)?;
    let mut sources: Vec<Source> = (0..names.len()).map(Source::Input).collect();
    for (new, name) in NEW_COLUMNS.iter().enumerate() {
        match names.iter().position(|taken| taken == name) {
            Some(index) => sources[index] = Source::New(new),
            None => sources.push(Source::New(new)),
        }
    }
    Ok(sources)
}

/// Stops where new columns are there already, unless they are to be replaced.
pub(super) fn refuse_taken(taken: &[&str], existing: ExistingColumns, path: &Path) -> Result<(), BatchError> {
    if existing == ExistingColumns::Overwrite || taken.is_empty() {
        return Ok(());
    }
    let noun = if taken.len() == 1 { "the column" } else { "the columns" };
    let columns = format!("{noun} {}", list(taken.iter().copied()));
    Err(BatchError::ColumnsExist { path: path.to_path_buf(), columns })
}

/// Fields of the struct in the list `edits`.
pub(super) fn edit_fields() -> Fields {
    Fields::from(vec![
        Field::new("start", DataType::UInt32, false),
        Field::new("end", DataType::UInt32, false),
        Field::new("replacement", DataType::Utf8, false),
        Field::new("confidence", DataType::Float32, false),
    ])
}

/// The items of the list `edits`.
pub(super) fn edit_item() -> Field {
    Field::new_list_field(DataType::Struct(edit_fields()), false)
}

fn new_fields() -> Fields {
    let types = [DataType::Utf8, DataType::List(Arc::new(edit_item())), DataType::Float32, DataType::Utf8];
    NEW_COLUMNS.into_iter().zip(types).map(|(name, data_type)| Field::new(name, data_type, true)).collect()
}

fn text_column(schema: &Schema, column: &str, path: &Path) -> Result<usize, BatchError> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let index = only_column(&names, column, path)?;
    let field = schema.field(index);
    if !is_text(field.data_type()) {
        let texts = schema.fields().iter().filter(|field| is_text(field.data_type()));
        let columns = list(texts.map(|field| field.name().as_str()));
        let (found, path) = (field.data_type().to_string(), path.to_path_buf());
        return Err(BatchError::NotText { path, column: column.to_owned(), found, columns });
    }
    Ok(index)
}

/// Which of the columns `names` is called `column`.
pub(super) fn only_column(names: &[&str], column: &str, path: &Path) -> Result<usize, BatchError> {
    let path = || path.to_path_buf();
    let mut found = names.iter().enumerate().filter(|(_, name)| **name == column);
    let Some((index, _)) = found.next() else {
        let columns = list(names.iter().copied());
        return Err(BatchError::NoColumn { path: path(), column: column.to_owned(), columns });
    };
    if found.next().is_some() {
        return Err(BatchError::TwiceColumn { path: path(), column: column.to_owned() });
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(names: &[(&str, DataType)]) -> Schema {
        let fields: Vec<_> =
            names.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
        Schema::new_with_metadata(fields, [("origin".to_owned(), "test".to_owned())])
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    #[test]
    fn new_columns_go_last_or_in_the_place_of_their_namesakes() {
        let path = Path::new("in.parquet");
        let fresh = schema(&[("id", DataType::UInt64), ("corrupted", DataType::Utf8)]);
        let plan = Plan::new(&fresh, "corrupted", ExistingColumns::Refuse, path).unwrap();
        assert_eq!(names(&plan), ["id", "corrupted", "restored", "edits", "confidence", "error"]);
        assert_eq!(plan.schema.metadata()["origin"], "test");
        let again = schema(&[("error", DataType::Int8), ("corrupted", DataType::Utf8)]);
        let plan = Plan::new(&again, "corrupted", ExistingColumns::Overwrite, path).unwrap();
        assert_eq!(names(&plan), ["error", "corrupted", "restored", "edits", "confidence"]);
        assert_eq!(plan.schema.field(0).data_type(), &DataType::Utf8);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let path = Path::new("in.parquet");
        let schema = schema(&[("id", DataType::UInt64), ("body", DataType::Utf8), ("error", DataType::Utf8)]);
        let message =
            |column: &str| Plan::new(&schema, column, ExistingColumns::Refuse, path).unwrap_err().to_string();
        assert!(message("corrupted").contains("its columns are `id`, `body` and `error`"));
        assert!(message("id").contains("UInt64") && message("id").contains("`body` and `error`"));
        assert!(message("body").contains("already has the column `error`"));
    }
}
