"""Models that change while they are served: versions, golden texts, rollback, shares, shadows, configuration."""

import json
import shutil
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest

from serving import ask, metric, server, wait_for

MODELS = Path(__file__).parents[1] / "models"
TEXT = "Tthe Presdent of the Untied States adressed the Congress."


@pytest.fixture
def versions(tmp_path):
    """Make a directory of versions: 1 and 2 restore alike and have digests of their own, 3 is broken."""
    folder = tmp_path / "restorer"
    for version in "123":
        shutil.copytree(MODELS / "tagger", folder / version)
        path = folder / version / "restorer.json"
        restorer = json.loads(path.read_text())
        restorer["metrics"] = {"version": version}
        path.write_text(json.dumps(restorer))
    weights = folder / "3" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    point(folder, "1")
    return folder


def point(folder, version):
    """Let the alias stand for a version."""
    (folder / "aliases.toml.new").write_text(f'production = "{version}"\n')
    (folder / "aliases.toml.new").rename(folder / "aliases.toml")


def served(address, name="default"):
    """Return what a model's name stands for now."""
    _, _, models = ask(address, "/v1/models")
    return next(model for model in models["data"] if model["id"] == name)


def reloads(address, outcome):
    """Count the versions of which this became."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    wanted = f'revertant_model_reloads_total{{model="default",outcome="{outcome}"}} '
    return next((float(line.split()[-1]) for line in lines if line.startswith(wanted)), 0)


class Load:
    """Clients that ask all the time; what they were answered is kept."""

    def __init__(self, address, clients=4):
        """Make so many clients."""
        self.address, self.answers, self.going = address, [], True
        self.threads = [threading.Thread(target=self.ask, args=(client,)) for client in range(clients)]

    def ask(self, client):
        """Ask, each time another text."""
        count = 0
        while self.going:
            count += 1
            request = urllib.request.Request(
                f"{self.address}/v1/restore",
                json.dumps({"text": f"{TEXT} {client} {count}"}).encode(),
                {"content-type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    json.load(answer)
                    self.answers.append((answer.status, answer.headers["revertant-model-digest"]))
            except OSError as error:
                self.answers.append((str(error), None))

    def __enter__(self):
        """Start."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        """Stop."""
        self.going = False
        for thread in self.threads:
            thread.join()


def test_versions_change_under_load_without_an_error(programs, versions):
    options = ["--model", f"{versions}@production", "--poll-seconds", "0.1", "--result-cache-bytes", "0"]
    with server(programs, *options) as address:
        first = served(address)["digest"]
        with Load(address) as load:
            wait_for(lambda: len(load.answers) > 20)
            point(versions, "2")
            wait_for(lambda: served(address)["digest"] != first)
            second = served(address)["digest"]
            # A version that cannot be loaded is refused, once, and nobody notices.
            point(versions, "3")
            wait_for(lambda: reloads(address, "refused") == 1)
            status, _, model = ask(address, "/v1/models/default/rollback", b"")
            assert (status, model["digest"]) == (200, first)
            done = len(load.answers)
            wait_for(lambda: len(load.answers) > done + 20)
            assert served(address)["digest"] == first and reloads(address, "refused") == 1
            point(versions, "2")
            wait_for(lambda: served(address)["digest"] == second)
            done = len(load.answers)
            wait_for(lambda: len(load.answers) > done + 20)
        assert {status for status, _ in load.answers} == {200}
        digests = [digest for _, digest in load.answers]
        assert set(digests) == {first, second} and digests[0] == first and digests[-1] == second
        assert reloads(address, "loaded") == 3 and reloads(address, "rolled_back") == 1
        status, kind, problem = ask(address, "/v1/models/nobody/rollback", b"")
        assert (status, problem["type"]) == (404, "/problems/unknown-model") and "problem" in kind


def test_only_an_admin_goes_back(programs, tmp_path):
    keys, secrets = tmp_path / "keys.toml", {}
    for role in ["restore", "admin"]:
        made = subprocess.run(
            [programs / "serve", "key", role, "--role", role], capture_output=True, text=True, check=True
        )
        secrets[role] = {"authorization": "Bearer rvt_" + made.stderr.split("rvt_")[1].split()[0]}
        keys.write_text((keys.read_text() if keys.exists() else "") + made.stdout)
    with server(programs, "--model", MODELS / "tagger", "--keys", keys) as address:
        path = "/v1/models/default/rollback"
        found = {role: ask(address, path, b"", headers) for role, headers in secrets.items()}
        kinds = {role: (status, problem["type"]) for role, (status, _, problem) in found.items()}
        assert kinds["restore"] == (403, "/problems/forbidden")
        assert kinds["admin"] == (409, "/problems/no-previous-version")
        assert ask(address, path, b"")[0] == 401


def test_golden_texts_decide_what_is_served(programs, versions, tmp_path):
    golden = tmp_path / "golden.jsonl"
    restored = subprocess.run(
        [programs / "serve", "restore", "--model", versions / "1", TEXT], capture_output=True, text=True, check=True
    ).stdout.removesuffix("\n")
    golden.write_text(json.dumps({"text": TEXT, "restored": restored}) + "\n")
    with server(programs, "--model", versions / "1", "--golden", golden) as address:
        status, _, problem = ask(address, "/v1/models/default/rollback", b"")
        assert (status, problem["type"]) == (409, "/problems/no-previous-version")
    golden.write_text(golden.read_text() + json.dumps({"text": "a", "restored": "b"}) + "\n")
    command = [programs / "serve", "http", "--listen", "127.0.0.1:0", "--model", versions / "1", "--golden", golden]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 1
    assert "of the 2 golden texts" in failed.stderr and '"a"' in failed.stderr
    with server(programs, "--model", versions / "1", "--golden", golden, "--golden-share", "0.5"):
        pass
    golden.write_text("{}\n")
    failed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 2 and "line 1" in failed.stderr


def test_a_file_declares_models_that_answer_and_watch(programs, versions, tmp_path):
    config = tmp_path / "serve.toml"
    config.write_text(
        f"""
        queue_texts = 77
        cors-origin = "https://example.org"

        [[model]]
        name = "tagger"
        source = "{versions}/1"

        [[model.beside]]
        name = "challenger"
        source = "{versions}@2"
        answers = 0.5

        [[model.beside]]
        name = "next"
        source = "{MODELS}/default"
        watches = 1.0
        """
    )
    with server(programs, "--config", config) as address:
        names = ["tagger", "challenger", "next"]
        # Ready without those beside it.
        wait_for(lambda: [model["id"] for model in ask(address, "/v1/models")[2]["data"]] == names)
        digests = {name: served(address, name)["digest"] for name in names}
        by = []
        for count in range(40):
            request = urllib.request.Request(
                f"{address}/v1/restore",
                json.dumps({"text": f"{TEXT} {count % 20}"}).encode(),
                {"content-type": "application/json", "origin": "https://example.org"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                by.append((answer.headers["revertant-model"], answer.headers["revertant-model-digest"]))
                assert answer.headers["access-control-allow-origin"] == "https://example.org"
        assert set(by) == {("tagger", digests["tagger"]), ("challenger", digests["challenger"])}
        # The same text is answered by the same version.
        assert by[:20] == by[20:]
        with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
            assert "revertant_model_info" in answer.read().decode()

        def watched():
            with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
                lines = answer.read().decode().splitlines()
            counts = [line for line in lines if line.startswith("revertant_shadow_texts_total")]
            return sum(float(line.split()[-1]) for line in counts if 'shadow="next"' in line and "skipped" not in line)

        wait_for(lambda: watched() == 40)
        request = urllib.request.Request(f"{address}/v1/restore", method="OPTIONS")
        for name, value in {"origin": "https://evil.example", "access-control-request-method": "POST"}.items():
            request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.headers["access-control-allow-origin"] is None


def test_what_holds_is_printed_with_where_it_comes_from(programs, tmp_path, monkeypatch):
    config = tmp_path / "serve.toml"
    config.write_text('queue_texts = 5\nbatch_texts = 6\nlisten = "127.0.0.1:1"\n')
    monkeypatch.setenv("REVERTANT_BATCH_TEXTS", "7")
    command = [programs / "serve", "http", "--config", config, "--listen", "127.0.0.1:2", "--print-config"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "queue-texts = 5 # file" in printed and "batch-texts = 7 # environment" in printed
    assert 'listen = "127.0.0.1:2" # command line' in printed and 'device = "cpu" # default' in printed
    # What is printed can be read again.
    config.write_text("\n".join(printed))
    again = subprocess.run([*command[:4], "--print-config"], capture_output=True, text=True, check=True).stdout
    assert "queue-texts = 5 # file" in again and 'listen = "127.0.0.1:2" # file' in again
    config.write_text("queue_text = 5\n")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 2 and "did you mean `queue-texts`" in failed.stderr


def test_an_address_has_a_rate_where_there_are_no_keys(programs):
    with server(programs, "--model", MODELS / "tagger", "--requests-per-second", "2") as address:
        answers = [ask(address, "/v1/restore", {"text": "a"}) for _ in range(12)]
        statuses = [status for status, _, _ in answers]
        assert 200 in statuses and 429 in statuses
        late = next(problem for status, _, problem in answers if status == 429)
        assert late["type"] == "/problems/rate-limited" and late["retry_after_seconds"] == 1
        # Health is always told.
        assert all(ask(address, "/healthz")[0] == 200 for _ in range(10))


def test_drift_tells_whether_texts_are_those_that_a_model_was_measured_on(programs):
    def drift(address):
        with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
            lines = [line for line in answer.read().decode().splitlines() if line.startswith("revertant_drift")]
        return {of: float(line.split()[-1]) for line in lines for of in ["bytes", "edits"] if f'of="{of}"' in line}

    with server(programs, "--model", MODELS / "tagger") as address:
        ask(address, "/v1/restore", {"texts": ["short"] * 99})
        assert metric(address, "revertant_texts_total") == 99 and drift(address) == {}
        ask(address, "/v1/restore", {"texts": [f"short {at}" for at in range(101)]})
        assert drift(address)["bytes"] > 0.25
