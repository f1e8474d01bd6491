//! Weighing the parts of an ensemble on held-out texts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use corruptor::Recipe;
use corruptor::atomic::AtomicFile;
use restorer::LoadOptions;
use restorer::PartPrior;
use restorer::checkpoint::CheckpointFiles;
use restorer::ensemble::{MODEL_TYPE, Parts};
use restorer::mixture::Mixture;
use restorer::train::CheckpointMeta;
use serde_json::{Value, json};

use super::card::{Card, write_card};
use super::held_out::{HeldOut, reported, rounded};
use super::options::PriorOptions;
use super::settings::EnsembleSettings;
use super::tune::{tune, undecided};
use crate::error::FinetuneError;

/// Makes one checkpoint of several: the weights of the priors are those under which the validation documents are most probable, and
/// what a tagger's suspicion counts is what restores the most of them. `None` if it was stopped.
///
/// # Errors
/// If the recipe, a part, the texts or the output directory are not fit for it, or a file cannot be written.
pub fn train_ensemble(options: &PriorOptions) -> Result<Option<Value>, FinetuneError> {
    let settings: EnsembleSettings = options.recipe.table("model")?;
    settings.validate()?;
    options.check_out(MODEL_TYPE)?;
    let begun = Instant::now();
    let mut parts = Parts::default();
    for path in &settings.parts {
        parts.add(CheckpointFiles::read(path)?, &LoadOptions::default())?;
    }
    if parts.priors.is_empty() {
        let value = format!("{:?}", settings.parts);
        let expected =
            "directories of checkpoints, one prior (an ngram, or a decoder that has learned texts) at least";
        return Err(FinetuneError::Setting { table: "model", key: "parts", value, expected });
    }
    let Some(HeldOut { valid, test, channel }) =
        HeldOut::read(options, settings.held_out_share, |_, _| Ok(()))?
    else {
        return Ok(None);
    };
    let priors: Vec<PartPrior> = parts.priors.iter().map(|(prior, _)| prior.clone()).collect();
    if valid.texts().is_empty() {
        (options.note)(
            "no document is in the validation split, so that nothing can be compared: equal weights",
        );
    }
    let weights = Mixture::fit(&priors, valid.texts());
    // Fitted weights are always those of a mixture.
    let Some(mixture) = parts.mixture(&weights) else { return Ok(None) };
    let names: Vec<String> =
        parts.priors.iter().map(|(_, files)| files.path("").display().to_string()).collect();
    let alone: Vec<Option<f64>> = priors.iter().map(|prior| reported(prior, &valid)).collect();
    for ((name, weight), alone) in names.iter().zip(&weights).zip(&alone) {
        let cost = alone.map_or_else(String::new, |bits| format!(", alone {bits} bits per byte"));
        (options.note)(&format!("{name}: weight {weight:.4}{cost}"));
    }
    let measured = [reported(&mixture, &valid), reported(&mixture, &test)];
    let restorer =
        undecided(mixture, &channel)?.with_tagger(parts.tagger.as_ref().map(|(tagger, _)| tagger.clone()));
    let Some(tuned) = tune(restorer, &channel, &valid, settings.held_out_share, &options.stop, options.note)?
    else {
        return Ok(None);
    };
    (options.note)(&format!("{:.1} s in all", begun.elapsed().as_secs_f64()));
    let recipe = options.recipe.clone().with_table_of("corrupt", &Recipe::of_corrupt(&channel)?)?;
    let metrics = json!({
        "parts": parts.named(&weights).iter().enumerate().map(|(index, (part, files))| json!({
            "directory": part.directory,
            "from": files.path(""),
            "weight": part.weight.map(|weight| rounded(weight, 4)),
            // A tagger comes last, and gives texts no probability.
            "valid_bits_per_byte": alone.get(index),
        })).collect::<Vec<_>>(),
        "valid_bits_per_byte": measured[0],
        "test_bits_per_byte": measured[1],
        "decoding": tuned.metrics,
    });
    let meta = CheckpointMeta {
        recipe: recipe.text().to_owned(),
        metrics: metrics.clone(),
        min_confidence: tuned.min_confidence,
        calibration: None,
        text_calibration: None,
        profile: None,
        decoding: Some(tuned.decoding),
    };
    write_card(&options.out, &Card { metrics: &metrics, sources: &BTreeMap::new(), recipe: recipe.text() })?;
    for (part, files) in parts.named(&weights) {
        copy_card(&files.path("README.md"), &options.out.join(part.directory))?;
    }
    parts.save(&options.out, &weights, &meta)?;
    Ok(Some(metrics))
}

/// A part keeps its card, if it has one.
fn copy_card(card: &Path, directory: &Path) -> Result<(), FinetuneError> {
    match std::fs::read(card) {
        Ok(text) => {
            std::fs::create_dir_all(directory).map_err(FinetuneError::file(directory, "create"))?;
            Ok(AtomicFile::write_whole(directory.join("README.md"), &text)?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FinetuneError::file(card, "read")(error)),
    }
}
