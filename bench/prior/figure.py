"""Bits a byte against size."""

from pathlib import Path

from bench.channel.figures import COLOURS, MARKERS, axes, save
from bench.prior.rows import Row


def frontier(found: list[Row]) -> list[Row]:
    """The models that are better on validation than every smaller one."""
    best: list[Row] = []
    for row in sorted(found, key=lambda row: row.mib):
        if not best or row.valid < best[-1].valid:
            best.append(row)
    return best


def draw(ours: list[Row], kenlm: list[Row], ppmd: list[Row], large: list[Row], path: Path) -> None:
    """A curve a family, and a level for what no budget bounds."""
    figure, (chart,) = axes(1, width=7.6, height=5.4)
    chart.set_title("Held-out text: bits a byte against the size of the model")
    families = [("ours (frozen)", frontier(ours)), ("KenLM, quantized trie (frozen)", frontier(kenlm))]
    families.append(("PPMd, learning on, in so much memory", ppmd))
    for index, (name, found) in enumerate(families):
        if found:
            sizes, bits = [row.mib for row in found], [row.test for row in found]
            chart.plot(sizes, bits, color=COLOURS[index], marker=MARKERS[index], label=name)
    for index, row in enumerate(large):
        style = ("--", ":", "-.")[index % 3]
        name = f"{row.family}, {row.shape}, memory in plenty"
        chart.axhline(row.test, color=COLOURS[3], linestyle=style, linewidth=1.2, label=name)
    chart.set_xscale("log", base=2)
    ticks = sorted({2.0**power for power in range(6)} | {24.0})
    chart.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    chart.minorticks_off()
    chart.set_xlabel("size, MiB (logarithmic)")
    chart.set_ylabel("bits a byte of the test passages")
    chart.set_xlim(1, 40)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    save(figure, path)
