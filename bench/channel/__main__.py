"""Channel decoding of noise that the project's channel did not make, with the recipe's channel and with a fitted one.

    python3 -m bench.channel --model models/prior [--programs target/release] [--real ../shared/data/eval-dev]

Prints a Markdown table. Of each set of real pairs (NAME.correct.txt and NAME.corrupt.txt, line by line), even lines,
evenly spaced, fit the channel, and nothing else; odd ones are restored.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

OPERATIONS = ["deletion", "substitution", "insertion", "duplication", "reversal"]
# Real noise knows no bounds: what fitting begins with.
REAL = ["corrupt.escape=1e-4", *(f"corrupt.{operation}.tail=0.1" for operation in OPERATIONS)]


def run(*command: object) -> str:
    """Runs a command; returns what it printed."""
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def lines(correct: Path, corrupted: Path, first: int, most: int, folder: Path) -> tuple[Path, Path]:
    """Writes every second line from `first` on, evenly spaced, at most `most` of them."""
    pairs = list(zip(correct.read_text().splitlines(), corrupted.read_text().splitlines(), strict=True))[first::2]
    step = max(1, len(pairs) // most)
    chosen = pairs[::step][:most]
    paths = (folder / f"{first}.correct.txt", folder / f"{first}.corrupt.txt")
    for path, texts in zip(paths, zip(*chosen, strict=True), strict=True):
        path.write_text("".join(f"{text}\n" for text in texts))
    return paths


def percent(figures: dict) -> str:
    """CER after and the share of errors that is gone, with its interval."""
    reduction, low, high = (100 * figures[key] for key in ("reduction", "reduction_low", "reduction_high"))
    return f"{100 * figures['cer_after']:.2f} | {reduction:.1f} ({low:.1f} to {high:.1f}) |"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.channel", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="DIR", help="checkpoint of a prior")
    add(
        "--programs",
        type=Path,
        default=Path("target/release"),
        metavar="DIR",
        help="where the programs are [%(default)s]",
    )
    add("--real", type=Path, default=Path("../shared/data/eval-dev"), metavar="DIR", help="real pairs [%(default)s]")
    add("--lines", type=int, default=500, metavar="N", help="odd lines that are restored [%(default)s]")
    add("--fit-lines", type=int, default=1000, metavar="N", help="even lines that are fitted [%(default)s]")
    arguments = parser.parse_args()
    corruptor, finetune = arguments.programs / "corruptor", arguments.programs / "finetune"
    if not arguments.real.is_dir():
        print(f"No real pairs: {arguments.real} is absent.")
        return 0
    for path in (corruptor, finetune, arguments.model):
        if not path.exists():
            print(f"{path} is missing; `make build` makes the programs, `finetune train` the prior", file=sys.stderr)
            return 2
    print(
        "| pairs | lines | CER before % | recipe's channel: after | % less (95 % interval) | fitted: after | % less |"
    )
    print("|---|---|---|---|---|---|---|")
    for correct in sorted(arguments.real.glob("*.correct.txt")):
        name = correct.name.removesuffix(".correct.txt")
        corrupted = arguments.real / f"{name}.corrupt.txt"
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            even, odd, fitted = folder / "even", folder / "odd", folder / "fitted.toml"
            for pairs, first, most in ((even, 0, arguments.fit_lines), (odd, 1, arguments.lines)):
                left, right = lines(correct, corrupted, first, most, folder)
                run(corruptor, "import", "--split", "test", "--correct", left, "--corrupted", right, "--out", pairs)
            sets = [argument for value in REAL for argument in ("--set", value)]
            run(corruptor, "fit", even / "test", "--out", fitted, *sets)
            found = []
            for channel in ([], ["--channel", fitted]):
                metrics = folder / "metrics.json"
                evaluate = ["evaluate", "--model", arguments.model, "--pairs", odd / "test", "--metrics", metrics]
                run(finetune, *evaluate, *channel)
                found.append(json.loads(metrics.read_text()))
            default, other = found
            before = f"{100 * default['cer_before']:.2f}"
            row = f"| {name} | {default['texts']} | {before} | {percent(default)} {percent(other)}"
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
