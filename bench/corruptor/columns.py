"""The Parquet files: passages in, pairs out, in the columns that ours writes."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .gap_skipping import EVENT, GapSkipping

GROUP_ROWS = 8192
Transform = Callable[[pa.RecordBatch], pa.RecordBatch]

PAIRS = pa.schema(
    {
        "id": pa.int64(),
        "doc_id": pa.string(),
        "source": pa.string(),
        "start": pa.int64(),
        "copy": pa.int32(),
        "noise": pa.float32(),
        "original": pa.string(),
        "corrupted": pa.string(),
        "events": pa.list_(EVENT),
        "cer": pa.float32(),
    }
)


def pairs_of(corruptor: GapSkipping, cer: Callable[[str, str], float] | None) -> Transform:
    """Return what makes pairs of a batch of passages, with the event log; without `cer` that column is null."""

    def transform(batch: pa.RecordBatch) -> pa.RecordBatch:
        originals = batch.column("text").to_pylist()
        noise, corrupted, events = corruptor.corrupt(originals)
        rows = len(originals)
        rates = pa.nulls(rows, pa.float32())
        if cer is not None:
            rates = pa.array(map(cer, originals, corrupted), pa.float32(), size=rows)
        zeros = pa.repeat(pa.scalar(0, pa.int64()), rows)
        columns = [pa.array(range(rows), pa.int64()), batch.column("doc_id"), batch.column("source")]
        columns += [zeros, zeros.cast(pa.int32()), pa.array(noise, pa.float32())]
        columns += [batch.column("text"), pa.array(corrupted), events, rates]
        return pa.RecordBatch.from_arrays(columns, schema=PAIRS)

    return transform


def texts_of(augment: Callable[[list[str]], list[str]]) -> Transform:
    """Return what adds the column `corrupted` to a batch of passages: all that peers without a log can give."""

    def transform(batch: pa.RecordBatch) -> pa.RecordBatch:
        corrupted = augment(batch.column("text").to_pylist())
        columns = {"doc_id": batch.column("doc_id"), "original": batch.column("text"), "corrupted": pa.array(corrupted)}
        return pa.RecordBatch.from_pydict(columns)

    return transform


def writer(path: Path, schema: pa.Schema, level: int) -> pq.ParquetWriter:
    """Open a Parquet file under zstd, otherwise with the library's own settings."""
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=level)
