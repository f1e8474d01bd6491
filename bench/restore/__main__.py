"""Speed of restoring by an autoregressive model: the same checkpoint and texts here and in its peers.

    python3 -m bench.restore [--model bench/models/llama] [--texts 32] [--rounds 3] [--noise 0.01 0.05 0.1]
        [--batches 1 8 32] [--programs target/release]

Texts are beginnings of test passages within one window, corrupted by the default channel at a character error rate.
Ours restores them in float32 and in 8 bits with the input as the draft, and in float32 one token a pass. Its peers
write greedily, a token a pass, from the same float32 checkpoint: transformers in float32 with its cache; of a Llama
also llama.cpp in float32 and q8_0, of a T5 CTranslate2 in float32 and int8. All on two threads, round after round in
turn. Prints a Markdown table: restored characters a second (medians, lowest and highest), milliseconds a request (of
as many texts), characters a pass, the speed as a multiple of the fastest peer's, and how many texts are those of
transformers.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from bench.finetune.idle import wait_for_idle
from bench.restore.contenders import ROOT, Contender, contenders
from bench.restore.table import HEAD, rows


def work_folder() -> Path:
    """Where checkpoint and texts are written."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "revertant-bench" / "restore"


def prepare(arguments: argparse.Namespace) -> list[Contender]:
    """Make the peers' environment, the checkpoint in float32, the texts, and what the contenders read."""
    made = subprocess.run([ROOT / "scripts/peers"], check=True, stdout=subprocess.PIPE, text=True).stdout
    python = ROOT / made.strip() / "bin" / "python"
    programs, work = arguments.programs.resolve(), arguments.work.resolve()
    model = work / "model"
    export = [programs / "finetune", "export", "--model", arguments.model, "--dtype", "float32"]
    subprocess.run([*export, "--out", model, "--overwrite"], check=True, stdout=sys.stderr)
    window = json.loads((model / "restorer.json").read_text(encoding="utf-8"))["window_bytes"]
    command = [python, "-m", "bench.restore.texts", "--pairs", arguments.pairs.resolve(), "--window", window]
    command += ["--corruptor", programs / "corruptor", "--count", arguments.texts, "--out", work / "texts"]
    subprocess.run([*map(str, command), "--noise", *arguments.noise], cwd=ROOT, check=True)
    return list(contenders(model, python, programs))


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.restore", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--model", type=Path, default=Path("bench/models/llama"), metavar="DIR", help="a Llama or a T5 [%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs/test"), metavar="DIR", help="[%(default)s]")
    add("--texts", type=int, default=32, metavar="N", help="[%(default)s]")
    add("--rounds", type=int, default=3, metavar="N", help="[%(default)s]")
    add("--noise", nargs="+", default=["0.01", "0.05", "0.1"], metavar="CER", help="[0.01 0.05 0.1]")
    add("--batches", nargs="+", type=int, default=[1, 8, 32], metavar="N", help="[1 8 32]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    add("--wait", type=float, default=60, metavar="S", help="for an idle machine, before each run [%(default)s]")
    add("--work", type=Path, default=work_folder(), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    found = prepare(arguments)
    print(HEAD, flush=True)
    busiest = 0.0
    for noise in arguments.noise:
        texts = arguments.work.resolve() / "texts" / f"noise-{noise}.txt"
        for batch in arguments.batches:
            runs: dict[str, list[dict]] = {contender.name: [] for contender in found}
            for turn in range(arguments.rounds):
                for contender in found[:: 1 if turn % 2 == 0 else -1]:
                    busiest = max(busiest, wait_for_idle(arguments.wait))
                    runs[contender.name].append(contender.run(texts, batch))
            print(*rows(noise, batch, found, runs), sep="\n", flush=True)
    print(f"\nBefore the runs, others took at most {busiest:.0%} of the machine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
