"""Training steps in PyTorch; prints one line of JSON. Runs in the peers' environment."""

import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.utils import logging

Batch = tuple[torch.Tensor, torch.Tensor]


class Weights:
    """The model's weights and their optimizer."""

    def __init__(self, model: nn.Module, learning_rate: float):
        """Take the model's parameters as they are."""
        self.optimizer = self.adamw(list(model.parameters()), learning_rate)

    @staticmethod
    def adamw(parameters: list[torch.Tensor], learning_rate: float) -> torch.optim.AdamW:
        """What the comparison prescribes."""
        return torch.optim.AdamW(
            parameters, lr=learning_rate, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0, fused=True
        )

    def update(self) -> None:
        """Use up the gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


class Masters(Weights):
    """Weights in bfloat16, which follow float32 masters."""

    def __init__(self, model: nn.Module, learning_rate: float):
        """Copy the parameters, then round the model's."""
        masters = [parameter.detach().clone() for parameter in model.parameters()]
        model.to(torch.bfloat16)
        self.masters, self.rounded = masters, list(model.parameters())
        self.optimizer = self.adamw(masters, learning_rate)

    def update(self) -> None:
        """Bring gradients to the masters, and the masters' values back."""
        for master, rounded in zip(self.masters, self.rounded, strict=True):
            master.grad = rounded.grad.float()
            rounded.grad = None
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(self.rounded, self.masters)


def load(folder: Path, device: str) -> nn.Module:
    """The checkpoint in float32, with scaled_dot_product_attention."""
    config = AutoConfig.from_pretrained(folder)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    return model.train().to(device)


def loss_of(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Mean of −ln p over all labels."""
    ids, labels = batch
    decoder = {"decoder_input_ids": model._shift_right(labels)} if model.config.is_encoder_decoder else {}
    logits = model(input_ids=ids, use_cache=False, **decoder).logits
    return cross_entropy(logits.float().flatten(0, 1), labels.flatten())


def tokens_of(model: nn.Module, batch: Batch) -> int:
    """Labels, and an encoder's tokens."""
    ids, labels = batch
    return labels.numel() + (ids.numel() if model.config.is_encoder_decoder else 0)


def train(model: nn.Module, weights: Weights, batches: list[Batch], arguments: argparse.Namespace) -> dict:
    """Train; return speed and losses."""
    autocast = nullcontext()
    if arguments.dtype == "bf16" and arguments.bf16_by == "autocast":
        autocast = torch.autocast(arguments.device, dtype=torch.bfloat16)
    wait = torch.cuda.synchronize if arguments.device == "cuda" else lambda: None
    losses, tokens, start = [], 0, 0.0
    for step in range(arguments.warmup + arguments.steps):
        if step == arguments.warmup:
            wait()
            start = time.perf_counter()
        batch = batches[step % len(batches)]
        with autocast:
            loss = loss_of(model, batch)
        loss.backward()
        weights.update()
        losses.append(loss.detach())
        tokens += tokens_of(model, batch) if step >= arguments.warmup else 0
    wait()
    seconds = time.perf_counter() - start
    losses = [loss.item() for loss in losses]
    return {
        "tokens_per_s": tokens / seconds,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "losses": losses,
    }


def main() -> None:
    """Train as told, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--model", type=Path, required=True)
    add("--batches", type=Path, required=True)
    add("--steps", type=int, required=True)
    add("--warmup", type=int, default=0)
    add("--dtype", choices=["f32", "bf16"], default="f32")
    add("--bf16-by", choices=["autocast", "masters"], default="autocast")
    add("--threads", type=int, default=2)
    add("--learning-rate", type=float, default=1e-3)
    add("--device", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args()
    # That a T5 has a head of its own is a warning in transformers 5.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, arguments.device)
    masters = arguments.dtype == "bf16" and arguments.bf16_by == "masters"
    weights = (Masters if masters else Weights)(model, arguments.learning_rate)
    tensors = {name: tensor.to(arguments.device) for name, tensor in load_file(arguments.batches).items()}
    batches = [(tensors[f"input.{i}"], tensors[f"labels.{i}"]) for i in range(len(tensors) // 2)]
    said = {"contender": "torch", "model": arguments.model.name, "dtype": arguments.dtype}
    print(json.dumps(said | train(model, weights, batches, arguments)))


if __name__ == "__main__":
    main()
