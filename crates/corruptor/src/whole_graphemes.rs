//! Edits that neither begin nor end inside of a grapheme.

use crate::edit::{Edit, apply_edits};
use crate::grapheme::{graphemes, is_bytewise};

/// Widens edits until they begin and end between graphemes of `text` and of what they make of it; those that meet on the way become
/// one, as sure as the least sure. What they make of `text` stays the same. Edits that do not fit `text` are given back.
pub fn widen_edits(text: &str, edits: Vec<Edit>) -> Vec<Edit> {
    if edits.is_empty() || is_bytewise(text) && edits.iter().all(|edit| is_bytewise(&edit.replacement)) {
        return edits;
    }
    let Ok(output) = apply_edits(text, &edits) else { return edits };
    let (input, output) = (Boundaries::of(text), Boundaries::of(&output));
    let mut widened: Vec<Placed> = Vec::with_capacity(edits.len());
    let mut shift = 0isize; // offset in the output − offset in the input
    let mut edits = edits.into_iter().peekable();
    while let Some(edit) = edits.next() {
        let mut at = Placed { out: edit.start.wrapping_add_signed(shift), edit };
        shift += growth(&at.edit);
        while !(input.has(at.edit.start) && output.has(at.out)) {
            match widened.pop_if(|before| before.edit.end == at.edit.start) {
                Some(before) => at = before.joined(&at.edit),
                None => at.step_left(text),
            }
        }
        loop {
            let end = at.edit.end;
            if input.has(end) && output.has(end.wrapping_add_signed(shift)) {
                break;
            }
            match edits.next_if(|next| next.start == end) {
                Some(next) => {
                    shift += growth(&next);
                    at = at.joined(&next);
                }
                None => at.step_right(text),
            }
        }
        widened.push(at);
    }
    widened.into_iter().map(|placed| placed.edit).collect()
}

/// How many bytes an edit adds.
fn growth(edit: &Edit) -> isize {
    edit.replacement.len().cast_signed() - (edit.end - edit.start).cast_signed()
}

/// An edit, and where what it puts begins in the output.
struct Placed {
    edit: Edit,
    out: usize,
}

impl Placed {
    /// Together with an edit that begins where this one ends.
    fn joined(mut self, next: &Edit) -> Self {
        self.edit.end = next.end;
        self.edit.replacement.push_str(&next.replacement);
        self.edit.confidence = self.edit.confidence.min(next.confidence);
        self
    }

    /// Takes the code point before it in; at the beginning of a text there is a boundary.
    fn step_left(&mut self, text: &str) {
        let before = text[..self.edit.start].chars().next_back();
        if let Some(before) = before {
            self.edit.start -= before.len_utf8();
            self.out -= before.len_utf8();
            self.edit.replacement.insert(0, before);
        }
    }

    /// Takes the code point behind it in; at the end of a text there is a boundary.
    fn step_right(&mut self, text: &str) {
        if let Some(behind) = text[self.edit.end..].chars().next() {
            self.edit.end += behind.len_utf8();
            self.edit.replacement.push(behind);
        }
    }
}

/// Where graphemes begin and end.
struct Boundaries(Vec<usize>);

impl Boundaries {
    fn of(text: &str) -> Self {
        let ends = graphemes(text).scan(0, |end, grapheme| {
            *end += grapheme.len();
            Some(*end)
        });
        Self(std::iter::once(0).chain(ends).collect())
    }

    fn has(&self, at: usize) -> bool {
        self.0.binary_search(&at).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edit(start: usize, end: usize, replacement: &str) -> Edit {
        Edit { start, end, replacement: replacement.to_owned(), confidence: 0.5 }
    }

    #[test]
    fn a_grapheme_is_changed_as_a_whole() {
        // A line feed put behind a carriage return joins it; so does an accent the letter before it.
        assert_eq!(widen_edits("a\rb", vec![edit(2, 2, "\n")]), [edit(1, 2, "\r\n")]);
        assert_eq!(widen_edits("ae", vec![edit(2, 2, "\u{301}")]), [edit(1, 2, "e\u{301}")]);
        // Half a flag is taken away: the flags behind it are others.
        assert_eq!(widen_edits("🇩🇪🇫", vec![edit(0, 4, "")]), [edit(0, 12, "🇪🇫")]);
        assert_eq!(widen_edits("plain", vec![edit(0, 1, "P")]), [edit(0, 1, "P")]);
        let wild = vec![edit(3, 9, "é")];
        assert_eq!(widen_edits("abc", wild.clone()), wild);
    }

    proptest! {
        #[test]
        fn the_output_stays_and_no_grapheme_is_cut(
            text in "(\\PC|[\u{301}\u{200d}\r\n]|👩|🇩|가|ᄀ|ᅡ){0,16}",
            raw in prop::collection::vec((0usize..40, 0usize..6, "(\u{301}|\u{200d}|\n|🇩|[ae]|ᅡ){0,3}"), 0..6),
        ) {
            let floor = |at: usize| text.floor_char_boundary(at);
            let (mut edits, mut after) = (Vec::new(), 0);
            let mut raw = raw;
            raw.sort();
            for (at, length, replacement) in raw {
                let (start, end) = (floor(at).max(after), floor(at + length));
                if start <= end {
                    edits.push(edit(start, end, &replacement));
                    after = end;
                }
            }
            let expected = apply_edits(&text, &edits).unwrap();
            let widened = widen_edits(&text, edits);
            prop_assert_eq!(apply_edits(&text, &widened).unwrap(), expected.clone());
            let (input, output) = (Boundaries::of(&text), Boundaries::of(&expected));
            let mut shift = 0isize;
            for edit in &widened {
                prop_assert!(input.has(edit.start) && input.has(edit.end), "{:?}", edit);
                let out = edit.start.wrapping_add_signed(shift);
                prop_assert!(output.has(out) && output.has(out + edit.replacement.len()), "{:?}", edit);
                shift += growth(edit);
            }
        }
    }
}
