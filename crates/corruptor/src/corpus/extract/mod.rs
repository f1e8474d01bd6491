//! Extraction: files of several formats become documents of running prose.
//!
//! The functions over texts are pure; what a tool has to read first ([`sword`], [`rdata`]) is read in [`files`].

mod files;
pub mod html;
mod prose;
mod rdata;
pub mod sword;
pub mod text;

pub(super) use files::{Failure, documents_of, is_extractable};
pub use prose::{MIN_PARAGRAPH_CHARS, is_prose, tidy};

/// A document on its way into the corpus: a page or a chapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Which part of its file it is; empty for the whole file.
    pub part: String,
    /// Its paragraphs of running prose, in their order, each on one line.
    pub paragraphs: Vec<String>,
}
