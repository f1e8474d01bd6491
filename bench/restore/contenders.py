"""Who restores: what each is made from, and its command without the size of a batch."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THREADS = ["--threads", "2"]
OURS = {"ours": [], "ours, int8": ["--compute-type", "int8"], "ours, a token a pass": ["--plain"]}
# Whose texts the others' are compared with.
REFERENCE = "transformers"


@dataclass(frozen=True)
class Contender:
    """A program that restores the lines of its standard input, `--batch N` at once, and prints a line of JSON."""

    name: str
    command: list[str]
    is_peer: bool

    def run(self, texts: Path, batch: int) -> dict:
        """Restore the texts, and return what it says of that."""
        with texts.open(encoding="utf-8") as lines:
            command = [*self.command, "--batch", str(batch)]
            done = subprocess.run(command, cwd=ROOT, check=True, stdin=lines, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.strip().splitlines()[-1])


def contenders(model: Path, python: Path, programs: Path) -> Iterator[Contender]:
    """Those that take this checkpoint, which is in float32 and in the Hugging Face layout; writes what they read."""

    def peer(name: str, module: str, *options: str | Path) -> Contender:
        command = [str(python), "-m", f"bench.restore.{module}", str(model), *THREADS, *map(str, options)]
        return Contender(name, command, is_peer=True)

    yield peer(REFERENCE, "torch_restore")
    family = json.loads((model / "config.json").read_text(encoding="utf-8"))["model_type"]
    if family == "llama":
        for kind, cache in {"f32": "f32", "q8_0": "f16"}.items():
            file = model.parent / f"{kind}.gguf"
            write(python, "gguf_of", model, file, "--type", kind)
            yield peer(f"llama.cpp, {kind}", "llama_cpp_restore", "--gguf", file, "--cache", cache)
    elif family == "t5":
        folder = model.parent / "ctranslate2"
        write(python, "ctranslate2_of", model, folder)
        for kind in ["float32", "int8"]:
            options = ["--converted", folder, "--compute-type", kind]
            yield peer(f"CTranslate2, {kind}", "ctranslate2_restore", *options)
    for name, options in OURS.items():
        command = [str(programs / "examples" / "restore"), str(model), *THREADS, *options]
        yield Contender(name, command, is_peer=False)


def write(python: Path, module: str, *arguments: str | Path) -> None:
    """Let the peers' environment convert the checkpoint."""
    subprocess.run([python, "-m", f"bench.restore.{module}", *arguments], cwd=ROOT, check=True)
