//! The new columns of a batch of rows.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, Float32Builder, ListBuilder, StringBuilder, StructBuilder, UInt32Builder,
};
use restorer::Restoration;

use super::{
    Summary,
    plan::{edit_fields, edit_item},
    rows::RowResult,
};

/// Builds the columns `restored`, `edits`, `confidence` and `error`, and counts.
pub(super) struct Results {
    restored: StringBuilder,
    edits: ListBuilder<StructBuilder>,
    confidence: Float32Builder,
    error: StringBuilder,
    /// What has been appended so far.
    pub(super) summary: Summary,
}

impl Results {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let edit: Vec<Box<dyn ArrayBuilder>> = vec![
            Box::new(UInt32Builder::new()),
            Box::new(UInt32Builder::new()),
            Box::new(StringBuilder::new()),
            Box::new(Float32Builder::new()),
        ];
        Self {
            restored: StringBuilder::with_capacity(rows, 0),
            edits: ListBuilder::new(StructBuilder::new(edit_fields(), edit)).with_field(edit_item()),
            confidence: Float32Builder::with_capacity(rows),
            error: StringBuilder::new(),
            summary: Summary::default(),
        }
    }

    /// Appends the result of the next row, whose text is `text`.
    pub(super) fn append(&mut self, text: Option<&str>, result: RowResult) {
        self.summary.rows += 1;
        match result {
            None => {
                self.summary.nulls += 1;
                self.append_empty(None);
            }
            Some(Err(error)) => {
                self.summary.failed += 1;
                self.append_empty(Some(&error.to_string()));
            }
            Some(Ok(restoration)) => {
                let Some(positions) = positions(&restoration) else {
                    self.summary.failed += 1;
                    return self.append_empty(Some("the text has more than 4 GiB"));
                };
                self.summary.restored += 1;
                self.summary.changed += u64::from(text != Some(restoration.text.as_str()));
                self.summary.edits += restoration.edits.len() as u64;
                self.append_restoration(&restoration, &positions);
            }
        }
    }

    /// The finished columns, in the order of their names in the plan.
    pub(super) fn finish(mut self) -> [ArrayRef; 4] {
        [
            Arc::new(self.restored.finish()),
            Arc::new(self.edits.finish()),
            Arc::new(self.confidence.finish()),
            Arc::new(self.error.finish()),
        ]
    }

    fn append_empty(&mut self, error: Option<&str>) {
        self.restored.append_null();
        self.edits.append_null();
        self.confidence.append_null();
        self.error.append_option(error);
    }

    fn append_restoration(&mut self, restoration: &Restoration, positions: &[(u32, u32)]) {
        self.restored.append_value(&restoration.text);
        let edit = self.edits.values();
        for (&(start, end), given) in positions.iter().zip(&restoration.edits) {
            append(edit, 0, |column: &mut UInt32Builder| column.append_value(start));
            append(edit, 1, |column: &mut UInt32Builder| column.append_value(end));
            append(edit, 2, |column: &mut StringBuilder| column.append_value(&given.replacement));
            append(edit, 3, |column: &mut Float32Builder| column.append_value(given.confidence));
            edit.append(true);
        }
        self.edits.append(true);
        self.confidence.append_value(restoration.confidence);
        self.error.append_null();
    }
}

/// The edits' ranges as the schema has them, where they fit.
fn positions(restoration: &Restoration) -> Option<Vec<(u32, u32)>> {
    let fit = |edit: &corruptor::Edit| Some((u32::try_from(edit.start).ok()?, u32::try_from(edit.end).ok()?));
    restoration.edits.iter().map(fit).collect()
}

/// Appends to the column `index` of a struct, whose builder has the type that [`Results::with_capacity`] gave it.
fn append<B: ArrayBuilder>(builder: &mut StructBuilder, index: usize, value: impl FnOnce(&mut B)) {
    if let Some(column) = builder.field_builder::<B>(index) {
        value(column);
    }
}
