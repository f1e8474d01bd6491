"""Our program: its optimized build, one run of it, and the criterion benchmark of the channel in memory."""

import json
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .two_processes import PROCESSES, Run

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "default.toml"
CHANNEL_BENCH = ROOT / "crates" / "corruptor" / "benches" / "channel.rs"


@dataclass(frozen=True)
class Ours:
    """The program `corruptor`, run with the default recipe and one corruption of each passage."""

    program: Path

    def version(self) -> str:
        """Return what `--version` prints, and the commit of the source beside it."""
        said = subprocess.run([self.program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
        git = ["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"]
        commit = subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip()
        return f"{said} ({commit})" if commit else said

    def offers(self, flag: str) -> bool:
        """Tell whether `generate` has this flag."""
        done = subprocess.run([self.program, "generate", "--help"], check=True, capture_output=True, text=True)
        return flag in done.stdout.split()

    def collect(self, out: Path) -> None:
        """Collect the recipe's corpus."""
        subprocess.run([self.program, "corpus", "--recipe", RECIPE, "--out", out], check=True)

    def command(self, inputs: list[Path], out: Path, flags: tuple[str, ...] = ()) -> list[str]:
        """Return the command line that makes pairs."""
        fixed = ["generate", "--recipe", RECIPE, "--set", "corrupt.copies=1", "--threads", PROCESSES]
        return [str(word) for word in [self.program, *fixed, *flags, "--input", *inputs, "--out", out]]

    def generate(self, inputs: list[Path], out: Path, flags: tuple[str, ...] = (), *, force: bool = False) -> Run:
        """Make pairs and measure the whole process, from its start to its end."""
        command = self.command(inputs, out, (*flags, "--force") if force else flags)
        launcher = [sys.executable, "-m", "bench.corruptor.measured", *command]
        run = json.loads(subprocess.run(launcher, check=True, stdout=subprocess.PIPE, text=True).stdout)
        status, printed = run.pop("status"), run.pop("printed")
        if status != 0:
            raise SystemExit(f"{' '.join(command)}\nended with status {status}:\n{printed}")
        return Run(**run)


def settings() -> dict:
    """Return the recipe's table `[corrupt]`."""
    return tomllib.loads(RECIPE.read_text(encoding="utf-8"))["corrupt"]


def build(*, with_bench: bool) -> Path:
    """Build the program, optimized, and return its path."""
    print("building the corruptor, optimized", flush=True)
    # Building a benchmark builds the program too; `cargo build` beside it would compile all dependencies once more.
    what = ["bench", "--no-run", "--bench", CHANNEL_BENCH.stem] if with_bench else ["build", "--release"]
    subprocess.run(["cargo", *what, "--locked", "--package", "corruptor"], cwd=ROOT, check=True)
    return _target_directory() / "release" / "corruptor"


def channel_in_memory() -> list[dict]:
    """Run the criterion benchmark of the channel; return each measurement's name, median nanoseconds and bytes."""
    print("measuring the channel in memory (criterion)", flush=True)
    begun = time.time()
    cargo = ["cargo", "bench", "--locked", "--package", "corruptor", "--bench", CHANNEL_BENCH.stem]
    subprocess.run(cargo, cwd=ROOT, check=True)
    return _measured(_target_directory() / "criterion", begun)


def _measured(results: Path, since: float) -> list[dict]:
    """Read what criterion has written since then about benchmarks that count bytes."""
    found = []
    for file in sorted(results.glob("**/new/benchmark.json")):
        benchmark, estimates = _json(file), file.with_name("estimates.json")
        size = (benchmark["throughput"] or {}).get("Bytes")
        if size and estimates.stat().st_mtime >= since:
            nanoseconds = _json(estimates)["median"]["point_estimate"]
            found.append({"name": benchmark["full_id"], "nanoseconds": nanoseconds, "bytes": size})
    return found


def _json(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def _target_directory() -> Path:
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps", "--quiet"]
    printed = subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(printed)["target_directory"])
