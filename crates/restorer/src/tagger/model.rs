//! The tagger's network: features in, logits for bytes and gaps out.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};

use super::config::TaggerConfig;
use super::features::{BYTE_FEATURES, BYTE_ROWS, FeatureRows, NGRAM_FEATURES};
use super::labels::{BYTE_CLASSES, GAP_CLASSES};
use crate::error::RestoreError;
use crate::layers::{Block, BlockConfig, Init, Linear, Params, Pass, RmsNorm, Rope, RopeFrequencies};
use crate::table::RowTable;

/// The network without its tables.
#[derive(Debug)]
pub(super) struct Network {
    byte_input: Linear,
    ngram_input: Linear,
    blocks: Vec<Block>,
    norm: RmsNorm,
    byte_head: Linear,
    gap_heads: Vec<Linear>,
    frequencies: RopeFrequencies,
    vars: BTreeMap<String, Var>,
}

/// Index of the byte table and of the n-gram table.
pub(super) const BYTE_TABLE: usize = 0;
pub(super) const NGRAM_TABLE: usize = 1;

/// The two tables of a new model.
pub(super) fn new_tables(config: &TaggerConfig) -> Vec<RowTable> {
    let TaggerConfig { table_rows, table_dim, seed, .. } = *config;
    vec![
        RowTable::random(BYTE_TABLE_NAME, BYTE_ROWS, table_dim, 0.5, seed),
        RowTable::random(NGRAM_TABLE_NAME, table_rows, table_dim, 0.1, seed.wrapping_add(1)),
    ]
}

/// Name of the byte table in the weights file.
pub(super) const BYTE_TABLE_NAME: &str = "model.bytes.weight";
/// Name of the n-gram table in the weights file.
pub(super) const NGRAM_TABLE_NAME: &str = "model.ngrams.weight";

impl Network {
    /// Reads or makes all parameters.
    pub(super) fn new(mut params: Params, config: &TaggerConfig) -> Result<Self, RestoreError> {
        let d = config.hidden_size;
        let fan_in = |n: usize| Init::Deviation((n as f32).sqrt().recip());
        let block = BlockConfig {
            hidden_size: d,
            intermediate_size: config.intermediate_size,
            num_heads: config.num_attention_heads,
            num_kv_heads: config.num_attention_heads,
            rms_norm_eps: config.rms_norm_eps,
            residual_deviation: (2.0 * config.num_hidden_layers as f32 * d as f32).sqrt().recip(),
        };
        let p = &mut params;
        let input = |p: &mut Params, features: usize| {
            let width = features * config.table_dim;
            Linear::new(p, width, d, fan_in(width))
        };
        // Heads start at zero: with the bias on "keep" the new model is the identity.
        let head = |p: &mut Params, classes: usize| Linear::with_bias(p, d, classes, Init::Constant(0.0));
        let network = Self {
            byte_input: p.scope("model.byte_input", |p| input(p, BYTE_FEATURES))?,
            ngram_input: p.scope("model.ngram_input", |p| input(p, NGRAM_FEATURES))?,
            blocks: (0..config.num_hidden_layers)
                .map(|i| p.scope(format!("model.layers.{i}"), |p| Block::new(p, &block)))
                .collect::<Result<_, _>>()?,
            norm: p.scope("model.norm", |p| RmsNorm::new(p, d, config.rms_norm_eps))?,
            byte_head: p.scope("byte_head", |p| head(p, BYTE_CLASSES))?,
            gap_heads: (0..config.insertion_slots)
                .map(|slot| p.scope(format!("gap_heads.{slot}"), |p| head(p, GAP_CLASSES)))
                .collect::<Result<_, _>>()?,
            frequencies: RopeFrequencies::new(d / config.num_attention_heads, config.rope_theta),
            vars: BTreeMap::new(),
        };
        Ok(Self { vars: params.finish()?.vars, ..network })
    }

    /// Sets the biases of a new model so that it leaves texts alone: classes that stay weigh e^7 to 1.
    pub(super) fn start_as_identity(&self) -> Result<(), RestoreError> {
        for (name, var) in &self.vars {
            if name.ends_with("head.bias") || name.starts_with("gap_heads.0") && name.ends_with("bias") {
                let stay = |class: usize| if class == 0 { 7.0f32 } else { 0.0 };
                let values: Vec<f32> = (0..var.elem_count()).map(stay).collect();
                var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
            }
        }
        Ok(())
    }

    /// Hidden states `[tokens, hidden_size]` of packed windows of `lengths` tokens, from their gathered rows.
    pub(super) fn hidden(
        &self,
        byte_rows: &Tensor,
        ngram_rows: &Tensor,
        lengths: &[usize],
    ) -> candle_core::Result<Tensor> {
        let tokens: usize = lengths.iter().sum();
        let input =
            |rows: &Tensor, linear: &Linear| linear.forward(&rows.reshape((tokens, ()))?, &Pass::plain());
        let mut x = (input(byte_rows, &self.byte_input)? + input(ngram_rows, &self.ngram_input)?)?;
        let rope = Rope::new(lengths, &self.frequencies);
        for block in &self.blocks {
            x = block.forward(&x, lengths, &rope, false)?;
        }
        self.norm.forward(&x)
    }

    /// Logits of the byte classes: `[n, hidden_size]` → `[n, BYTE_CLASSES]`.
    pub(super) fn byte_logits(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        self.byte_head.forward(hidden, &Pass::plain())
    }

    /// Logits of one insertion slot: `[n, hidden_size]` → `[n, GAP_CLASSES]`.
    pub(super) fn gap_logits(&self, hidden: &Tensor, slot: usize) -> candle_core::Result<Tensor> {
        self.gap_heads[slot].forward(hidden, &Pass::plain())
    }

    /// The trainable tensors by name.
    pub(super) fn vars(&self) -> &BTreeMap<String, Var> {
        &self.vars
    }
}

/// Gathers the rows of packed windows into `[tokens · features, table_dim]` tensors.
pub(super) fn gather(
    tables: &[RowTable],
    rows: &FeatureRows,
    device: &Device,
) -> candle_core::Result<[Tensor; 2]> {
    Ok([tables[BYTE_TABLE].gather(&rows.bytes, device)?, tables[NGRAM_TABLE].gather(&rows.ngrams, device)?])
}
