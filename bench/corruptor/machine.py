"""What a figure was measured on, and how much of the machine others took meanwhile."""

import importlib.metadata
import os
import platform
import re
import resource
import shutil
import subprocess
import time
from pathlib import Path

from .environment import REQUIREMENTS
from .processes import TICKS
from .two_processes import PROCESSES


def take_two_processors() -> None:
    """Bind this process, and so all that it starts, to as many processors as there are worker processes."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSES])


def describe(ours: str) -> dict:
    """Return the machine and the versions of everything that takes part."""
    names = re.findall(r"^([\w-]+)==", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    java, rust = _first_line("java", "-version"), _first_line("rustc", "--version")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": cpu.group(1) if cpu else platform.machine(),
        "processors_used": PROCESSES,
        "processors": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {
            "corruptor": ours.removeprefix("corruptor "),
            "rustc": rust.removeprefix("rustc "),
            "python": platform.python_version(),
            "java": java,
            **{name: importlib.metadata.version(name) for name in names},
        },
    }


class Others:
    """Watches what share of the machine's processor time goes to processes that are not our children."""

    def __init__(self):
        """Start to watch."""
        self.start, self.busy, self.own = time.monotonic(), _busy_seconds(), _own_seconds()

    def share(self) -> float:
        """Return the share since the start, in [0, 1]; children count once they have ended."""
        elapsed = (time.monotonic() - self.start) * (os.cpu_count() or 1)
        others = (_busy_seconds() - self.busy) - (_own_seconds() - self.own)
        return min(1.0, max(0.0, others / elapsed))


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "none"
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.partition("\n")[0]


def _busy_seconds() -> float:
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text(encoding="utf-8").split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def _own_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
