"""A server under load."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Server:
    """A running `serve http`."""

    process: subprocess.Popen
    address: str

    def memory(self) -> float:
        """Resident memory in MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def ask(self, path: str, body: object = None, method: str | None = None) -> tuple[int, dict | list | None]:
        """Ask, and return status and answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def metric(self, name: str) -> float:
        """Sum of a metric over its labels."""
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=120) as answer:
            lines = answer.read().decode().splitlines()
        named = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.split()[-1]) for line in named)

    def wait_until_ready(self) -> None:
        """Wait until requests should come."""
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/readyz", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(programs: Path, port: int, options: list[str], log: Path | None = None) -> Server:
    """Start a server on a port and wait until it is ready."""
    command = [programs / "serve", "http", "--listen", f"127.0.0.1:{port}", *options]
    with (log or Path("/dev/null")).open("a") as out:
        process = subprocess.Popen([str(part) for part in command], stderr=out)
    server = Server(process, f"http://127.0.0.1:{port}")
    server.wait_until_ready()
    return server


@contextmanager
def running(programs: Path, options: list[str]) -> Iterator[Server]:
    """Run a server; it must drain by itself."""
    server = start(programs, free_port(), options)
    try:
        yield server
        server.process.terminate()
        if server.process.wait(timeout=60) != 0:
            raise RuntimeError(f"the server ended with status {server.process.returncode}")
    finally:
        server.process.kill()
        server.process.wait()
