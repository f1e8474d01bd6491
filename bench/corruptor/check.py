"""Holds what the contenders wrote to what they were given: rows, text, and logs that replay."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rapidfuzz.distance import Levenshtein

SAMPLE_ROWS = 3000


@dataclass(frozen=True)
class Output:
    """What a contender wrote. `cer`: of a sample, in code points; `events`: logged, for each 1,000 bytes of text."""

    rows: int
    text_bytes: int
    file_bytes: int
    cer: float
    events: float | None

    def to_json(self) -> dict:
        """Return the fields."""
        return asdict(self)


def check(name: str, out: Path, rows: int, text_bytes: int) -> Output:
    """Measure an output; stop the comparison if text is missing or a log of the sample does not replay."""
    files = sorted(out.glob("**/*.parquet"))
    originals, events, logged = [], 0, False
    for file in files:
        logged = "events" in pq.read_schema(file).names
        table = pq.read_table(file, columns=["original", *(["events"] if logged else [])])
        originals.append(pc.sum(pc.binary_length(table["original"])).as_py() or 0)
        if logged:
            events += pc.sum(pc.list_value_length(table["events"])).as_py() or 0
    found_rows = sum(pq.read_metadata(file).num_rows for file in files)
    if (found_rows, sum(originals)) != (rows, text_bytes):
        raise SystemExit(
            f"{name} wrote {found_rows} rows of {sum(originals)} bytes; it was given {rows} of {text_bytes}"
        )
    sample = _sample(files)
    if logged:
        _replays(name, sample)
    texts = list(zip(sample["original"].to_pylist(), sample["corrupted"].to_pylist(), strict=True))
    edits = sum(Levenshtein.distance(original, corrupted) for original, corrupted in texts)
    return Output(
        found_rows,
        text_bytes,
        sum(file.stat().st_size for file in files),
        edits / sum(len(original) for original, _ in texts),
        1000 * events / text_bytes if logged else None,
    )


def _sample(files: list[Path]) -> pa.Table:
    """Read rows from all over the files, whose columns may come in several widths."""
    names = [name for name in ("original", "corrupted", "events") if name in pq.read_schema(files[0]).names]
    pieces = []
    for file in files:
        table = pq.read_table(file, columns=names)
        wanted = max(1, SAMPLE_ROWS // len(files))
        pieces.append(table.take(list(range(0, len(table), max(1, len(table) // wanted)))))
    return pa.concat_tables(pieces)


def _replays(name: str, sample: pa.Table) -> None:
    changed = 0
    for row in sample.to_pylist():
        if replay(row["original"].encode(), row["events"]) != row["corrupted"].encode():
            raise SystemExit(f"{name}: this log does not replay: {row}")
        changed += row["original"] != row["corrupted"]
    if changed * 2 < len(sample):
        raise SystemExit(f"{name}: only {changed} of {len(sample)} texts are corrupted")


def replay(original: bytes, events: Iterable[dict]) -> bytes:
    """Apply a log to its original."""
    pieces, copied = [], 0
    for event in events:
        start, end = event["start"], event["start"] + event["length"]
        if start < copied or original[start:end] != event["removed"].encode():
            return b""
        pieces += (original[copied:start], event["replacement"].encode())
        copied = end
    return b"".join([*pieces, original[copied:]])
