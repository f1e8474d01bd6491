//! The symbols that substitutions and insertions draw from.

mod choice;
mod keyboard;
mod unigram;

use std::collections::HashMap;

pub use choice::{AlphabetChoice, WeightedAlphabet};
pub use keyboard::{KeyboardError, KeyboardLayout};
pub use unigram::UnigramCounts;

use crate::random::RecordStream;
use crate::settings::SettingsError;

/// A set of graphemes with weights, and for single graphemes the symbols that preferably replace them.
///
/// A draw for an insertion takes a symbol by weight. A draw for a substitution takes one unlike the grapheme it replaces:
/// from the grapheme's row, or, with the weight of the backoff, from all symbols.
#[derive(Clone, Debug)]
pub struct Alphabet {
    symbols: Weights,
    rows: HashMap<String, Weights>,
    backoff: u64,
    /// Symbols by their first byte: indices into `symbols`.
    by_first_byte: Vec<Vec<u32>>,
}

/// Symbols with cumulative weights; an index a symbol, fast where the symbol is one byte.
#[derive(Clone, Debug, Default)]
struct Weights {
    symbols: Vec<String>,
    /// One past the last ticket of each symbol; tickets are `0..total`.
    ends: Vec<u64>,
    /// Whether all weights are 1: a ticket is an index then.
    alike: bool,
    index: HashMap<String, u32>,
    of_byte: Vec<Option<u32>>,
}

impl Weights {
    fn new<'s>(weights: impl Iterator<Item = (&'s str, u32)>) -> Self {
        let mut new = Self { alike: true, of_byte: vec![None; 128], ..Self::default() };
        let mut end = 0;
        for (i, (symbol, weight)) in (0..).zip(weights) {
            end += u64::from(weight);
            new.alike &= weight == 1;
            new.ends.push(end);
            new.index.insert(symbol.to_owned(), i);
            if let [byte] = symbol.as_bytes() {
                new.of_byte[usize::from(*byte)] = Some(i);
            }
            new.symbols.push(symbol.to_owned());
        }
        new
    }

    fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn find(&self, symbol: &str) -> Option<usize> {
        let found = match symbol.as_bytes() {
            [byte @ 0..128] => self.of_byte[usize::from(*byte)],
            _ => self.index.get(symbol).copied(),
        };
        found.map(|i| i as usize)
    }

    fn weight(&self, i: usize) -> u64 {
        self.ends[i] - if i == 0 { 0 } else { self.ends[i - 1] }
    }

    fn holder(&self, ticket: u64) -> &str {
        let i = if self.alike { ticket as usize } else { self.ends.partition_point(|&end| end <= ticket) };
        &self.symbols[i]
    }

    /// Draws any symbol.
    fn draw(&self, stream: &mut RecordStream) -> &str {
        self.holder(stream.below(self.total()))
    }

    /// Draws a symbol other than that with index `own`; there must be one.
    fn draw_other(&self, own: usize, stream: &mut RecordStream) -> &str {
        let (weight, end) = (self.weight(own), self.ends[own]);
        let ticket = stream.below(self.total() - weight);
        self.holder(ticket + if ticket >= end - weight { weight } else { 0 })
    }
}

impl Alphabet {
    /// Builds the alphabet of a choice.
    ///
    /// # Errors
    /// If it is empty, names a grapheme twice, has a symbol that is no single grapheme, or is not resolved.
    pub fn new(choice: &AlphabetChoice) -> Result<Self, SettingsError> {
        let weighted = choice.weighted()?;
        // A custom alphabet keeps its order: the golden vectors draw by index.
        let symbols = match choice {
            AlphabetChoice::Custom(text) => Weights::new(crate::graphemes(text).map(|symbol| (symbol, 1))),
            AlphabetChoice::LettersDigits => {
                let ordered: String = ('A'..='Z').chain('a'..='z').chain('0'..='9').collect();
                Weights::new(crate::graphemes(&ordered).map(|symbol| (symbol, 1)))
            }
            _ => Weights::new(weighted.symbols.iter().map(|(symbol, weight)| (symbol.as_str(), *weight))),
        };
        if symbols.symbols.is_empty() {
            let message = "the alphabet is empty; name at least one grapheme";
            return Err(SettingsError::new("corrupt.alphabet", message));
        }
        let mut by_first_byte = vec![Vec::new(); 256];
        for (i, symbol) in (0..).zip(&symbols.symbols) {
            by_first_byte[usize::from(symbol.as_bytes()[0])].push(i);
        }
        let row = |(from, row): (&String, &std::collections::BTreeMap<String, u32>)| {
            (from.clone(), Weights::new(row.iter().map(|(symbol, weight)| (symbol.as_str(), *weight))))
        };
        let rows = weighted.rows.iter().map(row).collect();
        Ok(Self { symbols, rows, backoff: u64::from(weighted.backoff), by_first_byte })
    }

    /// The symbols, in order.
    pub fn symbols(&self) -> &[String] {
        &self.symbols.symbols
    }

    /// The symbols with which `text` begins: index and length in bytes. There may be several, such as `e` and `e` with an accent.
    pub fn symbols_at<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (usize, &'t str)> {
        let first = text.as_bytes().first().map(|byte| &self.by_first_byte[usize::from(*byte)]);
        let symbols =
            first.into_iter().flatten().map(|&i| (i as usize, self.symbols.symbols[i as usize].as_str()));
        symbols.filter(move |(_, symbol)| text.starts_with(symbol))
    }

    /// Whether single graphemes have rows of their own.
    pub fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// What the grapheme's own row can replace it with, if it has one.
    pub fn row_symbols(&self, grapheme: &str) -> impl Iterator<Item = &str> {
        self.rows.get(grapheme).into_iter().flat_map(|row| row.symbols.iter().map(String::as_str))
    }

    /// Probability that a draw for an insertion gives `symbol`.
    pub fn probability(&self, symbol: &str) -> f64 {
        let found = self.symbols.find(symbol).map_or(0, |i| self.symbols.weight(i));
        found as f64 / self.symbols.total() as f64
    }

    /// Probability that a substitution of `grapheme` emits `symbol`. If it has no other symbol, it is emitted as itself.
    pub fn probability_unlike(&self, symbol: &str, grapheme: &str) -> f64 {
        let other = |symbol: &str| match self.symbols.find(grapheme) {
            _ if symbol == grapheme => 0.0,
            Some(own) if self.symbols.weight(own) == self.symbols.total() => 0.0,
            Some(own) => {
                let weight = self.symbols.find(symbol).map_or(0, |i| self.symbols.weight(i));
                weight as f64 / (self.symbols.total() - self.symbols.weight(own)) as f64
            }
            None => self.probability(symbol),
        };
        let itself = f64::from(u8::from(symbol == grapheme));
        match self.source(grapheme) {
            Source::None => itself,
            Source::All => other(symbol),
            Source::Row { row, backoff } => {
                let weight = row.find(symbol).map_or(0, |i| row.weight(i)) as f64;
                (weight + backoff as f64 * other(symbol)) / (row.total() + backoff) as f64
            }
        }
    }

    /// What a substitution of `grapheme` draws from.
    fn source(&self, grapheme: &str) -> Source<'_> {
        let has_other = match self.symbols.find(grapheme) {
            Some(own) => self.symbols.weight(own) < self.symbols.total(),
            None => true,
        };
        if self.rows.is_empty() {
            return if has_other { Source::All } else { Source::None };
        }
        let backoff = if has_other { self.backoff } else { 0 };
        match self.rows.get(grapheme) {
            Some(row) => Source::Row { row, backoff },
            None if backoff > 0 => Source::All,
            None => Source::None,
        }
    }

    /// Draws any symbol.
    pub(crate) fn draw(&self, stream: &mut RecordStream) -> &str {
        self.symbols.draw(stream)
    }

    /// Draws a symbol unlike `grapheme`; `None` if there is no other.
    pub(crate) fn draw_unlike(&self, grapheme: &str, stream: &mut RecordStream) -> Option<&str> {
        let other = |stream: &mut RecordStream| match self.symbols.find(grapheme) {
            Some(own) => self.symbols.draw_other(own, stream),
            None => self.symbols.draw(stream),
        };
        match self.source(grapheme) {
            Source::None => None,
            Source::All => Some(other(stream)),
            Source::Row { row, backoff } => {
                let ticket = stream.below(row.total() + backoff);
                Some(if ticket < row.total() { row.holder(ticket) } else { other(stream) })
            }
        }
    }
}

/// Where the substitution of a grapheme gets its symbol from.
enum Source<'a> {
    /// It has no other symbol.
    None,
    /// All symbols but itself.
    All,
    /// Its row, or, with the weight `backoff`, all symbols but itself.
    Row { row: &'a Weights, backoff: u64 },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn weighted(symbols: &[(&str, u32)], backoff: u32, rows: &[(&str, &[(&str, u32)])]) -> Alphabet {
        let table = |row: &[(&str, u32)]| -> BTreeMap<String, u32> {
            row.iter().map(|(symbol, weight)| ((*symbol).to_owned(), *weight)).collect()
        };
        let rows = rows.iter().map(|(from, row)| ((*from).to_owned(), table(row))).collect();
        let choice = WeightedAlphabet { symbols: table(symbols), backoff, rows };
        Alphabet::new(&AlphabetChoice::Weighted(choice)).unwrap()
    }

    /// What is drawn has the stated probabilities, for insertions and for substitutions of each of `graphemes`.
    fn assert_draws_follow(alphabet: &Alphabet, graphemes: &[&str]) {
        const DRAWS: usize = 40_000;
        let mut stream = RecordStream::for_purpose(3, "alphabet");
        let mut assert_law = |draw: &mut dyn FnMut(&mut RecordStream) -> String,
                              law: &dyn Fn(&str) -> f64| {
            let mut counts = HashMap::new();
            for _ in 0..DRAWS {
                *counts.entry(draw(&mut stream)).or_insert(0u32) += 1;
            }
            let total: f64 = counts.keys().map(|symbol| law(symbol)).sum();
            assert!((total - 1.0).abs() < 1e-12, "all of it was drawn: {total} by {counts:?}");
            for (symbol, count) in counts {
                let p = law(&symbol);
                let error = (p * (1.0 - p) * DRAWS as f64).sqrt();
                let expected = p * DRAWS as f64;
                assert!(
                    (f64::from(count) - expected).abs() <= 4.0 * error,
                    "{symbol}: {count}, not {expected}"
                );
            }
        };
        assert_law(&mut |s| alphabet.draw(s).to_owned(), &|symbol| alphabet.probability(symbol));
        for grapheme in graphemes {
            assert_law(
                &mut |s| alphabet.draw_unlike(grapheme, s).unwrap_or(grapheme).to_owned(),
                &|symbol| alphabet.probability_unlike(symbol, grapheme),
            );
        }
    }

    #[test]
    fn draws_have_the_stated_probabilities() {
        let symbols: &[(&str, u32)] = &[("a", 5), ("b", 1), ("é", 3)];
        assert_draws_follow(&Alphabet::new(&AlphabetChoice::Custom("ACGT".into())).unwrap(), &["C", "x"]);
        assert_draws_follow(&Alphabet::new(&AlphabetChoice::Dna).unwrap(), &["A", "N"]);
        assert_draws_follow(&weighted(symbols, 0, &[]), &["a", "é", "z"]);
        let rows: &[(&str, &[(&str, u32)])] = &[("a", &[("q", 2), ("s", 1)]), ("z", &[("a", 1)])];
        assert_draws_follow(&weighted(symbols, 0, rows), &["a", "b", "z"]);
        assert_draws_follow(&weighted(symbols, 4, rows), &["a", "b", "z", "é"]);
    }

    #[test]
    fn the_only_symbol_has_no_other() {
        let alphabet = Alphabet::new(&AlphabetChoice::Custom("x".into())).unwrap();
        let mut stream = RecordStream::for_purpose(3, "alphabet");
        assert_eq!(alphabet.draw_unlike("x", &mut stream), None);
        assert_eq!(alphabet.draw_unlike("y", &mut stream), Some("x"));
        assert_draws_follow(&alphabet, &["x", "y"]);
    }

    #[test]
    fn what_a_text_begins_with() {
        let alphabet = Alphabet::new(&AlphabetChoice::Custom("aee\u{301}".into())).unwrap();
        let found: Vec<_> = alphabet.symbols_at("e\u{301}a").map(|(_, symbol)| symbol).collect();
        assert_eq!(found, ["e", "e\u{301}"]);
        assert_eq!(alphabet.symbols_at("").count(), 0);
    }

    #[test]
    fn bad_alphabets_are_refused() {
        let error = |choice: AlphabetChoice| Alphabet::new(&choice).unwrap_err().to_string();
        assert!(error(AlphabetChoice::Custom("abca".into())).contains("\"a\" stands twice"));
        assert!(error(AlphabetChoice::Custom(String::new())).contains("empty"));
        assert!(error(AlphabetChoice::Corpus).contains("resolve"));
        let symbols = [("ab".to_owned(), 1)].into();
        let pairs = AlphabetChoice::Weighted(WeightedAlphabet { symbols, ..WeightedAlphabet::default() });
        assert!(error(pairs).contains("no single grapheme"));
    }
}
