//! Passages and the pairs made from them.

use serde::{Deserialize, Serialize};

use crate::event::Event;

/// A piece of a document that is corrupted as one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage<'a> {
    /// Corpus name.
    pub source: &'a str,
    /// The document's id.
    pub doc_id: &'a str,
    /// Byte offset of the passage in its document.
    pub start: u64,
    /// The original text.
    pub text: &'a str,
}

/// An original, its corruption, and the log that leads from one to the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// [`crate::pair_id`] of the record key and the copy.
    pub id: u64,
    /// The document's id; a document never crosses splits.
    pub doc_id: String,
    /// Corpus name.
    pub source: String,
    /// Byte offset of the passage in its document.
    pub start: u64,
    /// Which corruption of this passage.
    pub copy: u32,
    /// The noise level drawn for it; 0 for clean, `None` for a real pair, which nobody drew.
    pub noise: Option<f32>,
    /// The text before corruption.
    pub original: String,
    /// The text after corruption.
    pub corrupted: String,
    /// What happened, in order; replaying it over `original` gives `corrupted` byte for byte.
    pub events: Vec<Event>,
    /// Levenshtein distance in graphemes over the graphemes of `original`.
    pub cer: f32,
}
