//! The files of a new, byte-level model.

use serde_json::{Map, Value, json};

use super::files::ModelFiles;
use super::settings::LmSettings;
use crate::decoder;
use crate::error::RestoreError;
use crate::t5;

/// Bytes, three special tokens, and the tokens that `ByT5` reserves.
const VOCAB_SIZE: usize = 384;

/// The files of what `settings` describe, but for the weights.
pub(super) fn files(settings: &LmSettings) -> Result<ModelFiles, RestoreError> {
    let family = settings.family.as_str();
    let Value::Object(mut config) = defaults(family)? else { unreachable!("defaults are objects") };
    if let Some((key, _)) = settings.config.iter().find(|(key, _)| key.as_str() == "model_type") {
        let message = format!("`{key}` is what `family` says");
        return Err(RestoreError::Config { key: "config", message });
    }
    config.extend(settings.config.clone());
    let tokenizer = json!({
        "tokenizer_class": "ByT5Tokenizer",
        "extra_ids": 125,
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    });
    let mut generation = Map::new();
    for key in ["pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"] {
        if let Some(value) = config.get(key) {
            generation.insert(key.to_owned(), value.clone());
        }
    }
    Ok(ModelFiles::new(
        config,
        vec![
            ("tokenizer_config.json".to_owned(), pretty(&tokenizer)),
            ("generation_config.json".to_owned(), pretty(&Value::Object(generation))),
        ],
    ))
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = format!("{value:#}").into_bytes();
    text.push(b'\n');
    text
}

fn defaults(family: &str) -> Result<Value, RestoreError> {
    let decoder = |architecture: &str| {
        json!({
            "architectures": [architecture],
            "model_type": family,
            "vocab_size": VOCAB_SIZE,
            "hidden_size": 256,
            "intermediate_size": 704,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 64,
            "hidden_act": "silu",
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.0,
            "tie_word_embeddings": true,
            "attention_dropout": 0.0,
            "initializer_range": 0.04,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "torch_dtype": "float32",
        })
    };
    Ok(match family {
        "llama" => decoder("LlamaForCausalLM"),
        "qwen2" => decoder("Qwen2ForCausalLM"),
        "qwen3" => decoder("Qwen3ForCausalLM"),
        t5::MODEL_TYPE => json!({
            "architectures": ["T5ForConditionalGeneration"],
            "model_type": family,
            "vocab_size": VOCAB_SIZE,
            "d_model": 256,
            "d_kv": 64,
            "d_ff": 1024,
            "num_heads": 4,
            "num_layers": 6,
            "num_decoder_layers": 2,
            "relative_attention_num_buckets": 32,
            "relative_attention_max_distance": 128,
            "layer_norm_epsilon": 1e-6,
            "dropout_rate": 0.0,
            "feed_forward_proj": "gated-gelu",
            "is_encoder_decoder": true,
            "tie_word_embeddings": false,
            "decoder_start_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "torch_dtype": "float32",
        }),
        other => {
            let known: Vec<_> = decoder::MODEL_TYPES.into_iter().chain([t5::MODEL_TYPE]).collect();
            let message = format!("\"{other}\" is none of {}", known.join(", "));
            return Err(RestoreError::Config { key: "family", message });
        }
    })
}
