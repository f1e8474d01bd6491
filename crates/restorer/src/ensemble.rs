//! A checkpoint of several parts: priors, which are mixed, and a tagger, whose suspicion says how readily a text is changed.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::channel::ChannelRestorer;
use crate::checkpoint::{CONFIG, CheckpointFiles, PartJson, RESTORER, RestorerJson, write_json, write_whole};
use crate::decoder;
use crate::error::RestoreError;
use crate::lm::{LanguageModel, LmPrior};
use crate::load::LoadOptions;
use crate::mixture::Mixture;
use crate::ngram::{self, NgramModel};
use crate::part_prior::PartPrior;
use crate::prior::Prior;
use crate::rerank::Judge;
use crate::restorer::{ModelInfo, Restorer};
use crate::tagger::{self, Tagger};
use crate::train::CheckpointMeta;
use crate::windows::WindowSize;

/// `model_type` of the checkpoints.
pub const MODEL_TYPE: &str = "revertant-ensemble";

/// What an ensemble is made of.
#[derive(Debug, Default)]
pub struct Parts {
    /// The priors, with the files that they are from.
    pub priors: Vec<(PartPrior, CheckpointFiles)>,
    /// The tagger, if there is one.
    pub tagger: Option<(Arc<Tagger>, CheckpointFiles)>,
}

impl Parts {
    /// Adds a checkpoint of a prior or a tagger.
    ///
    /// # Errors
    /// If it is damaged or of another family, or the second tagger.
    pub fn add(&mut self, files: CheckpointFiles, options: &LoadOptions) -> Result<(), RestoreError> {
        // Other windows are for the whole.
        let options = &LoadOptions { window_bytes: None, overlap_bytes: None, ..options.clone() };
        let fail = |message: String| Err(RestoreError::Format { path: files.path(CONFIG), message });
        match files.model_type()?.as_str() {
            ngram::MODEL_TYPE => {
                self.priors.push((PartPrior::Ngram(NgramModel::from_files(&files)?.0), files));
            }
            family if is_decoder(family) => {
                let model = LanguageModel::load(&files.path(""), options)?;
                self.priors.push((PartPrior::Decoder(LmPrior::new(model)?), files));
            }
            tagger::MODEL_TYPE if self.tagger.is_some() => {
                return fail("an ensemble has one tagger at most, and this is the second".to_owned());
            }
            tagger::MODEL_TYPE => {
                self.tagger = Some((Arc::new(Tagger::from_files(&files, options)?), files));
            }
            other => {
                return fail(format!(
                    "model_type is \"{other}\"; parts of an ensemble are \"{}\", \"{}\", and decoders that read bytes: {}",
                    ngram::MODEL_TYPE,
                    tagger::MODEL_TYPE,
                    decoder::MODEL_TYPES.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// The priors, mixed; `None` if there are none or the weights do not fit them.
    pub fn mixture(&self, weights: &[f64]) -> Option<Mixture<PartPrior>> {
        Mixture::new(self.priors.iter().map(|(prior, _)| prior.clone()).collect(), weights)
    }

    /// The parts with the names of their subdirectories: the priors with these weights, then the tagger.
    pub fn named(&self, weights: &[f64]) -> Vec<(PartJson, &CheckpointFiles)> {
        let priors = self.priors.iter().zip(weights).enumerate().map(|(index, ((_, files), weight))| {
            (PartJson { directory: format!("prior-{index}"), weight: Some(*weight) }, files)
        });
        let tagger = self
            .tagger
            .iter()
            .map(|(_, files)| (PartJson { directory: "tagger".to_owned(), weight: None }, files));
        priors.chain(tagger).collect()
    }

    /// Writes a checkpoint of these parts, `restorer.json` last: each file appears whole or not at all.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, dir: &Path, weights: &[f64], meta: &CheckpointMeta) -> Result<(), RestoreError> {
        #[derive(Serialize)]
        struct ConfigJson {
            model_type: &'static str,
            architectures: [&'static str; 1],
        }
        let parts = self.named(weights);
        for (part, files) in &parts {
            for (name, bytes) in files.all() {
                write_whole(&dir.join(&part.directory).join(name), bytes)?;
            }
        }
        let window = self.window()?;
        let config = ConfigJson { model_type: MODEL_TYPE, architectures: ["RevertantEnsemble"] };
        write_json(&dir.join(CONFIG), &config)?;
        let parts = parts.into_iter().map(|(part, _)| part).collect();
        let WindowSize { window_bytes, overlap_bytes } = window;
        let json = RestorerJson { window_bytes, overlap_bytes, ..RestorerJson::of_channel(meta, parts) };
        write_json(&dir.join(RESTORER), &json)
    }

    /// The windows that all priors can decode: the smallest of theirs.
    ///
    /// # Errors
    /// If a part does not say which it has.
    fn window(&self) -> Result<WindowSize, RestoreError> {
        let mut least = WindowSize::CHANNEL;
        for (_, files) in &self.priors {
            let RestorerJson { window_bytes, overlap_bytes, .. } = files.json(RESTORER)?;
            if window_bytes < least.window_bytes {
                least = WindowSize { window_bytes, overlap_bytes };
            }
        }
        Ok(least)
    }
}

fn is_decoder(family: &str) -> bool {
    decoder::MODEL_TYPES.contains(&family)
}

/// What an ensemble can do.
trait Decodes: Restorer + Judge {}

impl<P: Prior> Decodes for ChannelRestorer<P> {}

/// Loads the files of an ensemble.
///
/// # Errors
/// If a part is damaged or of a family that is none, there is no prior, or the weights are none of a mixture.
pub(crate) fn load(
    files: &CheckpointFiles,
    options: &LoadOptions,
) -> Result<Box<dyn Restorer>, RestoreError> {
    Ok(load_decoding(files, options)?)
}

/// Loads the files of an ensemble, to weigh what others hold possible.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_judge(
    files: &CheckpointFiles,
    options: &LoadOptions,
) -> Result<Box<dyn Judge>, RestoreError> {
    Ok(load_decoding(files, options)?)
}

fn load_decoding(files: &CheckpointFiles, options: &LoadOptions) -> Result<Box<dyn Decodes>, RestoreError> {
    let json: RestorerJson = files.json(RESTORER)?;
    let mut parts = Parts::default();
    let mut weights = Vec::new();
    for PartJson { directory, weight } in &json.parts {
        let before = parts.priors.len();
        parts.add(files.part(directory), options)?;
        if parts.priors.len() > before {
            weights.push(weight.unwrap_or(1.0));
        }
    }
    let mixture = parts.mixture(&weights).ok_or_else(|| RestoreError::Format {
        path: files.path(RESTORER),
        message: format!("parts: {} priors with the weights {weights:?}; one prior at least is needed, and weights from 0 on, one above it", parts.priors.len()),
    })?;
    let own: usize = parts.priors.iter().map(|(prior, _)| prior.parameters()).sum();
    let tagger = parts.tagger.as_ref().map(|(tagger, _)| Arc::clone(tagger));
    let parameters = own + tagger.as_ref().map_or(0, |tagger| tagger.info().parameters);
    let info = ModelInfo { family: MODEL_TYPE.to_owned(), parameters, ..ModelInfo::default() };
    // What is of one kind is faster than what may be of either.
    let ngrams: Option<Vec<NgramModel>> =
        parts.priors.iter().map(|(prior, _)| prior.ngram().cloned()).collect();
    let ngrams = ngrams.and_then(|ngrams| Mixture::new(ngrams, &weights));
    match (parts.priors.as_slice(), ngrams) {
        ([(PartPrior::Ngram(prior), _)], _) => boxed(prior.clone(), info, tagger, files, options),
        ([(PartPrior::Decoder(prior), _)], _) => boxed(prior.clone(), info, tagger, files, options),
        (_, Some(ngrams)) => boxed(ngrams, info, tagger, files, options),
        _ => boxed(mixture, info, tagger, files, options),
    }
}

fn boxed<P: Prior + 'static>(
    prior: P,
    info: ModelInfo,
    tagger: Option<Arc<Tagger>>,
    files: &CheckpointFiles,
    options: &LoadOptions,
) -> Result<Box<dyn Decodes>, RestoreError> {
    Ok(Box::new(ChannelRestorer::of_prior(prior, info, files, options)?.with_tagger(tagger)))
}
