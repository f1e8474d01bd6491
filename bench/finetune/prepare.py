"""Writes what both contenders start from: checkpoints and batches. Runs in the peers' environment."""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, LlamaConfig, T5Config
from transformers.utils import logging

from bench.finetune.batches import causal_batches, passages, seq2seq_batches

# ByT5's: three special tokens, 256 bytes, 125 sentinels.
VOCABULARY = 384


def t5() -> nn.Module:
    """ByT5 made small: a deep encoder, a shallow decoder, a head of its own."""
    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=256,
        d_kv=64,
        d_ff=1024,
        num_heads=4,
        num_layers=6,
        num_decoder_layers=2,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        tie_word_embeddings=False,
        decoder_start_token_id=0,
    )
    model = AutoModelForSeq2SeqLM.from_config(config, dtype=torch.float32)
    # transformers 5 ties the head of every new T5, whatever the configuration says.
    model.lm_head.weight = nn.Parameter(torch.randn(VOCABULARY, config.d_model) * config.d_model**-0.5)
    model.all_tied_weights_keys.pop("lm_head.weight")
    return model


def llama() -> nn.Module:
    """A small Llama of bytes."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=720,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def main() -> None:
    """Write t5/ and llama/, each with its batches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    found, said = passages(arguments.pairs)
    for make, batches in ((t5, seq2seq_batches), (llama, causal_batches)):
        torch.manual_seed(1)
        model, folder = make(), arguments.out / make.__name__
        model.save_pretrained(folder)
        # Ours asks how a model reads texts.
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}\n')
        save_file(batches(found), folder / "batches.safetensors")
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        print(f"{make.__name__}: {millions:.2f} million parameters; batches of {said}", flush=True)


if __name__ == "__main__":
    main()
