"""Apicurio Registry as a process of its own."""

import os
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from bench.serve.process import free_port

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/registry"
# Where the API of Confluent's registry is.
API = "/apis/ccompat/v7"


class Registry:
    """A registry of schemas; a context manager that starts and ends it."""

    def __init__(self, folder: Path):
        """Prepare it; `folder` has its log."""
        self.log = folder / "registry.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{API}"
        self.env = dict(os.environ)
        if cache := self.env.get("REVERTANT_TEST_CACHE"):
            self.env["REGISTRY_HOME"] = f"{cache}/registry"

    def __enter__(self) -> "Registry":
        """Start it and wait until it answers."""
        # Fetching it may take longer than what is waited for here.
        subprocess.run([SCRIPT, "jar"], env=self.env, check=True, stdout=subprocess.DEVNULL)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([SCRIPT, str(self.port)], env=self.env, stdout=log, stderr=log)
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()

    def wait(self, seconds: float = 60) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(OSError):
                urllib.request.urlopen(f"{self.url}/subjects", timeout=5).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the registry did not start:\n{self.log.read_text()}")
            time.sleep(0.1)
