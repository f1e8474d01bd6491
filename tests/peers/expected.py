"""What a model makes of three sequences: logits, the loss and its gradient, greedy continuations."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedConfig, PreTrainedModel

GREEDY_TOKENS = 12
# A smaller difference between the two best tokens might turn round by rounding.
LEAST_MARGIN = 1e-3
# A continuation that repeats itself would tell little of the cache.
LEAST_DISTINCT = 4
# Tokens; for a causal model the first one that is learned, for T5 the length of the labels.
CAUSAL = [(5, 2), (18, 7), (45, 30)]
ENCODER_DECODER = [(4, 3), (19, 10), (44, 25)]
# Logits over many classes are large.
BYTES = [(4, 3), (19, 6), (44, 9)]


@dataclass(frozen=True)
class Sequence:
    """One input without padding; `labels` are an encoder–decoder's, `label_start` is a causal model's."""

    input: torch.Tensor
    label_start: int | None = None
    labels: torch.Tensor | None = None
    decoder_input: torch.Tensor | None = None

    def logits(self, model: PreTrainedModel) -> torch.Tensor:
        """[tokens, vocabulary]; of an encoder–decoder the decoder's tokens."""
        decoder = {} if self.labels is None else {"decoder_input_ids": self.decoder_input[None]}
        return model(input_ids=self.input[None], use_cache=False, **decoder).logits[0]

    def loss(self, logits: torch.Tensor) -> torch.Tensor:
        """Sum of −ln p over the tokens that are learned."""
        if self.labels is not None:
            return cross_entropy(logits, self.labels, reduction="sum")
        start = self.label_start
        return cross_entropy(logits[start - 1 : -1], self.input[start:], reduction="sum")

    def greedy(self, model: PreTrainedModel) -> tuple[torch.Tensor, float]:
        """The tokens that follow the prompt, and the least lead of one of them; no lead where one ends the text."""
        prompt = self.input[: self.label_start][None]
        out = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            min_new_tokens=GREEDY_TOKENS,
            max_new_tokens=GREEDY_TOKENS,
            return_dict_in_generate=True,
            output_logits=True,
        )
        tokens = out.sequences[0, -GREEDY_TOKENS:]
        raw = torch.cat(out.logits)
        best = raw.topk(2).values
        margin = (best[:, 0] - best[:, 1]).min().item() if torch.equal(raw.argmax(-1), tokens) else 0.0
        return tokens.clone(), margin

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is known before any model runs."""
        start = None if self.label_start is None else torch.tensor([self.label_start])
        found = {"input": self.input, "label_start": start, "labels": self.labels, "decoder_input": self.decoder_input}
        return {name: tensor for name, tensor in found.items() if tensor is not None}


def sequences(config: PreTrainedConfig, rng: np.random.Generator) -> list[Sequence]:
    """Three random sequences that end with the end token."""
    # Of ByT5 bytes alone, no sentinels.
    top = min(config.vocab_size, 259)

    def draw(length: int) -> torch.Tensor:
        ids = rng.integers(3, top, length)
        ids[-1] = config.eos_token_id
        return torch.from_numpy(ids)

    if not config.is_encoder_decoder:
        return [Sequence(draw(length), label_start=start) for length, start in CAUSAL]
    found = []
    for length, labelled in ENCODER_DECODER if config.vocab_size < 256 else BYTES:
        ids, labels = draw(length), draw(labelled)
        first = torch.tensor([config.decoder_start_token_id])
        found.append(Sequence(ids, labels=labels, decoder_input=torch.cat([first, labels[:-1]])))
    return found


def logits_and_gradients(
    model: PreTrainedModel, inputs: list[Sequence], parameters: dict[str, torch.nn.Parameter]
) -> dict[str, torch.Tensor]:
    """Each sequence's logits, the summed loss, and its gradient by each of the parameters."""
    found, total = {}, torch.zeros(())
    for i, sequence in enumerate(inputs):
        found |= {f"{name}.{i}": tensor for name, tensor in sequence.tensors().items()}
        logits = sequence.logits(model)
        total = total + sequence.loss(logits)
        found[f"logits.{i}"] = logits.detach()
    gradients = torch.autograd.grad(total, list(parameters.values()))
    found |= {f"grad.{name}": gradient for name, gradient in zip(parameters, gradients, strict=True)}
    return found | {"loss": total.detach().reshape(1)}


def continuations(model: PreTrainedModel, inputs: list[Sequence]) -> dict[str, torch.Tensor]:
    """Each sequence's greedy continuation and its margin."""
    found = {}
    for i, sequence in enumerate(inputs):
        tokens, margin = sequence.greedy(model)
        found |= {f"greedy.{i}": tokens, f"greedy_margin.{i}": torch.tensor([margin])}
    return found


def is_telling(found: dict[str, torch.Tensor]) -> bool:
    """Whether no choice of a continuation is a close one, and none only repeats itself."""
    margins = [tensor.item() for name, tensor in found.items() if name.startswith("greedy_margin.")]
    distinct = [len(tensor.unique()) for name, tensor in found.items() if name.startswith("greedy.")]
    return min(margins) > LEAST_MARGIN and min(distinct) >= LEAST_DISTINCT
