"""The table: what each contender took, and how it stands beside the fastest peer."""

from collections.abc import Iterator
from statistics import median

from bench.restore.contenders import REFERENCE, Contender

HEAD = """\
| CER of the input | texts at once | | characters/s | ms a request | characters a pass | × the best peer | same text |
|---:|---:|---|---:|---:|---:|---:|---:|"""


def speeds(runs: list[dict]) -> list[float]:
    """Restored characters a second, of each run."""
    return [sum(map(len, run["texts"])) / sum(run["seconds"]) for run in runs]


def row(name: str, runs: list[dict], best: float, reference: list[str]) -> str:
    """The rest of a line: `best` is the fastest peer's median speed, `reference` the texts to compare with."""
    texts, found = runs[0]["texts"], speeds(runs)
    milliseconds = 1000 * median(median(run["seconds"]) for run in runs)
    passes = f"{sum(map(len, texts)) / runs[0]['passes']:.1f}" if "passes" in runs[0] else ""
    same = sum(mine == theirs for mine, theirs in zip(texts, reference, strict=True))
    cells = [name, f"{median(found):,.0f} ({min(found):,.0f} to {max(found):,.0f})", f"{milliseconds:,.0f}", passes]
    return " | ".join([*cells, f"{median(found) / best:.2f}", f"{same} of {len(texts)}"])


def rows(noise: str, batch: int, contenders: list[Contender], runs: dict[str, list[dict]]) -> Iterator[str]:
    """The lines of one level of noise and size of a batch; `runs` are those of each name."""
    best = max(median(speeds(runs[contender.name])) for contender in contenders if contender.is_peer)
    reference = runs[REFERENCE][0]["texts"]
    for contender in contenders:
        line = row(contender.name, runs[contender.name], best, reference)
        yield f"| {100 * float(noise):g} % | {batch} | {line} |"
