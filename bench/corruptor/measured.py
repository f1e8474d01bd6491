"""Runs a program and prints what it took: `python -m bench.corruptor.measured PROGRAM ARGUMENT…`.

A process of its own, and a small one: Linux counts the memory of whoever starts a program as the program's first.
"""

import json
import os
import subprocess
import sys
import time


def measure(command: list[str]) -> dict:
    """Run the command to its end; return times in seconds, peak memory in bytes, status, and what it printed."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
        "status": process.returncode,
        "printed": printed,
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:])))
