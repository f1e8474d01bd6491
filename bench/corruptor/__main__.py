"""`python3 -m bench.corruptor`: makes the peers' environment, then goes on inside it."""

import argparse
import os
import sys
from pathlib import Path

from .environment import prepare

ROOT = Path(__file__).resolve().parents[2]


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "revertant-bench"
    parser = argparse.ArgumentParser(prog="bench.corruptor", description="Compare the corruptor with its peers.")
    add = parser.add_argument
    add("--work", type=Path, default=cache, metavar="DIR", help="environment, texts and results [%(default)s]")
    add("--program", type=Path, metavar="FILE", help="a corruptor [built from this source, optimized]")
    add("--scratch", type=Path, metavar="DIR", help="where outputs are written [/dev/shm if there is one, else WORK]")
    add("--megabytes", type=float, metavar="N", help="text of the fast contenders [150; quick: 12]")
    add("--slow-megabytes", type=float, metavar="N", help="the share of it that slow peers get [6; quick: 0.4]")
    add("--rounds", type=int, metavar="N", help="repeats, each in another order [7; quick: 2]")
    add("--max-minutes", type=float, default=13, metavar="N", help="start no round that would end later [%(default)s]")
    add("--only", action="append", metavar="NAME", help="run this contender alone; may be repeated")
    add("--quick", action="store_true", help="a trial of the machinery: the figures mean little")
    add("--no-channel", action="store_true", help="leave out the criterion benchmark of the channel in memory")
    add("--publish", action="store_true", help="put the table into bench/RESULTS.md, the raw timings beside it")
    options = parser.parse_args()
    defaults = (12.0, 0.4, 2) if options.quick else (150.0, 6.0, 7)
    for name, default in zip(("megabytes", "slow_megabytes", "rounds"), defaults, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, default)
    if options.rounds < 1 or options.megabytes <= 0 or not 0 < options.slow_megabytes <= options.megabytes:
        parser.error("sizes and rounds must be positive, and the slow peers' share no larger than the text")
    if options.publish and (options.quick or options.only):
        parser.error("--publish wants all contenders and figures that mean something: leave --quick and --only out")
    return options


def main() -> None:
    """Run the comparison with the Python that has the peers."""
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    environment = options.work.resolve() / "venv"
    if Path(sys.prefix) != environment:
        python = prepare(environment)
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(python, [str(python), "-m", "bench.corruptor", *sys.argv[1:]])
    from .compare import compare

    compare(options)


if __name__ == "__main__":
    main()
