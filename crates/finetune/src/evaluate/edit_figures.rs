//! How far the confidence of edits and of whole texts can be relied on.

use serde::Serialize;

use crate::judged::{Judged, JudgedEdit};

/// Bins of confidence, of one width.
pub(super) const BINS: usize = 10;
/// Of the normal distribution: two sides hold 95 %.
const Z: f64 = 1.96;
/// The shares of right edits that automatic use asks for.
const PRECISIONS: [f64; 2] = [0.99, 0.999];

/// What stands in `metrics.json` of the edits of the pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EditFigures {
    /// Edits that were judged: those of 2,000 texts at most, evenly spaced.
    pub edits: u64,
    /// Share of them without which their text would have more errors.
    pub precision: f64,
    /// Expected calibration error (Naeini et al. 2015), in ten bins of one width: the mean distance, by edits, of the share that is right
    /// from the mean confidence.
    pub calibration_error: f64,
    /// Of all edits, the largest share that are surest and of which 99 % are right.
    pub coverage_99: f64,
    /// The same for 99.9 %.
    pub coverage_999: f64,
}

impl EditFigures {
    /// The figures of `edits`; none where there is none.
    pub fn of(edits: &[JudgedEdit]) -> Option<Self> {
        let right = edits.iter().filter(|edit| edit.is_right).count();
        let curve = curve(edits);
        let [coverage_99, coverage_999] = PRECISIONS.map(|precision| coverage_at(&curve, precision));
        (!edits.is_empty()).then(|| Self {
            edits: edits.len() as u64,
            precision: right as f64 / edits.len() as f64,
            calibration_error: calibration_error(&bins(edits.iter().map(Judged::from))),
            coverage_99,
            coverage_999,
        })
    }
}

/// What stands in `metrics.json` of the confidence of the texts of the pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextFigures {
    /// Texts.
    pub texts: u64,
    /// Share of them that are restored whole: the originals.
    pub right: f64,
    /// As [`EditFigures::calibration_error`].
    pub calibration_error: f64,
}

impl TextFigures {
    /// The figures of `texts`.
    pub fn of(texts: &[Judged]) -> Self {
        let right = texts.iter().filter(|text| text.is_right).count();
        Self {
            texts: texts.len() as u64,
            right: right as f64 / texts.len().max(1) as f64,
            calibration_error: calibration_error(&bins(texts.iter().copied())),
        }
    }
}

/// What is of one bin.
#[derive(Clone, Copy, Default)]
pub(super) struct Bin {
    pub(super) count: u64,
    right: u64,
    confidence: f64,
}

impl Bin {
    pub(super) fn mean_confidence(&self) -> f64 {
        self.confidence / self.count.max(1) as f64
    }

    pub(super) fn right_share(&self) -> f64 {
        self.right as f64 / self.count.max(1) as f64
    }

    /// Wilson's interval of the share of right edits.
    pub(super) fn interval(&self) -> (f64, f64) {
        let (n, p) = (self.count.max(1) as f64, self.right_share());
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }
}

pub(super) fn bins(all: impl Iterator<Item = Judged>) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for one in all {
        let confidence = f64::from(one.confidence).clamp(0.0, 1.0);
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.count += 1;
        bin.right += u64::from(one.is_right);
        bin.confidence += confidence;
    }
    bins
}

/// The mean distance of the share that is right from the mean confidence, by what is in the bins.
pub(super) fn calibration_error(bins: &[Bin; BINS]) -> f64 {
    let count: u64 = bins.iter().map(|bin| bin.count).sum();
    let apart = |bin: &Bin| (bin.right_share() - bin.mean_confidence()).abs() * bin.count as f64;
    bins.iter().map(apart).sum::<f64>() / count.max(1) as f64
}

/// A threshold of confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Threshold {
    /// Share of all edits that reach it.
    pub(super) coverage: f64,
    /// Share of those that are right.
    pub(super) precision: f64,
}

/// Every threshold that parts the edits, the highest first; edits of one confidence are on one side.
pub(super) fn curve(edits: &[JudgedEdit]) -> Vec<Threshold> {
    let mut sorted: Vec<&JudgedEdit> = edits.iter().collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let (mut curve, mut right) = (Vec::new(), 0_u64);
    for (index, edit) in sorted.iter().enumerate() {
        right += u64::from(edit.is_right);
        let is_last_of_its_own =
            sorted.get(index + 1).is_none_or(|next| next.confidence.total_cmp(&edit.confidence).is_ne());
        if is_last_of_its_own {
            let taken = (index + 1) as f64;
            curve.push(Threshold { coverage: taken / sorted.len() as f64, precision: right as f64 / taken });
        }
    }
    curve
}

/// The largest coverage with at least this precision; 0 where there is none.
fn coverage_at(curve: &[Threshold], precision: f64) -> f64 {
    let reaching = curve.iter().filter(|threshold| threshold.precision >= precision);
    reaching.map(|threshold| threshold.coverage).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(confidence: f32, is_right: bool) -> JudgedEdit {
        JudgedEdit { confidence, is_right, graphemes: 1 }
    }

    #[test]
    fn intervals_are_wilsons() {
        let (low, high) = Bin { count: 10, right: 8, confidence: 8.0 }.interval();
        assert!((low - 0.490).abs() < 0.001 && (high - 0.943).abs() < 0.001, "{low} {high}");
        let (_, high) = Bin { count: 3, right: 3, confidence: 3.0 }.interval();
        assert!((high - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_last_bin_holds_what_is_sure() {
        let edits = [edit(1.0, true), edit(0.95, true), edit(0.05, true)];
        let bins = bins(edits.iter().map(Judged::from));
        assert_eq!((bins[9].count, bins[0].count), (2, 1));
    }

    #[test]
    fn the_error_is_how_far_confidence_and_truth_are_apart() {
        // Of ten that say 0.8, eight are right: nothing is amiss. Of ten that say 1, half are: half the edits are off by a half.
        let mut edits: Vec<JudgedEdit> = (0..10).map(|i| edit(0.8, i < 8)).collect();
        let figures = EditFigures::of(&edits).unwrap();
        assert!(figures.calibration_error < 1e-6 && (figures.precision - 0.8).abs() < 1e-9);
        edits.extend((0..10).map(|i| edit(1.0, i < 5)));
        assert!((EditFigures::of(&edits).unwrap().calibration_error - 0.25).abs() < 1e-6);
        assert_eq!(EditFigures::of(&[]), None);
    }

    #[test]
    fn coverage_takes_the_surest_and_never_parts_equals() {
        let mut edits: Vec<JudgedEdit> = (0..100).map(|_| edit(0.99, true)).collect();
        edits.extend((0..100).map(|i| edit(0.9, i > 0)));
        edits.extend((0..50).map(|_| edit(0.5, false)));
        let figures = EditFigures::of(&edits).unwrap();
        // 199 of the first 200 are right: enough for 99 %, too few for 99.9 %.
        assert!((figures.coverage_99 - 0.8).abs() < 1e-9 && (figures.coverage_999 - 0.4).abs() < 1e-9);
        let curve = curve(&edits);
        assert_eq!(curve.len(), 3);
        assert!(curve.windows(2).all(|two| two[0].coverage < two[1].coverage));
    }
}
