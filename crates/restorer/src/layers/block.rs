//! A pre-norm transformer block: rotary self-attention and a gated MLP, each beside a residual connection.

use candle_core::Tensor;

use super::attention::{AttentionShape, attention};
use super::gated::{Activation, gated};
use super::linear::Linear;
use super::norm::RmsNorm;
use super::params::{Init, Params};
use super::pass::Pass;
use super::rope::Rope;
use crate::error::RestoreError;

/// Sizes of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads.
    pub num_kv_heads: usize,
    /// Added to the mean square in the norms.
    pub rms_norm_eps: f32,
    /// Standard deviation of the projections back into the residual stream at first.
    pub residual_deviation: f32,
}

/// One layer of a transformer.
#[derive(Clone, Debug)]
pub struct Block {
    heads: usize,
    kv_heads: usize,
    input_norm: RmsNorm,
    qkv: Linear,
    output: Linear,
    mlp_norm: RmsNorm,
    gate_up: Linear,
    down: Linear,
}

impl Block {
    /// Reads or makes the parameters.
    ///
    /// # Errors
    /// If a parameter is missing or has another shape.
    pub fn new(params: &mut Params, config: &BlockConfig) -> Result<Self, RestoreError> {
        let BlockConfig { hidden_size: d, intermediate_size: f, num_heads, num_kv_heads, .. } = *config;
        let head_dim = d / num_heads;
        let fan_in = Init::Deviation((d as f32).sqrt().recip());
        let back = Init::Deviation(config.residual_deviation);
        let qkv_size = (num_heads + 2 * num_kv_heads) * head_dim;
        Ok(Self {
            heads: num_heads,
            kv_heads: num_kv_heads,
            input_norm: params.scope("input_layernorm", |p| RmsNorm::new(p, d, config.rms_norm_eps))?,
            qkv: params.scope("self_attn.qkv_proj", |p| Linear::new(p, d, qkv_size, fan_in))?,
            output: params.scope("self_attn.o_proj", |p| Linear::new(p, d, d, back))?,
            mlp_norm: params
                .scope("post_attention_layernorm", |p| RmsNorm::new(p, d, config.rms_norm_eps))?,
            gate_up: params.scope("mlp.gate_up_proj", |p| Linear::new(p, d, 2 * f, fan_in))?,
            down: params.scope("mlp.down_proj", |p| Linear::new(p, f, d, back))?,
        })
    }

    /// `x`: `[tokens, hidden_size]` of sequences of `lengths` tokens, packed; `causal` hides what comes later.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(
        &self,
        x: &Tensor,
        lengths: &[usize],
        rope: &Rope,
        causal: bool,
    ) -> candle_core::Result<Tensor> {
        let quiet = &Pass::plain();
        let qkv = self.qkv.forward(&self.input_norm.forward(x)?, quiet)?;
        let head_dim = qkv.dim(1)? / (self.heads + 2 * self.kv_heads);
        let (q_size, kv_size) = (self.heads * head_dim, self.kv_heads * head_dim);
        let q = rope.apply(&qkv.narrow(1, 0, q_size)?, q_size)?;
        let kv = rope.apply(&qkv.narrow(1, q_size, 2 * kv_size)?, kv_size)?;
        let shape = AttentionShape::within(lengths, self.heads, self.kv_heads, head_dim, causal);
        let attended = attention(&q, &kv, None, &shape, (quiet, 0.0))?;
        let x = (x + self.output.forward(&attended, quiet)?)?;
        let hidden = self.gate_up.forward(&self.mlp_norm.forward(&x)?, quiet)?;
        x + self.down.forward(&gated(&hidden, Activation::Silu)?, quiet)?
    }
}
