"""A decoder as a prior, a counted prior, and both mixed: bits a byte, and errors that are gone.

    python3 -m bench.prior.mixture [--decoder bench/models/prior] [--counted models/default]
        [--recipe recipes/large.toml] [--corpus data/large] [--pairs data/pairs/test] [--limit 60]
        [--programs target/release]

Prints a Markdown table. All three decode as the counted prior has learned to (`decoding` and `min_confidence` of its
`restorer.json`): what differs is the prior alone.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run(*command: object) -> None:
    """Runs a command; what it says goes to the terminal's standard error."""
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def decode_as(model: Path, counted: dict) -> None:
    """Lets a checkpoint decode as another one does."""
    path = model / "restorer.json"
    changed = json.loads(path.read_text()) | {key: counted[key] for key in ("decoding", "min_confidence", "recipe")}
    path.write_text(json.dumps(changed))


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.prior.mixture", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--decoder", type=Path, default=Path("bench/models/prior"), metavar="DIR", help="[%(default)s]")
    add("--counted", type=Path, default=Path("models/default"), metavar="DIR", help="[%(default)s]")
    add("--recipe", type=Path, default=Path("recipes/large.toml"), metavar="FILE", help="of the corpus [%(default)s]")
    add("--corpus", type=Path, default=Path("data/large"), metavar="DIR", help="[%(default)s]")
    add("--share", default="0.01", help="of the held-out text that bits are measured on [%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs/test"), metavar="DIR", help="[%(default)s]")
    add("--limit", default="60", metavar="N", help="pairs that are restored [%(default)s]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    finetune = arguments.programs / "finetune"
    counted = json.loads((arguments.counted / "restorer.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        mixed = Path(folder) / "mixed"
        run(
            *(finetune, "train", "--family", "ensemble", "--recipe", arguments.recipe, "--corpus", arguments.corpus),
            *("--set", f'model.parts=["{arguments.decoder}", "{arguments.counted}"]', "--out", mixed),
            *("--set", f"model.held_out_share={arguments.share}"),
        )
        metrics = json.loads((mixed / "restorer.json").read_text())["metrics"]
        weights = [part["weight"] for part in metrics["parts"]]
        bits = [part["valid_bits_per_byte"] for part in metrics["parts"]] + [metrics["valid_bits_per_byte"]]
        models = [arguments.decoder, arguments.counted, mixed]
        names = ["decoder", "counted", f"{weights[0]:.2f} × decoder + {weights[1]:.2f} × counted"]
        print("| prior | bits a byte | CER before % | after % | less % (95 % interval) | clean touched % | seconds |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for name, model, cost in zip(names, models, bits, strict=True):
            place = Path(folder) / "model"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(model, place)
            decode_as(place, counted)
            path = Path(folder) / "metrics.json"
            begun = time.monotonic()
            run(
                *(finetune, "evaluate", "--model", place, "--pairs", arguments.pairs),
                *("--limit", arguments.limit, "--metrics", path),
            )
            seconds = time.monotonic() - begun
            found = json.loads(path.read_text())
            low, high = (100 * found[key] for key in ("reduction_low", "reduction_high"))
            print(
                f"| {name} | {cost:.3f} | {100 * found['cer_before']:.2f} | {100 * found['cer_after']:.2f} "
                f"| {100 * found['reduction']:.1f} ({low:.1f} to {high:.1f}) | {100 * (found['harm'] or 0):.1f} "
                f"| {seconds:.0f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
