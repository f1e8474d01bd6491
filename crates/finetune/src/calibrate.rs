//! How probable the edits of a model are, learned on held-out pairs.

use std::path::Path;

use corruptor::Pair;
use restorer::checkpoint::{write_calibration, write_profile, write_text_calibration};
use restorer::{Calibration, LoadOptions, Profile, RestoreOptions, Restorer};

use crate::error::FinetuneError;
use crate::evaluate::{EditFigures, TextFigures};
use crate::judged::{Judged, JudgedEdit, judged_edits};
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

/// Restores `pairs` with the edits that reach `min_confidence`, the model's own threshold if none is given, and fits how often a whole
/// text is right to what the model, whose texts are not calibrated, says of it. Also gives back the texts: none where there are none.
///
/// # Errors
/// If the model fails.
pub fn calibrate_texts<R: Restorer + ?Sized>(
    model: &R,
    pairs: &[Pair],
    min_confidence: Option<f32>,
    workers: &Workers,
) -> Result<Option<(Calibration, ScoredTexts)>, FinetuneError> {
    let texts = score_texts(model, pairs, min_confidence, workers)?;
    let points: Vec<(f64, bool)> =
        texts.judged.iter().map(|text| (f64::from(text.confidence), text.is_right)).collect();
    Ok((!points.is_empty()).then(|| (Calibration::fit(&points), texts)))
}

fn score_texts<R: Restorer + ?Sized>(
    model: &R,
    pairs: &[Pair],
    min_confidence: Option<f32>,
    workers: &Workers,
) -> Result<ScoredTexts, FinetuneError> {
    let options = RestoreOptions { min_confidence, ..RestoreOptions::default() };
    let scored = score(model, pairs, &options, workers, |_| ())?;
    let sizes = pairs.iter().zip(&scored).map(|(pair, scored)| (pair.corrupted.len(), scored.edits.len()));
    Ok(ScoredTexts { sizes: sizes.collect(), judged: scored.iter().map(Judged::of_text).collect() })
}

/// Texts that were restored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoredTexts {
    /// Bytes of each corrupted text, and its edits.
    sizes: Vec<(usize, usize)>,
    /// Whether each is right, and how sure the model is of it.
    judged: Vec<Judged>,
}

impl ScoredTexts {
    /// How they are distributed, once their confidences are told by `calibration`.
    pub fn profile(&self, calibration: Calibration) -> Profile {
        let mut profile = Profile::default();
        for ((bytes, edits), text) in self.sizes.iter().zip(&self.judged) {
            profile.add(*bytes, *edits, calibration.confidence(text.confidence));
        }
        profile
    }
}

/// Restores `pairs` with the checkpoint in `dir`, and tells it how they are distributed; all else stays.
///
/// # Errors
/// If the checkpoint cannot be loaded or written, or the model fails.
pub fn profile_checkpoint(
    dir: &Path,
    pairs: &[Pair],
    options: &LoadOptions,
    workers: &Workers,
) -> Result<Profile, FinetuneError> {
    let model = restorer::load(dir, options)?;
    let profile = score_texts(model.as_ref(), pairs, None, workers)?.profile(Calibration::default());
    drop(model);
    write_profile(dir, profile.clone())?;
    Ok(profile)
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
    /// The same of whole texts.
    pub texts: CalibratedTexts,
}

/// What a calibration of whole texts has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibratedTexts {
    /// What was learned.
    pub calibration: Calibration,
    /// The texts as the model says them.
    pub before: TextFigures,
    /// The same texts as they are told now.
    pub after: TextFigures,
}

/// Learns the calibration of whole texts of the checkpoint in `dir` on `pairs`, and writes it there; that of edits stays. Also gives back
/// the figures of before and now; none where there are no pairs.
///
/// # Errors
/// If the checkpoint cannot be loaded or written, or the model fails.
pub fn calibrate_checkpoint_texts(
    dir: &Path,
    pairs: &[Pair],
    options: &LoadOptions,
    workers: &Workers,
) -> Result<Option<CalibratedTexts>, FinetuneError> {
    // Which edits are applied depends on their own calibration.
    let model = restorer::load(dir, &LoadOptions { raw_text_confidence: true, ..options.clone() })?;
    let Some((calibration, scored)) = calibrate_texts(model.as_ref(), pairs, None, workers)? else {
        return Ok(None);
    };
    drop(model);
    write_text_calibration(dir, calibration)?;
    write_profile(dir, scored.profile(calibration))?;
    let judged = scored.judged;
    let told =
        judged.iter().map(|text| Judged { confidence: calibration.confidence(text.confidence), ..*text });
    let after = TextFigures::of(&told.collect::<Vec<_>>());
    Ok(Some(CalibratedTexts { calibration, before: TextFigures::of(&judged), after }))
}

/// Learns the calibrations of the checkpoint in `dir` on `pairs`, first that of its edits, then that of whole texts, and writes them
/// there; none where the model changes nothing.
///
/// # Errors
/// If the checkpoint cannot be loaded or written, or the model fails.
pub fn calibrate_checkpoint(
    dir: &Path,
    pairs: &[Pair],
    options: &LoadOptions,
    workers: &Workers,
) -> Result<Option<Calibrated>, FinetuneError> {
    let model = restorer::load(dir, &LoadOptions { raw_confidence: true, ..options.clone() })?;
    let Some((calibration, edits)) = calibrate(model.as_ref(), pairs, workers)? else { return Ok(None) };
    let told =
        edits.iter().map(|edit| JudgedEdit { confidence: calibration.confidence(edit.confidence), ..*edit });
    let after = EditFigures::of(&told.collect::<Vec<_>>());
    let (Some(before), Some(after)) = (EditFigures::of(&edits), after) else { return Ok(None) };
    drop(model);
    write_calibration(dir, calibration)?;
    let Some(texts) = calibrate_checkpoint_texts(dir, pairs, options, workers)? else { return Ok(None) };
    Ok(Some(Calibrated { calibration, before, after, texts }))
}
