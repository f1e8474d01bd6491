//! The recipe's `[corrupt]` table.

use serde::{Deserialize, Serialize};

use crate::alphabet::{Alphabet, AlphabetChoice};
use crate::confusion::{ConfusionChoice, Confusions};
use crate::op::Op;

/// A value of a recipe that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("recipe key `{key}`: {message}")]
pub struct SettingsError {
    key: String,
    message: String,
}

impl SettingsError {
    /// An error about `key`, a dotted path into the recipe.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// Largest `tail`: longer spans than a text would be the rule.
const MAX_TAIL: f64 = 0.99;

/// Rate and span length of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpSettings {
    /// Probability of an attempt at a visited position, at noise level 1. Default 0.004.
    pub rate: f64,
    /// Mean span length in graphemes of the geometric law, before the cut at `max`. Default 1.5 (reversal 3).
    pub mean: f64,
    /// Longest span in graphemes, before the tail. Default 8.
    pub max: usize,
    /// Probability of each further grapheme of a span that has reached `max`. Default 0: there is no tail.
    pub tail: f64,
}

impl OpSettings {
    /// Default `rate`.
    pub const DEFAULT_RATE: f64 = 0.004;
    /// Default `max`.
    pub const DEFAULT_MAX: usize = 8;

    /// The operation switched off.
    pub const OFF: Self = Self { rate: 0.0, mean: 2.0, max: Self::DEFAULT_MAX, tail: 0.0 };

    /// Rate, mean and maximum; no tail.
    pub fn new(rate: f64, mean: f64, max: usize) -> Self {
        Self { rate, mean, max, tail: 0.0 }
    }

    fn with_mean(mean: f64) -> Self {
        Self::new(Self::DEFAULT_RATE, mean, Self::DEFAULT_MAX)
    }
}

impl Default for OpSettings {
    fn default() -> Self {
        Self::with_mean(1.5)
    }
}

/// How originals are corrupted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorruptSettings {
    /// Seed of every record's stream. Default 1.
    pub seed: u64,
    /// Corruptions of each training passage. Default 1.
    pub copies: u32,
    /// Corruptions of each validation and test passage. Default 1.
    pub heldout_copies: u32,
    /// The noise grid: a record draws one level, a factor on all rates. Default `[0.5, 1.0, 2.0]`.
    pub levels: Vec<f64>,
    /// Probability that a record stays clean (noise 0). Default 0.1.
    pub clean_share: f64,
    /// Character error rate of all pairs together, clean ones included, that the rates are scaled to, keeping their
    /// proportions; resolving the recipe replaces it by the scaled rates. Default: the rates are taken as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_cer: Option<f64>,
    /// What substitutions and insertions draw from. Default `"printable-ascii"`.
    pub alphabet: AlphabetChoice,
    /// Probability that a drawn symbol is any Unicode scalar value instead of one of the alphabet, so that no real pair is
    /// impossible. For scoring and fitting; sampling refuses it. Default 0.
    pub escape: f64,
    /// A table of what is taken for what; where there is one, every substitution is one of its rows. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusions: Option<ConfusionChoice>,
    /// Leaves spans out.
    pub deletion: OpSettings,
    /// Replaces graphemes.
    pub substitution: OpSettings,
    /// Puts symbols in.
    pub insertion: OpSettings,
    /// Emits spans twice.
    pub duplication: OpSettings,
    /// Emits spans backwards.
    #[serde(deserialize_with = "reversal_settings")]
    pub reversal: OpSettings,
}

/// Reversal's mean defaults to 3, because its spans have at least two graphemes.
fn reversal_settings<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<OpSettings, D::Error> {
    #[derive(Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Reversal {
        rate: f64,
        mean: f64,
        max: usize,
        tail: f64,
    }
    impl Default for Reversal {
        fn default() -> Self {
            let OpSettings { rate, mean, max, tail } = OpSettings::with_mean(3.0);
            Self { rate, mean, max, tail }
        }
    }
    let Reversal { rate, mean, max, tail } = Reversal::deserialize(deserializer)?;
    Ok(OpSettings { rate, mean, max, tail })
}

impl Default for CorruptSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            copies: 1,
            heldout_copies: 1,
            levels: vec![0.5, 1.0, 2.0],
            clean_share: 0.1,
            target_cer: None,
            alphabet: AlphabetChoice::default(),
            escape: 0.0,
            confusions: None,
            deletion: OpSettings::default(),
            substitution: OpSettings::default(),
            insertion: OpSettings::default(),
            duplication: OpSettings::default(),
            reversal: OpSettings::with_mean(3.0),
        }
    }
}

impl CorruptSettings {
    /// The settings of an operation.
    pub fn op(&self, op: Op) -> OpSettings {
        match op {
            Op::Deletion => self.deletion,
            Op::Substitution => self.substitution,
            Op::Insertion => self.insertion,
            Op::Duplication => self.duplication,
            Op::Reversal => self.reversal,
        }
    }

    /// The settings of an operation, to change them.
    pub fn op_mut(&mut self, op: Op) -> &mut OpSettings {
        match op {
            Op::Deletion => &mut self.deletion,
            Op::Substitution => &mut self.substitution,
            Op::Insertion => &mut self.insertion,
            Op::Duplication => &mut self.duplication,
            Op::Reversal => &mut self.reversal,
        }
    }

    /// Σ rates at level 1: the probability of an attempt at a visited position.
    pub fn total_rate(&self) -> f64 {
        Op::ALL.into_iter().map(|op| self.op(op).rate).sum()
    }

    /// Scales all rates so that their sum is `total` (from all zero: an equal share each).
    #[must_use]
    pub fn with_total_rate(mut self, total: f64) -> Self {
        let before = self.total_rate();
        for op in Op::ALL {
            let rate = &mut self.op_mut(op).rate;
            *rate = if before > 0.0 { *rate * total / before } else { total / Op::ALL.len() as f64 };
        }
        self
    }

    /// Only `op`, at the sum of all rates, at level 1, without clean records: a set for measuring one operation.
    #[must_use]
    pub fn only(mut self, op: Op) -> Self {
        let total = self.total_rate();
        for other in Op::ALL {
            self.op_mut(other).rate = if other == op { total } else { 0.0 };
        }
        self.at_level(1.0)
    }

    /// All records at one noise level, none of them kept clean.
    #[must_use]
    pub fn at_level(mut self, level: f64) -> Self {
        self.levels = vec![level];
        self.clean_share = 0.0;
        self
    }

    /// Whether all is said: nothing depends on a file or on the corpus any more.
    pub fn is_resolved(&self) -> bool {
        let reads_table = matches!(self.confusions, Some(ConfusionChoice::File(_)));
        self.target_cer.is_none() && self.alphabet.is_resolved() && !reads_table
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first key whose value is out of range, and the range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let fail = |key: &str, message: String| Err(SettingsError::new(format!("corrupt.{key}"), message));
        if !(0.0..=1.0).contains(&self.clean_share) {
            return fail(
                "clean_share",
                format!("{} is no probability; give a number from 0 to 1", self.clean_share),
            );
        }
        if self.copies == 0 || self.heldout_copies == 0 {
            return fail("copies", "0 copies would make no pairs; give at least 1".into());
        }
        let Some(largest) = self.levels.iter().copied().reduce(f64::max) else {
            return fail("levels", "the noise grid is empty; give at least one level, such as [1.0]".into());
        };
        if let Some(level) = self.levels.iter().find(|l| !(l.is_finite() && **l > 0.0)) {
            return fail(
                "levels",
                format!("{level} is no positive number (clean records come from clean_share)"),
            );
        }
        for op in Op::ALL {
            let OpSettings { rate, mean, max, tail } = self.op(op);
            let least = if op == Op::Reversal { 2 } else { 1 };
            if !(0.0..=1.0).contains(&rate) {
                return fail(
                    &format!("{op}.rate"),
                    format!("{rate} is no probability; give a number from 0 to 1"),
                );
            }
            if !(mean.is_finite() && mean >= f64::from(least)) {
                return fail(&format!("{op}.mean"), format!("{mean} graphemes; the least mean is {least}"));
            }
            if !(least as usize..=65_536).contains(&max) {
                return fail(&format!("{op}.max"), format!("{max} graphemes; give {least} to 65536"));
            }
            if !(0.0..=MAX_TAIL).contains(&tail) {
                let message = format!("{tail}; give a probability from 0 to {MAX_TAIL}, so that spans end");
                return fail(&format!("{op}.tail"), message);
            }
        }
        let total = self.total_rate() * largest;
        if total > 1.0 {
            return fail(
                "levels",
                format!("Σ rates × the largest level is {total:.4}, above 1; lower the rates or the level"),
            );
        }
        if !(0.0..=0.5).contains(&self.escape) {
            return fail("escape", format!("{}; give a probability from 0 to 0.5", self.escape));
        }
        if let Some(target) = self.target_cer.filter(|target| !(*target > 0.0 && *target < 1.0)) {
            return fail("target_cer", format!("{target}; give a share above 0 and below 1, such as 0.05"));
        }
        if let Some(ConfusionChoice::Rows(rows)) = &self.confusions {
            Confusions::new(rows)?;
        }
        if !self.alphabet.is_resolved() {
            return Ok(());
        }
        let alphabet = Alphabet::new(&self.alphabet)?;
        let substitutes = self.substitution.rate > 0.0 && self.confusions.is_none();
        if substitutes && alphabet.symbols().len() == 1 && !alphabet.has_rows() {
            let symbol = &alphabet.symbols()[0];
            let message = format!(
                "{symbol:?} is its only symbol, and a substitution needs another one; add symbols, or set corrupt.substitution.rate to 0"
            );
            return fail("alphabet", message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        CorruptSettings::default().validate().unwrap();
    }

    #[test]
    fn too_much_noise_is_refused() {
        let settings = CorruptSettings { levels: vec![60.0], ..CorruptSettings::default() };
        assert!(settings.validate().unwrap_err().to_string().contains("above 1"));
    }

    #[test]
    fn one_operation_gets_the_whole_rate() {
        let only = CorruptSettings::default().only(Op::Reversal);
        assert!((only.total_rate() - 0.02).abs() < 1e-12);
        assert!(only.deletion.rate.abs() < f64::EPSILON);
    }
}
