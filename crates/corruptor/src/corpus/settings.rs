//! The recipe's `[corpus]` table.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::SettingsError;
use crate::split::SplitShares;

/// Where text comes from, and how documents become passages and splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusSettings {
    /// Longest passage in bytes. Default 256.
    pub window_bytes: usize,
    /// Passages under this many bytes are left out. Default 16.
    pub min_passage_bytes: usize,
    /// Share of the documents in the validation split. Default 0.05.
    pub valid_share: f64,
    /// Share of the documents in the test split. Default 0.1.
    pub test_share: f64,
    /// The corpora to collect. Default none.
    pub sources: Vec<Source>,
}

impl CorpusSettings {
    /// The default of [`window_bytes`](Self::window_bytes).
    pub const DEFAULT_WINDOW_BYTES: usize = 256;
    /// The default of [`min_passage_bytes`](Self::min_passage_bytes).
    pub const DEFAULT_MIN_PASSAGE_BYTES: usize = 16;
    /// The default of [`valid_share`](Self::valid_share).
    pub const DEFAULT_VALID_SHARE: f64 = 0.05;
    /// The default of [`test_share`](Self::test_share).
    pub const DEFAULT_TEST_SHARE: f64 = 0.1;
    /// The longest window: longer texts are windowed anyway, and the distance of a pair takes quadratic time.
    pub const MAX_WINDOW_BYTES: usize = 1 << 20;

    /// Shares of the held-out splits.
    pub fn shares(&self) -> SplitShares {
        SplitShares { valid: self.valid_share, test: self.test_share }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// If a number is out of its range, a source's name is taken or unusable, or a digest is not in hex.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let window = 1..=Self::MAX_WINDOW_BYTES;
        if !window.contains(&self.window_bytes) {
            let message = format!("{} is not within 1 and {}", self.window_bytes, Self::MAX_WINDOW_BYTES);
            return Err(SettingsError::new("corpus.window_bytes", message));
        }
        if self.min_passage_bytes > self.window_bytes {
            let message =
                format!("{} exceeds corpus.window_bytes, {}", self.min_passage_bytes, self.window_bytes);
            return Err(SettingsError::new("corpus.min_passage_bytes", message));
        }
        let in_range = |share: f64| (0.0..=1.0).contains(&share);
        for (key, share) in [("corpus.valid_share", self.valid_share), ("corpus.test_share", self.test_share)]
        {
            if !in_range(share) {
                return Err(SettingsError::new(key, format!("{share} is not within 0 and 1")));
            }
        }
        if !in_range(self.valid_share + self.test_share) {
            let message = "valid_share and test_share together exceed 1; nothing would be left to train on";
            return Err(SettingsError::new("corpus.valid_share", message));
        }
        let mut names = HashSet::new();
        self.sources.iter().try_for_each(|source| {
            source.validate()?;
            if names.insert(source.name()) {
                return Ok(());
            }
            Err(SettingsError::new(
                "corpus.sources",
                format!("two sources have the name {:?}", source.name()),
            ))
        })
    }
}

impl Default for CorpusSettings {
    fn default() -> Self {
        Self {
            window_bytes: Self::DEFAULT_WINDOW_BYTES,
            min_passage_bytes: Self::DEFAULT_MIN_PASSAGE_BYTES,
            valid_share: Self::DEFAULT_VALID_SHARE,
            test_share: Self::DEFAULT_TEST_SHARE,
            sources: Vec::new(),
        }
    }
}

/// One corpus of a recipe, told apart by its key `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// Files of an npm package.
    Npm(NpmSource),
    /// Files or a directory on this machine.
    Path(PathSource),
}

/// Files of an npm package, fetched by the ordinary client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpmSource {
    /// Name of the corpus: the value of the column `source` and the name of its file.
    pub name: String,
    /// Name of the package.
    pub package: String,
    /// Exact version.
    pub version: String,
    /// SHA-256 of the package's tarball, in hex.
    pub sha256: String,
    /// Which files of the package: a glob over paths in it (`*`, `?`, `**`). Default `**`.
    #[serde(default = "everything")]
    pub include: String,
    /// Licence of the texts, as an SPDX expression where there is one.
    pub licence: String,
}

/// A file or directory on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathSource {
    /// Name of the corpus: the value of the column `source` and the name of its file.
    pub name: String,
    /// The file or directory, relative to the working directory.
    pub path: PathBuf,
    /// SHA-256 in hex: of the file, or of the listing of a directory (lines as `sha256sum` writes them, sorted by path).
    #[serde(default)]
    pub sha256: Option<String>,
    /// Which files of a directory: a glob over paths in it (`*`, `?`, `**`). Default `**`.
    #[serde(default = "everything")]
    pub include: String,
    /// Column with the text (Parquet, CSV, JSON lines). Default `text`.
    #[serde(default = "text_column")]
    pub text_column: String,
    /// Column with the document's id. Default: the id is a digest of the text.
    #[serde(default)]
    pub id_column: Option<String>,
    /// Licence of the texts, as an SPDX expression where there is one.
    pub licence: String,
}

impl Source {
    /// The corpus' name.
    pub fn name(&self) -> &str {
        match self {
            Self::Npm(source) => &source.name,
            Self::Path(source) => &source.name,
        }
    }

    /// The licence of its texts.
    pub fn licence(&self) -> &str {
        match self {
            Self::Npm(source) => &source.licence,
            Self::Path(source) => &source.licence,
        }
    }

    fn validate(&self) -> Result<(), SettingsError> {
        let name = self.name();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            let message = format!("{name:?} cannot name a file; use letters, digits, '-', '_' and '.'");
            return Err(SettingsError::new("corpus.sources.name", message));
        }
        if self.licence().trim().is_empty() {
            let message = format!("{name} states no licence; say under which terms its texts may be used");
            return Err(SettingsError::new("corpus.sources.licence", message));
        }
        let sha256 = match self {
            Self::Npm(source) => Some(&source.sha256),
            Self::Path(source) => source.sha256.as_ref(),
        };
        if let Some(digest) = sha256.filter(|d| d.len() != 64 || !d.bytes().all(|b| b.is_ascii_hexdigit())) {
            let message = format!("{digest:?} of {name} is no SHA-256: 64 hexadecimal digits");
            return Err(SettingsError::new("corpus.sources.sha256", message));
        }
        if let Self::Npm(source) = self {
            for (key, value) in [("package", &source.package), ("version", &source.version)] {
                let unsafe_start = value.is_empty() || value.starts_with('-');
                if unsafe_start || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
                    let message = format!("{value:?} of {name} is no {key} of a package");
                    return Err(SettingsError::new(format!("corpus.sources.{key}"), message));
                }
            }
            if !source.version.starts_with(|c: char| c.is_ascii_digit()) {
                let message = format!("{:?} of {name} is no exact version, such as 1.2.3", source.version);
                return Err(SettingsError::new("corpus.sources.version", message));
            }
        }
        Ok(())
    }
}

fn everything() -> String {
    "**".to_owned()
}

fn text_column() -> String {
    crate::documents::DocumentOptions::DEFAULT_TEXT_COLUMN.to_owned()
}
