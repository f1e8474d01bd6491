//! The tagger's training side.

use candle_core::{Tensor, Var};
use corruptor::Pair;

use super::features::{BYTE_FEATURES, FeatureRows, NGRAM_FEATURES};
use super::labels::{BYTE_CLASSES, Example, GAP_CLASSES, KEEP, NOTHING, examples};
use super::model::{BYTE_TABLE, NGRAM_TABLE, gather};
use super::{Tagger, save};
use crate::error::RestoreError;
use crate::layers::cross_entropy_sum;
use crate::table::{RowTable, RowUse};
use crate::train::{BatchLoss, CheckpointMeta, LossMode, Trainable};

impl Trainable for Tagger {
    type Example = Example;

    fn examples(&self, pair: &Pair) -> Result<Vec<Example>, RestoreError> {
        let config = self.config();
        examples(pair, config.insertion_slots, config.window_bytes)
            .map_err(|source| RestoreError::Events { id: pair.id, source })
    }

    fn example_tokens(&self, example: &Example) -> usize {
        example.text.len() + 1
    }

    fn activation_bytes(&self, tokens: usize, _: bool) -> usize {
        let c = self.config();
        let layer = 12 * c.hidden_size + 3 * c.intermediate_size;
        let heads = 2 * (BYTE_CLASSES + c.insertion_slots * GAP_CLASSES);
        let features = 2 * c.table_dim * (BYTE_FEATURES + NGRAM_FEATURES);
        tokens * size_of::<f32>() * (c.num_hidden_layers * layer + heads + features)
    }

    fn loss(&self, batch: &[&Example], mode: LossMode) -> Result<BatchLoss, RestoreError> {
        let mut rows = FeatureRows::default();
        for example in batch {
            rows.push(&example.text, self.config().table_rows);
        }
        let lengths: Vec<usize> = batch.iter().map(|e| e.text.len() + 1).collect();
        let leaves = gather(self.tables(), &rows, self.device())?;
        let [byte_leaf, ngram_leaf] = [Var::from_tensor(&leaves[0])?, Var::from_tensor(&leaves[1])?];
        let hidden = self.network().hidden(&byte_leaf, &ngram_leaf, &lengths)?;

        // Every byte has a class; the token after the last byte always stays.
        let classes: Vec<u32> = batch.iter().flat_map(|e| e.bytes.iter().copied().chain([KEEP])).collect();
        let mut loss =
            cross_entropy_sum(&self.network().byte_logits(&hidden)?, &classes, mode.label_smoothing())?;
        let mut labels = classes.len();
        for (slot, (tokens, classes)) in self.gap_labels(batch).into_iter().enumerate() {
            if classes.is_empty() {
                break;
            }
            let all = tokens.len() == hidden.dim(0)?;
            let index = Tensor::new(tokens, self.device())?;
            let hidden = if all { hidden.clone() } else { hidden.index_select(&index, 0)? };
            let logits = self.network().gap_logits(&hidden, slot)?;
            loss = (loss + cross_entropy_sum(&logits, &classes, mode.label_smoothing())?)?;
            labels += classes.len();
        }
        let rows = vec![
            RowUse { table: BYTE_TABLE, indices: rows.bytes, leaf: byte_leaf },
            RowUse { table: NGRAM_TABLE, indices: rows.ngrams, leaf: ngram_leaf },
        ];
        Ok(BatchLoss { loss, labels, rows })
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.network().vars().iter().map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    fn tables(&self) -> &[RowTable] {
        self.row_tables()
    }

    fn save(&self, dir: &std::path::Path, meta: &CheckpointMeta) -> Result<(), RestoreError> {
        save::save(self, dir, meta)
    }
}

impl Tagger {
    /// For each slot the tokens that have a label and their classes: slot 0 everywhere, a later one only where the slots
    /// before it received something.
    fn gap_labels(&self, batch: &[&Example]) -> Vec<(Vec<u32>, Vec<u32>)> {
        let mut slots = vec![(Vec::new(), Vec::new()); self.config().insertion_slots];
        let mut first = 0;
        for example in batch {
            let mut gaps = example.gaps.iter().peekable();
            for at in 0..=example.text.len() {
                let inserted = gaps.next_if(|(gap, _)| *gap == at).map_or(&[][..], |(_, bytes)| bytes);
                for (slot, (tokens, classes)) in slots.iter_mut().enumerate().take(inserted.len() + 1) {
                    tokens.push(first + at as u32);
                    classes.push(inserted.get(slot).map_or(NOTHING, |&b| u32::from(b) + 1));
                }
            }
            first += example.text.len() as u32 + 1;
        }
        slots
    }
}
