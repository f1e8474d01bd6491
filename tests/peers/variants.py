"""Configurations of the tiny models: each has what its family is told apart by, and nothing divides too evenly."""

from transformers import LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config, T5Config

VOCABULARY = 64
# ByT5: three special tokens, 256 bytes, 125 sentinels.
BYTES = 384


def llama(**changes) -> LlamaConfig:
    """Two layers of Llama; `changes` are keyword arguments of its configuration."""
    settings = {
        "vocab_size": VOCABULARY,
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return LlamaConfig(**settings | changes)


def llama_rope(**rope) -> LlamaConfig:
    """Two wide heads, six frequencies each, of which the scaling leaves some, changes some, and blends some."""
    return llama(
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        rope_parameters={"rope_theta": 100.0, **rope},
    )


def qwen(kind: type[PreTrainedConfig], **changes) -> PreTrainedConfig:
    """Two layers of a Qwen."""
    return kind(
        vocab_size=VOCABULARY,
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
        **changes,
    )


def t5(**changes) -> T5Config:
    """Three encoder layers, one decoder layer; distances reach the buckets of logarithms, and beyond the last one."""
    settings = {
        "vocab_size": VOCABULARY,
        "d_model": 16,
        "d_kv": 6,
        "d_ff": 20,
        "num_layers": 3,
        "num_decoder_layers": 1,
        "num_heads": 3,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 16,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    }
    return T5Config(**settings | changes)


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

VARIANTS = {
    "llama": llama,
    "llama3-rope": lambda: llama_rope(**LLAMA3),
    "llama-linear-rope": lambda: llama_rope(rope_type="linear", factor=4.0),
    "llama-yarn": lambda: llama_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=32),
    "qwen2": lambda: qwen(Qwen2Config),
    "qwen3": lambda: qwen(Qwen3Config, head_dim=8),
    "t5-gated": t5,
    "t5-relu": lambda: t5(feed_forward_proj="relu", tie_word_embeddings=True, num_layers=2, num_decoder_layers=2),
    "byt5": lambda: t5(vocab_size=BYTES, d_model=8, d_kv=4, d_ff=12, num_layers=2, num_decoder_layers=2),
}

# Which draw of each is the first that has telling continuations; `make_fixtures.py` goes on from here where none is.
FIRST_DRAW = {"llama-linear-rope": 11, "llama-yarn": 1, "qwen3": 2, "t5-gated": 12, "t5-relu": 409, "byt5": 11}
