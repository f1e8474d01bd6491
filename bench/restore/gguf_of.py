"""Writes a byte-level Llama as GGUF, for llama.cpp. Runs in the peers' environment.

    python -m bench.restore.gguf_of MODEL OUT [--type q8_0]

The model is a float32 checkpoint in the Hugging Face layout. The file has no vocabulary: it is given tokens. Matrices
are of the type that is asked for, the embedding among them, as llama.cpp's own quantizer has it; norms stay float32.
"""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from safetensors.numpy import load_file

TYPES = {"f32": (Type.F32, gguf.LlamaFileType.ALL_F32), "q8_0": (Type.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0)}
OF_MODEL = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
OF_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """A tensor's name in the file."""
    if name in OF_MODEL:
        return OF_MODEL[name]
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{OF_LAYER[part]}.weight"


def interleaved(weights: np.ndarray, heads: int) -> np.ndarray:
    """Put the rows of the second half of each head between those of the first: llama.cpp rotates neighbours."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def add_metadata(writer: GGUFWriter, config: dict) -> None:
    """Write what llama.cpp asks of a Llama."""
    heads = config["num_attention_heads"]
    dimension = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(dimension)
    writer.add_value_length(dimension)
    writer.add_rope_dimension_count(dimension)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--type", choices=TYPES, default="f32")
    arguments = parser.parse_args()
    config = json.loads((arguments.model / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] != "llama" or config.get("rope_scaling"):
        raise SystemExit("only a Llama of unscaled positions is written here")
    kind, file_type = TYPES[arguments.type]
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    writer = GGUFWriter(arguments.out, "llama")
    add_metadata(writer, config)
    writer.add_file_type(file_type)
    for name, weights in load_file(arguments.model / "model.safetensors").items():
        written = gguf_name(name)
        turned = heads.get(written.split(".")[-2])
        rows = interleaved(weights, turned) if turned else weights
        of = kind if rows.ndim == 2 else Type.F32
        writer.add_tensor(written, gguf.quantize(rows, of), raw_dtype=of)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
