//! What the tagger sees of a text: for each byte the bytes around it, and hashed n-grams that end at it, start at it and
//! surround it (hashed n-gram embeddings: Byte Latent Transformer, arXiv 2412.09871).

/// Offsets of the bytes around a position.
const NEIGHBOURS: [isize; 7] = [-3, -2, -1, 0, 1, 2, 3];

/// N-grams as (first offset, length): ending at the byte, starting at it, centred on it, and around the gap before it.
const NGRAMS: [(isize, usize); 15] = [
    (-2, 3),
    (-3, 4),
    (-4, 5),
    (-5, 6),
    (-7, 8),
    (0, 3),
    (0, 4),
    (0, 5),
    (0, 6),
    (0, 8),
    (-1, 3),
    (-2, 5),
    (-3, 7),
    (-2, 4),
    (-3, 6),
];

/// Byte rows a token has.
pub(super) const BYTE_FEATURES: usize = NEIGHBOURS.len();
/// N-gram rows a token has.
pub(super) const NGRAM_FEATURES: usize = NGRAMS.len();
/// Rows of the byte table: the bytes, and what lies outside the text.
pub(super) const BYTE_ROWS: usize = 257;
/// Stands for what lies outside the text; also the token after the last byte.
const OUTSIDE: u32 = 256;

/// Farthest byte that a feature looks at.
const REACH: usize = 8;

/// Table rows of a packed batch.
#[derive(Debug, Default)]
pub(super) struct FeatureRows {
    /// `[tokens, BYTE_FEATURES]`.
    pub(super) bytes: Vec<u32>,
    /// `[tokens, NGRAM_FEATURES]`.
    pub(super) ngrams: Vec<u32>,
}

impl FeatureRows {
    /// Adds the tokens of `text`: one a byte and one for the end.
    pub(super) fn push(&mut self, text: &[u8], table_rows: usize) {
        let outside = std::iter::repeat_n(OUTSIDE, REACH);
        let padded: Vec<u32> = outside
            .clone()
            .chain(text.iter().map(|&b| u32::from(b)))
            .chain([OUTSIDE])
            .chain(outside)
            .collect();
        for at in REACH..=REACH + text.len() {
            let offset = |by: isize| at.wrapping_add_signed(by);
            self.bytes.extend(NEIGHBOURS.iter().map(|&by| padded[offset(by)]));
            let row = |(kind, &(first, length)): (usize, &(isize, usize))| {
                hash(kind as u64, &padded[offset(first)..][..length], table_rows)
            };
            self.ngrams.extend(NGRAMS.iter().enumerate().map(row));
        }
    }
}

/// A row for an n-gram: multiply–xor mixing with the finalizer of `SplitMix64` (Steele et al. 2014).
fn hash(kind: u64, symbols: &[u32], rows: usize) -> u32 {
    let mut state = kind.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for &symbol in symbols {
        state = (state ^ u64::from(symbol)).wrapping_mul(0x0100_0000_01b3);
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((state ^ (state >> 31)) as usize & (rows - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> FeatureRows {
        let mut rows = FeatureRows::default();
        rows.push(text.as_bytes(), 1 << 16);
        rows
    }

    #[test]
    fn a_token_sees_its_neighbourhood_only() {
        let (a, b) = (rows("xx hello world"), rows("xx hello world, and more of it"));
        assert_eq!(a.bytes.len(), 15 * BYTE_FEATURES);
        assert_eq!(a.ngrams.len(), 15 * NGRAM_FEATURES);
        assert_eq!(a.ngrams[..6 * NGRAM_FEATURES], b.ngrams[..6 * NGRAM_FEATURES]);
        assert_ne!(
            a.ngrams[13 * NGRAM_FEATURES..14 * NGRAM_FEATURES],
            b.ngrams[13 * NGRAM_FEATURES..14 * NGRAM_FEATURES]
        );
    }

    #[test]
    fn rows_are_spread() {
        let text: String = (0..2000).map(|i| char::from(b'a' + (i * i % 23) as u8)).collect();
        let found: std::collections::HashSet<u32> = rows(&text).ngrams.into_iter().collect();
        assert!(found.len() > 200, "{}", found.len());
        assert!(found.iter().all(|&row| row < 1 << 16));
    }
}
