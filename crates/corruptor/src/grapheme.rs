//! Extended grapheme clusters (UAX #29), the unit of the corruption channel.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

/// The Unicode version whose segmentation rules are in force. Raising it changes pairs, so it stands in their metadata.
pub const UNICODE_VERSION: (u64, u64, u64) = unicode_segmentation::UNICODE_VERSION;

/// Whether every grapheme of `text` is exactly one byte: ASCII without carriage returns (CR LF is one grapheme).
pub(crate) fn is_bytewise(text: &str) -> bool {
    text.is_ascii() && !text.as_bytes().contains(&b'\r')
}

/// The extended grapheme clusters of `text`, in order.
pub fn graphemes(text: &str) -> impl DoubleEndedIterator<Item = &str> + Clone {
    text.graphemes(true)
}

/// Whether an extended grapheme cluster of `text` begins or ends at byte `at`; only what is near is looked at.
pub fn is_grapheme_boundary(text: &str, at: usize) -> bool {
    // With the whole text at hand, the cursor never asks for more of it.
    text.is_char_boundary(at)
        && GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(true)
}

/// Number of extended grapheme clusters in `text`.
pub fn grapheme_count(text: &str) -> usize {
    if is_bytewise(text) { text.len() } else { Graphemes::of(text, Vec::new()).count() }
}

/// Where the graphemes of a text lie.
pub(crate) trait Positions {
    /// Number of graphemes.
    fn count(&self) -> usize;

    /// Byte offset of grapheme `i`; of the end of the text for `count()`.
    fn start(&self, i: usize) -> usize;

    /// The graphemes `from..to` of `text`.
    fn slices<'t>(
        &self,
        text: &'t str,
        from: usize,
        to: usize,
    ) -> impl DoubleEndedIterator<Item = &'t str> + use<'t, Self>;
}

/// Graphemes of one byte each: how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytewise(pub(crate) usize);

impl Positions for Bytewise {
    fn count(&self) -> usize {
        self.0
    }

    fn start(&self, i: usize) -> usize {
        i
    }

    fn slices<'t>(
        &self,
        text: &'t str,
        from: usize,
        to: usize,
    ) -> impl DoubleEndedIterator<Item = &'t str> + use<'t> {
        (from..to).map(move |i| &text[i..=i])
    }
}

/// Byte offsets of every grapheme of a text, and of its end.
#[derive(Clone, Debug)]
pub(crate) struct Graphemes(Vec<u32>);

impl Graphemes {
    /// Finds the graphemes of `text`, in memory that was used before.
    pub(crate) fn of(text: &str, mut bounds: Vec<u32>) -> Self {
        bounds.clear();
        stretches(text, |stretch| match stretch {
            Stretch::Ascii(range) => bounds.extend(range.start as u32..range.end as u32),
            Stretch::Others(range) => {
                let starts = text[range.clone()].grapheme_indices(true);
                bounds.extend(starts.map(|(offset, _)| (range.start + offset) as u32));
            }
        });
        bounds.push(text.len() as u32);
        Self(bounds)
    }

    /// The memory, to be used again.
    pub(crate) fn into_bounds(self) -> Vec<u32> {
        self.0
    }
}

impl Positions for Graphemes {
    fn count(&self) -> usize {
        self.0.len() - 1
    }

    fn start(&self, i: usize) -> usize {
        self.0[i] as usize
    }

    fn slices<'t>(
        &self,
        text: &'t str,
        from: usize,
        to: usize,
    ) -> impl DoubleEndedIterator<Item = &'t str> + use<'t> {
        text[self.start(from)..self.start(to)].graphemes(true)
    }
}

/// A part of a text, in bytes, that begins and ends at grapheme boundaries.
pub(crate) enum Stretch {
    /// Every byte is a grapheme.
    Ascii(Range<usize>),
    /// The rules must be asked.
    Others(Range<usize>),
}

/// Cuts a text into stretches.
///
/// Between two ASCII characters there is always a boundary, but between CR and LF: so only others need the rules, with the ASCII
/// character before and after them.
pub(crate) fn stretches(text: &str, mut visit: impl FnMut(Stretch)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let other = next_other(bytes, at);
        // The last character before others may be their base; nothing joins a control character.
        let has_base =
            other > at && bytes.get(other).is_some_and(|byte| *byte >= 128) && bytes[other - 1] >= b' ';
        let from = other - usize::from(has_base);
        if from > at {
            visit(Stretch::Ascii(at..from));
        }
        at = other;
        while at < bytes.len() && is_other(bytes[at]) {
            // The character after others may belong to them, and others to it.
            let plain = bytes[at..].iter().position(|&byte| !is_other(byte)).map_or(bytes.len(), |n| at + n);
            at = (plain + 1).min(bytes.len());
        }
        if at > from {
            visit(Stretch::Others(from..at));
        }
    }
}

/// Whether the rules must be asked about a byte.
fn is_other(byte: u8) -> bool {
    byte >= 128 || byte == b'\r'
}

/// The first index from `at` on of a byte that the rules must be asked about, or the end.
fn next_other(bytes: &[u8], at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let rest = &bytes[at..];
    let (words, _) = rest.as_chunks::<8>();
    let plain = words.iter().position(|word| {
        let word = u64::from_le_bytes(*word);
        // A byte that becomes 0 borrows from its high bit.
        let returns = word ^ (ONES * u64::from(b'\r'));
        (word | (returns.wrapping_sub(ONES) & !returns)) & HIGH != 0
    });
    let from = plain.unwrap_or(words.len()) * 8;
    rest[from..].iter().position(|&byte| is_other(byte)).map_or(bytes.len(), |n| at + from + n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_clusters_and_not_code_points() {
        assert_eq!(grapheme_count("naïve"), 5);
        assert_eq!(grapheme_count("e\u{301}a"), 2);
        assert_eq!(grapheme_count("a\r\nb"), 3);
        assert_eq!(grapheme_count("👩‍👩‍👧!"), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn boundaries_are_those_of_the_rules(
            text in "([a-c\r\n ]|\r\n|[\u{300}\u{301}\u{200d}\u{600}\u{110bd}]|[é“”]|🇩🇪|🇩|\u{1f469}\u{200d}\u{1f467}|\u{915}\u{94d}|ก\u{e33}|각|\\PC){0,24}"
        ) {
            let expected: Vec<u32> = text.grapheme_indices(true).map(|(at, _)| at as u32).collect();
            let found = Graphemes::of(&text, vec![7]).into_bounds();
            prop_assert_eq!(found.last(), Some(&(text.len() as u32)));
            prop_assert_eq!(&found[..found.len() - 1], &expected);
            prop_assert_eq!(grapheme_count(&text), expected.len());
            for at in 0..=text.len() {
                let is_known = expected.contains(&(at as u32)) || at == text.len() || at == 0;
                prop_assert_eq!(is_grapheme_boundary(&text, at), is_known);
            }
        }
    }
}
