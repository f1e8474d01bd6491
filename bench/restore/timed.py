"""What every contender in Python does: lines of standard input, batch after batch, timed; prints one line of JSON."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.restore.reader import Reader

# Sources and the most tokens to write for each, to what was written; the end and what follows it may be there or not.
Greedy = Callable[[list[list[int]], list[int]], list[list[int]]]


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that every contender has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("model", type=Path, help="the checkpoint in the Hugging Face layout")
    made.add_argument("--batch", type=int, default=1)
    made.add_argument("--threads", type=int, default=2)
    return made


def lines() -> list[str]:
    """The texts to restore."""
    return [line.rstrip("\n") for line in sys.stdin]


def restore(reader: Reader, texts: list[str], batch: int, greedy: Greedy) -> None:
    """Restore the texts, and print seconds a batch and what was written."""

    def restored(some: list[str]) -> list[str]:
        most = [reader.most(text) for text in some]
        written = greedy([reader.source(text) for text in some], most)
        return [reader.text(tokens, limit) for tokens, limit in zip(written, most, strict=True)]

    # The first batch reads weights that nobody has read before.
    restored(texts[:batch])
    seconds, found = [], []
    for first in range(0, len(texts), batch):
        started = time.perf_counter()
        some = restored(texts[first : first + batch])
        seconds.append(time.perf_counter() - started)
        found += some
    print(json.dumps({"seconds": seconds, "texts": found}))
