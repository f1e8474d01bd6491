//! What a model says of originals that it is shown.

use std::path::Path;

use rayon::prelude::*;

use crate::channel::ChannelRestorer;
use crate::checkpoint::CheckpointFiles;
use crate::error::RestoreError;
use crate::lm::{LanguageModel, LmPrior, family_of, is_prior};
use crate::load::LoadOptions;
use crate::prior::Prior;
use crate::restorer::Restorer as _;
use crate::{ensemble, ngram};

/// Weighs originals.
pub trait Judge: Send + Sync {
    /// How probable each of `originals` is as what `corrupted` once was, in nats, up to a number that is the same for all; −∞ where
    /// it is impossible.
    ///
    /// # Errors
    /// If the tensor library fails.
    fn weigh(&self, corrupted: &str, originals: &[&str]) -> Result<Vec<f64>, RestoreError>;

    /// BLAKE3 of the checkpoint, in hexadecimal.
    fn digest(&self) -> &str;
}

/// The prior times the channel's exact likelihood, as they are weighed in decoding.
impl<P: Prior> Judge for ChannelRestorer<P> {
    fn weigh(&self, corrupted: &str, originals: &[&str]) -> Result<Vec<f64>, RestoreError> {
        let weigh = || originals.par_iter().map(|original| self.ln_joint(original, corrupted)).collect();
        Ok(match &self.pool {
            Some(pool) => pool.install(weigh),
            None => weigh(),
        })
    }

    fn digest(&self) -> &str {
        &self.info().digest
    }
}

/// How probable a decoder finds the original alone.
impl Judge for LanguageModel {
    fn weigh(&self, _: &str, originals: &[&str]) -> Result<Vec<f64>, RestoreError> {
        let one = |original: &&str| {
            let message =
                "an encoder–decoder cannot weigh texts: a judge is a prior, or a decoder".to_owned();
            self.ln_whole(original)?.ok_or(RestoreError::Config { key: "rerank", message })
        };
        self.on_threads(|| originals.par_iter().map(one).collect())
    }

    fn digest(&self) -> &str {
        &self.info().digest
    }
}

/// Loads a judge from a checkpoint directory.
pub(crate) fn load_judge(dir: &Path, options: &LoadOptions) -> Result<Box<dyn Judge>, RestoreError> {
    if family_of(dir)?.is_some() {
        let model = LanguageModel::load(dir, options)?;
        if !is_prior(dir)? {
            // Says so now if it cannot, not at the first text.
            model.weigh("", &["a"])?;
            return Ok(Box::new(model));
        }
        let info = model.info().clone();
        let files = CheckpointFiles::read(dir)?;
        return Ok(Box::new(ChannelRestorer::of_prior(LmPrior::new(model)?, info, &files, options)?));
    }
    let files = CheckpointFiles::read(dir)?;
    match files.model_type()?.as_str() {
        ngram::MODEL_TYPE => Ok(Box::new(ChannelRestorer::of_ngrams(&files, options)?)),
        ensemble::MODEL_TYPE => ensemble::load_judge(&files, options),
        other => Err(RestoreError::Config {
            key: "rerank",
            message: format!(
                "a model of the family \"{other}\" cannot weigh texts: a judge is a prior, or a decoder"
            ),
        }),
    }
}
