"""Restores the lines of standard input by llama.cpp. Runs in the peers' environment.

Greedy over tokens, through llama-cpp-python's low-level API: a batch is a sequence a text, and a pass a token of each.
Each sequence has a stream of its own and attention is not fused: of what was tried (float32, one thread, processor
time) that was the fastest. Fused attention, llama.cpp's own choice, took 1.5 to 2.7 times as long, and a cache that all
sequences share 1.1 to 4 times as long for 8 texts, 3 to 10 times for 32.
"""

import ctypes
from pathlib import Path

import llama_cpp
import numpy as np

from bench.restore import timed
from bench.restore.reader import END, Reader

GGML_TYPES = {"f32": 0, "f16": 1}


@llama_cpp.llama_log_callback
def silent(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    """Say nothing."""


class Sequences:
    """A model that reads and writes several sequences at once."""

    def __init__(self, gguf: Path, sequences: int, tokens: int, threads: int, cache: str) -> None:
        """Load the model, with room for so many sequences of so many tokens at most."""
        llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_load_from_file(str(gguf).encode(), llama_cpp.llama_model_default_params())
        settings = llama_cpp.llama_context_default_params()
        room = sequences * tokens
        settings.n_ctx = settings.n_batch = room
        settings.n_seq_max = sequences
        settings.n_threads = settings.n_threads_batch = threads
        settings.kv_unified = False
        settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.type_k = settings.type_v = GGML_TYPES[cache]
        self.context = llama_cpp.llama_init_from_model(model, settings)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self.batch = llama_cpp.llama_batch_init(room, 0, 1)
        view = np.ctypeslib.as_array
        self.tokens, self.positions = view(self.batch.token, (room,)), view(self.batch.pos, (room,))
        self.wanted = view(self.batch.logits, (room,))
        view(self.batch.n_seq_id, (room,))[:] = 1
        self.lengths = np.zeros(sequences, dtype=np.int32)
        self.stepped = range(0)

    def read(self, sources: list[list[int]]) -> np.ndarray:
        """Forget everything and read whole sources; return the token that follows each."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), False)
        lengths = [len(source) for source in sources]
        total = sum(lengths)
        self.place([sequence for sequence, length in enumerate(lengths) for _ in range(length)])
        self.tokens[:total] = np.concatenate(sources)
        self.positions[:total] = np.concatenate([np.arange(length) for length in lengths])
        self.wanted[:total] = 0
        self.wanted[np.cumsum(lengths) - 1] = 1
        self.lengths[: len(sources)] = lengths
        self.stepped = range(0)
        return self.best(len(sources))

    def step(self, sequences: range, tokens: np.ndarray) -> np.ndarray:
        """Read one more token of each of these; return the token that follows each."""
        count = len(sequences)
        if sequences != self.stepped:
            self.place(list(sequences))
            self.wanted[:count] = 1
            self.stepped = sequences
        lengths = self.lengths[sequences.start : sequences.stop]
        self.tokens[:count] = tokens
        self.positions[:count] = lengths
        lengths += 1
        return self.best(count)

    def place(self, sequences: list[int]) -> None:
        """Tell of which sequence each token of the next pass is."""
        self.batch.n_tokens = len(sequences)
        for row, sequence in enumerate(sequences):
            self.batch.seq_id[row][0] = sequence

    def best(self, count: int) -> np.ndarray:
        """Pass over what is placed; return the most probable token at each of the `count` places that are wanted."""
        if llama_cpp.llama_decode(self.context, self.batch) != 0:
            raise RuntimeError("llama.cpp could not decode the batch")
        logits = llama_cpp.llama_get_logits(self.context)
        return np.ctypeslib.as_array(logits, (count, self.vocabulary)).argmax(axis=1)


def greedy(model: Sequences, sources: list[list[int]], most: list[int]) -> list[list[int]]:
    """Write until each text has its end or is as long as it may be."""
    # Only neighbours share a pass: those that will likely end first stand first, and one between others goes on.
    order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
    written: list[list[int]] = [[] for _ in sources]
    unfinished = np.ones(len(sources), dtype=bool)
    chosen, first = model.read([sources[index] for index in order]), 0
    while True:
        for sequence, token in enumerate(chosen.tolist(), start=first):
            if unfinished[sequence]:
                text = written[order[sequence]]
                text.append(token)
                unfinished[sequence] = token != END and len(text) < most[order[sequence]]
        left = np.flatnonzero(unfinished)
        if not left.size:
            return written
        going = range(int(left[0]), int(left[-1]) + 1)
        chosen = model.step(going, chosen[going.start - first : going.stop - first])
        first = going.start


def main() -> None:
    """Restore, batch after batch."""
    parser = timed.parser(__doc__)
    parser.add_argument("--gguf", type=Path, required=True, help="what bench.restore.gguf_of has written")
    parser.add_argument("--cache", choices=GGML_TYPES, default="f16", help="type of what is kept of a text's tokens")
    arguments = parser.parse_args()
    reader, texts = Reader(arguments.model), timed.lines()
    tokens = max(len(reader.source(text)) for text in texts) + max(map(reader.most, texts))
    model = Sequences(arguments.gguf, min(arguments.batch, len(texts)), tokens, arguments.threads, arguments.cache)
    timed.restore(reader, texts, arguments.batch, lambda sources, most: greedy(model, sources, most))


if __name__ == "__main__":
    main()
