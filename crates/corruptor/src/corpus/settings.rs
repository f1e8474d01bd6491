//! The recipe's `[corpus]` table.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::source::Source;
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
    /// Largest share of the collected bytes that a group of sources may have, by the group's name. Default none.
    pub max_share: BTreeMap<String, f64>,
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
        self.validate_groups()?;
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

impl CorpusSettings {
    fn validate_groups(&self) -> Result<(), SettingsError> {
        for (group, share) in &self.max_share {
            let key = format!("corpus.max_share.{group}");
            if !(*share > 0.0 && *share < 1.0) {
                return Err(SettingsError::new(key, format!("{share} is not between 0 and 1")));
            }
            if !self.sources.iter().any(|source| source.group() == Some(group)) {
                return Err(SettingsError::new(key, format!("no source has group = {group:?}")));
            }
        }
        if self.max_share.values().sum::<f64>() >= 1.0 {
            let message = "the shares sum to 1 or more; a bound on everything bounds nothing";
            return Err(SettingsError::new("corpus.max_share", message));
        }
        let unbounded = |group: &&str| !self.max_share.contains_key(*group);
        match self.sources.iter().filter_map(Source::group).find(unbounded) {
            None => Ok(()),
            Some(group) => {
                let message = format!("no share for the group {group:?}; add {group} = 0.2, for example");
                Err(SettingsError::new("corpus.max_share", message))
            }
        }
    }
}

impl Default for CorpusSettings {
    fn default() -> Self {
        Self {
            window_bytes: Self::DEFAULT_WINDOW_BYTES,
            min_passage_bytes: Self::DEFAULT_MIN_PASSAGE_BYTES,
            valid_share: Self::DEFAULT_VALID_SHARE,
            test_share: Self::DEFAULT_TEST_SHARE,
            max_share: BTreeMap::new(),
            sources: Vec::new(),
        }
    }
}
