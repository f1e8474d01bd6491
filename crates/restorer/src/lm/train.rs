//! The training side.

use std::path::Path;

use candle_core::Var;
use candle_core::backprop::GradStore;
use corruptor::Pair;

use super::examples::{TokenExample, examples, text_examples};
use super::model::LanguageModel;
use super::network::Network;
use super::save;
use super::settings::Learn;
use crate::error::RestoreError;
use crate::layers::{Tape, cross_entropy_sum};
use crate::table::RowTable;
use crate::train::{BatchLoss, CheckpointMeta, LossMode, Trainable};

impl LanguageModel {
    fn loss_on<'a>(
        &'a self,
        batch: &[&TokenExample],
        mode: LossMode,
        tape: &mut Tape<'a>,
    ) -> Result<BatchLoss, RestoreError> {
        let logits = self.network.target_logits(batch, &mode.pass().with_operands(self.operands), tape)?;
        let targets: Vec<u32> = batch.iter().flat_map(|example| example.target.iter().copied()).collect();
        let loss = cross_entropy_sum(&logits, &targets, mode.label_smoothing())?;
        Ok(BatchLoss { loss, labels: targets.len(), rows: Vec::new() })
    }
}

impl Trainable for LanguageModel {
    type Example = TokenExample;

    fn examples(&self, pair: &Pair) -> Result<Vec<TokenExample>, RestoreError> {
        let end = self.ends[0];
        Ok(match self.learn {
            Learn::Restoration => examples(pair, self.restoring.size, &self.prompt, &self.codec, end),
            Learn::Text => text_examples(
                &pair.original,
                self.restoring.size.window_bytes,
                self.beginnings(),
                &self.codec,
                end,
            ),
        })
    }

    fn restores(&self) -> bool {
        self.learn == Learn::Restoration
    }

    fn example_tokens(&self, example: &TokenExample) -> usize {
        example.source.len() + example.target.len()
    }

    fn flops_per_token(&self) -> f64 {
        // A weight that learns takes two operations forward and four backward, a frozen one two and two; an embedding that is
        // no output layer is only looked up.
        let is_looked_up = |name: &str| {
            let is_table = name.ends_with("embed_tokens.weight") || name == "shared.weight";
            is_table && !self.network.is_tied()
        };
        let of =
            |name: &str, count: usize, each: f64| if is_looked_up(name) { 0.0 } else { each * count as f64 };
        let learned = self.params.vars.iter().map(|(name, var)| of(name, var.elem_count(), 6.0));
        let frozen = self.params.frozen.iter().map(|(name, tensor)| of(name, tensor.elem_count(), 4.0));
        let all: f64 = learned.chain(frozen).sum();
        // A token of a T5's example is either a source's, in the encoder, or a target's, in the decoder.
        if matches!(self.network, Network::T5(_)) { all / 2.0 } else { all }
    }

    fn activation_bytes(&self, tokens: usize, recompute: bool) -> usize {
        let (layers, between, inside) = self.network.layer_widths();
        // Logits, their exponentials and their gradient stand beside each other.
        let head = 3 * self.network.vocab_size();
        let kept = if recompute { layers * between + inside } else { layers * inside };
        tokens * size_of::<f32>() * (2 * kept + head)
    }

    fn loss(&self, batch: &[&TokenExample], mode: LossMode) -> Result<BatchLoss, RestoreError> {
        self.loss_on(batch, mode, &mut mode.tape())
    }

    fn backward(
        &self,
        batch: &[&TokenExample],
        mode: LossMode,
    ) -> Result<(BatchLoss, GradStore), RestoreError> {
        let mut tape = if mode == LossMode::Eval { Tape::keeping() } else { mode.tape() };
        let loss = self.loss_on(batch, mode, &mut tape)?;
        let gradients = tape.backward(&loss.loss)?;
        Ok((loss, gradients))
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.params.vars.iter().map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    fn tables(&self) -> &[RowTable] {
        &[]
    }

    fn save(&self, dir: &Path, meta: &CheckpointMeta) -> Result<(), RestoreError> {
        save::save(self, dir, meta)
    }
}
