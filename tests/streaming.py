"""Streams that end with a block, and what is asked beside them."""

import json
import subprocess
import urllib.request
from contextlib import contextmanager

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


def finished(programs, cluster, *options):
    """Run `serve stream` to its own end; return its status and what it said."""
    command = [programs / "serve", "stream", "--brokers", cluster, "--listen", "127.0.0.1:0", *options]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def restored(address, texts):
    """What the API of the same process makes of the texts, and the digest of its model."""
    body = json.dumps({"texts": texts}).encode()
    request = urllib.request.Request(f"{address}/v1/restore", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["results"], answer.headers["revertant-model-digest"]
