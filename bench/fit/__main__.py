"""What `corruptor fit` finds: known parameters again, and a better explanation of real pairs that it has not seen.

    python3 -m bench.fit [--program target/release/corruptor] [--corpus data/corpus] [--real ../shared/data/eval-dev]

Prints two Markdown tables. The first one makes pairs of the corpus with known parameters and compares. The second one
fits the even rows of real pairs (NAME.correct.txt and NAME.corrupt.txt, line by line, in the folder) and scores the odd
ones.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

OPERATIONS = ["deletion", "substitution", "insertion", "duplication", "reversal"]
# Rates and mean span lengths of pairs that are made, in the order of the operations.
CHANNELS = {
    "the default recipe": ([0.004] * 5, [1.5, 1.5, 1.5, 1.5, 3.0]),
    "rates from 0.001 to 0.016": ([0.016, 0.001, 0.004, 0.002, 0.008], [1.0, 2.5, 1.5, 4.0, 2.5]),
    "little noise": ([0.001, 0.002, 0.0015, 0.001, 0.001], [1.2, 1.1, 1.4, 2.0, 4.0]),
}
# Share of the corpus that is fitted: four million graphemes of the default one; chance is 2 % of a rate of 0.001 then.
SHARE = 0.3
# What scoring and fitting have in common where pairs are real.
REAL = ["corrupt.escape=1e-4", *(f"corrupt.{operation}.tail=0.1" for operation in OPERATIONS)]


def run(*command: object) -> str:
    """Runs a command; returns what it printed."""
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def processor_seconds() -> float:
    """What all commands have taken so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def overrides(values: list[str]) -> list[str]:
    """The command-line arguments of recipe overrides."""
    return [argument for value in values for argument in ("--set", value)]


def known(program: Path, corpus: Path, scratch: Path) -> float:
    """Fits pairs made with known parameters; prints the table, returns the largest relative error of a rate."""
    print("| channel | pairs | CPU s |" + "".join(f" {name} rate |" for name in OPERATIONS) + " means |")
    print("|---|---|---|" + "---|" * len(OPERATIONS) + "---|")
    worst = 0.0
    for number, (name, (rates, means)) in enumerate(CHANNELS.items()):
        recipe, pairs, fitted = (scratch / f"{number}{what}" for what in (".toml", "", ".fitted.toml"))
        tables = zip(OPERATIONS, rates, means, strict=True)
        recipe.write_text("".join(f"[corrupt.{o}]\nrate = {rate}\nmean = {mean}\n" for o, rate, mean in tables))
        generate = ["generate", "--recipe", recipe, "--input", corpus, "--out", pairs, "--no-cer"]
        run(program, *generate, *overrides([f"corpus.valid_share={SHARE}"]))
        begun = processor_seconds()
        # The parameters that were used are not those that fitting begins with.
        said = run(program, "fit", pairs / "valid", "--out", fitted)
        seconds = processor_seconds() - begun
        found = tomllib.loads(fitted.read_text())["corrupt"]
        cells = []
        for operation, rate in zip(OPERATIONS, rates, strict=True):
            error = found[operation]["rate"] / rate - 1
            worst = max(worst, abs(error))
            cells.append(f" {rate:g} ({100 * error:+.1f} %) |")
        lengths = [
            f"{mean:g} ({100 * (found[operation]['mean'] / mean - 1):+.1f} %)"
            for operation, mean in zip(OPERATIONS, means, strict=True)
        ]
        print(f"| {name} | {said.split()[0]} | {seconds:.0f} |{''.join(cells)} {', '.join(lengths)} |", flush=True)
    return worst


def real(program: Path, folder: Path, scratch: Path) -> bool:
    """Fits even rows of real pairs and scores odd ones; prints the table, returns whether all gained."""
    print("| pairs | rows | default recipe | fitted | gain | iterations | CPU s |")
    print("|---|---|---|---|---|---|---|")
    default, gained = scratch / "default.toml", True
    default.write_text("")
    for correct in sorted(folder.glob("*.correct.txt")):
        name = correct.name.removesuffix(".correct.txt")
        pairs, fitted = scratch / name, scratch / f"{name}.toml"
        corrupted = folder / f"{name}.corrupt.txt"
        run(program, "import", "--correct", correct, "--corrupted", corrupted, "--split", "test", "--out", pairs)
        begun = processor_seconds()
        said = run(program, "fit", pairs / "test", "--out", fitted, "--rows", "even", *overrides(REAL))
        seconds = processor_seconds() - begun
        iterations = re.search(r"after (\d+) iterations", said)[1]
        scored = []
        for recipe, sets in ((default, REAL), (fitted, [])):
            score = ["score", pairs / "test", "--recipe", recipe, "--rows", "odd", *overrides(sets)]
            text = run(program, *score)
            scored.append(float(re.search(r"([\d.]+) a grapheme", text)[1]))
            rows = text.split()[0]
        before, after = scored
        gained &= after < before
        print(
            f"| {name} | {rows} | {before:.4f} | {after:.4f} | {100 * (1 - after / before):.1f} % |"
            f" {iterations} | {seconds:.0f} |",
            flush=True,
        )
    return gained


def main() -> int:
    """Prints both tables; fails where a rate is off by more than 5 %, or real pairs are explained no better."""
    parser = argparse.ArgumentParser(prog="bench.fit", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--program", type=Path, default=Path("target/release/corruptor"), metavar="FILE")
    add("--corpus", type=Path, default=Path("data/corpus"), metavar="DIR", help="texts to make pairs of [%(default)s]")
    add("--real", type=Path, default=Path("../shared/data/eval-dev"), metavar="DIR", help="real pairs [%(default)s]")
    arguments = parser.parse_args()
    for path in (arguments.program, arguments.corpus):
        if not path.exists():
            print(f"{path} is missing; run `make build`, and `dvc repro corpus`, or name another one", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as scratch:
        worst = known(arguments.program, arguments.corpus, Path(scratch))
        print(f"\nLargest relative error of a rate: {100 * worst:.1f} %.\n")
        if not arguments.real.is_dir():
            print(f"No real pairs: {arguments.real} is absent.")
            return 0 if worst <= 0.05 else 1
        gained = real(arguments.program, arguments.real, Path(scratch))
    return 0 if worst <= 0.05 and gained else 1


if __name__ == "__main__":
    sys.exit(main())
