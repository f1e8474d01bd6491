//! `config.json` and `generation_config.json`, as transformers writes them.

use serde_json::{Map, Value, json};

use super::shape::{Architecture, Shape};
use super::tokenizer::SpecialIds;
use crate::weight_type::WeightType;

/// The configuration of the network.
pub(super) fn config_json(shape: &Shape, rope: &Value, special: SpecialIds, dtype: WeightType) -> Value {
    let mut config = json!({
        "architectures": [shape.architecture.class()],
        "attention_dropout": 0.0,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": shape.context,
        "model_type": shape.architecture.name(),
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": shape.rms_eps,
        "rope_scaling": rope,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": dtype.name(),
        "use_cache": true,
        "vocab_size": shape.vocab,
    });
    match shape.architecture {
        Architecture::Llama => {
            config["attention_bias"] = shape.biases.into();
            config["mlp_bias"] = false.into();
            config["pretraining_tp"] = 1.into();
        }
        Architecture::Qwen2 => config["use_sliding_window"] = false.into(),
        Architecture::Qwen3 => {
            config["attention_bias"] = false.into();
            config["use_sliding_window"] = false.into();
        }
    }
    for (key, id) in special.named() {
        config[key] = id.into();
    }
    config
}

/// Where generation begins and ends.
pub(super) fn generation_config_json(special: SpecialIds) -> Value {
    let mut config = Map::from_iter([("_from_model_config".to_owned(), Value::from(true))]);
    for (key, id) in special.named() {
        config.insert(key.to_owned(), id.into());
    }
    if let (Some(eos), Some(eot)) = (special.eos, special.end_of_turn.filter(|eot| special.eos != Some(*eot)))
    {
        config.insert("eos_token_id".to_owned(), json!([eos, eot]));
    }
    config.into()
}
