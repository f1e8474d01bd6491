//! Files of texts, restored: Parquet in, Parquet out, row group by row group.
//!
//! # Layout
//! - `plan` checks the columns and decides where the new ones go.
//! - `text_column` reads texts out of any string column.
//! - `rows` forms batches of texts by tokens and restores them.
//! - `results` builds the new columns.
//! - `file` and `paths` stream one file, or every file of a directory.

mod error;
mod file;
mod paths;
mod plan;
mod results;
mod rows;
#[cfg(test)]
mod tests;
mod text_column;

pub use error::BatchError;
pub use paths::restore_paths;

use std::sync::atomic::AtomicBool;

use restorer::RestoreOptions;

use crate::scheduler::Limits;

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

/// How files are restored.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchSettings {
    /// Name of the column of texts.
    pub column: String,
    /// What to do with columns that are there already.
    pub existing: ExistingColumns,
    /// Options of every text.
    pub options: RestoreOptions,
    /// Tokens that the model gets at a time; a single longer text goes alone.
    pub batch_tokens: usize,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            column: DEFAULT_COLUMN.to_owned(),
            existing: ExistingColumns::default(),
            options: RestoreOptions::default(),
            batch_tokens: Limits::DEFAULT_BATCH_TOKENS,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    /// Rows whose text the model failed on; the column `error` says why.
    pub failed: u64,
}

impl Summary {
    fn add(&mut self, other: &Self) {
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
    /// `rows` more rows are done.
    fn advance(&mut self, rows: u64);
    /// The flag that stops the work when it is set: nothing is written then.
    fn stop_flag(&self) -> &AtomicBool;
}
