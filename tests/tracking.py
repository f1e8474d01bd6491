"""Tools of third parties that show runs: an MLflow server as its own process, seen over REST, and TensorBoard's reader.

They are installed once into a cache, REVERTANT_TEST_CACHE, by default ~/.cache/revertant-test.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

from stores import free_port

REQUIREMENTS = Path(__file__).with_name("tracking-tools.txt")
READ_EVENTS = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]).Reload()
scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
print(json.dumps(scalars))
"""


def python():
    """Return the Python that has the tools, installing them the first time."""
    root = os.environ.get("REVERTANT_TEST_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    root = Path(root) if root else home / "revertant-test"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f"tracking-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]}"
    stamp = folder / "installed"
    with (root / "tracking.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            for old in root.glob("tracking-*"):
                shutil.rmtree(old)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*pip, "--requirement", REQUIREMENTS], check=True, stdin=subprocess.DEVNULL)
            stamp.touch()
    return folder / "bin/python"


def read_events(folder):
    """Return the scalars of an event folder as TensorBoard sees them: [(step, value)] by tag."""
    done = subprocess.run([python(), "-c", READ_EVENTS, folder], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


class Mlflow:
    """An MLflow server with its data in a folder; `start` and `kill` may be called again and again."""

    def __init__(self, folder):
        """Choose a port; nothing runs yet."""
        self.folder, self.port, self.process = folder, free_port(), None
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self):
        """Start it, and wait until it answers."""
        folder = self.folder
        command = [
            python(),
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--workers",
            "1",
        ]
        command += [
            "--backend-store-uri",
            f"sqlite:///{folder}/runs.db",
            "--artifacts-destination",
            folder / "artifacts",
        ]
        # Jobs of its language-model features need packages that are not installed.
        env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=folder, start_new_session=True
            )
        deadline = time.monotonic() + 180
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "server.log").read_text()) from None
                time.sleep(0.2)

    def kill(self):
        """End it at once, with the processes that it has started."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def call(self, endpoint, **query):
        """Return the answer of a GET request to the API."""
        url = f"{self.uri}/api/2.0/mlflow/{endpoint}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)

    def runs(self, experiment):
        """Return the runs of an experiment; none where there is no such experiment."""
        try:
            found = self.call("experiments/get-by-name", experiment_name=experiment)["experiment"]["experiment_id"]
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return []
        body = json.dumps({"experiment_ids": [found]}).encode()
        request = urllib.request.Request(
            f"{self.uri}/api/2.0/mlflow/runs/search", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer).get("runs", [])

    def history(self, run_id, metric):
        """Return [(step, value)] of a figure, as it was logged."""
        answer = self.call("metrics/get-history", run_id=run_id, metric_key=metric, max_results=25000)
        return [(point.get("step", 0), point["value"]) for point in answer.get("metrics", [])]

    def artifacts(self, run_id, path=""):
        """Return the sizes of a run's files by name."""
        listed = self.call("artifacts/list", run_id=run_id, path=path).get("files", [])
        return {file["path"]: file.get("file_size") for file in listed}


@contextmanager
def forwarding(port, target):
    """Let what reaches one port of this machine reach another."""

    def pump(source, sink):
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept(listener):
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", target))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield
