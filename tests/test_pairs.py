"""The pairs that the pipeline makes, checked from outside: other readers, other code."""

import json
import struct
import tomllib
from collections import Counter

import pyarrow.parquet as pq
import pytest
from blake3 import blake3

import pairs

SPLITS = ["train", "valid", "test"]


@pytest.fixture(scope="module")
def rows(pipeline):
    """Rows of the pairs, by split."""
    return {split: pairs.read(pipeline.path / "data/pairs" / split) for split in SPLITS}


@pytest.fixture(scope="module")
def documents(pipeline):
    """Texts of the collected corpus, by source and document."""
    corpus = [
        row for path in (pipeline.path / "data/corpus").rglob("*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    return {(row["source"], row["doc_id"]): row["text"] for row in corpus}


def everything(rows):
    """Return the rows of all splits."""
    return (row for split in SPLITS for row in rows[split])


def plain(kind):
    """Return a type's name without nullability and the name of list items, which writers choose."""
    return str(kind).replace("element:", "item:").replace(" not null", "")


def says_the_same(resolved, given):
    """Tell whether a resolved table has all that was given; it has the defaults besides."""
    if isinstance(given, dict):
        return all(says_the_same(resolved.get(key), value) for key, value in given.items())
    return resolved == given


def test_columns_are_the_documented_ones(pipeline):
    for split in SPLITS:
        for part in pairs.parts(pipeline.path / "data/pairs" / split):
            schema = pq.read_schema(part)
            assert [(field.name, plain(field.type)) for field in schema] == [
                (name, plain(kind)) for name, kind in pairs.COLUMNS
            ]


def test_metadata_carries_the_recipe_and_no_path(pipeline):
    part = pairs.parts(pipeline.path / "data/pairs/test")[0]
    metadata = {key.decode(): value.decode() for key, value in pq.read_metadata(part).metadata.items()}
    resolved, given = tomllib.loads(metadata["revertant.recipe"]), pipeline.recipe()
    assert says_the_same(resolved["corrupt"], given["corrupt"])
    assert resolved["corpus"].items() <= given["corpus"].items()
    assert int(metadata["revertant.seed"]) == given["corrupt"]["seed"]
    assert metadata["revertant.version"]
    assert str(pipeline.path) not in str(metadata)


def test_every_pair_replays_and_inverts(rows):
    for row in everything(rows):
        assert pairs.replay(row["original"], row["events"]) == row["corrupted"]
        assert pairs.invert(row["corrupted"], row["events"]) == row["original"]


def test_all_five_operations_and_clean_records_occur(rows):
    for split in SPLITS:
        operations = Counter(event["op"] for row in rows[split] for event in row["events"])
        assert set(operations) == {"deletion", "substitution", "insertion", "duplication", "reversal"}
        clean = [row for row in rows[split] if row["noise"] == 0]
        assert clean
        assert all(row["original"] == row["corrupted"] and not row["events"] for row in clean)


def test_passages_stand_in_their_documents_and_keep_to_the_window(rows, documents, pipeline):
    window = pipeline.recipe()["corpus"]["window_bytes"]
    encoded = {key: text.encode() for key, text in documents.items()}
    for row in everything(rows):
        original = row["original"].encode()
        document = encoded[row["source"], row["doc_id"]]
        assert document[row["start"] : row["start"] + len(original)] == original
        assert len(original) <= window


def test_no_document_crosses_splits(rows, documents):
    """Neither by id nor by text: exact duplicates are one document."""
    split_of = {}
    for split in SPLITS:
        for row in rows[split]:
            text = documents[row["source"], row["doc_id"]]
            assert split_of.setdefault(text, split) == split
    assert set(split_of.values()) == set(SPLITS)


def test_the_split_is_the_documented_function_of_the_text(rows, documents, pipeline):
    shares = pipeline.recipe()["corpus"]
    for split in SPLITS:
        for key in {(row["source"], row["doc_id"]) for row in rows[split]}:
            at = int.from_bytes(blake3(documents[key].encode()).digest()[:8], "little") / 2**64
            expected = "test" if at < shares["test_share"] else "train"
            if expected == "train" and at < shares["test_share"] + shares["valid_share"]:
                expected = "valid"
            assert split == expected


def test_ids_are_unique_and_follow_from_the_key(rows):
    def hashed(text):
        return struct.pack("<Q", len(text.encode())) + text.encode()

    seen = set()
    for row in everything(rows):
        key = hashed(row["source"]) + hashed(row["doc_id"]) + struct.pack("<QI", row["start"], row["copy"])
        assert row["id"] == int.from_bytes(blake3(key).digest()[:8], "little")
        assert row["id"] not in seen
        seen.add(row["id"])


def test_cer_is_the_edit_distance_over_the_length(rows):
    ascii_rows = [row for row in rows["test"] if row["original"].isascii() and row["corrupted"].isascii()]
    for row in [row for row in ascii_rows if "\r" not in row["original"]][:60]:
        expected = pairs.levenshtein(row["original"], row["corrupted"]) / len(row["original"])
        assert row["cer"] == pytest.approx(expected, abs=1e-6)


def test_there_is_enough_to_measure_on(rows, pipeline):
    passages = {(row["source"], row["doc_id"], row["start"]) for row in rows["test"]}
    assert len(passages) >= 300
    assert json.loads((pipeline.path / "metrics/data.json").read_text())
