"""KenLM with bytes for words: modified Kneser-Ney, pruned by count, in its quantized trie.

The PyPI package `kenlm` holds the sources of its programs (and installs only a reader):

    pip download --no-binary :all: --no-deps kenlm==0.3.0 && tar xf kenlm-0.3.0.tar.gz
    cmake -S kenlm-0.3.0 -B kenlm -DKENLM_MAX_ORDER=10 -DCMAKE_BUILD_TYPE=Release     # needs Boost
    cmake --build kenlm --target lmplz build_binary query                             # into kenlm/bin
"""

import math
import re
import subprocess
from pathlib import Path

# Order, and up to which count n-grams longer than one symbol are left out.
SHAPES = [(5, 0), (6, 0), (7, 0), (8, 0), *((10, pruned) for pruned in (0, 1, 2, 4, 8, 16, 32, 64))]


def write_tokens(passages: list[bytes], path: Path) -> None:
    """A line a passage, a word a byte."""
    path.write_text("".join(f"{passage.hex(' ')}\n" for passage in passages))


def bits(query: Path, model: Path, tokens: Path, size: int) -> float:
    """Bits of passages and their ends over their bytes."""
    command = [query, "-v", "summary", model]
    with tokens.open() as text:
        said = subprocess.run(command, stdin=text, check=True, capture_output=True, text=True).stdout
    perplexity = float(re.search(r"including OOVs:\s*([\d.e+]+)", said)[1])
    return math.log2(perplexity) * int(re.search(r"Tokens:\s*(\d+)", said)[1]) / size


def build(programs: Path, folder: Path, order: int, pruned: int) -> Path:
    """A model of the training tokens in a folder."""
    arpa, binary = folder / "model.arpa", folder / "model.bin"
    # Some lengths have too few counts to estimate discounts from; bytes that no training text has share what is left.
    counting = ["-o", str(order), "--discount_fallback", "--vocab_pad", "257", "-S", "2G", "-T", folder]
    if pruned:
        counting += ["--prune", "0", str(pruned)]
    commands = [
        [programs / "lmplz", *counting, "--text", folder / "train", "--arpa", arpa],
        [programs / "build_binary", "-q", "8", "-b", "8", "-a", "64", "-T", folder / "sort", "trie", arpa, binary],
    ]
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    arpa.unlink()
    return binary
