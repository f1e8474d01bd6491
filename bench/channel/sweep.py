"""Channel decoding: quality against speed, for every beam, and against the size of the prior.

    pip install -r bench/channel/requirements.txt
    python3 -m bench.channel.sweep [--programs target/release] [--model DIR] [--corpus data/corpus] [--pairs data/pairs]

Prints two Markdown tables and draws beams.svg and sizes.svg. Priors of all sizes are counted, and kept in `--work`;
`--model` names another one whose beam is varied. A speed is characters over processor seconds of `serve restore
--threads 1` on a text with 5 % CER and on a clean one, without what a short text takes: medians.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.channel import beams, charts, restoring, sizes
from bench.channel.figures import work_folder


def cells(found: restoring.Measured) -> str:
    """The measured part of a line."""
    share = f"{100 * found.reduction:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"
    return f"{100 * found.after:.2f} | {share} | {found.noisy:,.0f} | {found.clean:,.0f} |"


HEADING = "CER after % | errors gone % (95 % interval) | characters/s, 5 % CER | characters/s, clean |"


def main() -> int:
    """Prints the tables, draws the figures."""
    parser = argparse.ArgumentParser(prog="bench.channel.sweep", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="our programs [%(default)s]")
    add("--model", type=Path, metavar="DIR", help="the prior whose beam is varied [the one of 24 MiB]")
    add("--recipe", type=Path, default=Path("recipes/default.toml"), metavar="FILE", help="[%(default)s]")
    add("--corpus", type=Path, default=Path("data/corpus"), metavar="DIR", help="its texts [%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs"), metavar="DIR", help="its pairs [%(default)s]")
    add("--limit", type=int, default=200, metavar="N", help="pairs that are restored [%(default)s]")
    add("--characters", type=int, default=30_000, metavar="N", help="of the text with errors [%(default)s]")
    add("--rounds", type=int, default=5, metavar="N", help="timings of each [%(default)s]")
    add("--only", choices=["beams", "sizes"], help="one of the tables [both]")
    add("--work", type=Path, default=work_folder(), metavar="DIR", help="priors are kept there [%(default)s]")
    add("--out", type=Path, default=Path("bench/channel/plots"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    programs, pairs = arguments.programs, arguments.pairs / "test"
    for path in (*(programs / name for name in ("corruptor", "finetune", "serve")), arguments.corpus, pairs):
        if not path.exists():
            print(f"{path} is missing; run `make build`, and `dvc repro data`, or name another one", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as scratch:
        recipe, characters = arguments.recipe, arguments.characters
        texts = restoring.write_texts(programs / "corruptor", recipe, pairs, characters, Path(scratch))
        bench = restoring.Bench(programs, pairs, arguments.limit, arguments.rounds, *texts)
        counting = sizes.Counting(programs / "finetune", recipe, arguments.corpus, arguments.work)
        if arguments.only != "beams":
            found = sizes.sweep(bench, counting)
            print(f"| at most MiB | table MiB | bits a byte | {HEADING}\n|---:|---:|---:|---:|---:|---:|---:|")
            for size in found:
                print(f"| {size.budget:g} | {size.mib:.2f} | {size.bits:.4f} | {cells(size.measured)}")
            print(
                f"\nPairs: {found[0].measured.texts}, {100 * found[0].measured.before:.2f} % CER before.\n", flush=True
            )
            charts.draw_sizes(found, arguments.out / "sizes.svg")
        if arguments.only != "sizes":
            model = arguments.model or counting.prior(24)
            own = beams.beam_of(model)
            points = beams.sweep(bench, model, beams.grid(own))
            print(f"| width | margin | credit | proposals | {HEADING}\n|---:|---:|---:|---:|---:|---:|---:|---:|")
            for beam, measured in points:
                mark = " (the checkpoint's)" if beam == own else ""
                shape = f"{beam.width} | {beam.margin:g} | {beam.credit:g} | {beam.proposals}{mark}"
                print(f"| {shape} | {cells(measured)}")
            print(f"\nPairs: {points[0][1].texts}, {100 * points[0][1].before:.2f} % CER before.")
            charts.draw_beams(points, own, arguments.out / "beams.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
