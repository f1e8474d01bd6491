//! Exact duplicates are one document, and an id stands for one text.

use std::collections::HashSet;

use super::Place;
use crate::io_error::IoError;

/// The texts and ids seen so far, as 128-bit digests: 16 bytes a document, and 16 more where it brings an id.
#[derive(Clone, Debug, Default)]
pub struct UniqueDocuments {
    texts: HashSet<u128>,
    ids: HashSet<u128>,
}

impl UniqueDocuments {
    /// Whether the text is new; `doc_id` is the id that the input gives it, if any.
    ///
    /// # Errors
    /// If the text is new, but its id has been given to another text of the same source.
    pub fn admit(
        &mut self,
        source: &str,
        doc_id: Option<&str>,
        text: &str,
        place: &Place,
    ) -> Result<bool, IoError> {
        if !self.texts.insert(digest(&[text])) {
            return Ok(false);
        }
        match doc_id {
            Some(doc_id) if !self.ids.insert(digest(&[source, doc_id])) => Err(IoError::AmbiguousId {
                place: Box::new(place.clone()),
                source_name: source.to_owned(),
                doc_id: doc_id.to_owned(),
            }),
            _ => Ok(true),
        }
    }
}

/// The first 128 bits of BLAKE3 over texts, each with its length.
pub(crate) fn digest(texts: &[&str]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(first)
}
