//! What the metadata says about the network.

use super::file::GgufFile;
use crate::error::RestoreError;

/// The architectures that are imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama,
    Qwen2,
    Qwen3,
}

impl Architecture {
    const ALL: [Self; 3] = [Self::Llama, Self::Qwen2, Self::Qwen3];

    /// Its name in GGUF files, and as `model_type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// The class of transformers.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
        }
    }

    fn read(file: &GgufFile) -> Result<Self, RestoreError> {
        let name: &str = file.need("general.architecture")?;
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            file.error(format!(
                "the architecture \"{}\" is not imported; known are {known}",
                name.escape_debug()
            ))
        })
    }
}

/// The sizes of a network.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) architecture: Architecture,
    pub(super) layers: usize,
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) vocab: usize,
    pub(super) context: usize,
    pub(super) rms_eps: f64,
    pub(super) rope_theta: f64,
    /// Whether the embeddings are the output matrix too.
    pub(super) tied: bool,
    /// Whether queries, keys and values have biases.
    pub(super) biases: bool,
}

impl Shape {
    /// Reads and checks the metadata, and what the tensors alone tell.
    pub(super) fn read(file: &GgufFile) -> Result<Self, RestoreError> {
        let architecture = Architecture::read(file)?;
        let key = |name: &str| format!("{}.{name}", architecture.name());
        let positive = |name: &str, value: usize| match value {
            0 => Err(file.error(format!("metadata key `{}` is 0", key(name)))),
            value => Ok(value),
        };
        let need = |name: &str| positive(name, file.need(&key(name))?);
        let either = |name: &str, otherwise: usize| {
            file.get(&key(name))?.map_or(Ok(otherwise), |value| positive(name, value))
        };
        if file.get(&key("expert_count"))?.unwrap_or(0usize) > 0 {
            let message =
                format!("is a mixture of experts (`{}`), which is not imported", key("expert_count"));
            return Err(file.error(message));
        }
        let (hidden, heads) = (need("embedding_length")?, need("attention.head_count")?);
        let head_dim = either("attention.key_length", hidden / heads)?;
        let shape = Self {
            architecture,
            layers: need("block_count")?,
            hidden,
            intermediate: need("feed_forward_length")?,
            heads,
            kv_heads: either("attention.head_count_kv", heads)?,
            head_dim,
            vocab: vocab(file)?,
            context: need("context_length")?,
            rms_eps: file.need(&key("attention.layer_norm_rms_epsilon"))?,
            rope_theta: file.get(&key("rope.freq_base"))?.unwrap_or(10_000.0),
            tied: file.tensor_shape("output.weight").is_none(),
            biases: match architecture {
                Architecture::Llama => file.tensor_shape("blk.0.attn_q.bias").is_some(),
                Architecture::Qwen2 => true,
                Architecture::Qwen3 => false,
            },
        };
        if !shape.head_dim.is_multiple_of(2) || !shape.heads.is_multiple_of(shape.kv_heads) {
            let message = format!(
                "{} heads of {} values, {} of keys: heads must have an even size, and share keys evenly",
                shape.heads, shape.head_dim, shape.kv_heads
            );
            return Err(file.error(message));
        }
        let tensors = file.tensor_names().count();
        if shape.layers > tensors {
            let message = format!("has {} layers by its metadata, but only {tensors} tensors", shape.layers);
            return Err(file.error(message));
        }
        for name in ["attention.value_length", "rope.dimension_count"] {
            let value = either(name, head_dim)?;
            if value != head_dim {
                let message = format!(
                    "metadata key `{}` is {value}, but heads have {head_dim} values; such a model is not imported",
                    key(name)
                );
                return Err(file.error(message));
            }
        }
        Ok(shape)
    }
}

/// The rows of the embeddings: what the weights have, whatever the metadata says.
fn vocab(file: &GgufFile) -> Result<usize, RestoreError> {
    match file.tensor_shape("token_embd.weight") {
        Some([rows, _]) => Ok(*rows),
        Some(other) => {
            Err(file.error(format!("tensor `token_embd.weight` has shape {other:?}, not two dimensions")))
        }
        None => Err(file.error("has no tensor `token_embd.weight`; it is no language model, or incomplete")),
    }
}
