"""House style of the figures: one look, and the few helpers that spare the reader a hunt through a legend.

Colours are after M. Okabe and K. Ito ("Color universal design", 2002), so that people with any colour vision
can tell them apart. A cluster keeps its colour in every figure; a ring is a solid line with dots, a tree a
dashed one with triangles.
"""

from collections.abc import Sequence
from math import floor, log10
from pathlib import Path
from typing import Any

import click

COLOURS = {
    "hccs": "#D55E00",
    "nvlink3": "#009E73",
    "nvlink3, one domain": "#0072B2",
    "nvlink4": "#56B4E9",
    "infinity-fabric": "#CC79A7",
    "uniform, 1 chunk": "#888888",
    "uniform, 64 chunks": "#333333",
}
LINES = {"ring": {"linestyle": "-", "marker": "o"}, "tree": {"linestyle": (0, (4, 2)), "marker": "^"}}


def figure(panels: int, height: float = 4.6) -> tuple[Any, Any]:
    """Make a figure of `panels` panels side by side; matplotlib is needed only from here on."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise click.ClickException(
            "pictures need matplotlib: pip install 'ringsim[plot]', then again with --plot-only"
        ) from None
    style = {
        "font.size": 9, "axes.titlesize": 10, "axes.titlelocation": "left", "axes.titleweight": "bold",
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#DDDDDD",
        "grid.linewidth": 0.6, "axes.axisbelow": True, "lines.linewidth": 1.5, "lines.markersize": 4,
        "xtick.minor.visible": False, "ytick.minor.visible": False,
    }  # fmt: skip
    mpl.rcParams.update(style)  # for good: a title or a line looks its style up when it is drawn
    picture = Figure(figsize=(5.6 * panels, height), dpi=110, layout="constrained")
    return picture, picture.subplots(1, panels, squeeze=False)[0]


def save(picture: Any, path: Path) -> None:
    """Write the figure as PNG, the same bytes for the same rows."""
    picture.savefig(path, metadata={"Software": None})
    click.echo(path)


def size_text(size: float) -> str:
    """Write a power of two of bytes for an axis: ``64 KiB``."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size / 2**power:.3g} {unit}"
    return f"{size:.3g} B"


def time_text(us: float) -> str:
    """Write microseconds for an axis: ``10 ms``."""
    for factor, unit in ((1e6, "s"), (1e3, "ms")):
        if us >= factor:
            return f"{us / factor:.3g} {unit}"
    return f"{us:.3g} µs"


def size_axis(axis: Any, low: float, high: float) -> None:
    """Label a log axis of bytes at powers of 1,024, and of 32 where there is room for them."""
    powers = range(0, 50, 10 if high / low > 2**24 else 5)
    _ticks(axis, [2.0**k for k in powers if low <= 2**k <= high], size_text)


def time_axis(axis: Any) -> None:
    """Label a log axis of microseconds, unit at every tick."""
    low, high = axis.get_view_interval()
    ticks = [10.0**k for k in range(floor(log10(low)), floor(log10(high)) + 1) if low <= 10.0**k]
    if len(ticks) < 3:
        ticks = [m * t for t in [10.0 ** floor(log10(low)), *ticks] for m in (1, 2, 5)]
    _ticks(axis, [t for t in ticks if low <= t <= high], time_text)


def cards_axis(axis: Any, cards: Sequence[int]) -> None:
    """Label a log axis of cards at powers of two, every other one where they crowd, and at the largest."""
    powers = [2**k for k in range(25) if min(cards) <= 2**k <= max(cards)]
    ticks = powers[:: 1 if len(powers) <= 8 else 2]
    if max(cards) > 1.6 * ticks[-1]:
        ticks.append(max(cards))
    _ticks(axis, ticks, lambda n: f"{n:,.0f}")


def _ticks(axis: Any, places: Sequence[float], text: Any) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: text(value))


def label_ends(axes: Any, ends: Sequence[tuple[float, float, str, str]], gap: float = 11.0) -> None:
    """Write each line's name right of its last point, moved apart where lines end close together.

    Parameters
    ----------
    axes : matplotlib Axes
        With its limits and scales final.
    ends : sequence of (x, y, text, colour)
    gap : float
        Least distance between two names, points.
    """
    axes.figure.draw_without_rendering()
    scale = 72 / axes.figure.dpi
    ends = sorted(ends, key=lambda end: end[1])
    own = [axes.transData.transform(end[:2])[1] * scale for end in ends]
    heights = list(own)
    # Neighbours that are too close give way by half each, until none is.
    for _ in range(100):
        for k in range(1, len(heights)):
            lack = gap - (heights[k] - heights[k - 1])
            if lack > 0.01:
                heights[k] += lack / 2
                heights[k - 1] -= lack / 2
    for (x, y, text, colour), height, at in zip(ends, heights, own, strict=True):
        axes.annotate(
            text, (x, y), (7, height - at), textcoords="offset points", color=colour, va="center",
            annotation_clip=False,
        )  # fmt: skip
