"""How figures look, and where what takes long to make is kept."""

import os
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
# The same figures give the same bytes.
mpl.rcParams.update({"svg.hashsalt": "revertant", "font.size": 9.5, "axes.titlesize": 10.5})

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

# Of Okabe and Ito (2008): told apart whatever colours an eye sees.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#000000", "#cc79a7", "#e69f00"]
MARKERS = ["o", "s", "^", "D", "v", "P"]


def axes(columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many charts side by side; sizes in inches."""
    figure, charts = plt.subplots(1, columns, figsize=(width, height), layout="constrained", squeeze=False)
    for chart in charts[0]:
        chart.grid(color="#dddddd", linewidth=0.6)
        chart.set_axisbelow(True)
        chart.spines[["top", "right"]].set_visible(False)
    return figure, list(charts[0])


def save(figure: Figure, path: Path) -> None:
    """Writes an SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def work_folder() -> Path:
    """Where priors are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "revertant-bench" / "priors"
