"""Writes corrupted texts, a line each, one file a noise level. Runs in the peers' environment."""

import argparse
import subprocess
from pathlib import Path

import pyarrow.parquet as pq


def originals(pairs: Path, count: int, window: int) -> list[str]:
    """Beginnings of test passages, evenly spaced, in one line, of whole words that leave room for noise."""
    passages = pq.read_table(pairs, columns=["original"]).column(0).unique().to_pylist()
    chosen = [passages[index * len(passages) // count] for index in range(count)]
    texts = []
    for passage in chosen:
        line = " ".join(passage.split()).encode()[: window * 7 // 8].decode(errors="ignore")
        texts.append(line.rsplit(" ", 1)[0])
    return texts


def main() -> None:
    """Write noise-X.txt for each character error rate X."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--pairs", type=Path, required=True)
    add("--corruptor", type=Path, required=True)
    add("--count", type=int, required=True)
    add("--window", type=int, required=True, help="bytes that the model reads at once")
    add("--noise", nargs="+", required=True)
    add("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    texts = originals(arguments.pairs, arguments.count, arguments.window)
    for noise in arguments.noise:
        lines = []
        for seed, text in enumerate(texts):
            command = [arguments.corruptor, "apply", "--cer", noise, "--seed", str(seed), text]
            found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            lines.append(found.removesuffix("\n").replace("\n", " "))
        (arguments.out / f"noise-{noise}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
