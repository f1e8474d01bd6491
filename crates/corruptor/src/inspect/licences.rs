//! The licences of sources, as a corpus states them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::statistics::SOURCES_KEPT;
use crate::documents::{Column, DocumentOptions, Documents, Record};
use crate::io_error::IoError;

/// Licences by source.
pub type Licences = BTreeMap<String, BTreeSet<String>>;

/// Reads the columns `source` and `licence` of a corpus: a directory of Parquet files, or one of them.
///
/// # Errors
/// If a file cannot be read or lacks one of the columns.
pub fn licences(corpus: &Path) -> Result<Licences, IoError> {
    // A licence is read as the text of a document.
    let options = DocumentOptions {
        text_column: "licence".to_owned(),
        id_column: Column::Ignored,
        source_column: Column::Required("source".to_owned()),
        ..DocumentOptions::default()
    };
    let mut licences = Licences::new();
    for record in Documents::open(&[corpus.to_path_buf()], options)? {
        if let Record::Document(row) = record? {
            let source = row.source.unwrap_or_default();
            if licences.len() < SOURCES_KEPT || licences.contains_key(&source) {
                licences.entry(source).or_default().insert(row.text);
            }
        }
    }
    Ok(licences)
}
