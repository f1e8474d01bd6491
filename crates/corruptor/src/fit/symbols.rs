//! The alphabet of a fitted channel: what insertions put in, and what replaces what.

use std::collections::BTreeMap;

use crate::alphabet::{AlphabetChoice, UnigramCounts, WeightedAlphabet};
use crate::likelihood::ExpectedCounts;
use crate::settings::SettingsError;

/// Sum of the weights that insertions draw by.
const INSERTED_WEIGHT: f64 = 1e8;
/// Weight of one expected substitution, if none has more than [`MAX_WEIGHT`].
const SUBSTITUTED_WEIGHT: f64 = 1_000.0;
/// Largest weight.
const MAX_WEIGHT: f64 = 1e9;

/// What is known of the symbols before anything is counted.
///
/// Counts are smoothed like this: insertions have seen `strength` more symbols, as frequent as graphemes are in the corrupted texts
/// and in the recipe's alphabet; each grapheme was replaced `strength` times more, by what insertions put in. The latter is the
/// backoff of [`WeightedAlphabet`].
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols {
    /// Symbol → probability, before anything is counted.
    prior: BTreeMap<String, f64>,
    strength: f64,
}

impl Symbols {
    /// Half of what is expected comes from the texts, half from the alphabet.
    ///
    /// # Errors
    /// If the alphabet is not resolved.
    pub(super) fn new(
        alphabet: &AlphabetChoice,
        texts: &UnigramCounts,
        strength: f64,
    ) -> Result<Self, SettingsError> {
        let mut prior: BTreeMap<String, f64> = BTreeMap::new();
        let mut add = |weights: WeightedAlphabet| {
            let total: f64 = weights.symbols.values().map(|weight| f64::from(*weight)).sum();
            for (symbol, weight) in weights.symbols {
                *prior.entry(symbol).or_default() += 0.5 * f64::from(weight) / total;
            }
        };
        add(alphabet.weighted()?);
        if let Ok(texts) = texts.alphabet() {
            add(texts.weighted()?);
        }
        Ok(Self { prior, strength })
    }

    /// The alphabet to begin with: all symbols, and the rows of `alphabet`, each of which counts as much as all symbols do.
    ///
    /// # Errors
    /// If the alphabet is not resolved.
    pub(super) fn first(&self, alphabet: &AlphabetChoice) -> Result<AlphabetChoice, SettingsError> {
        const ROW: f64 = 1e6;
        let row = |(from, row): (String, BTreeMap<String, u32>)| {
            let total: f64 = row.values().map(|weight| f64::from(*weight)).sum();
            let weights = row.into_iter().map(|(symbol, weight)| (symbol, f64::from(weight) / total));
            (from, whole(weights, ROW))
        };
        let rows = alphabet.weighted()?.rows.into_iter().map(row).collect();
        let symbols = whole(self.prior.clone(), INSERTED_WEIGHT);
        Ok(AlphabetChoice::Weighted(WeightedAlphabet { symbols, backoff: ROW as u32, rows }))
    }

    /// The alphabet that the counts ask for; `None` if no symbol was drawn and nothing is known of any.
    pub(super) fn alphabet(&self, counts: &ExpectedCounts) -> Option<AlphabetChoice> {
        let mut inserted = counts.inserted.clone();
        // Without insertions, what was expected is all that is known.
        let strength = if inserted.is_empty() { 1.0 } else { self.strength };
        for (symbol, p) in &self.prior {
            *inserted.entry(symbol.clone()).or_default() += strength * p;
        }
        let total: f64 = inserted.values().sum();
        let weights = inserted.into_iter().map(|(symbol, count)| (symbol, count / total));
        let symbols = whole(weights, INSERTED_WEIGHT);
        if symbols.is_empty() {
            return None;
        }
        let largest =
            counts.substituted.values().flat_map(BTreeMap::values).copied().fold(self.strength, f64::max);
        let unit = SUBSTITUTED_WEIGHT.min(MAX_WEIGHT / largest.max(1.0));
        let row = |(from, row): (&String, &BTreeMap<String, f64>)| {
            let row = row.iter().filter(|(_, count)| **count * unit >= 0.5);
            (from.clone(), whole(row.map(|(symbol, count)| (symbol.clone(), *count)), unit))
        };
        let rows = counts.substituted.iter().map(row).filter(|(_, row)| !row.is_empty()).collect();
        let backoff = (self.strength * unit).round() as u32;
        Some(AlphabetChoice::Weighted(WeightedAlphabet { symbols, backoff, rows }))
    }
}

/// Whole-numbered weights, at least 1 for what has any.
fn whole(weights: impl IntoIterator<Item = (String, f64)>, unit: f64) -> BTreeMap<String, u32> {
    let weights = weights.into_iter().filter(|(_, weight)| *weight > 0.0);
    weights.map(|(symbol, weight)| (symbol, (weight * unit).round().max(1.0) as u32)).collect()
}
