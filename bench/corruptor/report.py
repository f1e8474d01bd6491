"""From raw timings to a table in Markdown."""

from pathlib import Path
from statistics import median

RESULTS = Path(__file__).resolve().parents[1] / "RESULTS.md"
BEGIN, END = "<!-- corruptor: begin -->", "<!-- corruptor: end -->"
COLUMNS = ["`NAME`", "what it does"]
FIGURES = ["MB/s", "lowest to highest", "ours is faster by", "CPU s / 100 MB", "memory, MiB", "CER", "events / kB"]
IN_MEMORY = """\
The channel in memory (`cargo bench --package corruptor --bench channel`): `channel/WHAT/BYTES` of passages of that
size on one core, `channel-threads/log/THREADS` on several.

| measurement | MB/s |
| --- | ---: |"""


def markdown(results: dict) -> str:
    """Return the table with all that is needed to measure it again."""
    rows = {name: row for name, row in results["contenders"].items() if row["runs"]}
    paragraphs = [_preamble(results, rows), "\n".join([*_head(), *(_line(name, rows) for name in rows)])]
    if ceiling := _ceiling(rows):
        paragraphs.append(ceiling)
    if results["channel"]:
        measured = [f"| {one['name']} | {1000 * one['bytes'] / one['nanoseconds']:.0f} |" for one in results["channel"]]
        paragraphs.append("\n".join([IN_MEMORY, *measured]))
    if failed := [f"`{name}`" for name, row in results["contenders"].items() if row["failed"]]:
        paragraphs.append(f"Failed: {', '.join(failed)}.")
    versions = ", ".join(f"{name} {version}" for name, version in results["machine"]["versions"].items())
    return "\n\n".join([*paragraphs, f"Versions: {versions}."])


def publish(table: str) -> None:
    """Put the table into its place in bench/RESULTS.md."""
    before, begin, rest = RESULTS.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{RESULTS} lacks the lines {BEGIN} and {END}: put them where the table belongs")
    RESULTS.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


def speeds(row: dict) -> list[float]:
    """Return the MB of text a second of each run."""
    return [row["text_bytes"] / run["seconds"] / 1e6 for run in row["runs"]]


def _preamble(results: dict, rows: dict) -> str:
    machine = results["machine"]
    others = [100 * run["others"] for row in rows.values() for run in row["runs"]]
    sizes = [row["text_bytes"] / 1e6 for row in rows.values()]
    few = f" ({min(sizes):.1f} MB of it for the slow ones)" if min(sizes) < max(sizes) / 2 else ""
    return (
        f"Measured on {machine['date']} by `{results['command']}`; a single line of it by `--only NAME`. "
        f"{machine['processors_used']} of {machine['processors']} processors ({machine['processor']}), "
        f"{machine['memory_gib']} GiB, {machine['system']}; outputs in {results['scratch']}. "
        f"{max(sizes):.1f} MB of text{few}. Medians of {results['rounds']} rounds. Meanwhile other processes took "
        f"{median(others):.0f} % of the machine (median; at most {max(others):.0f} %)."
    )


def _head() -> list[str]:
    rule = ["---"] * len(COLUMNS) + ["---:"] * len(FIGURES)
    return [f"| {' | '.join(cells)} |" for cells in (COLUMNS + FIGURES, rule)]


def _line(name: str, rows: dict) -> str:
    row = rows[name]
    found, output = speeds(row), row["output"]
    faster = f"{median(speeds(rows['ours'])) / median(found):.2f}×" if "ours" in rows else ""
    cpu = median(run["cpu_seconds"] for run in row["runs"]) / row["text_bytes"] * 1e8
    cells = [
        f"`{name}`",
        row["about"],
        _figure(median(found)),
        f"{_figure(min(found))} to {_figure(max(found))}",
        faster,
    ]
    cells += [
        f"{cpu:.2f}",
        f"{max(run['peak_bytes'] for run in row['runs']) / 2**20:.0f}",
        f"{100 * output['cer']:.1f} %",
    ]
    cells.append("" if output["events"] is None else f"{output['events']:.1f}")
    return f"| {' | '.join(cells)} |"


def _ceiling(rows: dict) -> str:
    """Compare ours with writing alone, what no program that ends in Parquet can beat."""
    said = []
    for name in [name for name in rows if name.startswith("ours")]:
        for other in [other for other in rows if other.startswith("write")]:
            times = median(speeds(rows[other])) / median(speeds(rows[name]))
            said.append(f"`{name}` takes {times:.2f} times as long as `{other}`.")
    return " ".join(said)


def _figure(speed: float) -> str:
    return f"{speed:.0f}" if speed >= 100 else f"{speed:.1f}"
