"""PySpark on two cores with the same Python corruptor in `mapInArrow`, warm: one run before the one that counts."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import SparkSession

from .columns import pairs_of
from .gap_skipping import GapSkipping
from .processes import cpu_seconds, peak_bytes
from .two_processes import PROCESSES, Job, Run

SCHEMA = (
    "id long, doc_id string, source string, start long, copy int, noise float, original string, corrupted string, "
    "events array<struct<op: string, start: int, length: int, removed: string, replacement: string>>, cer float"
)


def run_spark(job: Job) -> Run:
    """Measure reading, corrupting and writing, once session and Python workers are up and the JVM has compiled."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = _session(Path(job.out), job.level)
    frame = spark.read.parquet(job.input)

    def corrupt(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        transform = pairs_of(GapSkipping(job.settings, job.seed + TaskContext.get().partitionId()), None)
        yield from map(transform, batches)

    def pairs(rows) -> None:
        rows.mapInArrow(corrupt, SCHEMA).write.mode("overwrite").parquet(job.out)

    pairs(frame)
    pid = os.getpid()
    cpu, start = cpu_seconds(pid), time.monotonic()
    pairs(frame)
    seconds = time.monotonic() - start
    used = cpu_seconds(pid) - cpu
    peak = peak_bytes(pid)
    spark.stop()
    return Run(seconds, used, peak)


def _session(out: Path, level: int) -> SparkSession:
    input_split = 16 << 20  # several splits for each core, so that both end together
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.hadoop.parquet.compression.codec.zstd.level": str(level),
        "spark.local.dir": str(out.parent),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "8192",
        "spark.sql.files.maxPartitionBytes": str(input_split),
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master(f"local[{PROCESSES}]").appName("bench")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
