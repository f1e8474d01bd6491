//! Levenshtein distance in graphemes, and the character error rate made from it.

use std::collections::HashMap;

use rapidfuzz::distance::levenshtein;

use crate::grapheme::{grapheme_count, graphemes, is_bytewise};

/// Levenshtein distance (unit costs) between two texts, in extended grapheme clusters.
pub fn grapheme_distance(a: &str, b: &str) -> usize {
    if is_bytewise(a) && is_bytewise(b) {
        return levenshtein::distance(a.bytes(), b.bytes());
    }
    let mut ids = HashMap::new();
    let a = intern(a, &mut ids);
    let b = intern(b, &mut ids);
    levenshtein::distance(a.iter().copied(), b.iter().copied())
}

/// Character error rate: [`grapheme_distance`] over the graphemes of `original`; an empty original counts as one grapheme.
pub fn cer(original: &str, corrupted: &str) -> f32 {
    grapheme_distance(original, corrupted) as f32 / grapheme_count(original).max(1) as f32
}

/// [`cer`] where an alignment with `most_edits` edits is known: only a band around the diagonal is searched.
///
/// The band is bit-parallel (Hyyrö 2003), so its cost is that of one machine word a grapheme up to 31 edits.
pub(crate) fn cer_within(original: &str, corrupted: &str, most_edits: usize) -> f32 {
    let args = levenshtein::Args::default().score_cutoff(most_edits);
    let (distance, graphemes) = if is_bytewise(original) && is_bytewise(corrupted) {
        (levenshtein::distance_with_args(original.bytes(), corrupted.bytes(), &args), original.len())
    } else {
        let mut ids = HashMap::new();
        let (a, b) = (intern(original, &mut ids), intern(corrupted, &mut ids));
        (levenshtein::distance_with_args(a.iter().copied(), b.iter().copied(), &args), a.len())
    };
    // Where the bound does not hold after all, nothing is lost but time.
    let distance = distance.unwrap_or_else(|| grapheme_distance(original, corrupted));
    distance as f32 / graphemes.max(1) as f32
}

fn intern<'t>(text: &'t str, ids: &mut HashMap<&'t str, u32>) -> Vec<u32> {
    graphemes(text)
        .map(|grapheme| {
            let next = ids.len() as u32;
            *ids.entry(grapheme).or_insert(next)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn distance_counts_graphemes() {
        assert_eq!(grapheme_distance("kitten", "sitting"), 3);
        assert_eq!(grapheme_distance("e\u{301}tat", "etat"), 1);
        assert_eq!(grapheme_distance("a\r\nb", "ab"), 1);
        assert_eq!(grapheme_distance("", "naïve"), 5);
    }

    proptest! {
        #[test]
        fn a_bound_changes_nothing(a in "[ab é]{0,150}", b in "[ab é]{0,150}", slack in 0usize..40) {
            let bound = grapheme_distance(&a, &b) + slack;
            prop_assert_eq!(cer_within(&a, &b, bound).to_bits(), cer(&a, &b).to_bits());
            prop_assert_eq!(cer_within(&a, &b, 0).to_bits(), cer(&a, &b).to_bits());
        }
    }

    #[test]
    fn cer_is_relative_to_the_original() {
        assert!((cer("abcd", "abxd") - 0.25).abs() < 1e-7);
        assert!(cer("", "").abs() < f32::EPSILON);
    }
}
