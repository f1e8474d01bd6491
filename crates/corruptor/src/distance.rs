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

    #[test]
    fn distance_counts_graphemes() {
        assert_eq!(grapheme_distance("kitten", "sitting"), 3);
        assert_eq!(grapheme_distance("e\u{301}tat", "etat"), 1);
        assert_eq!(grapheme_distance("a\r\nb", "ab"), 1);
        assert_eq!(grapheme_distance("", "naïve"), 5);
    }

    #[test]
    fn cer_is_relative_to_the_original() {
        assert!((cer("abcd", "abxd") - 0.25).abs() < 1e-7);
        assert!(cer("", "").abs() < f32::EPSILON);
    }
}
