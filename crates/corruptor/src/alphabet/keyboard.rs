//! Keyboard layouts: which keys lie beside each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::choice::{AlphabetChoice, WeightedAlphabet};
use crate::grapheme::graphemes;
use crate::nearest::nearest_name;

/// The layouts that need no file.
const BUILT_IN: [(&str, &str); 3] = [
    ("qwerty", include_str!("layouts/qwerty.toml")),
    ("azerty", include_str!("layouts/azerty.toml")),
    ("qwertz", include_str!("layouts/qwertz.toml")),
];

/// Keys whose centres are at most this many key widths apart are neighbours: beside each other, or touching between rows.
const REACH: f64 = 1.3;

/// Where the keys of a keyboard lie.
///
/// A layout file is TOML: `[[rows]]` from the top, each with `offset` (key widths from the left edge), `keys` (one grapheme a
/// key; a space leaves a gap) and optionally `shift` (what the same keys give with Shift); and `[extra]`, where a key that is
/// wider than one width lists its neighbours.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyboardLayout {
    rows: Vec<KeyRow>,
    #[serde(default)]
    extra: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRow {
    offset: f64,
    keys: String,
    #[serde(default)]
    shift: String,
}

/// Why a layout cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyboardError {
    /// The file cannot be read.
    #[error("cannot read the keyboard layout {}: {source}; built in are qwerty, azerty and qwertz{hint}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// The built-in layout that may be meant.
        hint: String,
    },
    /// The text is no layout.
    #[error("{name} is no keyboard layout: {message}")]
    Malformed {
        /// File or name of the layout.
        name: String,
        /// Place and reason.
        message: String,
    },
}

impl KeyboardLayout {
    /// A built-in layout by its name, else the layout file at that path (relative ones lie in `directory`).
    ///
    /// # Errors
    /// If there is no such file, or it is no layout.
    pub fn load(name: &str, directory: &Path) -> Result<Self, KeyboardError> {
        if let Some((_, text)) = BUILT_IN.into_iter().find(|(built_in, _)| *built_in == name) {
            return Self::parse(text, name);
        }
        let path = directory.join(name);
        let text = std::fs::read_to_string(&path).map_err(|source| {
            let hint = nearest_name(name, &BUILT_IN.map(|(name, _)| name));
            let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
            KeyboardError::Read { path: path.clone(), source, hint }
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses a layout file; `name` stands in error messages.
    ///
    /// # Errors
    /// If it is no TOML of the described form, a key stands twice, or a shifted row has another number of keys.
    pub fn parse(text: &str, name: &str) -> Result<Self, KeyboardError> {
        let fail = |message: String| KeyboardError::Malformed { name: name.to_owned(), message };
        let layout: Self = toml::from_str(text).map_err(|error| fail(error.to_string()))?;
        let mut seen = BTreeSet::new();
        for (number, row) in (1..).zip(&layout.rows) {
            let (keys, shift) = (graphemes(&row.keys).count(), graphemes(&row.shift).count());
            if !row.shift.is_empty() && keys != shift {
                return Err(fail(format!(
                    "row {number} has {keys} keys, but {shift} with shift; leave gaps as spaces"
                )));
            }
            if !(row.offset.is_finite() && (0.0..=1_000.0).contains(&row.offset)) {
                return Err(fail(format!(
                    "row {number} has offset {}; give key widths from 0 on",
                    row.offset
                )));
            }
            for key in graphemes(&row.keys).chain(graphemes(&row.shift)).filter(|key| *key != " ") {
                if !seen.insert(key) {
                    return Err(fail(format!("{key:?} in row {number} stands twice; name each key once")));
                }
            }
        }
        if seen.len() < 2 {
            return Err(fail("it has fewer than two keys; add [[rows]]".to_owned()));
        }
        for (key, neighbours) in &layout.extra {
            let unknown =
                graphemes(neighbours).find(|neighbour| !seen.contains(neighbour) || neighbour == key);
            if graphemes(key).count() != 1 || neighbours.is_empty() || unknown.is_some() {
                let message = "give one key and, as a string, keys of the rows that lie beside it";
                return Err(fail(format!("[extra] {key:?} = {neighbours:?}: {message}")));
            }
        }
        Ok(layout)
    }

    /// Each key with its neighbours, those of one shift state among themselves; neighbours are alike.
    pub fn neighbours(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut neighbours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for shifted in [false, true] {
            let keys: Vec<(f64, f64, &str)> = self
                .rows
                .iter()
                .zip(0..)
                .flat_map(|(row, y)| {
                    let keys = graphemes(if shifted { &row.shift } else { &row.keys }).zip(0..);
                    keys.map(move |(key, x)| (row.offset + f64::from(x), f64::from(y), key))
                })
                .filter(|(_, _, key)| *key != " ")
                .collect();
            for (x, y, key) in &keys {
                let near = keys.iter().filter(|(u, v, other)| {
                    other != key && (x - u).powi(2) + (y - v).powi(2) <= REACH * REACH
                });
                let near = near.map(|(_, _, other)| (*other).to_owned());
                neighbours.entry((*key).to_owned()).or_default().extend(near);
            }
        }
        for (key, listed) in &self.extra {
            for neighbour in graphemes(listed) {
                neighbours.entry(key.clone()).or_default().insert(neighbour.to_owned());
                neighbours.entry(neighbour.to_owned()).or_default().insert(key.clone());
            }
        }
        neighbours
    }

    /// The alphabet of this layout: insertions draw any key, substitutions a neighbour; what is no key stays as it is.
    pub fn alphabet(&self) -> AlphabetChoice {
        let neighbours = self.neighbours();
        let symbols = neighbours.keys().map(|key| (key.clone(), 1)).collect();
        let rows = neighbours
            .into_iter()
            .filter(|(_, near)| !near.is_empty())
            .map(|(key, near)| (key, near.into_iter().map(|symbol| (symbol, 1)).collect()))
            .collect();
        AlphabetChoice::Weighted(WeightedAlphabet { symbols, backoff: 0, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alphabet::Alphabet;

    fn near(layout: &str, key: &str) -> String {
        KeyboardLayout::load(layout, Path::new("")).unwrap().neighbours()[key]
            .iter()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn neighbours_are_those_of_the_real_keyboards() {
        assert_eq!(near("qwerty", "g"), "bfhtvy");
        assert_eq!(near("qwerty", "A"), "QSWZ");
        assert_eq!(near("qwertz", "z"), "67ghtu");
        assert_eq!(near("azerty", "a"), "&qzé");
        assert_eq!(near("qwerty", " "), "bcmnv");
        for layout in ["qwerty", "azerty", "qwertz"] {
            let neighbours = KeyboardLayout::load(layout, Path::new("")).unwrap().neighbours();
            for (key, near) in &neighbours {
                assert!(
                    !near.is_empty() && near.iter().all(|other| neighbours[other].contains(key)),
                    "{layout} {key}"
                );
            }
        }
    }

    #[test]
    fn substitutions_stay_near_and_foreign_graphemes_stay() {
        let layout = KeyboardLayout::load("qwerty", Path::new("")).unwrap();
        let alphabet = Alphabet::new(&layout.alphabet()).unwrap();
        assert!((alphabet.probability_unlike("h", "g") - 1.0 / 6.0).abs() < 1e-12);
        assert!(alphabet.probability_unlike("p", "g").abs() < 1e-12);
        assert!((alphabet.probability_unlike("é", "é") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn bad_layouts_are_named() {
        let error = |text: &str| KeyboardLayout::parse(text, "k.toml").unwrap_err().to_string();
        assert!(error("[[rows]]\noffset = 0\nkeys = \"aba\"").contains("\"a\" in row 1 stands twice"));
        assert!(
            error("[[rows]]\noffset = 0\nkeys = \"ab\"\nshift = \"A\"").contains("2 keys, but 1 with shift")
        );
        assert!(error("[[rows]]\noffset = 0\nkeys = \"ab\"\n[extra]\n\" \" = \"x\"").contains("[extra]"));
        assert!(error("rows = 3").contains("k.toml is no keyboard layout"));
        let missing = KeyboardLayout::load("qwety", Path::new("nowhere")).unwrap_err().to_string();
        assert!(missing.contains("did you mean \"qwerty\"?"), "{missing}");
    }
}
