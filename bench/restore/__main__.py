"""Speed of restoring by an autoregressive model: the same checkpoint and texts here and in transformers.

    python3 -m bench.restore [--model bench/models/llama] [--texts 32] [--rounds 3] [--noise 0.01 0.05 0.1]
        [--batches 1 8 32] [--programs target/release]

Texts are beginnings of test passages within one window, corrupted by the default channel at a character error rate.
Ours restores them in float32 and in 8 bits with the input as the draft, and in float32 one token a pass; transformers
generates greedily in float32 with its cache. All on two threads, round after round in turn. Prints a Markdown table:
restored characters a second (medians, lowest and highest), milliseconds a request, passes of the model and characters
a pass, and how many texts are those of transformers.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.finetune.idle import wait_for_idle

ROOT = Path(__file__).resolve().parents[2]
OURS = {"ours": [], "ours, int8": ["--compute-type", "int8"], "ours, a token a pass": ["--plain"]}
HEAD = """\
| CER of the input | texts at once | | characters/s | ms a request | characters a pass | faster by | same text |
|---:|---:|---|---:|---:|---:|---:|---:|"""


def work_folder() -> Path:
    """Where checkpoint and texts are written."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "revertant-bench" / "restore"


def prepare(arguments: argparse.Namespace) -> Path:
    """Make the peers' environment, the checkpoint in float32 and the texts; return the environment's Python."""
    made = subprocess.run([ROOT / "scripts/peers"], check=True, stdout=subprocess.PIPE, text=True).stdout
    python = ROOT / made.strip() / "bin" / "python"
    programs, work = arguments.programs.resolve(), arguments.work.resolve()
    export = [programs / "finetune", "export", "--model", arguments.model, "--dtype", "float32"]
    subprocess.run([*export, "--out", work / "model", "--overwrite"], check=True, stdout=sys.stderr)
    command = [python, "-m", "bench.restore.texts", "--pairs", arguments.pairs.resolve()]
    command += ["--corruptor", programs / "corruptor", "--count", arguments.texts, "--out", work / "texts"]
    subprocess.run([*map(str, command), "--noise", *arguments.noise], cwd=ROOT, check=True)
    return python


def contenders(arguments: argparse.Namespace, python: Path) -> Iterator[tuple[str, list[str]]]:
    """Each contender's name and command, without the size of a batch."""
    model = arguments.work.resolve() / "model"
    yield "transformers", [str(python), "-m", "bench.restore.torch_restore", str(model), "--threads", "2"]
    program = arguments.programs.resolve() / "examples" / "restore"
    for name, options in OURS.items():
        yield name, [str(program), str(model), "--threads", "2", *options]


def run(command: list[str], texts: Path, batch: int) -> dict:
    """Restore the texts, and return what the program says of it."""
    with texts.open(encoding="utf-8") as lines:
        done = subprocess.run(
            [*command, "--batch", str(batch)], cwd=ROOT, check=True, stdin=lines, stdout=subprocess.PIPE, text=True
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def row(noise: str, batch: int, name: str, runs: list[dict], peer: list[dict]) -> str:
    """A line of the table."""
    found, reference = runs[0], peer[0]
    characters = sum(map(len, found["texts"]))
    speeds = [characters / sum(one["seconds"]) for one in runs]
    slowest = median(sum(map(len, one["texts"])) / sum(one["seconds"]) for one in peer)
    requests = len(found["texts"]) / len(found["seconds"])
    milliseconds = 1000 * median(median(one["seconds"]) for one in runs) / requests * min(requests, batch)
    passes = f"{characters / found['passes']:.1f}" if "passes" in found else ""
    same = sum(mine == theirs for mine, theirs in zip(found["texts"], reference["texts"], strict=True))
    speed = f"{median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})"
    cells = [f"{100 * float(noise):g} %", batch, name, speed, f"{milliseconds:,.0f}", passes]
    cells += [f"{median(speeds) / slowest:.1f}×", f"{same} of {len(found['texts'])}"]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.restore", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--model", type=Path, default=Path("bench/models/llama"), metavar="DIR", help="[%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs/test"), metavar="DIR", help="[%(default)s]")
    add("--texts", type=int, default=32, metavar="N", help="[%(default)s]")
    add("--rounds", type=int, default=3, metavar="N", help="[%(default)s]")
    add("--noise", nargs="+", default=["0.01", "0.05", "0.1"], metavar="CER", help="[0.01 0.05 0.1]")
    add("--batches", nargs="+", type=int, default=[1, 8, 32], metavar="N", help="[1 8 32]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    add("--wait", type=float, default=60, metavar="S", help="for an idle machine, before each run [%(default)s]")
    add("--work", type=Path, default=work_folder(), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    python = prepare(arguments)
    found = list(contenders(arguments, python))
    print(HEAD, flush=True)
    busiest = 0.0
    for noise in arguments.noise:
        texts = arguments.work.resolve() / "texts" / f"noise-{noise}.txt"
        for batch in arguments.batches:
            runs: dict[str, list[dict]] = {name: [] for name, _ in found}
            for turn in range(arguments.rounds):
                for name, command in found[:: 1 if turn % 2 == 0 else -1]:
                    busiest = max(busiest, wait_for_idle(arguments.wait))
                    runs[name].append(run(command, texts, batch))
            for name, _ in found:
                print(row(noise, batch, name, runs[name], runs["transformers"]), flush=True)
    print(f"\nBefore the runs, others took at most {busiest:.0%} of the machine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
