//! What a file of pairs says about its making: nothing that changes from one run to the next.

use std::path::Path;

use parquet::file::metadata::KeyValue;
use serde::Serialize;

use crate::corpus::CorpusSettings;
use crate::grapheme::UNICODE_VERSION;
use crate::io_error::IoError;
use crate::settings::CorruptSettings;
use crate::store::footer;

const RECIPE: &str = "revertant.recipe";
const SEED: &str = "revertant.seed";
const ORIGIN: &str = "revertant.origin";
const VERSION: &str = "revertant.version";
const UNICODE: &str = "revertant.unicode";

/// The key–value metadata of a file of pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairMetadata {
    /// The resolved recipe as TOML: every setting that the pairs depend on, defaults included. `None` for real pairs.
    pub recipe: Option<String>,
    /// The seed of every record's stream. `None` for real pairs.
    pub seed: Option<u64>,
    /// What real pairs were imported from, as JSON: names and digests of files, without their paths.
    pub origin: Option<String>,
    /// The version of this crate.
    pub version: String,
    /// The Unicode version whose graphemes are the unit.
    pub unicode: String,
}

impl PairMetadata {
    /// What this version of the crate would write for these settings.
    ///
    /// # Errors
    /// If a number has no place in TOML (a seed above 2^63 − 1).
    pub fn of(corpus: &CorpusSettings, corrupt: &CorruptSettings) -> Result<Self, IoError> {
        #[derive(Serialize)]
        struct Resolved<'a> {
            corpus: Cutting,
            corrupt: &'a CorruptSettings,
        }
        /// Where the text came from stays out: paths do not belong into data, and documents carry their source.
        #[derive(Serialize)]
        struct Cutting {
            window_bytes: usize,
            min_passage_bytes: usize,
            valid_share: f64,
            test_share: f64,
        }
        let cutting = Cutting {
            window_bytes: corpus.window_bytes,
            min_passage_bytes: corpus.min_passage_bytes,
            valid_share: corpus.valid_share,
            test_share: corpus.test_share,
        };
        let recipe = toml::to_string(&Resolved { corpus: cutting, corrupt })
            .map_err(|error| crate::settings::SettingsError::new("corrupt", error.to_string()))?;
        Ok(Self { recipe: Some(recipe), seed: Some(corrupt.seed), ..Self::of_this_version() })
    }

    /// The metadata of real pairs that come from `origin`.
    pub fn imported(origin: String) -> Self {
        Self { origin: Some(origin), ..Self::of_this_version() }
    }

    fn of_this_version() -> Self {
        let (major, minor, patch) = UNICODE_VERSION;
        Self {
            recipe: None,
            seed: None,
            origin: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            unicode: format!("{major}.{minor}.{patch}"),
        }
    }

    /// Reads the metadata of a file of pairs.
    ///
    /// # Errors
    /// If the file is no whole Parquet file, or was not written by [`PairWriter`](super::PairWriter).
    pub fn read(path: &Path) -> Result<Self, IoError> {
        let metadata = footer(path)?;
        let pairs = metadata.file_metadata().key_value_metadata();
        let value = |key: &str| {
            pairs.into_iter().flatten().find(|pair| pair.key == key).and_then(|pair| pair.value.clone())
        };
        let fail = |message| IoError::PairSchema { path: path.to_path_buf(), message };
        let required = |key| value(key).ok_or_else(|| fail(format!("its metadata has no {key:?}")));
        let whole =
            |seed: String| seed.parse().map_err(|_| fail(format!("its seed {seed:?} is no whole number")));
        Ok(Self {
            recipe: value(RECIPE),
            seed: value(SEED).map(whole).transpose()?,
            origin: value(ORIGIN),
            version: required(VERSION)?,
            unicode: required(UNICODE)?,
        })
    }

    pub(super) fn key_values(&self) -> Vec<KeyValue> {
        let values = [
            (RECIPE, self.recipe.clone()),
            (SEED, self.seed.map(|seed| seed.to_string())),
            (ORIGIN, self.origin.clone()),
            (VERSION, Some(self.version.clone())),
            (UNICODE, Some(self.unicode.clone())),
        ];
        let present = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
        present.map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect()
    }
}
