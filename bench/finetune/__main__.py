"""Speed and losses of training: the same weights and batches, by ours and by PyTorch with transformers.

    python3 -m bench.finetune [--steps 12] [--rounds 3] [--device cuda] [--models t5] [--dtypes f32]

A T5 of 9 million parameters (16 pairs of 256 bytes a batch) and a Llama of 5 million (8 × 512 bytes) are trained on 24
batches in turn: AdamW of a constant rate, betas 0.9 and 0.98, epsilon 1e-8, no decay, no clipping, no dropout; the loss
is the mean of the labels. PyTorch runs transformers' own models with SDPA and its fused AdamW, without compilation.
Of one and two threads, and of autocast and bfloat16 weights with float32 masters, each contender gets what is fastest
in a trial. Prints a Markdown table: tokens a second (of T5 those of both sides), medians of rounds in turn.

Ours is `$REVERTANT_STEPS`, or target/release/examples/steps; it is left out where there is none. Like
bench/finetune/torch_steps.py, it takes

    --model DIR --batches FILE --steps N --warmup K --dtype f32|bf16 --threads T --learning-rate X [--device D]

trains K steps that are not timed and then N that are, step s on batch s mod 24, and prints one line of JSON: contender,
model, dtype, tokens_per_s, first_loss, last_loss, and the losses of all K + N steps, each before its update.
bench/finetune/batches.py tells what a batch holds.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench.finetune.contenders import Contender, ours, pytorch
from bench.finetune.idle import wait_for_idle

ROOT = Path(__file__).resolve().parents[2]
COMPARED_STEPS = 10
HEAD = """\
| model | numbers | ours, tokens/s | how | PyTorch, tokens/s | how | ours is faster by | \
first loss, ours and PyTorch's | last loss | most apart in the first 10 |
|---|---|---:|---|---:|---|---:|---|---|---:|"""


def work_folder() -> Path:
    """Where checkpoints and batches are written."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "revertant-bench" / "finetune"


def prepare(work: Path, pairs: Path) -> Path:
    """Make the peers' environment, the checkpoints and the batches; return the environment's Python."""
    made = subprocess.run([ROOT / "scripts/peers"], check=True, stdout=subprocess.PIPE, text=True).stdout
    python = ROOT / made.strip() / "bin" / "python"
    command = [python, "-m", "bench.finetune.prepare", "--out", work.resolve(), "--pairs", pairs.resolve()]
    subprocess.run(command, cwd=ROOT, check=True)
    return python


def contend(contenders: list[Contender], arguments: argparse.Namespace) -> tuple[dict[str, list[dict]], float]:
    """Let each contender run in turn, round after round; return the runs of each, and how busy others were at most."""
    busy = 0.0
    for contender in contenders:
        busy = max(busy, wait_for_idle(arguments.wait))
        contender.choose_settings(arguments.trial_steps)
    runs = {contender.name: [] for contender in contenders}
    for turn in range(arguments.rounds):
        for contender in contenders[:: 1 if turn % 2 == 0 else -1]:
            busy = max(busy, wait_for_idle(arguments.wait))
            runs[contender.name].append(contender.run(arguments.steps, arguments.warmup))
    return runs, busy


def speed(runs: list[dict]) -> str:
    """Median, lowest and highest."""
    speeds = [run["tokens_per_s"] for run in runs]
    return f"{median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})"


def row(model: str, dtype: str, runs: dict[str, list[dict]], how: dict[str, str]) -> str:
    """A line of the table; what ours has no figures for is empty."""
    theirs, found = runs["torch"], runs.get("ours")
    torch = theirs[0]
    if found is None:
        losses = [f"{torch[key]:.5f}" for key in ("first_loss", "last_loss")]
        cells = [model, dtype, "", "", speed(theirs), how["torch"], "", *losses, ""]
        return f"| {' | '.join(cells)} |"
    mine = found[0]
    apart = zip(mine["losses"][:COMPARED_STEPS], torch["losses"][:COMPARED_STEPS], strict=True)
    ratio = median(run["tokens_per_s"] for run in found) / median(run["tokens_per_s"] for run in theirs)
    losses = [f"{mine[key]:.5f}, {torch[key]:.5f}" for key in ("first_loss", "last_loss")]
    cells = [model, dtype, speed(found), how["ours"], speed(theirs), how["torch"], f"{ratio:.2f}×", *losses]
    return f"| {' | '.join(cells)} | {max(abs(a - b) for a, b in apart):.1e} |"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.finetune", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--models", nargs="+", choices=["t5", "llama"], default=["t5", "llama"], help="[both]")
    add("--dtypes", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"], help="[both]")
    add("--device", default="cpu", help="cpu or cuda, for both contenders [%(default)s]")
    add("--steps", type=int, default=12, metavar="N", help="that are timed, in a run [%(default)s]")
    add("--warmup", type=int, default=2, metavar="N", help="before those [%(default)s]")
    add("--trial-steps", type=int, default=2, metavar="N", help="to choose threads and the like by [%(default)s]")
    add("--rounds", type=int, default=3, metavar="N", help="[%(default)s]")
    add("--learning-rate", type=float, default=1e-3, metavar="X", help="[%(default)s]")
    add("--wait", type=float, default=60, metavar="S", help="for an idle machine, before each run [%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs"), metavar="DIR", help="without, text of docs [%(default)s]")
    add("--work", type=Path, default=work_folder(), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    python = prepare(arguments.work, arguments.pairs)
    table, busiest = [], 0.0
    for model in arguments.models:
        for dtype in arguments.dtypes:
            setting = {"dtype": dtype, "learning-rate": arguments.learning_rate}
            if arguments.device != "cpu":
                setting["device"] = arguments.device
            found = [ours(arguments.work / model, setting), pytorch(python, arguments.work / model, setting)]
            contenders = [contender for contender in found if contender]
            runs, busy = contend(contenders, arguments)
            busiest = max(busiest, busy)
            table.append(row(model, dtype, runs, {contender.name: contender.how for contender in contenders}))
    print("\n".join([HEAD, *table]))
    print(f"\nBefore the runs, others took at most {busiest:.0%} of the machine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
