//! A second model's say: what one holds possible, another weighs.
//!
//! Any family names its most probable originals; a [`Judge`] says how probable each is, and the sum of both in nats, with a factor on
//! the judge's, decides (Collins & Koo 2005, discriminative reranking, with two features). An edit is as probable as the candidates that
//! hold it. A text is weighed as a whole, once it is done: its pieces come at once.

mod engine;
mod judge;

use std::path::PathBuf;

use crate::engine::{Engine, EngineLimits};
use crate::error::RestoreError;
use crate::restorer::{ModelInfo, Restorer};
pub use judge::Judge;
pub(crate) use judge::load_judge;

/// Which model has a say, and how much.
#[derive(Clone, Debug, PartialEq)]
pub struct Reranking {
    /// The judge's checkpoint: a prior, which also weighs the channel; or a decoder with a tokenizer, which weighs originals alone.
    pub judge: PathBuf,
    /// What the judge's nats count, beside those of the model.
    pub weight: f64,
    /// Originals that it is asked about, at most, 2 at least.
    pub candidates: usize,
}

impl Reranking {
    /// [`Self::weight`] where nobody has chosen one.
    pub const DEFAULT_WEIGHT: f64 = 0.5;
    /// [`Self::candidates`] where nobody has chosen a number.
    pub const DEFAULT_CANDIDATES: usize = 8;

    /// More are never asked about.
    const MOST_CANDIDATES: usize = 64;

    fn validate(&self) -> Result<(), RestoreError> {
        let fail = |key, message: &str| Err(RestoreError::Config { key, message: message.to_owned() });
        if !(self.weight >= 0.0 && self.weight.is_finite()) {
            return fail("rerank weight", "a number from 0 on");
        }
        if !(2..=Self::MOST_CANDIDATES).contains(&self.candidates) {
            return fail("candidates", "a number from 2 to 64: there is nothing to choose from one");
        }
        Ok(())
    }
}

/// A model whose originals another weighs.
pub(crate) struct Reranked {
    model: Box<dyn Restorer>,
    judge: Box<dyn Judge>,
    weight: f64,
    candidates: usize,
    info: ModelInfo,
}

impl Reranked {
    pub(crate) fn new(
        model: Box<dyn Restorer>,
        judge: Box<dyn Judge>,
        reranking: &Reranking,
    ) -> Result<Self, RestoreError> {
        reranking.validate()?;
        // What was learned of the model's own confidences says nothing of these.
        let known = model.info().clone();
        let info = ModelInfo {
            digest: judged_digest(&known.digest, judge.digest()),
            calibrated: false,
            text_calibrated: false,
            profile: None,
            ..known
        };
        Ok(Self { model, judge, weight: reranking.weight, candidates: reranking.candidates, info })
    }
}

/// BLAKE3 of both digests, in hexadecimal.
fn judged_digest(model: &str, judge: &str) -> String {
    blake3::hash(format!("{model} {judge}").as_bytes()).to_hex().to_string()
}

impl Restorer for Reranked {
    fn engine(&self, limits: EngineLimits) -> Box<dyn Engine + '_> {
        Box::new(engine::Weighing::new(self, self.model.engine(limits)))
    }

    fn tokens(&self, text: &str) -> usize {
        // Each candidate is read once more.
        self.model.tokens(text) + self.candidates * text.len()
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}
