"""Size of the vector: how much of a fabric an all-reduce uses from 8 bytes to 4 GiB, by its best algorithm.

Command::

    python benchmarks/bandwidth_vs_size.py

The picture's left panel shows bus bandwidth (what a link of each card would carry in a ring, nccl-tests'
measure) against the size of the vector, and dotted what no algorithm could beat; the right panel shows the
time. Dots are sizes at which a ring is fastest, triangles those at which the double binary tree is.

Found, with 1,024 cards: up to about 64 KiB there is only latency, 174 µs on hccs, 91 µs on nvlink3 and 88
µs on nvlink4 and infinity-fabric. Half of the possible bandwidth takes 16 MiB on hccs, 32 MiB on nvlink3
and 64 MiB on the other two: the faster the fabric, the larger the vector that fills it. At 4 GiB it is
138, 188, 388 and 381 GB/s, 93 % of the possible on hccs and 99 % elsewhere. The tree is best almost
everywhere; a ring overtakes it at 1 GiB on nvlink3, at 4 GiB on nvlink4 and infinity-fabric and not at
all on hccs. Where it does, bandwidth takes a step: with two slices on their way a ring's time is not
latency plus transfer but the larger of the two.
"""

from pathlib import Path

import click

from plots import COLOURS, LINES, figure, label_ends, save, size_axis, time_axis
from ringsim.study import Question
from sweep import Row, Table, fingerprint, grid, options, sizes

HELP = """Example: python benchmarks/bandwidth_vs_size.py --cards 256 --out /tmp/sweep

Sweep the size of the vector on four fabrics, best algorithm at each, and draw bus bandwidth and time.
Goes on where an interrupted run stopped. The picture shows the rows with that number of cards.
"""

FABRICS = ("hccs", "nvlink3", "nvlink4", "infinity-fabric")


def questions(cards: int, quick: bool) -> list[tuple[str, Question]]:
    fabrics = FABRICS[:2] if quick else FABRICS
    steps = sizes(8, 2**21, 2**9) if quick else sizes(8, 2**32, 2)
    return [(fabric, Question(fabric, cards, size)) for fabric in fabrics for size in steps]


def plot(rows: list[Row], picture: Path, cards: int) -> None:
    shown = sorted((row for row in rows if row["cards"] == cards), key=lambda row: row["bytes"])
    if not shown:
        raise click.ClickException(f"the table has no row with {cards} cards; run without --plot-only")
    fig, (left, right) = figure(2)
    largest = max(row["bytes"] for row in shown)
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        size_axis(axes.xaxis, 8, largest)
        axes.set_xlabel("size of the vector on each card")
    right.set_yscale("log")
    ends: dict[object, list[tuple[float, float, str, str]]] = {left: [], right: []}
    for fabric in dict.fromkeys(row["series"] for row in shown):
        own = [row for row in shown if row["series"] == fabric]
        colour = COLOURS[fabric]
        size = [row["bytes"] for row in own]
        factor = 2 * (cards - 1) / cards / 1e3
        for axes, value, bound in (
            (left, "busbw_GBps", [row["bytes"] / row["bound_us"] * factor for row in own]),
            (right, "time_us", [row["bound_us"] for row in own]),
        ):
            axes.plot(size, bound, color=colour, linestyle=":", linewidth=1)
            axes.plot(size, [row[value] for row in own], color=colour)
            for algorithm, look in LINES.items():
                best = [row for row in own if row["algorithm"] == algorithm]
                axes.plot(
                    [row["bytes"] for row in best], [row[value] for row in best],
                    color=colour, marker=look["marker"], linestyle="",
                )  # fmt: skip
            ends[axes].append((size[-1], own[-1][value], fabric, colour))
    left.set_ylim(bottom=0)
    left.set_ylabel("bus bandwidth, GB/s")
    left.set_title(f"Bus bandwidth, {cards:,} cards")
    right.set_ylabel("time of one all-reduce")
    right.set_title(f"Time, {cards:,} cards")
    time_axis(right.yaxis)
    for axes, names in ends.items():
        label_ends(axes, names)
    for text, look in (
        ("best: tree", {"marker": "^", "markersize": 5, "linestyle": "-"}),
        ("best: ring", {"marker": "o", "markersize": 5, "linestyle": "-"}),
        ("what no algorithm can beat", {"linestyle": ":", "linewidth": 1}),
    ):
        left.plot([], [], color="#444444", label=text, **look)
    left.legend(frameon=False, loc="upper left")
    save(fig, picture)


@click.command(help=HELP)
@click.option("--cards", type=click.IntRange(min=2), default=1024, show_default=True)
@options("bandwidth_vs_size")
def main(table: Table, picture: Path, cards: int, quick: bool, plot_only: bool) -> None:
    if not plot_only:
        asked = questions(cards, quick)
        table.keep({fingerprint(question) for _, question in questions(cards, quick=False)})
        grid(table, asked, "bandwidth_vs_size")
    plot(list(table.rows.values()), picture, cards)


if __name__ == "__main__":
    main()
