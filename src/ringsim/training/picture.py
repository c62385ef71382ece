"""Loss over epochs and over simulated time, drawn from the rows of a study's CSV."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ringsim.picture.errors import NoMatplotlib

#: After M. Okabe and K. Ito, "Color universal design", 2002: they can be told apart with any colour vision.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7B4B94", "#666666")

STYLE = {
    "font.size": 9, "axes.titlesize": 10, "axes.titlelocation": "left", "axes.titleweight": "bold",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6, "axes.axisbelow": True, "lines.linewidth": 1.6, "svg.hashsalt": "ringsim",
}  # fmt: skip

Row = dict[str, Any]


def check() -> None:
    """Find out whether anything can be drawn at all, before the work that a picture is to show.

    Raises
    ------
    NoMatplotlib
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise NoMatplotlib from None


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw rows as `Study.rows` has them: one line for each codec, with and without error feedback in one colour.

    Parameters
    ----------
    rows : sequence of dict
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
        figure = Figure(figsize=(10.6, 4.9), dpi=130, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        start = rows[0]["loss"]
        for spec, look in looks(rows).items():
            own = [row for row in rows if row["compress"] == spec]
            # A loss far above the first one is off the picture, where the line shows that it goes.
            losses = [row["loss"] if math.isfinite(row["loss"]) else 1e3 * start for row in own]
            left.plot([row["epoch"] for row in own], losses, label=spec, **look)
            right.plot([row["time_s"] for row in own], losses, label=spec, **look)
        _frame(rows, left, right)
        handles, names = left.get_legend_handles_labels()
        columns = len(names) if len(names) <= 4 else -(-len(names) // 2)
        figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
        kind = path.suffix.lstrip(".").lower()
        figure.savefig(path, format=kind, metadata={"Date" if kind == "svg" else "Software": None})


def looks(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each codec; no compression is thick and black, error feedback solid, without it dashed."""
    colours: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    for spec in dict.fromkeys(row["compress"] for row in rows):
        if spec == "none":
            found[spec] = {"color": "black", "linewidth": 3.2, "alpha": 0.35}
            continue
        inner = spec.removeprefix("error_feedback(")
        inner = inner[:-1] if inner != spec else spec
        colour = colours.setdefault(inner, COLOURS[len(colours) % len(COLOURS)])
        found[spec] = {"color": colour, "linestyle": "-" if inner != spec else (0, (4, 2))}
    return found


def _frame(rows: Sequence[Row], left: Any, right: Any) -> None:
    """Titles, scales, target."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    first = rows[0]
    finite = [row["loss"] for row in rows if math.isfinite(row["loss"]) and row["loss"] > 0]
    left.set_yscale("log")
    left.set_ylim(min(finite) / 1.3, min(1.4 * max(finite), 4 * first["loss"]))
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    left.yaxis.set_minor_formatter(NullFormatter())
    ends = {row["compress"]: row["time_s"] for row in rows}
    left.set_xlim(0, max(row["epoch"] for row in rows))
    right.set_xlim(0, max(ends.values()))
    if first["target_loss"] is not None:
        for axes in (left, right):
            axes.axhline(first["target_loss"], color="#888888", linewidth=0.8, linestyle=":", zorder=1)
        left.annotate(
            "target", (left.get_xlim()[1], first["target_loss"]), (-3, 3), textcoords="offset points", ha="right",
            color="#888888", size=8,
        )  # fmt: skip
    warm = f", {first['warm_up']} epochs of warm-up" if first["warm_up"] else ""
    left.set_title(f"{first['task']}, {first['workers']} workers, {first['optimizer']}{warm}: loss over epochs")
    right.set_title(f"Clock of {first['model']} on {first['cards']:,} cards of {first['fabric']}")
    left.set_ylabel("training loss" + (" above the optimum" if first["task"] == "ill-conditioned" else ""))
    left.set_xlabel("epoch")
    right.set_xlabel("simulated seconds, computing and all-reduce")
