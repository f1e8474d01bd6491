//! Evaluation: how much of the corruption a model undoes, overall, by operation and by noise level, and what it breaks.
//!
//! - [`evaluate`] restores the pairs, and with [`EvaluateOptions::sets`] also sets made from their originals.
//! - [`Evaluation`] holds the figures; it is what `metrics.json` says.
//! - [`table`], [`html`] and [`write_plots`] show them.

mod edit_figures;
mod figures;
mod output;
mod report;

use std::collections::BTreeMap;

use corruptor::{CorruptSettings, Op, Pair};
use restorer::{RestoreOptions, Restorer};
use serde::Serialize;

pub use edit_figures::{EditFigures, TextFigures};
pub use figures::Figures;
pub use output::{card_section, table, update_card, write_plots};
pub use report::html;

use crate::error::FinetuneError;
use crate::judged::{Judged, JudgedEdit, judged_edits};
use crate::progress::Progress;
use crate::scores::{Scored, score};
use crate::sets::{EvaluationSet, SetKind, level_sets, operation_sets, passages_of};
use crate::settings::EvaluateSettings;
use crate::workers::Workers;

/// How to evaluate.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// Seed, resamples and sizes.
    pub settings: EvaluateSettings,
    /// The channel whose operations and levels `--sets` uses; none: the pairs are only scored as they are.
    pub sets: Option<CorruptSettings>,
    /// Probability under which an edit is not applied; none: the checkpoint's own.
    pub min_confidence: Option<f32>,
    /// Whether to show progress.
    pub progress: bool,
}

/// Where the figures by operation and by level come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grouping {
    /// The pairs as they are: an operation's are those whose events are all of it.
    Pairs,
    /// Sets made from the pairs' originals.
    Sets,
}

/// The figures of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Digest of the model.
    pub model: String,
    /// The confidence threshold used.
    pub min_confidence: f64,
    /// The pairs as they are.
    #[serde(flatten)]
    pub overall: Figures,
    /// Where the rest comes from.
    pub grouping: Grouping,
    /// One operation alone.
    pub operations: BTreeMap<String, Figures>,
    /// All operations at one noise level.
    pub levels: BTreeMap<String, Figures>,
    /// Clean texts.
    pub clean: Option<Figures>,
    /// The edits of the pairs as they are.
    pub edits: Option<EditFigures>,
    /// Whether the model's confidence was held to held-out pairs.
    pub calibrated: bool,
    /// The confidence of the texts of the pairs.
    pub whole_texts: TextFigures,
    /// Whether it was held to held-out pairs.
    pub text_calibrated: bool,
    /// Each of those texts.
    #[serde(skip)]
    pub judged_texts: Vec<Judged>,
    /// Each of those edits.
    #[serde(skip)]
    pub judged: Vec<JudgedEdit>,
}

/// A restored pair.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The pair.
    pub pair: Pair,
    /// What the model made of it.
    pub scored: Scored,
}

/// Restores `pairs` (and the sets) and counts; also gives back the restored pairs themselves.
///
/// # Errors
/// If the settings are not consistent or the model fails.
pub fn evaluate(
    model: &dyn Restorer,
    pairs: &[Pair],
    options: &EvaluateOptions,
    workers: &Workers,
) -> Result<(Evaluation, Vec<Restored>), FinetuneError> {
    let settings = &options.settings;
    settings.validate()?;
    let sets = match &options.sets {
        Some(channel) => {
            let passages = passages_of(pairs, settings.set_passages);
            let mut sets = operation_sets(&passages, channel, settings.seed)?;
            sets.extend(level_sets(&passages, channel, settings.seed)?);
            sets
        }
        None => Vec::new(),
    };
    let texts = pairs.len() + sets.iter().map(|set| set.pairs.len()).sum::<usize>();
    let progress =
        if options.progress { Progress::new("evaluate", texts as u64, 0) } else { Progress::hidden() };
    let restore = |pairs: &[Pair]| -> Result<Vec<Restored>, FinetuneError> {
        let restore_options =
            RestoreOptions { min_confidence: options.min_confidence, ..RestoreOptions::default() };
        let done = |texts: usize| progress.advance(texts as u64, || "texts".to_owned());
        let scored = score(model, pairs, &restore_options, workers, done)?;
        Ok(pairs.iter().cloned().zip(scored).map(|(pair, scored)| Restored { pair, scored }).collect())
    };
    let restored = restore(pairs)?;
    let figures = |restored: &[&Restored]| Figures::of(restored, settings);
    let groups = match &options.sets {
        Some(_) => {
            let restore_set = |set: EvaluationSet| Ok((set.kind, restore(&set.pairs)?));
            sets.into_iter().map(restore_set).collect::<Result<Vec<_>, FinetuneError>>()?
        }
        None => groups_of(&restored),
    };
    progress.finish();
    let judged = judged_edits(restored.iter().map(|r| (&r.pair, &r.scored)));
    let judged_texts: Vec<Judged> = restored.iter().map(|r| Judged::of_text(&r.scored)).collect();
    let mut evaluation = Evaluation {
        model: model.info().digest.clone(),
        min_confidence: rounded(options.min_confidence.unwrap_or(model.info().min_confidence)),
        overall: figures(&restored.iter().collect::<Vec<_>>()),
        grouping: if options.sets.is_some() { Grouping::Sets } else { Grouping::Pairs },
        operations: BTreeMap::new(),
        levels: BTreeMap::new(),
        clean: None,
        edits: EditFigures::of(&judged),
        calibrated: model.info().calibrated,
        whole_texts: TextFigures::of(&judged_texts),
        text_calibrated: model.info().text_calibrated,
        judged_texts,
        judged,
    };
    for (kind, group) in groups.iter().filter(|(_, group)| !group.is_empty()) {
        let figures = figures(&group.iter().collect::<Vec<_>>());
        match kind {
            SetKind::Operation(op) => _ = evaluation.operations.insert(op.name().to_owned(), figures),
            SetKind::Level(level) => _ = evaluation.levels.insert(level.to_string(), figures),
            SetKind::Clean => evaluation.clean = Some(figures),
        }
    }
    Ok((evaluation, restored))
}

/// The pairs as they are, by operation (all events of one), by level, and clean; real pairs know neither operation nor level.
fn groups_of(restored: &[Restored]) -> Vec<(SetKind, Vec<Restored>)> {
    let select = |keep: &dyn Fn(&Pair) -> bool| -> Vec<Restored> {
        restored.iter().filter(|restored| keep(&restored.pair)).cloned().collect()
    };
    let only =
        |op: Op| move |pair: &Pair| !pair.events.is_empty() && pair.events.iter().all(|event| event.op == op);
    let mut levels: Vec<f32> =
        restored.iter().filter_map(|r| r.pair.noise).filter(|noise| *noise > 0.0).collect();
    levels.sort_unstable_by(f32::total_cmp);
    levels.dedup();
    let operations = Op::ALL.into_iter().map(|op| (SetKind::Operation(op), select(&only(op))));
    let levels = levels.into_iter().map(|level| {
        let at_level = |pair: &Pair| pair.noise.is_some_and(|noise| noise.total_cmp(&level).is_eq());
        (SetKind::Level(rounded(level)), select(&at_level))
    });
    let clean = (SetKind::Clean, select(&|pair| pair.original == pair.corrupted));
    operations.chain(levels).chain([clean]).collect()
}

/// A float32 in the shortest decimal form that gives it back: 0.3, not 0.30000001192092896.
fn rounded(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
