"""The table at the end of the demo, from what `finetune evaluate --metrics` wrote."""

import json
import sys
from pathlib import Path

INTERVAL = "95 % interval"
HEADINGS = ["", "texts", "CER before", "CER after", "errors undone", INTERVAL, "exact", "clean texts changed"]


def percent(share, decimals=1):
    """Return a share in percent, or a dash where there is none."""
    return "-" if share is None else f"{100 * share:.{decimals}f} %"


def cells(name, figures):
    """Return the cells of one row."""
    low, high = figures["reduction_low"], figures["reduction_high"]
    interval = "-" if low is None else f"{100 * low:.1f} to {100 * high:.1f} %"
    return [
        name,
        str(figures["texts"]),
        percent(figures["cer_before"], 2),
        percent(figures["cer_after"], 2),
        percent(figures["reduction"]),
        interval,
        percent(figures["exact_match"]),
        percent(figures["harm"]),
    ]


def table(checkpoints):
    """Return a Markdown table of named checkpoints: all held-out pairs, then those of one operation alone."""
    rows = [HEADINGS, ["---", *["---:"] * (len(HEADINGS) - 1)]]
    rows += [cells(f"**{name}**", metrics) for name, metrics in checkpoints.items()]
    for operation in sorted(next(iter(checkpoints.values()))["operations"]):
        for name, metrics in checkpoints.items():
            if figures := metrics["operations"].get(operation):
                rows.append(cells(f"{name}, {operation}s only", figures))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def better_than_input(metrics):
    """Return whether a checkpoint leaves fewer errors than it found."""
    return metrics["cer_after"] < metrics["cer_before"]


if __name__ == "__main__":
    print(table({Path(path).stem: json.loads(Path(path).read_text()) for path in sys.argv[1:]}))
