//! The sublayers of T5.

use candle_core::{Result, Tensor};

use super::config::T5Config;
use crate::error::RestoreError;
use crate::layers::{
    Activation, AttentionShape, DistanceBias, Init, Linear, Params, Pass, RmsNorm, attention, attention_over,
    gated,
};

/// Attention without scaling: new weights are small enough.
#[derive(Debug)]
pub(super) struct Attention {
    heads: usize,
    dropout: f32,
    q: Linear,
    k: Linear,
    v: Linear,
    output: Linear,
}

/// What a pass of attention may see.
pub(super) struct Sight<'a> {
    pub(super) queries: &'a [usize],
    pub(super) keys: &'a [usize],
    pub(super) causal: bool,
    pub(super) bias: Option<&'a DistanceBias>,
}

impl Attention {
    pub(super) fn new(p: &mut Params, config: &T5Config) -> std::result::Result<Self, RestoreError> {
        let (d, inner) = (config.d_model, config.num_heads * config.d_kv);
        let deviation = |n: f32| Init::Deviation(n.sqrt().recip());
        let (model, head) = (d as f32, config.d_kv as f32);
        Ok(Self {
            heads: config.num_heads,
            dropout: config.dropout_rate,
            q: p.scope("q", |p| Linear::new(p, d, inner, deviation(model * head)))?,
            k: p.scope("k", |p| Linear::new(p, d, inner, deviation(model)))?,
            v: p.scope("v", |p| Linear::new(p, d, inner, deviation(model)))?,
            output: p.scope("o", |p| Linear::new(p, inner, d, deviation(inner as f32)))?,
        })
    }

    /// Queries, and keys beside values, of the same tokens.
    pub(super) fn own(&self, x: &Tensor, pass: &Pass) -> Result<(Tensor, Tensor)> {
        let all = Linear::forward_together(&[&self.q, &self.k, &self.v], x, pass)?;
        let inner = all.dim(1)? / 3;
        Ok((all.narrow(1, 0, inner)?, all.narrow(1, inner, 2 * inner)?))
    }

    /// Queries alone.
    pub(super) fn queries(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.q.forward(x, pass)
    }

    /// Keys beside values, of the tokens that are attended to.
    pub(super) fn keys_values(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        Linear::forward_together(&[&self.k, &self.v], x, pass)
    }

    pub(super) fn attend(&self, q: &Tensor, kv: &Tensor, sight: &Sight<'_>, pass: &Pass) -> Result<Tensor> {
        let attended = attention(q, kv, sight.bias, &self.shape(sight), (pass, self.dropout))?;
        self.output.forward(&attended, pass)
    }

    /// The same over keys and values of each sequence where they lie.
    pub(super) fn attend_over(&self, q: &Tensor, kvs: &[Tensor], sight: &Sight<'_>) -> Result<Tensor> {
        let attended = attention_over(q, kvs, sight.bias, &self.shape(sight))?;
        self.output.forward(&attended, &Pass::plain())
    }

    fn shape(&self, sight: &Sight<'_>) -> AttentionShape {
        AttentionShape {
            queries: sight.queries.to_vec(),
            keys: sight.keys.to_vec(),
            heads: self.heads,
            kv_heads: self.heads,
            causal: sight.causal,
            scale: 1.0,
        }
    }
}

/// The MLP.
#[derive(Debug)]
pub(super) struct FeedForward {
    norm: RmsNorm,
    /// One map, or gate and value.
    inputs: Vec<Linear>,
    output: Linear,
    dropout: f32,
}

impl FeedForward {
    /// Under the sublayer's own name.
    pub(super) fn new(p: &mut Params, config: &T5Config) -> std::result::Result<Self, RestoreError> {
        let (d, f) = (config.d_model, config.d_ff);
        let (fan_in, back) =
            (Init::Deviation((d as f32).sqrt().recip()), Init::Deviation((f as f32).sqrt().recip()));
        let names: &[&str] = if config.gated { &["wi_0", "wi_1"] } else { &["wi"] };
        let inputs = |p: &mut Params| {
            names.iter().map(|name| p.scope(*name, |p| Linear::new(p, d, f, fan_in))).collect()
        };
        Ok(Self {
            inputs: p.scope("DenseReluDense", inputs)?,
            output: p.scope("DenseReluDense.wo", |p| Linear::new(p, f, d, back))?,
            norm: p.scope("layer_norm", |p| RmsNorm::new(p, d, config.layer_norm_epsilon))?,
            dropout: config.dropout_rate,
        })
    }

    /// x + MLP(norm(x)).
    pub(super) fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let inputs: Vec<&Linear> = self.inputs.iter().collect();
        let hidden = Linear::forward_together(&inputs, &self.norm.forward(x)?, pass)?;
        let hidden = if inputs.len() == 2 { gated(&hidden, Activation::GeluTanh)? } else { hidden.relu()? };
        let out = self.output.forward(&pass.dropout(&hidden, self.dropout)?, pass)?;
        x + pass.dropout(&out, self.dropout)?
    }
}
