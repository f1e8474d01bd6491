//! How the texts that a model restores are distributed: what it is used for is compared with what it was measured on.

use serde::{Deserialize, Serialize};

/// Upper edges of the bins of lengths, in bytes; beyond the last is one bin more.
const BYTES: [f64; 9] = [16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0];
/// Upper edges of the bins of edits for each 100 bytes.
const EDITS: [f64; 9] = [0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0];
/// Upper edges of the bins of confidences.
const CONFIDENCE: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// Bins of each.
const BINS: usize = 10;

/// How many texts fell into each bin, of their lengths, their edits and their confidences.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Bytes of the corrupted text: up to 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, and more.
    pub bytes: [f64; BINS],
    /// Edits for each 100 bytes of it: none, up to 0.25, 0.5, 1, 2, 3, 5, 8, 12, and more.
    pub edits: [f64; BINS],
    /// Confidence of the restoration: up to 0.1, 0.2, …, 1.
    pub confidence: [f64; BINS],
}

/// How far one distribution is from another: the population stability index, Σ (q − p) · ln (q / p) over the bins. By custom, under
/// 0.1 nothing has changed, and over 0.25 much has (Siddiqi, Credit Risk Scorecards, 2006).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// Of lengths.
    pub bytes: f64,
    /// Of edits.
    pub edits: f64,
    /// Of confidences.
    pub confidence: f64,
}

impl Profile {
    /// Counts a text of `bytes` bytes with so many `edits`, restored with this `confidence`.
    pub fn add(&mut self, bytes: usize, edits: usize, confidence: f32) {
        let per_hundred = edits as f64 * 100.0 / bytes.max(1) as f64;
        self.bytes[bin(&BYTES, bytes as f64)] += 1.0;
        self.edits[bin(&EDITS, per_hundred)] += 1.0;
        // What is 0.1 in 32 bits is a little more in 64.
        self.confidence[bin(&CONFIDENCE, (f64::from(confidence) * 1e6).round() / 1e6)] += 1.0;
    }

    /// Texts that were counted.
    pub fn texts(&self) -> f64 {
        self.bytes.iter().sum()
    }

    /// Lets what was counted so far weigh less, by `factor` in [0, 1].
    pub fn fade(&mut self, factor: f64) {
        for count in self.bytes.iter_mut().chain(&mut self.edits).chain(&mut self.confidence) {
            *count *= factor;
        }
    }

    /// How far `served` is from this.
    pub fn drift(&self, served: &Self) -> Drift {
        Drift {
            bytes: stability(&self.bytes, &served.bytes),
            edits: stability(&self.edits, &served.edits),
            confidence: stability(&self.confidence, &served.confidence),
        }
    }
}

/// The bin of a value: the first whose edge it does not pass.
fn bin(edges: &[f64; BINS - 1], value: f64) -> usize {
    edges.iter().position(|edge| value <= *edge).unwrap_or(BINS - 1)
}

/// The population stability index. Each bin has half a text more than was counted: an empty one says little, not everything.
fn stability(expected: &[f64; BINS], found: &[f64; BINS]) -> f64 {
    let whole = |counts: &[f64; BINS]| counts.iter().sum::<f64>() + 0.5 * BINS as f64;
    let (all_expected, all_found) = (whole(expected), whole(found));
    let term = |(expected, found): (&f64, &f64)| {
        let (p, q) = ((expected + 0.5) / all_expected, (found + 0.5) / all_found);
        (q - p) * (q / p).ln()
    };
    expected.iter().zip(found).map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: impl IntoIterator<Item = (usize, usize, f32)>) -> Profile {
        let mut profile = Profile::default();
        for (bytes, edits, confidence) in texts {
            profile.add(bytes, edits, confidence);
        }
        profile
    }

    #[test]
    fn the_same_texts_do_not_drift_and_others_do_where_they_differ() {
        let usual = |at: usize| (40 + at % 200, at % 3, (at % 100) as f32 / 100.0);
        let (before, now) = (of((0..3000).map(usual)), of((3000..6000).map(usual)));
        let drift = before.drift(&now);
        assert!(drift.bytes < 0.01 && drift.edits < 0.01 && drift.confidence < 0.01, "{drift:?}");
        // Five times the edits, at the same lengths and confidences.
        let noisy = of((0..3000).map(usual).map(|(bytes, edits, sure)| (bytes, 5 * edits, sure)));
        let drift = before.drift(&noisy);
        assert!(drift.bytes < 0.01 && drift.edits > 0.25 && drift.confidence < 0.01, "{drift:?}");
    }

    #[test]
    fn a_hand_computed_index() {
        // 4.5, 3.5 and eight times 0.5 of 12, and the other way round: 2 · (1/12) · ln (4.5/3.5).
        let (mut expected, mut found) = ([0.0; BINS], [0.0; BINS]);
        (expected[0], expected[1], found[0], found[1]) = (4.0, 3.0, 3.0, 4.0);
        let index = stability(&expected, &found);
        assert!((index - 2.0 / 12.0 * (4.5_f64 / 3.5).ln()).abs() < 1e-12, "{index}");
    }

    #[test]
    fn what_is_old_fades_and_edges_belong_to_the_bin_below() {
        let mut profile = of([(16, 0, 0.1), (17, 1, 0.95)]);
        assert_eq!(
            (profile.bytes[0], profile.bytes[1], profile.edits[0], profile.edits[7]),
            (1.0, 1.0, 1.0, 1.0)
        );
        assert_eq!((profile.confidence[0], profile.confidence[9]), (1.0, 1.0));
        profile.fade(0.5);
        assert!((profile.texts() - 1.0).abs() < 1e-12);
    }
}
