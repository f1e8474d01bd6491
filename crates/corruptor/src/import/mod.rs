//! Real pairs into the pair schema: damaged and clean lines, or columns of CSV, JSON lines or Parquet files.
//!
//! Row n of one file belongs to row n of the other. What differs becomes events of op `edit` by [`align`](crate::align); the
//! noise level is null, because nobody drew one. Each row is a document, or a piece of the one that its id column names, and
//! is kept whole, however long.

mod keys;
mod rows;
mod run;

pub use run::{ImportOptions, ImportSplit, ImportSummary, Texts, import};
