//! Labels: what each byte and each gap of a corrupted text should become, from the exact event log.
//!
//! They are canonical, so that one corrupted text has one right answer whatever made it: what was deleted is put back at
//! its leftmost place, what was inserted is taken away at its leftmost place, of a duplication the second copy goes, and
//! substitutions and reversals are replaced byte by byte.

use corruptor::{Event, EventError, EventOp, Op, Pair, replay};

/// Class of a byte that stays.
pub(super) const KEEP: u32 = 0;
/// Class of a byte that goes.
pub(super) const DELETE: u32 = 1;
/// Class of a byte that becomes 0; the others follow.
pub(super) const REPLACE: u32 = 2;
/// Number of byte classes.
pub(super) const BYTE_CLASSES: usize = 258;
/// Class of a gap slot that receives nothing; byte b is class b + 1.
pub(super) const NOTHING: u32 = 0;
/// Number of classes of a gap slot.
pub(super) const GAP_CLASSES: usize = 257;

/// A labelled window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// The window's bytes.
    pub(super) text: Vec<u8>,
    /// A class for each byte.
    pub(super) bytes: Vec<u32>,
    /// What gaps receive: (index of the byte after the gap, bytes), sorted.
    pub(super) gaps: Vec<(usize, Vec<u8>)>,
}

/// Replace `start..end` of the current text by `target`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fix {
    start: usize,
    end: usize,
    target: String,
}

/// The examples of a pair: the corrupted text, then the half-restored texts that a model with `slots` bytes a gap leaves;
/// each cut into windows of at most `window_bytes`.
pub(super) fn examples(pair: &Pair, slots: usize, window_bytes: usize) -> Result<Vec<Example>, EventError> {
    let mut text = replay(&pair.original, &pair.events)?;
    let mut fixes = fixes(&text, &pair.events);
    let mut examples = Vec::new();
    loop {
        let (example, next, rest) = label(&text, &fixes, slots);
        cut(example, &text, window_bytes, &mut examples);
        if rest.is_empty() {
            return Ok(examples);
        }
        (text, fixes) = (next, rest);
    }
}

/// Undoes each event over the corrupted text, in canonical places.
fn fixes(text: &str, events: &[Event]) -> Vec<Fix> {
    let mut fixes = Vec::with_capacity(events.len());
    let mut shift = 0isize; // corrupted offset − original offset
    let mut barrier = 0; // nothing moves left of the end of the event before
    for event in events {
        let start = (event.start as usize).wrapping_add_signed(shift);
        let end = start + event.replacement.len();
        let Event { op, removed, replacement, .. } = event;
        fixes.push(match op {
            EventOp::Channel(Op::Duplication) => {
                leftmost_deletion(text, start + removed.len(), end, barrier, removed.len())
            }
            // Of an edit nobody knows the operation; what it took and what it put there say enough.
            _ if replacement.is_empty() => leftmost_insertion(text, start, removed, barrier),
            _ if removed.is_empty() => leftmost_deletion(text, start, end, barrier, 0),
            _ => Fix { start, end, target: removed.clone() },
        });
        barrier = end;
        shift += event.replacement.len().cast_signed() - event.removed.len().cast_signed();
    }
    fixes
}

/// Putting `removed` in before byte `at`, moved left while the text stays the same.
fn leftmost_insertion(text: &str, mut at: usize, removed: &str, barrier: usize) -> Fix {
    let mut target = removed.to_owned();
    while let Some(before) = text[barrier..at].chars().next_back() {
        if !target.ends_with(before) {
            break;
        }
        target.truncate(target.len() - before.len_utf8());
        target.insert(0, before);
        at -= before.len_utf8();
    }
    Fix { start: at, end: at, target }
}

/// Taking `start..end` away, moved left while the text stays the same; with `copy` > 0 only as long as the `copy` bytes
/// before it are a first copy.
fn leftmost_deletion(text: &str, mut start: usize, mut end: usize, barrier: usize, copy: usize) -> Fix {
    while let (Some(before), Some(last)) =
        (text[barrier..start].chars().next_back(), text[start..end].chars().next_back())
    {
        let first_copy_begins = start - copy <= barrier;
        let repeats = copy == 0 || text[barrier..start - copy].ends_with(before);
        if before != last || (copy > 0 && first_copy_begins) || !repeats {
            break;
        }
        start -= before.len_utf8();
        end -= before.len_utf8();
    }
    Fix { start, end, target: String::new() }
}

/// Labels `text` with as much of `fixes` as one round can do; returns the text after it and the fixes that remain.
fn label(text: &str, fixes: &[Fix], slots: usize) -> (Example, String, Vec<Fix>) {
    let mut example =
        Example { text: text.as_bytes().to_vec(), bytes: vec![KEEP; text.len()], gaps: Vec::new() };
    let (mut next, mut rest) = (String::with_capacity(text.len() + 16), Vec::new());
    let mut copied_to = 0;
    for fix in fixes {
        let paired = (fix.end - fix.start).min(fix.target.len());
        let used = example.gaps.last().filter(|(gap, _)| *gap == fix.end).map_or(0, |(_, bytes)| bytes.len());
        let reach = fix.target.len().min(paired + slots - used);
        let Some(done) = (paired..=reach).rev().find(|&to| fix.target.is_char_boundary(to)) else { continue };
        for (i, class) in example.bytes[fix.start..fix.end].iter_mut().enumerate() {
            let wanted = fix.target.as_bytes().get(i).copied();
            *class = match wanted {
                None => DELETE,
                Some(byte) if byte == example.text[fix.start + i] => KEEP,
                Some(byte) => REPLACE + u32::from(byte),
            };
        }
        let inserted = &fix.target.as_bytes()[paired..done];
        if !inserted.is_empty() {
            match example.gaps.last_mut() {
                Some((gap, bytes)) if *gap == fix.end => bytes.extend_from_slice(inserted),
                _ => example.gaps.push((fix.end, inserted.to_vec())),
            }
        }
        next.push_str(&text[copied_to..fix.start]);
        next.push_str(&fix.target[..done]);
        copied_to = fix.end;
        if done < fix.target.len() {
            rest.push(Fix { start: next.len(), end: next.len(), target: fix.target[done..].to_owned() });
        }
    }
    next.push_str(&text[copied_to..]);
    (example, next, rest)
}

/// Cuts a labelled text into windows at code points. The gap at a cut belongs to the window on its right.
fn cut(example: Example, text: &str, window_bytes: usize, windows: &mut Vec<Example>) {
    if example.text.len() <= window_bytes {
        windows.push(example);
        return;
    }
    let mut gaps = example.gaps.into_iter().peekable();
    let mut start = 0;
    while start < text.len() {
        let mut end = (start + window_bytes).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut window = Example {
            text: example.text[start..end].to_vec(),
            bytes: example.bytes[start..end].to_vec(),
            gaps: Vec::new(),
        };
        while let Some((gap, bytes)) = gaps.next_if(|(gap, _)| *gap < end || end == text.len()) {
            window.gaps.push((gap - start, bytes));
        }
        windows.push(window);
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corruptor::{Channel, CorruptSettings, Passage};
    use proptest::prelude::*;

    /// What the labels say the text should become.
    fn applied(example: &Example) -> Vec<u8> {
        let mut out = Vec::new();
        for at in 0..=example.text.len() {
            if let Some((_, bytes)) = example.gaps.iter().find(|(gap, _)| *gap == at) {
                out.extend_from_slice(bytes);
            }
            match example.bytes.get(at) {
                None | Some(&DELETE) => {}
                Some(&KEEP) => out.push(example.text[at]),
                Some(&class) => out.push((class - REPLACE) as u8),
            }
        }
        out
    }

    fn pair(original: &str, op: impl Into<EventOp>, start: u32, removed: &str, replacement: &str) -> Pair {
        let (removed, replacement) = (removed.to_owned(), replacement.to_owned());
        let events = vec![Event { op: op.into(), start, length: removed.len() as u32, removed, replacement }];
        Pair {
            id: 0,
            doc_id: String::new(),
            source: String::new(),
            start: 0,
            copy: 0,
            noise: None,
            original: original.into(),
            corrupted: replay(original, &events).unwrap(),
            events,
            cer: 0.0,
        }
    }

    fn first(pair: &Pair) -> Example {
        examples(pair, 4, 512).unwrap().remove(0)
    }

    #[test]
    fn ties_go_leftmost() {
        // "hello" without its second l: the l is put back before the first one.
        assert_eq!(first(&pair("hello", Op::Deletion, 3, "l", "")).gaps, [(2, b"l".to_vec())]);
        // "hello" with an l put in after "hel": the first of the three goes.
        let example = first(&pair("hello", Op::Insertion, 3, "", "l"));
        assert_eq!(example.bytes, [KEEP, KEEP, DELETE, KEEP, KEEP, KEEP]);
    }

    #[test]
    fn the_second_copy_of_a_duplication_goes() {
        let example = first(&pair("my world", Op::Duplication, 2, " wo", " wo wo"));
        assert_eq!(example.bytes.iter().position(|&c| c == DELETE), Some(5));
        // "xab" + "ab" + "ay" repeats from "ba" on as well; both logs lead to the same labels.
        let (a, b) = (
            pair("xabay", Op::Duplication, 1, "ab", "abab"),
            pair("xabay", Op::Duplication, 2, "ba", "baba"),
        );
        assert_eq!(a.corrupted, b.corrupted);
        assert_eq!(first(&a), first(&b));
    }

    #[test]
    fn an_edit_has_the_labels_of_the_operation_that_it_looks_like() {
        for (op, start, removed, replacement) in [
            (Op::Deletion, 3, "l", ""),
            (Op::Insertion, 3, "", "l"),
            (Op::Substitution, 1, "el", "xy"),
            (Op::Substitution, 1, "e", "xyz"),
            (Op::Substitution, 1, "ell", "a"),
        ] {
            let (known, edit) = (
                pair("hello", op, start, removed, replacement),
                pair("hello", EventOp::Edit, start, removed, replacement),
            );
            assert_eq!(first(&edit), first(&known));
            assert_eq!(applied(&first(&edit)), b"hello");
        }
    }

    #[test]
    fn a_long_gap_is_filled_in_several_examples() {
        let pair = pair("what was said here", Op::Deletion, 5, "was said", "");
        let examples = examples(&pair, 4, 512).unwrap();
        assert_eq!(examples.len(), 2);
        assert_eq!(applied(&examples[0]), examples[1].text);
        assert_eq!(applied(&examples[1]), pair.original.as_bytes());
    }

    #[test]
    fn a_long_gap_ends_at_a_code_point() {
        let pair = pair("aéééé", Op::Deletion, 1, "éééé", "");
        let examples = examples(&pair, 3, 512).unwrap();
        assert_eq!(examples.len(), 4);
        assert_eq!(examples[0].gaps, [(1, "é".as_bytes().to_vec())]);
    }

    #[test]
    fn windows_carry_their_labels() {
        let pair = pair("abcdefghij", Op::Deletion, 4, "e", "");
        let windows = examples(&pair, 4, 4).unwrap();
        assert_eq!(
            windows.iter().map(|w| w.text.as_slice()).collect::<Vec<_>>(),
            [&b"abcd"[..], b"fghi", b"j"]
        );
        assert_eq!(windows[1].gaps, [(0, b"e".to_vec())]);
        assert!(windows[0].gaps.is_empty());
    }

    proptest! {
        #[test]
        fn labels_lead_to_the_original(text in "([a-c ]|é|👩‍👧|\\PC){0,60}", copy in 0u32..40) {
            let settings = CorruptSettings::default().with_total_rate(0.3).at_level(1.0);
            let passage = Passage { source: "t", doc_id: "d", start: 0, text: &text };
            let pair = Channel::new(&settings).unwrap().pair(&passage, copy);
            // A slot of 4 bytes holds every code point, so no label is dropped.
            let examples = examples(&pair, 4, 4096).unwrap();
            for step in examples.windows(2) {
                prop_assert_eq!(applied(&step[0]), &step[1].text[..]);
            }
            prop_assert_eq!(applied(examples.last().unwrap()), pair.original.as_bytes());
        }
    }
}
