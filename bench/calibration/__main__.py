"""How near the realized character error rate comes to the target: five mixes of operations, three targets.

    python3 -m bench.calibration [--program target/release/corruptor] [--corpus data/corpus]

Makes the pairs of the whole corpus for each mix and target, and reads the error rate that `corruptor inspect` counts.
Prints a Markdown table; the error is in percentage points.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

OPERATIONS = ["deletion", "substitution", "insertion", "duplication", "reversal"]
MIXES = {
    "all alike": [1, 1, 1, 1, 1],
    "deletion alone": [1, 0, 0, 0, 0],
    "substitution and insertion": [0, 3, 1, 0, 0],
    "duplication and reversal": [0, 0, 0, 1, 1],
    "mostly reversal": [1, 1, 1, 1, 12],
}
TARGETS = [0.01, 0.05, 0.15]


def realized(program: Path, corpus: Path, recipe: Path, rates: list[int], target: float) -> tuple[float, int]:
    """Makes pairs for a target; returns their error rate and the bytes of their originals."""
    sets = [f"corrupt.{name}.rate={0.0004 * rate}" for name, rate in zip(OPERATIONS, rates, strict=True)]
    with tempfile.TemporaryDirectory() as scratch:
        pairs, metrics = Path(scratch) / "pairs", Path(scratch) / "metrics.json"
        overrides = [argument for value in sets for argument in ("--set", value)]
        command = [program, "generate", "--recipe", recipe, "--input", corpus, "--out", pairs, "--cer", str(target)]
        subprocess.run([*command, *overrides], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        command = [program, "inspect", pairs, "--metrics", metrics]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        splits = json.loads(metrics.read_text()).values()
    graphemes = sum(split["graphemes"] for split in splits)
    edits = sum(split["cer"] * split["graphemes"] for split in splits)
    return edits / graphemes, sum(split["original_bytes"] for split in splits)


def main() -> int:
    """Measures all mixes and targets; fails where one is missed by 0.1 percentage points."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", type=Path, default=Path("target/release/corruptor"))
    parser.add_argument("--corpus", type=Path, default=Path("data/corpus"))
    parser.add_argument("--recipe", type=Path, default=Path("recipes/default.toml"))
    arguments = parser.parse_args()
    for path in (arguments.program, arguments.corpus):
        if not path.exists():
            print(f"{path} is missing; run `make build`, and `dvc repro corpus`, or name another one", file=sys.stderr)
            return 2
    print("| mix | " + " | ".join(f"target {100 * target:g} %" for target in TARGETS) + " |")
    print("|---|" + "---|" * len(TARGETS))
    worst, size = 0.0, 0
    for name, rates in MIXES.items():
        cells = []
        for target in TARGETS:
            found, size = realized(arguments.program, arguments.corpus, arguments.recipe, rates, target)
            worst = max(worst, abs(found - target))
            cells.append(f"{100 * found:.4f} % ({100 * (found - target):+.4f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nOriginals: {size / 1e6:.1f} MB. Largest error: {100 * worst:.4f} percentage points.")
    return 0 if worst < 0.001 else 1


if __name__ == "__main__":
    sys.exit(main())
