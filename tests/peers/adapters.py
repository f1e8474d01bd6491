"""LoRA adapters that peft trains and saves, over the tiny models."""

import json
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from expected import logits_and_gradients, sequences
from weights import auto_class, draw

# Name: its base and its settings.
ADAPTERS = {
    "lora-llama": ("llama", {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"]}),
    "lora-rslora": (
        "qwen2",
        {
            "r": 4,
            "lora_alpha": 8,
            "use_rslora": True,
            "target_modules": "all-linear",
            "rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 6},
            "alpha_pattern": {"down_proj": 3, "layers.0.self_attn.o_proj": 5},
        },
    ),
    "lora-t5": ("t5-gated", {"r": 3, "lora_alpha": 6, "target_modules": ["q", "v"]}),
}


def write_adapter(models: Path, name: str, seed: int) -> None:
    """Write an adapter's folder beside its base's, which must be there."""
    base_name, settings = ADAPTERS[name]
    config = AutoConfig.from_pretrained(models / base_name)
    rng = np.random.default_rng(seed)
    base = auto_class(config).from_pretrained(models / base_name, attn_implementation="eager", dtype=torch.float32)
    task = TaskType.SEQ_2_SEQ_LM if config.is_encoder_decoder else TaskType.CAUSAL_LM
    model = get_peft_model(base, LoraConfig(task_type=task, **settings)).eval()
    trained = {key: value for key, value in model.named_parameters() if "lora_" in key}
    draw(model, rng, sorted(trained))
    model.peft_config["default"].base_model_name_or_path = base_name
    folder = models / name
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    sort_lists(folder / "adapter_config.json")

    # The file leaves the adapter's name out.
    by_file_name = {key.replace(".default.", "."): value for key, value in trained.items()}
    if by_file_name.keys() != load_file(folder / "adapter_model.safetensors").keys():
        raise RuntimeError(f"{name}: peft saves other tensors than it trains")
    found = logits_and_gradients(model, sequences(config, rng), dict(sorted(by_file_name.items())))
    save_file(found, folder / "expected.safetensors")


def sort_lists(path: Path) -> None:
    """Put lists in order: peft writes what were sets, in the order of their hashes."""
    config = json.loads(path.read_text(encoding="utf-8"))
    ordered = {key: sorted(value) if isinstance(value, list) else value for key, value in config.items()}
    path.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
