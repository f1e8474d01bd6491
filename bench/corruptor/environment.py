"""The peers' Python environment: made once, and again whenever its requirements change."""

import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def prepare(folder: Path) -> Path:
    """Install what `requirements.txt` pins into `folder`, unless that is there, and return its Python."""
    python = folder / "bin" / "python"
    stamp = folder / "requirements.installed"
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
        print(f"installing the peers into {folder} (once, some minutes)", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", REQUIREMENTS], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python
