"""Both contenders as commands: which settings each may choose from, and what a run of one prints."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THREADS = [1, 2]


@dataclass
class Contender:
    """A program that trains; `choices` are the options of which the fastest are taken."""

    name: str
    command: list[object]
    choices: list[dict[str, object]]
    chosen: dict[str, object] = field(default_factory=dict)

    def run(self, steps: int, warmup: int) -> dict:
        """Train, and return what the program says of it."""
        options = {"steps": steps, "warmup": warmup} | self.chosen
        pairs = [str(part) for key, value in options.items() for part in (f"--{key}", value)]
        command = [*map(str, self.command), *pairs]
        done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}")
        said = json.loads(done.stdout.strip().splitlines()[-1])
        if len(said["losses"]) != warmup + steps:
            raise SystemExit(f"{self.name} prints {len(said['losses'])} losses of {warmup} + {steps} steps")
        return said

    def choose_settings(self, steps: int) -> None:
        """Try every choice for some steps, and keep the fastest."""
        speeds = []
        for choice in self.choices:
            self.chosen = choice
            speeds.append(self.run(steps, 1)["tokens_per_s"])
            print(f"trial of {self.name}: {self.how}: {speeds[-1]:,.0f} tokens/s", file=sys.stderr)
        self.chosen = self.choices[speeds.index(max(speeds))]

    @property
    def how(self) -> str:
        """The chosen settings, in words."""
        threads = self.chosen.get("threads", 1)
        words = [f"{threads} thread{'s' if threads != 1 else ''}", self.chosen.get("bf16-by")]
        return ", ".join(word for word in words if word)


def options(folder: Path, setting: dict[str, object]) -> list[object]:
    """What both contenders are told."""
    given = {"model": folder.resolve(), "batches": folder.resolve() / "batches.safetensors", **setting}
    return [part for key, value in given.items() for part in (f"--{key}", value)]


def ours(folder: Path, setting: dict[str, object]) -> Contender | None:
    """Our program, if it is built."""
    program = Path(os.environ.get("REVERTANT_STEPS") or ROOT / "target/release/examples/steps").resolve()
    if not program.exists():
        print(f"ours is left out: {program} is missing; build it, or set REVERTANT_STEPS to it", file=sys.stderr)
        return None
    return Contender("ours", [program, *options(folder, setting)], [{"threads": threads} for threads in THREADS])


def pytorch(python: Path, folder: Path, setting: dict[str, object]) -> Contender:
    """PyTorch with transformers' models."""
    command = [python, "-m", "bench.finetune.torch_steps", *options(folder, setting)]
    ways = [{}] if setting["dtype"] == "f32" else [{"bf16-by": "autocast"}, {"bf16-by": "masters"}]
    return Contender("torch", command, [{"threads": threads} | way for threads in THREADS for way in ways])
