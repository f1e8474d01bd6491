//! What a model family offers to a training loop; the loop itself is the `finetune` crate's.

use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use corruptor::Pair;

use crate::calibration::Calibration;
use crate::channel::Decoding;
use crate::error::RestoreError;
use crate::layers::{Pass, Tape};
use crate::profile::Profile;
use crate::restorer::Restorer;
use crate::table::{RowTable, RowUse};

/// Whether a loss is taken to learn from or to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossMode {
    /// With dropout, where the family has it, from this seed.
    Train {
        /// Seed of the step's randomness.
        seed: u64,
        /// Share of each label's weight that is spread over all classes.
        label_smoothing: f32,
        /// Whether activations are computed again for the backward pass instead of being kept.
        recompute: bool,
    },
    /// Without any randomness.
    Eval,
}

impl LossMode {
    /// The randomness of the pass.
    pub fn pass(self) -> Pass {
        match self {
            Self::Train { seed, .. } => Pass::seeded(seed),
            Self::Eval => Pass::plain(),
        }
    }

    /// What keeps or recomputes activations, where a family can.
    pub fn tape<'a>(self) -> Tape<'a> {
        match self {
            Self::Train { recompute: true, .. } => Tape::recomputing(),
            Self::Train { .. } => Tape::keeping(),
            Self::Eval => Tape::forgetting(),
        }
    }

    /// Share of each label's weight that is spread over all classes.
    pub fn label_smoothing(self) -> f32 {
        match self {
            Self::Train { label_smoothing, .. } => label_smoothing,
            Self::Eval => 0.0,
        }
    }
}

/// The loss of a batch.
#[derive(Clone, Debug)]
pub struct BatchLoss {
    /// Scalar: Σ nats over the labelled positions.
    pub loss: Tensor,
    /// Number of labelled positions.
    pub labels: usize,
    /// The table rows that entered the graph as leaves.
    pub rows: Vec<RowUse>,
}

/// What a checkpoint says about itself, in `restorer.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointMeta {
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// Figures of the training run.
    pub metrics: serde_json::Value,
    /// The confidence threshold chosen on the validation split.
    pub min_confidence: f32,
    /// Of a model that restores by itself: what was learned on the validation split of the probabilities of its edits.
    pub calibration: Option<Calibration>,
    /// The same of the probability that a whole text is right.
    pub text_calibration: Option<Calibration>,
    /// How the texts of the validation split are distributed.
    pub profile: Option<Profile>,
    /// Of a prior: how the channel is decoded.
    pub decoding: Option<Decoding>,
}

/// A model that can be trained.
pub trait Trainable: Restorer + Sized {
    /// One window, labelled and ready for the loss.
    type Example: Clone + Send + Sync;

    /// The training examples of a pair: its windows, and half-restored texts where one round cannot do it all.
    ///
    /// # Errors
    /// If the pair's log does not fit its texts.
    fn examples(&self, pair: &Pair) -> Result<Vec<Self::Example>, RestoreError>;

    /// Whether it learns to restore; else it learns what texts are like, and only its loss says how well.
    fn restores(&self) -> bool {
        true
    }

    /// What an example costs, in tokens.
    fn example_tokens(&self, example: &Self::Example) -> usize;

    /// About how many floating-point operations a token of an example takes, forward and backward.
    fn flops_per_token(&self) -> f64 {
        6.0 * self.parameters().iter().map(|(_, var)| var.elem_count() as f64).sum::<f64>()
    }

    /// About how many bytes of activations the loss and the gradient of a batch of so many tokens take.
    fn activation_bytes(&self, tokens: usize, recompute: bool) -> usize;

    /// The loss of a batch; [`Self::backward`] differentiates it.
    ///
    /// # Errors
    /// If the tensor library fails.
    fn loss(&self, batch: &[&Self::Example], mode: LossMode) -> Result<BatchLoss, RestoreError>;

    /// The loss of a batch, and its gradients.
    ///
    /// # Errors
    /// If the tensor library fails.
    fn backward(
        &self,
        batch: &[&Self::Example],
        mode: LossMode,
    ) -> Result<(BatchLoss, GradStore), RestoreError> {
        let loss = self.loss(batch, mode)?;
        let gradients = loss.loss.backward()?;
        Ok((loss, gradients))
    }

    /// The trainable tensors, by the names they have in `model.safetensors`, sorted.
    fn parameters(&self) -> Vec<(String, Var)>;

    /// The tables whose rows enter the loss as leaves.
    fn tables(&self) -> &[RowTable];

    /// Writes a checkpoint: each file appears whole or not at all, the weights last.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn save(&self, dir: &Path, meta: &CheckpointMeta) -> Result<(), RestoreError>;
}
