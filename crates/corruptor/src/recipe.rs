//! Recipes: one TOML file configures a pipeline; each crate reads its own table.

use std::path::Path;

use figment::Figment;
use figment::error::Kind;
use figment::providers::Serialized;
use serde::de::DeserializeOwned;

use crate::nearest::nearest_name;
use crate::settings::CorruptSettings;

/// The tables a recipe may have.
pub const TABLES: [&str; 5] = ["corpus", "corrupt", "model", "train", "evaluate"];

/// Tables that an override may go through; recipes have fewer.
const MAX_OVERRIDE_TABLES: usize = 16;

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is no TOML.
    #[error("{name} is not valid TOML: {message}")]
    Syntax {
        /// File name or other name of the recipe.
        name: String,
        /// Place and reason.
        message: String,
    },
    /// A key or a table that nothing reads.
    #[error("{name}: unknown key `{key}`; {hint}")]
    UnknownKey {
        /// File name or other name of the recipe.
        name: String,
        /// Dotted path of the key.
        key: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// A value of the wrong type or form.
    #[error("{name}: {message}")]
    Value {
        /// File name or other name of the recipe.
        name: String,
        /// Key and reason.
        message: String,
    },
    /// An override is not of the form `table.key=value`.
    #[error("override {0:?} is not of the form table.key=value")]
    Override(String),
}

/// A parsed recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    name: String,
    text: String,
    tables: toml::Table,
}

impl Recipe {
    /// Reads a recipe from a file.
    ///
    /// # Errors
    /// If the file cannot be read, is no TOML, or has an unknown table.
    pub fn load(path: &Path) -> Result<Self, RecipeError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Read { path: name.clone(), source })?;
        Self::parse(&text, &name)
    }

    /// Parses a recipe; `name` stands in error messages.
    ///
    /// # Errors
    /// If the text is no TOML or has an unknown table.
    pub fn parse(text: &str, name: &str) -> Result<Self, RecipeError> {
        let tables: toml::Table = toml::from_str(text)
            .map_err(|e| RecipeError::Syntax { name: name.to_owned(), message: e.to_string() })?;
        let recipe = Self { name: name.to_owned(), text: text.to_owned(), tables };
        for (key, value) in &recipe.tables {
            if !TABLES.contains(&key.as_str()) {
                return Err(recipe.unknown(key, &TABLES));
            }
            if !value.is_table() {
                let message = format!("`{key}` must be a table, written [{key}]");
                return Err(RecipeError::Value { name: recipe.name.clone(), message });
            }
        }
        Ok(recipe)
    }

    /// The recipe whose only table is `[corrupt]`.
    ///
    /// # Errors
    /// If the settings cannot be written as TOML.
    pub fn of_corrupt(settings: &CorruptSettings) -> Result<Self, RecipeError> {
        let name = "the fitted recipe";
        let table = toml::Table::try_from(settings)
            .map_err(|error| RecipeError::Value { name: name.to_owned(), message: error.to_string() })?;
        Self::rewritten(&toml::Table::from_iter([("corrupt".to_owned(), toml::Value::Table(table))]), name)
    }

    /// The recipe with `table.key=value` overrides, in order; a value that is no TOML is taken as a string.
    ///
    /// # Errors
    /// If an override has another form or names an unknown table.
    pub fn with_overrides<S: AsRef<str>>(self, overrides: &[S]) -> Result<Self, RecipeError> {
        if overrides.is_empty() {
            return Ok(self);
        }
        let mut tables = self.tables;
        for text in overrides.iter().map(AsRef::as_ref) {
            let malformed = || RecipeError::Override(text.to_owned());
            let (path, value) = text.split_once('=').ok_or_else(malformed)?;
            let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
                .ok()
                .and_then(|mut t| t.remove("v"))
                .unwrap_or_else(|| toml::Value::String(value.trim().to_owned()));
            let (parents, key) = path.trim().rsplit_once('.').ok_or_else(malformed)?;
            // What is written is parsed again, and both recurse.
            if parents.split('.').count() > MAX_OVERRIDE_TABLES {
                return Err(malformed());
            }
            let mut table = &mut tables;
            for part in parents.split('.') {
                let entry = table.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
                table = entry.as_table_mut().ok_or_else(malformed)?;
            }
            table.insert(key.to_owned(), value);
        }
        Self::rewritten(&tables, &self.name)
    }

    /// The recipe with one of its tables taken from another one.
    ///
    /// # Errors
    /// If the table cannot be written as TOML.
    pub fn with_table_of(self, table: &str, other: &Self) -> Result<Self, RecipeError> {
        let mut tables = self.tables;
        match other.tables.get(table) {
            Some(value) => drop(tables.insert(table.to_owned(), value.clone())),
            None => drop(tables.remove(table)),
        }
        Self::rewritten(&tables, &self.name)
    }

    fn rewritten(tables: &toml::Table, name: &str) -> Result<Self, RecipeError> {
        let text = toml::to_string(tables)
            .map_err(|e| RecipeError::Syntax { name: name.to_owned(), message: e.to_string() })?;
        Self::parse(&text, name)
    }

    /// The recipe as TOML: verbatim, or rewritten where there were overrides or a table was exchanged.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads one of [`TABLES`] (absent: its defaults).
    ///
    /// # Errors
    /// If a key is unknown (the error names the nearest) or a value has the wrong type.
    pub fn table<T: DeserializeOwned>(&self, table: &str) -> Result<T, RecipeError> {
        let empty = toml::Value::Table(toml::Table::new());
        let value = self.tables.get(table).unwrap_or(&empty);
        Figment::from(Serialized::defaults(value)).extract::<T>().map_err(|error| {
            let path = |last: &str| {
                let parts = std::iter::once(table).chain(error.path.iter().map(String::as_str));
                parts.chain(std::iter::once(last)).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(".")
            };
            match &error.kind {
                Kind::UnknownField(field, expected) => {
                    // figment's path may or may not end with the field itself.
                    let key = path("");
                    let key = if key.ends_with(&format!(".{field}")) { key } else { path(field) };
                    self.unknown(&key, expected)
                }
                kind => {
                    RecipeError::Value { name: self.name.clone(), message: format!("`{}`: {kind}", path("")) }
                }
            }
        })
    }

    fn unknown(&self, key: &str, known: &[&str]) -> RecipeError {
        let last = key.rsplit('.').next().unwrap_or(key);
        let hint = match nearest_name(last, known) {
            Some(k) => format!("did you mean `{k}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        RecipeError::UnknownKey { name: self.name.clone(), key: key.to_owned(), hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let recipe = Recipe::parse(text, "r.toml").and_then(|r| r.table::<CorruptSettings>("corrupt"));
        recipe.unwrap_err().to_string()
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        assert_eq!(error("[corupt]"), "r.toml: unknown key `corupt`; did you mean `corrupt`?");
        let message = error("[corrupt]\nclen_share = 0.1");
        assert_eq!(message, "r.toml: unknown key `corrupt.clen_share`; did you mean `clean_share`?");
        let message = error("[corrupt.deletion]\nrat = 0.1");
        assert_eq!(message, "r.toml: unknown key `corrupt.deletion.rat`; did you mean `rate`?");
        assert!(error("[corrupt]\nzzzzzzzzzz = 1").contains("known are seed, copies"));
    }

    #[test]
    fn wrong_values_name_the_key() {
        assert!(error("[corrupt]\nseed = \"x\"").contains("`corrupt.seed`"));
        assert!(error("corrupt = 3").contains("must be a table"));
        assert!(error("[corrupt").contains("not valid TOML"));
    }

    #[test]
    fn overrides_win_and_keep_the_rest() {
        let recipe = Recipe::parse("[corrupt]\nseed = 3\ncopies = 2", "r").unwrap();
        let recipe = recipe.with_overrides(&["corrupt.seed=4", "corrupt.deletion.rate=0.5"]).unwrap();
        let settings: CorruptSettings = recipe.table("corrupt").unwrap();
        assert_eq!((settings.seed, settings.copies), (4, 2));
        assert!((settings.deletion.rate - 0.5).abs() < f64::EPSILON);
        let alphabet = recipe.with_overrides(&["corrupt.alphabet=letters-digits"]).unwrap();
        alphabet.table::<CorruptSettings>("corrupt").unwrap();
    }

    #[test]
    fn custom_alphabets_and_whole_numbers_are_read() {
        let recipe = Recipe::parse("[corrupt]\nalphabet = { custom = \"ACGT\" }\nlevels = [1]", "r").unwrap();
        let settings: CorruptSettings = recipe.table("corrupt").unwrap();
        assert_eq!(settings.alphabet, crate::AlphabetChoice::Custom("ACGT".into()));
    }

    #[test]
    fn malformed_overrides_are_refused() {
        let (deep_key, deep_value) =
            (format!("corrupt.{}x=1", "a.".repeat(50_000)), format!("corrupt.x={}", "[".repeat(50_000)));
        for bad in ["corrupt.seed", "seed=3", &deep_key] {
            let recipe = Recipe::parse("", "r").unwrap();
            assert!(matches!(recipe.with_overrides(&[bad]), Err(RecipeError::Override(_))));
        }
        let recipe = Recipe::parse("", "r").unwrap().with_overrides(&[deep_value]).unwrap();
        assert!(recipe.table::<CorruptSettings>("corrupt").is_err(), "it is no TOML, so it is a string");
    }
}
