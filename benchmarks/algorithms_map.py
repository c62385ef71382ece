"""Which all-reduce wins where: every algorithm on every size and number of cards, fabric by fabric.

Command::

    python benchmarks/algorithms_map.py

The picture has one panel for each fabric. A cell's colour is the fastest algorithm for that size on so many cards, over
all protocols; the figure in it is by how much it beats the faster of ring and tree, which is what libraries choose
from by default. Empty where that is less than a tenth.
"""

from pathlib import Path
from typing import Any

import click

from plots import cards_axis, figure, save, size_axis
from ringsim.study import Question
from sweep import Row, Table, fingerprint, grid, options, sizes

HELP = """Example: python benchmarks/algorithms_map.py --out /tmp/sweep

Find the fastest of all algorithms over size and cards, and draw a map of the winners. Goes on where an
interrupted run stopped.
"""

FABRICS = ("hccs", "nvlink3", "nvlink4", "hccs-910c")
CARDS = tuple(2**k for k in range(1, 11))
#: Beyond, one super-node is not enough, and a mesh of 768 in each takes minutes a cell.
MOST = {"hccs-910c": 512}
SIZES = sizes(2**10, 2**32, 4)

#: Relatives have relatives' colours: rings blue, trees green, direct orange, logarithmic purple, hierarchies red to pink.
COLOURS = {
    "ring": "#0072B2", "bidirectional-ring": "#4C9BD1", "torus-ring": "#8CC4EA", "pipeline": "#B9DDF5",
    "tree": "#009E73",
    "one-shot": "#E69F00", "two-shot": "#F2CC5C",
    "halving-doubling": "#5B3A8C", "recursive-doubling": "#8A66BD", "nhr": "#AE92D4", "nb": "#C9B6E4", "swing": "#E3D8F2",
    "hierarchical-ring": "#8C1C13", "hierarchical-halving-doubling": "#BF4342",
    "hierarchical-recursive-doubling": "#D97B66", "hierarchical-nhr": "#E7A19A", "hierarchical-nb": "#E3B5C8",
    "hierarchical-swing": "#CC79A7", "ahc": "#F3D3DE",
    "hierarchical-one-shot": "#B8860B", "hierarchical-one-shot-2": "#D4A72C", "hierarchical-one-shot-3": "#EBCB70",
    "hierarchical-two-shot": "#7A5C00", "hierarchical-two-shot-2": "#9C7A14", "hierarchical-two-shot-3": "#BF9B30",
    "tour-ring": "#2E8BC0", "forest": "#66C2A5", "in-switch": "#333333",
}  # fmt: skip
#: Gains that are worth a figure.
WORTH = 1.1


def ask_about(fabric: str, cards: int, size: int, algorithm: str) -> Question:
    return Question(fabric, cards, size, algorithm=algorithm)


def winners(rows: list[Row], fabric: str) -> dict[tuple[int, int], tuple[str, float]]:
    """For each (cards, bytes) of the table the fastest algorithm, and how often it fits into the time of ring or tree."""
    times: dict[tuple[int, int], dict[str, Row]] = {}
    for row in rows:
        name, _, asked = row["series"].partition(", ")
        if name == fabric:
            times.setdefault((row["cards"], row["bytes"]), {})[asked] = row
    return {
        cell: (both["all"]["algorithm"], both["auto"]["time_us"] / both["all"]["time_us"])
        for cell, both in times.items()
        if len(both) == 2
    }


def plot(rows: list[Row], picture: object) -> None:
    shown = [fabric for fabric in FABRICS if winners(rows, fabric)]
    if not shown:
        raise click.ClickException("the table holds no cell of the map; run without --plot-only")
    fig, panels = figure(len(shown), height=5.2)
    used: set[str] = set()
    for fabric, axes in zip(shown, panels, strict=True):
        used |= _map(winners(rows, fabric), axes)
        axes.set_title(fabric)
    panels[0].set_ylabel("cards")
    from matplotlib.patches import Patch

    entries = [Patch(facecolor=colour, label=name) for name, colour in COLOURS.items() if name in used]
    fig.legend(handles=entries, loc="outside lower center", ncols=min(6, len(entries)), frameon=False)
    save(fig, picture)


def _map(cells: dict[tuple[int, int], tuple[str, float]], axes: Any) -> set[str]:
    """Draw one panel; the algorithms in it."""
    from matplotlib.patches import Rectangle

    wide = SIZES[1] // SIZES[0]
    for (cards, size), (name, gain) in cells.items():
        colour = COLOURS.get(name, "#999999")
        low, high = size / wide**0.5, size * wide**0.5
        axes.add_patch(
            Rectangle(
                (low, cards / 2**0.5), high - low, cards * (2**0.5 - 2**-0.5), facecolor=colour, edgecolor="white"
            )
        )
        if gain >= WORTH:
            ink = "white" if sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) < 400 else "black"
            text = f"{gain:.0f}" if gain >= 10 else f"{gain:.1f}"
            axes.text(size, cards, text, ha="center", va="center", color=ink, fontsize=7)
    cards, bytes_ = ([cell[i] for cell in cells] for i in (0, 1))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlim(min(bytes_) / wide**0.5, max(bytes_) * wide**0.5)
    axes.set_ylim(min(cards) / 2**0.5, max(cards) * 2**0.5)
    axes.grid(False)
    size_axis(axes.xaxis, min(bytes_), max(bytes_))
    cards_axis(axes.yaxis, cards)
    axes.set_xlabel("size of the vector on each card")
    return {name for name, _ in cells.values()}


@click.command(help=HELP)
@options("algorithms_map")
def main(table: Table, picture: Path, quick: bool, plot_only: bool) -> None:
    if not plot_only:
        table.keep({fingerprint(Question(fabric, 2)) for fabric in FABRICS})
        fabrics, cards, lengths = (("hccs",), (2, 16), SIZES[::5]) if quick else (FABRICS, CARDS, SIZES)
        questions = [
            (f"{fabric}, {asked}", ask_about(fabric, p, size, asked))
            for fabric in fabrics for p in cards if p <= MOST.get(fabric, p)
            for size in lengths for asked in ("auto", "all")
        ]  # fmt: skip
        grid(table, questions, "cells")
    plot(list(table.rows.values()), picture)


if __name__ == "__main__":
    main()
