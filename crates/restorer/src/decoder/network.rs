//! The network of decoder-only models.

use candle_core::{DType, Device, Result, Tensor};

use super::config::DecoderConfig;
use crate::error::RestoreError;
use crate::layers::{
    Activation, AttentionShape, Embedding, Init, KvCache, KvPath, Linear, Params, Pass, RmsNorm, Rope, Tape,
    attention, attention_over, gated, path_attention,
};

/// A decoder: tokens in, logits out.
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    dtype: DType,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
}

#[derive(Debug)]
struct Layer {
    input_norm: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    /// Norms of queries and keys, head by head.
    qk_norms: Option<[RmsNorm; 2]>,
    output: Linear,
    mlp_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// Keys and values of one sequence, a cache a layer.
pub type DecoderCache = Vec<KvCache>;

impl Decoder {
    /// Reads or makes the parameters; `dtype` is what the network computes in.
    ///
    /// # Errors
    /// If a parameter is missing or has another shape.
    pub fn new(
        p: &mut Params,
        config: DecoderConfig,
        dtype: DType,
    ) -> std::result::Result<Self, RestoreError> {
        let deviation = Init::Deviation(config.initializer_range);
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let embedding = p.scope("model.embed_tokens", |p| Embedding::new(p, vocab, hidden, deviation))?;
        let layers = (0..config.num_layers)
            .map(|i| p.scope(format!("model.layers.{i}"), |p| Layer::new(p, &config)))
            .collect::<std::result::Result<_, _>>()?;
        let norm = p.scope("model.norm", |p| RmsNorm::new(p, hidden, config.rms_norm_eps))?;
        let head = if config.tie_word_embeddings {
            Linear::of_weight(embedding.weight().clone(), p.is_frozen())
        } else {
            p.scope("lm_head", |p| Linear::new(p, hidden, vocab, deviation))?
        };
        Ok(Self { config, dtype, embedding, layers, norm, head })
    }

    /// The configuration.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.embedding.weight().device()
    }

    /// Caches for a new sequence.
    pub fn new_cache(&self) -> DecoderCache {
        (0..self.layers.len()).map(|_| KvCache::default()).collect()
    }

    /// Hidden states `[tokens, hidden_size]` of packed sequences of `lengths` tokens; each layer is a segment of `tape`.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn hidden<'a>(
        &'a self,
        tokens: &[u32],
        lengths: &[usize],
        pass: &Pass,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor> {
        let DecoderConfig { num_heads, num_kv_heads, head_dim, attention_dropout, .. } = self.config;
        let rope = Rope::new(lengths, &self.config.frequencies);
        let shape = AttentionShape::within(lengths, num_heads, num_kv_heads, head_dim, true);
        let mut x = self.embedding.forward(tokens)?.to_dtype(self.dtype)?;
        for (number, layer) in self.layers.iter().enumerate() {
            let (rope, shape, pass) = (rope.clone(), shape.clone(), pass.part(number as u64));
            x = tape.run(&[&x], move |inputs| {
                let pass = pass.again();
                layer.forward(&inputs[0], &self.config, &rope, &pass, |q, kv| {
                    attention(q, kv, None, &shape, (&pass, attention_dropout))
                })
            })?;
        }
        self.norm.forward(&x)
    }

    /// Hidden states of further tokens of several sequences, whose caches grow: `lengths[i]` tokens for `caches[i]`.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn extend(
        &self,
        tokens: &[u32],
        lengths: &[usize],
        caches: &mut [&mut DecoderCache],
    ) -> Result<Tensor> {
        let quiet = &Pass::plain();
        let starts: Vec<usize> =
            caches.iter().map(|cache| cache.first().map_or(0, KvCache::tokens)).collect();
        let positions: Vec<_> =
            starts.iter().zip(lengths).map(|(&start, &length)| start..start + length).collect();
        let rope = Rope::at(&positions, &self.config.frequencies);
        let mut x = self.embedding.forward(tokens)?.to_dtype(self.dtype)?;
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, &self.config, &rope, quiet, |q, kv| {
                let DecoderConfig { num_heads, num_kv_heads, head_dim, .. } = self.config;
                let mut seen = Vec::with_capacity(lengths.len());
                let mut first = 0;
                for (cache, &length) in caches.iter_mut().zip(lengths) {
                    seen.push(cache[number].append(&kv.narrow(0, first, length)?)?);
                    first += length;
                }
                let mut shape = AttentionShape::within(lengths, num_heads, num_kv_heads, head_dim, true);
                shape.keys = starts.iter().zip(lengths).map(|(start, length)| start + length).collect();
                attention_over(q, &seen, None, &shape)
            })?;
            // What is learned would keep every layer's activations.
            x = x.detach();
        }
        self.norm.forward(&x)
    }

    /// Hidden states of the next tokens of several texts, one each, and for each layer their rotated keys beside values,
    /// `[texts, 2 · kv_heads · head_dim]`. `positions` are their places in their texts; `paths` is what stands before them.
    ///
    /// # Errors
    /// If the shapes do not fit, or the tensor library fails.
    pub fn branch(
        &self,
        tokens: &[u32],
        positions: &[usize],
        paths: &[KvPath<'_>],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let quiet = &Pass::plain();
        let places: Vec<_> = positions.iter().map(|&position| position..position + 1).collect();
        let rope = Rope::at(&places, &self.config.frequencies);
        let heads = (self.config.num_heads, self.config.num_kv_heads);
        let mut x = self.embedding.forward(tokens)?.to_dtype(self.dtype)?;
        let mut rows = Vec::with_capacity(self.layers.len());
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, &self.config, &rope, quiet, |q, kv| {
                rows.push(kv.clone());
                path_attention(q, kv, paths, number, heads)
            })?;
            x = x.detach();
        }
        Ok((self.norm.forward(&x)?, rows))
    }

    /// `[n, hidden_size]` → `[n, vocab_size]`.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(hidden, &Pass::plain())
    }
}

impl Layer {
    fn new(p: &mut Params, config: &DecoderConfig) -> std::result::Result<Self, RestoreError> {
        let DecoderConfig { hidden_size: d, intermediate_size: f, head_dim, rms_norm_eps: eps, .. } = *config;
        let (q_size, kv_size) = (config.num_heads * head_dim, config.num_kv_heads * head_dim);
        let deviation = Init::Deviation(config.initializer_range);
        let map = |p: &mut Params, name: &str, input, output, bias: bool| {
            p.scope(name, |p| {
                if bias {
                    Linear::with_bias(p, input, output, deviation)
                } else {
                    Linear::new(p, input, output, deviation)
                }
            })
        };
        let norm = |p: &mut Params, name: &str, dim| p.scope(name, |p| RmsNorm::new(p, dim, eps));
        let qk_norms = if config.qk_norm {
            Some([norm(p, "self_attn.q_norm", head_dim)?, norm(p, "self_attn.k_norm", head_dim)?])
        } else {
            None
        };
        Ok(Self {
            input_norm: norm(p, "input_layernorm", d)?,
            q: map(p, "self_attn.q_proj", d, q_size, config.qkv_bias)?,
            k: map(p, "self_attn.k_proj", d, kv_size, config.qkv_bias)?,
            v: map(p, "self_attn.v_proj", d, kv_size, config.qkv_bias)?,
            qk_norms,
            output: map(p, "self_attn.o_proj", q_size, d, config.output_bias)?,
            mlp_norm: norm(p, "post_attention_layernorm", d)?,
            gate: map(p, "mlp.gate_proj", d, f, config.mlp_bias)?,
            up: map(p, "mlp.up_proj", d, f, config.mlp_bias)?,
            down: map(p, "mlp.down_proj", f, d, config.mlp_bias)?,
        })
    }

    /// One layer; `attend` turns rotated queries, and keys beside values, into what the heads give.
    fn forward(
        &self,
        x: &Tensor,
        config: &DecoderConfig,
        rope: &Rope,
        pass: &Pass,
        attend: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (q_size, kv_size) = (config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim);
        let normed = self.input_norm.forward(x)?;
        let (q, kv) = match &self.qk_norms {
            None => {
                let qkv = Linear::forward_together(&[&self.q, &self.k, &self.v], &normed, pass)?;
                (qkv.narrow(1, 0, q_size)?, qkv.narrow(1, q_size, 2 * kv_size)?)
            }
            Some([q_norm, k_norm]) => {
                let by_head = |x: Tensor, norm: &RmsNorm| {
                    let dims = x.dims2()?;
                    norm.forward(&x.reshape(((), config.head_dim))?)?.reshape(dims)
                };
                let q = by_head(self.q.forward(&normed, pass)?, q_norm)?;
                let k = by_head(self.k.forward(&normed, pass)?, k_norm)?;
                (q, Tensor::cat(&[k, self.v.forward(&normed, pass)?], 1)?)
            }
        };
        let attended = attend(&rope.apply(&q, q_size)?, &rope.apply(&kv, kv_size)?)?;
        let x = (x + self.output.forward(&attended, pass)?)?;
        let hidden = Linear::forward_together(&[&self.gate, &self.up], &self.mlp_norm.forward(&x)?, pass)?;
        x + self.down.forward(&gated(&hidden, Activation::Silu)?, pass)?
    }
}
