//! Sentence boundaries of UAX #29, found by looking only at what can make one.
//!
//! Between letters nothing happens: a boundary needs a full stop, an exclamation or question mark, or a line break. So ASCII
//! is skipped up to the next of these, and decided there by the rules; where other characters take part, the few characters
//! around are given to `unicode-segmentation`. The boundaries are the same as its boundaries over the whole text.

use unicode_segmentation::UnicodeSegmentation as _;

/// The end of the sentence that begins at `start`, which must be 0 or the end of another one.
pub(crate) fn sentence_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    // Nothing before `from` has a say in what comes, but for a letter right before it.
    let mut from = start;
    while let Some(at) = next_interesting(bytes, from) {
        let found = match bytes[at] {
            b'\n' => Found::Boundary(at + 1),
            b'\r' => Found::Boundary(at + 1 + usize::from(bytes.get(at + 1) == Some(&b'\n'))),
            b'.' | b'!' | b'?' => after_terminator(bytes, start, at),
            _ => Found::Unknown,
        };
        match found {
            Found::Boundary(end) => return end,
            Found::None(next) => from = next,
            Found::Unknown => match by_rules_of_unicode(text, from, at) {
                Ok(end) => return end,
                Err(next) => from = next,
            },
        }
    }
    text.len()
}

enum Found {
    /// A sentence ends here.
    Boundary(usize),
    /// None does before this place, and nothing before it has a say any more.
    None(usize),
    /// Characters take part that are not looked up here.
    Unknown,
}

/// A character's part in the rules; what is neither is `Other`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Numeric,
    Close,
    Space,
    Separator,
    Continue,
    /// `.`
    Stop,
    /// `!` and `?`
    Terminator,
    Other,
    Unknown,
}

/// The class of the character at `at`, and its bytes.
fn class(bytes: &[u8], at: usize) -> (Class, usize) {
    let class = match bytes[at] {
        b'a'..=b'z' => Class::Lower,
        b'A'..=b'Z' => Class::Upper,
        b'0'..=b'9' => Class::Numeric,
        b'"' | b'\'' | b'(' | b')' | b'[' | b']' | b'{' | b'}' => Class::Close,
        b' ' | b'\t' | 0x0b | 0x0c => Class::Space,
        b'\n' | b'\r' => Class::Separator,
        b',' | b'-' | b':' | b';' => Class::Continue,
        b'.' => Class::Stop,
        b'!' | b'?' => Class::Terminator,
        0x80.. => {
            return match bytes[at..] {
                // ‘ to ‟, and the dashes – and —
                [0xe2, 0x80, 0x98..=0x9f, ..] => (Class::Close, 3),
                [0xe2, 0x80, 0x93 | 0x94, ..] => (Class::Continue, 3),
                _ => (Class::Unknown, 1),
            };
        }
        _ => Class::Other,
    };
    (class, 1)
}

/// What follows the terminator at `at` (SB6 to SB11).
fn after_terminator(bytes: &[u8], start: usize, at: usize) -> Found {
    let is_stop = bytes[at] == b'.';
    let mut next = at + 1;
    if is_stop && next < bytes.len() {
        match class(bytes, next).0 {
            Class::Numeric => return Found::None(next),
            Class::Upper if at > start => match class(bytes, at - 1).0 {
                Class::Lower | Class::Upper => return Found::None(next),
                Class::Unknown => return Found::Unknown,
                // The last byte of a quotation mark looks like any other.
                _ => {}
            },
            _ => {}
        }
        match first_decisive(bytes, next) {
            (Class::Lower, letter) => return Found::None(letter),
            (Class::Unknown, _) => return Found::Unknown,
            _ => {}
        }
    }
    for closing in [Class::Close, Class::Space] {
        while next < bytes.len() {
            match class(bytes, next) {
                (Class::Unknown, _) => return Found::Unknown,
                (found, length) if found == closing => next += length,
                _ => break,
            }
        }
    }
    if next == bytes.len() {
        return Found::Boundary(next);
    }
    match class(bytes, next) {
        (Class::Continue, length) => Found::None(next + length),
        // The next one decides.
        (Class::Stop | Class::Terminator, _) => Found::None(next),
        (Class::Separator, _) => {
            let is_pair = bytes[next..].starts_with(b"\r\n");
            Found::Boundary(next + 1 + usize::from(is_pair))
        }
        (Class::Unknown, _) => Found::Unknown,
        _ => Found::Boundary(next),
    }
}

/// The first character from `at` on that decides whether a sentence goes on in lower case (SB8); `Other` at the end.
fn first_decisive(bytes: &[u8], at: usize) -> (Class, usize) {
    let mut next = at;
    while next < bytes.len() {
        match class(bytes, next) {
            (Class::Close | Class::Space | Class::Continue | Class::Numeric | Class::Other, length) => {
                next += length;
            }
            (decisive, _) => return (decisive, next),
        }
    }
    (Class::Other, next)
}

/// How far an ASCII letter is looked for.
const LETTER_WITHIN_BYTES: usize = 256;

/// The end of a sentence at or soon after `at`, or where to look on; nothing before `from` has a say.
fn by_rules_of_unicode(text: &str, from: usize, at: usize) -> Result<usize, usize> {
    let bytes = text.as_bytes();
    // One character of context, which is a letter or without a part in any rule.
    let context = text[from..at].char_indices().next_back().map_or(at, |(last, _)| from + last);
    // An ASCII letter leaves nothing open. Text of another script has none near: then the sentence is walked to its end, and
    // no more than that.
    let near = &bytes[at..bytes.len().min(at + LETTER_WITHIN_BYTES)];
    let letter = near.iter().position(u8::is_ascii_alphabetic).map(|offset| at + offset);
    let piece = &text[context..letter.map_or(text.len(), |letter| letter + 1)];
    let mut ends =
        piece.split_sentence_bound_indices().map(|(start, sentence)| context + start + sentence.len());
    match (ends.next(), letter) {
        (Some(end), Some(letter)) if end > letter => Err(letter),
        (Some(end), _) => Ok(end),
        (None, letter) => Err(letter.unwrap_or(text.len())),
    }
}

/// The next place that can make a boundary, or that is not looked up here.
fn next_interesting(bytes: &[u8], from: usize) -> Option<usize> {
    const STEP: usize = 32;
    let is_plain = |byte: u8| {
        (byte >= b' ' || byte == b'\t') && byte != b'.' && byte != b'!' && byte != b'?' && byte < 0x80
    };
    let mut at = from;
    while at < bytes.len() {
        while let Some(step) = bytes.get(at..at + STEP) {
            // Without a branch for each byte, the compiler looks at all of them at once.
            if !step.iter().fold(true, |plain, &byte| plain & is_plain(byte)) {
                break;
            }
            at += STEP;
        }
        at += bytes[at..].iter().take_while(|&&byte| is_plain(byte)).count();
        match bytes[at..] {
            // Latin letters with accents (but not × and ÷) and Cyrillic ones, none of which is a mark.
            [0xc3, second, ..] if second != 0x97 && second != 0xb7 => at += 2,
            [0xc4..=0xc8 | 0xd0..=0xd1, _, ..] => at += 2,
            // Dashes, quotation marks and the ellipsis.
            [0xe2, 0x80, 0x90..=0xa3 | 0xa6, ..] => at += 3,
            // Other control characters than line breaks have no part in any rule.
            [byte, ..] if byte < b' ' && byte != b'\n' && byte != b'\r' => at += 1,
            [] => return None,
            _ => return Some(at),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(text: &str) -> Vec<usize> {
        let mut ends = vec![];
        while ends.last() != Some(&text.len()) && !text.is_empty() {
            ends.push(sentence_end(text, ends.last().copied().unwrap_or(0)));
        }
        ends
    }

    fn expected(text: &str) -> Vec<usize> {
        text.split_sentence_bound_indices().map(|(at, sentence)| at + sentence.len()).collect()
    }

    #[test]
    fn every_character_in_every_place() {
        let frames = [
            "a. Xb",
            "aX. b",
            "aX.B c",
            "a.X",
            "a. X b",
            "a! Xb",
            "a!X B",
            "a\nXb",
            "Xa. B",
            "1.X5",
            "a.” XB",
            "X",
            "X.X",
            "é.XB",
            "a… X. B",
            "a.\u{301}X b",
            "a. 1X b",
        ];
        // Beyond these planes there are no letters and no marks, but for some without a form.
        for character in ('\0'..='\u{1ffff}').chain('\u{e0000}'..='\u{e01ff}') {
            for frame in frames {
                let text = frame.replace('X', character.encode_utf8(&mut [0; 4]));
                assert_eq!(ends(&text), expected(&text), "{text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn boundaries_are_those_of_uax_29(
            text in "([ab A.!?,;'\"()\r\n\t1-]|[éÜжЖ“”’—…»\u{a0}\u{85}\u{2028}\u{ad}\u{301}。！\u{2024}中\u{200d}×]|[a-zA-Z ]{0,40}){0,24}"
        ) {
            prop_assert_eq!(ends(&text), expected(&text));
        }

        #[test]
        fn so_they_are_in_any_text(text in "\\PC{0,60}") {
            prop_assert_eq!(ends(&text), expected(&text));
        }
    }

    #[test]
    fn long_runs_take_linear_time() {
        for run in [" ", ")", ".", "1", "-", "\n", ". ", "a. ", "A.", ".)", ". 1"] {
            let text = format!("a.{}", run.repeat(1_000_000 / run.len()));
            assert_eq!(ends(&text).last(), Some(&text.len()));
        }
    }
}
