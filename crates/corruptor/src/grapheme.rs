//! Extended grapheme clusters (UAX #29), the unit of the corruption channel.

use unicode_segmentation::UnicodeSegmentation as _;

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
    ///
    /// Between two ASCII characters there is always a boundary, but between CR and LF: only where others stand, with the ASCII
    /// character before and after them, must the rules be asked.
    pub(crate) fn of(text: &str, mut bounds: Vec<u32>) -> Self {
        bounds.clear();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let ascii = next(bytes, at, |byte| byte >= 128);
            // The last character of the run may be the base of what follows; nothing joins a line feed.
            let has_base = ascii < bytes.len() && ascii > at && bytes[ascii - 1] != b'\n';
            let from = ascii - usize::from(has_base);
            let joined = |i: usize| i > at && bytes[i] == b'\n' && bytes[i - 1] == b'\r';
            bounds.extend((at..from).filter(|&i| !joined(i)).map(|i| i as u32));
            at = end_of_others(bytes, ascii);
            bounds.extend(text[from..at].grapheme_indices(true).map(|(offset, _)| (from + offset) as u32));
        }
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

/// The first index from `at` on whose byte is wanted, or the end.
fn next(bytes: &[u8], at: usize, wanted: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().position(|&byte| wanted(byte)).map_or(bytes.len(), |n| at + n)
}

/// Where the stretch of other characters that begins at `at` ends for sure: after the ASCII character that follows them, unless
/// that one is in turn followed by others, and never within CR LF.
fn end_of_others(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at = next(bytes, at, |byte| byte < 128);
        match bytes.get(at..) {
            Some([_, other, ..]) if *other >= 128 => at += 1,
            Some([b'\r', b'\n', ..]) => return at + 2,
            Some([_, ..]) => return at + 1,
            _ => return at,
        }
    }
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
        }
    }
}
