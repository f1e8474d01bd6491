//! Counting a corpus into a prior.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use corruptor::corpus::CorpusSettings;
use corruptor::resolve::{Survey, read_files};
use corruptor::{CorruptSettings, Recipe, Split};
use rayon::prelude::*;
use restorer::RestoreError;
use restorer::ngram::{
    BuildError, BuildOptions, Built, Counter, NgramModel, Pruning, RawCounts, Smoothing, build,
};
use restorer::prior::bits;
use restorer::train::CheckpointMeta;
use serde_json::{Value, json};

use super::card::{PriorFacts, write_card};
use super::settings::NgramSettings;
use super::texts::{Sample, Texts};
use super::tune::{Tuned, tune};
use crate::error::FinetuneError;
use crate::stop::Stop;
use crate::train::Existing;

/// Held-out text that is looked at, of each split.
const SAMPLE_BYTES: usize = 8 << 20;
/// Training text below which a prior is weak.
const LITTLE_TEXT_BYTES: u64 = 100_000;
const MIB: f64 = 1_048_576.0;

/// What counting needs.
#[derive(Clone, Debug)]
pub struct PriorOptions {
    /// The recipe: its tables `[model]`, `[corpus]` and `[corrupt]`.
    pub recipe: Recipe,
    /// Files and directories with texts.
    pub corpus: Vec<PathBuf>,
    /// The directory of the checkpoint.
    pub out: PathBuf,
    /// What to do with one that is already there; it is never gone on with: to resume replaces a prior, but no other model.
    pub existing: Existing,
    /// When to stop early; nothing is written then.
    pub stop: Stop,
    /// Says what is going on.
    pub note: fn(&str),
}

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
    valid: Sample,
    test: Sample,
    /// The recipe's channel, resolved.
    channel: CorruptSettings,
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
    let corpus: CorpusSettings = options.recipe.table("corpus")?;
    corpus.validate()?;
    let is_kept = match options.existing {
        Existing::Refuse => true,
        // What took hours to train is not replaced by what takes seconds to count.
        Existing::Resume => NgramModel::load(&options.out).is_err(),
        Existing::Overwrite => false,
    };
    if is_kept && options.out.join(restorer::checkpoint::WEIGHTS).exists() {
        return Err(FinetuneError::ModelTaken { path: options.out.clone() });
    }
    let begun = Instant::now();
    let Some(counted) = count(options, &settings, &corpus)? else { return Ok(None) };
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
    let built =
        build(&counted.counts, &choice, |model| bits_per_byte(model, &counted.valid)).map_err(build_error)?;
    for tried in &built.candidates {
        (options.note)(&format!(
            "{}, pruned by {}: {:.4} bits per byte of the validation split",
            tried.smoothing,
            tried.pruning.name(),
            tried.cost
        ));
    }
    (options.note)(&format!("built after {:.1} s", begun.elapsed().as_secs_f64()));
    let recipe = options.recipe.clone().with_table_of("corrupt", &Recipe::of_corrupt(&counted.channel)?)?;
    let tuned = tune(&built.model, &counted.channel, &counted.valid, options.note)?;
    (options.note)(&format!("{:.1} s in all", begun.elapsed().as_secs_f64()));
    let metrics = metrics(&built, &counted, &tuned);
    let meta = CheckpointMeta {
        recipe: recipe.text().to_owned(),
        metrics: metrics.clone(),
        min_confidence: tuned.min_confidence,
        decoding: Some(tuned.decoding),
    };
    let facts = PriorFacts { metrics: &metrics, sources: &counted.sources, recipe: recipe.text() };
    write_card(&options.out, &facts)?;
    let text = serde_json::to_vec_pretty(&metrics).unwrap_or_default();
    corruptor::atomic::AtomicFile::write_whole(options.out.join("metrics.json"), &text)?;
    built.save(&options.out, settings.order, &meta)?;
    Ok(Some(metrics))
}

/// The ways of smoothing and pruning to try.
fn choice(settings: &NgramSettings, counted: &Counted, note: fn(&str)) -> BuildOptions {
    let mut choice = BuildOptions::new((settings.max_mib * MIB) as u64);
    if counted.valid.texts().is_empty() {
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

fn count(
    options: &PriorOptions,
    settings: &NgramSettings,
    corpus: &CorpusSettings,
) -> Result<Option<Counted>, FinetuneError> {
    let mut texts = Texts::open(&options.corpus, corpus)?;
    let mut counter = Counter::new(settings.order);
    let mut sources: BTreeMap<String, SourceFacts> = BTreeMap::new();
    let (mut valid, mut test) = (Sample::of_bytes(SAMPLE_BYTES), Sample::of_bytes(SAMPLE_BYTES));
    let mut take = |source: &str, split: Split, text: &str| -> Result<(), FinetuneError> {
        match split {
            Split::Train => {
                let facts = sources.entry(source.to_owned()).or_default();
                facts.passages += 1;
                facts.bytes += text.len() as u64;
                counter.add(text).map_err(BuildError::Io).map_err(build_error)?;
            }
            Split::Valid => valid.add(text),
            Split::Test => test.add(text),
        }
        Ok(())
    };
    let channel: CorruptSettings = options.recipe.table("corrupt")?;
    let channel = read_files(channel, Path::new("")).map_err(RestoreError::Channel)?;
    let mut survey = Survey::new(corpus, &channel);
    while texts.next(&mut survey, &mut take)? {
        if options.stop.reason().is_some() {
            return Ok(None);
        }
    }
    let counts = counter.finish().map_err(BuildError::Io).map_err(build_error)?;
    let channel = match survey {
        Some(survey) => survey.resolve().map_err(RestoreError::Channel)?,
        None => channel,
    };
    Ok(Some(Counted { counts, sources, valid, test, channel }))
}

/// Bits of the passages and their ends over their bytes.
fn bits_per_byte(model: &NgramModel, sample: &Sample) -> f64 {
    let of: Vec<f64> = sample.texts().par_iter().map(|text| bits(model, text)).collect();
    of.iter().sum::<f64>() / sample.bytes().max(1) as f64
}

fn metrics(built: &Built, counted: &Counted, tuned: &Tuned) -> Value {
    let rounded = |number: f64, digits: i32| (number * 10f64.powi(digits)).round() / 10f64.powi(digits);
    let measured = |sample: &Sample| {
        (!sample.texts().is_empty()).then(|| rounded(bits_per_byte(&built.model, sample), 4))
    };
    json!({
        "train_bytes": counted.counts.text_bytes(),
        "train_passages": counted.counts.texts(),
        "ngrams_counted": built.distinct,
        "ngrams_kept": built.model.arcs(),
        "contexts_kept": built.model.nodes(),
        "table_mib": rounded(built.file.len() as f64 / MIB, 2),
        "smoothing": built.chosen.smoothing,
        "pruning": built.chosen.pruning,
        "valid_bits_per_byte": measured(&counted.valid),
        "test_bits_per_byte": measured(&counted.test),
        "decoding": tuned.metrics,
    })
}

fn build_error(error: BuildError) -> FinetuneError {
    FinetuneError::Prior(error)
}
