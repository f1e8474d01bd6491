//! The checkpoint of a counted prior.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::build::{Built, Pruning};
use super::model::{MODEL_TYPE, NgramModel};
use super::smooth::Smoothing;
use crate::checkpoint::{CONFIG, CheckpointFiles, RESTORER, RestorerJson, WEIGHTS, write_json, write_whole};
use crate::error::RestoreError;
use crate::train::CheckpointMeta;

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
    /// Writes a checkpoint: each file appears whole or not at all, the table last.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, dir: &Path, order: usize, meta: &CheckpointMeta) -> Result<(), RestoreError> {
        let config = NgramConfig { order, smoothing: self.chosen.smoothing, pruning: self.chosen.pruning };
        let architectures = vec!["RevertantNgram".to_owned()];
        write_json(
            &dir.join(CONFIG),
            &ConfigJson { model_type: MODEL_TYPE.to_owned(), architectures, config },
        )?;
        write_json(&dir.join(RESTORER), &RestorerJson::of_channel(meta, Vec::new()))?;
        write_whole(&dir.join(WEIGHTS), &self.file)
    }
}

impl NgramModel {
    /// Opens a checkpoint directory; the table is mapped, not read.
    ///
    /// # Errors
    /// If a file cannot be read, is of another family, or is cut short (the error names it).
    pub fn load(dir: &Path) -> Result<(Self, NgramConfig), RestoreError> {
        Self::from_files(&CheckpointFiles::read(dir)?)
    }

    /// Takes the files of a checkpoint.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_files(files: &CheckpointFiles) -> Result<(Self, NgramConfig), RestoreError> {
        let found = files.model_type()?;
        if found != MODEL_TYPE {
            let message = format!("model_type is \"{found}\"; a counted prior has \"{MODEL_TYPE}\"");
            return Err(RestoreError::Format { path: files.path(CONFIG), message });
        }
        let config: ConfigJson = files.json(CONFIG)?;
        let model = Self::from_bytes(files.shared(WEIGHTS)?.clone(), &files.path(WEIGHTS))?;
        Ok((model, config.config))
    }
}
