"""Whether drafts change what is written: the corrupted texts of pairs, restored with drafts and one token a pass.

    python3 -m bench.restore.identity [--model bench/models/llama] [--texts 2000] [--pairs data/pairs/test]
        [--programs target/release]

Texts are evenly spaced, on one line, of any length: longer ones go through several windows. Computed in float32, 32 at
once. Prints a line of Markdown: texts and characters, how many texts differ, and the passes of either way.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from bench.restore.contenders import THREADS, Contender


def corrupted(pairs: Path, count: int) -> list[str]:
    """Corrupted texts, evenly spaced, each on one line."""
    texts = pq.read_table(pairs, columns=["corrupted"]).column(0).to_pylist()
    chosen = [texts[index * len(texts) // count] for index in range(min(count, len(texts)))]
    return [" ".join(text.splitlines()) for text in chosen]


def main() -> int:
    """Prints the line."""
    parser = argparse.ArgumentParser(prog="bench.restore.identity", description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--model", type=Path, default=Path("bench/models/llama"), metavar="DIR", help="[%(default)s]")
    add("--pairs", type=Path, default=Path("data/pairs/test"), metavar="DIR", help="[%(default)s]")
    add("--texts", type=int, default=2000, metavar="N", help="[%(default)s]")
    add("--programs", type=Path, default=Path("target/release"), metavar="DIR", help="[%(default)s]")
    arguments = parser.parse_args()
    texts = corrupted(arguments.pairs, arguments.texts)
    restore = [str(arguments.programs.resolve() / "examples" / "restore"), str(arguments.model.resolve()), *THREADS]
    restore += ["--compute-type", "float32"]
    with TemporaryDirectory() as folder:
        lines = Path(folder) / "texts"
        lines.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        found, plain = (
            Contender(name, [*restore, *options], is_peer=False).run(lines, 32)
            for name, options in [("drafts", []), ("plain", ["--plain"])]
        )
    differing = sum(one != other for one, other in zip(found["texts"], plain["texts"], strict=True))
    characters = sum(map(len, plain["texts"]))
    print(
        f"| {arguments.model.name} | {len(texts):,} | {characters:,} | {differing} "
        f"| {characters / found['passes']:.1f} | {characters / plain['passes']:.2f} |"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
