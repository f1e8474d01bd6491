//! Exact duplicates are one document, and an id stands for one text.

use std::path::Path;

use super::Place;
use super::digests::DigestSet;
use crate::io_error::IoError;

/// The texts and ids seen so far, as 128-bit digests: in memory up to a bound, then in a file without a name.
#[derive(Debug, Default)]
pub struct UniqueDocuments {
    texts: DigestSet,
    ids: DigestSet,
}

impl UniqueDocuments {
    /// Keeps what exceeds the bound in memory in this directory; the default is the system's directory for such.
    pub fn spilling_into(directory: &Path) -> Self {
        Self { texts: DigestSet::spilling_into(directory), ids: DigestSet::spilling_into(directory) }
    }

    /// Whether the text is new; `doc_id` is the id that the input gives it, if any.
    ///
    /// # Errors
    /// If the text is new, but its id has been given to another text of the same source; if the disk is full.
    pub fn admit(
        &mut self,
        source: &str,
        doc_id: Option<&str>,
        text: &str,
        place: &Place,
    ) -> Result<bool, IoError> {
        self.admit_hashed(source, doc_id, &blake3::hash(text.as_bytes()), place)
    }

    /// [`admit`](Self::admit) for the text with this BLAKE3.
    pub(crate) fn admit_hashed(
        &mut self,
        source: &str,
        doc_id: Option<&str>,
        text: &blake3::Hash,
        place: &Place,
    ) -> Result<bool, IoError> {
        if !self.texts.insert(first_half(text))? {
            return Ok(false);
        }
        match doc_id {
            Some(doc_id) if !self.ids.insert(digest(&[source, doc_id]))? => Err(IoError::AmbiguousId {
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
    first_half(&hasher.finalize())
}

fn first_half(hash: &blake3::Hash) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(first)
}
