"""How far a text restored in windows is the one that is restored as a whole, and what memory a long one takes.

    python3 -m bench.windows [--bytes 10000] [--texts 4] [--noise 0.05] [--programs target/release]

Texts are beginnings of documents of data/corpus, corrupted at a character error rate. Models that see any length
restore them in their own windows and in one window that holds all of a text. Models that have learned from windows of
one size restore texts that fit one in windows of three quarters of that size, and longer texts in their own windows and
in windows of the same size with more context. Prints a Markdown table: the share of characters that agree (all but
those of edits that only one of the two makes), and the greatest resident memory for a text and for one ten times as
long.
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
| model | windows, overlap | beside | texts × bytes | characters that agree | texts that are the same | edits |
|---|---|---|---:|---:|---:|---:|"""


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


def own_windows(model: str) -> tuple[int, int]:
    """Window and overlap of a checkpoint, in bytes."""
    known = json.loads((ROOT / model / "restorer.json").read_text(encoding="utf-8"))
    return known["window_bytes"], known["overlap_bytes"]


def row(name: str, windows: tuple[int, int], beside: str, pairs: list[tuple[dict, dict]]) -> str:
    """A line of the table."""
    characters = sum(len(one["text"]) for one, _ in pairs)
    apart = sum(difference(one, other) for one, other in pairs)
    same = sum(one["text"] == other["text"] for one, other in pairs)
    edits = sum(len(other["edits"]) for _, other in pairs)
    sizes = f"{len(pairs)} × {characters // len(pairs):,}"
    cells = [
        name,
        f"{windows[0]}, {windows[1]}",
        beside,
        sizes,
        f"{1 - apart / characters:.4%}",
        f"{same} of {len(pairs)}",
        f"{edits:,}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="bench.windows", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--corpus", type=Path, default=Path("data/corpus"), metavar="DIR", help="[%(default)s]")
    add("--texts", type=int, default=4, metavar="N", help="[%(default)s]")
    add("--bytes", type=int, default=10_000, metavar="N", help="[%(default)s]")
    add("--short-texts", type=int, default=48, metavar="N", help="of models that see little [%(default)s]")
    add("--noise", default="0.05", metavar="CER", help="[%(default)s]")
    add("--models", nargs="+", default=["models/default"], metavar="DIR", help="that see any length")
    add(
        "--short-models",
        nargs="*",
        default=["models/tagger", "bench/models/llama"],
        metavar="DIR",
        help="that have learned from windows of one size",
    )
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    programs = arguments.programs.resolve()

    def noisy(count: int, size: int) -> list[str]:
        texts = documents(arguments.corpus, count, size)
        return [corrupted(programs, text, arguments.noise, seed) for seed, text in enumerate(texts)]

    def compare(model: str, texts: list[str], windows: tuple[int, int], other: tuple[int, int], beside: str) -> None:
        def restored(text: str, size: tuple[int, int]) -> dict:
            return restore(programs, model, text, "--window-bytes", str(size[0]), "--overlap-bytes", str(size[1]))

        pairs = [(restored(text, windows), restored(text, other)) for text in texts]
        print(row(model, windows, beside, pairs), flush=True)

    print(HEAD, flush=True)
    texts = noisy(arguments.texts, arguments.bytes)
    for model in arguments.models:
        compare(model, texts, own_windows(model), (2 * arguments.bytes, 0), "the whole")
    for model in arguments.short_models:
        size, overlap = own_windows(model)
        short = noisy(arguments.short_texts, size * 7 // 8)
        compare(model, short, (size * 3 // 4, size // 4), (size, overlap), "the whole")
        more = (size, size * 3 // 8)
        compare(model, texts[:2], (size, overlap), more, f"{more[0]}, {more[1]}")

    print("\n| model | bytes | greatest resident memory |\n|---|---:|---:|")
    text = "".join(noisy(arguments.texts, arguments.bytes))
    for model in [*arguments.models, *arguments.short_models[:1]]:
        for long in (text, 10 * text):
            memory = restore(programs, model, long)["memory"]
            print(f"| {model} | {len(long.encode()):,} | {memory / 2**20:,.0f} MiB |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
