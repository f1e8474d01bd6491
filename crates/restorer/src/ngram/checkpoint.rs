//! The checkpoint of a counted prior.

use std::path::Path;

use corruptor::UNICODE_VERSION;
use serde::{Deserialize, Serialize};

use super::build::{Built, Pruning};
use super::model::{MODEL_TYPE, NgramModel};
use super::smooth::Smoothing;
use crate::bytes::SharedBytes;
use crate::checkpoint::{CONFIG, RESTORER, RESTORER_VERSION, RestorerJson, WEIGHTS, write_json, write_whole};
use crate::error::RestoreError;
use crate::train::CheckpointMeta;

/// What restoration does with a prior: nothing by itself.
const TASK: &str = "prior";

/// `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NgramConfig {
    /// Most symbols of an n-gram.
    pub order: usize,
    /// How counts became probabilities.
    pub smoothing: Smoothing,
    /// How n-grams were chosen.
    pub pruning: Pruning,
}

#[derive(Serialize, Deserialize)]
struct ConfigJson {
    model_type: String,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(flatten)]
    config: NgramConfig,
}

impl Built {
    /// Writes a checkpoint: each file appears whole or not at all, the table last. `window_bytes` is the longest text that was
    /// counted.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(
        &self,
        dir: &Path,
        order: usize,
        window_bytes: usize,
        meta: &CheckpointMeta,
    ) -> Result<(), RestoreError> {
        let config = NgramConfig { order, smoothing: self.chosen.smoothing, pruning: self.chosen.pruning };
        let architectures = vec!["RevertantNgram".to_owned()];
        write_json(
            &dir.join(CONFIG),
            &ConfigJson { model_type: MODEL_TYPE.to_owned(), architectures, config },
        )?;
        let restorer = RestorerJson {
            version: RESTORER_VERSION,
            task: TASK.to_owned(),
            window_bytes,
            overlap_bytes: 0,
            normalization: "none".to_owned(),
            max_rounds: 1,
            min_confidence: meta.min_confidence,
            unicode: UNICODE_VERSION,
            recipe: meta.recipe.clone(),
            metrics: meta.metrics.clone(),
        };
        write_json(&dir.join(RESTORER), &restorer)?;
        write_whole(&dir.join(WEIGHTS), &self.file)
    }
}

impl NgramModel {
    /// Opens a checkpoint directory; the table is mapped, not read.
    ///
    /// # Errors
    /// If a file cannot be read, is of another family, or is cut short (the error names it).
    pub fn load(dir: &Path) -> Result<(Self, NgramConfig), RestoreError> {
        let path = dir.join(CONFIG);
        let text = std::fs::read(&path).map_err(|source| RestoreError::Io { path: path.clone(), source })?;
        let format = |message: String| RestoreError::Format { path: path.clone(), message };
        let config: serde_json::Value = serde_json::from_slice(&text).map_err(|e| format(e.to_string()))?;
        let found = config.get("model_type").and_then(serde_json::Value::as_str).unwrap_or("missing");
        if found != MODEL_TYPE {
            return Err(format(format!("model_type is {found}; a counted prior has \"{MODEL_TYPE}\"")));
        }
        let config: ConfigJson = serde_json::from_value(config).map_err(|e| format(e.to_string()))?;
        let path = dir.join(WEIGHTS);
        let bytes =
            SharedBytes::map(&path).map_err(|source| RestoreError::Io { path: path.clone(), source })?;
        Ok((Self::from_bytes(bytes, &path)?, config.config))
    }
}
