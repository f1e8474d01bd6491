"""Records through `serve stream` while everything around it breaks.

    python3 -m bench.stream.chaos [--records 50000] [--seconds 240] [--programs target/release]

Three brokers of Apache Kafka, six partitions, three to four processes of one group. While records are written at a
steady rate, processes are killed (SIGKILL) and started again, join and leave; brokers are killed and started; all
that passes between clients and brokers is held up for ten seconds. One record in fifty is poison. Then the committed
output and the dead letters are read: every record has to be there once, in the order of its partition.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.stream.cluster import Cluster
from bench.stream.process import Stream

TOPIC = "chaos"
PARTITIONS = 6
POISON_EVERY = 50
CUT_SECONDS = 10
WORDS = ["the", "staate", "of", "thhe", "union", "is", "stong", "and", "it", "wlil", "stay", "so", "for", "evr"]


@dataclass
class Report:
    """What was done and what was found."""

    records: int = 0
    poison: int = 0
    kills: int = 0
    joins: int = 0
    stops: int = 0
    cuts: int = 0
    aborted: int = 0
    seconds: float = 0
    problems: list[str] = field(default_factory=list)


def value_of(number: int) -> bytes:
    """Return the value of a record; some are no JSON."""
    if number % POISON_EVERY == 7:
        return b"poison %d" % number
    pick = random.Random(number)
    return json.dumps({"number": number, "text": " ".join(pick.choices(WORDS, k=4))}).encode()


class Group:
    """The processes of the group."""

    def __init__(self, programs: Path, cluster: Cluster, folder: Path, options: list[str]):
        """Have none yet."""
        self.programs, self.cluster, self.folder, self.options = programs, cluster, folder, options
        self.streams: dict[str, Stream] = {}
        self.ended: list[str] = []

    def start(self, name: str) -> None:
        """Start a process."""
        options = ["--values", "json", "--instance", name, "--transaction-seconds", "0.1", *self.options]
        log = self.folder / f"stream-{name}.log"
        self.streams[name] = Stream(self.programs, self.cluster, TOPIC, *options, log=log)

    def restart_dead(self) -> None:
        """Start those again that have ended by themselves, as an orchestrator does, and note it: none should."""
        for name, stream in list(self.streams.items()):
            if stream.process.poll() is not None:
                self.ended.append(f"{name} ended by itself with status {stream.process.returncode}")
                self.start(name)

    def aborted(self) -> int:
        """Count the transactions that were aborted and told."""
        logs = self.folder.glob("stream-*.log")
        return sum(log.read_text(errors="replace").count("a transaction is aborted") for log in logs)


def feed(cluster: Cluster, records: int, seconds: float) -> None:
    """Write the records at a steady rate."""
    begun, written = time.monotonic(), 0
    while written < records:
        due = min(records, int(records * (time.monotonic() - begun) / seconds) + 1)
        cluster.write(
            TOPIC,
            [
                {"key": str(number), "value": value_of(number), "partition": number % PARTITIONS}
                for number in range(written, due)
            ],
        )
        written = due
        time.sleep(0.05)


def disturb(group: Group, cluster: Cluster, report: Report, until: float, pick: random.Random) -> None:
    """Break one thing after the other."""
    turn = 0
    while time.monotonic() < until:
        what = ("kill", "join", "cut", "kill", "stop", "leave")[turn % 6]
        turn += 1
        if what == "kill":
            name = pick.choice(list(group.streams))
            group.streams[name].kill()
            report.kills += 1
            time.sleep(1)
            group.start(name)
        elif what == "join":
            group.start("d")
            report.joins += 1
        elif what == "leave" and "d" in group.streams:
            group.streams["d"].end()
            del group.streams["d"]
            report.joins += 1
        elif what == "stop":
            node = pick.randint(1, cluster.nodes)
            cluster.stop(node)
            report.stops += 1
            time.sleep(4)
            cluster.start(node)
            cluster.wait()
        elif what == "cut":
            for wire in cluster.wires:
                wire.whole.clear()
            time.sleep(CUT_SECONDS)
            for wire in cluster.wires:
                wire.whole.set()
            report.cuts += 1
        time.sleep(2)
        group.restart_dead()


def by_partition(messages: list, number_of: Callable) -> dict[int, list[int]]:
    """Return the numbers of the records of each partition, in their order."""
    numbers: dict[int, list[int]] = {partition: [] for partition in range(PARTITIONS)}
    for message in messages:
        numbers[message.partition()].append(number_of(message))
    return numbers


def check(cluster: Cluster, report: Report) -> None:
    """Read everything, and tell what is not as it has to be: the output holds what the input holds, in its order."""
    given = cluster.read(TOPIC, report.records, seconds=120, quiet=2)
    poison = [message for message in given if message.value().startswith(b"poison")]
    report.poison = len(poison)
    if len({message.key() for message in given}) != report.records:
        report.problems.append(f"of {report.records} records {len(given)} were written")
    found = cluster.read(f"{TOPIC}-out", len(given) - len(poison), seconds=240, quiet=5)
    dead = cluster.read(f"{TOPIC}.dead-letters", len(poison), seconds=60, quiet=2)
    good = [message for message in given if not message.value().startswith(b"poison")]
    wanted = by_partition(good, lambda message: json.loads(message.value())["number"])
    output = by_partition(found, lambda message: json.loads(message.value())["number"])
    for partition, numbers in wanted.items():
        lost = Counter(numbers) - Counter(output[partition])
        more = Counter(output[partition]) - Counter(numbers)
        if lost or more:
            report.problems.append(
                f"partition {partition}: {len(lost)} lost {dict(lost)}, {len(more)} more {dict(more)}"
            )
        elif numbers != output[partition]:
            report.problems.append(f"partition {partition} is not in order")
    report.problems += [
        "a record is not restored" for message in found if "restored" not in json.loads(message.value())
    ]
    if Counter(message.value() for message in dead) != Counter(message.value() for message in poison):
        report.problems.append(f"{len(dead)} dead letters of {len(poison)} poisoned records")


def chaos(
    programs: Path, folder: Path, records: int = 50_000, seconds: float = 240, options: list[str] | None = None
) -> Report:
    """Do all of it."""
    report, begun = Report(records=records), time.monotonic()
    with Cluster(folder / "kafka", nodes=3, wires=True) as cluster:
        cluster.make(TOPIC, f"{TOPIC}-out", f"{TOPIC}.dead-letters", partitions=PARTITIONS)
        group = Group(programs, cluster, folder, options or [])
        try:
            for name in "abc":
                group.start(name)
            for stream in group.streams.values():
                stream.wait(120)
            writing = threading.Thread(target=feed, args=(cluster, records, seconds))
            writing.start()
            disturb(group, cluster, report, time.monotonic() + seconds, random.Random(7))
            writing.join()
            group.restart_dead()
            check(cluster, report)
            report.problems += group.ended
            report.aborted = group.aborted()
            for name, stream in group.streams.items():
                if stream.process.poll() is None:
                    stream.process.terminate()
                    if status := stream.process.wait(timeout=90):
                        report.problems.append(f"{name} ended with status {status}")
        finally:
            for stream in group.streams.values():
                stream.kill()
    report.seconds = time.monotonic() - begun
    return report


def main() -> int:
    """Print the report; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="bench.stream.chaos", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--records", type=int, default=50_000, metavar="N", help="[%(default)s]")
    add("--seconds", type=float, default=240, metavar="S", help="in which they are written [%(default)s]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    add("--keep", type=Path, metavar="DIR", help="for the logs; a temporary folder unless given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = arguments.keep or Path(home)
        folder.mkdir(parents=True, exist_ok=True)
        report = chaos(arguments.programs.resolve(), folder, arguments.records, arguments.seconds)
    print(report)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
