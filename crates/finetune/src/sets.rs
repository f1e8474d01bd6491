//! Evaluation sets made from originals: one an operation at noise level 1, one a noise level with all operations, one clean.

use std::collections::HashSet;
use std::fmt;

use corruptor::{Channel, CorruptSettings, Op, OpSettings, Pair, Passage};

use crate::data::spread;
use crate::error::FinetuneError;

/// What a set is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SetKind {
    /// One operation alone, at level 1.
    Operation(Op),
    /// All operations at this noise level.
    Level(f64),
    /// Nothing corrupted.
    Clean,
}

impl fmt::Display for SetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(op) => write!(f, "{op}"),
            Self::Level(level) => write!(f, "level {level}"),
            Self::Clean => f.write_str("clean"),
        }
    }
}

/// One set.
#[derive(Clone, Debug)]
pub struct EvaluationSet {
    /// What it is made of.
    pub kind: SetKind,
    /// Its pairs.
    pub pairs: Vec<Pair>,
}

/// The different passages behind `pairs`, at most `limit`, evenly spaced.
pub fn passages_of(pairs: &[Pair], limit: usize) -> Vec<Pair> {
    let mut seen = HashSet::new();
    let distinct: Vec<Pair> =
        pairs.iter().filter(|pair| seen.insert((&pair.source, &pair.doc_id, pair.start))).cloned().collect();
    spread(&distinct, limit)
}

/// The sets of single operations and the clean one, from the originals of `passages`.
///
/// # Errors
/// If the settings are not consistent.
pub fn operation_sets(
    passages: &[Pair],
    settings: &CorruptSettings,
    seed: u64,
) -> Result<Vec<EvaluationSet>, FinetuneError> {
    let used = Op::ALL.into_iter().filter(|op| settings.op(*op).rate > 0.0);
    let kinds = used.map(SetKind::Operation).chain([SetKind::Clean]);
    kinds.map(|kind| make(passages, settings, seed, kind)).collect()
}

/// The mixed sets, one a noise level of the recipe, from the originals of `passages`.
///
/// # Errors
/// If the settings are not consistent.
pub fn level_sets(
    passages: &[Pair],
    settings: &CorruptSettings,
    seed: u64,
) -> Result<Vec<EvaluationSet>, FinetuneError> {
    let kinds = settings.levels.iter().map(|level| SetKind::Level(*level));
    kinds.map(|kind| make(passages, settings, seed, kind)).collect()
}

fn make(
    passages: &[Pair],
    settings: &CorruptSettings,
    seed: u64,
    kind: SetKind,
) -> Result<EvaluationSet, FinetuneError> {
    let mut settings = CorruptSettings { seed, clean_share: 0.0, ..settings.clone() };
    match kind {
        SetKind::Operation(op) => {
            settings.levels = vec![1.0];
            for other in Op::ALL.into_iter().filter(|other| *other != op) {
                *settings.op_mut(other) = OpSettings::OFF;
            }
        }
        SetKind::Level(level) => settings.levels = vec![level],
        SetKind::Clean => settings.clean_share = 1.0,
    }
    let channel = Channel::new(&settings)?;
    let corrupt = |pair: &Pair| {
        let Pair { source, doc_id, start, original, .. } = pair;
        channel.pair(&Passage { source, doc_id, start: *start, text: original }, 0)
    };
    Ok(EvaluationSet { kind, pairs: passages.iter().map(corrupt).collect() })
}
