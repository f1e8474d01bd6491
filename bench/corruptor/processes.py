"""What a process and its children have used so far, as Linux counts it."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return the process and all that descend from it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, _read(children).split())
    return found


def peak_bytes(pid: int) -> int:
    """Return the sum of the largest resident sizes of the process and its living children: no less than the peak."""
    peaks = (line.split() for member in family(pid) for line in _read(f"/proc/{member}/status").splitlines())
    return sum(int(words[1]) * 1024 for words in peaks if words[:1] == ["VmHWM:"])


def cpu_seconds(pid: int) -> float:
    """Return the processor time of the process, its living children, and those that they have waited for."""
    total = 0
    for member in family(pid):
        after_name = _read(f"/proc/{member}/stat").rpartition(")")[2].split()
        total += sum(map(int, after_name[11:15]))
    return total / TICKS


def _read(path: str | Path) -> str:
    """Read a file of /proc; a process that has just ended has nothing to tell."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
