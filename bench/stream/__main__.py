"""Throughput and latency of `serve stream` on Apache Kafka.

    python3 -m bench.stream [--records 400000] [--texts 20000] [--programs target/release]

Broker, stream and clients share the machine. First the loop's own cost: records of 200 bytes that are there already
pass through (`--identity`), beside a loop of the same shape in Python (confluent-kafka): consume, produce and commit
in transactions of as many records. Then the same text as a field of JSON and of Avro, by Apicurio Registry. Then
texts of the test split by the model, beside `serve batch` on the same texts. Then the time from a record's writing
until a consumer of committed records has it, while texts come at half of that rate. Prints a Markdown table of medians
with the least and the greatest.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from bench.finetune.idle import wait_for_idle
from bench.serve.texts import corrupted
from bench.stream.cluster import Cluster
from bench.stream.process import Stream
from bench.stream.registry import Registry

BYTES = 200
TRANSACTION = 10_000
# Seconds for which latency is measured, after those in which brokers and clients get to know each other.
SECONDS, WARM_UP = 20, 8
PAYLOAD = ("The state of the Union, as it was. " * 6)[:BYTES]
SCHEMA = {
    "type": "record",
    "name": "Note",
    "fields": [{"name": "number", "type": "long"}, {"name": "text", "type": "string"}],
}


def span(values: list[float], digits: int = 0) -> str:
    """Return a median with the least and the greatest."""
    numbers = (statistics.median(values), min(values), max(values))
    return "{} ({} to {})".format(*(f"{number:,.{digits}f}" for number in numbers))


def make(cluster: Cluster, topic: str) -> None:
    """Make the topics of a stream."""
    cluster.make(topic, f"{topic}-out", f"{topic}.dead-letters")


def ours(programs: Path, cluster: Cluster, topic: str, count: int, options: list[object]) -> float:
    """Return records a second, from when the stream had its partitions until the last was committed."""
    stream = Stream(programs, cluster, topic, *options)
    try:
        stream.wait()
        begun = time.monotonic()
        while written(stream) < count:
            if stream.process.poll() is not None:
                raise RuntimeError("the stream has ended")
            # Asking takes time as well, from the same processors.
            time.sleep(max(0.02, (time.monotonic() - begun) / 200))
        return count / (time.monotonic() - begun)
    finally:
        stream.kill()


def written(stream: Stream) -> int:
    """Return how many records the stream has written."""
    try:
        with urllib.request.urlopen(f"{stream.address}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("revertant_stream_records_total")), 0)


def python(cluster: Cluster, topic: str, count: int) -> float:
    """Do the same in Python; return records a second."""
    consumer = Consumer(
        cluster.client(
            group_id=f"python-{time.monotonic()}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
    )
    producer = Producer(cluster.client(transactional_id="python", linger_ms=1))
    producer.init_transactions()
    consumer.subscribe([topic])
    done = 0
    while not consumer.assignment():
        consumer.poll(0)
    begun = time.monotonic()
    while done < count:
        batch, until = [], time.monotonic() + 0.2
        while len(batch) < TRANSACTION and time.monotonic() < until:
            batch += consumer.consume(TRANSACTION - len(batch), timeout=0.05)
        if not batch:
            continue
        producer.begin_transaction()
        for message in batch:
            while True:
                try:
                    producer.produce(
                        f"{topic}-out",
                        message.value(),
                        message.key(),
                        message.partition(),
                        timestamp=message.timestamp()[1],
                        headers=message.headers(),
                    )
                    break
                except BufferError:
                    producer.poll(0.01)
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        producer.commit_transaction()
        done += len(batch)
    rate = count / (time.monotonic() - begun)
    consumer.close()
    return rate


def batch(programs: Path, folder: Path, texts: list[str], model: list[str]) -> float:
    """Return texts a second of `serve batch`, its start and the loading of the model taken off."""
    seconds = []
    for rows in (texts[:1], texts):
        (folder / "in.jsonl").write_text("".join(json.dumps({"corrupted": text}) + "\n" for text in rows))
        begun = time.monotonic()
        command = [programs / "serve", "batch", folder / "in.jsonl", folder / "out.jsonl", *model]
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.monotonic() - begun)
    return len(texts) / (seconds[1] - seconds[0])


def latency(programs: Path, cluster: Cluster, texts: list[str], rate: float, options: list[str]) -> list[float]:
    """Return the milliseconds from a record's writing until it was read, while they come at `rate` a second.

    Those of the first seconds are left out.
    """
    make(cluster, "latency")
    stream = Stream(programs, cluster, "latency", *options)
    found: list[tuple[int, float]] = []
    try:
        stream.wait()
        reader = Consumer(
            cluster.client(group_id="latency-reader", auto_offset_reset="earliest", isolation_level="read_committed")
        )
        reader.subscribe(["latency-out"])
        reader.poll(5)

        def read() -> None:
            while len(found) < len(texts):
                for message in reader.consume(100, timeout=0.01):
                    found.append((message.timestamp()[1], time.time() * 1e3 - message.timestamp()[1]))

        reading = threading.Thread(target=read)
        reading.start()
        producer = Producer(cluster.client(linger_ms=0))
        begun = time.monotonic()
        for number, text in enumerate(texts):
            time.sleep(max(0, begun + number / rate - time.monotonic()))
            producer.produce("latency", text, timestamp=int(time.time() * 1e3))
            producer.poll(0)
        producer.flush()
        reading.join(timeout=120)
        reader.close()
    finally:
        stream.kill()
    first = min(written for written, _ in found)
    return [taken for written, taken in found if written >= first + WARM_UP * 1e3]


def fields(registry: Registry) -> dict[str, tuple[bytes, list[object]]]:
    """Return values of which the text is a field, and options of a stream that reads them."""
    value = {"number": 1776, "text": PAYLOAD}
    write = AvroSerializer(SchemaRegistryClient({"url": registry.url}), json.dumps(SCHEMA))
    avro = write(value, SerializationContext("avro", MessageField.VALUE))
    return {
        "json": (json.dumps(value).encode(), ["--values", "json"]),
        "avro": (avro, ["--values", "avro", "--schema-registry", registry.url]),
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="bench.stream", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--records", type=int, default=400_000, metavar="N", help="of 200 bytes [%(default)s]")
    add("--texts", type=int, default=20_000, metavar="N", help="for the model [%(default)s]")
    add("--model", type=Path, metavar="DIR", help="the built-in one unless given")
    add("--pairs", type=Path, default=Path("data/pairs/test"), metavar="DIR", help="[%(default)s]")
    add("--rounds", type=int, default=3, metavar="N", help="[%(default)s]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    add("--wait", type=float, default=60, metavar="S", help="for an idle machine [%(default)s]")
    arguments = parser.parse_args()
    programs, model = arguments.programs.resolve(), ["--model", arguments.model] if arguments.model else []
    read = corrupted(arguments.pairs, 256)
    texts = [read[at % len(read)] for at in range(arguments.texts)]
    busiest = wait_for_idle(arguments.wait)
    print("| | records/s |\n|---|---:|", flush=True)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        with Cluster(folder / "kafka") as cluster:
            make(cluster, "records")
            cluster.write("records", [{"key": str(at), "value": PAYLOAD} for at in range(arguments.records)])
            large = ["--transaction-records", str(TRANSACTION), "--transaction-tokens", "8000000"]
            large += ["--in-flight-tokens", "32000000", "--transaction-seconds", "0.2", "--identity"]
            rates: dict[str, list[float]] = {}
            for turn in range(arguments.rounds):
                for name, options in (("exactly once", []), ("at least once", ["--delivery", "at-least-once"])):
                    group = ["--group", f"{name.split()[0]}-{turn}"]
                    rate = ours(programs, cluster, "records", arguments.records, [*large, *options, *group])
                    rates.setdefault(f"nothing restored, {name}", []).append(rate)
                rate = python(cluster, "records", arguments.records)
                rates.setdefault("the same loop in Python (confluent-kafka)", []).append(rate)
            with Registry(folder) as registry:
                for topic, (value, options) in fields(registry).items():
                    make(cluster, topic)
                    cluster.write(topic, [{"key": str(at), "value": value} for at in range(arguments.records)])
                    for turn in range(arguments.rounds):
                        group = ["--group", f"{topic}-{turn}"]
                        rate = ours(programs, cluster, topic, arguments.records, [*large, *options, *group])
                        rates.setdefault(f"nothing restored, {topic}, exactly once", []).append(rate)
            make(cluster, "texts")
            cluster.write("texts", [{"key": str(at), "value": text} for at, text in enumerate(texts)])
            for turn in range(arguments.rounds):
                rates.setdefault("`serve batch`, the model", []).append(batch(programs, folder, texts, model))
                options = ["--group", f"model-{turn}", *model]
                rate = ours(programs, cluster, "texts", len(texts), options)
                rates.setdefault("`serve stream`, the model", []).append(rate)
            for name, found in rates.items():
                print(f"| {name} | {span(found)} |", flush=True)
            half = statistics.median(rates["`serve stream`, the model"]) / 2
            found = sorted(latency(programs, cluster, texts[: int((WARM_UP + SECONDS) * half)], half, model))
    quantiles = [found[min(len(found) - 1, int(len(found) * share))] for share in (0.5, 0.95, 0.99)]
    print(
        f"\nAt {half:.0f} records/s, of {len(found)}: p50, p95, p99 " + ", ".join(f"{one:.0f} ms" for one in quantiles)
    )
    print(f"Records of {BYTES} bytes, texts of {statistics.median(map(len, texts)):.0f} (median).")
    print(f"Before the runs, others took at most {busiest:.0%} of the machine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
