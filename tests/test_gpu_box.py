"""`deploy/gpu-box/train.sh` on a CPU: killed, taken up on another box, stopped, finished."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conftest import ROOT, run
from stores import BUCKET, S3
from test_training import TINY

WORDS = ["the", "whale", "a", "ship", "sea", "and", "of", "captain", "white", "sails", "harpoon", "storm"]
SECRET = "not-to-be-logged"
STEPS = 400
SETTINGS = TINY["model"] | {"hidden_size": 32, "window_bytes": 256}
TRAINING = TINY["train"] | {"steps": STEPS, "eval_steps": 150, "save_minutes": 0.005}
SETS = [f"model.{key}={value}" for key, value in SETTINGS.items()]
SETS += [f"train.{key}={value}" for key, value in TRAINING.items()]
OPTIONS = ["--device", "cpu", "--pairs", "data/tiny", "--push-every", "0.01"]
OPTIONS += [part for value in SETS for part in ("--set", value)]


@pytest.fixture(scope="module")
def s3():
    with S3.start() as server:
        yield server


@pytest.fixture(scope="module")
def project(make_clone, programs, s3):
    """Return a clone whose small pairs lie in its default remote, an S3 bucket; what it ran with has no home."""
    requirements = (ROOT / "requirements.txt").read_text() + (ROOT / "constraints.txt").read_text()
    stamp = Path(sys.prefix, ".revertant-requirements")
    if not stamp.is_file() or stamp.read_text() != requirements:
        pytest.skip("this Python environment is not the one that scripts/venv makes: make setup")
    clone = make_clone()
    home = clone.path.parent / "home"
    home.mkdir()
    clone.env |= s3.env() | {"AWS_SECRET_ACCESS_KEY": SECRET, "REVERTANT_VENV": sys.prefix, "HOME": str(home)}
    clone.env |= {"REVERTANT_THREADS": "2"}
    words = random.Random(1).choices(WORDS, k=9000)
    texts = [" ".join(words[i : i + 90]).capitalize() + "." for i in range(0, len(words), 90)]
    lines = clone.path / "texts.jsonl"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    generate = ["generate", "--recipe", "recipes/default.toml", "--set", "corpus.valid_share=0.2"]
    run([programs / "corruptor", *generate, "--input", lines, "--out", "data/tiny"], clone.path)
    lines.unlink()
    clone.dvc("remote", "add", "--default", "store", f"s3://{BUCKET}/dvc")
    clone.dvc("add", "data/tiny")
    clone.dvc("push", "data/tiny")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "pairs")
    return clone


class Box:
    """A run of the script, whose output is in a file."""

    def __init__(self, script, *arguments, env, log):
        """Start it."""
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [script, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=log.parent
            )

    def output(self):
        """Return what it has printed."""
        return self.log.read_text()

    def wait_until(self, what):
        """Wait until something is true."""
        deadline = time.monotonic() + 120
        while not (value := what()):
            assert self.process.poll() is None and time.monotonic() < deadline, self.output()
            time.sleep(0.05)
        return value

    def kill(self):
        """End it with everything it started, at once."""
        tree = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for process in tree:
            process.suspend()
        for process in tree:
            process.kill()
        self.process.wait()

    def status(self):
        """Wait until it ends; return its exit status."""
        return self.process.wait(timeout=120)


def manifest(s3, name):
    """Return the manifest of a run, or nothing."""
    key = f"dvc/runs/{name}/manifest.json"
    return json.loads(s3.get(key)) if key in s3.keys(f"dvc/runs/{name}/") else {"step": -1, "done": False}


def objects(s3, name):
    """Return the digests of the objects of a run."""
    return {key.rpartition("/")[2] for key in s3.keys(f"dvc/runs/{name}/objects/")}


def steps(folder):
    """Return the steps in a run's log."""
    records = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [record["step"] for record in records if "loss" in record]


def test_a_killed_training_goes_on_elsewhere_to_the_same_end(project, programs, s3, tmp_path):
    script = project.path / "deploy/gpu-box/train.sh"
    first = Box(script, *OPTIONS, env=project.env, log=tmp_path / "first.log")
    killed_at = first.wait_until(lambda: max(0, manifest(s3, "run")["step"]))
    first.kill()
    assert not manifest(s3, "run")["done"]

    # Another box: all it has is the script, which clones, pulls the pairs and the state, and is then told to stop.
    alone = shutil.copy(script, tmp_path / "train.sh")
    elsewhere = ["--repo", f"file://{project.path}", "--dir", tmp_path / "clone", "--remote", f"s3://{BUCKET}/dvc"]
    second = Box(alone, *elsewhere, *OPTIONS, env=project.env, log=tmp_path / "second.log")
    second.wait_until(lambda: manifest(s3, "run")["step"] > killed_at)
    run([tmp_path / "clone/deploy/gpu-box/train.sh", "--stop"], tmp_path, project.env)
    assert second.status() == 3, second.output()
    assert "runs: pulled step " in second.output()
    stopped = manifest(s3, "run")
    assert killed_at < stopped["step"] < STEPS and not stopped["done"]
    assert f"state/run-{stopped['step']:09}.safetensors" in stopped["files"]
    assert "log.jsonl" in stopped["files"]

    # Back on the first, whose own state is behind by now.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/shutdown").write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/off\n')
    (tmp_path / "bin/sudo").write_text('#!/bin/sh\nexec "$@"\n')
    for name in ("shutdown", "sudo"):
        (tmp_path / "bin" / name).chmod(0o755)
    env = project.env | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    third = Box(script, *OPTIONS, "--shutdown", env=env, log=tmp_path / "third.log")
    assert third.status() == 0, third.output()
    assert f"runs: pulled step {stopped['step']} " in third.output()
    finished = manifest(s3, "run")
    assert finished["done"] and finished["step"] == STEPS
    assert (tmp_path / "off").read_text() == "-h now\n"
    assert objects(s3, "run") == {entry["sha256"] for entry in finished["files"].values()}

    # No step is missing or came twice, and the weights are those of a run that nobody disturbed.
    assert steps(project.path / "models/run") == list(range(1, STEPS + 1))
    sets = [part for value in SETS for part in ("--set", value)]
    train = ["train", "--recipe", "recipes/default.toml", "--pairs", "data/tiny", "--out", tmp_path / "undisturbed"]
    run([programs / "finetune", *train, *sets], project.path)
    weights = (tmp_path / "undisturbed/model.safetensors").read_bytes()
    assert (project.path / "models/run/model.safetensors").read_bytes() == weights

    assert SECRET not in first.output() + second.output() + third.output()


def keeper(project, *arguments, status=0):
    """Run `runs.py`."""
    return run([sys.executable, "deploy/gpu-box/runs.py", *arguments], project.path, project.env, status)


def test_a_box_whose_run_was_taken_over_pushes_no_more(project, s3, tmp_path):
    place = ["--remote", "store", "--name", "taken"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run/log.jsonl").write_text("1\n")
    (tmp_path / "run/metrics.json").write_text("{}")
    (tmp_path / "run/.x.tmp").write_text("half")
    keeper(project, "push", "--out", tmp_path / "run", *place, "--box", "a")
    assert manifest(s3, "taken")["files"].keys() == {"log.jsonl", "metrics.json"}

    assert "pulled" in keeper(project, "pull", "--out", tmp_path / "other", *place, "--box", "b")
    assert (tmp_path / "other/log.jsonl").read_text() == "1\n"
    assert "b goes on with this run" in keeper(
        project, "push", "--out", tmp_path / "run", *place, "--box", "a", status=1
    )
    (tmp_path / "other/log.jsonl").write_text("1\n2\n")
    assert "0.0 MB" in keeper(project, "push", "--out", tmp_path / "other", *place, "--box", "b")

    [damaged] = objects(s3, "taken") - {manifest(s3, "taken")["files"]["metrics.json"]["sha256"]}
    s3.put(f"dvc/runs/taken/objects/{damaged}", b"3\n")
    error = keeper(project, "pull", "--out", tmp_path / "third", *place, status=1)
    assert "log.jsonl arrived with another SHA-256" in error
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        (None, "no nvidia-smi on the PATH"),
        ("exit 6", "nvidia-smi does not know GPU 1"),
        ("echo 570.86.15", "NVIDIA's driver is 570.86.15; CUDA 13.0 needs 580 or newer"),
    ],
)
def test_what_the_driver_lacks_is_named_before_anything_is_installed(tmp_path, answers, error):
    env = os.environ | {"HOME": str(tmp_path)}
    if answers:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{answers}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
        env["PATH"] = f"{tmp_path}:{env['PATH']}"
    elif shutil.which("nvidia-smi"):
        pytest.skip("this machine has a driver")
    command = [ROOT / "deploy/gpu-box/train.sh", "--device", "cuda:1", "--out", tmp_path / "run"]
    assert error in run(command, tmp_path, env, status=1)
