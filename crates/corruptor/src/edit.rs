//! Edits: replacements over an input text, with a confidence each.

use serde::{Deserialize, Serialize};

/// Replace `start..end` (bytes of the input) by `replacement`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// First byte of the input that is replaced.
    pub start: usize,
    /// One past the last byte that is replaced; equal to `start` for an insertion.
    pub end: usize,
    /// What comes there instead.
    pub replacement: String,
    /// Probability that the edit is right, in [0, 1].
    pub confidence: f32,
}

/// Why edits do not fit a text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EditError {
    /// Edits must be sorted and must not overlap.
    #[error("edit {index} ({start}..{end}) starts before its predecessor ends at byte {after}")]
    Order {
        /// Index of the edit in the list.
        index: usize,
        /// Its first byte.
        start: usize,
        /// One past its last byte.
        end: usize,
        /// End of its predecessor.
        after: usize,
    },
    /// The range is outside the text or cuts a code point.
    #[error("edit {index} ({start}..{end}) is no range of code points of a text of {length} bytes")]
    Range {
        /// Index of the edit in the list.
        index: usize,
        /// Its first byte.
        start: usize,
        /// One past its last byte.
        end: usize,
        /// Bytes of the text.
        length: usize,
    },
}

/// Applies sorted, non-overlapping `edits` to `text`.
///
/// # Errors
/// If edits overlap, are unsorted, or do not lie on code point boundaries of `text`.
pub fn apply_edits(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut out = String::with_capacity(text.len());
    let mut after = 0;
    for (index, &Edit { start, end, ref replacement, .. }) in edits.iter().enumerate() {
        if start < after {
            return Err(EditError::Order { index, start, end, after });
        }
        let range_error = EditError::Range { index, start, end, length: text.len() };
        let Some(kept) = text.get(after..start) else { return Err(range_error) };
        if text.get(start..end).is_none() {
            return Err(range_error);
        }
        out.push_str(kept);
        out.push_str(replacement);
        after = end;
    }
    out.push_str(&text[after..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_replace_and_insert() {
        let edit = |start, end, r: &str| Edit { start, end, replacement: r.into(), confidence: 1.0 };
        assert_eq!(apply_edits("helo wörld!", &[edit(3, 3, "l"), edit(6, 8, "o")]).unwrap(), "hello world!");
        assert!(matches!(apply_edits("wörld", &[edit(1, 2, "")]), Err(EditError::Range { .. })));
        assert!(matches!(
            apply_edits("abc", &[edit(1, 2, ""), edit(0, 1, "")]),
            Err(EditError::Order { .. })
        ));
    }
}
