"""The text: the default recipe's corpus, repeated, each time with other sentences after each other and fewer words."""

import random
import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .columns import GROUP_ROWS
from .ours import Ours

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
DOCUMENT_GROUP_ROWS = 64


@dataclass(frozen=True)
class Share:
    """A Parquet file of text, and the passages that are in it."""

    file: Path
    rows: int
    text_bytes: int


@dataclass(frozen=True)
class Texts:
    """The same text as whole documents, as pairs, as passages, and a sample of these for slow peers."""

    documents: Share
    pairs: Path
    all: Share
    few: Share


def make(folder: Path, ours: Ours, total_bytes: int, few_bytes: int) -> Texts:
    """Collect the corpus unless it is there, and make the files anew."""
    corpus = folder / "corpus"
    if not corpus.exists():
        print("collecting the corpus", flush=True)
        ours.collect(corpus)
    documents = folder / "documents.parquet"
    pq.write_table(_documents(corpus, total_bytes), documents, row_group_size=DOCUMENT_GROUP_ROWS, compression="zstd")
    finished = folder / "finished"
    ours.generate([documents], finished, force=True)
    return _passages(folder, documents, finished, few_bytes)


def _documents(corpus: Path, total_bytes: int) -> pa.Table:
    """Repeat the corpus until it has `total_bytes`; the first round is verbatim, each later one varied."""
    originals = pa.concat_tables(pq.read_table(file) for file in sorted(corpus.glob("*.parquet"))).to_pylist()
    rows, size = [], 0
    for round_ in count():
        for row in originals:
            text = row["text"] if round_ == 0 else _varied(row["text"], f"{round_} {row['doc_id']}")
            rows.append(row | {"doc_id": f"{row['doc_id']}-{round_}", "text": text})
            size += len(text.encode())
            if size >= total_bytes:
                return pa.Table.from_pylist(rows)


def _varied(text: str, seed: str) -> str:
    """Put the sentences into another order and leave out one word of fifty, or their passages would come again."""
    drawn = random.Random(seed)
    sentences = SENTENCE_END.split(text)
    drawn.shuffle(sentences)
    words = " ".join(sentences).split(" ")
    left_out = set(drawn.sample(range(len(words)), len(words) // 50))
    return " ".join(word for at, word in enumerate(words) if at not in left_out)


def _passages(folder: Path, documents: Path, finished: Path, few_bytes: int) -> Texts:
    """Take the passages from finished pairs, so that every contender gets those that ours cuts; no text comes twice."""
    pairs = pa.concat_tables(pq.read_table(part) for part in sorted(finished.glob("*/*.parquet")))
    whole = Share(documents, len(pairs), _text_bytes(pairs["original"]))
    first = dict(zip(reversed(pairs["original"].to_pylist()), range(len(pairs) - 1, -1, -1), strict=True))
    pairs = pairs.take(sorted(first.values()))
    names = pc.binary_join_element_wise(pairs["doc_id"], pairs["start"].cast(pa.string()), "-")
    passages = pa.table({"doc_id": names, "source": pairs["source"], "text": pairs["original"]})
    every = max(1, round(_text_bytes(passages["text"]) / few_bytes))
    few = passages.take(list(range(0, len(passages), every)))
    pq.write_table(pairs, folder / "pairs.parquet", row_group_size=GROUP_ROWS, compression="zstd")
    return Texts(
        whole,
        folder / "pairs.parquet",
        _share(passages, folder / "passages.parquet", GROUP_ROWS),
        _share(few, folder / "few.parquet", max(1, len(few) // 16)),
    )


def _share(passages: pa.Table, file: Path, group_rows: int) -> Share:
    pq.write_table(passages, file, row_group_size=group_rows, compression="zstd")
    return Share(file, len(passages), _text_bytes(passages["text"]))


def _text_bytes(texts: pa.ChunkedArray) -> int:
    return pc.sum(pc.binary_length(texts)).as_py()
