"""The whole pipeline with a tiny model: stopped, resumed, finished, measured."""

import json
import re

import pyarrow.parquet as pq
import pytest

TINY = {
    "corrupt": {"copies": 1},
    "model": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
    "train": {
        "steps": 6,
        "batch_tokens": 1024,
        "step_tokens": 1024,
        "eval_steps": 3,
        "valid_pairs": 16,
        "log_steps": 1,
    },
    "evaluate": {"resamples": 100, "set_passages": 20},
}
TINY["model"] |= {"table_rows": 1024, "table_dim": 8, "window_bytes": 256, "overlap_bytes": 16, "max_rounds": 1}


def shrink(recipe):
    """Return the recipe with the second source only, and the tiny settings."""
    kept = []
    for block in re.split(r"(?m)^(?=\[)", recipe):
        table = re.match(r"\[+([\w.]+)\]", block)[1] if block.startswith("[") else ""
        if table == "corpus.sources" and "sotu" in block:
            continue
        kept.append(with_values(block, TINY.get(table, {})))
    return "".join(kept)


def with_values(block, values):
    """Return a table of a recipe with other values; it must set all of them already."""
    for key, value in values.items():
        block, found = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", block)
        assert found, f"the default recipe does not set {key}"
    return block


@pytest.fixture(scope="module")
def clone(make_clone):
    """Return a clone with a recipe that takes seconds."""
    clone = make_clone()
    recipe = clone.path / "recipes/default.toml"
    recipe.write_text(shrink(recipe.read_text()))
    clone.dvc("repro", "data")
    return clone


def test_a_run_that_stopped_early_is_no_finished_stage_and_goes_on(clone):
    budget = clone.env | {"REVERTANT_MAX_MINUTES": "0"}
    output = clone.dvc("repro", "train", env=budget, status=255)
    assert "exited with 3" in output
    assert list((clone.path / "models/run/state").glob("run-*.safetensors"))
    assert re.search(r"(?m)^train:", clone.dvc("status", "train"))

    clone.dvc("repro")
    assert "up to date" in clone.dvc("repro")
    steps = [json.loads(line)["step"] for line in (clone.path / "models/run/log.jsonl").read_text().splitlines()]
    assert max(steps) == TINY["train"]["steps"]


def test_metrics_and_plots_are_there(clone):
    clone.dvc("repro")
    metrics = json.loads((clone.path / "metrics/evaluate.json").read_text())
    assert metrics["texts"] == pq.read_table(clone.path / "data/pairs/test").num_rows > 0
    assert metrics["cer_before"] > 0
    assert len(metrics["operations"]) == 5
    shown = json.loads(clone.dvc("metrics", "show", "--json"))
    assert "cer_after" in json.dumps(shown)
    assert "tokens_per_second" in json.dumps(shown)
    clone.dvc("plots", "show", "--out", "plots")
    page = (clone.path / "plots/index.html").read_text()
    titles = ["Training loss", "on the validation split", "CER by operation", "CER by noise level", "gradient_norm"]
    assert [title for title in titles if title not in page] == []


def test_a_run_does_not_go_on_with_another_recipe(clone):
    clone.dvc("repro")
    recipe = clone.path / "recipes/default.toml"
    before = recipe.read_text()
    try:
        recipe.write_text(with_values(before, {"clip_norm": 0.5}))
        assert "train.clip_norm" in clone.dvc("repro", "train", status=255)
    finally:
        recipe.write_text(before)


def test_an_experiment_begins_anew_though_its_commit_has_a_finished_run(clone):
    clone.dvc("repro")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "trained")
    rate = "recipes/default.toml:train.learning_rate"
    clone.dvc("exp", "run", "--temp", "--name", "slow", "train", "--set-param", f"{rate}=0.0001")
    [commit] = [entry for entry in json.loads(clone.dvc("exp", "show", "--json")) if entry["rev"] != "workspace"]
    [experiment] = commit["experiments"]
    [state] = experiment["revs"]
    assert state["name"] == "slow"
    assert state["data"]["params"]["recipes/default.toml"]["data"]["train"]["learning_rate"] == 0.0001
