//! Loading any checkpoint behind the [`Restorer`] trait.

use std::path::Path;
use std::sync::Arc;

use corruptor::CorruptSettings;

use crate::calibration::Calibration;
use crate::channel::ChannelRestorer;
use crate::checkpoint::{CONFIG, CheckpointFiles};
use crate::compute_type::ComputeType;
use crate::device::DeviceChoice;
use crate::ensemble;
use crate::error::RestoreError;
use crate::lm::{self, LanguageModel, LmPrior};
use crate::ngram;
use crate::rerank::{Reranked, Reranking, load_judge};
use crate::restorer::Restorer;
use crate::source::ModelName;
use crate::tagger::{self, Tagger};
use crate::windows::WindowSize;

/// Where and how a model runs.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Where the weights go.
    pub device: DeviceChoice,
    /// Threads of the model on the CPU; `None` takes one a core.
    pub threads: Option<usize>,
    /// What an autoregressive model computes in. Other families compute in float32.
    pub compute_type: ComputeType,
    /// The channel that a prior decodes; `None` takes the checkpoint's own. Other families know no channel.
    pub channel: Option<Arc<CorruptSettings>>,
    /// What an autoregressive model reads, with `{text}` in the place of the text; `None` takes the checkpoint's own.
    pub prompt: Option<String>,
    /// An autoregressive model writes one token a pass, instead of verifying what its input proposes; the output is the same.
    pub no_drafts: bool,
    /// Bytes that the model sees at once; `None` takes the checkpoint's own. More than it has learned from rarely helps.
    pub window_bytes: Option<usize>,
    /// Bytes on each side of a window of a longer text that only inform; `None` takes the checkpoint's own.
    pub overlap_bytes: Option<usize>,
    /// Tell probabilities of edits and texts as the model says them, without the checkpoint's calibration; what learns needs another one.
    pub raw_confidence: bool,
    /// The same of texts alone.
    pub raw_text_confidence: bool,
    /// Another model that weighs what this one holds possible.
    pub rerank: Option<Reranking>,
    /// How the model was named, where that is not its directory: an adapter that is trained on it keeps the name.
    pub name: Option<ModelName>,
}

impl LoadOptions {
    /// The calibration of texts that is told, of what a checkpoint has.
    pub(crate) fn of_texts(&self, known: Option<Calibration>) -> Option<Calibration> {
        known.filter(|_| !self.raw_confidence && !self.raw_text_confidence)
    }

    /// The windows of a checkpoint that has those of `known`.
    pub(crate) fn size(&self, known: WindowSize) -> Result<WindowSize, RestoreError> {
        let size = WindowSize {
            window_bytes: self.window_bytes.unwrap_or(known.window_bytes),
            overlap_bytes: self.overlap_bytes.unwrap_or(known.overlap_bytes),
        };
        size.validate().map_err(|message| RestoreError::Config { key: "window_bytes", message })?;
        Ok(size)
    }

    /// A pool of its own where a number of threads is asked for.
    pub(crate) fn thread_pool(&self) -> Result<Option<rayon::ThreadPool>, RestoreError> {
        let build = |threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| RestoreError::Device {
                device: self.device.to_string(),
                message: format!("cannot start {threads} threads: {e}"),
            })
        };
        self.threads.map(build).transpose()
    }
}

/// Loads a checkpoint directory of any family.
///
/// # Errors
/// If the checkpoint cannot be read, is of an unknown family, or lacks a tensor (the error names it).
pub fn load(dir: &Path, options: &LoadOptions) -> Result<Box<dyn Restorer>, RestoreError> {
    reranked(load_directory(dir, options)?, options)
}

/// With the judge that the options name.
fn reranked(model: Box<dyn Restorer>, options: &LoadOptions) -> Result<Box<dyn Restorer>, RestoreError> {
    let Some(reranking) = &options.rerank else { return Ok(model) };
    let judge = LoadOptions {
        rerank: None,
        window_bytes: None,
        overlap_bytes: None,
        prompt: None,
        ..options.clone()
    };
    Ok(Box::new(Reranked::new(model, load_judge(&reranking.judge, &judge)?, reranking)?))
}

fn load_directory(dir: &Path, options: &LoadOptions) -> Result<Box<dyn Restorer>, RestoreError> {
    if let Some(family) = lm::family_of(dir)? {
        if lm::is_prior(dir)? {
            let prior = LmPrior::new(LanguageModel::load(dir, options)?)?;
            let info = prior.model().info().clone();
            let files = CheckpointFiles::read(dir)?;
            return Ok(Box::new(ChannelRestorer::of_prior(prior, info, &files, options)?));
        }
        if options.channel.is_some() {
            return Err(RestoreError::NoChannel { family });
        }
        return Ok(Box::new(LanguageModel::load(dir, options)?));
    }
    load_files(&CheckpointFiles::read(dir)?, options)
}

/// Loads a checkpoint from files that are part of the program, as (name, bytes).
///
/// # Errors
/// As [`load`].
pub fn load_embedded(
    files: &[(&str, &'static [u8])],
    options: &LoadOptions,
) -> Result<Box<dyn Restorer>, RestoreError> {
    reranked(load_files(&CheckpointFiles::embedded(files), options)?, options)
}

fn load_files(files: &CheckpointFiles, options: &LoadOptions) -> Result<Box<dyn Restorer>, RestoreError> {
    match files.model_type()?.as_str() {
        tagger::MODEL_TYPE if options.channel.is_some() => {
            Err(RestoreError::NoChannel { family: tagger::MODEL_TYPE })
        }
        tagger::MODEL_TYPE => Ok(Box::new(Tagger::from_files(files, options)?)),
        ngram::MODEL_TYPE => Ok(Box::new(ChannelRestorer::of_ngrams(files, options)?)),
        ensemble::MODEL_TYPE => ensemble::load(files, options),
        other => Err(RestoreError::Format {
            path: files.path(CONFIG),
            message: format!(
                "model_type is \"{other}\"; known are {}",
                [tagger::MODEL_TYPE, ngram::MODEL_TYPE, ensemble::MODEL_TYPE]
                    .into_iter()
                    .chain(lm::Network::model_types())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }),
    }
}
