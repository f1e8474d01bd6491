"""A running server, and what speaks to it."""

import http.client
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def server(programs, *options, cwd=None, stderr=None, trust=None):
    """Run `serve http` and yield its address, ready to answer; it must end by itself on SIGTERM."""
    listen = f"127.0.0.1:{free_port()}"
    address = f"{'https' if trust else 'http'}://{listen}"
    with ExitStack() as stack:
        log = stderr and stack.enter_context(stderr.open("w"))
        process = subprocess.Popen([programs / "serve", "http", "--listen", listen, *options], cwd=cwd, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/readyz", timeout=5, context=trust).close()
                break
            except OSError:
                assert process.poll() is None, f"the server ended with status {process.returncode}"
                assert time.monotonic() < deadline, "the server was not ready within a minute"
                time.sleep(0.1)
        yield address
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def ask(address, path, body=None, headers=None):
    """Send a request, a POST where there is a body; return status, content type and the decoded answer."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"content-type": "application/json"} | (headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.headers["content-type"], json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["content-type"], json.load(error)


def metrics(address, *named):
    """Values of the metrics that begin with one of the names."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith(named)]


def metric(address, name):
    """Value of a metric."""
    return metrics(address, f"{name} ", f'{name}{{model="default"}} ')[0]


def wait_for(condition, seconds=60):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


class Events:
    """Server-sent events of one request."""

    def __init__(self, address, path, body):
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
        self.connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        self.answer = self.connection.getresponse()

    def __iter__(self):
        """Yield each event's name and its data, as text."""
        name, data = "message", []
        for line in (line.decode().rstrip("\n") for line in self.answer):
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].strip())
            elif not line and data:
                yield name, "\n".join(data)
                name, data = "message", []

    def close(self):
        """Go away."""
        self.answer.close()
        self.connection.close()


class Lines:
    """A request of lines of JSON whose answer is read while it is sent."""

    def __init__(self, address, path, content_type="application/x-ndjson"):
        host, port = urlsplit(address).netloc.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=120)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        self.answer = None

    def send(self, data):
        """Send a part of the body."""
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        """End the body."""
        self.socket.sendall(b"0\r\n\r\n")

    def read(self):
        """Read one line of the answer; none after the last."""
        if self.answer is None:
            self.answer = http.client.HTTPResponse(self.socket, method="POST")
            self.answer.begin()
        line = self.answer.readline()
        return json.loads(line) if line else None

    def close(self):
        """Go away."""
        if self.answer is not None:
            self.answer.close()
        self.socket.close()
