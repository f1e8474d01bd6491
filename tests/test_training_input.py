"""Pairs that nothing can be trained on are refused: what is wrong with them, and where."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import ROOT, run

TEXTS = [f"The whale number {number} swims in the sea, and the captain follows it.\n" for number in range(40)]


@pytest.fixture
def pairs(programs, tmp_path):
    """Small pairs in all splits."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, text in enumerate(TEXTS):
        (corpus / f"{number}.txt").write_text(text)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[corpus]\nvalid_share = 0.3\n")
    generate = ["generate", "--recipe", recipe, "--input", corpus, "--out", tmp_path / "pairs"]
    run([programs / "corruptor", *generate], ROOT)
    return tmp_path / "pairs"


def train(programs, pairs, tmp_path):
    """Train, which must fail; return what was said."""
    command = [programs / "finetune", "train", "--recipe", tmp_path / "recipe.toml", "--pairs", pairs]
    said = run([*command, "--out", tmp_path / "run"], tmp_path, status=1)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    return said


def change(pairs, split, edit):
    """Replace a split's file by what `edit` makes of its table; return its path."""
    [path] = (pairs / split).glob("*.parquet")
    pq.write_table(edit(pq.read_table(path)), path)
    return path


@pytest.mark.parametrize("column", ["original", "corrupted", "events"])
def test_a_missing_column_is_named(programs, pairs, tmp_path, column):
    path = change(pairs, "train", lambda table: table.drop_columns([column]))
    said = train(programs, pairs, tmp_path)
    assert column in said
    assert str(path) in said


def test_a_column_of_another_type_is_named(programs, pairs, tmp_path):
    def numbers(table):
        index = table.column_names.index("corrupted")
        return table.set_column(index, "corrupted", pa.array(range(table.num_rows)))

    path = change(pairs, "train", numbers)
    said = train(programs, pairs, tmp_path)
    assert "corrupted" in said
    assert str(path) in said


@pytest.mark.parametrize("split", ["train", "valid"])
def test_an_empty_split_is_named(programs, pairs, tmp_path, split):
    change(pairs, split, lambda table: table.slice(0, 0))
    said = train(programs, pairs, tmp_path)
    assert str(pairs / split) in said
    assert "corruptor generate" in said


def test_no_gpu_is_told_of(programs, pairs, tmp_path):
    command = [programs / "finetune", "train", "--recipe", tmp_path / "recipe.toml", "--pairs", pairs]
    said = run([*command, "--out", tmp_path / "run", "--device", "cuda:0"], tmp_path, status=1)
    assert "cuda:0" in said
    assert "--features cuda" in said or "nvidia-smi" in said
