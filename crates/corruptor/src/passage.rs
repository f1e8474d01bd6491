//! Cuts documents into passages that end where sentences or paragraphs end.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

/// Cuts `text` into passages of at most `window_bytes`, each a run of whole sentences without white space around it.
///
/// A sentence ends as UAX #29 has it, except that a line break alone does not end one: hard-wrapped lines hold together
/// until a terminator or a blank line. A sentence longer than the window is cut after white space, or, where it has
/// none, between graphemes. Passages under `min_bytes` are left out.
///
/// Ranges are bytes of `text`, in order, without overlap.
pub fn passages(text: &str, window_bytes: usize, min_bytes: usize) -> impl Iterator<Item = Range<usize>> {
    let mut sentences = sentences(text).flat_map(move |s| cut(text, s, window_bytes)).peekable();
    std::iter::from_fn(move || {
        let mut passage = sentences.next()?;
        while let Some(next) =
            sentences.next_if(|next| trimmed(text, passage.start..next.end).len() <= window_bytes)
        {
            passage.end = next.end;
        }
        Some(trimmed(text, passage))
    })
    .filter(move |passage| passage.len() >= min_bytes.max(1))
}

/// Sentence ranges, covering all of `text`.
fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut pieces = text.split_sentence_bound_indices().map(|(at, piece)| at..at + piece.len()).peekable();
    std::iter::from_fn(move || {
        let mut sentence = pieces.next()?;
        while let Some(next) = pieces.peek() {
            if ends_sentence(&text[sentence.clone()], &text[next.clone()]) {
                break;
            }
            sentence.end = next.end;
            pieces.next();
        }
        Some(sentence)
    })
}

/// Whether a boundary of UAX #29 after `piece` ends a sentence, or is only a wrapped line.
fn ends_sentence(piece: &str, next: &str) -> bool {
    let content = piece.trim_end();
    let wrapped = piece[content.len()..].matches('\n').count() == 1;
    let terminated = content
        .trim_end_matches(['"', '\'', '”', '’', ')', ']', '»', '_'])
        .ends_with(['.', '!', '?', '…', '。']);
    let blank_line_follows = next.trim().is_empty();
    !wrapped || terminated || (blank_line_follows && !content.is_empty() && next.contains('\n'))
}

/// Cuts a range longer than the window after white space, else between graphemes.
fn cut(text: &str, mut range: Range<usize>, window_bytes: usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    while trimmed(text, range.clone()).len() > window_bytes {
        range.start = trimmed(text, range.clone()).start;
        let limit = range.start + window_bytes;
        let at = |(i, piece): (usize, &str)| range.start + i + piece.len();
        let rest = &text[range.clone()];
        let space = rest.split_word_bound_indices().filter(|(_, w)| w.trim().is_empty()).map(at);
        let grapheme = rest.grapheme_indices(true).map(at);
        let end = space
            .take_while(|&end| end <= limit)
            .last()
            .or_else(|| grapheme.take_while(|&end| end <= limit).last())
            // A single grapheme larger than the window stays whole: it cannot be corrupted in parts.
            .unwrap_or_else(|| range.start + rest.graphemes(true).next().map_or(rest.len(), str::len));
        pieces.push(range.start..end);
        range.start = end;
    }
    pieces.push(range);
    pieces
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    start..(start + piece.trim().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut_into(text: &str, window: usize) -> Vec<&str> {
        passages(text, window, 1).map(|r| &text[r]).collect()
    }

    #[test]
    fn sentences_are_packed_up_to_the_window() {
        let text = "One is here. Two is here.  Three is here.";
        assert_eq!(cut_into(text, 26), ["One is here. Two is here.", "Three is here."]);
        assert_eq!(cut_into(text, 100), [text]);
    }

    #[test]
    fn wrapped_lines_hold_together_and_paragraphs_do_not_need_a_full_stop() {
        assert_eq!(cut_into("It was a\nlong line. Next one.", 20), ["It was a\nlong line.", "Next one."]);
        assert_eq!(cut_into("HEADING\n\nIt was long.", 12), ["HEADING", "It was long."]);
    }

    #[test]
    fn a_long_sentence_is_cut_at_white_space() {
        assert_eq!(cut_into("aaaa bbbb cccc dddd", 10), ["aaaa bbbb", "cccc dddd"]);
        assert_eq!(cut_into("ääääää", 5), ["ää", "ää", "ää"]);
    }

    proptest! {
        #[test]
        fn passages_are_ordered_bounded_and_lose_only_white_space(text in "[a-zé .!\n\r👩‍]{0,200}", window in 4usize..40) {
            let ranges: Vec<_> = passages(&text, window, 1).collect();
            let mut at = 0;
            for range in &ranges {
                prop_assert!(text[at..range.start].trim().is_empty());
                let single = text[range.clone()].graphemes(true).count() == 1;
                prop_assert!(range.len() <= window || single, "{:?}", &text[range.clone()]);
                at = range.end;
            }
            prop_assert!(text[at..].trim().is_empty());
        }
    }
}
