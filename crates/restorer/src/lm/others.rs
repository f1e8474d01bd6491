//! From other texts that a model could have written to the parts of a window that are doubtful.

use std::ops::Range;

use corruptor::{Event, align};

use crate::engine::{Doubtful, Original};

/// Where `texts`, each with its share, differ from `window` or among themselves: what each part can have been.
pub(super) fn doubtful(window: &str, texts: &[(String, f64)]) -> Vec<Doubtful> {
    let scripts: Vec<Vec<Event>> = texts.iter().map(|(text, _)| align(window, text)).collect();
    let range = |event: &Event| event.start as usize..event.start as usize + event.removed.len();
    let mut changed: Vec<Range<usize>> = scripts.iter().flatten().map(range).collect();
    changed.sort_unstable_by_key(|range| (range.start, range.end));
    let mut parts: Vec<Range<usize>> = Vec::new();
    for range in changed {
        match parts.last_mut() {
            // What touches cannot be told apart.
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => parts.push(range),
        }
    }
    let of_part = |input: Range<usize>| {
        let mut originals: Vec<Original> = Vec::new();
        for (script, (_, share)) in scripts.iter().zip(texts) {
            let text = written(window, &input, script);
            match originals.iter_mut().find(|original| original.text == text) {
                Some(known) => known.share += share,
                None => originals.push(Original { text, share: *share }),
            }
        }
        originals.sort_by(|a, b| b.share.total_cmp(&a.share));
        // How sure the restored text is, its tokens say.
        Doubtful { input, originals, share: 1.0 }
    };
    parts.into_iter().map(of_part).collect()
}

/// What a script makes of a part of a text that holds each of its events as a whole or not at all.
fn written(text: &str, part: &Range<usize>, script: &[Event]) -> String {
    let (mut out, mut copied) = (String::new(), part.start);
    for event in script {
        let start = event.start as usize;
        if part.start <= start && start + event.removed.len() <= part.end {
            out.push_str(&text[copied..start]);
            out.push_str(&event.replacement);
            copied = start + event.removed.len();
        }
    }
    out.push_str(&text[copied..part.end]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_what_each_text_makes_of_them() {
        let texts = [("the cat sat", 0.5), ("the hat sat", 0.3), ("the cat set", 0.2)];
        let texts = texts.map(|(text, share)| (text.to_owned(), share));
        let found = doubtful("the xat sat", &texts);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].input, 4..5);
        let first: Vec<_> = found[0].originals.iter().map(|one| (one.text.as_str(), one.share)).collect();
        assert_eq!(first, [("c", 0.7), ("h", 0.3)]);
        let whole = |text: &str| {
            let script = align("the xat sat", text);
            written("the xat sat", &(0..11), &script)
        };
        assert!(texts.iter().all(|(text, _)| whole(text) == *text));
    }
}
