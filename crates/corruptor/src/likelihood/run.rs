//! Scoring files of pairs: in parallel, in bounded memory, in the order of the rows.

use std::fmt;
use std::path::{Path, PathBuf};

use super::rows::{RowChoice, Rows};
use super::{Explanation, Likelihood, Score};
use crate::generate::thread_pool;
use crate::grapheme::grapheme_count;
use crate::io_error::IoError;
use crate::pair::Pair;
use crate::progress::Observer;

/// How [`score_pairs`] works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreOptions {
    /// Which rows of each file are scored.
    pub rows: RowChoice,
    /// Whether the most probable log of each pair is found, too.
    pub explain: bool,
    /// Worker threads; `None`: one for each core.
    pub threads: Option<usize>,
}

/// What is known of one pair.
#[derive(Clone, Debug, PartialEq)]
pub struct PairScore {
    /// The pair's id.
    pub id: u64,
    /// Graphemes of the original.
    pub graphemes: u64,
    /// The pair's likelihood.
    pub score: Score,
    /// The most probable log, where asked for and possible.
    pub explanation: Option<Explanation>,
}

impl PairScore {
    /// −ln probability over the graphemes of the original and its end, in nats.
    pub fn nats_per_grapheme(&self) -> f64 {
        -self.score.ln_probability / (self.graphemes + 1) as f64
    }
}

/// A pair that the channel cannot make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImpossiblePair {
    /// The file.
    pub file: PathBuf,
    /// Number of the row, counted from 0.
    pub row: u64,
    /// The pair's id.
    pub id: u64,
    /// Byte of the corrupted text from which on no output of the channel can be like it.
    pub byte: usize,
    /// Bytes of the corrupted text.
    pub bytes: usize,
}

/// What [`score_pairs`] has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreSummary {
    /// Pairs scored.
    pub pairs: u64,
    /// Pairs that the channel cannot make.
    pub impossible: u64,
    /// The first of them.
    pub examples: Vec<ImpossiblePair>,
    /// Graphemes of the originals of the possible pairs; the end of each text counts as one.
    pub graphemes: u64,
    /// Σ −ln probability of the possible pairs, in nats.
    pub nats: f64,
    /// Mean probability of being a clean record, over the possible pairs.
    pub clean: f64,
    /// The noise levels, each with its mean probability over the possible pairs.
    pub levels: Vec<(f64, f64)>,
}

/// Impossible pairs that are described.
const EXAMPLES: usize = 10;

/// Scores every pair under `path`, a file or a directory of them, and hands what is found to `sink`, in the order of the rows.
///
/// # Errors
/// If a file cannot be read or departs from the pair schema, or `sink` fails.
pub fn score_pairs(
    path: &Path,
    likelihood: &Likelihood,
    options: &ScoreOptions,
    observer: &mut Observer<'_>,
    sink: &mut dyn FnMut(Vec<PairScore>) -> Result<(), IoError>,
) -> Result<ScoreSummary, IoError> {
    let pool = thread_pool(options.threads)?;
    let mut summary = ScoreSummary {
        levels: likelihood.law().settings().levels.iter().map(|level| (*level, 0.0)).collect(),
        ..ScoreSummary::default()
    };
    let mut take = |file: &Path, group: &[(u64, &Pair)], scores: Vec<PairScore>| {
        for ((row, pair), score) in group.iter().zip(&scores) {
            summary.add(file, *row, pair, score);
        }
        sink(scores)
    };
    let work = |pair: &Pair| score(likelihood, pair, options);
    Rows { path, choice: options.rows, pool: &pool }.map("score", work, observer, &mut take)?;
    summary.finish();
    Ok(summary)
}

fn score(likelihood: &Likelihood, pair: &Pair, options: &ScoreOptions) -> PairScore {
    let score = likelihood.score(&pair.original, &pair.corrupted);
    let explains = options.explain && score.first_impossible.is_none();
    let explanation = if explains { likelihood.explain(&pair.original, &pair.corrupted) } else { None };
    PairScore { id: pair.id, graphemes: grapheme_count(&pair.original) as u64, score, explanation }
}

impl ScoreSummary {
    fn add(&mut self, file: &Path, row: u64, pair: &Pair, scored: &PairScore) {
        self.pairs += 1;
        if let Some(byte) = scored.score.first_impossible {
            self.impossible += 1;
            if self.examples.len() < EXAMPLES {
                let (file, bytes) = (file.to_path_buf(), pair.corrupted.len());
                self.examples.push(ImpossiblePair { file, row, id: pair.id, byte, bytes });
            }
            return;
        }
        self.graphemes += scored.graphemes + 1;
        self.nats -= scored.score.ln_probability;
        self.clean += scored.score.clean;
        for ((_, sum), p) in self.levels.iter_mut().zip(&scored.score.levels) {
            *sum += p;
        }
    }

    /// Sums to means.
    fn finish(&mut self) {
        let possible = (self.pairs - self.impossible).max(1) as f64;
        self.clean /= possible;
        self.levels.iter_mut().for_each(|(_, sum)| *sum /= possible);
    }

    /// −ln probability over graphemes, in nats.
    pub fn nats_per_grapheme(&self) -> f64 {
        self.nats / self.graphemes.max(1) as f64
    }
}

impl fmt::Display for ImpossiblePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, row, id, byte, bytes } = self;
        write!(f, "{}, row {row}, id {id}: the recipe cannot make the corrupted text", file.display())?;
        if byte == bytes {
            write!(f, ": every byte is possible, but it cannot end at byte {byte}")
        } else {
            write!(f, " from byte {byte} on")
        }
    }
}

impl fmt::Display for ScoreSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairs, impossible, nats, .. } = self;
        writeln!(f, "{pairs} pairs, {impossible} of them impossible under the recipe")?;
        writeln!(f, "{nats:.3} nats, {:.6} a grapheme", self.nats_per_grapheme())?;
        write!(f, "posterior: clean {:.4}", self.clean)?;
        for (level, mean) in &self.levels {
            write!(f, ", level {level}: {mean:.4}")?;
        }
        Ok(())
    }
}
