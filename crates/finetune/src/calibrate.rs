//! How probable the edits of a model are, learned on held-out pairs.

use std::path::Path;

use corruptor::Pair;
use restorer::checkpoint::write_calibration;
use restorer::{Calibration, LoadOptions, RestoreOptions, Restorer};

use crate::error::FinetuneError;
use crate::evaluate::EditFigures;
use crate::judged::{JudgedEdit, judged_edits};
use crate::scores::score;
use crate::workers::Workers;

/// Restores `pairs` with all edits applied, and fits how often an edit is right to what the model, which is not calibrated, says of it;
/// none where it changes nothing. Also gives back the edits.
///
/// # Errors
/// If the model fails.
pub fn calibrate<R: Restorer + ?Sized>(
    model: &R,
    pairs: &[Pair],
    workers: &Workers,
) -> Result<Option<(Calibration, Vec<JudgedEdit>)>, FinetuneError> {
    let options = RestoreOptions { min_confidence: Some(0.0), ..RestoreOptions::default() };
    let scored = score(model, pairs, &options, workers, |_| ())?;
    let edits = judged_edits(pairs.iter().zip(&scored));
    let points: Vec<(f64, bool)> =
        edits.iter().map(|edit| (f64::from(edit.confidence), edit.is_right)).collect();
    Ok((!points.is_empty()).then(|| (Calibration::fit(&points), edits)))
}

/// What a calibration has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// What was learned.
    pub calibration: Calibration,
    /// The edits as the model says them.
    pub before: EditFigures,
    /// The same edits as they are told now; they are what was learned from.
    pub after: EditFigures,
}

/// Learns the calibration of the checkpoint in `dir` on `pairs`, and writes it there; none where the model changes nothing.
///
/// # Errors
/// If the checkpoint cannot be loaded or written, or the model fails.
pub fn calibrate_checkpoint(
    dir: &Path,
    pairs: &[Pair],
    options: LoadOptions,
    workers: &Workers,
) -> Result<Option<Calibrated>, FinetuneError> {
    let model = restorer::load(dir, &LoadOptions { raw_confidence: true, ..options })?;
    let Some((calibration, edits)) = calibrate(model.as_ref(), pairs, workers)? else { return Ok(None) };
    let told = |edit: &JudgedEdit| JudgedEdit {
        confidence: calibration.probability(f64::from(edit.confidence)) as f32,
        ..*edit
    };
    let after = EditFigures::of(&edits.iter().map(told).collect::<Vec<_>>());
    let (Some(before), Some(after)) = (EditFigures::of(&edits), after) else { return Ok(None) };
    write_calibration(dir, calibration)?;
    Ok(Some(Calibrated { calibration, before, after }))
}
