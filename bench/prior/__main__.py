"""Bits a byte of held-out text: the counted prior at several sizes, beside PPMd and KenLM, of the same texts.

    pip install -r bench/prior/requirements.txt
    python3 -m bench.prior [--programs target/release] [--corpus data/corpus] [--pairs data/pairs] [--kenlm DIR]

Prints Markdown tables and draws prior.svg. The pairs must be those of the recipe and the corpus; of them, only the
originals are read. KenLM is left out unless `--kenlm` names its programs (bench/prior/kenlm.py tells how to build
them). Nothing is chosen by looking at the test passages.
"""

import argparse
import sys
from pathlib import Path

from bench.channel.figures import work_folder
from bench.prior import counted, rows, texts
from bench.prior.figure import draw


def print_sizes(budgets: list[float], ours: list[rows.Row], kenlm: list[rows.Row], ppmd: list[rows.Row]) -> None:
    """A line a budget."""
    print("| at most MiB | ours | bits a byte | KenLM | bits a byte | PPMd, learning on | bits a byte |")
    print("|---:|---|---:|---|---:|---|---:|")
    for mib in budgets:
        cells = []
        for family in (ours, kenlm, ppmd):
            row = rows.best_within(family, mib)
            cells += [f"{row.shape} ({row.mib:.1f} MiB)", f"{row.test:.4f}"] if row else ["", ""]
        print(f"| {mib:g} | " + " | ".join(cells) + " |")


def print_large(found: list[rows.Row]) -> None:
    """A line a model that no budget bounds."""
    print("\n| without a budget | shape | MiB | bits a byte, validation | test |\n|---|---|---:|---:|---:|")
    for row in found:
        print(f"| {row.family} | {row.shape} | {row.mib:.1f} | {row.valid:.4f} | {row.test:.4f} |")


def main() -> int:
    """Prints the tables, draws the figure."""
    parser = argparse.ArgumentParser(prog="bench.prior", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="our programs [%(default)s]")
    add("--recipe", type=Path, default=Path("recipes/default.toml"), metavar="FILE", help="[%(default)s]")
    add("--corpus", type=Path, default=Path("data/corpus"), metavar="DIR", help="its texts [%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs"), metavar="DIR", help="its pairs [%(default)s]")
    add("--kenlm", type=Path, metavar="DIR", help="where lmplz, build_binary and query are")
    add("--budgets", type=float, nargs="+", default=[2, 4, 8, 16, 24, 32], metavar="MIB", help="[%(default)s]")
    add("--work", type=Path, default=work_folder(), metavar="DIR", help="priors are kept there [%(default)s]")
    add("--out", type=Path, default=Path("bench/prior/plots"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    finetune = arguments.programs / "finetune"
    for path in (finetune, arguments.corpus, arguments.pairs):
        if not path.exists():
            print(f"{path} is missing; run `make build`, and `dvc repro data`, or name another one", file=sys.stderr)
            return 2
    budgets = arguments.budgets
    read = texts.read(arguments.pairs)
    folders = [counted.count(finetune, arguments.recipe, arguments.corpus, mib, arguments.work) for mib in budgets]
    ours = list(rows.ours(folders, read))
    kenlm = list(rows.of_kenlm(arguments.kenlm, read)) if arguments.kenlm else []
    *ppmd, large = rows.of_ppmd(budgets, read)
    orders = sorted({10, int(large.shape.split()[1])})
    alone = list(rows.of_ppmd_alone(orders, read))
    sizes = ", ".join(f"{texts.size(getattr(read, name)) / 1e6:.2f} MB" for name in ("train", "valid", "test"))
    print(f"Training, validation and test passages: {sizes}.\n")
    print_sizes(budgets, ours, kenlm, ppmd)
    frozen = [min(family, key=lambda row: row.valid) for family in (ours, kenlm) if family]
    print_large([*frozen, *alone, large])
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw(ours, kenlm, ppmd, [*alone, large], arguments.out / "prior.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
