"""Models by the name that a registry has for them: an MLflow server, and a directory of versions."""

import http.server
import json
import shutil
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from tiny import make_home

from conftest import run
from stores import free_port
from tracking import Mlflow

TEXT = "The nat7ion of pe4ople and th0e law."
API = "api/2.0/mlflow"
ARTIFACTS = "api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def registry(programs, tmp_path_factory):
    """Return a server where model `tiny` has two versions, each trained from another seed, with @first and @prod."""
    home = make_home(programs, tmp_path_factory.mktemp("registered"))
    server = Mlflow(tmp_path_factory.mktemp("mlflow")).start()
    train = [programs / "finetune", "train", "--recipe", "recipe.toml", "--pairs", "pairs", "--threads", "1"]
    for seed, alias in enumerate(("first", "prod"), 1):
        track = ["--mlflow", server.uri, "--register", f"tiny@{alias}"]
        output = run([*train, "--out", f"run{seed}", "--set", f"train.seed={seed}", *track], home)
        assert f"registered as tiny version {seed}, @{alias}" in output
    yield SimpleNamespace(server=server, home=home, runs=[home / "run1", home / "run2"], train=train)
    server.kill()


@pytest.fixture
def cache(registry, tmp_path, monkeypatch):
    """Point the environment at the server and at an empty cache, which is returned."""
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.server.uri)
    monkeypatch.setenv("REVERTANT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def restore(programs, tmp_path):
    """Return what restores a text with a model by its name, as JSON with figures that only one model gives."""

    def restore(model, status=0):
        options = ["--json", "--alternatives", "3", "--min-confidence", "0", "--threads", "1"]
        output = run(
            [programs / "serve", "--log", "off", "restore", "--model", model, *options, TEXT], tmp_path, status=status
        )
        return output if status else json.loads(output)

    return restore


def post(server, endpoint, body, method="POST"):
    """Send JSON to the API and return the answer."""
    url, headers = f"{server.uri}/{API}/{endpoint}", {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def put(server, place, file):
    """Put a file into the server's store of artifacts."""
    request = urllib.request.Request(f"{server.uri}/{ARTIFACTS}/{place}/{file.name}", file.read_bytes(), method="PUT")
    urllib.request.urlopen(request, timeout=60).close()


def kept(cache):
    """Return the versions in a cache, by their directories' names without the digest."""
    return {path.name.split("-")[0]: path for path in cache.glob("models/*/*/*")}


def test_an_alias_is_the_version_that_it_stands_for(registry, cache, restore, programs, tmp_path):
    first, second = (restore(folder) for folder in registry.runs)
    assert first != second
    assert restore("models:/tiny@first") == restore("models:/tiny/1") == first
    assert restore("models:/tiny@prod") == second
    copies = kept(cache)
    assert copies.keys() == {"1", "2"}
    for name in ("config.json", "restorer.json", "model.safetensors"):
        assert (copies["2"] / name).read_bytes() == (registry.runs[1] / name).read_bytes()

    # Downloaded once: what is there is taken, whatever the server's store holds.
    (copies["1"] / "model.safetensors").unlink()
    assert "model.safetensors" in restore("models:/tiny/1", status=1)
    shutil.rmtree(copies["1"])

    post(registry.server, "registered-models/alias", {"name": "tiny", "alias": "moving", "version": "1"})
    assert restore("models:/tiny@moving") == first
    post(registry.server, "registered-models/alias", {"name": "tiny", "alias": "moving", "version": "2"})
    assert restore("models:/tiny@moving") == second

    init = ["--init", "models:/tiny@moving", "--set", "train.steps=2", "--out", tmp_path / "on"]
    assert "models:/tiny@moving is models:/tiny/2" in run([*registry.train, *init], registry.home)


def test_a_name_that_is_used_again_is_another_model(registry, cache, restore):
    expected = [restore(folder) for folder in registry.runs]
    for folder, figures in zip(registry.runs, expected, strict=True):
        # A logged model, as MLflow 3 makes it; its place is known to the server alone.
        logged = post(registry.server, "logged-models", {"experiment_id": "0", "name": "tiny"})["model"]["info"]
        place = logged["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for name in ("config.json", "restorer.json", "model.safetensors"):
            put(registry.server, place, folder / name)
        post(registry.server, "registered-models/create", {"name": "again and again"})
        source = {"name": "again and again", "source": f"models:/{logged['model_id']}", "model_id": logged["model_id"]}
        assert post(registry.server, "model-versions/create", source)["model_version"]["version"] == "1"
        assert restore("models:/again and again/1") == figures
        post(registry.server, "registered-models/delete", {"name": "again and again"}, "DELETE")


def test_what_is_not_there_is_told_with_what_is(registry, cache, restore, monkeypatch):
    def fails(model, *words):
        output = restore(model, status=1)
        assert model in output and all(word in output for word in words), output
        assert not list(cache.rglob("*.safetensors"))

    fails("models:/tiny@nobody", "no alias `nobody`", "first = 1", "prod = 2", registry.server.uri)
    fails("models:/tiny/9", "no version 9", "newest version: 2")
    fails("models:/none@prod", "no registered model `none`", "MLFLOW_TRACKING_URI")
    fails("models:/none/1", "no registered model `none`")
    fails("models:/tiny", "models:/NAME@ALIAS")

    tiny = registry.server.call("model-versions/get", name="tiny", version="1")["model_version"]
    empty = {"source": f"{tiny['source']}/nothing", "run_id": tiny["run_id"]}
    post(registry.server, "registered-models/create", {"name": "elsewhere"})
    for version in ({"source": "s3://bucket/model"}, empty):
        post(registry.server, "model-versions/create", {"name": "elsewhere", **version})
    fails("models:/elsewhere/1", "s3://bucket/model", "--artifacts-destination")
    fails("models:/elsewhere/2", "no file at all")

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    fails("models:/tiny@prod", "MLFLOW_TRACKING_URI is not set")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs.db")
    fails("models:/tiny@prod", "sqlite:///runs.db", "http://127.0.0.1:5000")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{free_port()}")
    assert "does not answer" in restore("models:/tiny@prod", status=1)
    assert "secret" not in restore("models:/tiny@prod", status=1)


@contextmanager
def before(server, answer):
    """Stand before a server, let `answer` spoil what it says, and yield the address of that and what was asked."""
    asked = []

    class Before(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            try:
                with urllib.request.urlopen(f"{server.uri}{self.path}", timeout=60) as said:
                    status, body = said.status, said.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            status, length, body = answer(self.path, status, body)
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Before) as standing:
        threading.Thread(target=standing.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{standing.server_port}", asked
        standing.shutdown()


def test_files_of_this_machine_are_read_where_they_are(registry, cache, restore, monkeypatch):
    place = {"folder": registry.runs[0]}

    def local(path, status, body):
        if "get-download-uri" in path:
            body = json.dumps({"artifact_uri": place["folder"].as_uri()}).encode()
        return status, len(body), body

    with before(registry.server, local) as (address, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert restore("models:/tiny@prod") == restore(registry.runs[0])
        place["folder"] = registry.home / "none"
        assert str(place["folder"]) in restore("models:/tiny@prod", status=1)
    assert not cache.exists()


def test_a_download_that_breaks_off_leaves_nothing(registry, cache, restore, monkeypatch):
    spoiled = {"times": 99, "tells": True}

    def spoil(path, status, body):
        if not path.endswith("/model.safetensors") or spoiled["times"] == 0:
            return status, len(body), body
        spoiled["times"] -= 1
        return status, len(body) if spoiled["tells"] else None, body[: len(body) // 2]

    with before(registry.server, spoil) as (address, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        for tells in (True, False):
            # Without its length, half a file is a whole answer, and the list of files tells.
            spoiled["tells"] = tells
            output = restore("models:/tiny@prod", status=1)
            assert "model.safetensors" in output and ("broke off" if tells else "bytes instead of") in output, output
            assert not [path for path in cache.rglob("*") if path.is_file() or path.parent.name == "tiny"]
        spoiled["times"] = 1
        assert restore("models:/tiny@prod") == restore(registry.runs[1])
        downloads = [path for path, _ in asked if path.endswith("/model.safetensors")]
        assert len(downloads) == 4 + 4 + 2


def test_names_that_lead_out_of_the_cache_are_refused(registry, cache, restore, monkeypatch):
    def spoil(path, status, body):
        if f"{ARTIFACTS}?" in path:
            body = body.replace(b'"MLmodel"', b'"../../../escaped"')
        return status, len(body), body

    with before(registry.server, spoil) as (address, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert "../../../escaped" in restore("models:/tiny@prod", status=1)
    assert not cache.exists() or not [path for path in cache.rglob("*") if path.is_file()]


def test_credentials_are_those_of_mlflow_and_not_printed(registry, cache, restore, monkeypatch):
    def refuse(path, status, body):
        body = b'{"error_code": "PERMISSION_DENIED", "message": "no"}'
        return 403, len(body), body

    with before(registry.server, refuse) as (address, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        output = restore("models:/tiny@prod", status=1)
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
        output += restore("models:/tiny@prod", status=1)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
        output += restore("models:/tiny@prod", status=1)
    assert [credentials for _, credentials in asked] == [None, "Bearer t0ken", "Basic bWU6c2VjcmV0"]
    assert output.count("403 PERMISSION_DENIED") == 3 and "MLFLOW_TRACKING_TOKEN" in output
    assert "secret" not in output and "t0ken" not in output


def test_a_directory_has_versions_and_aliases(registry, restore, tmp_path):
    folder = tmp_path / "tagger"
    for version, source in zip("12", registry.runs, strict=True):
        (folder / version).mkdir(parents=True)
        for name in ("config.json", "restorer.json", "model.safetensors"):
            shutil.copy2(source / name, folder / version)
    aliases = folder / "aliases.toml"
    for version, source in zip("12", registry.runs, strict=True):
        aliases.write_text(f'prod = "{version}"\n')
        assert restore(f"{folder}@prod") == restore(f"{folder}@{version}") == restore(source)
    output = restore(f"{folder}@nobody", status=1)
    assert "nobody" in output and "versions: 1, 2" in output and "prod = 2" in output
