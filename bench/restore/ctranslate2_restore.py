"""Restores the lines of standard input by CTranslate2. Runs in the peers' environment.

Greedy; CTranslate2 pads what it reads together, and takes a text out of its batch once it has ended. Without MKL, which
it would choose on an Intel processor: products as small as these take two threads of it two to three times as long.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("CT2_USE_MKL", "0")

import ctranslate2

from bench.restore import timed
from bench.restore.reader import Reader


def main() -> None:
    """Restore, batch after batch."""
    parser = timed.parser(__doc__)
    parser.add_argument("--converted", type=Path, required=True, help="what bench.restore.ctranslate2_of has written")
    parser.add_argument("--compute-type", choices=["float32", "int8"], default="float32")
    arguments = parser.parse_args()
    reader, texts = Reader(arguments.model), timed.lines()
    names = json.loads((arguments.converted / "shared_vocabulary.json").read_text(encoding="utf-8"))
    token_of = {name: token for token, name in enumerate(names)}
    translator = ctranslate2.Translator(
        str(arguments.converted),
        device="cpu",
        compute_type=arguments.compute_type,
        inter_threads=1,
        intra_threads=arguments.threads,
    )

    def greedy(sources: list[list[int]], most: list[int]) -> list[list[int]]:
        found = translator.translate_batch(
            [[names[token] for token in source] for source in sources],
            beam_size=1,
            max_input_length=0,
            max_decoding_length=max(most),
        )
        return [[token_of[name] for name in result.hypotheses[0]] for result in found]

    timed.restore(reader, texts, arguments.batch, greedy)


if __name__ == "__main__":
    main()
