"""The fixtures of crates/restorer are what transformers and peft make of the models in them."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from make_fixtures import MODELS, write_all

# Relative to the largest value of a tensor: other processors round otherwise.
TOLERANCE = 1e-5


def files(folder: Path) -> list[str]:
    """Names of all files, relative to the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder of fixtures, made anew."""
    folder = tmp_path_factory.mktemp("models")
    write_all(folder)
    return folder


def test_the_same_files_are_made(made):
    assert files(made) == files(MODELS)


@pytest.mark.parametrize("name", [name for name in files(MODELS) if name.endswith(".json")])
def test_configurations_and_tokens_are_the_same(made, name):
    assert json.loads((made / name).read_text()) == json.loads((MODELS / name).read_text())


@pytest.mark.parametrize("name", [name for name in files(MODELS) if name.endswith(".safetensors")])
def test_tensors_are_the_same(made, name):
    new, old = load_file(made / name), load_file(MODELS / name)
    assert new.keys() == old.keys()
    for key, expected in old.items():
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(new[key], expected, rtol=0, atol=TOLERANCE * scale, err_msg=key)
