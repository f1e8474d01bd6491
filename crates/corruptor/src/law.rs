//! The channel's law: the one table of transitions and their probabilities, which sampling, scoring and decoding share.

use crate::alphabet::Alphabet;
use crate::confusion::{ConfusionChoice, ConfusionRow, Confusions};
use crate::op::Op;
use crate::settings::{CorruptSettings, OpSettings, SettingsError};

/// Every transition of a channel, with its probability.
///
/// At a visited position of the original, at noise level λ, either one grapheme is copied ([`copy`](Self::copy)), or one event
/// starts ([`event`](Self::event)); its span length follows [`length`](Self::length), stated before the cut at the end of the
/// text; what it emits follows [`insertion`](Self::insertion), [`substitution`](Self::substitution) or
/// [`confusions`](Self::confusions). At the end of the text only an insertion starts: any other attempt does nothing there.
#[derive(Clone, Debug)]
pub struct ChannelLaw {
    settings: CorruptSettings,
    alphabet: Alphabet,
    confusions: Option<Confusions>,
    lengths: [LengthLaw; 5],
}

impl ChannelLaw {
    /// The law of resolved settings.
    ///
    /// # Errors
    /// If a value is out of range, or depends on a corpus or a file and has not been resolved.
    pub fn new(settings: &CorruptSettings) -> Result<Self, SettingsError> {
        settings.validate()?;
        let confusions = match &settings.confusions {
            None => None,
            Some(ConfusionChoice::Rows(rows)) => Some(Confusions::new(rows)?),
            Some(ConfusionChoice::File(path)) => {
                let message =
                    format!("the table {} is not read yet; resolve the recipe first", path.display());
                return Err(SettingsError::new("corrupt.confusions", message));
            }
        };
        if settings.target_cer.is_some() {
            let message =
                "the rates are not scaled to it yet; resolve the recipe first, as `corruptor generate` does";
            return Err(SettingsError::new("corrupt.target_cer", message));
        }
        Ok(Self {
            alphabet: Alphabet::new(&settings.alphabet)?,
            confusions,
            lengths: Op::ALL.map(|op| LengthLaw::new(settings.op(op), usize::from(op == Op::Reversal))),
            settings: settings.clone(),
        })
    }

    /// The settings that it was made from.
    pub fn settings(&self) -> &CorruptSettings {
        &self.settings
    }

    /// The symbols that insertions and substitutions draw from.
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The confusion table; where there is one, a substitution is one of its rows and has no span length.
    pub fn confusions(&self) -> Option<&Confusions> {
        self.confusions.as_ref()
    }

    /// The law of the span length of an operation, in graphemes.
    pub fn length(&self, op: Op) -> LengthLaw {
        self.lengths[op as usize]
    }

    /// Probability that an event of `op` is tried at a visited position, at noise level `level` (a factor on all rates).
    pub fn event(&self, op: Op, level: f64) -> f64 {
        self.settings.op(op).rate * level
    }

    /// Probability that nothing is tried at a visited position, at noise level `level`: the grapheme is copied.
    pub fn copy(&self, level: f64) -> f64 {
        (1.0 - self.settings.total_rate() * level).max(0.0)
    }

    /// Probability that nothing is inserted at the end of the text, at noise level `level`.
    pub fn end(&self, level: f64) -> f64 {
        1.0 - self.event(Op::Insertion, level)
    }

    /// What can happen at a visited position, at noise level `level`.
    pub fn at_level(&self, level: f64) -> LevelLaw {
        LevelLaw {
            copy: self.copy(level),
            event: Op::ALL.map(|op| self.event(op, level)),
            end: self.end(level),
        }
    }

    /// What one insertion of a symbol can put where the corrupted text goes on with `rest`: bytes, and their probability.
    ///
    /// Each number of bytes occurs once: what has several causes is summed.
    pub fn insertion(&self, rest: &str) -> Vec<(usize, f64)> {
        let keep = 1.0 - self.settings.escape;
        let symbols = self.alphabet.symbols_at(rest);
        let mut emissions = symbols.map(|(_, s)| (s.len(), keep * self.alphabet.probability(s))).collect();
        self.add_escape(rest, &mut emissions);
        emissions
    }

    /// What the substitution of `grapheme` can put where the corrupted text goes on with `rest`: bytes, and their probability,
    /// `grapheme` itself included where it has no other symbol. Not for channels with confusions.
    pub fn substitution(&self, grapheme: &str, rest: &str) -> Vec<(usize, f64)> {
        let keep = 1.0 - self.settings.escape;
        let mut emissions: Vec<(usize, f64)> = Vec::new();
        let symbols = self.alphabet.symbols_at(rest).map(|(_, symbol)| symbol);
        let own = self.alphabet.row_symbols(grapheme).chain(std::iter::once(grapheme));
        for symbol in symbols.chain(own.filter(|symbol| rest.starts_with(symbol))) {
            if emissions.iter().all(|(length, _)| *length != symbol.len()) {
                let p = keep * self.alphabet.probability_unlike(symbol, grapheme);
                if p > 0.0 {
                    emissions.push((symbol.len(), p));
                }
            }
        }
        self.add_escape(rest, &mut emissions);
        emissions
    }

    /// Probability that an escape emits the scalar value with which `rest` begins: 512⁻ⁿ for one of n bytes, so that all of them
    /// together have at most 1.
    fn add_escape(&self, rest: &str, emissions: &mut Vec<(usize, f64)>) {
        let Some(length) = rest.chars().next().map(char::len_utf8).filter(|_| self.settings.escape > 0.0)
        else {
            return;
        };
        let p = self.settings.escape * 0.001_953_125f64.powi(length.cast_signed() as i32);
        match emissions.iter_mut().find(|(bytes, _)| *bytes == length) {
            Some((_, known)) => *known += p,
            None => emissions.push((length, p)),
        }
    }

    /// The rows of the confusion table that match where the original goes on with `rest`: graphemes consumed, row, probability.
    pub fn confusion<'s, 'g, I: Iterator<Item = &'g str> + Clone>(
        &'s self,
        rest: I,
    ) -> impl Iterator<Item = (usize, &'s ConfusionRow, f64)> + use<'s, 'g, I> {
        let matching = self.confusions.as_ref().map(|table| table.matching(rest));
        let total: u64 = matching.clone().into_iter().flatten().map(|(_, row)| u64::from(row.weight)).sum();
        matching.into_iter().flatten().map(move |(n, row)| (n, row, f64::from(row.weight) / total as f64))
    }
}

/// The probabilities at a visited position, at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelLaw {
    /// Of nothing being tried: the grapheme is copied.
    pub copy: f64,
    /// Of an attempt of each operation; indices are those of [`Op::ALL`].
    pub event: [f64; 5],
    /// At the end of the text: of nothing being inserted.
    pub end: f64,
}

impl LevelLaw {
    /// The natural logarithms of the probabilities; −∞ where one is 0.
    #[must_use]
    pub fn ln(&self) -> Self {
        Self { copy: self.copy.ln(), event: self.event.map(f64::ln), end: self.end.ln() }
    }
}

/// A span length: geometric with a mean, at `max` at most, and from there on with the probability `tail` one more each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LengthLaw {
    stop: f64,
    shortest: usize,
    max: usize,
    tail: f64,
}

impl LengthLaw {
    /// `offset` graphemes are certain beyond the geometric part (1 for reversal, which draws l − 1).
    pub(crate) fn new(settings: OpSettings, offset: usize) -> Self {
        let stop = 1.0 / (settings.mean - offset as f64);
        Self { stop, shortest: 1 + offset, max: settings.max, tail: settings.tail }
    }

    /// The least length, in graphemes.
    pub fn shortest(&self) -> usize {
        self.shortest
    }

    /// The greatest length before the tail, in graphemes.
    pub fn max(&self) -> usize {
        self.max
    }

    /// The greatest length, in graphemes; `None` if there is a tail.
    pub fn longest(&self) -> Option<usize> {
        (self.tail == 0.0).then_some(self.max)
    }

    /// Probability that a span that has reached `length` goes on.
    pub fn goes_on(&self, length: usize) -> f64 {
        match length {
            l if l < self.shortest => 1.0,
            l if l < self.max => 1.0 - self.stop,
            _ => self.tail,
        }
    }

    /// Probability of exactly `length`.
    pub fn probability(&self, length: usize) -> f64 {
        if length < self.shortest { 0.0 } else { self.at_least(length) * (1.0 - self.goes_on(length)) }
    }

    /// Probability of `length` or more, which is what a span has that the end of the text cuts at `length`.
    pub fn at_least(&self, length: usize) -> f64 {
        let geometric = length.min(self.max).saturating_sub(self.shortest);
        let beyond = length.saturating_sub(self.max);
        (1.0 - self.stop).powi(geometric.cast_signed() as i32) * self.tail.powi(beyond.cast_signed() as i32)
    }

    /// Probability that a span consumes `length` graphemes where `left` are left: it is cut there.
    pub fn consumes(&self, length: usize, left: usize) -> f64 {
        match length.cmp(&left) {
            std::cmp::Ordering::Less => self.probability(length),
            std::cmp::Ordering::Equal => self.at_least(length),
            std::cmp::Ordering::Greater => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alphabet::AlphabetChoice;

    fn lengths(mean: f64, max: usize, tail: f64, offset: usize) -> LengthLaw {
        LengthLaw::new(OpSettings { rate: 0.1, mean, max, tail }, offset)
    }

    #[test]
    fn lengths_sum_to_one() {
        for law in [
            lengths(1.5, 8, 0.0, 0),
            lengths(3.0, 5, 0.3, 1),
            lengths(1.0, 1, 0.5, 0),
            lengths(2.0, 2, 0.0, 1),
        ] {
            let total: f64 = (0..200).map(|l| law.probability(l)).sum();
            assert!((total - 1.0).abs() < 1e-12, "{law:?}: {total}");
            for left in 1..12 {
                let cut: f64 = (0..=left).map(|l| law.consumes(l, left)).sum();
                let expected = if left < law.shortest() { law.at_least(left) } else { 1.0 };
                assert!((cut - expected).abs() < 1e-12, "{law:?} cut at {left}: {cut}");
            }
        }
    }

    #[test]
    fn emissions_of_all_texts_sum_to_one() {
        let settings = CorruptSettings {
            alphabet: AlphabetChoice::Custom("abe\u{301}".into()),
            ..CorruptSettings::default()
        };
        let law = ChannelLaw::new(&settings).unwrap();
        let symbols = ["a", "b", "e\u{301}", "c"];
        let total = |emissions: &dyn Fn(&str) -> Vec<(usize, f64)>| -> f64 {
            symbols
                .iter()
                .flat_map(|s| emissions(s).into_iter().filter(|(n, _)| *n == s.len()))
                .map(|(_, p)| p)
                .sum()
        };
        assert!((total(&|rest| law.insertion(rest)) - 1.0).abs() < 1e-12);
        for grapheme in ["a", "c"] {
            assert!((total(&|rest| law.substitution(grapheme, rest)) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn an_escape_makes_everything_possible() {
        let settings =
            CorruptSettings { escape: 0.5, alphabet: AlphabetChoice::Dna, ..CorruptSettings::default() };
        let law = ChannelLaw::new(&settings).unwrap();
        let expected = 0.5 / 512.0f64.powi(2);
        assert!(matches!(law.insertion("éa").as_slice(), [(2, p)] if (p - expected).abs() < 1e-15));
        assert!(matches!(law.insertion("A").as_slice(), [(1, p)] if (p - 0.125 - 0.5 / 512.0).abs() < 1e-15));
    }
}
