//! The end of a run: the best weights, a confidence threshold for them, and the complete checkpoint.

use corruptor::atomic::AtomicFile;
use restorer::train::{CheckpointMeta, Trainable};
use serde_json::{Map, Value, json};

use super::card::{TrainingFacts, write_card};
use super::run::Run;
use super::validate::Measured;
use crate::error::FinetuneError;

/// Puts the best weights back, chooses their confidence threshold on the validation split, and writes the checkpoint, its
/// model card and `metrics.json`.
///
/// # Errors
/// If the model fails or a file cannot be written.
pub(super) fn finish<M: Trainable>(run: &Run<'_, M>) -> Result<Value, FinetuneError> {
    run.files.load_best(run.model)?;
    let best = run.state.best;
    let mut figures = Map::new();
    let mut add = |value: Value| figures.extend(value.as_object().cloned().unwrap_or_default());
    add(json!({
        "steps": run.state.step,
        "best_step": best.map(|best| best.step),
        "tokens": run.state.tokens,
        "epochs": run.state.cursor.epoch,
        "minutes": (run.elapsed_s() / 6.0).round() / 10.0,
        "valid_loss": best.and_then(|best| best.measured.loss),
    }));
    let mut measured = best.map_or(Measured::default(), |best| best.measured);
    let mut min_confidence = run.settings.min_confidence;
    let (mut calibration, mut text_calibration, mut profile) = (None, None, None);
    if run.model.restores() {
        calibration = run.validation.calibrate(run.model, &run.workers)?;
        let known = calibration.unwrap_or_default();
        let choice =
            run.validation.choose_confidence(run.model, known, &run.settings, &run.workers, |tried| {
                run.report.note(&format!(
                    "min_confidence {}: validation CER {:.3} %, harm {:.1} %, worse in: {}",
                    tried.min_confidence,
                    100.0 * tried.counts.cer_after(),
                    100.0 * tried.harm,
                    if tried.worsened.is_empty() { "none".to_owned() } else { tried.worsened.join(", ") },
                ));
            })?;
        add(json!({
            "min_confidence": f64::from((choice.min_confidence * 1000.0).round()) / 1000.0,
            "valid_texts": choice.counts.texts,
            "valid_cer_before": choice.counts.cer_before(),
            "valid_cer": choice.counts.cer_after(),
            "valid_reduction": choice.counts.reduction(),
            "valid_harm": choice.harm,
            "valid_worsened": choice.worsened,
        }));
        let said = known.said(f64::from(choice.min_confidence)) as f32;
        if let Some((learned, texts)) = run.validation.calibrate_texts(run.model, said, &run.workers)? {
            (text_calibration, profile) = (Some(learned), Some(texts.profile(learned)));
        }
        measured.counts = Some(choice.counts);
        min_confidence = choice.min_confidence;
    }
    let metrics = Value::Object(figures);
    let out = &run.options.out;
    let meta = CheckpointMeta {
        recipe: run.options.recipe.text().to_owned(),
        metrics: metrics.clone(),
        min_confidence,
        calibration,
        text_calibration,
        profile,
        decoding: None,
    };
    run.model.save(out, &meta)?;
    write_card(out, &TrainingFacts::of(run, min_confidence, measured))?;
    let text = serde_json::to_vec_pretty(&metrics).unwrap_or_default();
    AtomicFile::write_whole(out.join("metrics.json"), &text)?;
    run.report.close();
    Ok(metrics)
}
