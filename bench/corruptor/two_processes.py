"""Runs a contender written in Python in two processes that start together, and measures the pair.

Starting Python, importing libraries and loading what a contender may have in memory is not counted.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pyarrow.parquet as pq

from .columns import Transform, writer
from .processes import cpu_seconds, peak_bytes

PROCESSES = 2
WARM_UP_ROWS = 64  # what libraries load or draw at their first call is not counted
PATIENCE_SECONDS = 120  # a worker that fails before the start must not leave the other waiting


@dataclass(frozen=True)
class Job:
    """What a contender gets. `cer`: compute that column; `level`: of zstd; `settings`: the table `[corrupt]`."""

    contender: str
    input: str
    out: str
    seed: int
    settings: dict
    level: int = 1
    cer: bool = False


@dataclass(frozen=True)
class Run:
    """What one run took: wall time, processor time of all processes, and the sum of their largest resident sizes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None

    def to_json(self) -> dict:
        """Return the fields."""
        return asdict(self)


@dataclass(frozen=True)
class Shared:
    """What the processes have in common: they start together, take row groups by number, and report."""

    barrier: Barrier
    groups: Synchronized
    results: SimpleQueue

    def next_group(self) -> int:
        """Return the number of the first row group that nobody has taken."""
        with self.groups.get_lock():
            self.groups.value += 1
            return self.groups.value - 1


def run(job: Job, prepare: Callable) -> Run:
    """Call `prepare(job, worker, shared)` in each process, then, together, what that returned."""
    context = multiprocessing.get_context("spawn")
    shared = Shared(context.Barrier(PROCESSES), context.Value("i", 0), context.SimpleQueue())
    workers = [context.Process(target=_work, args=(job, prepare, worker, shared)) for worker in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode != 0 for worker in workers):
        raise SystemExit("a worker process failed")
    starts, ends, cpu, peaks = zip(*(shared.results.get() for _ in workers), strict=True)
    return Run(max(ends) - min(starts), sum(cpu), sum(peaks))


def _work(job: Job, prepare: Callable, worker: int, shared: Shared) -> None:
    go, pid = prepare(job, worker, shared), os.getpid()
    shared.barrier.wait(PATIENCE_SECONDS)
    cpu, start = cpu_seconds(pid), time.monotonic()
    go()
    end = time.monotonic()
    shared.results.put((start, end, cpu_seconds(pid) - cpu, peak_bytes(pid)))


def transforming(job: Job, worker: int, shared: Shared, transform: Transform) -> Callable[[], None]:
    """Return what takes row groups, whichever comes next, and writes them, transformed, into the worker's file."""
    source = pq.ParquetFile(job.input)
    transform(next(source.iter_batches(batch_size=WARM_UP_ROWS)))

    def go() -> None:
        sink = None
        while (group := shared.next_group()) < source.num_row_groups:
            for batch in source.iter_batches(row_groups=[group]):
                made = transform(batch)
                sink = sink or writer(_part(job, worker), made.schema, job.level)
                sink.write_batch(made)
        if sink is not None:
            sink.close()

    return go


def writing(job: Job, worker: int) -> Callable[[], None]:
    """Load every second row group of finished pairs, and return what writes them."""
    source = pq.ParquetFile(job.input)
    mine = source.read_row_groups(range(worker, source.num_row_groups, PROCESSES)).combine_chunks()

    def go() -> None:
        with writer(_part(job, worker), mine.schema, job.level) as sink:
            sink.write_table(mine)

    return go


def _part(job: Job, worker: int) -> Path:
    return Path(job.out) / f"part-{worker:05}.parquet"
