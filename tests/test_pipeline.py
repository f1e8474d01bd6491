"""The data pipeline, as a person with a clean clone runs it."""

import re


def tree(folder):
    """Map each file under a folder to its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def stages_run(output):
    """Return the names of the stages that dvc ran."""
    return re.findall(r"Running stage '(\w+)'", output)


def set_deletion_rate(clone, rate):
    """Change one rate of the recipe."""
    path = clone.path / "recipes/default.toml"
    before = path.read_text()
    after = re.sub(r"(\[corrupt\.deletion\]\nrate = )[0-9.]+", rf"\g<1>{rate}", before)
    assert after != before, "the default recipe no longer sets the deletion rate in this form"
    path.write_text(after)


def test_a_clean_clone_makes_what_the_lock_file_promises(pipeline):
    assert (pipeline.path / "data/pairs/test/part-00000.parquet").is_file()
    assert pipeline.git("status", "--porcelain") == "", "dvc.lock or metrics/data.json are not what was committed"


def test_a_second_repro_does_nothing(pipeline):
    output = pipeline.dvc("repro", "data")
    assert stages_run(output) == []
    assert "up to date" in output


def test_a_rate_reruns_the_data_and_not_the_corpus(pipeline, make_clone):
    clone = make_clone(pipeline.path)
    clone.dvc("cache", "dir", "--local", pipeline.path / ".dvc/cache")
    clone.dvc("checkout", "corpus", "data")
    assert stages_run(clone.dvc("repro", "data")) == []

    before = tree(clone.path / "data/pairs")
    set_deletion_rate(clone, 0.011)
    status = clone.dvc("status", "corpus", "data")
    assert re.search(r"^data:", status, re.MULTILINE)
    assert not re.search(r"^corpus:", status, re.MULTILINE)
    assert stages_run(clone.dvc("repro", "data")) == ["data"]
    after = tree(clone.path / "data/pairs")
    assert before.keys() == after.keys()
    assert before != after


def test_pairs_reach_another_machine_through_a_remote(pipeline, make_clone, tmp_path):
    remote = tmp_path / "remote"
    box = make_clone(pipeline.path)
    for clone in (pipeline, box):
        clone.dvc("remote", "add", "--local", "--default", "store", remote)

    pipeline.dvc("push", "corpus", "data")
    box.dvc("pull", "corpus", "data")

    for folder in ("data/corpus", "data/pairs"):
        assert tree(box.path / folder) == tree(pipeline.path / folder)
    assert stages_run(box.dvc("repro", "data")) == []
