//! Files of texts, restored: Parquet, CSV and JSON lines, each into a file of its own format.
//!
//! A file is read in *units* (of Parquet a row group, of text a bounded number of rows), each in chunks that fit into memory. Units
//! are written one after the other, or each into a file of its own, so that work that was interrupted goes on where it stopped.
//!
//! # Layout
//! - `format` tells the formats apart; `input` is a file of any of them, `units` where its rows are cut.
//! - `table`, `records` and `lines` read Parquet, CSV and JSON lines; `plan` and `text_column` are about columns.
//! - `rows` is who restores, and what becomes of a row; `results` makes columns of it, `writer` the rows of the output.
//! - `restore` goes through a file; `parts` and `join` do so resumably; `target` is where the output goes.
//! - `paths` restores one file, or every file of a directory.

mod error;
mod format;
mod input;
mod join;
mod lines;
mod parts;
mod paths;
mod plan;
mod records;
mod restore;
mod results;
mod rows;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod text_column;
mod units;
mod writer;

pub use error::BatchError;
pub use format::Format;
pub use input::Input;
pub use parts::restore_in_parts;
pub use paths::restore_paths;
pub(crate) use restore::restore_to;
pub use restore::{Tally, restore_into};
pub use rows::{Halt, ModelTexts, RowResult, Texts};
pub use table::TableRows;

use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

/// The column of corrupted texts unless told otherwise: that of the pair schema.
pub const DEFAULT_COLUMN: &str = "corrupted";

/// What to do with a column of the input that has the name of a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingColumns {
    /// Stop with an error.
    #[default]
    Refuse,
    /// Put the new one in its place.
    Overwrite,
}

impl ExistingColumns {
    /// As the switch that is called so everywhere says.
    pub fn overwritten(overwrite: bool) -> Self {
        if overwrite { Self::Overwrite } else { Self::Refuse }
    }
}

/// Which column is restored, and into which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSettings {
    /// Name of the column of texts.
    pub column: String,
    /// What to do with columns that are there already.
    pub existing: ExistingColumns,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self { column: DEFAULT_COLUMN.to_owned(), existing: ExistingColumns::default() }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Rows read, and as many written.
    pub rows: u64,
    /// Rows with a restored text.
    pub restored: u64,
    /// Restored rows whose text changed.
    pub changed: u64,
    /// Edits in all rows.
    pub edits: u64,
    /// Rows without a text; they stay so.
    pub nulls: u64,
    /// Rows that are bad, or whose text the model failed on; the column `error` says why.
    pub failed: u64,
}

impl Summary {
    /// Adds what was done elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.restored += other.restored;
        self.changed += other.changed;
        self.edits += other.edits;
        self.nulls += other.nulls;
        self.failed += other.failed;
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, restored, changed, edits, nulls, failed } = self;
        write!(
            f,
            "{rows} rows: {restored} restored ({changed} changed by {edits} edits), {nulls} null, {failed} failed"
        )
    }
}

/// Whoever watches the work and may stop it.
pub trait Watch {
    /// Work on `rows` rows begins.
    fn start(&mut self, rows: u64);
    /// `rows` more rows are done; it may be told of none.
    fn advance(&mut self, rows: u64);
    /// A unit of `rows` more rows was finished before.
    fn skip(&mut self, rows: u64, _tally: &Tally) {
        self.advance(rows);
    }
    /// A unit is finished, whose rows were told.
    fn unit(&mut self, _tally: &Tally) {}
    /// The flag that stops the work when it is set: nothing is written then.
    fn stop_flag(&self) -> &AtomicBool;
}
