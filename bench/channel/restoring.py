"""How well and how fast a checkpoint restores."""

import json
import os
import random
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq


@dataclass(frozen=True)
class Bench:
    """What every checkpoint is measured with."""

    programs: Path
    pairs: Path
    # At most so many pairs are restored for quality.
    limit: int
    # Timings, of which the median is taken.
    rounds: int
    # Files to restore for speed.
    noisy: Path
    clean: Path


@dataclass(frozen=True)
class Measured:
    """Quality and speed of a checkpoint."""

    # Character error rates; the share of errors that is gone, and its 95 % interval (bootstrap over documents).
    before: float
    after: float
    reduction: float
    low: float
    high: float
    texts: int
    # Characters a second of one core.
    noisy: float
    clean: float


def write_texts(corruptor: Path, recipe: Path, pairs: Path, characters: int, folder: Path) -> tuple[Path, Path]:
    """Writes a text with 5 % CER and a clean one twice as long, of passages from all over the pairs' originals."""
    table = pq.read_table(pairs, columns=["copy", "original"])
    rows = zip(table.column("copy").to_pylist(), table.column("original").to_pylist(), strict=True)
    passages = [original for copy, original in rows if copy == 0]
    random.Random(1).shuffle(passages)
    text = "\n\n".join(passages)
    noisy, clean = folder / "noisy.txt", folder / "clean.txt"
    clean.write_text(text[: 2 * characters])
    settings = ["--recipe", recipe, "--cer", "0.05", "--set", "corrupt.levels=[1.0]", "--set", "corrupt.clean_share=0"]
    command = [corruptor, "apply", *settings, "-"]
    noisy.write_bytes(subprocess.run(command, input=text[:characters].encode(), check=True, capture_output=True).stdout)
    return noisy, clean


def processor_seconds(serve: Path, model: Path, text: Path) -> float:
    """What restoring a file takes on one thread, loading included."""
    command = [str(part) for part in (serve, "restore", "--threads", "1", "--log", "warn", "--model", model, "-")]
    with text.open("rb") as given:
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"serve restore failed on {text} with {model}")
    return usage.ru_utime + usage.ru_stime


def speeds(bench: Bench, models: list[Path]) -> list[tuple[float, float]]:
    """Characters a second of the noisy and of the clean text, of each model, without loading.

    Medians of rounds: each times every model once, in another order, so that other work on the machine meets all alike.
    """
    seconds: dict[tuple[Path, Path], list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        short = Path(scratch) / "short.txt"
        short.write_text("A word.")
        for turn in range(bench.rounds):
            for model in random.Random(turn).sample(models, len(models)):
                for path in (short, bench.noisy, bench.clean):
                    taken = processor_seconds(bench.programs / "serve", model, path)
                    seconds.setdefault((model, path), []).append(taken)
        medians = {key: statistics.median(taken) for key, taken in seconds.items()}
    files = {path: len(path.read_text()) for path in (bench.noisy, bench.clean)}
    return [
        tuple(characters / (medians[model, path] - medians[model, short]) for path, characters in files.items())
        for model in models
    ]


def quality(bench: Bench, model: Path) -> dict:
    """What `finetune evaluate` measures."""
    with tempfile.TemporaryDirectory() as scratch:
        metrics = Path(scratch) / "metrics.json"
        command = [bench.programs / "finetune", "evaluate", "--model", model, "--pairs", bench.pairs]
        command += ["--limit", str(bench.limit), "--threads", "1", "--metrics", metrics]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return json.loads(metrics.read_text())


def measure(bench: Bench, models: list[Path]) -> list[Measured]:
    """Quality and speed of each."""
    keys = ("cer_before", "cer_after", "reduction", "reduction_low", "reduction_high", "texts")
    found = [quality(bench, model) for model in models]
    return [
        Measured(*(of_one[key] for key in keys), *speed)
        for of_one, speed in zip(found, speeds(bench, models), strict=True)
    ]
