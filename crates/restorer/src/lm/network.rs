//! The two kinds of autoregressive networks behind one face: a source of tokens is read, a target is predicted.

use candle_core::{DType, Device, Result, Tensor};
use serde_json::{Map, Value};

use super::examples::TokenExample;
use crate::decoder::{self, Decoder, DecoderCache, DecoderConfig};
use crate::error::RestoreError;
use crate::layers::{Params, Pass, Tape};
use crate::t5::{self, T5, T5Cache, T5Config};

/// A network of either kind.
#[derive(Debug)]
pub enum Network {
    /// Reads source and target as one sequence.
    Decoder(Decoder),
    /// Encodes the source, decodes the target.
    T5(T5),
}

/// What a sequence under generation has seen.
#[derive(Debug)]
pub enum SequenceCache {
    /// Of a [`Network::Decoder`].
    Decoder(DecoderCache),
    /// Of a [`Network::T5`].
    T5(T5Cache),
}

impl Network {
    /// The `model_type`s that there are networks for.
    pub fn model_types() -> impl Iterator<Item = &'static str> {
        decoder::MODEL_TYPES.into_iter().chain([t5::MODEL_TYPE])
    }

    /// Reads or makes the parameters of what `config`, a whole `config.json`, describes.
    ///
    /// # Errors
    /// If the configuration cannot be used, or a parameter is missing or has another shape.
    pub fn new(
        params: &mut Params,
        config: &Map<String, Value>,
        dtype: DType,
    ) -> std::result::Result<Self, RestoreError> {
        if config.get("model_type").and_then(Value::as_str) == Some(t5::MODEL_TYPE) {
            return Ok(Self::T5(T5::new(params, T5Config::parse(config)?, dtype)?));
        }
        Ok(Self::Decoder(Decoder::new(params, DecoderConfig::parse(config)?, dtype)?))
    }

    /// `model_type` of the configuration.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Decoder(decoder) => decoder.config().model_type,
            Self::T5(_) => t5::MODEL_TYPE,
        }
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        match self {
            Self::Decoder(decoder) => decoder.device(),
            Self::T5(t5) => t5.device(),
        }
    }

    /// Rows of the embedding table.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Decoder(decoder) => decoder.config().vocab_size,
            Self::T5(t5) => t5.config().vocab_size,
        }
    }

    /// Whether the output layer is the embedding table.
    pub(super) fn is_tied(&self) -> bool {
        match self {
            Self::Decoder(decoder) => decoder.config().tie_word_embeddings,
            Self::T5(t5) => t5.config().tied,
        }
    }

    /// Layers; values a token between two of them; values a token that a backward pass through one keeps, about.
    pub(super) fn layer_widths(&self) -> (usize, usize, usize) {
        match self {
            Self::Decoder(decoder) => {
                let c = decoder.config();
                let (q, kv) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
                (c.num_layers, c.hidden_size, 5 * c.hidden_size + 3 * q + 4 * kv + 3 * c.intermediate_size)
            }
            Self::T5(t5) => {
                let c = t5.config();
                let inside = 6 * c.d_model + 6 * c.num_heads * c.d_kv + 3 * c.d_ff;
                (c.encoder_layers + c.decoder_layers, c.d_model, inside)
            }
        }
    }

    /// Bytes that the keys and values of a source and a target of so many tokens take, at most.
    pub(super) fn cache_bytes(&self, source: usize, target: usize) -> usize {
        // Memory grows by doubling.
        let values = match self {
            Self::Decoder(decoder) => {
                let c = decoder.config();
                c.num_layers * 2 * c.num_kv_heads * c.head_dim * (source + target).next_power_of_two()
            }
            Self::T5(t5) => {
                let c = t5.config();
                c.decoder_layers * 2 * c.num_heads * c.d_kv * (source + target.next_power_of_two())
            }
        };
        values * size_of::<f32>()
    }

    /// Logits `[Σ target tokens, vocab_size]` of every target token given what stands before it.
    ///
    /// # Errors
    /// If an example has no source (a decoder's first token is predicted from it), or the tensor library fails.
    pub fn target_logits<'a>(
        &'a self,
        batch: &[&TokenExample],
        pass: &Pass,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor> {
        match self {
            Self::Decoder(decoder) => {
                let (mut tokens, mut lengths, mut rows) = (Vec::new(), Vec::new(), Vec::new());
                for TokenExample { source, target } in batch {
                    if source.is_empty() {
                        candle_core::bail!("a decoder needs at least one token before the target");
                    }
                    let first = tokens.len() as u32 + source.len() as u32 - 1;
                    rows.extend(first..first + target.len() as u32);
                    tokens.extend(source);
                    tokens.extend(&target[..target.len().saturating_sub(1)]);
                    lengths.push(source.len() + target.len().saturating_sub(1));
                }
                let hidden = decoder.hidden(&tokens, &lengths, pass, tape)?;
                let all = rows.len() == tokens.len();
                let rows = Tensor::from_vec(
                    rows,
                    batch.iter().map(|e| e.target.len()).sum::<usize>(),
                    hidden.device(),
                )?;
                decoder.logits(&if all { hidden } else { hidden.index_select(&rows, 0)? })
            }
            Self::T5(t5) => {
                let sources: Vec<u32> = batch.iter().flat_map(|e| e.source.iter().copied()).collect();
                let source_lengths: Vec<usize> = batch.iter().map(|e| e.source.len()).collect();
                let start = t5.config().decoder_start_token_id;
                let shifted = |e: &&TokenExample| {
                    let known = e.target.len().saturating_sub(1);
                    std::iter::once(start).chain(e.target[..known].iter().copied()).collect::<Vec<u32>>()
                };
                let targets: Vec<u32> = batch.iter().flat_map(shifted).collect();
                let lengths: Vec<usize> = batch.iter().map(|e| e.target.len().max(1)).collect();
                let source = t5.encode(&sources, &source_lengths, pass, tape)?;
                t5.logits(&t5.decode((&targets, &lengths), (&source, &source_lengths), pass, tape)?)
            }
        }
    }

    /// Reads sources: their caches, and the logits `[sources, vocab_size]` of the first target token of each.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn start(&self, sources: &[&[u32]]) -> Result<(Vec<SequenceCache>, Tensor)> {
        let tokens = sources.concat();
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        match self {
            Self::Decoder(decoder) => {
                let mut caches: Vec<DecoderCache> = sources.iter().map(|_| decoder.new_cache()).collect();
                let hidden = decoder.extend(&tokens, &lengths, &mut caches.iter_mut().collect::<Vec<_>>())?;
                let logits = decoder.logits(&last_rows(&hidden, &lengths)?)?;
                Ok((caches.into_iter().map(SequenceCache::Decoder).collect(), logits.detach()))
            }
            Self::T5(t5) => {
                let encoded = t5.encode(&tokens, &lengths, &Pass::plain(), &mut Tape::forgetting())?;
                let mut first = 0;
                let mut caches = Vec::with_capacity(lengths.len());
                for length in lengths {
                    caches.push(t5.start(&encoded.narrow(0, first, length)?)?);
                    first += length;
                }
                let starts = vec![t5.config().decoder_start_token_id; caches.len()];
                let ones = vec![1; caches.len()];
                let hidden = t5.extend(&starts, &ones, &mut caches.iter_mut().collect::<Vec<_>>())?;
                let logits = t5.logits(&hidden)?.detach();
                Ok((caches.into_iter().map(SequenceCache::T5).collect(), logits))
            }
        }
    }

    /// Further tokens of several sequences, `lengths[i]` of them for `caches[i]`: the logits `[Σ lengths, vocab_size]` of what
    /// follows each.
    ///
    /// # Errors
    /// If a cache is of the other kind, or the tensor library fails.
    pub fn extend(
        &self,
        tokens: &[u32],
        lengths: &[usize],
        caches: &mut [&mut SequenceCache],
    ) -> Result<Tensor> {
        let logits = match self {
            Self::Decoder(decoder) => {
                let mut own = Vec::with_capacity(caches.len());
                for cache in caches {
                    let SequenceCache::Decoder(cache) = &mut **cache else { return Err(other_kind()) };
                    own.push(cache);
                }
                decoder.logits(&decoder.extend(tokens, lengths, &mut own)?)?
            }
            Self::T5(t5) => {
                let mut own = Vec::with_capacity(caches.len());
                for cache in caches {
                    let SequenceCache::T5(cache) = &mut **cache else { return Err(other_kind()) };
                    own.push(cache);
                }
                t5.logits(&t5.extend(tokens, lengths, &mut own)?)?
            }
        };
        Ok(logits.detach())
    }
}

impl SequenceCache {
    /// A copy that grows by itself.
    ///
    /// # Errors
    /// If memory is refused.
    pub fn fork(&self) -> Result<Self> {
        Ok(match self {
            Self::Decoder(caches) => {
                Self::Decoder(caches.iter().map(crate::layers::KvCache::fork).collect::<Result<_>>()?)
            }
            Self::T5(cache) => Self::T5(cache.fork()?),
        })
    }

    /// Forgets the last `tokens`.
    pub fn forget(&mut self, tokens: usize) {
        let caches = match self {
            Self::Decoder(caches) => caches,
            Self::T5(cache) => &mut cache.own,
        };
        for cache in caches {
            cache.truncate(cache.tokens().saturating_sub(tokens));
        }
    }
}

fn other_kind() -> candle_core::Error {
    candle_core::Error::Msg("a cache of another kind of network".to_owned())
}

/// The row of the last token of each sequence.
fn last_rows(hidden: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let mut end = 0;
    let rows = lengths.iter().map(|length| {
        end += length;
        end as u32 - 1
    });
    let rows: Vec<u32> = rows.collect();
    hidden.index_select(&Tensor::from_slice(&rows, rows.len(), hidden.device())?, 0)
}
