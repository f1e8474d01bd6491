//! The channel as a search reads it: logarithms of the one table of transitions, and the weights.

use corruptor::{ChannelLaw, CorruptSettings, Op, SettingsError};

use super::confused::ConfusedRows;
use super::emissions::Substitutions;
use super::lattice::Cause;
use super::settings::Weights;
use super::units::Units;

/// A channel, ready to be searched.
#[derive(Clone, Debug)]
pub(super) struct ChannelModel {
    pub(super) law: ChannelLaw,
    pub(super) units: Units,
    pub(super) substitutions: Substitutions,
    pub(super) confused: ConfusedRows,
    /// By cause and level: ln of the probability.
    pub(super) levels: Vec<f64>,
    /// By level: ln of its probability.
    pub(super) start: Vec<f64>,
    weights: Weights,
    /// Bytes of the longest symbol.
    symbol_bytes: usize,
}

impl ChannelModel {
    /// Prepares a channel; `units` are what it can have lost.
    ///
    /// # Errors
    /// If the channel has a confusion table that cannot be decoded.
    pub(super) fn new(law: ChannelLaw, units: Units, weights: Weights) -> Result<Self, SettingsError> {
        // An escape draws any character.
        let symbol_bytes = law.alphabet().symbols().iter().map(String::len).max().unwrap_or(0).max(4);
        Ok(Self {
            substitutions: Substitutions::new(&law),
            confused: ConfusedRows::new(&law)?,
            start: lanes(law.settings()).map(|level| weight(law.settings(), level).ln()).collect(),
            levels: levels(&law),
            law,
            units,
            weights,
            symbol_bytes,
        })
    }

    /// The same channel, weighed otherwise.
    pub(super) fn with_weights(self, weights: Weights) -> Self {
        Self { weights, ..self }
    }

    /// What it is weighed by.
    pub(super) fn weights(&self) -> Weights {
        self.weights
    }

    /// Number of levels, clean included.
    pub(super) fn lanes(&self) -> usize {
        self.start.len()
    }

    /// The level at which nothing happens.
    pub(super) fn clean_lane(&self) -> Option<usize> {
        (self.law.settings().clean_share > 0.0).then(|| self.lanes() - 1)
    }

    /// By cause and level: what an arc weighs where a text is given `clean` nats for being clean.
    pub(super) fn weighted_levels(&self, clean: f64) -> Vec<f64> {
        let mut levels = self.levels.clone();
        if let Some(lane) = self.clean_lane() {
            levels[Cause::Done.index() * self.lanes() + lane] = clean;
        }
        levels
    }

    /// Whether the operation occurs at all.
    pub(super) fn has(&self, op: Op) -> bool {
        self.law.event(op, 1.0) > 0.0
    }

    /// Whether substitutions draw from the alphabet.
    pub(super) fn substitutes(&self) -> bool {
        self.has(Op::Substitution) && self.law.confusions().is_none()
    }

    pub(super) fn event_penalty(&self) -> f64 {
        self.weights.event_penalty
    }

    /// What ln of a probability of the prior weighs.
    pub(super) fn prior_weight(&self, ln: f32) -> f64 {
        self.prior_weight_of(f64::from(ln))
    }

    pub(super) fn prior_weight_of(&self, ln: f64) -> f64 {
        self.weights.prior * ln
    }

    /// The greatest weight, of all levels, of an event that begins.
    pub(super) fn begins(&self, op: Op) -> f64 {
        let lanes = self.lanes();
        let levels = &self.levels[Cause::Event(op as u8).index() * lanes..][..lanes];
        levels.iter().copied().fold(f64::NEG_INFINITY, f64::max) - self.weights.event_penalty
    }

    /// ln of the probability that a span that has reached `length` ends there.
    pub(super) fn stops(&self, op: Op, length: u32) -> f64 {
        (1.0 - self.law.length(op).goes_on(length as usize)).ln()
    }

    /// ln of the probability that a span that has reached `length` goes on.
    pub(super) fn goes_on(&self, op: Op, length: u32) -> f64 {
        self.law.length(op).goes_on(length as usize).ln()
    }

    /// A length with the same future as one more than `length`.
    pub(super) fn longer(&self, op: Op, length: u32) -> u32 {
        (length + 1).min(self.law.length(op).max() as u32)
    }

    /// Whether the original can end where so many bytes of the corrupted text are left.
    pub(super) fn can_end(&self, bytes_left: usize) -> bool {
        let longest = self.law.length(Op::Insertion).longest();
        let inserted = longest.map_or(usize::MAX, |symbols| symbols.saturating_mul(self.symbol_bytes));
        bytes_left == 0 || self.has(Op::Insertion) && bytes_left <= inserted
    }
}

/// The levels, and 0 for a clean record; those that occur.
fn lanes(settings: &CorruptSettings) -> impl Iterator<Item = f64> {
    let noisy = settings.levels.iter().copied().filter(|_| settings.clean_share < 1.0);
    noisy.chain((settings.clean_share > 0.0).then_some(0.0))
}

/// Probability of a level.
fn weight(settings: &CorruptSettings, level: f64) -> f64 {
    if level == 0.0 {
        settings.clean_share
    } else {
        (1.0 - settings.clean_share) / settings.levels.len() as f64
    }
}

/// By cause and level: ln of the probability.
fn levels(law: &ChannelLaw) -> Vec<f64> {
    let levels: Vec<f64> = lanes(law.settings()).collect();
    let mut table = vec![0.0; Cause::COUNT * levels.len()];
    for (lane, level) in levels.iter().enumerate() {
        let of_level = law.at_level(*level).ln();
        let mut set = |cause: Cause, ln: f64| table[cause.index() * levels.len() + lane] = ln;
        set(Cause::Copy, of_level.copy);
        set(Cause::Spared, (law.at_level(*level).copy + law.event(Op::Substitution, *level)).ln());
        set(Cause::End, of_level.end);
        for (op, ln) in (0..).zip(of_level.event) {
            set(Cause::Event(op), ln);
        }
    }
    table
}
