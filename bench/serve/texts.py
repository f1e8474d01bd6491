"""What is asked for: corrupted texts of the test split."""

from pathlib import Path

import pyarrow.parquet as pq


def corrupted(pairs: Path, most_bytes: int) -> list[str]:
    """Return the corrupted texts of a folder of pairs, cut to so many bytes at a space."""
    texts = []
    for path in sorted(pairs.glob("*.parquet")):
        for text in pq.read_table(path, columns=["corrupted"])["corrupted"].to_pylist():
            short = text.encode()[:most_bytes].decode(errors="ignore")
            texts.append(short if short == text else short.rsplit(" ", 1)[0])
    return [text for text in texts if text]
