"""What the tests share: the programs, a clean clone, and the real pipeline's data, made once a run."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What only `make peers` runs needs what requirements-peers.txt names.
collect_ignore = [] if find_spec("torch") and find_spec("peft") else ["peers"]


def run(command, cwd, env=None, status=0):
    """Run a command and return what it printed on both streams; any other exit status fails the test."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == status, f"{command} ended with status {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def programs():
    """Folder of the programs under test: REVERTANT_BIN_DIR, else built with the dev profile."""
    if given := os.environ.get("REVERTANT_BIN_DIR"):
        return Path(given)
    run(
        ["cargo", "build", "--locked", "--workspace", "--bins", "--features", "corruptor/object-store,serve/kafka"],
        ROOT,
    )
    metadata = run(["cargo", "metadata", "--format-version=1", "--no-deps", "--quiet"], ROOT)
    return Path(json.loads(metadata)["target_directory"]) / "debug"


@dataclass
class Clone:
    """A clone of the repository with its own DVC cache and settings."""

    path: Path
    env: dict

    def dvc(self, *arguments, env=None, status=0):
        """Run `dvc` in the clone."""
        return run([sys.executable, "-m", "dvc", *arguments], self.path, env or self.env, status)

    def git(self, *arguments):
        """Run `git` in the clone."""
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        return run(["git", *identity, *arguments], self.path, self.env)

    def recipe(self):
        """Return the default recipe's tables."""
        return tomllib.loads((self.path / "recipes/default.toml").read_text())


@pytest.fixture(scope="session")
def make_clone(tmp_path_factory, programs):
    """Make clean clones of the working tree: what a commit of everything not ignored would hold."""

    def make(origin=ROOT):
        folder = tmp_path_factory.mktemp("clone")
        env = os.environ | {
            "REVERTANT_BIN_DIR": str(programs),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(folder / "config"),
            "DVC_SYSTEM_CONFIG_DIR": str(folder / "config"),
            "DVC_NO_ANALYTICS": "1",
        }
        clone = Clone(folder / "revertant", env)
        names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], origin)
        for name in filter(None, names.split("\0")):
            if (origin / name).is_file():
                (clone.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin / name, clone.path / name)
        clone.git("init", "--quiet")
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "--message", "clone")
        return clone

    return make


@pytest.fixture(scope="session")
def pipeline(make_clone):
    """Return a clone in which `dvc repro data` has collected and corrupted the default recipe's texts."""
    clone = make_clone()
    clone.dvc("repro", "data")
    return clone
