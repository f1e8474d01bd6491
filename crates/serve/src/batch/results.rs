//! The new columns of a batch of rows.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, Float32Builder, ListBuilder, StringBuilder, StructBuilder, UInt32Builder,
};
use restorer::Restoration;

use super::{
    plan::{edit_fields, edit_item},
    rows::Outcome,
};

/// Builds the columns `restored`, `edits`, `confidence` and `error`.
pub(super) struct Results {
    restored: StringBuilder,
    edits: ListBuilder<StructBuilder>,
    confidence: Float32Builder,
    error: StringBuilder,
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
        }
    }

    /// Appends what became of the next row.
    pub(super) fn append(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Null => self.append_empty(None),
            Outcome::Failed(reason) => self.append_empty(Some(reason)),
            Outcome::Restored(restoration) => self.append_restoration(restoration),
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

    fn append_restoration(&mut self, restoration: &Restoration) {
        self.restored.append_value(&restoration.text);
        let edit = self.edits.values();
        for given in &restoration.edits {
            // An outcome whose offsets do not fit is a failure already.
            append(edit, 0, |column: &mut UInt32Builder| column.append_value(given.start as u32));
            append(edit, 1, |column: &mut UInt32Builder| column.append_value(given.end as u32));
            append(edit, 2, |column: &mut StringBuilder| column.append_value(&given.replacement));
            append(edit, 3, |column: &mut Float32Builder| column.append_value(given.confidence));
            edit.append(true);
        }
        self.edits.append(true);
        self.confidence.append_value(restoration.confidence);
        self.error.append_null();
    }
}

/// Appends to the column `index` of a struct, whose builder has the type that [`Results::with_capacity`] gave it.
fn append<B: ArrayBuilder>(builder: &mut StructBuilder, index: usize, value: impl FnOnce(&mut B)) {
    if let Some(column) = builder.field_builder::<B>(index) {
        value(column);
    }
}
