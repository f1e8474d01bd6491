//! Levenshtein distance in graphemes, and the character error rate made from it.

mod band;
mod symbols;
mod wavefront;

use std::cell::RefCell;

use band::Band;
use symbols::{Symbol, Symbols};
use wavefront::Wavefront;

use crate::grapheme::{grapheme_count, is_bytewise};

/// The first guess at a distance.
const FIRST_GUESS: usize = 32;

/// Levenshtein distance (unit costs) between two texts, in extended grapheme clusters.
pub fn grapheme_distance(a: &str, b: &str) -> usize {
    // Texts that are compared are mostly alike: a bound is guessed, and doubled until it holds.
    let mut most_edits = FIRST_GUESS;
    loop {
        if let Some(distance) = distance_within(a, b, most_edits) {
            return distance;
        }
        most_edits *= 2;
    }
}

/// Character error rate: [`grapheme_distance`] over the graphemes of `original`; an empty original counts as one grapheme.
pub fn cer(original: &str, corrupted: &str) -> f32 {
    grapheme_distance(original, corrupted) as f32 / grapheme_count(original).max(1) as f32
}

/// [`grapheme_distance`] where an alignment with `most_edits` edits is known.
pub(crate) fn grapheme_distance_within(a: &str, b: &str, most_edits: usize) -> usize {
    // Where the bound does not hold after all, nothing is lost but time.
    distance_within(a, b, most_edits).unwrap_or_else(|| grapheme_distance(a, b))
}

/// The distance, unless it is more than `most_edits`.
fn distance_within(a: &str, b: &str, most_edits: usize) -> Option<usize> {
    SCRATCH.with_borrow_mut(|scratch| {
        if is_bytewise(a) && is_bytewise(b) {
            return scratch.search.within(a.as_bytes(), b.as_bytes(), most_edits);
        }
        match scratch.symbols.read(a, b) {
            symbols::Sequences::Narrow(a, b) => scratch.search.within(a, b, most_edits),
            symbols::Sequences::Wide(a, b) => scratch.search.within(a, b, most_edits),
        }
    })
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Memory that is used again from distance to distance.
#[derive(Default)]
struct Scratch {
    symbols: Symbols,
    search: Search,
}

#[derive(Default)]
struct Search {
    wavefront: Wavefront,
    band: Band,
}

impl Search {
    fn within<S: Symbol>(&mut self, a: &[S], b: &[S], most_edits: usize) -> Option<usize> {
        let front = S::common_prefix(a, b);
        let (a, b) = (&a[front..], &b[front..]);
        let back = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[..a.len() - back], &b[..b.len() - back]);
        let most_edits = most_edits.min(a.len().max(b.len()));
        if a.len().abs_diff(b.len()) > most_edits {
            None
        } else if a.is_empty() || b.is_empty() {
            Some(a.len() + b.len())
        } else if most_edits * most_edits <= 2 * b.len() * band::words(most_edits) {
            // Its time grows with the square of the edits, that of the band with the text.
            self.wavefront.distance(a, b, most_edits)
        } else {
            self.band.distance(a, b, most_edits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grapheme::graphemes;
    use proptest::prelude::*;

    /// The distance as the textbook has it, from rapidfuzz.
    fn reference(a: &str, b: &str) -> usize {
        let ids = |text: &str| -> Vec<u64> {
            let id = |grapheme: &str| {
                let mut bytes = [0; 8];
                let hash = blake3::hash(grapheme.as_bytes());
                bytes.copy_from_slice(&hash.as_bytes()[..8]);
                u64::from_le_bytes(bytes)
            };
            graphemes(text).map(id).collect()
        };
        rapidfuzz::distance::levenshtein::distance(ids(a), ids(b))
    }

    proptest! {
        #[test]
        fn distances_are_those_of_rapidfuzz(
            a in "([ab]|[a-z é]|e\u{301}|\r\n|🇩🇪){0,200}",
            b in "([ab]|[a-z é]|e\u{301}|\r\n|🇩🇪){0,200}",
        ) {
            prop_assert_eq!(grapheme_distance(&a, &b), reference(&a, &b));
        }

        #[test]
        fn band_and_wavefront_agree(a in "[ab]{0,90}", cuts in prop::collection::vec((0usize..90, "[ab]{0,3}"), 0..12), slack in 0usize..200) {
            let mut b = a.clone();
            for (at, piece) in cuts {
                let at = at.min(b.len());
                b.replace_range(at..(at + piece.len() / 2).min(b.len()), &piece);
            }
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let expected = rapidfuzz::distance::levenshtein::distance(a.iter(), b.iter());
            for bound in [expected + slack, expected, expected.saturating_sub(1)] {
                let expected = (expected <= bound).then_some(expected);
                if a.len().abs_diff(b.len()) <= bound && !a.is_empty() && !b.is_empty() {
                    prop_assert_eq!(Wavefront::default().distance(a, b, bound), expected, "wavefront within {}", bound);
                    prop_assert_eq!(Band::default().distance(a, b, bound), expected, "band within {}", bound);
                }
            }
        }

        #[test]
        fn a_bound_changes_nothing(a in "[ab é]{0,150}", b in "[ab é]{0,150}", slack in 0usize..40) {
            let bound = grapheme_distance(&a, &b) + slack;
            prop_assert_eq!(grapheme_distance_within(&a, &b, bound), bound - slack);
            prop_assert_eq!(grapheme_distance_within(&a, &b, 0), bound - slack);
        }
    }

    #[test]
    fn distance_counts_graphemes() {
        assert_eq!(grapheme_distance("kitten", "sitting"), 3);
        assert_eq!(grapheme_distance("e\u{301}tat", "etat"), 1);
        assert_eq!(grapheme_distance("a\r\nb", "ab"), 1);
        assert_eq!(grapheme_distance("", "naïve"), 5);
    }

    #[test]
    fn many_different_graphemes_and_long_texts() {
        let many: String = ('\u{4e00}'..='\u{5000}').collect();
        let fewer: String = many.chars().step_by(2).collect();
        assert_eq!(grapheme_distance(&many, &fewer), many.chars().count() - fewer.chars().count());
        let (a, b) = ("ab".repeat(3_000), "ba".repeat(3_000) + "xyz");
        assert_eq!(grapheme_distance(&a, &b), reference(&a, &b));
    }

    #[test]
    fn cer_is_relative_to_the_original() {
        assert!((cer("abcd", "abxd") - 0.25).abs() < 1e-7);
        assert!(cer("", "").abs() < f32::EPSILON);
    }
}
