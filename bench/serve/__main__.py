"""Throughput and latency of `serve http`, with vegeta (`go install github.com/tsenart/vegeta/v12@v12.13.0`).

    python3 -m bench.serve [--model models/tagger] [--clients 1 8 64 512] [--seconds 15] [--programs target/release]

Requests are single texts of the test split, all different; nothing is kept of the answers. Clients ask one after the
other, then requests come at twice the rate that was reached, whatever becomes of them, to a server whose queue holds
128 texts. Prints a Markdown table:
answers a second, milliseconds within which half, 95 % and 99 % of them came, the same of refusals, and the server's
resident memory after it.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from bench.finetune.idle import wait_for_idle
from bench.serve.attack import Attack, attack, write_targets
from bench.serve.process import running
from bench.serve.texts import corrupted

HEAD = """\
| load | restored/s | p50 ms | p95 ms | p99 ms | refused/s | refused p50 ms | refused p99 ms | other | MiB |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""


def row(load: str, found: Attack, memory: float) -> str:
    """Return a row of the table."""
    refused = 429 if 429 in found.answers else 503
    other = sum(count for status, count in found.statuses.items() if status not in (200, refused))
    restored = [f"{found.rate():.0f}", *(f"{found.milliseconds(share):.1f}" for share in (0.5, 0.95, 0.99))]
    refusals = ["–"] * 3
    if found.answers.get(refused):
        refusals = [
            f"{found.rate(refused):.0f}",
            *(f"{found.milliseconds(share, refused):.1f}" for share in (0.5, 0.99)),
        ]
    return "| " + " | ".join([load, *restored, *refusals, str(other), f"{memory:.0f}"]) + " |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="bench.serve", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--model", type=Path, default=Path("models/tagger"), metavar="DIR", help="[%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs/test"), metavar="DIR", help="[%(default)s]")
    add("--bytes", type=int, default=256, metavar="N", help="of a text, at most [%(default)s]")
    add("--clients", nargs="+", type=int, default=[1, 8, 64, 512], metavar="N", help="[1 8 64 512]")
    add("--seconds", type=float, default=15, metavar="S", help="of each load [%(default)s]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    add("--vegeta", default=shutil.which("vegeta") or "vegeta", metavar="FILE", help="[%(default)s]")
    add("--wait", type=float, default=60, metavar="S", help="for an idle machine, before each load [%(default)s]")
    arguments = parser.parse_args()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "revertant-bench" / "serve"
    cache.mkdir(parents=True, exist_ok=True)
    texts = corrupted(arguments.pairs, arguments.bytes)
    print(HEAD, flush=True)
    busiest, most = 0.0, 0.0
    options = ["--model", str(arguments.model), "--result-cache-bytes", "0", "--poll-seconds", "0"]
    options += ["--max-connections", "8192"]
    targets = cache / "targets.jsonl"
    with running(arguments.programs, options) as server:
        write_targets(targets, f"{server.address}/v1/restore", texts)
        attack(arguments.vegeta, targets, 3, clients=8)
        for clients in arguments.clients:
            busiest = max(busiest, wait_for_idle(arguments.wait))
            found = attack(arguments.vegeta, targets, arguments.seconds, clients=clients)
            most = max(most, found.rate())
            print(row(f"{clients} clients", found, server.memory()), flush=True)
    # A queue that is full within the load.
    with running(arguments.programs, [*options, "--queue-texts", "128"]) as server:
        write_targets(targets, f"{server.address}/v1/restore", texts)
        busiest = max(busiest, wait_for_idle(arguments.wait))
        found = attack(arguments.vegeta, targets, arguments.seconds, rate=2 * most)
        print(row(f"{2 * most:.0f} requests/s", found, server.memory()), flush=True)
    sizes = sorted(len(text.encode()) for text in texts)
    print(f"\n{len(texts)} texts of {sizes[len(sizes) // 2]} bytes (median).", end=" ")
    print(f"Before the loads, others took at most {busiest:.0%} of the machine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
