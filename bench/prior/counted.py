"""Our priors, of one budget each."""

import hashlib
import json
import subprocess
from pathlib import Path


def recipe_of_prior(recipe: Path, mib: float) -> str:
    """A recipe's corpus and channel, with a prior for a model; smoothing and pruning are chosen on validation."""
    kept, keep = [], True
    for line in recipe.read_text().splitlines():
        if line.startswith("["):
            keep = line.strip("[]").split(".")[0] in ("corpus", "corrupt")
        if keep:
            kept.append(line)
    return "\n".join([*kept, "[model]", 'family = "ngram"', f"max_mib = {mib}", ""])


def count(finetune: Path, recipe: Path, corpus: Path, mib: float, work: Path) -> Path:
    """The checkpoint of a prior of at most so many MiB, kept in `work` while program and recipe are the same."""
    out, written = work / f"prior-{mib:g}", work / f"prior-{mib:g}.toml"
    program = hashlib.sha256(finetune.read_bytes()).hexdigest()
    text = f"# By finetune {program}, of {corpus}.\n{recipe_of_prior(recipe, mib)}"
    if (out / "metrics.json").exists() and written.exists() and written.read_text() == text:
        return out
    work.mkdir(parents=True, exist_ok=True)
    written.write_text(text)
    command = [finetune, "train", "--recipe", written, "--corpus", corpus, "--out", out, "--threads", "1"]
    subprocess.run([*command, "--overwrite"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return out


def facts(checkpoint: Path) -> dict:
    """What `finetune train` measured."""
    return json.loads((checkpoint / "metrics.json").read_text())
