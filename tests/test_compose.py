"""`deploy/compose.yaml` is what Compose takes, and what the programs take."""

import json
import os
import subprocess
from pathlib import Path

import jsonschema_rs
import yaml

from conftest import ROOT, run

SCHEMA = "github.com/compose-spec/compose-go/v2@v2.16.2"


def test_compose_is_of_its_schema(tmp_path):
    """The schema is that of the reference implementation; Go fetches it."""
    cache = os.environ.get("REVERTANT_TEST_CACHE") or tmp_path
    env = os.environ | {"GOPATH": f"{cache}/go-modules", "GOFLAGS": "-modcacherw"}
    command = ["go", "mod", "download", "-json", SCHEMA]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    schema = json.loads((Path(json.loads(done.stdout)["Dir"]) / "schema/compose-spec.json").read_text())
    written = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    assert [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(written)] == []


def test_its_commands_are_taken(programs):
    """Flags and variables of its services are those of the program."""
    services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    ours = [service for service in services.values() if service["image"] == "revertant"]
    assert len(ours) == 2
    secret = [programs / "serve", "stream", "--print-config", "--property", "sasl.password=hidden", "--input-topic=a"]
    secret += ["--property", "schema.registry.basic.auth.user.info=a:hidden", "--schema-registry", "http://a,http://b"]
    said = run([*secret, "--output-topic=b", "--brokers=c"], ROOT)
    assert "sasl.password" in said and "user.info" in said and "hidden" not in said
    for service in ours:
        said = run(
            [programs / "serve", *service["command"], "--print-config"], ROOT, os.environ | service["environment"]
        )
        for name, value in service["environment"].items():
            if name.startswith("REVERTANT_") and name != "REVERTANT_LOG_FORMAT":
                flag = name.removeprefix("REVERTANT_").lower().replace("_", "-")
                assert f"{flag} = " in said and value in said, said
