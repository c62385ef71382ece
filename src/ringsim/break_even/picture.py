"""Speed-up over the bandwidth of the links, one line for each codec: where it comes down to 1, the codec stops to pay."""

from itertools import cycle
from pathlib import Path
from typing import Any

from ringsim.break_even.table import Row, Table
from ringsim.break_even.truth import GOOD
from ringsim.picture import NoMatplotlib
from ringsim.units import format_size

#: So many times the bandwidth of the links at which lines have points.
FACTORS = tuple(2.0**octaves for octaves in range(-3, 6))

#: The first six after M. Okabe and K. Ito, "Color universal design", 2002.
COLOURS = (
    "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7B4B94", "#222222", "#8C6D31", "#999999",
)  # fmt: skip

STYLE = {
    "font.size": 9, "axes.titlesize": 10, "axes.titlelocation": "left", "axes.titleweight": "bold",
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.6,
    "axes.axisbelow": True, "lines.linewidth": 1.6, "svg.hashsalt": "ringsim",
}  # fmt: skip


def check() -> None:
    """Raise `NoMatplotlib` where nothing can be drawn, before the work that a picture is to show."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise NoMatplotlib from None


def draw(table: Table, path: Path) -> None:
    """Draw a table that was weighed at `FACTORS`.

    Parameters
    ----------
    table : Table
    path : Path
        Ending in .png or .svg.

    Raises
    ------
    NoMatplotlib
    """
    check()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 5.6), dpi=130, layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.axhline(1, color="black", linewidth=3, alpha=0.35)
        axes.axvline(1, color="#888888", linewidth=0.8, linestyle=":")
        shown = sorted((row for row in table.rows if row.gains), key=lambda row: -dict(row.gains)[1.0])
        for row, colour in zip(shown, cycle(COLOURS), strict=False):
            _line(axes, row, colour)
        _frame(table, axes)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        kind = path.suffix.lstrip(".").lower()
        figure.savefig(path, format=kind, metadata={"Date" if kind == "svg" else "Software": None})


def _line(axes: Any, row: Row, colour: str) -> None:
    """A line, solid where the sum is true, with its crossing."""
    best, points = row.best, dict(row.gains)
    assert best is not None
    if min(points) <= row.factor <= max(points):
        points[row.factor] = 1.0
        axes.plot(row.factor, 1, "o", color=colour, markersize=5)
    dashes = "-" if best.error is not None and best.error < GOOD else (0, (4, 2))
    axes.plot(*zip(*sorted(points.items()), strict=True), color=colour, linestyle=dashes, label=row.spec)


def _frame(table: Table, axes: Any) -> None:
    """Titles and scales, the upper one in GB/s."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    topology, case = table.topology, table.none.case
    rate = topology.fabric.nic.bandwidth if topology.nodes > 1 else topology.fabric.domain.datasheet_bandwidth
    upper = axes.secondary_xaxis("top", functions=(lambda x: x * rate / 1e9, lambda x: x * 1e9 / rate))
    upper.set_xlabel("GB/s of a NIC" if topology.nodes > 1 else "GB/s of all links of a card, both directions")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    upper.set_xticks([factor * rate / 1e9 for factor in FACTORS], [f"{factor * rate / 1e9:,g}" for factor in FACTORS])
    upper.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(FACTORS[0], FACTORS[-1])
    axes.set_xlabel("bandwidth of all links, in times that of today")
    axes.set_ylabel("speed-up by compression")
    what = f"{format_size(case.bytes)} on {case.cards:,} cards of {case.fabric}"
    axes.set_title(f"{what}; dashed: errors not known to be below {GOOD:.0%}")
