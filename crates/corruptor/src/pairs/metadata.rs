//! What a file of pairs says about its making: nothing that changes from one run to the next.

use std::path::Path;

use parquet::file::metadata::KeyValue;
use serde::Serialize;

use crate::corpus::CorpusSettings;
use crate::grapheme::UNICODE_VERSION;
use crate::io_error::IoError;
use crate::settings::CorruptSettings;

const RECIPE: &str = "revertant.recipe";
const SEED: &str = "revertant.seed";
const VERSION: &str = "revertant.version";
const UNICODE: &str = "revertant.unicode";

/// The key–value metadata of a file of pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairMetadata {
    /// The resolved recipe as TOML: every setting that the pairs depend on, defaults included.
    pub recipe: String,
    /// The seed of every record's stream.
    pub seed: u64,
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
        let (major, minor, patch) = UNICODE_VERSION;
        Ok(Self {
            recipe,
            seed: corrupt.seed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            unicode: format!("{major}.{minor}.{patch}"),
        })
    }

    /// Reads the metadata of a file of pairs.
    ///
    /// # Errors
    /// If the file is no whole Parquet file, or was not written by [`PairWriter`](super::PairWriter).
    pub fn read(path: &Path) -> Result<Self, IoError> {
        let builder = super::reader::open(path)?;
        let pairs = builder.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| {
            let found =
                pairs.into_iter().flatten().find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
            let message = format!("its metadata has no {key:?}");
            found.ok_or_else(|| IoError::PairSchema { path: path.to_path_buf(), message })
        };
        let seed = value(SEED)?;
        let seed = seed.parse().map_err(|_| IoError::PairSchema {
            path: path.to_path_buf(),
            message: format!("its seed {seed:?} is no whole number"),
        })?;
        Ok(Self { recipe: value(RECIPE)?, seed, version: value(VERSION)?, unicode: value(UNICODE)? })
    }

    pub(super) fn key_values(&self) -> Vec<KeyValue> {
        vec![
            KeyValue::new(RECIPE.to_owned(), self.recipe.clone()),
            KeyValue::new(SEED.to_owned(), self.seed.to_string()),
            KeyValue::new(VERSION.to_owned(), self.version.clone()),
            KeyValue::new(UNICODE.to_owned(), self.unicode.clone()),
        ]
    }
}
