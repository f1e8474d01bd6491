"""`serve stream` as a process of its own."""

import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from bench.serve.process import free_port
from bench.stream.cluster import Cluster


class Stream:
    """A stream that runs."""

    def __init__(self, programs: Path, cluster: Cluster, topic: str, *options: object, log: Path | None = None):
        """Begin to restore `topic` into `topic-out`."""
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = log
        properties = [option for pair in cluster.properties.items() for option in ("--property", "=".join(pair))]
        command = [programs / "serve", "stream", "--brokers", cluster.bootstrap, "--input-topic", topic]
        command += ["--output-topic", f"{topic}-out", "--listen", f"127.0.0.1:{self.port}"]
        if "--group" not in options:
            command += ["--group", f"group-{topic}"]
        command += ["--property", "session.timeout.ms=6000", *properties, *options]
        with (log or Path("/dev/null")).open("ab") as errors:
            self.process = subprocess.Popen([str(part) for part in command], stderr=errors)

    def is_ready(self) -> bool:
        """Whether it says so."""
        try:
            urllib.request.urlopen(f"{self.address}/readyz", timeout=5).close()
        except OSError:
            return False
        return True

    def wait(self, seconds: float = 60) -> None:
        """Wait until it takes part in its group."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            assert self.process.poll() is None, f"the stream ended with status {self.process.returncode}"
            assert time.monotonic() < deadline, "the stream was not ready in time"
            time.sleep(0.02)

    def end(self) -> None:
        """Ask it to end; it has to, and well."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
