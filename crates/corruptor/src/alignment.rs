//! Minimal alignments: what differs between an original and a corrupted text whose making nobody logged.

mod band;
mod path;

use std::collections::HashMap;

use crate::distance::grapheme_distance;
use crate::event::Event;
use crate::grapheme::graphemes;
use crate::op::EventOp;
use path::Changed;

/// The events of op [`edit`](EventOp::Edit) that lead from `original` to `corrupted`: a minimal alignment in graphemes
/// (Levenshtein, unit costs), adjacent changed graphemes merged into one event.
///
/// It is canonical: read from the end, equal graphemes are always kept, else a substitution goes before a deletion, and that
/// before an insertion. So no event could lie further left with the same effect (of `ll`, the first `l` was lost), and none
/// begins or ends with a grapheme that its replacement begins or ends with.
///
/// With n and m graphemes and d edits, time is O(m·d / 64) (at most O(n·m / 64)) and memory O(n + √m·d) words.
///
/// # Panics
/// If `original` has 4 GiB or more (offsets are 32-bit).
pub fn align(original: &str, corrupted: &str) -> Vec<Event> {
    assert!(u32::try_from(original.len()).is_ok(), "a text of 4 GiB or more must be cut into passages first");
    if original == corrupted {
        return Vec::new();
    }
    let mut ids = HashMap::new();
    let (from, to) = (Symbols::of(original, &mut ids), Symbols::of(corrupted, &mut ids));
    let edits = grapheme_distance(original, corrupted);
    let changed = path::changes(&from.ids, &to.ids, edits);
    let event = |Changed { from: removed, to: put }: Changed| {
        let removed = from.ends[removed.start]..from.ends[removed.end];
        Event {
            op: EventOp::Edit,
            start: removed.start as u32,
            length: removed.len() as u32,
            removed: original[removed].to_owned(),
            replacement: corrupted[to.ends[put.start]..to.ends[put.end]].to_owned(),
        }
    };
    changed.into_iter().map(event).collect()
}

/// A text as numbers, equal for equal graphemes.
struct Symbols {
    ids: Vec<u32>,
    /// Byte offset before each grapheme, then the length of the text.
    ends: Vec<usize>,
}

impl Symbols {
    fn of<'t>(text: &'t str, known: &mut HashMap<&'t str, u32>) -> Self {
        let (mut ids, mut ends) = (Vec::new(), vec![0]);
        let mut end = 0;
        for grapheme in graphemes(text) {
            let next = known.len() as u32;
            ids.push(*known.entry(grapheme).or_insert(next));
            end += grapheme.len();
            ends.push(end);
        }
        Self { ids, ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{invert, replay};
    use crate::grapheme::grapheme_count;
    use proptest::prelude::*;

    fn aligned(original: &str, corrupted: &str) -> Vec<(u32, String, String)> {
        let events = align(original, corrupted);
        assert_eq!(replay(original, &events).unwrap(), corrupted);
        events.into_iter().map(|e| (e.start, e.removed, e.replacement)).collect()
    }

    fn edit(start: u32, removed: &str, replacement: &str) -> (u32, String, String) {
        (start, removed.into(), replacement.into())
    }

    #[test]
    fn differences_are_the_ones_a_reader_sees() {
        assert_eq!(aligned("modern", "modem"), [edit(4, "rn", "m")]);
        assert_eq!(aligned("the cat sat", "teh cat sat."), [edit(1, "he", "eh"), edit(11, "", ".")]);
        assert_eq!(aligned("cafe\u{301} noir", "cafe noir"), [edit(3, "e\u{301}", "e")]);
        assert_eq!(aligned("a\r\nb", "a\nb"), [edit(1, "\r\n", "\n")]);
        assert_eq!(aligned("abc", ""), [edit(0, "abc", "")]);
        assert_eq!(aligned("", "abc"), [edit(0, "", "abc")]);
        assert_eq!(aligned("same", "same"), []);
    }

    #[test]
    fn ties_go_leftmost() {
        assert_eq!(aligned("hello", "helo"), [edit(2, "l", "")]);
        assert_eq!(aligned("helo", "hello"), [edit(2, "", "l")]);
        assert_eq!(aligned("banana", "bana"), [edit(1, "an", "")]);
    }

    /// The whole matrix, walked back by the documented preferences.
    fn reference(a: &[&str], b: &[&str]) -> Vec<(String, String)> {
        let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                d[i][j] = match (i, j) {
                    (0, j) => j,
                    (i, 0) => i,
                    (i, j) => (d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                        .min(d[i - 1][j] + 1)
                        .min(d[i][j - 1] + 1),
                };
            }
        }
        let (mut i, mut j, mut joined) = (a.len(), b.len(), false);
        let mut events: Vec<(String, String)> = Vec::new();
        while i + j > 0 {
            if i > 0 && j > 0 && a[i - 1] == b[j - 1] {
                (i, j, joined) = (i - 1, j - 1, false);
                continue;
            }
            if !std::mem::replace(&mut joined, true) {
                events.push((String::new(), String::new()));
            }
            let event = events.last_mut().unwrap();
            let substituted = i > 0 && j > 0 && d[i - 1][j - 1] + 1 == d[i][j];
            let deleted = !substituted && i > 0 && d[i - 1][j] + 1 == d[i][j];
            if substituted || deleted {
                event.0.insert_str(0, a[i - 1]);
                i -= 1;
            }
            if !deleted {
                event.1.insert_str(0, b[j - 1]);
                j -= 1;
            }
        }
        events.reverse();
        events
    }

    fn agrees(original: &str, corrupted: &str) {
        let events = align(original, corrupted);
        assert_eq!(replay(original, &events).unwrap(), corrupted);
        assert_eq!(invert(corrupted, &events).unwrap(), original);
        let (a, b): (Vec<_>, Vec<_>) = (graphemes(original).collect(), graphemes(corrupted).collect());
        let found: Vec<_> = events.iter().map(|e| (e.removed.clone(), e.replacement.clone())).collect();
        assert_eq!(found, reference(&a, &b));
        let cost = |event: &Event| grapheme_count(&event.removed).max(grapheme_count(&event.replacement));
        assert_eq!(events.iter().map(cost).sum::<usize>(), grapheme_distance(original, corrupted));
    }

    proptest! {
        #[test]
        fn short_texts_align_as_the_whole_matrix_says(a in "([ab]|e\u{301}|🇩🇪|\r\n){0,14}", b in "([ab]|e\u{301}|🇩🇪|\r\n){0,14}") {
            agrees(&a, &b);
        }

        #[test]
        fn words_and_checkpoints_do_not_show(
            a in "[a-d]{60,400}",
            edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..90, "[a-e]{0,70}"), 0..6),
        ) {
            let mut b = a.clone();
            for (at, length, replacement) in &edits {
                let start = at.index(b.len() + 1);
                let end = (start + length).min(b.len());
                b.replace_range(start..end, replacement);
            }
            agrees(&a, &b);
        }
    }
}
