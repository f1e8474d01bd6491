"""Minutes of everything at once: what `serve http` must not lose.

    python3 -m bench.serve.endurance [--minutes 10] [--programs target/release]

Clients ask for single texts, follow pieces, send lines, leave in the middle of an answer, and have files restored as
jobs, while the model's alias moves every few seconds; half way the server is killed (SIGKILL) in the middle of jobs
and started again. Nothing is kept of the answers. Prints what was answered, whether every accepted job came to its
end with every row as it is restored alone, and the resident memory minute by minute.
"""

import argparse
import http.client
import json
import random
import shutil
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from bench.serve.process import Server, free_port, start
from bench.serve.texts import corrupted

MODEL = Path("models/tagger")
ROWS = 1500


class Clients:
    """Threads that ask until they are told to stop, and what became of it."""

    def __init__(self, server: Server, texts: list[str]):
        """Make ready to ask a server for texts."""
        self.server, self.texts = server, texts
        self.going, self.is_down = True, threading.Event()
        self.counts: Counter = Counter()
        self.errors: list[str] = []
        self.lock = threading.Lock()

    def count(self, what: str, outcome: object) -> None:
        """Count an outcome; what fails while the server is down is no error."""
        with self.lock:
            # A server that is up and loads its models says 503.
            if self.is_down.is_set() and (isinstance(outcome, BaseException) or outcome == 503):
                self.counts[what, "while down"] += 1
            elif isinstance(outcome, BaseException) or outcome not in (200, 202):
                self.counts[what, str(outcome)[:80]] += 1
                self.errors.append(f"{what}: {outcome!r}")
            else:
                self.counts[what, str(outcome)] += 1

    def repeat(self, what: str, ask) -> None:
        """Ask again and again."""
        pick = random.Random(what)
        while self.going:
            was_down = self.is_down.is_set()
            try:
                self.count(what, ask(pick))
            except (OSError, http.client.HTTPException, ValueError) as error:
                # What was asked while it was up may be answered by a broken connection when it goes down.
                if was_down and not self.is_down.is_set():
                    self.counts[what, "while down"] += 1
                else:
                    self.count(what, error)
                time.sleep(0.1)

    def single(self, pick: random.Random) -> int:
        """Ask for one text."""
        return self.server.ask("/v1/restore", {"text": pick.choice(self.texts)})[0]

    def stream(self, pick: random.Random, leave: bool = False) -> int:
        """Follow the pieces of a long text; or leave after the first."""
        text = " ".join(pick.sample(self.texts, 20))
        body = json.dumps({"text": text}).encode()
        request = urllib.request.Request(
            f"{self.server.address}/v1/restore/stream", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            last = b""
            for line in answer:
                if line.startswith(b"event:"):
                    last = line.split(b":")[1].strip()
                if leave:
                    return answer.status
        if last != b"done":
            raise ValueError(f"a stream ended with {last!r}")
        return answer.status

    def lines(self, pick: random.Random) -> int:
        """Send lines, and count the answers."""
        body = "".join(json.dumps({"text": text}) + "\n" for text in pick.sample(self.texts, 50)).encode()
        request = urllib.request.Request(
            f"{self.server.address}/v1/restore/batch", body, {"content-type": "application/x-ndjson"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            answered = [json.loads(line) for line in answer]
        if len(answered) != 50 or any("error" in line for line in answered):
            raise ValueError("a line was not restored")
        return answer.status


def jobs(clients: Clients, texts: list[str], found: dict) -> None:
    """Have files restored, one after the other; keep what became of each that was accepted."""
    body = "".join(json.dumps({"id": at, "corrupted": text}) + "\n" for at, text in enumerate(texts)).encode()
    while clients.going:
        request = urllib.request.Request(
            f"{clients.server.address}/v1/jobs", body, {"content-type": "application/x-ndjson"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                job = json.load(answer)["id"]
        except (OSError, http.client.HTTPException) as error:
            clients.count("job", error)
            time.sleep(0.2)
            continue
        clients.count("job", 202)
        found[job] = "accepted"
        while found[job] not in ("succeeded", "failed", "cancelled"):
            time.sleep(0.2)
            try:
                found[job] = clients.server.ask(f"/v1/jobs/{job}")[1]["state"]
            except (OSError, http.client.HTTPException):
                continue


def moves(clients: Clients, versions: Path, every: float) -> None:
    """Move the alias to and fro."""
    turn = 0
    while clients.going:
        time.sleep(every)
        turn += 1
        new = versions / "aliases.toml.new"
        new.write_text(f'live = "{turn % 2 + 1}"\n', encoding="utf-8")
        new.rename(versions / "aliases.toml")


def restored(server: Server, texts: list[str], at_once: int = 250) -> list[str]:
    """Restore texts, as many a request as the server takes."""
    parts = (texts[start : start + at_once] for start in range(0, len(texts), at_once))
    return [one["text"] for part in parts for one in server.ask("/v1/restore", {"texts": part})[1]["results"]]


def result(server: Server, job: str) -> list[str]:
    """Return the restored texts of a job."""
    with urllib.request.urlopen(f"{server.address}/v1/jobs/{job}/result", timeout=120) as answer:
        return [json.loads(line)["restored"] for line in answer]


def make_versions(folder: Path) -> None:
    """Make two versions that restore alike and have digests of their own, and an alias."""
    for version in "12":
        shutil.copytree(MODEL, folder / version)
        path = folder / version / "restorer.json"
        restorer = json.loads(path.read_text(encoding="utf-8")) | {"metrics": {"version": version}}
        path.write_text(json.dumps(restorer), encoding="utf-8")
    (folder / "aliases.toml").write_text('live = "1"\n', encoding="utf-8")


def watch(clients: Clients, found: dict, minutes: float, restart) -> tuple[list[float], bool]:
    """Kill the server half way, in the middle of a job; return its memory by minute, and whether it was killed."""
    memory, begun, killed = [], time.monotonic(), False
    while (elapsed := time.monotonic() - begun) < 60 * minutes:
        if not killed and elapsed > 30 * minutes and "running" in found.values():
            killed = True
            clients.is_down.set()
            clients.server.process.kill()
            clients.server.process.wait()
            clients.server.process = restart().process
            time.sleep(1)
            clients.is_down.clear()
        if elapsed >= 60 * len(memory):
            memory.append(clients.server.memory())
        time.sleep(0.2)
    return memory, killed


def main() -> int:
    """Print what was found; 1 where something was lost."""
    parser = argparse.ArgumentParser(prog="bench.serve.endurance", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--minutes", type=float, default=10, metavar="M", help="[%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs/test"), metavar="DIR", help="[%(default)s]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    texts = corrupted(arguments.pairs, 256)
    rows = texts[:ROWS]
    with tempfile.TemporaryDirectory() as home:
        versions = Path(home) / "versions"
        make_versions(versions)
        options = ["--model", f"{versions}@live", "--poll-seconds", "1", "--result-cache-bytes", "0"]
        options += ["--jobs", f"{home}/jobs"]
        port = free_port()

        def begin() -> Server:
            return start(arguments.programs, port, options)

        clients, found = Clients(begin(), texts), {}
        server = clients.server
        asks = [("single", clients.single)] * 3 + [("stream", clients.stream), ("lines", clients.lines)]
        asks += [("leaves", lambda pick: clients.stream(pick, leave=True))]
        threads = [threading.Thread(target=clients.repeat, args=ask) for ask in asks]
        threads += [threading.Thread(target=jobs, args=(clients, rows, found)) for _ in range(2)]
        threads += [threading.Thread(target=moves, args=(clients, versions, 5))]
        for thread in threads:
            thread.start()
        memory, killed = watch(clients, found, arguments.minutes, begin)
        clients.going = False
        for thread in threads:
            thread.join()
        memory.append(server.memory())
        expected = restored(server, rows)
        wrong = [job for job in found if found[job] != "succeeded" or result(server, job) != expected]
        reloads = server.metric("revertant_model_reloads_total")
        server.process.terminate()
        status = server.process.wait(timeout=60)
    for (what, outcome), count in sorted(clients.counts.items()):
        print(f"{what}: {count} × {outcome}")
    print(f"jobs of {ROWS} rows: {len(found)} accepted, {len(found) - len(wrong)} whole and right; {wrong}")
    print(f"versions loaded since the restart: {reloads:.0f}; killed: {killed}; exit status {status}")
    print("resident MiB, minute by minute: " + ", ".join(f"{value:.0f}" for value in memory))
    print(*clients.errors[:20], sep="\n")
    return 1 if wrong or clients.errors or status or not killed else 0


if __name__ == "__main__":
    sys.exit(main())
