"""The texts that a prior is counted from and measured on: the originals of `corruptor generate`."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

# Of more held-out text than this, `finetune train` measures a sample.
SAMPLE_BYTES = 8 << 20


@dataclass(frozen=True)
class Texts:
    """Passages of the three splits, in bytes, documents in order."""

    train: list[bytes]
    valid: list[bytes]
    test: list[bytes]


def size(passages: list[bytes]) -> int:
    """Bytes, without ends."""
    return sum(len(passage) for passage in passages)


def of_split(folder: Path) -> list[bytes]:
    """The passages of a split, each once, however often it was corrupted."""
    table = pq.read_table(folder, columns=["copy", "original"])
    rows = zip(table.column("copy").to_pylist(), table.column("original").to_pylist(), strict=True)
    return [original.encode() for copy, original in rows if copy == 0]


def read(pairs: Path) -> Texts:
    """Reads all splits; fails where `finetune train` would not measure every held-out passage."""
    texts = Texts(*(of_split(pairs / split) for split in ("train", "valid", "test")))
    for passages in (texts.valid, texts.test):
        if size(passages) > SAMPLE_BYTES:
            raise SystemExit(f"{pairs}: over {SAMPLE_BYTES >> 20} MiB are held out, of which finetune takes a sample")
    return texts
