//! The corpus's own alphabet: graphemes as often as they occur.

use std::collections::{BTreeMap, HashMap};

use super::choice::{AlphabetChoice, WeightedAlphabet};
use crate::grapheme::graphemes;
use crate::settings::SettingsError;

/// Counts of graphemes.
#[derive(Clone, Debug, Default)]
pub struct UnigramCounts {
    of_byte: Vec<u64>,
    others: HashMap<String, u64>,
}

impl UnigramCounts {
    /// Most symbols that an alphabet keeps: the most frequent ones.
    pub const MAX_SYMBOLS: usize = 4_096;
    /// Largest weight in the alphabet: larger counts are scaled down.
    const MAX_WEIGHT: u64 = 1_000_000;

    /// Counts the graphemes of `text`.
    pub fn add(&mut self, text: &str) {
        self.of_byte.resize(128, 0);
        for grapheme in graphemes(text) {
            match grapheme.as_bytes() {
                [byte] => self.of_byte[usize::from(*byte)] += 1,
                _ => match self.others.get_mut(grapheme) {
                    Some(count) => *count += 1,
                    None => drop(self.others.insert(grapheme.to_owned(), 1)),
                },
            }
        }
    }

    /// Adds the counts of other texts.
    pub fn merge(&mut self, other: Self) {
        self.of_byte.resize(128, 0);
        for (count, more) in self.of_byte.iter_mut().zip(other.of_byte) {
            *count += more;
        }
        for (grapheme, count) in other.others {
            *self.others.entry(grapheme).or_default() += count;
        }
    }

    /// The alphabet with these counts as weights, scaled so that the largest is at most a million; what would weigh nothing is
    /// left out.
    ///
    /// # Errors
    /// If nothing has been counted.
    pub fn alphabet(&self) -> Result<AlphabetChoice, SettingsError> {
        let bytes = (0u8..128).zip(&self.of_byte).map(|(byte, count)| (char::from(byte).to_string(), *count));
        let others = self.others.iter().map(|(grapheme, count)| (grapheme.clone(), *count));
        let mut counts: Vec<_> = bytes.chain(others).filter(|(_, count)| *count > 0).collect();
        counts.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        counts.truncate(Self::MAX_SYMBOLS);
        let Some((_, largest)) = counts.first() else {
            let message =
                "the training documents have no grapheme to count; give more text, or another alphabet";
            return Err(SettingsError::new("corrupt.alphabet", message));
        };
        let scale = largest.div_ceil(Self::MAX_WEIGHT).max(1);
        let symbols: BTreeMap<_, _> = counts
            .into_iter()
            .map(|(symbol, count)| (symbol, (count / scale) as u32))
            .filter(|(_, weight)| *weight > 0)
            .collect();
        Ok(AlphabetChoice::Weighted(WeightedAlphabet { symbols, ..WeightedAlphabet::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alphabet::Alphabet;

    #[test]
    fn weights_are_the_shares_of_the_text() {
        let mut counts = UnigramCounts::default();
        counts.add("aab\r\ne\u{301}");
        let mut more = UnigramCounts::default();
        more.add("a");
        counts.merge(more);
        let alphabet = Alphabet::new(&counts.alphabet().unwrap()).unwrap();
        assert!((alphabet.probability("a") - 0.5).abs() < 1e-12);
        assert!((alphabet.probability("\r\n") - 1.0 / 6.0).abs() < 1e-12);
        assert!((alphabet.probability("e\u{301}") - 1.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn an_empty_corpus_has_no_alphabet() {
        assert!(UnigramCounts::default().alphabet().unwrap_err().to_string().contains("give more text"));
    }
}
