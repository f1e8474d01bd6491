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

impl Edit {
    /// The same edit of a text in which everything lies `by` bytes further on; where `by` is negative, further back.
    #[must_use]
    pub fn moved(self, by: isize) -> Self {
        let [start, end] = [self.start, self.end].map(|at| at.wrapping_add_signed(by));
        Self { start, end, ..self }
    }
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

/// Joins two rounds: `first` leads from an input to `intermediate`, `second` from there on; the result leads from the input
/// to the end. Edits that touch each other become one, with the product of their confidences.
///
/// Both lists are sorted, without overlap, and fit their texts.
pub fn compose_edits(intermediate: &str, first: &[Edit], second: &[Edit]) -> Vec<Edit> {
    let mut composed: Vec<Edit> = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.iter().peekable(), second.iter().peekable());
    let mut shift = 0isize; // offset in the intermediate text − offset in the input
    let place = |edit: &Edit, shift: isize| edit.start.wrapping_add_signed(shift);
    loop {
        // A cluster: a range of the intermediate text that edits of either round touch without a break.
        let starts = [first.peek().map(|e| place(e, shift)), second.peek().map(|e| e.start)];
        let Some(start) = starts.into_iter().flatten().min() else { return composed };
        let (mut end, mut confidence, shift_before) = (start, 1.0, shift);
        let mut replacement = String::new();
        let mut copied_to = start;
        loop {
            if let Some(edit) = first.next_if(|e| place(e, shift) <= end) {
                end = end.max(place(edit, shift) + edit.replacement.len());
                shift += edit.replacement.len().cast_signed() - (edit.end - edit.start).cast_signed();
                confidence *= edit.confidence;
            } else if let Some(edit) = second.next_if(|e| e.start <= end) {
                replacement.push_str(&intermediate[copied_to..edit.start]);
                replacement.push_str(&edit.replacement);
                (copied_to, end) = (edit.end, end.max(edit.end));
                confidence *= edit.confidence;
            } else {
                break;
            }
        }
        replacement.push_str(&intermediate[copied_to..end]);
        let (start, end) = (start.wrapping_add_signed(-shift_before), end.wrapping_add_signed(-shift));
        composed.push(Edit { start, end, replacement, confidence });
    }
}

/// Takes what edits have in common with `text` off both their ends, code point by code point; drops those without effect.
pub fn minimize_edits(text: &str, edits: Vec<Edit>) -> Vec<Edit> {
    let shared = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| -> usize {
        a.zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let minimal = edits.into_iter().filter_map(|Edit { start, end, replacement, confidence }| {
        let front = shared(&mut text[start..end].chars(), &mut replacement.chars());
        let (removed, rest) = (&text[start + front..end], &replacement[front..]);
        let back = shared(&mut removed.chars().rev(), &mut rest.chars().rev());
        let replacement = rest[..rest.len() - back].to_owned();
        let (start, end) = (start + front, end - back);
        (start < end || !replacement.is_empty()).then_some(Edit { start, end, replacement, confidence })
    });
    minimal.collect()
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

    /// Edits over `text` from pairs of (position, length, replacement), clamped into order and onto code points.
    fn edits(text: &str, raw: &[(usize, usize, String)]) -> Vec<Edit> {
        let floor = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let mut raw = raw.to_vec();
        raw.sort();
        let mut after = 0;
        let mut edits = Vec::new();
        for (at, length, replacement) in raw {
            let (start, end) = (floor(at % (text.len() + 1)), floor(at % (text.len() + 1) + length));
            if start >= after {
                edits.push(Edit { start, end, replacement, confidence: 0.5 });
                after = end + 1;
            }
        }
        edits
    }

    proptest::proptest! {
        #[test]
        fn composition_is_one_after_the_other(
            text in "[a-cé]{0,20}",
            first in proptest::collection::vec((0usize..25, 0usize..4, "[x-z]{0,3}"), 0..5),
            second in proptest::collection::vec((0usize..25, 0usize..4, "[p-rü]{0,3}"), 0..5),
        ) {
            let first = edits(&text, &first);
            let middle = apply_edits(&text, &first).unwrap();
            let second = edits(&middle, &second);
            let end = apply_edits(&middle, &second).unwrap();
            let composed = compose_edits(&middle, &first, &second);
            proptest::prop_assert_eq!(&apply_edits(&text, &composed).unwrap(), &end);
            proptest::prop_assert_eq!(&apply_edits(&text, &minimize_edits(&text, composed)).unwrap(), &end);
        }
    }

    #[test]
    fn minimal_edits_share_nothing_with_the_text() {
        let edit = Edit { start: 0, end: 5, replacement: "help".into(), confidence: 0.5 };
        let minimal = minimize_edits("hello", vec![edit]);
        assert_eq!(minimal, [Edit { start: 3, end: 5, replacement: "p".into(), confidence: 0.5 }]);
        let none = Edit { start: 1, end: 2, replacement: "e".into(), confidence: 0.5 };
        assert!(minimize_edits("hello", vec![none]).is_empty());
    }

    #[test]
    fn confidences_multiply_where_rounds_touch() {
        let edit = |start, end, r: &str| Edit { start, end, replacement: r.into(), confidence: 0.5 };
        let composed = compose_edits("abXYcd", &[edit(2, 2, "XY")], &[edit(4, 4, "Z"), edit(6, 6, "!")]);
        assert_eq!(composed.iter().map(|e| e.confidence).collect::<Vec<_>>(), [0.25, 0.5]);
        assert_eq!(composed[0].replacement, "XYZ");
    }
}
