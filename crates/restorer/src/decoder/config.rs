//! `config.json` of decoder-only models.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::frequencies::{RopeJson, frequencies};
use crate::error::RestoreError;
use crate::layers::RopeFrequencies;

/// The `model_type`s that this family loads.
pub const MODEL_TYPES: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// What the network needs to know.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in config.json")]
pub struct DecoderConfig {
    /// One of [`MODEL_TYPES`].
    pub model_type: &'static str,
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Layers.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads.
    pub num_kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Added to the mean square in the norms.
    pub rms_norm_eps: f32,
    /// How fast the rotary pairs turn, scaling included.
    pub frequencies: RopeFrequencies,
    /// Tokens that the model was made for.
    pub max_position_embeddings: usize,
    /// Whether the output layer is the embedding table.
    pub tie_word_embeddings: bool,
    /// Whether queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Whether the attention's output has a bias.
    pub output_bias: bool,
    /// Whether the maps of the MLP have biases.
    pub mlp_bias: bool,
    /// Whether queries and keys are normalized, head by head.
    pub qk_norm: bool,
    /// Dropout on attention weights while training.
    pub attention_dropout: f32,
    /// Deviation of new weights.
    pub initializer_range: f32,
}

/// The keys as they stand in the file.
#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in config.json")]
struct Keys {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "default_eps")]
    rms_norm_eps: f32,
    #[serde(default = "default_positions")]
    max_position_embeddings: usize,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    attention_dropout: f32,
    #[serde(default = "default_range")]
    initializer_range: f32,
    hidden_act: Option<String>,
    #[serde(default)]
    use_sliding_window: bool,
    #[serde(flatten)]
    rope: RopeJson,
}

fn default_eps() -> f32 {
    1e-6
}

fn default_positions() -> usize {
    2048
}

fn default_range() -> f32 {
    0.02
}

impl DecoderConfig {
    /// Reads the values of a `config.json` whose `model_type` is one of [`MODEL_TYPES`].
    ///
    /// # Errors
    /// If a key is missing or asks for something that this family cannot do (the error names it).
    pub fn parse(json: &Map<String, Value>) -> Result<Self, RestoreError> {
        let fail = |key, message: String| Err(RestoreError::Config { key, message });
        let model_type = json.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let Some(model_type) = MODEL_TYPES.into_iter().find(|known| *known == model_type) else {
            return fail("model_type", format!("\"{model_type}\" is none of {}", MODEL_TYPES.join(", ")));
        };
        let keys: Keys = serde_json::from_value(Value::Object(json.clone()))
            .map_err(|e| RestoreError::Config { key: "config.json", message: e.to_string() })?;
        if let Some(act) = keys.hidden_act.as_deref().filter(|act| !["silu", "swish"].contains(act)) {
            return fail("hidden_act", format!("\"{act}\"; this family knows \"silu\""));
        }
        if keys.use_sliding_window {
            return fail("use_sliding_window", "sliding windows are not supported".to_owned());
        }
        let heads = keys.num_attention_heads;
        let sizes = [
            ("vocab_size", keys.vocab_size),
            ("hidden_size", keys.hidden_size),
            ("intermediate_size", keys.intermediate_size),
            ("num_hidden_layers", keys.num_hidden_layers),
            ("num_attention_heads", heads),
        ];
        if let Some((key, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return fail(key, "0; at least 1 is needed".to_owned());
        }
        let num_kv_heads = keys.num_key_value_heads.unwrap_or(heads);
        if num_kv_heads == 0 || !heads.is_multiple_of(num_kv_heads) {
            return fail("num_key_value_heads", format!("{num_kv_heads} is no divisor of {heads}"));
        }
        let head_dim = keys.head_dim.unwrap_or(keys.hidden_size / heads);
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            return fail("head_dim", format!("{head_dim}; an even number above 0 is needed"));
        }
        Ok(Self {
            model_type,
            vocab_size: keys.vocab_size,
            hidden_size: keys.hidden_size,
            intermediate_size: keys.intermediate_size,
            num_layers: keys.num_hidden_layers,
            num_heads: heads,
            num_kv_heads,
            head_dim,
            rms_norm_eps: keys.rms_norm_eps,
            frequencies: frequencies(&keys.rope, head_dim, keys.max_position_embeddings)?,
            max_position_embeddings: keys.max_position_embeddings,
            tie_word_embeddings: keys.tie_word_embeddings,
            qkv_bias: keys.attention_bias || model_type == "qwen2",
            output_bias: keys.attention_bias,
            mlp_bias: keys.mlp_bias,
            qk_norm: model_type == "qwen3",
            attention_dropout: keys.attention_dropout,
            initializer_range: keys.initializer_range,
        })
    }
}
