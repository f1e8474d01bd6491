//! Extended grapheme clusters (UAX #29), the unit of the corruption channel.

use unicode_segmentation::UnicodeSegmentation as _;

/// The Unicode version whose segmentation rules are in force. Raising it changes pairs, so it stands in their metadata.
pub const UNICODE_VERSION: (u64, u64, u64) = unicode_segmentation::UNICODE_VERSION;

/// Whether every grapheme of `text` is exactly one byte: ASCII without carriage returns (CR LF is one grapheme).
pub(crate) fn is_bytewise(text: &str) -> bool {
    text.is_ascii() && !text.as_bytes().contains(&b'\r')
}

/// The extended grapheme clusters of `text`, in order.
pub fn graphemes(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.graphemes(true)
}

/// Number of extended grapheme clusters in `text`.
pub fn grapheme_count(text: &str) -> usize {
    if is_bytewise(text) { text.len() } else { graphemes(text).count() }
}

/// Byte offsets of every grapheme start in `text`, followed by `text.len()`.
pub(crate) fn boundaries(text: &str) -> Vec<u32> {
    if is_bytewise(text) {
        return (0..=text.len() as u32).collect();
    }
    let starts = text.grapheme_indices(true).map(|(at, _)| at as u32);
    starts.chain(std::iter::once(text.len() as u32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_clusters_and_not_code_points() {
        assert_eq!(grapheme_count("naïve"), 5);
        assert_eq!(grapheme_count("e\u{301}a"), 2);
        assert_eq!(grapheme_count("a\r\nb"), 3);
        assert_eq!(grapheme_count("👩‍👩‍👧!"), 2);
    }

    #[test]
    fn boundaries_end_with_the_length() {
        assert_eq!(boundaries("a\r\nb"), [0, 1, 3, 4]);
        assert_eq!(boundaries("ab"), [0, 1, 2]);
        assert_eq!(boundaries(""), [0]);
    }
}
