"""One run of one contender in Python: `python -m bench.corruptor.contender JOB` takes and prints JSON."""

import json
import sys
from collections.abc import Callable

from rapidfuzz.distance import Levenshtein

from . import peers
from .columns import pairs_of, texts_of
from .gap_skipping import GapSkipping
from .two_processes import Job, Shared, run, transforming, writing


def cer(original: str, corrupted: str) -> float:
    """Return the edit distance in code points over the original's."""
    return Levenshtein.distance(original, corrupted) / max(len(original), 1)


def prepare(job: Job, worker: int, shared: Shared) -> Callable[[], None]:
    """Make a worker of the contender ready."""
    match job.contender:
        case "writing":
            return writing(job, worker)
        case "gap-skipping":
            transform = pairs_of(GapSkipping(job.settings, job.seed + worker), cer if job.cer else None)
        case name:
            transform = texts_of(getattr(peers, name)(job.seed + worker))
    return transforming(job, worker, shared, transform)


def main() -> None:
    """Run the job that the command line gives."""
    job = Job(**json.loads(sys.argv[1]))
    if job.contender == "pyspark":
        from .spark import run_spark

        result = run_spark(job)
    else:
        result = run(job, prepare)
    print(json.dumps(result.to_json()))


if __name__ == "__main__":
    main()
