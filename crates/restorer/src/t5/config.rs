//! `config.json` of T5 models.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::RestoreError;

/// `model_type` of the family.
pub const MODEL_TYPE: &str = "t5";

/// What the network needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct T5Config {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width of a head.
    pub d_kv: usize,
    /// Width of the MLP.
    pub d_ff: usize,
    /// Heads.
    pub num_heads: usize,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
    /// Rows of the table of relative positions.
    pub relative_buckets: usize,
    /// Distance from which all share a bucket.
    pub relative_max_distance: usize,
    /// Added to the mean square in the norms.
    pub layer_norm_epsilon: f32,
    /// Whether the MLP is gated (GELU) or plain (`ReLU`).
    pub gated: bool,
    /// Whether hidden states are scaled by 1 / √`d_model` before the output layer, which then is the embedding table.
    pub tied: bool,
    /// Dropout while training.
    pub dropout_rate: f32,
    /// Token that the decoder starts with.
    pub decoder_start_token_id: u32,
}

/// The keys as they stand in the file.
#[derive(Deserialize)]
struct Keys {
    vocab_size: usize,
    d_model: usize,
    d_kv: usize,
    d_ff: usize,
    num_heads: usize,
    num_layers: usize,
    num_decoder_layers: Option<usize>,
    #[serde(default = "default_buckets")]
    relative_attention_num_buckets: usize,
    #[serde(default = "default_distance")]
    relative_attention_max_distance: usize,
    #[serde(default = "default_eps")]
    layer_norm_epsilon: f32,
    feed_forward_proj: Option<String>,
    tie_word_embeddings: Option<bool>,
    /// How newer versions of `transformers` say that the output layer is tied; there `tie_word_embeddings` is always true.
    scale_decoder_outputs: Option<bool>,
    #[serde(default = "default_dropout")]
    dropout_rate: f32,
    #[serde(default)]
    decoder_start_token_id: u32,
}

fn default_buckets() -> usize {
    32
}

fn default_distance() -> usize {
    128
}

fn default_eps() -> f32 {
    1e-6
}

fn default_dropout() -> f32 {
    0.1
}

impl T5Config {
    /// Reads the values of a `config.json`.
    ///
    /// # Errors
    /// If a key is missing or asks for something that this family cannot do (the error names it).
    pub fn parse(json: &Map<String, Value>) -> Result<Self, RestoreError> {
        let keys: Keys = serde_json::from_value(Value::Object(json.clone()))
            .map_err(|e| RestoreError::Config { key: "config.json", message: e.to_string() })?;
        let fail = |key, message: String| Err(RestoreError::Config { key, message });
        let gated = match keys.feed_forward_proj.as_deref().unwrap_or("relu") {
            "relu" => false,
            "gated-gelu" => true,
            other => {
                return fail(
                    "feed_forward_proj",
                    format!("\"{other}\"; known are \"relu\" and \"gated-gelu\""),
                );
            }
        };
        let sizes = [
            ("vocab_size", keys.vocab_size),
            ("d_model", keys.d_model),
            ("d_kv", keys.d_kv),
            ("d_ff", keys.d_ff),
            ("num_heads", keys.num_heads),
            ("num_layers", keys.num_layers),
        ];
        if let Some((key, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return fail(key, "0; at least 1 is needed".to_owned());
        }
        if keys.relative_attention_num_buckets < 4 || keys.relative_attention_max_distance < 2 {
            return fail(
                "relative_attention_num_buckets",
                "at least 4 buckets over 2 tokens are needed".to_owned(),
            );
        }
        Ok(Self {
            vocab_size: keys.vocab_size,
            d_model: keys.d_model,
            d_kv: keys.d_kv,
            d_ff: keys.d_ff,
            num_heads: keys.num_heads,
            encoder_layers: keys.num_layers,
            decoder_layers: keys.num_decoder_layers.unwrap_or(keys.num_layers),
            relative_buckets: keys.relative_attention_num_buckets,
            relative_max_distance: keys.relative_attention_max_distance,
            layer_norm_epsilon: keys.layer_norm_epsilon,
            gated,
            tied: keys.scale_decoder_outputs.or(keys.tie_word_embeddings).unwrap_or(true),
            dropout_rate: keys.dropout_rate,
            decoder_start_token_id: keys.decoder_start_token_id,
        })
    }
}
