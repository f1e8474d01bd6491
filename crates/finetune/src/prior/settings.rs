//! The recipe's `[model]` table where the family is `ngram`.

use std::path::PathBuf;

use restorer::ngram::{MAX_ORDER, Pruning, Smoothing};
use serde::{Deserialize, Serialize};

use crate::error::FinetuneError;

/// A byte n-gram model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NgramSettings {
    /// `"ngram"`.
    pub family: String,
    /// Most symbols of an n-gram: bytes, and the end of a text. Default 10.
    pub order: usize,
    /// Most MiB of the table. Default 24.
    pub max_mib: f64,
    /// How counts become probabilities. Default: whatever costs the fewest bits per byte of the validation split.
    pub smoothing: Option<Smoothing>,
    /// By what n-grams are chosen where the budget is too small for all. Default: as above.
    pub pruning: Option<Pruning>,
}

/// A model that is made of others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnsembleSettings {
    /// `"ensemble"`.
    pub family: String,
    /// Checkpoints: priors, at least one, and at most one tagger. They are copied.
    pub parts: Vec<PathBuf>,
    /// Share of the held-out text that weights and decoding are learned and measured on: 1 (default) suits counted priors, a
    /// hundredth decoders, which are far slower.
    pub held_out_share: f64,
}

impl Default for EnsembleSettings {
    fn default() -> Self {
        Self { family: "ensemble".to_owned(), parts: Vec::new(), held_out_share: 1.0 }
    }
}

impl EnsembleSettings {
    /// Checks the share.
    ///
    /// # Errors
    /// [`FinetuneError::Setting`] if it is out of range.
    pub fn validate(&self) -> Result<(), FinetuneError> {
        if self.held_out_share > 0.0 && self.held_out_share <= 1.0 {
            return Ok(());
        }
        Err(FinetuneError::Setting {
            table: "model",
            key: "held_out_share",
            value: self.held_out_share.to_string(),
            expected: "a number above 0, to 1",
        })
    }
}

impl Default for NgramSettings {
    fn default() -> Self {
        Self { family: "ngram".to_owned(), order: MAX_ORDER, max_mib: 24.0, smoothing: None, pruning: None }
    }
}

impl NgramSettings {
    /// Checks every range.
    ///
    /// # Errors
    /// [`FinetuneError::Setting`] with the first key that is out of range.
    pub fn validate(&self) -> Result<(), FinetuneError> {
        let fail = |key, value: String, expected| {
            Err(FinetuneError::Setting { table: "model", key, value, expected })
        };
        if !(2..=MAX_ORDER).contains(&self.order) {
            return fail("order", self.order.to_string(), "an integer from 2 to 10");
        }
        if !(self.max_mib > 0.0 && self.max_mib <= 65_536.0) {
            return fail("max_mib", self.max_mib.to_string(), "a number above 0, to 65536");
        }
        Ok(())
    }
}
