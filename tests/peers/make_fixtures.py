"""Tiny models with what transformers and peft make of them, for the tests of crates/restorer.

    scripts/peers
    .venv-peers/bin/python tests/peers/make_fixtures.py [FOLDER]

Each folder holds a checkpoint as `save_pretrained` writes it and `expected.safetensors`, of which `make peers` tells
whether they still come out the same. The tensors of `expected.safetensors`, for i in 0..3, each sequence run alone:

    input.i              int64 [tokens]
    label_start.i        int64 [1], causal models: tokens from here on are learned, those before are the prompt
    labels.i             int64 [labels], T5: what the decoder is to say, with the end token
    decoder_input.i      int64 [labels], T5: the same, shifted right
    logits.i             float32 [tokens or labels, vocabulary]
    greedy.i             int64 [12], what follows the prompt or the encoder's input
    greedy_margin.i      float32 [1], the least difference of the two best logits on the way
    loss                 float32 [1], −ln p summed over all learned tokens of all sequences
    grad.NAME            float32, gradient of `loss` by the tensor NAME of the checkpoint (of the adapter, for LoRA)
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, ByT5Tokenizer, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from adapters import ADAPTERS, write_adapter
from byt5_tokens import write_tokens
from expected import continuations, is_telling, logits_and_gradients, sequences
from variants import FIRST_DRAW, VARIANTS
from weights import auto_class, random_model

MODELS = Path(__file__).resolve().parents[2] / "crates/restorer/tests/fixtures/models"
DRAWS = 1000


def parameters_of(model: PreTrainedModel, folder: Path) -> dict[str, torch.nn.Parameter]:
    """The model's parameters under the names that they have in the file."""
    named = dict(model.named_parameters(remove_duplicate=False))
    return {name: named[name] for name in sorted(load_file(folder / "model.safetensors"))}


def load(folder: Path) -> PreTrainedModel:
    """Read a checkpoint back, so that figures are of what the folder says."""
    config = AutoConfig.from_pretrained(folder)
    kind = auto_class(config)
    return kind.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


def edit_config(folder: Path, remove: list[str], **changes) -> None:
    """Change keys of a written configuration."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in config.items() if key not in remove}
    path.write_text(json.dumps(kept | changes, indent=2) + "\n", encoding="utf-8")


def write_checkpoint(folder: Path, name: str, config: PreTrainedConfig, rng: np.random.Generator) -> None:
    """Save a random model; ByT5's configuration is put as it is published, with neither key of transformers 5."""
    random_model(config, rng).save_pretrained(folder)
    if name == "byt5":
        edit_config(folder, ["scale_decoder_outputs"], tie_word_embeddings=False)
        ByT5Tokenizer().save_pretrained(folder)


def write_variant(models: Path, name: str, seed: int) -> None:
    """Write a checkpoint and what is expected of it; draws again until its continuations are telling."""
    folder = models / name
    first = FIRST_DRAW.get(name, 0)
    for draw in range(first, first + DRAWS):
        rng = np.random.default_rng([seed, draw])
        config = VARIANTS[name]()
        write_checkpoint(folder, name, config, rng)
        model = load(folder)
        inputs = sequences(config, rng)
        greedy = continuations(model, inputs)
        if is_telling(greedy):
            break
    else:
        raise RuntimeError(f"{name}: no draw has telling continuations")
    found = logits_and_gradients(model, inputs, parameters_of(model, folder))
    save_file(found | greedy, folder / "expected.safetensors")


def write_old_rope(models: Path) -> None:
    """The same model, its configuration as transformers 4 wrote it, and the figures of that."""
    new, old = models / "llama3-rope", models / "llama3-rope-old"
    shutil.copytree(new, old, dirs_exist_ok=True)
    rope = json.loads((new / "config.json").read_text(encoding="utf-8"))["rope_parameters"]
    theta = rope.pop("rope_theta")
    edit_config(old, ["rope_parameters", "dtype"], rope_scaling=rope, rope_theta=theta, torch_dtype="float32")
    expected = load_file(new / "expected.safetensors")
    if not torch.equal(load(old)(expected["input.2"][None]).logits[0], expected["logits.2"]):
        raise RuntimeError("transformers reads the old configuration otherwise than the new one")


def write_all(models: Path) -> None:
    """Write every fixture into a folder."""
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    # Of every T5 with a head of its own, that it has one.
    logging.set_verbosity_error()
    models.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(VARIANTS):
        write_variant(models, name, seed)
    write_old_rope(models)
    for seed, name in enumerate(ADAPTERS):
        write_adapter(models, name, 1000 + seed)
    write_tokens(models / "byt5-tokens.json")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else MODELS)
