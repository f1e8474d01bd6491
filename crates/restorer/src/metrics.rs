//! Figures of restored texts: character error rate, exact matches, harm, and intervals by bootstrap.
//!
//! Counts are sums, so figures of a corpus come from its texts' counts added up: a corpus's CER is the sum of the distances
//! over the sum of the graphemes, not a mean of rates.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use corruptor::{RecordStream, grapheme_count, grapheme_distance};
use serde::{Deserialize, Serialize};

/// Counts of one or more restored texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextCounts {
    /// Texts.
    pub texts: u64,
    /// Graphemes of the originals.
    pub graphemes: u64,
    /// Levenshtein distance, in graphemes, of the corrupted texts from their originals.
    pub errors_before: u64,
    /// Levenshtein distance, in graphemes, of the restored texts from their originals.
    pub errors_after: u64,
    /// Texts restored to their originals byte for byte.
    pub exact: u64,
    /// Texts that were clean: corrupted and original are the same.
    pub clean: u64,
    /// Clean texts that the model changed.
    pub harmed: u64,
}

impl TextCounts {
    /// The counts of one text.
    pub fn of(original: &str, corrupted: &str, restored: &str) -> Self {
        let clean = corrupted == original;
        let exact = restored == original;
        Self {
            texts: 1,
            graphemes: grapheme_count(original) as u64,
            errors_before: if clean { 0 } else { grapheme_distance(original, corrupted) as u64 },
            errors_after: if exact { 0 } else { grapheme_distance(original, restored) as u64 },
            exact: u64::from(exact),
            clean: u64::from(clean),
            harmed: u64::from(clean && !exact),
        }
    }

    /// Character error rate of the corrupted texts.
    pub fn cer_before(&self) -> f64 {
        self.errors_before as f64 / self.graphemes.max(1) as f64
    }

    /// Character error rate of the restored texts.
    pub fn cer_after(&self) -> f64 {
        self.errors_after as f64 / self.graphemes.max(1) as f64
    }

    /// Share of the errors that are gone, 1 − after / before; negative where restoration adds errors, none where there were none.
    pub fn reduction(&self) -> Option<f64> {
        (self.errors_before > 0).then(|| 1.0 - self.errors_after as f64 / self.errors_before as f64)
    }

    /// Share of the texts restored byte for byte.
    pub fn exact_match(&self) -> f64 {
        self.exact as f64 / self.texts.max(1) as f64
    }

    /// Share of the clean texts that the model changed; none where no text was clean.
    pub fn harm(&self) -> Option<f64> {
        (self.clean > 0).then(|| self.harmed as f64 / self.clean as f64)
    }
}

impl AddAssign for TextCounts {
    fn add_assign(&mut self, other: Self) {
        self.texts += other.texts;
        self.graphemes += other.graphemes;
        self.errors_before += other.errors_before;
        self.errors_after += other.errors_after;
        self.exact += other.exact;
        self.clean += other.clean;
        self.harmed += other.harmed;
    }
}

impl Add for TextCounts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sum for TextCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its 2.5th percentile.
    pub low: f64,
    /// Its 97.5th percentile.
    pub high: f64,
}

/// The 95 % percentile bootstrap interval of [`TextCounts::reduction`], resampling whole groups (documents, or passages).
///
/// None where a resample cannot have an error, as in clean texts. The resamples are a function of `seed`.
pub fn reduction_interval(groups: &[TextCounts], seed: u64, resamples: usize) -> Option<Interval> {
    if groups.is_empty() || resamples == 0 {
        return None;
    }
    let mut stream = RecordStream::for_purpose(seed, "bootstrap");
    let resample = |stream: &mut RecordStream| -> Option<f64> {
        let draw = |_| groups[stream.below(groups.len() as u64) as usize];
        (0..groups.len()).map(draw).sum::<TextCounts>().reduction()
    };
    let mut reductions: Vec<f64> = (0..resamples).filter_map(|_| resample(&mut stream)).collect();
    reductions.sort_unstable_by(f64::total_cmp);
    let percentile = |share: f64| {
        let last = reductions.len().checked_sub(1)?;
        Some(reductions[(share * last as f64).round() as usize])
    };
    Some(Interval { low: percentile(0.025)?, high: percentile(0.975)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_to_corpus_rates() {
        let a = TextCounts::of("abcdefghij", "abcdefghi", "abcdefghij");
        let b = TextCounts::of("ab", "xy", "xb");
        let clean = TextCounts::of("same", "same", "sane");
        let all: TextCounts = [a, b, clean].into_iter().sum();
        assert_eq!(all.graphemes, 16);
        assert_eq!((all.errors_before, all.errors_after), (3, 2));
        assert!((all.cer_before() - 3.0 / 16.0).abs() < 1e-12);
        assert!((all.reduction().unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert!((all.exact_match() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(all.harm(), Some(1.0));
        assert_eq!((a.harm(), clean.reduction()), (None, None));
    }

    #[test]
    fn intervals_hold_the_estimate_and_repeat() {
        let group = |before, after| TextCounts {
            texts: 1,
            graphemes: 100,
            errors_before: before,
            errors_after: after,
            ..TextCounts::default()
        };
        let groups: Vec<_> = (0..60).map(|i| group(10 + i % 7, 5 + i % 5)).collect();
        let estimate = groups.iter().copied().sum::<TextCounts>().reduction().unwrap();
        let interval = reduction_interval(&groups, 1, 500).unwrap();
        assert!(interval.low < estimate && estimate < interval.high);
        assert!(interval.high - interval.low < 0.2);
        assert_eq!(reduction_interval(&groups, 1, 500), Some(interval));
        assert_eq!(reduction_interval(&[group(0, 3)], 1, 100), None);
        assert_eq!(reduction_interval(&[], 1, 100), None);
    }
}
