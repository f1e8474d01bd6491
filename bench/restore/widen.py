"""A T5 made wider without making it another: what a larger one costs, with the output of a small one.

    python3 -m bench.restore.widen MODEL OUT [--d-model 384] [--d-ff 1024] [--num-heads 8]

New channels of the residual stream stay 0, for nothing writes to them; new heads and units compute something of random
weights that nothing reads (function-preserving transformations, Chen, Goodfellow and Shlens 2016, arXiv 1511.05641).
RMS norms divide by the mean over more channels, which their weights and epsilon make up for. Every product has the
size of the larger model, so that its time is that of one that was trained in this size.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

READS = ("q.weight", "k.weight", "v.weight", "wi_0.weight", "wi_1.weight", "wi.weight", "lm_head.weight")


def widened(
    name: str, old: np.ndarray, shape: tuple[int, ...], scale: float, random: np.random.Generator
) -> np.ndarray:
    """Return a weight in its new shape; `scale` is for norms."""
    new = np.zeros(shape, np.float32)
    if name.endswith(READS):
        # As large as the trained ones: what they compute is of the same size.
        new = random.normal(0.0, float(old.std()), shape).astype(np.float32)
    elif name.endswith("norm.weight"):
        old = old * scale
    new[tuple(slice(0, length) for length in old.shape)] = old
    return new


def widen(model: Path, out: Path, d_model: int, d_ff: int, num_heads: int) -> int:
    """Write the wider model and return the number of its weights."""
    out.mkdir(parents=True, exist_ok=True)
    for path in model.iterdir():
        if path.is_file() and path.suffix != ".safetensors":
            shutil.copy(path, out)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    ratio = d_model / config["d_model"]
    inner = num_heads * config["d_kv"]
    sizes = {config["d_model"]: d_model, config["d_ff"]: d_ff}
    random = np.random.default_rng(1)
    weights = {}
    for name, old in load_file(model / "model.safetensors").items():
        if "relative_attention_bias" in name:
            shape = (old.shape[0], num_heads)
        elif name.endswith(("q.weight", "k.weight", "v.weight")):
            shape = (inner, d_model)
        elif name.endswith(".o.weight"):
            shape = (d_model, inner)
        elif name.endswith(("wi_0.weight", "wi_1.weight", "wi.weight")):
            shape = (d_ff, d_model)
        elif name.endswith(".wo.weight"):
            shape = (d_model, d_ff)
        elif name.endswith(("shared.weight", "lm_head.weight")):
            shape = (old.shape[0], d_model)
        else:
            shape = tuple(sizes[length] for length in old.shape)
        weights[name] = widened(name, old.astype(np.float32), shape, ratio**-0.5, random)
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    config |= {"d_model": d_model, "d_ff": d_ff, "num_heads": num_heads}
    config["layer_norm_epsilon"] /= ratio
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return sum(weight.size for weight in weights.values())


def main() -> None:
    """Widen a model."""
    parser = argparse.ArgumentParser(prog="bench.restore.widen", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--d-model", type=int, default=384, metavar="N", help="[%(default)s]")
    parser.add_argument("--d-ff", type=int, default=1024, metavar="N", help="[%(default)s]")
    parser.add_argument("--num-heads", type=int, default=8, metavar="N", help="[%(default)s]")
    arguments = parser.parse_args()
    count = widen(arguments.model, arguments.out, arguments.d_model, arguments.d_ff, arguments.num_heads)
    print(f"{arguments.out}: {count / 1e6:.1f} million weights")


if __name__ == "__main__":
    main()
