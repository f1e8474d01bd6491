//! Cuts documents into passages that end where sentences or paragraphs end.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::sentence::sentence_end;

/// Cuts `text` into passages of at most `window_bytes`, each a run of whole sentences without white space around it.
///
/// A sentence ends as UAX #29 has it, except that a line break alone does not end one: hard-wrapped lines hold together
/// until a terminator or a blank line. A sentence longer than the window is cut after white space, or, where it has
/// none, between graphemes. Passages under `min_bytes` are left out.
///
/// Ranges are bytes of `text`, in order, without overlap.
pub fn passages(text: &str, window_bytes: usize, min_bytes: usize) -> impl Iterator<Item = Range<usize>> {
    let mut pieces = Pieces { text, window_bytes, rest: 0..0, piece: 0..sentence_end(text, 0) }.peekable();
    std::iter::from_fn(move || {
        let mut passage = pieces.next()?;
        while let Some(next) = pieces.next_if(|next| next.end - passage.start <= window_bytes) {
            passage.end = next.end;
        }
        Some(passage)
    })
    .filter(move |passage| passage.len() >= min_bytes.max(1))
}

/// Sentences, and pieces of those that are longer than the window, without the white space around them.
///
/// Everything is trimmed once, and no more than a window is looked at: text that is all white space, or has none, takes linear
/// time too.
struct Pieces<'t> {
    text: &'t str,
    window_bytes: usize,
    /// What is left of a sentence that is longer than the window, trimmed.
    rest: Range<usize>,
    /// The next sentence between boundaries of UAX #29.
    piece: Range<usize>,
}

impl Iterator for Pieces<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        while self.rest.is_empty() {
            self.rest = trimmed(self.text, self.sentence()?);
        }
        let piece = first_piece(self.text, self.rest.clone(), self.window_bytes);
        let after = &self.text[piece.end..self.rest.end];
        self.rest.start = self.rest.end - after.trim_start().len();
        Some(trimmed(self.text, piece))
    }
}

impl Pieces<'_> {
    /// The next sentence, wrapped lines together.
    fn sentence(&mut self) -> Option<Range<usize>> {
        let (text, mut sentence) = (self.text, self.piece.clone());
        if sentence.is_empty() {
            return None;
        }
        loop {
            self.piece = sentence.end..if sentence.end < text.len() {
                sentence_end(text, sentence.end)
            } else {
                text.len()
            };
            if self.piece.is_empty() || ends_sentence(&text[sentence.clone()], &text[self.piece.clone()]) {
                return Some(sentence);
            }
            sentence.end = self.piece.end;
        }
    }
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

/// The first piece of a trimmed range: all of it if it fits the window, else cut after white space, else between graphemes.
fn first_piece(text: &str, mut range: Range<usize>, window_bytes: usize) -> Range<usize> {
    if range.len() <= window_bytes {
        return range;
    }
    let limit = range.start + window_bytes;
    let rest = &text[range.clone()];
    range.end = last_space(text, range.clone(), limit).unwrap_or_else(|| {
        let graphemes = rest.grapheme_indices(true).map(|(i, grapheme)| range.start + i + grapheme.len());
        // A single grapheme larger than the window stays whole: it cannot be corrupted in parts.
        let first = || range.start + rest.graphemes(true).next().map_or(rest.len(), str::len);
        graphemes.take_while(|&end| end <= limit).last().unwrap_or_else(first)
    });
    range
}

/// The last end of a word of white space (UAX #29) in a range up to `limit`, which lies within it.
fn last_space(text: &str, range: Range<usize>, limit: usize) -> Option<usize> {
    /// Whatever follows the white space is seen too: it may belong to it, as an accent does.
    const AFTER_BYTES: usize = 8;
    let seen = text.ceil_char_boundary((limit + AFTER_BYTES).min(range.end));
    let bytes = text.as_bytes();
    if text[range.start..seen].is_ascii() {
        let is_end = |&end: &usize| {
            let (last, next) = (bytes[end - 1], bytes.get(end).filter(|_| end < range.end));
            let is_space = char::from(last).is_whitespace();
            is_space && !matches!((last, next), (b' ', Some(b' ')) | (b'\r', Some(b'\n')))
        };
        return (range.start + 1..=limit).rev().find(is_end);
    }
    let words = text[range.start..seen].split_word_bound_indices().filter(|(_, word)| word.trim().is_empty());
    let ends = words.map(|(i, word)| range.start + i + word.len());
    ends.take_while(|&end| end <= limit && (end < seen || seen == range.end)).last()
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

    /// White space without an end, words without a space, sentences without an end: a megabyte of each in a moment.
    #[test]
    fn no_text_takes_quadratic_time() {
        let started = std::time::Instant::now();
        let runs =
            ["\n", "\r\n", " \n\n", "a", "中", "a.", ".\"", "🇩🇪a", "a   \n", ".)\n", "\u{2029}", "…", "中。"];
        let texts = runs.map(|unit| unit.repeat((1 << 20) / unit.len()));
        for text in texts.into_iter().chain(["a".repeat(1 << 20) + &" ".repeat(1 << 20)]) {
            for passage in passages(&text, 512, 16) {
                assert!(passage.len() <= 512 && !text[passage].starts_with(char::is_whitespace));
            }
        }
        assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    }

    /// The same by definition: all sentences of `unicode-segmentation`, all words, all graphemes.
    mod by_definition {
        use super::*;

        pub(super) fn passages(text: &str, window_bytes: usize, min_bytes: usize) -> Vec<Range<usize>> {
            let mut sentences =
                sentences(text).into_iter().flat_map(|s| cut(text, s, window_bytes)).peekable();
            let mut passages = Vec::new();
            while let Some(mut passage) = sentences.next() {
                let fits = |start, next: &Range<usize>| trimmed(text, start..next.end).len() <= window_bytes;
                while let Some(next) = sentences.next_if(|next| fits(passage.start, next)) {
                    passage.end = next.end;
                }
                passages.push(trimmed(text, passage));
            }
            passages.retain(|passage| passage.len() >= min_bytes.max(1));
            passages
        }

        fn sentences(text: &str) -> Vec<Range<usize>> {
            let mut sentences: Vec<Range<usize>> = Vec::new();
            for (at, piece) in text.split_sentence_bound_indices() {
                match sentences.last_mut() {
                    Some(last) if !ends_sentence(&text[last.clone()], piece) => last.end = at + piece.len(),
                    _ => sentences.push(at..at + piece.len()),
                }
            }
            sentences
        }

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
                    .unwrap_or_else(|| {
                        range.start + rest.graphemes(true).next().map_or(rest.len(), str::len)
                    });
                pieces.push(range.start..end);
                range.start = end;
            }
            pieces.push(range);
            pieces
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn passages_are_as_they_are_defined(
            text in "([ab A.!?,'\"(\r\n\t1]|[é“”’—…\u{a0}\u{85}\u{2028}\u{301}。\u{200d}👩🇩]|[a-z ]{0,20}|[. \n]{2}){0,30}",
            window in 1usize..60,
            min in 0usize..20,
        ) {
            let found: Vec<_> = passages(&text, window, min).collect();
            prop_assert_eq!(found, by_definition::passages(&text, window, min));
        }

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
