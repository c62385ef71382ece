"""What tuning is worth: one ring, the best that can be had by naming an algorithm, and what `ringsim tune` finds.

Command::

    python benchmarks/tuned.py

Every shipped fabric with 8, 64 and 1,024 cards, four sizes of the vector. A table row says who chose (`series`):

* *one ring*: nobody. A single ring in the order of the ranks, in the protocol that is fastest for it.
* *by hand*: somebody who runs every algorithm alone, with its default parameters, and keeps the fastest. (One is stopped
  once its busiest link alone must take longer than the best so far.)
* *tuned*: the tuner.

`wall_s` is how long it took to find out: one simulation, all of them, or the search. The tuner looks at everything that
is tried by hand, so by hand must never be faster; the script says so, and where the plans are farthest from the bound.
The picture shows the largest number of cards in the table.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from plots import figure, save, size_text
from ringsim import __version__, study
from ringsim.collectives import ALGORITHMS
from ringsim.fabric import available
from ringsim.race import Track, race
from ringsim.report import share
from ringsim.result import Result
from ringsim.study import Question, StudyError
from ringsim.tune.table import tune
from ringsim.units import format_size, parse_size
from sweep import Row, Table, fingerprint, options, progress, question_id

HELP = """Example: python benchmarks/tuned.py --fabrics hccs,nvlink3 --cards 64 --sizes 1M,1G --out /tmp/sweep

Compare one ring, the best algorithm by hand and the tuned plan on every fabric, with 8, 64 and 1,024 cards. The
largest clusters take most of the time. Goes on where an interrupted run stopped.
"""

CARDS = (8, 64, 1024)
SIZES = (2**16, 2**20, 2**26, 2**30)

#: A fabric, its cards and the bytes of a vector.
Point = tuple[str, int, int]


# -- who chooses -------------------------------------------------------------------------------------------------


def one_ring(question: Question) -> Result:
    return study.answer(replace(question, algorithm="ring", rings=1)).best


def by_hand(question: Question) -> Result:
    """The fastest of the algorithms, each run alone; those that the cluster has no room for are nobody's choice.

    Whose busiest link alone takes longer than another's whole run is not waited for.
    """
    track, best = Track(study.cluster(question)), None
    for name in ALGORITHMS:
        try:
            found = race(replace(question, algorithm=name), track, math.inf if best is None else time_us(best))
        except StudyError:
            continue
        best = min([r for r in (best, *found) if r is not None and r.time_us is not None], key=time_us, default=None)
    assert best is not None
    return best


def tuned(question: Question) -> Result:
    size, _ = question.payload()
    (row,) = tune(question, [size]).rows
    return row.tuned.best


CHOOSERS: dict[str, Callable[[Question], Result]] = {"one ring": one_ring, "by hand": by_hand, "tuned": tuned}


def time_us(result: Result) -> float:
    assert result.time_us is not None
    return result.time_us


def fill(table: Table, points: Sequence[Point]) -> None:
    """Let everybody choose at every point that the table lacks."""
    wanted = [(who, Question(*point)) for point in points for who in CHOOSERS]
    missing = [(who, question) for who, question in wanted if key(who, question) not in table.rows]
    with progress(missing, "choices") as bar:
        for who, question in bar:
            began = time.perf_counter()
            row = CHOOSERS[who](question).row() | {"wall_s": time.perf_counter() - began}
            table.simulated += 1
            table.append({"question_id": key(who, question), "series": who, "version": __version__} | row)


def key(who: str, question: Question) -> str:
    return f"{question_id(question)}-{list(CHOOSERS).index(who)}"


# -- what came out -----------------------------------------------------------------------------------------------


def compared(rows: Sequence[Row]) -> dict[Point, dict[str, Row]]:
    """Rows by point and by who chose, points of which one is missing left out."""
    found: dict[Point, dict[str, Row]] = {}
    for row in sorted(rows, key=lambda row: (row["fabric"], row["cards"], row["bytes"])):
        found.setdefault((row["fabric"], row["cards"], row["bytes"]), {})[row["series"]] = row
    return {point: choices for point, choices in found.items() if set(choices) == set(CHOOSERS)}


def worse(points: dict[Point, dict[str, Row]]) -> list[Point]:
    """Where somebody was faster by hand."""
    return [point for point, rows in points.items() if rows["tuned"]["time_us"] > rows["by hand"]["time_us"]]


def text(points: dict[Point, dict[str, Row]]) -> Iterator[str]:
    """The table in Markdown, and what it comes to."""
    yield "| fabric | cards | size | one ring | by hand | | tuned | | bound | reached | gain | found in |"
    yield "|---|---:|---:|---:|---:|---|---:|---|---:|---:|---:|---:|"
    for (fabric, cards, size), rows in points.items():
        naive, hand, best = (rows[who] for who in CHOOSERS)
        yield (
            f"| {fabric} | {cards:,} | {format_size(size)} | {naive['time_us']:,.1f} µs | {hand['time_us']:,.1f} µs "
            f"| {plan(hand)} | {best['time_us']:,.1f} µs | {plan(best)} | {best['bound_us']:,.1f} µs "
            f"| {share(best['reached'])} | {naive['time_us'] / best['time_us']:.1f}× | {best['wall_s']:.2f} s |"
        )
    largest = max((size for *_, size in points), default=0)
    reached = [(rows["tuned"]["reached"], point) for point, rows in points.items() if point[2] == largest]
    for cards in sorted({point[1] for _, point in reached}):
        least, (fabric, *_) = min(one for one in reached if one[1][1] == cards)
        yield f"least reached at {format_size(largest)} on {cards:,} cards: {share(least)}, {fabric}"
    faster = [rows["by hand"]["time_us"] / rows["tuned"]["time_us"] for rows in points.values()]
    if faster:
        yield (
            f"tuned is {max(faster):.2f} times as fast as by hand at best, "
            f"and faster by 1% or more at {sum(f > 1.01 for f in faster)} of {len(faster)} points"
        )
    losers = ", ".join(f"{fabric} {cards:,} {format_size(size)}" for fabric, cards, size in worse(points))
    yield f"faster by hand: {losers or 'none'}"


def plan(row: Row) -> str:
    return f"{row['algorithm']} ×{row['channels']}/{row['pieces']}, {row['protocol']}"


LOOKS = {
    "one ring": {"color": "#888888", "linestyle": ":", "marker": "s"},
    "by hand": {"color": "#0072B2", "linestyle": (0, (4, 2)), "marker": "^", "markersize": 7, "fillstyle": "none"},
    "tuned": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
}


def plot(points: dict[Point, dict[str, Row]], picture: Path) -> None:
    """Time as a multiple of the bound against the size, a panel for each fabric, for the largest number of cards."""
    if not points:
        raise click.ClickException("the table has no point at which all three chose; run without --plot-only")
    most = max(cards for _, cards, _ in points)
    shown = {point: rows for point, rows in points.items() if point[1] == most}
    fabrics = list(dict.fromkeys(fabric for fabric, *_ in shown))
    across = min(4, len(fabrics))
    down = -(-len(fabrics) // across)
    fig, _ = figure(1)
    fig.clear()
    fig.set_size_inches(3.2 * across + 0.6, 2.7 * down + 0.9)
    panels = fig.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for fabric, axes in zip(fabrics, panels, strict=False):
        _panel({size: rows for (name, _, size), rows in shown.items() if name == fabric}, axes)
        axes.set_title(fabric)
    for axes in panels[len(fabrics) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(LOOKS), frameon=False)
    fig.supylabel(f"time of an all-reduce on {most:,} cards, multiples of the bound", fontsize=9)
    save(fig, picture)


def _panel(sizes: dict[int, dict[str, Row]], axes: Any) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for who, look in LOOKS.items():
        # One bound for all three, that of the plan: where switches add in it, they might have for the others.
        ratio = [rows[who]["time_us"] / rows["tuned"]["bound_us"] for rows in sizes.values()]
        axes.plot(list(sizes), ratio, label=who, **look)
    axes.set_xticks(list(sizes), [size_text(size) for size in sizes])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


# -- the command -------------------------------------------------------------------------------------------------


class Several(click.ParamType):
    """Values with commas between them.

    Parameters
    ----------
    name : str
    read : callable
        Text to value; raises ValueError where it cannot.
    """

    def __init__(self, name: str, read: Callable[[str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[object, ...]:
        """Read them all."""
        try:
            return tuple(self._read(part.strip()) for part in value.split(",")) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(f"{self.name} = {value}: {error}", param, ctx)


def _fabric(written: str) -> str:
    if written not in available():
        raise ValueError(f"{written}: one of {', '.join(available())}")
    return written


def _cards(written: str) -> int:
    if not written.isdecimal() or not 2 <= int(written) <= 10**6:
        raise ValueError(f"{written}: a number of cards, 2 or more")
    return int(written)


@click.command(help=HELP)
@click.option("--fabrics", type=Several("fabrics", _fabric), metavar="NAME,…", help="These alone.  [default: all]")
@click.option("--cards", type=Several("cards", _cards), metavar="N,…", help="So many.  [default: 8,64,1024]")
@click.option("--sizes", type=Several("sizes", parse_size), metavar="SIZE,…", help="[default: 64K,1M,64M,1G]")
@options("tuned")
def main(
    table: Table, picture: Path, fabrics: tuple[str, ...] | None, cards: tuple[int, ...] | None,
    sizes: tuple[int, ...] | None, quick: bool, plot_only: bool,
) -> None:  # fmt: skip
    if not plot_only:
        table.keep({fingerprint(Question(fabric, 2)) for fabric in available()})
        fabrics = fabrics or (("hccs", "nvlink3") if quick else tuple(available()))
        cards = cards or ((8,) if quick else CARDS)
        sizes = sizes or (SIZES[::3] if quick else SIZES)
        # The small clusters of all fabrics first: a run that is stopped has something of each.
        fill(table, [(fabric, many, size) for many in cards for fabric in fabrics for size in sizes])
    points = compared(list(table.rows.values()))
    for line in text(points):
        click.echo(line)
    plot(points, picture)


if __name__ == "__main__":
    main()
