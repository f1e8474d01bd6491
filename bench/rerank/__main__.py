"""What a second model gains that weighs what the first holds possible, and what it costs.

    python3 -m bench.rerank [--limit 200] [--pairs data/pairs] [--programs target/release]
        [--smollm2 DIR] [--few 40]

A prior times the channel weighs the n best of a tagger and of an autoregressive model; SmolLM2, as `finetune import`
writes it, those of channel decoding. The weight is the one of the grid with the lowest character error rate on
validation pairs; the table is of test pairs, all edits applied, with the seconds of all processors that
`finetune evaluate` took.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

GRID = [0.1, 0.25, 0.5, 1.0]
HEAD = """\
| model | weighed by | weight | texts | CER before | CER after | cut | whole texts | processor s |
|---|---|---:|---:|---:|---:|---:|---:|---:|"""


def spent() -> float:
    """Processor seconds of all programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def evaluate(arguments: argparse.Namespace, model: str, split: str, limit: int, *judge: str) -> dict:
    """What `finetune evaluate` says of a split, with what it took."""
    metrics = arguments.work / "metrics.json"
    command = [arguments.programs / "finetune", "evaluate", "--model", model, "--pairs", arguments.pairs / split]
    command += ["--limit", limit, "--min-confidence", 0, "--metrics", metrics, *judge]
    before = spent()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {**json.loads(metrics.read_text()), "seconds": spent() - before}


def row(model: str, judge: str, weight: str, found: dict) -> str:
    """A line of the table."""
    before, after = found["cer_before"], found["cer_after"]
    cells = [model, judge, weight, found["whole_texts"]["texts"], f"{before:.2%}", f"{after:.2%}"]
    cells += [f"{1 - after / before:.1%}", f"{found['whole_texts']['right']:.1%}", f"{found['seconds']:,.0f}"]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.rerank", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--pairs", type=Path, default=Path("data/pairs"), metavar="DIR", help="[%(default)s]")
    add("--limit", type=int, default=200, metavar="N", help="pairs of each split [%(default)s]")
    add("--few", type=int, default=40, metavar="N", help="of each split, where SmolLM2 weighs [%(default)s]")
    add("--candidates", type=int, default=8, metavar="N", help="[%(default)s]")
    add("--smollm2", metavar="DIR", help="as `finetune import` writes it; left out where none is given")
    add("--prior", default="models/default", metavar="DIR", help="[%(default)s]")
    add("--models", nargs="*", default=["models/tagger", "bench/models/llama"], metavar="DIR", help="that it weighs")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    add("--work", type=Path, default=Path("target"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    pairs = [(model, arguments.prior, arguments.limit) for model in arguments.models]
    if arguments.smollm2:
        pairs.append((arguments.prior, arguments.smollm2, arguments.few))
    print(HEAD, flush=True)
    for model, judge, limit in pairs:
        print(row(model, "", "", evaluate(arguments, model, "test", limit)), flush=True)
        if judge == arguments.prior:
            print(row(judge, "", "", evaluate(arguments, judge, "test", limit)), flush=True)
        options = ["--rerank", judge, "--candidates", str(arguments.candidates), "--rerank-weight"]

        def cer(weight: float, model: str = model, limit: int = limit, options: list[str] = options) -> float:
            return evaluate(arguments, model, "valid", limit, *options, str(weight))["cer_after"]

        best = min(GRID, key=cer)
        found = evaluate(arguments, model, "test", limit, *options, str(best))
        print(row(model, Path(judge).name, str(best), found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
