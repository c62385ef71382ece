"""A thousand cards, every algorithm: how long, how near to the bound, and what it costs to simulate.

Command::

    python benchmarks/every_algorithm.py

Each algorithm runs with the protocol and the number of channels that suit it best. The picture shows times as
multiples of what no algorithm can beat on that cluster; the same as a table of text goes to standard output.
"""

from pathlib import Path
from typing import Any

import click

from algorithms_map import COLOURS
from plots import figure, save
from ringsim.collectives import ALGORITHMS
from ringsim.study import Question
from sweep import Row, Table, fingerprint, options, progress

HELP = """Example: python benchmarks/every_algorithm.py --out /tmp/sweep

Simulate every algorithm on 1,024 cards, once with 1 MiB and once with 1 GiB, and draw how far each is from the
bound. Goes on where an interrupted run stopped.
"""

FABRICS = ("hccs", "nvlink3")
#: Only there do switches add, and who looks at the network first has no time to look at so many cards.
WHERE = {"in-switch": ("nvlink3", "nvlink4"), "tour-ring": (), "forest": ()}
SIZES = {"1 MiB": 2**20, "1 GiB": 2**30}


def questions(cards: int) -> list[tuple[str, Question]]:
    return [
        (fabric, Question(fabric, cards, size, algorithm=name))
        for size in SIZES.values() for name in ALGORITHMS for fabric in WHERE.get(name, FABRICS)
    ]  # fmt: skip


def text(rows: list[Row]) -> list[str]:
    """The table in Markdown, fastest first."""
    lines = [
        "| fabric | size | algorithm | time | of the bound | transfers | simulated in |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    sizes = {size: name for name, size in SIZES.items()}
    for row in sorted(rows, key=lambda row: (row["series"], row["bytes"], row["time_us"])):
        reached = f"{row['reached']:.1%}" if row["reached"] >= 0.001 else "<0.1%"
        lines.append(
            f"| {row['series']} | {sizes[row['bytes']]} | {row['algorithm']} | {row['time_us'] / 1e3:,.3f} ms | {reached} "
            f"| {row['transfers']:,} | {row['wall_s']:.2f} s |"
        )
    return lines


def plot(rows: list[Row], picture: object) -> None:
    panels = [(fabric, name) for fabric in FABRICS for name in SIZES]
    fig, axes = figure(len(panels), height=5.0)
    for (fabric, size), panel in zip(panels, axes, strict=True):
        _bars([r for r in rows if r["series"] == fabric and r["bytes"] == SIZES[size]], panel)
        panel.set_title(f"{fabric}, {size}")
    save(fig, picture)


def _bars(rows: list[Row], axes: Any) -> None:
    rows = sorted(rows, key=lambda row: -row["time_us"])
    names = [row["algorithm"] for row in rows]
    times = [1 / row["reached"] for row in rows]
    axes.barh(names, times, color=[COLOURS.get(name, "#999999") for name in names], left=0)
    axes.set_xscale("log")
    axes.set_xlim(1, max(times, default=1) * 6)
    axes.grid(False, axis="y")
    for name, many in zip(names, times, strict=True):
        axes.annotate(
            f"{many:,.1f}" if many < 100 else f"{many:,.0f}",
            (many, name),
            (3, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_xlabel("time, multiples of the bound")


@click.command(help=HELP)
@options("every_algorithm")
def main(table: Table, picture: Path, quick: bool, plot_only: bool) -> None:
    if not plot_only:
        table.keep({fingerprint(Question(fabric, 2)) for fabric in {*FABRICS, *sum(WHERE.values(), ())}})
        with progress(questions(16 if quick else 1024), "algorithms") as bar:
            for series, question in bar:
                table.ask(series, question)
    rows = list(table.rows.values())
    for line in text(rows):
        click.echo(line)
    plot(rows, picture)


if __name__ == "__main__":
    main()
