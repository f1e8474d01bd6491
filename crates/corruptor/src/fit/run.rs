//! Expectation–maximization over files of pairs.

use std::path::Path;

use super::maximize::maximize;
use super::symbols::Symbols;
use crate::alphabet::{AlphabetChoice, UnigramCounts};
use crate::generate::thread_pool;
use crate::io_error::IoError;
use crate::likelihood::{ExpectedCounts, Likelihood, RowChoice, Rows};
use crate::op::Op;
use crate::pair::Pair;
use crate::progress::Observer;
use crate::settings::CorruptSettings;

/// How [`fit_pairs`] works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// Which rows of each file are fitted.
    pub rows: RowChoice,
    /// Most iterations.
    pub iterations: usize,
    /// An iteration that gains less than this ends the work, in nats a grapheme.
    pub tolerance: f64,
    /// How many symbols are taken to have been inserted before any was counted, and how many substitutions of each grapheme. At
    /// 0 the probability of the pairs never falls, and what was not seen is impossible but for an escape.
    pub smoothing: f64,
    /// Worker threads; `None`: one for each core.
    pub threads: Option<usize>,
}

impl FitOptions {
    /// Default `iterations`.
    pub const DEFAULT_ITERATIONS: usize = 50;
    /// Default `tolerance`, in nats a grapheme.
    pub const DEFAULT_TOLERANCE: f64 = 1e-6;
    /// Default `smoothing`.
    pub const DEFAULT_SMOOTHING: f64 = 10.0;
    /// `escape` of a recipe that has none.
    pub const ESCAPE: f64 = 1e-4;
    /// `tail` of operations that have none.
    pub const TAIL: f64 = 0.1;
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            rows: RowChoice::default(),
            iterations: Self::DEFAULT_ITERATIONS,
            tolerance: Self::DEFAULT_TOLERANCE,
            smoothing: Self::DEFAULT_SMOOTHING,
            threads: None,
        }
    }
}

/// A fitted channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The channel.
    pub settings: CorruptSettings,
    /// What is expected to have happened under it.
    pub counts: ExpectedCounts,
    /// −ln probability of the pairs in nats a grapheme, at the start and after each iteration.
    pub nats_per_grapheme: Vec<f64>,
    /// Whether the last iteration gained less than the tolerance.
    pub converged: bool,
    /// Pairs that no channel with these operations can have made; they are left out.
    pub impossible: u64,
}

/// `settings` with an escape and tails, where it has none: so that no real pair is impossible; and with the rates as they are.
fn with_tails(mut settings: CorruptSettings) -> CorruptSettings {
    settings.target_cer = None;
    if settings.escape == 0.0 {
        settings.escape = FitOptions::ESCAPE;
    }
    for op in Op::ALL {
        let tail = &mut settings.op_mut(op).tail;
        if *tail == 0.0 {
            *tail = FitOptions::TAIL;
        }
    }
    settings
}

/// Fits the channel to every pair under `path`, a file or a directory of them, beginning at `settings`.
///
/// Rates, mean span lengths, the clean share and the alphabet are estimated; the noise grid, the longest spans and the confusion
/// table stay as they are, and so do the escape and the tails, which get [their defaults](FitOptions::ESCAPE) where there are none.
/// An operation whose rate is 0 stays off; a target error rate is dropped. The result does not depend on the number of threads.
///
/// # Errors
/// If a file cannot be read or departs from the pair schema, a setting is out of range or not resolved, no pair differs, or none is
/// possible.
pub fn fit_pairs(
    path: &Path,
    settings: &CorruptSettings,
    options: &FitOptions,
    observer: &mut Observer<'_>,
) -> Result<Fit, IoError> {
    let pool = thread_pool(options.threads)?;
    let rows = Rows { path, choice: options.rows, pool: &pool };
    let nothing = |message: &str| IoError::NothingToFit { path: path.into(), message: message.into() };
    let mut settings = with_tails(settings.clone());
    settings.validate()?;
    let texts = survey(&rows, observer)?.ok_or_else(|| {
        nothing(
            "has no pair whose texts differ, among the rows asked for; give pairs of damaged and clean text",
        )
    })?;
    if settings.alphabet == AlphabetChoice::Corpus {
        settings.alphabet = texts.alphabet()?;
    }
    let symbols = Symbols::new(&settings.alphabet, &texts, options.smoothing)?;
    settings.alphabet = symbols.first(&settings.alphabet)?;
    let mut nats_per_grapheme: Vec<f64> = Vec::new();
    loop {
        let stage = match nats_per_grapheme.last() {
            None => "fit: start".to_owned(),
            Some(nats) => format!("fit: iteration {}, {nats:.6} nats", nats_per_grapheme.len()),
        };
        let likelihood = Likelihood::new(&settings)?;
        let (counts, impossible) = expect(&rows, &likelihood, &stage, observer)?;
        if counts.pairs == 0 {
            return Err(nothing(
                "has no pair that is possible with the operations of the recipe; give each a rate above 0",
            ));
        }
        let nats = -counts.ln_probability / counts.graphemes as f64;
        let converged = nats_per_grapheme.last().is_some_and(|before| before - nats < options.tolerance);
        nats_per_grapheme.push(nats);
        if converged || nats_per_grapheme.len() > options.iterations {
            return Ok(Fit { settings, counts, nats_per_grapheme, converged, impossible });
        }
        settings = maximize(&settings, &counts, &symbols);
    }
}

/// The graphemes of the corrupted texts; `None` if no pair differs.
fn survey(rows: &Rows<'_>, observer: &mut Observer<'_>) -> Result<Option<UnigramCounts>, IoError> {
    let (mut counts, mut differ) = (UnigramCounts::default(), false);
    let count = |pair: &Pair| {
        let mut counts = UnigramCounts::default();
        counts.add(&pair.corrupted);
        (counts, pair.original != pair.corrupted)
    };
    rows.map("read the symbols", count, observer, &mut |_, _, made| {
        for (more, is_changed) in made {
            counts.merge(more);
            differ |= is_changed;
        }
        Ok(())
    })?;
    Ok(differ.then_some(counts))
}

/// The expectation step; and how many pairs are impossible.
fn expect(
    rows: &Rows<'_>,
    likelihood: &Likelihood,
    stage: &str,
    observer: &mut Observer<'_>,
) -> Result<(ExpectedCounts, u64), IoError> {
    let mut counts = ExpectedCounts::none(likelihood.law().settings().levels.len());
    let mut impossible = 0;
    let work = |pair: &Pair| likelihood.expect(&pair.original, &pair.corrupted);
    rows.map(stage, work, observer, &mut |_, _, made| {
        for pair in made {
            match pair {
                // In the order of the rows: the sums do not depend on the threads.
                Some(pair) => counts.add(pair),
                None => impossible += 1,
            }
        }
        Ok(())
    })?;
    Ok((counts, impossible))
}
