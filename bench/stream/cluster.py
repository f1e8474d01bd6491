"""Apache Kafka brokers as processes of their own, and the wires to them, which can be cut."""

import os
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/kafka"


def free_ports(count: int) -> int:
    """Return the first of `count` ports in a row that are free, as are those 100 and 200 above them."""
    for first in range(20_000 + os.getpid() % 5_000, 60_000, 16):
        with ExitStack() as stack, suppress(OSError):
            for port in (first + offset + at for offset in (0, 100, 200) for at in range(count)):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise RuntimeError("no ports are free")


class Wire:
    """A TCP line to a port. While it is cut it holds every byte, and nobody is told."""

    def __init__(self, port: int | None = None):
        """Listen; where it leads to may be told later."""
        self.target = port
        self.whole = threading.Event()
        self.whole.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self) -> None:
        """Accept nobody any more."""
        self.listener.close()

    def accept(self) -> None:
        """Lead whoever comes to the port."""
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Pass on what comes, as long as the wire is whole."""
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                self.whole.wait()
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Cluster:
    """Brokers of one cluster; a context manager that starts and ends them."""

    def __init__(self, folder: Path, nodes: int = 1, wires: bool = False, env: dict | None = None):
        """Prepare brokers; with `wires` their clients reach them over wires."""
        self.folder, self.nodes, self.processes = folder, nodes, {}
        self.first = free_ports(nodes)
        ports = [self.first + at for at in range(nodes)]
        self.wires = [Wire(port) for port in ports] if wires else []
        reached = [wire.port for wire in self.wires] or ports
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in reached)
        self.env = os.environ | {"KAFKA_ADVERTISED": self.bootstrap, "KAFKA_HEAP": "400m"} | (env or {})
        if cache := os.environ.get("REVERTANT_TEST_CACHE"):
            self.env["KAFKA_JARS"] = f"{cache}/kafka"
        self.properties = {}
        command = [SCRIPT, "prepare", folder, str(nodes), str(self.first)]
        subprocess.run(command, check=True, env=self.env, stdin=subprocess.DEVNULL)

    def __enter__(self) -> "Cluster":
        """Start all brokers and wait until the cluster answers."""
        try:
            for node in range(1, self.nodes + 1):
                self.start(node)
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        """End all brokers."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        for wire in self.wires:
            wire.close()

    def start(self, node: int) -> None:
        """Start a broker."""
        with (self.folder / f"broker-{node}.log").open("ab") as log:
            self.processes[node] = subprocess.Popen(
                [SCRIPT, "run", self.folder, str(node)], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self, node: int) -> None:
        """End a broker at once."""
        self.processes[node].kill()
        self.processes[node].wait()

    def client(self, **more) -> dict:
        """Return the properties of a client."""
        named = {name.replace("_", "."): value for name, value in more.items()}
        return {"bootstrap.servers": self.bootstrap, "log_level": 0, **self.properties, **named}

    def wait(self, seconds: float = 90) -> None:
        """Wait until every broker takes part."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(KafkaException):
                if len(AdminClient(self.client()).list_topics(timeout=5).brokers) == self.nodes:
                    return
            dead = [node for node, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = [(self.folder / f"broker-{node}.log").read_text()[-2000:] for node in dead or self.processes]
                raise RuntimeError("the brokers did not start:\n" + "\n".join(logs))
            time.sleep(0.2)

    def make(self, *topics: str, partitions: int = 6, **config) -> None:
        """Make topics, as safe as the cluster can."""
        named = {name.replace("_", "."): str(value) for name, value in config.items()}
        new = [NewTopic(topic, partitions, min(3, self.nodes), config=named) for topic in topics]
        admin = AdminClient(self.client())
        for made in admin.create_topics(new).values():
            made.result(timeout=60)
        deadline = time.monotonic() + 60
        while not all(topic in admin.list_topics(timeout=10).topics for topic in topics):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{topics} were not made")
            time.sleep(0.1)

    def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic; none of one that is not there."""
        return list(AdminClient(self.client()).list_topics(topic, timeout=10).topics[topic].partitions)

    def write(self, topic: str, records: list[dict], **more) -> None:
        """Write records, each with what `Producer.produce` takes."""
        producer = Producer(
            self.client(partitioner="murmur2_random", enable_idempotence=True, message_max_bytes=100_000_000, **more)
        )
        undelivered = []
        for record in records:
            while True:
                try:
                    producer.produce(topic, **record, on_delivery=lambda error, _: error and undelivered.append(error))
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        producer.flush()
        if undelivered:
            raise RuntimeError(f"{len(undelivered)} records were not written: {undelivered[0]}")

    def read(self, topic: str, count: int, seconds: float = 60, quiet: float = 1) -> list:
        """Read the committed records of a topic, until there are `count` and no more within `quiet` seconds."""
        consumer = Consumer(
            self.client(
                group_id=f"reader-{time.monotonic()}",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                isolation_level="read_committed",
            )
        )
        try:
            consumer.assign([TopicPartition(topic, partition, 0) for partition in self.partitions(topic)])
            found, deadline, last = [], time.monotonic() + seconds, time.monotonic()
            while time.monotonic() < deadline and (len(found) < count or time.monotonic() < last + quiet):
                for message in consumer.consume(1000, timeout=0.2):
                    if message.error() and message.error().code() != KafkaError._PARTITION_EOF:
                        continue
                    found.append(message)
                    last = time.monotonic()
            return found
        finally:
            consumer.close()
