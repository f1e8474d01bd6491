//! The symbols that substitutions and insertions draw from.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::grapheme::graphemes;
use crate::random::RecordStream;
use crate::settings::SettingsError;

/// Which alphabet a recipe asks for: `"printable-ascii"`, `"letters-digits"`, or `{ custom = "ACGT" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlphabetChoice {
    /// The 95 characters from space to tilde.
    #[default]
    PrintableAscii,
    /// A–Z, a–z and 0–9.
    LettersDigits,
    /// The graphemes of a string, each once.
    Custom(String),
}

/// A set of graphemes with uniform probabilities.
#[derive(Clone, Debug)]
pub struct Alphabet {
    symbols: Vec<String>,
    index: HashMap<String, usize>,
}

impl Alphabet {
    /// Builds the alphabet of a choice.
    ///
    /// # Errors
    /// If a custom alphabet is empty or names a grapheme twice.
    pub fn new(choice: &AlphabetChoice) -> Result<Self, SettingsError> {
        let symbols: Vec<String> = match choice {
            AlphabetChoice::PrintableAscii => (' '..='~').map(String::from).collect(),
            AlphabetChoice::LettersDigits => {
                ('A'..='Z').chain('a'..='z').chain('0'..='9').map(String::from).collect()
            }
            AlphabetChoice::Custom(text) => graphemes(text).map(String::from).collect(),
        };
        if symbols.is_empty() {
            return Err(SettingsError::new(
                "corrupt.alphabet",
                "a custom alphabet needs at least one grapheme",
            ));
        }
        let mut index = HashMap::with_capacity(symbols.len());
        for (i, symbol) in symbols.iter().enumerate() {
            if index.insert(symbol.clone(), i).is_some() {
                let message =
                    format!("{symbol:?} stands twice in the custom alphabet; name each grapheme once");
                return Err(SettingsError::new("corrupt.alphabet", message));
            }
        }
        Ok(Self { symbols, index })
    }

    /// The symbols, in order.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// Draws any symbol.
    pub(crate) fn draw(&self, stream: &mut RecordStream) -> &str {
        &self.symbols[stream.below(self.symbols.len() as u64) as usize]
    }

    /// Draws a symbol unlike `grapheme`; `None` if there is no other.
    pub(crate) fn draw_unlike(&self, grapheme: &str, stream: &mut RecordStream) -> Option<&str> {
        let Some(&own) = self.index.get(grapheme) else { return Some(self.draw(stream)) };
        let others = self.symbols.len() as u64 - 1;
        if others == 0 {
            return None;
        }
        let drawn = stream.below(others) as usize;
        Some(&self.symbols[drawn + usize::from(drawn >= own)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlike_is_uniform_over_the_others() {
        let alphabet = Alphabet::new(&AlphabetChoice::Custom("ACGT".into())).unwrap();
        let mut stream = RecordStream::for_purpose(3, "alphabet");
        let mut counts = HashMap::new();
        for _ in 0..30_000 {
            *counts.entry(alphabet.draw_unlike("C", &mut stream).unwrap()).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 3);
        assert!(counts.values().all(|c| c.abs_diff(10_000) < 350), "{counts:?}");
    }

    #[test]
    fn the_only_symbol_has_no_other() {
        let alphabet = Alphabet::new(&AlphabetChoice::Custom("x".into())).unwrap();
        let mut stream = RecordStream::for_purpose(3, "alphabet");
        assert_eq!(alphabet.draw_unlike("x", &mut stream), None);
        assert_eq!(alphabet.draw_unlike("y", &mut stream), Some("x"));
    }

    #[test]
    fn a_symbol_twice_is_refused() {
        let error = Alphabet::new(&AlphabetChoice::Custom("abca".into())).unwrap_err();
        assert!(error.to_string().contains("\"a\" stands twice"), "{error}");
    }
}
