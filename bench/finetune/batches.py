"""Batches of real text, without padding: `input.{step}` and `labels.{step}`, int64 [rows, tokens].

A label is what is to be predicted at its place: of T5 the restored text, of Llama the next token of the input.
"""

from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import torch

ROOT = Path(__file__).resolve().parents[2]
BATCHES = 24
# Rows and bytes of a batch.
SEQ2SEQ, CAUSAL = (16, 256), (8, 512)
# ByT5 keeps three ids before the bytes.
OFFSET = 3

# A corrupted text and its original, in bytes.
Pair = tuple[bytes, bytes]


def passages(pairs: Path) -> tuple[list[Pair], str]:
    """Pairs of the training split, or of the documentation where there are none; and which of them."""
    if (pairs / "train").is_dir():
        table = pq.read_table(pairs / "train", columns=["corrupted", "original"])
        columns = (table.column(name).to_pylist() for name in ("corrupted", "original"))
        return [(a.encode(), b.encode()) for a, b in zip(*columns, strict=True)], "the training pairs"
    text = b"\n".join(path.read_bytes() for path in sorted((ROOT / "docs").glob("*.md")))
    length, random = 2 * SEQ2SEQ[1], Random(1)
    originals = [text[start : start + length] for start in range(0, len(text) - length, length // 4)]
    return [(damaged(original, random), original) for original in originals], "the documentation's text"


def damaged(text: bytes, random: Random) -> bytes:
    """Delete, double or replace one byte of twenty."""
    changes = [b"", b"%c%c", b"~"]
    parts = (bytes([byte]) for byte in text)
    return b"".join(random.choice(changes).replace(b"%c", part) if random.random() < 0.05 else part for part in parts)


def evenly(found: list, count: int) -> list:
    """So many of a list, evenly spaced; it must not be shorter."""
    if len(found) < count:
        raise SystemExit(f"there is text for {len(found)} rows of {count}: name other pairs by --pairs")
    return [found[i * len(found) // count] for i in range(count)]


def ids(rows: list[bytes]) -> torch.Tensor:
    """Tokens of rows of one length."""
    return torch.tensor([list(row) for row in rows], dtype=torch.int64) + OFFSET


def split(inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Name the tensors of each batch."""
    found = {}
    for name, tensor in (("input", inputs), ("labels", labels)):
        found |= {f"{name}.{step}": part.clone() for step, part in enumerate(tensor.chunk(BATCHES))}
    return found


def seq2seq_batches(found: list[Pair]) -> dict[str, torch.Tensor]:
    """The first bytes of corrupted texts, and of their originals."""
    rows, length = SEQ2SEQ
    long = [(a[:length], b[:length]) for a, b in found if min(len(a), len(b)) >= length]
    corrupted, originals = zip(*evenly(long, BATCHES * rows), strict=True)
    return split(ids(corrupted), ids(originals))


def causal_batches(found: list[Pair]) -> dict[str, torch.Tensor]:
    """Stretches of the originals, one after the other."""
    rows, length = CAUSAL
    text = b"\n".join(original for _, original in found)
    stretches = [text[start : start + length + 1] for start in range(0, len(text) - length, length + 1)]
    tokens = ids(evenly(stretches, BATCHES * rows))
    return split(tokens[:, :-1], tokens[:, 1:])
