"""A public load generator, and what it measured."""

import base64
import csv
import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Attack:
    """Answers by status, and how long they took in milliseconds."""

    seconds: float
    answers: dict[int, list[float]]

    @property
    def statuses(self) -> Counter:
        """How many answers of each status there were; 0 stands for none."""
        return Counter({status: len(times) for status, times in self.answers.items()})

    def rate(self, status: int = 200) -> float:
        """Answers of a status in a second."""
        return len(self.answers.get(status, [])) / self.seconds

    def milliseconds(self, share: float, status: int = 200) -> float:
        """Within which this share of the answers of a status came."""
        times = sorted(self.answers.get(status, []))
        return times[min(int(share * len(times)), len(times) - 1)] if times else float("nan")


def write_targets(path: Path, url: str, texts: list[str]) -> None:
    """Write one request a text, as vegeta reads them."""
    with path.open("w", encoding="utf-8") as out:
        for text in texts:
            target = {
                "method": "POST",
                "url": url,
                "header": {"content-type": ["application/json"]},
                "body": base64.b64encode(json.dumps({"text": text}).encode()).decode(),
            }
            out.write(json.dumps(target) + "\n")


def attack(vegeta: str, targets: Path, seconds: float, *, clients: int | None = None, rate: float = 0) -> Attack:
    """Ask for so long: so many clients one after the other, or at a rate whatever comes of it."""
    command = [vegeta, "attack", "-format=json", f"-targets={targets}", f"-duration={seconds}s", "-timeout=120s"]
    if clients is not None:
        command += ["-rate=0", f"-workers={clients}", f"-max-workers={clients}", f"-connections={clients}"]
    else:
        command += [f"-rate={max(round(rate), 1)}/1s", "-workers=64", "-max-workers=4096"]
    results = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    encode = [vegeta, "encode", "-to=csv"]
    rows = subprocess.run(encode, input=results, check=True, stdout=subprocess.PIPE).stdout.decode()
    answers: dict[int, list[float]] = {}
    first, last = None, None
    # Timestamp and latency are nanoseconds (vegeta's README, "encode").
    for timestamp, code, latency, *_ in csv.reader(rows.splitlines()):
        answers.setdefault(int(code), []).append(int(latency) / 1e6)
        end = int(timestamp) + int(latency)
        first = int(timestamp) if first is None else min(first, int(timestamp))
        last = end if last is None else max(last, end)
    return Attack(max((last or 0) - (first or 0), 1) / 1e9, answers)
