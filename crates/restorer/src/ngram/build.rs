//! From raw counts to a model that fits a budget.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::counts::RawCounts;
use super::levels::Levels;
use super::model::{NgramModel, to_safetensors};
use super::pack::{Packed, table_bytes};
use super::prune::{threshold, worth};
use super::smooth::{Smoothed, Smoothing};
use crate::bytes::SharedBytes;

/// N-grams that smoothing and pruning choose among; of more, rare long ones are cut off first. About a gibibyte.
const MAX_ARCS: usize = 40 << 20;

/// By what n-grams are chosen where the budget is too small for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pruning {
    /// The most frequent ones.
    Count,
    /// Those without which the model would lose most: relative entropy, Stolcke 1998.
    Entropy,
}

impl Pruning {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Count, Self::Entropy];

    /// As recipes and checkpoints write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Entropy => "entropy",
        }
    }
}

/// How a model is made of counts.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildOptions {
    /// Most bytes of the table.
    pub max_bytes: u64,
    /// Kinds of smoothing to try.
    pub smoothings: Vec<Smoothing>,
    /// Kinds of pruning to try.
    pub prunings: Vec<Pruning>,
}

impl BuildOptions {
    /// Tries everything.
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, smoothings: Smoothing::ALL.to_vec(), prunings: Pruning::ALL.to_vec() }
    }
}

/// Why no model could be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nothing was counted.
    #[error("there is no text to count; give at least one document in the training split")]
    NoText,
    /// The budget does not hold the unigrams.
    #[error(
        "a table of {max_bytes} bytes does not hold the single symbols, which take {least_bytes}; raise `model.max_mib`"
    )]
    Budget {
        /// The budget.
        max_bytes: u64,
        /// What the smallest table takes.
        least_bytes: u64,
    },
    /// A temporary file could not be read or written.
    #[error(
        "temporary file of n-gram counts: {0}; make room in the folder of temporary files, or name another one in TMPDIR"
    )]
    Io(#[from] io::Error),
    /// The table could not be laid out.
    #[error("n-gram table: {0}")]
    Table(String),
}

/// One way of smoothing and pruning, and what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// How counts became probabilities.
    pub smoothing: Smoothing,
    /// How n-grams were chosen.
    pub pruning: Pruning,
    /// What the judge said: less is better.
    pub cost: f64,
}

/// A model, and how it was chosen.
#[derive(Debug)]
pub struct Built {
    /// The model.
    pub model: NgramModel,
    /// Contents of `model.safetensors`.
    pub file: Vec<u8>,
    /// How it was made.
    pub chosen: Candidate,
    /// All that was tried.
    pub candidates: Vec<Candidate>,
    /// N-grams that were counted, of all lengths.
    pub distinct: u64,
}

/// Makes a model of counts for each way of smoothing and pruning, and keeps the one that costs least by `judge`: bits per byte of
/// held-out text, say. Equal counts give equal models, however they were added up.
///
/// # Errors
/// If nothing was counted, the budget is too small, or a temporary file cannot be read.
pub fn build(
    counts: &RawCounts,
    options: &BuildOptions,
    mut judge: impl FnMut(&NgramModel) -> f64,
) -> Result<Built, BuildError> {
    if counts.texts() == 0 {
        return Err(BuildError::NoText);
    }
    let levels = Levels::new(counts, MAX_ARCS)?;
    let mut best: Option<(Candidate, NgramModel, Vec<u8>)> = None;
    let mut candidates = Vec::new();
    for smoothing in &options.smoothings {
        let smoothed = Smoothed::new(&levels, *smoothing);
        for pruning in &options.prunings {
            let worth = worth(&levels, &smoothed, *pruning);
            let Some(least) = threshold(&levels, &worth, options.max_bytes, table_bytes) else {
                let least_bytes = table_bytes(levels.all[0].symbols.len() as u64, 1);
                return Err(BuildError::Budget { max_bytes: options.max_bytes, least_bytes });
            };
            let table = |error: &dyn std::fmt::Display| BuildError::Table(error.to_string());
            // Part of the n-grams of a count can do worse than none.
            let whole = (*pruning == Pruning::Count && least.fract() != 0.0).then(|| least.ceil());
            for least in std::iter::once(least).chain(whole) {
                let packed = Packed::new(&levels, &smoothed, &worth, least);
                let file = to_safetensors(&packed).map_err(|error| table(&error))?;
                let bytes = SharedBytes::from(file.clone());
                let model = NgramModel::from_bytes(bytes, Path::new("n-gram table"))
                    .map_err(|error| table(&error))?;
                let candidate = Candidate { smoothing: *smoothing, pruning: *pruning, cost: judge(&model) };
                candidates.push(candidate);
                if best.as_ref().is_none_or(|(best, ..)| candidate.cost < best.cost) {
                    best = Some((candidate, model, file));
                }
            }
        }
    }
    let (chosen, model, file) =
        best.ok_or(BuildError::Table("no way of smoothing and pruning was given".to_owned()))?;
    Ok(Built { model, file, chosen, candidates, distinct: levels.distinct })
}
