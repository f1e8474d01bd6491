//! The record keys of real pairs, and the split of each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::run::ImportSplit;
use crate::documents::digest;
use crate::split::{Split, document_id, split_of};

/// The key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) doc_id: String,
    pub(super) start: u64,
    pub(super) copy: u32,
    pub(super) split: Split,
}

/// What has been given to the rows so far: about 60 bytes for each different text.
#[derive(Default)]
pub(super) struct Keys {
    /// Digest of a text → its split.
    splits: HashMap<u128, Split>,
    /// Digest of source, document and text → where the text starts in its document, and how many rows have it.
    texts: HashMap<u128, (u64, u32)>,
    /// Digest of source and document → bytes of its texts.
    ends: HashMap<u128, u64>,
}

impl Keys {
    /// The key of the next row with this original; `None` if the text stands under another id in another split.
    ///
    /// Without an id, a text is a document of its own. With one, the document is made of its rows, one after the other. A text
    /// that comes again is another copy of the same passage.
    pub(super) fn next(
        &mut self,
        source: &str,
        doc_id: Option<String>,
        text: &str,
        how: ImportSplit,
    ) -> Option<Key> {
        let split = match how {
            ImportSplit::All(split) => split,
            ImportSplit::ByDocument(shares) => split_of(doc_id.as_deref().unwrap_or(text), shares),
        };
        if *self.splits.entry(digest(&[text])).or_insert(split) != split {
            return None;
        }
        let doc_id = doc_id.unwrap_or_else(|| document_id(text));
        let (start, copy) = match self.texts.entry(digest(&[source, &doc_id, text])) {
            Entry::Occupied(mut known) => {
                let (start, rows) = known.get_mut();
                *rows += 1;
                (*start, *rows - 1)
            }
            Entry::Vacant(new) => {
                let end = self.ends.entry(digest(&[source, &doc_id])).or_default();
                let start = *end;
                *end += text.len() as u64;
                new.insert((start, 1));
                (start, 0)
            }
        };
        Some(Key { doc_id, start, copy, split })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::SplitShares;

    #[test]
    fn rows_of_a_document_follow_each_other_and_repeated_texts_are_copies() {
        let mut keys = Keys::default();
        let mut key = |id: Option<&str>, text: &str| {
            let key = keys.next("s", id.map(str::to_owned), text, ImportSplit::All(Split::Test)).unwrap();
            (key.doc_id, key.start, key.copy)
        };
        assert_eq!(key(Some("a"), "one"), ("a".into(), 0, 0));
        assert_eq!(key(Some("a"), "three"), ("a".into(), 3, 0));
        assert_eq!(key(Some("a"), "one"), ("a".into(), 0, 1));
        assert_eq!(key(None, "one"), (document_id("one"), 0, 0));
        assert_eq!(key(None, "one"), (document_id("one"), 0, 1));
    }

    #[test]
    fn neither_a_document_nor_a_text_crosses_splits() {
        let mut keys = Keys::default();
        let how = ImportSplit::ByDocument(SplitShares { valid: 0.3, test: 0.4 });
        let (mut of_id, mut of_text) = (HashMap::new(), HashMap::new());
        let mut refused = 0;
        for row in 0..400 {
            let (id, text) = (format!("d{}", row % 23), format!("text {}", row % 37));
            match keys.next("s", Some(id.clone()), &text, how) {
                Some(key) => {
                    assert_eq!(*of_id.entry(id).or_insert(key.split), key.split);
                    assert_eq!(*of_text.entry(text).or_insert(key.split), key.split);
                }
                None => refused += 1,
            }
        }
        assert!(refused > 0 && refused < 300, "{refused}");
    }
}
