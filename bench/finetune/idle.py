"""Waits until nothing else uses the processors: figures of a busy machine say nothing."""

import sys
import time
from pathlib import Path

WATCHED_SECONDS = 2.0
# Of the machine's processor time.
IDLE = 0.03


def busy_share(seconds: float = WATCHED_SECONDS) -> float:
    """Watch what share of the machine's processor time is used, in [0, 1]."""

    def count() -> tuple[int, int]:
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]]
        # Idle and waiting for a disk; the rest is used, by this machine or (stolen) by another on the same host.
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)

    used, total = count()
    time.sleep(seconds)
    used_then, total_then = count()
    return (used_then - used) / max(1, total_then - total)


def wait_for_idle(patience_seconds: float) -> float:
    """Return how busy the machine is once it is idle, or, with a warning, once patience is at an end."""
    end = time.monotonic() + patience_seconds
    while (share := busy_share()) > IDLE:
        if time.monotonic() >= end:
            print(f"others take {share:.0%} of the machine: figures are not to be trusted", file=sys.stderr)
            return share
    return share
