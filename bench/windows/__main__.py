"""How far a text restored in windows is the one that is restored as a whole, and what memory a long one takes.

    python3 -m bench.windows [--bytes 20000] [--texts 8] [--noise 0.05] [--programs target/release]

Texts are beginnings of documents of data/corpus, corrupted at a character error rate. Each model restores them in its
own windows and in one window that holds all of a text; models that have learned from short texts only, in windows of a
half and three quarters of their own size and in their own, of texts that fit one. Prints a Markdown table: the share of
characters that agree (all but those of edits that only one of the two makes), and the greatest resident memory of the
program for a text and for one ten times as long.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
HEAD = """\
| model | windows, overlap | texts × bytes | characters that agree | texts that are the same | edits |
|---|---|---:|---:|---:|---:|"""


def documents(corpus: Path, count: int, size: int) -> list[str]:
    """Beginnings of `count` documents of at least `size` bytes, evenly spaced."""
    long = []
    for path in sorted(corpus.glob("*.parquet")):
        texts = pq.read_table(path, columns=["text"]).column(0).to_pylist()
        long += [text for text in texts if len(text.encode()) >= size]
    chosen = [long[index * len(long) // count] for index in range(count)]
    return [text.encode()[:size].decode(errors="ignore") for text in chosen]


def corrupted(programs: Path, text: str, noise: str, seed: int) -> str:
    """The text at a character error rate."""
    command = [programs / "corruptor", "apply", "--cer", noise, "--seed", str(seed), "-"]
    done = subprocess.run(command, check=True, input=text, stdout=subprocess.PIPE, text=True)
    return done.stdout


def restore(programs: Path, model: str, text: str, *windows: str) -> dict:
    """What the program says of a text, with its greatest resident memory in bytes as `memory`."""
    command = [programs / "serve", "restore", "-", "--json", "--model", model, "--threads", "2", *windows]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(text.encode())
    process.stdin.close()
    found = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with status {status}")
    return {**found, "memory": usage.ru_maxrss * 1024}


def difference(one: dict, other: dict) -> int:
    """Characters of edits that only one of two restorations of a text makes."""
    edits = [{(e["start"], e["end"], e["replacement"]) for e in restored["edits"]} for restored in (one, other)]
    return sum(max(end - start, len(replacement)) for start, end, replacement in edits[0] ^ edits[1])


def row(name: str, windows: str, pairs: list[tuple[dict, dict]]) -> str:
    """A line of the table."""
    characters = sum(len(one["text"]) for one, _ in pairs)
    apart = sum(difference(one, other) for one, other in pairs)
    same = sum(one["text"] == other["text"] for one, other in pairs)
    edits = sum(len(other["edits"]) for _, other in pairs)
    sizes = f"{len(pairs)} × {characters // len(pairs):,}"
    cells = [name, windows, sizes, f"{1 - apart / characters:.4%}", f"{same} of {len(pairs)}", f"{edits:,}"]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="bench.windows", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--corpus", type=Path, default=Path("data/corpus"), metavar="DIR", help="[%(default)s]")
    add("--texts", type=int, default=8, metavar="N", help="[%(default)s]")
    add("--bytes", type=int, default=20_000, metavar="N", help="[%(default)s]")
    add("--short-texts", type=int, default=64, metavar="N", help="of models that see little [%(default)s]")
    add("--noise", default="0.05", metavar="CER", help="[%(default)s]")
    add("--models", nargs="+", default=["models/tagger", "models/default"], metavar="DIR", help="that see any length")
    add(
        "--short-models",
        nargs="*",
        default=["bench/models/llama"],
        metavar="DIR",
        help="that have learned from windows",
    )
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    programs = arguments.programs.resolve()

    def noisy(count: int, size: int) -> list[str]:
        texts = documents(arguments.corpus, count, size)
        return [corrupted(programs, text, arguments.noise, seed) for seed, text in enumerate(texts)]

    print(HEAD, flush=True)
    texts = noisy(arguments.texts, arguments.bytes)
    for model in arguments.models:
        whole = ["--window-bytes", str(2 * arguments.bytes), "--overlap-bytes", "0"]
        pairs = [(restore(programs, model, text), restore(programs, model, text, *whole)) for text in texts]
        known = json.loads((ROOT / model / "restorer.json").read_text())
        windows = f"{known['window_bytes']}, {known['overlap_bytes']}"
        print(row(model, windows, pairs), flush=True)
    for model in arguments.short_models:
        size = json.loads((ROOT / model / "restorer.json").read_text())["window_bytes"]
        texts = noisy(arguments.short_texts, size * 7 // 8)
        for window, overlap in [(size // 2, size // 8), (size * 3 // 4, size // 4)]:
            short = ["--window-bytes", str(window), "--overlap-bytes", str(overlap)]
            pairs = [(restore(programs, model, text, *short), restore(programs, model, text)) for text in texts]
            print(row(model, f"{window}, {overlap}", pairs), flush=True)

    print("\n| model | bytes | greatest resident memory |\n|---|---:|---:|")
    text = "".join(noisy(arguments.texts, arguments.bytes))
    for model in arguments.models:
        for long in (text, 10 * text):
            memory = restore(programs, model, long)["memory"]
            print(f"| {model} | {len(long.encode()):,} | {memory / 2**20:,.0f} MiB |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
