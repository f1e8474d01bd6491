"""Who is compared: a name, how it is run, and what a reader must know of it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from .ours import Ours, settings
from .texts import Share, Texts
from .two_processes import Job, Run

SEED = 20_240_607


class PeerFailed(Exception):
    """A peer ended with an error; what it printed."""


@dataclass(frozen=True)
class Contender:
    """One row of the table. `start` runs it into a folder that does not exist; `share`: the text that it is given."""

    name: str
    about: str
    share: Share
    start: Callable[[Path], Run]

    def run(self, out: Path) -> Run:
        """Run once, into an empty place; `PeerFailed` if a peer does not get there."""
        shutil.rmtree(out, ignore_errors=True)
        return self.start(out)


def contenders(ours: Ours, texts: Texts) -> list[Contender]:
    """List all of them."""

    def program(name: str, about: str, share: Share, *flags: str) -> Contender:
        return Contender(name, about, share, lambda out: ours.generate([share.file], out, flags))

    def python(name: str, about: str, source: Path, contender: str, **how) -> Contender:
        def start(out: Path) -> Run:
            return _python(Job(contender, str(source), str(out), SEED, settings(), **how))

        return Contender(name, about, texts.few if source == texts.few.file else texts.all, start)

    passages, few = texts.all.file, texts.few.file
    no_cer = "--no-cer"
    characters = "no log, no spans, duplications or reversals"
    listed = [
        program("ours", "log, CER, splits, exact duplicates, same bytes everywhere", texts.all),
        program("ours-no-cer", "the same without CER", texts.all, no_cer) if ours.offers(no_cer) else None,
        program("ours-documents", "the same, and cuts whole documents into passages itself", texts.documents),
        python("write-zstd1", "pyarrow writes finished pairs that lie in memory, zstd-1", texts.pairs, "writing"),
        python("write-zstd3", "the same, zstd-3", texts.pairs, "writing", level=3),
        python("python", "gap-skipping, with log; code points, no CER, no splits", passages, "gap-skipping"),
        python("python-cer", "the same, and CER by rapidfuzz", passages, "gap-skipping", cer=True),
        python("pyspark", "`mapInArrow` with the same as `python`, warm, `local[2]`", passages, "pyspark"),
        python("textnoisr", f"{characters}; calibrated CER", few, "textnoisr"),
        python("nlpaug", f"{characters}; one action a text, makes white space anew", few, "nlpaug"),
        python("augmentex", f"{characters}; one action a text, keyboard errors", few, "augmentex"),
    ]
    absent = {None, *([] if shutil.which("java") else ["pyspark"])}
    return [contender for contender in listed if contender and contender.name not in absent]


def _python(job: Job) -> Run:
    Path(job.out).mkdir(parents=True)
    command = [sys.executable, "-m", "bench.corruptor.contender", json.dumps(asdict(job))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise PeerFailed(done.stdout + done.stderr)
    return Run(**json.loads(done.stdout.splitlines()[-1]))
