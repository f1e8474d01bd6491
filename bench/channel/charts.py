"""The figures of channel decoding."""

from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from bench.channel.beams import MARGINS, PROPOSALS, WIDTHS, Beam, credits
from bench.channel.figures import COLOURS, MARKERS, axes, save
from bench.channel.restoring import Measured
from bench.channel.sizes import Size

TICKS = {"noisy": [10, 20, 30, 50, 70, 100, 150], "clean": [80, 100, 150, 200, 250, 300]}


def intervals(points: list[Measured]) -> list[list[float]]:
    """How far the 95 % intervals go below and above, in percent."""
    below = [100 * (point.reduction - point.low) for point in points]
    return [below, [100 * (point.high - point.reduction) for point in points]]


@dataclass(frozen=True)
class Curve:
    """Beams that differ in one setting; the names of their points, or none."""

    label: str
    drawn: list[tuple[Beam, Measured]]
    names: list[str]


def draw_beams(points: list[tuple[Beam, Measured]], own: Beam, path: Path) -> None:
    """Errors gone against speed: a curve over the margins for each credit, and one each over widths and proposals."""
    figure, charts = axes(2, width=10.5, height=5.6)
    figure.suptitle("Channel decoding: errors gone against speed, for several beams")
    names = f"{own.width} wide, margin {own.margin:g}, credit {own.credit:g}, {own.proposals} proposals"
    kinds = ("noisy", "text with 5 % CER", 20), ("clean", "clean text", 100)
    for chart, (kind, name, goal) in zip(charts, kinds, strict=True):
        chart.axvline(goal, color="#888888", linestyle=":", linewidth=1, label="goal: 20,000, 100,000 a second")
        for index, curve in enumerate(curves(points, own)):
            draw_curve(chart, index, kind, curve)
        draw_own(chart, kind, chosen(points, [own]), names)
        chart.set_title(f"Speed on {name}")
        chart.set_xlabel("thousand characters a second of one core (logarithmic)")
        chart.set_ylabel("errors gone, % (of the test pairs)")
        chart.set_xscale("log")
        chart.set_xticks(TICKS[kind], [f"{tick}" for tick in TICKS[kind]])
        chart.minorticks_off()
        chart.margins(y=0.08)
    figure.legend(*charts[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8.5)
    save(figure, path)


def chosen(points: list[tuple[Beam, Measured]], beams: list[Beam]) -> list[tuple[Beam, Measured]]:
    """The points of these beams, in their order."""
    measured = dict(points)
    return [(beam, measured[beam]) for beam in beams]


def ends(values: list) -> str:
    """The first and the last one."""
    return f"{values[0]:g} to {values[-1]:g}"


def place(kind: str, measured: Measured) -> tuple[float, float]:
    """Where a point is in the chart."""
    return getattr(measured, kind) / 1000, 100 * measured.reduction


def curves(points: list[tuple[Beam, Measured]], own: Beam) -> list[Curve]:
    """Over the margins with each credit, then over widths, then over proposals."""
    found = []
    for credit in credits(own):
        beams = [replace(own, margin=margin, credit=credit) for margin in MARGINS]
        label = f"credit {credit:g}, margins {ends(MARGINS)} nats"
        found.append(Curve(label, chosen(points, beams), [f"{margin:g}" for margin in MARGINS]))
    for key, values in (("width", WIDTHS), ("proposals", PROPOSALS)):
        beams = [replace(own, **{key: value}) for value in values]
        found.append(Curve(f"the checkpoint's, but {key} {ends(values)} (larger points)", chosen(points, beams), []))
    return found


def draw_curve(chart: Axes, index: int, kind: str, curve: Curve) -> None:
    """One curve, with names below the first one's points and above another's; points without names grow."""
    places = [place(kind, measured) for _, measured in curve.drawn]
    style = {"color": COLOURS[index], "marker": MARKERS[index], "alpha": 0.85}
    chart.plot(*zip(*places, strict=True), color=COLOURS[index], linewidth=1)
    sizes = [36 if curve.names else 12 * (step + 1) for step in range(len(places))]
    chart.scatter(*zip(*places, strict=True), s=sizes, label=curve.label, **style)
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    offset = (-9, -10) if index == 0 else (11, 10)
    for name, at in zip(curve.names, places, strict=False):
        style = {"textcoords": "offset points", "fontsize": 8.5, "color": COLOURS[index], "bbox": box}
        chart.annotate(name, at, offset, ha="center", va="center", **style)


def draw_own(chart: Axes, kind: str, drawn: list[tuple[Beam, Measured]], names: str) -> None:
    """A ring about the checkpoint's own beam, and its interval."""
    ((_, own),) = drawn
    bar = {"color": "#999999", "fmt": "none", "capsize": 3, "elinewidth": 1, "zorder": 1}
    chart.errorbar(*place(kind, own), yerr=intervals([own]), label="its 95 % interval", **bar)
    ring = {"s": 200, "facecolors": "none", "edgecolors": "#444444", "zorder": 4}
    chart.scatter(*place(kind, own), label=f"the checkpoint's: {names}", **ring)


def draw_sizes(found: list[Size], path: Path) -> None:
    """Errors gone with intervals, bits a byte, and speed, against the size of the prior."""
    figure, charts = axes(3, width=11.0, height=3.8)
    figure.suptitle("Channel decoding against the size of the prior")
    found = sorted(found, key=lambda size: size.mib)
    mib, points = [size.mib for size in found], [size.measured for size in found]
    gone = [100 * point.reduction for point in points]
    charts[0].errorbar(mib, gone, yerr=intervals(points), color=COLOURS[0], marker=MARKERS[0], capsize=3)
    charts[0].set_title("Quality (bars: 95 % intervals)")
    charts[0].set_ylabel("errors gone, % (of the test pairs)")
    charts[1].plot(mib, [size.bits for size in found], color=COLOURS[1], marker=MARKERS[1])
    charts[1].set_title("Prediction")
    charts[1].set_ylabel("bits a byte of the test passages")
    for index, (kind, name) in enumerate((("clean", "clean text"), ("noisy", "5 % CER"))):
        speeds = [getattr(point, kind) / 1000 for point in points]
        charts[2].plot(mib, speeds, color=COLOURS[index], marker=MARKERS[index], label=name)
    charts[2].set_title("Speed")
    charts[2].set_ylabel("thousand characters a second of one core")
    charts[2].set_ylim(bottom=0)
    charts[2].legend(fontsize=8.5)
    for chart in charts:
        chart.set_xlabel("table of the prior, MiB")
        chart.set_xlim(left=0)
        chart.xaxis.set_major_locator(MultipleLocator(4))
    save(figure, path)
