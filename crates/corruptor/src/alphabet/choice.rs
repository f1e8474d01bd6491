//! What a recipe can say about an alphabet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::grapheme::{grapheme_count, graphemes};
use crate::settings::SettingsError;

/// Which alphabet a recipe asks for.
///
/// In TOML: `"printable-ascii"`, `"letters-digits"`, `"dna"`, `"corpus"`, `{ custom = "abc" }`,
/// `{ keyboard = "qwerty" }` or `{ weighted = { … } }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlphabetChoice {
    /// The 95 characters from space to tilde.
    #[default]
    PrintableAscii,
    /// A–Z, a–z and 0–9.
    LettersDigits,
    /// The four bases A, C, G and T.
    Dna,
    /// The graphemes of the training documents, as often as they occur there: [`UnigramCounts`](crate::UnigramCounts) counts them.
    Corpus,
    /// The graphemes of a string, each once, all alike.
    Custom(String),
    /// Neighbouring keys: `qwerty`, `azerty`, `qwertz`, or the path of a [layout file](crate::KeyboardLayout).
    Keyboard(String),
    /// Symbols with weights, which is what `corpus`, `keyboard` and fitting are resolved into.
    Weighted(WeightedAlphabet),
}

/// Symbols with whole-numbered weights, and what single graphemes are preferably replaced by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightedAlphabet {
    /// Symbol → weight. Insertions draw from it.
    pub symbols: BTreeMap<String, u32>,
    /// Weight, in the unit of a row, of a draw from `symbols` instead of a grapheme's row. Default 0.
    pub backoff: u32,
    /// Grapheme → what replaces it → weight. Where there are rows, a grapheme without one draws from `symbols` if there is a
    /// backoff, else it has no other symbol.
    pub rows: BTreeMap<String, BTreeMap<String, u32>>,
}

impl AlphabetChoice {
    /// The symbols with weights.
    ///
    /// # Errors
    /// If a custom alphabet is empty or names a grapheme twice, a symbol is no single grapheme or its weight is 0, or the choice
    /// depends on a corpus or a file and has not been resolved.
    pub(crate) fn weighted(&self) -> Result<WeightedAlphabet, SettingsError> {
        let alike = |symbols: &mut dyn Iterator<Item = String>| WeightedAlphabet {
            symbols: symbols.map(|symbol| (symbol, 1)).collect(),
            ..WeightedAlphabet::default()
        };
        match self {
            Self::PrintableAscii => Ok(alike(&mut (' '..='~').map(String::from))),
            Self::LettersDigits => {
                Ok(alike(&mut ('A'..='Z').chain('a'..='z').chain('0'..='9').map(String::from)))
            }
            Self::Dna => Ok(alike(&mut "ACGT".chars().map(String::from))),
            Self::Custom(text) => {
                let alphabet = alike(&mut graphemes(text).map(String::from));
                if alphabet.symbols.len() < graphemes(text).count() {
                    return Err(twice(text));
                }
                Ok(alphabet)
            }
            Self::Corpus => Err(unresolved("the corpus's own alphabet is not counted yet")),
            Self::Keyboard(name) => Err(unresolved(&format!("the keyboard layout {name:?} is not read yet"))),
            Self::Weighted(weighted) => weighted.validated(),
        }
    }

    /// Whether nothing needs to be read to know its symbols.
    pub fn is_resolved(&self) -> bool {
        !matches!(self, Self::Corpus | Self::Keyboard(_))
    }
}

fn unresolved(what: &str) -> SettingsError {
    let message = format!("{what}; resolve the recipe first, as `corruptor generate` does");
    SettingsError::new("corrupt.alphabet", message)
}

fn twice(text: &str) -> SettingsError {
    let mut seen = std::collections::HashSet::new();
    let symbol = graphemes(text).find(|grapheme| !seen.insert(*grapheme)).unwrap_or_default();
    let message = format!("{symbol:?} stands twice in the custom alphabet; name each grapheme once");
    SettingsError::new("corrupt.alphabet", message)
}

impl WeightedAlphabet {
    fn validated(&self) -> Result<Self, SettingsError> {
        let fail = |key: &str, message: String| {
            Err(SettingsError::new(format!("corrupt.alphabet.weighted.{key}"), message))
        };
        let tables = std::iter::once(("symbols".to_owned(), &self.symbols))
            .chain(self.rows.iter().map(|(from, row)| (format!("rows.{from:?}"), row)));
        for (key, table) in tables {
            if let Some((symbol, _)) = table.iter().find(|(symbol, _)| grapheme_count(symbol) != 1) {
                return fail(&key, format!("{symbol:?} is no single grapheme; give each symbol by itself"));
            }
            if let Some((symbol, _)) = table.iter().find(|(_, weight)| **weight == 0) {
                return fail(
                    &key,
                    format!("{symbol:?} has weight 0; leave it out, or give a weight from 1 on"),
                );
            }
        }
        for (from, row) in &self.rows {
            if grapheme_count(from) != 1 {
                return fail("rows", format!("{from:?} is no single grapheme"));
            }
            if row.is_empty() || row.contains_key(from) {
                let message = "a row names what replaces its grapheme, at least one symbol, never itself";
                return fail(&format!("rows.{from:?}"), message.to_owned());
            }
        }
        Ok(self.clone())
    }
}
