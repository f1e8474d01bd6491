"""The comparison: rounds of all contenders, each in another order, on the same text."""

import argparse
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

from . import ours as program
from . import report, texts
from .check import check
from .contenders import Contender, PeerFailed, contenders
from .machine import Others, describe, take_two_processors

MEMORY_FILES = Path("/dev/shm")
RAW = Path(__file__).with_name("results.json")


def compare(options: argparse.Namespace) -> None:
    """Measure, and write `corruptor.json` and `corruptor.md` into the work folder after each round."""
    with_channel = not (options.no_channel or options.only or options.quick) and program.CHANNEL_BENCH.exists()
    binary = options.program.resolve() if options.program else program.build(with_bench=with_channel)
    channel = program.channel_in_memory() if with_channel else []
    take_two_processors()
    ours = program.Ours(binary)
    text = texts.make(options.work.resolve(), ours, int(options.megabytes * 1e6), int(options.slow_megabytes * 1e6))
    chosen = _chosen(contenders(ours, text), options.only)
    scratch = options.scratch or (MEMORY_FILES if MEMORY_FILES.is_dir() else options.work)
    results = {
        "command": _command(options),
        "machine": describe(ours.version()),
        "scratch": "memory (tmpfs)" if scratch == MEMORY_FILES else "disk",
        "rounds": 0,
        "channel": channel,
        "contenders": {
            one.name: {
                "about": one.about,
                "text_bytes": one.share.text_bytes,
                "runs": [],
                "output": None,
                "failed": False,
            }
            for one in chosen
        },
    }
    folder = Path(tempfile.mkdtemp(prefix="revertant-bench-", dir=scratch))
    try:
        _rounds(chosen, options, folder, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = report.markdown(results)
    print(f"\n{table}\n\nraw timings: {options.work / 'corruptor.json'}")
    if options.publish:
        report.publish(table)
        shutil.copyfile(options.work / "corruptor.json", RAW)
    if failed := [name for name, row in results["contenders"].items() if row["failed"]]:
        raise SystemExit(f"failed: {', '.join(failed)}; what they printed is above")


def _command(options: argparse.Namespace) -> str:
    """Return the command line that measures this again, without this machine's folders."""
    sizes = [
        f"--{name.replace('_', '-')} {getattr(options, name):g}" for name in ("megabytes", "slow_megabytes", "rounds")
    ]
    only = [f"--only {name}" for name in options.only or ()]
    return " ".join(["python3 -m bench.corruptor", *sizes, *only])


def _chosen(every: list[Contender], names: list[str] | None) -> list[Contender]:
    known = [one.name for one in every]
    if unknown := set(names or ()) - set(known):
        raise SystemExit(f"no contender {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [one for one in every if not names or one.name in names]


def _rounds(chosen: list[Contender], options: argparse.Namespace, folder: Path, results: dict) -> None:
    start = time.monotonic()
    for round_ in range(options.rounds):
        if round_ and (time.monotonic() - start) * (round_ + 1) / round_ > options.max_minutes * 60:
            print(f"no round after {round_}: it would end after {options.max_minutes} minutes", flush=True)
            break
        order = random.Random(round_).sample(chosen, len(chosen))
        for place, one in enumerate(order, 1):
            label = f"round {round_ + 1}/{options.rounds} {place:2}/{len(order)} {one.name:15}"
            row = results["contenders"][one.name]
            try:
                row["runs"].append({"round": round_, "place": place, **_run(one, row, folder / "out")})
            except PeerFailed as error:
                print(f"{label} failed, goes on without it:\n{error}", flush=True)
                row["failed"] = True
                chosen.remove(one)
            else:
                print(f"{label} {report.speeds(row)[-1]:7.1f} MB/s {row['runs'][-1]['seconds']:6.2f} s", flush=True)
        results["rounds"] = round_ + 1
        (options.work / "corruptor.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (options.work / "corruptor.md").write_text(report.markdown(results) + "\n", encoding="utf-8")


def _run(one: Contender, row: dict, out: Path) -> dict:
    """Run a contender once; the first time, also check what it wrote."""
    others = Others()
    run = one.run(out).to_json() | {"others": others.share()}
    row["output"] = row["output"] or check(one.name, out, one.share.rows, one.share.text_bytes).to_json()
    return run
