//! Counting a corpus into a prior.

use std::collections::BTreeMap;
use std::time::Instant;

use corruptor::Recipe;
use restorer::ngram::{
    BuildError, BuildOptions, Built, Counter, MODEL_TYPE, Pruning, RawCounts, Smoothing, build,
};
use restorer::train::CheckpointMeta;
use serde_json::{Value, json};

use super::card::{Card, write_card};
use super::held_out::{HeldOut, bits_per_byte, reported, rounded};
use super::options::PriorOptions;
use super::settings::NgramSettings;
use super::tune::{Tuned, tune, undecided};
use crate::error::FinetuneError;

/// Training text below which a prior is weak.
const LITTLE_TEXT_BYTES: u64 = 100_000;
const MIB: f64 = 1_048_576.0;

/// Texts that were counted, of one source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SourceFacts {
    pub(super) passages: u64,
    pub(super) bytes: u64,
}

/// Everything that one pass over the corpus gives.
struct Counted {
    counts: RawCounts,
    sources: BTreeMap<String, SourceFacts>,
    held_out: HeldOut,
}

/// Counts the training documents of a corpus and writes the prior; `None` if it was stopped.
///
/// Smoothing and pruning are those that cost the fewest bits per byte of the validation documents at the budget, unless the recipe
/// names them. The same texts give the same checkpoint, but for the date of its files.
///
/// # Errors
/// If the recipe, the texts or the output directory are not fit for it, or a file cannot be written.
pub fn train_prior(options: &PriorOptions) -> Result<Option<Value>, FinetuneError> {
    let settings: NgramSettings = options.recipe.table("model")?;
    settings.validate()?;
    options.check_out(MODEL_TYPE)?;
    let begun = Instant::now();
    let Some(counted) = count(options, &settings)? else { return Ok(None) };
    let text_bytes = counted.counts.text_bytes();
    (options.note)(&format!(
        "counted {:.1} MB in {:.1} s",
        text_bytes as f64 / 1e6,
        begun.elapsed().as_secs_f64()
    ));
    if text_bytes < LITTLE_TEXT_BYTES {
        (options.note)(&format!(
            "warning: {:.0} kB of training text are little: expect some 2.1 bits per byte, where 10 MB give 1.5, and a \
             prior that takes rare words for errors; give at least 1 MB",
            text_bytes as f64 / 1e3
        ));
    }
    let choice = choice(&settings, &counted, options.note);
    let built = build(&counted.counts, &choice, |model| bits_per_byte(model, &counted.held_out.valid))
        .map_err(build_error)?;
    let compared = if counted.held_out.valid.texts().is_empty() { &[] } else { &built.candidates[..] };
    for tried in compared {
        (options.note)(&format!(
            "{}, pruned by {}: {:.4} bits per byte of the validation split",
            tried.smoothing,
            tried.pruning.name(),
            tried.cost
        ));
    }
    (options.note)(&format!("built after {:.1} s", begun.elapsed().as_secs_f64()));
    let HeldOut { valid, channel, .. } = &counted.held_out;
    let recipe = options.recipe.clone().with_table_of("corrupt", &Recipe::of_corrupt(channel)?)?;
    let restorer = undecided(built.model.clone(), channel)?;
    let Some(tuned) = tune(restorer, channel, valid, 1.0, &options.stop, options.note)? else {
        return Ok(None);
    };
    (options.note)(&format!("{:.1} s in all", begun.elapsed().as_secs_f64()));
    let metrics = metrics(&built, &counted, &tuned);
    let meta = CheckpointMeta {
        recipe: recipe.text().to_owned(),
        metrics: metrics.clone(),
        min_confidence: tuned.min_confidence,
        calibration: None,
        text_calibration: None,
        profile: None,
        decoding: Some(tuned.decoding),
    };
    write_card(&options.out, &Card { metrics: &metrics, sources: &counted.sources, recipe: recipe.text() })?;
    let text = serde_json::to_vec_pretty(&metrics).unwrap_or_default();
    corruptor::atomic::AtomicFile::write_whole(options.out.join("metrics.json"), &text)?;
    built.save(&options.out, settings.order, &meta)?;
    Ok(Some(metrics))
}

/// The ways of smoothing and pruning to try.
fn choice(settings: &NgramSettings, counted: &Counted, note: fn(&str)) -> BuildOptions {
    let mut choice = BuildOptions::new((settings.max_mib * MIB) as u64);
    if counted.held_out.valid.texts().is_empty() {
        note(
            "no document is in the validation split, so that nothing can be compared: kneser-ney, pruned by entropy",
        );
        (choice.smoothings, choice.prunings) = (vec![Smoothing::KneserNey], vec![Pruning::Entropy]);
    }
    if let Some(smoothing) = settings.smoothing {
        choice.smoothings = vec![smoothing];
    }
    if let Some(pruning) = settings.pruning {
        choice.prunings = vec![pruning];
    }
    choice
}

fn count(options: &PriorOptions, settings: &NgramSettings) -> Result<Option<Counted>, FinetuneError> {
    let mut counter = Counter::new(settings.order);
    let mut sources: BTreeMap<String, SourceFacts> = BTreeMap::new();
    let held_out = HeldOut::read(options, 1.0, |source, text| {
        let facts = sources.entry(source.to_owned()).or_default();
        facts.passages += 1;
        facts.bytes += text.len() as u64;
        counter.add(text).map_err(BuildError::Io).map_err(build_error)
    })?;
    let Some(held_out) = held_out else { return Ok(None) };
    let counts = counter.finish().map_err(BuildError::Io).map_err(build_error)?;
    Ok(Some(Counted { counts, sources, held_out }))
}

fn metrics(built: &Built, counted: &Counted, tuned: &Tuned) -> Value {
    json!({
        "train_bytes": counted.counts.text_bytes(),
        "train_passages": counted.counts.texts(),
        "ngrams_counted": built.distinct,
        "ngrams_kept": built.model.arcs(),
        "contexts_kept": built.model.nodes(),
        "table_mib": rounded(built.file.len() as f64 / MIB, 2),
        "smoothing": built.chosen.smoothing,
        "pruning": built.chosen.pruning,
        "valid_bits_per_byte": reported(&built.model, &counted.held_out.valid),
        "test_bits_per_byte": reported(&built.model, &counted.held_out.test),
        "decoding": tuned.metrics,
    })
}

fn build_error(error: BuildError) -> FinetuneError {
    FinetuneError::Prior(error)
}
