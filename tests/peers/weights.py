"""Random weights that are symmetric in nothing: no norm is one, no bias is zero, no head is tied but by design."""

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedConfig, PreTrainedModel

STD = 0.3


def draw(module: nn.Module, rng: np.random.Generator, names: list[str]) -> None:
    """Fill the parameters of these names, in their order."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    for name in names:
        values = rng.normal(0.0, STD, parameters[name].shape)
        around = 1.0 if "norm" in name and name.endswith(".weight") else 0.0
        parameters[name].data = torch.from_numpy((around + values).astype(np.float32))


def auto_class(config: PreTrainedConfig) -> type:
    """The class that loads a model of this configuration."""
    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def untie(model: PreTrainedModel) -> None:
    """Give a T5 v1.1 a head of its own: transformers 5 ties that of every new T5, whatever the configuration says."""
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    model.all_tied_weights_keys.pop("lm_head.weight")


def random_model(config: PreTrainedConfig, rng: np.random.Generator) -> PreTrainedModel:
    """Make a model with random weights, float32, in evaluation mode."""
    model = auto_class(config).from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    if config.is_encoder_decoder and not config.scale_decoder_outputs:
        untie(model)
    draw(model, rng, sorted(dict(model.named_parameters())))
    return model
