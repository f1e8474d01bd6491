//! Scaling the rates so that the realized character error rate is what was asked for.

use rayon::prelude::*;

use crate::channel::Channel;
use crate::grapheme::grapheme_count;
use crate::op::Op;
use crate::pair::Passage;
use crate::settings::{CorruptSettings, SettingsError};
use crate::walk::Workspace;

/// How near to the target the search ends: 0.005 percentage points.
const TOLERANCE: f64 = 5e-5;
/// Most evaluations of the sample; every third halves the interval at the least.
const MAX_EVALUATIONS: usize = 40;

/// A passage that calibration corrupts, as often as generation will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalibrationRecord {
    /// Corpus name.
    pub source: String,
    /// The document's id.
    pub doc_id: String,
    /// Byte offset of the passage in its document.
    pub start: u64,
    /// The passage.
    pub text: String,
    /// Corruptions of it.
    pub copies: u32,
}

/// Scales all rates by one factor, so that the pairs of `records`, made with the very streams that generation uses, have the
/// character error rate `target`: Σ distances / Σ graphemes, clean pairs included.
///
/// The error rate is a function of the factor alone, found to 0.005 percentage points by bisection and secants.
///
/// # Errors
/// If the settings are invalid, all rates are 0, there is no text, or no factor reaches the target: the message has the highest
/// rate there is.
pub fn calibrate(
    settings: &CorruptSettings,
    target: f64,
    records: &[CalibrationRecord],
) -> Result<CorruptSettings, SettingsError> {
    let fail = |message: String| Err(SettingsError::new("corrupt.target_cer", message));
    let settings = CorruptSettings { target_cer: None, ..settings.clone() };
    let largest_level = settings.levels.iter().copied().fold(0.0, f64::max);
    let total = settings.total_rate() * largest_level;
    if total <= 0.0 {
        return fail(
            "all rates are 0, so there is nothing to scale; give at least one operation a rate".to_owned(),
        );
    }
    if records.iter().all(|record| record.text.is_empty()) {
        return fail("there is no text to calibrate on; give an input with text".to_owned());
    }
    // Just under the sum of 1, so that rounding does not exceed it.
    let most = (1.0 - 1e-9) / total;
    let measure = |factor: f64| realized(&scaled(&settings, factor), records);
    let (mut low, mut high) = ((0.0, 0.0), (most, measure(most)?));
    // Near its end the curve may fall: an operation that consumes text leaves less for others.
    let mut highest = high.1;
    for share in [0.75, 0.5, 0.25] {
        if high.1 >= target {
            break;
        }
        high = (most * share, measure(most * share)?);
        highest = highest.max(high.1);
    }
    if high.1 < target {
        let percent = |share: f64| 100.0 * share;
        return fail(format!(
            "a CER of {:.2} % cannot be reached: with these proportions and levels it is at most {:.2} %; lower the target, the clean share or the spread of the levels, or favour other operations",
            percent(target),
            percent(highest),
        ));
    }
    let mut best = high;
    for evaluation in 0..MAX_EVALUATIONS {
        if (best.1 - target).abs() <= TOLERANCE {
            break;
        }
        // The curve is nearly straight, so a secant is near; every third time the interval is halved, so that it ends.
        let secant = low.0 + (high.0 - low.0) * (target - low.1) / (high.1 - low.1);
        let factor = if evaluation % 3 == 2 { 0.5 * (low.0 + high.0) } else { secant };
        if !(factor > low.0 && factor < high.0) {
            break;
        }
        let found = (factor, measure(factor)?);
        if (found.1 - target).abs() < (best.1 - target).abs() {
            best = found;
        }
        if found.1 < target { low = found } else { high = found }
    }
    Ok(scaled(&settings, best.0))
}

fn scaled(settings: &CorruptSettings, factor: f64) -> CorruptSettings {
    let mut settings = settings.clone();
    for op in Op::ALL {
        settings.op_mut(op).rate *= factor;
    }
    settings
}

/// Σ distances / Σ graphemes of all pairs of the records.
fn realized(settings: &CorruptSettings, records: &[CalibrationRecord]) -> Result<f64, SettingsError> {
    let channel = Channel::new(settings)?;
    let measured = records.par_iter().map_init(Workspace::default, |workspace, record| {
        let CalibrationRecord { source, doc_id, start, text, copies } = record;
        let passage = Passage { source, doc_id, start: *start, text };
        let edits: u64 = (0..*copies)
            .map(|copy| {
                channel.record(workspace, &passage, copy);
                workspace.distance(text) as u64
            })
            .sum();
        (edits, grapheme_count(text) as u64 * u64::from(*copies))
    });
    let (edits, graphemes) = measured.reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    Ok(edits as f64 / graphemes.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::OpSettings;

    fn records(copies: u32) -> Vec<CalibrationRecord> {
        let words =
            ["there", "was", "a", "ship", "of", "great", "whales", "and", "men", "who", "sailed", "naïve"];
        let record = |i: u64| {
            let text =
                (0..60).map(|j| words[((i * 31 + j * j * 7) % 12) as usize]).collect::<Vec<_>>().join(" ");
            CalibrationRecord { source: "test".into(), doc_id: i.to_string(), start: 0, text, copies }
        };
        (0..300).map(record).collect()
    }

    #[test]
    fn the_realized_error_rate_is_the_target() {
        for op in Op::ALL {
            let mut settings = CorruptSettings::default();
            *settings.op_mut(op) = OpSettings::new(0.02, 3.0, 6);
            for target in [0.01, 0.1] {
                let resolved = calibrate(&settings, target, &records(2)).unwrap();
                let found = realized(&resolved, &records(2)).unwrap();
                assert!((found - target).abs() < 1e-3, "{op}: {found}, not {target}");
                let proportion = resolved.op(op).rate / resolved.total_rate();
                assert!((proportion - settings.op(op).rate / settings.total_rate()).abs() < 1e-12);
                assert_eq!(resolved.target_cer, None);
            }
        }
    }

    #[test]
    fn what_cannot_be_reached_is_said() {
        let error =
            |settings: &CorruptSettings| calibrate(settings, 0.6, &records(1)).unwrap_err().to_string();
        let mostly_clean = CorruptSettings { clean_share: 0.9, ..CorruptSettings::default() };
        assert!(error(&mostly_clean).contains("cannot be reached"), "{}", error(&mostly_clean));
        let silent = CorruptSettings::default().with_total_rate(0.0);
        assert!(error(&silent).contains("all rates are 0"));
        assert!(
            calibrate(&CorruptSettings::default(), 0.1, &[]).unwrap_err().to_string().contains("no text")
        );
    }
}
