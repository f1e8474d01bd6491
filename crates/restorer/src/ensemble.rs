//! A checkpoint of several parts: priors, which are mixed, and a tagger, whose suspicion says how readily a text is changed.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::channel::ChannelRestorer;
use crate::checkpoint::{
    CONFIG, CheckpointFiles, PartJson, RESTORER, RestorerJson, WEIGHTS, write_json, write_whole,
};
use crate::error::RestoreError;
use crate::load::LoadOptions;
use crate::mixture::Mixture;
use crate::ngram::{self, NgramModel};
use crate::prior::Prior;
use crate::restorer::{ModelInfo, Restorer};
use crate::tagger::{self, Tagger};
use crate::train::CheckpointMeta;

/// `model_type` of the checkpoints.
pub const MODEL_TYPE: &str = "revertant-ensemble";

/// What an ensemble is made of.
#[derive(Debug, Default)]
pub struct Parts {
    /// The priors, with the files that they are from.
    pub priors: Vec<(NgramModel, CheckpointFiles)>,
    /// The tagger, if there is one.
    pub tagger: Option<(Arc<Tagger>, CheckpointFiles)>,
}

impl Parts {
    /// Adds a checkpoint of a prior or a tagger.
    ///
    /// # Errors
    /// If it is damaged or of another family, or the second tagger.
    pub fn add(&mut self, files: CheckpointFiles, options: &LoadOptions) -> Result<(), RestoreError> {
        let fail = |message: String| Err(RestoreError::Format { path: files.path(CONFIG), message });
        match files.model_type()?.as_str() {
            ngram::MODEL_TYPE => self.priors.push((NgramModel::from_files(&files)?.0, files)),
            tagger::MODEL_TYPE if self.tagger.is_some() => {
                return fail("an ensemble has one tagger at most, and this is the second".to_owned());
            }
            tagger::MODEL_TYPE => {
                self.tagger = Some((Arc::new(Tagger::from_files(&files, options)?), files));
            }
            other => {
                return fail(format!(
                    "model_type is \"{other}\"; parts of an ensemble are \"{}\" and \"{}\"",
                    ngram::MODEL_TYPE,
                    tagger::MODEL_TYPE
                ));
            }
        }
        Ok(())
    }

    /// The priors, mixed; `None` if there are none or the weights do not fit them.
    pub fn mixture(&self, weights: &[f64]) -> Option<Mixture<NgramModel>> {
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
            for name in [CONFIG, RESTORER, WEIGHTS] {
                write_whole(&dir.join(&part.directory).join(name), files.bytes(name)?)?;
            }
        }
        let config = ConfigJson { model_type: MODEL_TYPE, architectures: ["RevertantEnsemble"] };
        write_json(&dir.join(CONFIG), &config)?;
        let parts = parts.into_iter().map(|(part, _)| part).collect();
        write_json(&dir.join(RESTORER), &RestorerJson::of_channel(meta, parts))
    }
}

/// Loads the files of an ensemble.
///
/// # Errors
/// If a part is damaged or of a family that is none, there is no prior, or the weights are none of a mixture.
pub(crate) fn load(
    files: &CheckpointFiles,
    options: &LoadOptions,
) -> Result<Box<dyn Restorer>, RestoreError> {
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
    let own: usize = parts.priors.iter().map(|(prior, _)| prior.arcs()).sum();
    let tagger = parts.tagger.map(|(tagger, _)| tagger);
    let parameters = own + tagger.as_ref().map_or(0, |tagger| tagger.info().parameters);
    let info = ModelInfo { family: MODEL_TYPE.to_owned(), parameters, ..ModelInfo::default() };
    let mut priors = parts.priors;
    if priors.len() == 1
        && let Some((prior, _)) = priors.pop()
    {
        return boxed(prior, info, tagger, files, options);
    }
    boxed(mixture, info, tagger, files, options)
}

fn boxed<P: Prior + 'static>(
    prior: P,
    info: ModelInfo,
    tagger: Option<Arc<Tagger>>,
    files: &CheckpointFiles,
    options: &LoadOptions,
) -> Result<Box<dyn Restorer>, RestoreError> {
    Ok(Box::new(ChannelRestorer::of_prior(prior, info, files, options)?.with_tagger(tagger)))
}
