//! The network of T5.

use candle_core::{DType, Device, Result, Tensor};

use super::bias::RelativeBias;
use super::config::T5Config;
use super::layers::{Attention, FeedForward, Sight};
use crate::error::RestoreError;
use crate::layers::{DistanceBias, Embedding, Init, KvCache, Linear, Params, Pass, RmsNorm, Tape};

/// An encoder–decoder: source tokens in, logits of target tokens out.
#[derive(Debug)]
pub struct T5 {
    config: T5Config,
    dtype: DType,
    embedding: Embedding,
    encoder: Vec<EncoderLayer>,
    encoder_bias: RelativeBias,
    encoder_norm: RmsNorm,
    decoder: Vec<DecoderLayer>,
    decoder_bias: RelativeBias,
    decoder_norm: RmsNorm,
    head: Linear,
}

#[derive(Debug)]
struct EncoderLayer {
    norm: RmsNorm,
    attention: Attention,
    feed_forward: FeedForward,
}

#[derive(Debug)]
struct DecoderLayer {
    norm: RmsNorm,
    attention: Attention,
    cross_norm: RmsNorm,
    cross: Attention,
    feed_forward: FeedForward,
}

/// What a sequence under generation has seen: a cache a layer of the decoder, and the encoder's keys and values.
#[derive(Debug)]
pub struct T5Cache {
    pub(crate) own: Vec<KvCache>,
    source: Vec<Tensor>,
}

impl T5Cache {
    /// A copy whose target grows by itself.
    ///
    /// # Errors
    /// If memory is refused.
    pub(crate) fn fork(&self) -> Result<Self> {
        let own = self.own.iter().map(KvCache::fork).collect::<Result<_>>()?;
        Ok(Self { own, source: self.source.clone() })
    }
}

impl T5 {
    /// Reads or makes the parameters; `dtype` is what the network computes in.
    ///
    /// # Errors
    /// If a parameter is missing or has another shape.
    pub fn new(p: &mut Params, config: T5Config, dtype: DType) -> std::result::Result<Self, RestoreError> {
        let (d, eps) = (config.d_model, config.layer_norm_epsilon);
        let norm = |p: &mut Params, name: &str| p.scope(name, |p| RmsNorm::new(p, d, eps));
        let c = &config;
        let embedding = p.scope("shared", |p| Embedding::new(p, c.vocab_size, d, Init::Deviation(1.0)))?;
        let encoder = (0..c.encoder_layers)
            .map(|i| p.scope(format!("encoder.block.{i}"), |p| EncoderLayer::new(p, c)))
            .collect::<std::result::Result<_, _>>()?;
        let decoder = (0..c.decoder_layers)
            .map(|i| p.scope(format!("decoder.block.{i}"), |p| DecoderLayer::new(p, c)))
            .collect::<std::result::Result<_, _>>()?;
        let bias = |p: &mut Params, stack: &str, bidirectional: bool| {
            let name = format!("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias");
            p.scope(name, |p| RelativeBias::new(p, c, bidirectional))
        };
        let head = if c.tied {
            Linear::of_weight(embedding.weight().clone(), p.is_frozen())
        } else {
            p.scope("lm_head", |p| {
                Linear::new(p, d, c.vocab_size, Init::Deviation((d as f32).sqrt().recip()))
            })?
        };
        Ok(Self {
            embedding,
            encoder,
            decoder,
            encoder_bias: bias(p, "encoder", true)?,
            decoder_bias: bias(p, "decoder", false)?,
            encoder_norm: norm(p, "encoder.final_layer_norm")?,
            decoder_norm: norm(p, "decoder.final_layer_norm")?,
            head,
            dtype,
            config,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &T5Config {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.embedding.weight().device()
    }

    fn embed(&self, tokens: &[u32], pass: &Pass) -> Result<Tensor> {
        pass.dropout(&self.embedding.forward(tokens)?.to_dtype(self.dtype)?, self.config.dropout_rate)
    }

    /// The encoder's hidden states `[tokens, d_model]` of packed sources of `lengths` tokens; each layer is a segment of `tape`.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn encode<'a>(
        &'a self,
        tokens: &[u32],
        lengths: &[usize],
        pass: &Pass,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor> {
        let DistanceBias { values, zero } = self.encoder_bias.by_distance(longest(lengths))?;
        let dropout = self.config.dropout_rate;
        let mut x = self.embed(tokens, pass)?;
        for (number, layer) in self.encoder.iter().enumerate() {
            let (lengths, pass) = (lengths.to_vec(), pass.part(number as u64));
            x = tape.run(&[&x, &values], move |inputs| {
                let (x, pass) = (&inputs[0], &pass.again());
                let bias = DistanceBias { values: inputs[1].clone(), zero };
                let sight = Sight { queries: &lengths, keys: &lengths, causal: false, bias: Some(&bias) };
                let (q, kv) = layer.attention.own(&layer.norm.forward(x)?, pass)?;
                let attended = layer.attention.attend(&q, &kv, &sight, pass)?;
                layer.feed_forward.forward(&(x + pass.dropout(&attended, dropout)?)?, pass)
            })?;
        }
        pass.dropout(&self.encoder_norm.forward(&x)?, dropout)
    }

    /// The decoder's hidden states `[tokens, d_model]` of packed targets of `lengths` tokens, beside encoded sources of
    /// `source_lengths`; each layer is a segment of `tape`.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn decode<'a>(
        &'a self,
        (tokens, lengths): (&[u32], &[usize]),
        (source, source_lengths): (&Tensor, &[usize]),
        pass: &Pass,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor> {
        let DistanceBias { values, zero } = self.decoder_bias.by_distance(longest(lengths))?;
        let dropout = self.config.dropout_rate;
        let mut x = self.embed(tokens, pass)?;
        for (number, layer) in self.decoder.iter().enumerate() {
            let (lengths, source_lengths) = (lengths.to_vec(), source_lengths.to_vec());
            let pass = pass.part(!(number as u64));
            x = tape.run(&[&x, source, &values], move |inputs| {
                let (x, source, pass) = (&inputs[0], &inputs[1], &pass.again());
                let bias = DistanceBias { values: inputs[2].clone(), zero };
                let own = Sight { queries: &lengths, keys: &lengths, causal: true, bias: Some(&bias) };
                let across = Sight { queries: &lengths, keys: &source_lengths, causal: false, bias: None };
                let (q, kv) = layer.attention.own(&layer.norm.forward(x)?, pass)?;
                let x = (x + pass.dropout(&layer.attention.attend(&q, &kv, &own, pass)?, dropout)?)?;
                let q = layer.cross.queries(&layer.cross_norm.forward(&x)?, pass)?;
                let kv = layer.cross.keys_values(source, pass)?;
                let x = (x + pass.dropout(&layer.cross.attend(&q, &kv, &across, pass)?, dropout)?)?;
                layer.feed_forward.forward(&x, pass)
            })?;
        }
        pass.dropout(&self.decoder_norm.forward(&x)?, dropout)
    }

    /// Starts the generation of a target for one encoded source.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn start(&self, source: &Tensor) -> Result<T5Cache> {
        let quiet = &Pass::plain();
        let of_layer =
            |layer: &DecoderLayer| Ok(layer.cross.keys_values(source, quiet)?.contiguous()?.detach());
        Ok(T5Cache {
            own: self.decoder.iter().map(|_| KvCache::default()).collect(),
            source: self.decoder.iter().map(of_layer).collect::<Result<_>>()?,
        })
    }

    /// Hidden states of further tokens of several targets, whose caches grow: `lengths[i]` tokens for `caches[i]`.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn extend(&self, tokens: &[u32], lengths: &[usize], caches: &mut [&mut T5Cache]) -> Result<Tensor> {
        let quiet = &Pass::plain();
        let seen = |cache: &T5Cache| cache.own.first().map_or(0, KvCache::tokens);
        let totals: Vec<usize> = caches.iter().zip(lengths).map(|(cache, n)| seen(cache) + n).collect();
        let bias = self.decoder_bias.by_distance(longest(&totals))?;
        let mut x = self.embed(tokens, quiet)?;
        for (number, layer) in self.decoder.iter().enumerate() {
            let (q, kv) = layer.attention.own(&layer.norm.forward(&x)?, quiet)?;
            let mut seen = Vec::with_capacity(lengths.len());
            let mut first = 0;
            for (cache, &length) in caches.iter_mut().zip(lengths) {
                seen.push(cache.own[number].append(&kv.narrow(0, first, length)?)?);
                first += length;
            }
            let sight = Sight { queries: lengths, keys: &totals, causal: true, bias: Some(&bias) };
            x = (x + layer.attention.attend_over(&q, &seen, &sight)?)?;
            let q = layer.cross.queries(&layer.cross_norm.forward(&x)?, quiet)?;
            let sources: Vec<Tensor> = caches.iter().map(|cache| cache.source[number].clone()).collect();
            let keys = sources.iter().map(|source| source.dim(0)).collect::<Result<Vec<_>>>()?;
            let sight = Sight { queries: lengths, keys: &keys, causal: false, bias: None };
            x = (x + layer.cross.attend_over(&q, &sources, &sight)?)?;
            // What is learned would keep every layer's activations.
            x = layer.feed_forward.forward(&x, quiet)?.detach();
        }
        self.decoder_norm.forward(&x)
    }

    /// `[n, d_model]` → `[n, vocab_size]`.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let quiet = &Pass::plain();
        if self.config.tied {
            let scaled = (hidden * f64::from((self.config.d_model as f32).sqrt().recip()))?;
            return self.head.forward(&scaled, quiet);
        }
        self.head.forward(hidden, quiet)
    }
}

impl EncoderLayer {
    fn new(p: &mut Params, config: &T5Config) -> std::result::Result<Self, RestoreError> {
        let norm = |p: &mut Params| RmsNorm::new(p, config.d_model, config.layer_norm_epsilon);
        Ok(Self {
            norm: p.scope("layer.0.layer_norm", norm)?,
            attention: p.scope("layer.0.SelfAttention", |p| Attention::new(p, config))?,
            feed_forward: p.scope("layer.1", |p| FeedForward::new(p, config))?,
        })
    }
}

impl DecoderLayer {
    fn new(p: &mut Params, config: &T5Config) -> std::result::Result<Self, RestoreError> {
        let norm = |p: &mut Params| RmsNorm::new(p, config.d_model, config.layer_norm_epsilon);
        Ok(Self {
            norm: p.scope("layer.0.layer_norm", norm)?,
            attention: p.scope("layer.0.SelfAttention", |p| Attention::new(p, config))?,
            cross_norm: p.scope("layer.1.layer_norm", norm)?,
            cross: p.scope("layer.1.EncDecAttention", |p| Attention::new(p, config))?,
            feed_forward: p.scope("layer.2", |p| FeedForward::new(p, config))?,
        })
    }
}

fn longest(lengths: &[usize]) -> usize {
    lengths.iter().copied().max().unwrap_or(0)
}
