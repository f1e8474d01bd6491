"""What the documentation says about files, targets and command lines is there."""

import re

import pytest

from conftest import ROOT, run

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")])
COMMAND = re.compile(r"(?m)^(?:    )?(?:\$ )?(corruptor|finetune|serve) +([a-z]+)\b(.*)$")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(document):
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    named = set(re.findall(r"(?:`|^    )make ([a-z]+)", document.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_command_lines_are_those_of_the_programs(document, programs):
    for program, command, rest in COMMAND.findall(document.read_text()):
        known = run([programs / program, command, "--help"], ROOT)
        options = set(re.findall(r"--[a-z-]+", rest.strip().split("  ")[0]))
        assert {option for option in options if option not in known} == set(), f"{program} {command}"
