//! The recipe's `[model]` table of an autoregressive model.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::RestoreError;
use crate::lora::{LoraConfig, Targets};
use crate::source::ModelName;
use crate::t5;
use crate::windows::WindowSize;

/// What is trained, and how it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LmSettings {
    /// `"t5"`, `"llama"`, `"qwen2"` or `"qwen3"`.
    pub family: String,
    /// What it learns from pairs. Default `"restoration"`.
    pub learn: Learn,
    /// What the model reads: a template with `{text}` in the place of the corrupted text. Default: `{text}` alone for `t5`,
    /// `Corrupted: {text}` and `Restored:` on two lines for the others.
    pub prompt: Option<String>,
    /// Bytes of text that the model sees at once; the checkpoint's own where none are given, 256 for a new model.
    pub window_bytes: Option<usize>,
    /// Bytes on each side of a window of a longer text that only inform; the checkpoint's own, or 32.
    pub overlap_bytes: Option<usize>,
    /// Dropout while training; the checkpoint's own where none is given.
    pub dropout: Option<f32>,
    /// Seed of new weights. Default 1.
    pub seed: u64,
    /// Of a new model: keys of its `config.json`, over the family's defaults (a byte-level model of a few million weights).
    pub config: Map<String, Value>,
    /// Learn low-rank updates only.
    pub lora: Option<LoraSettings>,
}

impl Default for LmSettings {
    fn default() -> Self {
        Self {
            family: t5::MODEL_TYPE.to_owned(),
            learn: Learn::default(),
            prompt: None,
            window_bytes: None,
            overlap_bytes: None,
            dropout: None,
            seed: 1,
            config: Map::new(),
            lora: None,
        }
    }
}

/// What a model learns from pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Learn {
    /// To write the original of a corrupted text.
    #[default]
    Restoration,
    /// What originals are like: a decoder becomes a prior. Corrupted texts and the prompt do not matter.
    Text,
}

/// `[model.lora]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSettings {
    /// Rank of the updates. Default 16.
    pub rank: usize,
    /// The updates are scaled by `alpha` / `rank`. Default 32.
    pub alpha: f64,
    /// Dropout on what enters an update. Default 0.05.
    pub dropout: f32,
    /// The maps with an update: a list of names or ends of names, a regular expression over whole names, or `"all-linear"`
    /// (default).
    pub target_modules: Targets,
    /// Scale by `alpha` / √`rank` instead. Default false.
    pub use_rslora: bool,
}

impl Default for LoraSettings {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            dropout: 0.05,
            target_modules: Targets::Pattern("all-linear".to_owned()),
            use_rslora: false,
        }
    }
}

impl LoraSettings {
    /// The adapter's configuration, for a model of `family` in `dir`, or by its name on a hub or in a registry.
    pub(super) fn config(&self, family: &str, dir: &Path, name: Option<&ModelName>) -> LoraConfig {
        let task = if family == t5::MODEL_TYPE { "SEQ_2_SEQ_LM" } else { "CAUSAL_LM" };
        let (base, revision) = match name {
            Some(ModelName::Hub { repo, revision }) => (repo.clone(), revision.clone()),
            Some(name @ ModelName::Registered { .. }) => (name.to_string(), None),
            // Wherever the adapter is loaded from, it finds its model.
            _ => (std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()).display().to_string(), None),
        };
        LoraConfig {
            use_rslora: self.use_rslora,
            task_type: Some(task.to_owned()),
            base_model_name_or_path: Some(base),
            revision,
            ..LoraConfig::new(self.rank, self.alpha, self.dropout, self.target_modules.clone())
        }
    }
}

impl LmSettings {
    /// The windows of a text, where a checkpoint has those of `known`.
    pub(super) fn size(&self, known: WindowSize) -> WindowSize {
        WindowSize {
            window_bytes: self.window_bytes.unwrap_or(known.window_bytes),
            overlap_bytes: self.overlap_bytes.unwrap_or(known.overlap_bytes),
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used, and what is allowed.
    pub fn validate(&self) -> Result<(), RestoreError> {
        self.size(WINDOWS)
            .validate()
            .map_err(|message| RestoreError::Config { key: "window_bytes", message })?;
        if self.learn == Learn::Text && self.family == t5::MODEL_TYPE {
            let message =
                "\"text\" is for decoders; t5 writes what belongs to a text that it reads".to_owned();
            return Err(RestoreError::Config { key: "learn", message });
        }
        if let Some(rate) = self.dropout.filter(|rate| !(0.0..1.0).contains(rate)) {
            let message = format!("{rate}; at least 0 and below 1");
            return Err(RestoreError::Config { key: "dropout", message });
        }
        Ok(())
    }
}

/// The windows of a new model.
pub(super) const WINDOWS: WindowSize = WindowSize { window_bytes: 256, overlap_bytes: 32 };

/// The template where nobody names one.
pub(super) fn default_prompt(family: &str) -> &'static str {
    if family == t5::MODEL_TYPE { "{text}" } else { "Corrupted: {text}\nRestored: " }
}
