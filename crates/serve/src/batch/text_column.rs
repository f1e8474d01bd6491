//! Texts out of any string column.

use arrow::{
    array::{Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray},
    datatypes::DataType,
    error::ArrowError,
};

/// Whether a column of this type holds texts.
pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// A column of texts.
#[derive(Debug)]
pub(super) enum TextColumn {
    Utf8(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
    /// Where each row's text is among those that there are: unfolded, a few bytes could fill the memory.
    Dictionary {
        keys: Vec<Option<usize>>,
        values: Box<TextColumn>,
    },
}

impl TextColumn {
    /// Opens `column`, which [`is_text`].
    ///
    /// # Errors
    ///
    /// Where the column is of another type.
    pub(super) fn open(column: &ArrayRef) -> Result<Self, ArrowError> {
        match column.data_type() {
            DataType::Utf8 => Ok(Self::Utf8(column.as_string().clone())),
            DataType::LargeUtf8 => Ok(Self::Large(column.as_string().clone())),
            DataType::Utf8View => Ok(Self::View(column.as_string_view().clone())),
            DataType::Dictionary(..) => {
                let folded = column.as_any_dictionary();
                let rows = folded.keys();
                let keys = folded.normalized_keys();
                let keys = keys
                    .into_iter()
                    .enumerate()
                    .map(|(row, key)| rows.is_valid(row).then_some(key))
                    .collect();
                Ok(Self::Dictionary { keys, values: Box::new(Self::open(folded.values())?) })
            }
            other => Err(ArrowError::CastError(format!("{other} is no string type"))),
        }
    }

    /// The text in `row`, or None where it is null.
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        match self {
            Self::Utf8(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Large(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Dictionary { keys, values } => keys[row].and_then(|key| values.get(key)),
        }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Utf8(texts) => texts.len(),
            Self::Large(texts) => texts.len(),
            Self::View(texts) => texts.len(),
            Self::Dictionary { keys, .. } => keys.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::compute::cast;

    use super::*;

    #[test]
    fn every_string_type_reads_alike() {
        let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("")]));
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        for data_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary] {
            assert!(is_text(&data_type));
            let column = TextColumn::open(&cast(&plain, &data_type).unwrap()).unwrap();
            let texts: Vec<_> = (0..column.len()).map(|row| column.get(row)).collect();
            assert_eq!(texts, [Some("a"), None, Some("")], "{data_type}");
        }
        assert!(!is_text(&DataType::Binary));
    }
}
