"""What a run shows: DVC, TensorBoard and an MLflow server read what a training wrote, and none of them can stop it."""

import http.server
import json
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from ruamel.yaml import YAML
from tiny import make_home

from conftest import run
from stores import free_port
from tracking import Mlflow, forwarding, read_events

LONG = ["--set", "train.steps=400", "--set", "train.eval_steps=400"]
SPEED = {"speed/tokens_per_second", "speed/padding", "speed/elapsed_s", "speed/utilization", "speed/peak_memory_bytes"}
TRAIN = {"train/loss", "train/gradient_norm", "train/learning_rate", "train/tokens", "train/epoch", "train/skipped"}
VALID = {"valid/loss", "valid/cer", "valid/cer_before", "valid/reduction", "valid/harm"}


@pytest.fixture(scope="module")
def home(programs, tmp_path_factory):
    """Return a folder with a recipe and pairs."""
    return make_home(programs, tmp_path_factory.mktemp("tracked"))


@pytest.fixture
def command(programs, home, tmp_path):
    """Return a command line that trains into `tmp_path/run`."""
    paths = ["--recipe", home / "recipe.toml", "--pairs", home / "pairs", "--out", tmp_path / "run"]
    return [str(part) for part in [programs / "finetune", "train", *paths, "--threads", "1"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return an MLflow server that runs during these tests."""
    server = Mlflow(tmp_path_factory.mktemp("mlflow")).start()
    yield server
    server.kill()


def lines(folder):
    """Return the log's lines."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def start(command):
    """Start a training of which both streams are read later."""
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(condition, seconds=120):
    """Wait until `condition` gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("nothing happened in time")


def steps_logged(folder):
    """Return how many lines the log has."""
    log = folder / "log.jsonl"
    return log.read_text().count("\n") if log.exists() else 0


def kill_and_go_on(command, folder):
    """Kill a training in its midst, once it has saved a state, and let it go on to its end."""
    training = start([*command, *LONG])
    wait_for(lambda: steps_logged(folder) > 60 and list((folder / "state").glob("run-*.safetensors")))
    training.kill()
    training.communicate()
    return run([*command, *LONG, "--resume"], folder)


def test_each_step_is_a_line_with_every_figure(command, tmp_path):
    run([*command, "--peak-flops", "1e12"], tmp_path)
    steps = [line for line in lines(tmp_path / "run") if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, 13))
    figures = {"loss", "gradient_norm", "learning_rate", "tokens_per_second", "utilization", "padding"}
    assert figures | {"peak_memory_bytes"} <= steps[0].keys()
    assert all(0 < line["utilization"] < 1 and line["padding"] == 0 for line in steps)
    assert all(1 << 20 < line["peak_memory_bytes"] < 1 << 36 for line in steps)


def test_the_files_are_those_that_dvclive_writes(command, tmp_path):
    run(command, tmp_path)
    ours, theirs = tmp_path / "run/dvclive", tmp_path / "theirs"
    yaml = YAML(typ="safe")
    parameters = yaml.load((ours / "params.yaml").read_text())
    tables = {path.relative_to(ours / "plots/metrics").with_suffix(""): path for path in ours.glob("plots/**/*.tsv")}
    rows = {str(name): [row.split("\t") for row in path.read_text().splitlines()] for name, path in tables.items()}
    script = f"""
from dvclive import Live
import json
rows, parameters = json.load(open("rows.json"))
with Live({str(theirs)!r}, dvcyaml={str(theirs / "dvc.yaml")!r}, save_dvc_exp=False) as live:
    live.log_params(parameters)
    for name, (header, *values) in rows.items():
        for step, value in values:
            live.step = int(step)
            live.log_metric(name, float(value))
    live.step = 12
"""
    (tmp_path / "rows.json").write_text(json.dumps([rows, parameters]))
    run([sys.executable, "-c", script], tmp_path, env=None)

    def files(folder):
        return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}

    assert files(ours) == files(theirs)
    assert (ours / "dvc.yaml").read_text() == (theirs / "dvc.yaml").read_text()
    assert parameters == yaml.load((theirs / "params.yaml").read_text())
    assert parameters["train"]["steps"] == 12 and parameters["corrupt"]["insertion"]["rate"] == 0.08
    summary = json.loads((ours / "metrics.json").read_text())
    final = summary.pop("final")
    assert summary == json.loads((theirs / "metrics.json").read_text())
    assert final["valid_cer"] == json.loads((tmp_path / "run/metrics.json").read_text())["valid_cer"]
    for name, path in tables.items():
        other = [row.split("\t") for row in (theirs / f"plots/metrics/{name}.tsv").read_text().splitlines()]
        header, *values = rows[str(name)]
        assert header == other[0] == ["step", name.name]
        assert [list(map(float, row)) for row in values] == [list(map(float, row)) for row in other[1:]], path
    assert rows.keys() == TRAIN | SPEED | VALID


def test_dvc_shows_a_run(command, tmp_path):
    def dvc(*arguments):
        return run([sys.executable, "-m", "dvc", *arguments], tmp_path)

    def git(*arguments):
        run(["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments], tmp_path)

    git("init", "--quiet")
    dvc("init", "--quiet")
    run([*command, "--set", "train.seed=1"], tmp_path)
    git("add", "run/dvclive", ".dvc")
    git("commit", "--quiet", "--message", "one")
    first = json.loads((tmp_path / "run/dvclive/metrics.json").read_text())
    run([*command, "--set", "train.seed=2", "--overwrite"], tmp_path)
    second = json.loads((tmp_path / "run/dvclive/metrics.json").read_text())
    assert first["train"]["loss"] != second["train"]["loss"]

    [shown] = json.loads(dvc("metrics", "show", "--json"))[""]["data"].values()
    assert shown["data"] == second
    changes = json.loads(dvc("metrics", "diff", "--json"))["run/dvclive/metrics.json"]
    assert changes["train.loss"]["old"] == first["train"]["loss"]
    changes = json.loads(dvc("params", "diff", "--json"))["run/dvclive/params.yaml"]
    assert changes == {"train.seed": {"old": 1, "new": 2, "diff": 1}}
    experiments = json.loads(dvc("exp", "show", "--json"))
    workspace, commit = (entry["data"] for entry in experiments[:2])
    assert workspace["metrics"]["run/dvclive/metrics.json"]["data"] == second
    assert commit["metrics"]["run/dvclive/metrics.json"]["data"] == first
    assert workspace["params"]["run/dvclive/params.yaml"]["data"]["train"]["seed"] == 2
    for show in ("show", "diff"):
        dvc("plots", show, "--out", f"plots-{show}")
        page = (tmp_path / f"plots-{show}/index.html").read_text()
        assert "gradient_norm" in page and "utilization" in page and "No plots" not in page
    assert "HEAD" in (tmp_path / "plots-diff/index.html").read_text()


def test_tensorboard_and_dvclive_have_each_step_once_after_a_kill(command, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    kill_and_go_on(command, folder)
    every = list(range(1, 401))
    losses = [(line["step"], line["loss"]) for line in lines(folder) if "loss" in line]
    assert [step for step, _ in losses] == every
    assert len(list((folder / "tensorboard").iterdir())) == 2
    scalars = read_events(folder / "tensorboard")
    assert scalars.keys() >= TRAIN | SPEED | VALID | {"final/valid_cer"}
    assert [step for step, _ in scalars["train/loss"]] == every
    assert [value for _, value in scalars["train/loss"]] == pytest.approx([loss for _, loss in losses], rel=1e-6)
    rows = (folder / "dvclive/plots/metrics/train/loss.tsv").read_text().splitlines()
    assert rows[0] == "step\tloss"
    assert [(int(step), float(loss)) for step, loss in (row.split("\t") for row in rows[1:])] == losses


def test_tensorboard_can_be_left_out(command, tmp_path):
    run([*command, "--tensorboard", "off"], tmp_path)
    assert not (tmp_path / "run/tensorboard").exists()
    assert (tmp_path / "run/dvclive/metrics.json").exists()


def test_mlflow_has_the_whole_run(command, server, tmp_path):
    track = ["--mlflow", server.uri, "--experiment", "whole", "--register", "restorer@champion"]
    output = run([*command, *track], tmp_path)
    assert "MLflow: registered as restorer version 1, @champion" in output
    [found] = server.runs("whole")
    info, data = found["info"], found["data"]
    assert (info["status"], info["run_name"]) == ("FINISHED", "run")
    tags = {tag["key"]: tag["value"] for tag in data["tags"]}
    assert tags["mlflow.source.name"] == "finetune train" and tags["revertant.family"] == "revertant-tagger"
    parameters = {param["key"]: param["value"] for param in data["params"]}
    assert parameters["train.steps"] == "12" and parameters["model.family"] == "tagger"
    assert parameters["corrupt.insertion.rate"] == "0.08" and parameters["train.confidence_grid"] == "[0.5]"

    log = lines(tmp_path / "run")
    losses = [(line["step"], line["loss"]) for line in log if "loss" in line]
    assert sorted(server.history(info["run_id"], "train/loss")) == losses
    rates = [(line["step"], line["valid_cer"]) for line in log if "valid_cer" in line]
    assert sorted(server.history(info["run_id"], "valid/cer")) == rates
    metrics = {metric["key"] for metric in data["metrics"]}
    assert metrics >= TRAIN | SPEED | VALID | {"final/valid_cer", "final/min_confidence"}

    inputs = {entry["tags"][0]["value"]: entry["dataset"] for entry in found["inputs"]["dataset_inputs"]}
    assert inputs.keys() == {"training", "validation"}
    digest = json.loads(inputs["training"]["profile"])["blake3"]
    assert re.fullmatch("[0-9a-f]{64}", digest) and inputs["training"]["digest"] == digest[:32]
    assert inputs["training"]["source"].endswith('/pairs/train"}')

    folder = tmp_path / "run"
    files = server.artifacts(info["run_id"])
    assert files.keys() == {"model", "recipe.toml", "log.jsonl", "metrics.json"}
    model = server.artifacts(info["run_id"], "model")
    names = {"config.json", "model.safetensors", "restorer.json", "README.md", "MLmodel"}
    assert model.keys() == {f"model/{name}" for name in names}
    assert model["model/model.safetensors"] == (folder / "model.safetensors").stat().st_size
    [kept] = server.folder.glob(f"artifacts/**/{info['run_id']}/artifacts/model/model.safetensors")
    assert kept.read_bytes() == (folder / "model.safetensors").read_bytes()
    described = YAML(typ="safe").load(kept.with_name("MLmodel").read_text())
    assert described["flavors"]["revertant"]["family"] == "revertant-tagger" and described["run_id"] == info["run_id"]
    assert [entry["artifact_path"] for entry in json.loads(tags["mlflow.log-model.history"])] == ["model"]

    version = server.call("registered-models/alias", name="restorer", alias="champion")["model_version"]
    assert (version["version"], version["run_id"], version["status"]) == ("1", info["run_id"], "READY")
    assert version["source"].endswith(f"/{info['run_id']}/artifacts/model")

    # The same again is no other version; another run is, and takes the alias.
    run([*command, *track, "--resume"], tmp_path)
    assert server.call("registered-models/alias", name="restorer", alias="champion")["model_version"]["version"] == "1"
    run([*command, *track, "--overwrite"], tmp_path)
    assert len(server.runs("whole")) == 2
    assert server.call("registered-models/alias", name="restorer", alias="champion")["model_version"]["version"] == "2"


def test_a_killed_run_goes_on_as_the_same_run_on_the_server(command, server, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    kill_and_go_on([*command, "--mlflow", server.uri, "--experiment", "killed"], folder)
    [found] = server.runs("killed")
    assert found["info"]["status"] == "FINISHED"
    history = sorted(server.history(found["info"]["run_id"], "train/loss"))
    assert [step for step, _ in history] == list(range(1, 401))
    losses = [line["loss"] for line in lines(folder) if "loss" in line]
    assert [loss for _, loss in history] == pytest.approx(losses, rel=1e-12)


def test_a_stopped_run_is_killed_and_then_finished(command, server, tmp_path):
    folder = tmp_path / "run"
    track = ["--mlflow", server.uri, "--experiment", "stopped"]
    training = start([*command, *LONG, *track])
    wait_for(lambda: steps_logged(folder) > 5)
    training.send_signal(signal.SIGTERM)
    output, _ = training.communicate(timeout=120)
    assert training.returncode == 3, output
    [found] = server.runs("stopped")
    assert found["info"]["status"] == "KILLED"
    run([*command, *LONG, *track, "--resume"], tmp_path)
    [again] = server.runs("stopped")
    assert (again["info"]["run_id"], again["info"]["status"]) == (found["info"]["run_id"], "FINISHED")
    assert [step for step, _ in sorted(server.history(again["info"]["run_id"], "train/loss"))] == list(range(1, 401))


def test_a_server_that_dies_does_not_stop_a_training(command, tmp_path):
    (tmp_path / "server").mkdir()
    server = Mlflow(tmp_path / "server").start()
    try:
        training = start([*command, *LONG, "--mlflow", server.uri, "--experiment", "e", "--register", "dead@x"])
        wait_for(lambda: server.runs("e"))
        server.kill()
        output, _ = training.communicate(timeout=180)
    finally:
        server.kill()
    assert training.returncode == 0, output
    assert output.count("does not answer") == 1, output
    assert re.search(r"MLflow: \d+ records were not sent", output), output
    assert steps_logged(tmp_path / "run") == 401
    assert (tmp_path / "run/model.safetensors").exists()


def test_a_server_that_is_not_there_does_not_stop_a_training(command, tmp_path):
    before = time.monotonic()
    output = run([*command, "--mlflow", f"http://127.0.0.1:{free_port()}"], tmp_path)
    assert time.monotonic() - before < 60
    assert output.count("does not answer") == 1, output
    assert len(re.findall("records were not sent", output)) == 1
    assert (tmp_path / "run/dvclive/metrics.json").exists()


def test_a_server_that_comes_late_gets_everything(command, server, tmp_path):
    port = free_port()
    training = start([*command, *LONG, "--mlflow", f"http://127.0.0.1:{port}", "--experiment", "late"])
    folder = tmp_path / "run"
    wait_for(lambda: steps_logged(folder) > 3)
    with forwarding(port, server.port):
        output, _ = training.communicate(timeout=180)
    assert training.returncode == 0, output
    [found] = server.runs("late")
    assert found["info"]["status"] == "FINISHED", output
    assert len(server.history(found["info"]["run_id"], "train/loss")) == 400


def test_a_server_that_refuses_is_told_once_and_gets_the_credentials(command, tmp_path, monkeypatch):
    seen = set()

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.add(self.headers["Authorization"])
            body = b'{"error_code": "PERMISSION_DENIED", "message": "no"}'
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{refusing.server_port}")
        run(command, tmp_path)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
        output = run([*command, "--overwrite"], tmp_path)
        refusing.shutdown()
    assert output.count("403") == 1 and "PERMISSION_DENIED" in output and "secret" not in output, output
    assert seen == {"Basic bWU6c2VjcmV0", "Bearer token"}


def test_an_address_that_is_none_is_used_wrongly(command, tmp_path, monkeypatch):
    for wrong in ("sqlite:///runs.db", "databricks"):
        assert "http://127.0.0.1:5000" in run([*command, "--mlflow", wrong], tmp_path, status=2)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert "MLflow" not in run(command, tmp_path)
