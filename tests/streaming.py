"""Streams that end with a block, and what is asked beside them."""

import ctypes
import json
import os
import subprocess
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka

from bench.stream.process import Stream


@contextmanager
def streaming(*arguments, **named):
    """Run a stream until the block ends."""
    stream = Stream(*arguments, **named)
    try:
        stream.wait()
        yield stream
        stream.end()
    finally:
        stream.kill()


def headers(message):
    """The headers of a record as texts."""
    return {name: value.decode() for name, value in message.headers() or []}


def odd_header(cluster, topic, value, name):
    """Write a record with a header of any name, and one more; only librdkafka itself takes names that are no UTF-8."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    client = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
    client.rd_kafka_conf_new.restype = client.rd_kafka_new.restype = ctypes.c_void_p
    said = ctypes.create_string_buffer(500)
    properties = ctypes.c_void_p(client.rd_kafka_conf_new())
    servers = (b"bootstrap.servers", cluster.bootstrap.encode())
    assert client.rd_kafka_conf_set(properties, *servers, said, ctypes.c_size_t(500)) == 0, said.value
    producer = ctypes.c_void_p(client.rd_kafka_new(0, properties, said, ctypes.c_size_t(500)))
    # Topic, value, two headers, and that all of it is copied; see `rd_kafka_vtype_t`.
    parts = [1, topic.encode(), 4, value, ctypes.c_size_t(len(value))]
    for header in (b"good", name):
        parts += [9, header, b"1", ctypes.c_ssize_t(1)]
    assert client.rd_kafka_producev(producer, *parts, 7, 2, 0) == 0
    assert client.rd_kafka_flush(producer, 20_000) == 0
    client.rd_kafka_destroy(producer)


def finished(programs, cluster, *options, env=None):
    """Run `serve stream` to its own end; return its status and what it said."""
    command = [programs / "serve", "stream", "--brokers", cluster, "--listen", "127.0.0.1:0", *options]
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


def restored(address, texts):
    """What the API of the same process makes of the texts, and the digest of its model."""
    body = json.dumps({"texts": texts}).encode()
    request = urllib.request.Request(f"{address}/v1/restore", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["results"], answer.headers["revertant-model-digest"]
