"""The two claims that this project grew from, in numbers.

Command::

    python benchmarks/article_claims.py

"NVLink3, 600 GB/s: a thousand-card all-reduce in under 7 us", and "HCCS 2.0 with 392 GB/s needs gradient compression and
topology optimisation at a thousand cards". Simulates what `claims/questions.py` asks, row by row into
`results/article_claims.csv`; from that table, and from `results/accuracy.csv` for how far off simulation is, it writes
`docs/article_claims.md` (`claims/page.py`) and the picture. No figure there and no verdict is written by hand: sentences
are chosen by comparing numbers, so they turn when the numbers do.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from accuracy import TABLE as ACCURACY
from accuracy import read as read_accuracy
from claims import questions as asked
from claims.computing import BATCH, hidden_seconds
from claims.page import text
from claims.questions import FAST, GROWING, SCALES, SLOW, TARGET_US, Ask
from compression_tradeoff import best as fastest_true
from plots import COLOURS, cards_axis, figure, label_ends, save, time_axis
from ringsim import __version__, study
from ringsim.break_even import GOOD
from ringsim.candidates import Layouts
from ringsim.fabric.errors import FileError
from ringsim.race import Track, fastest, race
from ringsim.result import Result
from ringsim.study import Question, StudyError
from ringsim.validation import load
from sweep import Row, Table, options, progress, question_id

HELP = """Example: python benchmarks/article_claims.py --plot-only

Simulate what the article claims, and write the table, docs/article_claims.md and its picture. Goes on where an
interrupted run stopped. --quick asks the first three questions and writes no page.
"""

PAGE = Path(__file__).parents[1] / "docs" / "article_claims.md"

#: The error of a sum is measured on up to so many cards: it takes memory for a vector of each.
SUMMED = asked.CARDS


class Answers:
    """Rows of the table by question, simulated where the table lacks them.

    Parameters
    ----------
    table : Table
    simulate : bool
        False to refuse what the table lacks.
    """

    def __init__(self, table: Table, *, simulate: bool) -> None:
        self.asked: list[Question] = []
        self._table, self._simulate = table, simulate
        self._laid: tuple[object, Layouts] = (None, Layouts())

    def __call__(self, question: Question) -> Row:
        """Answer one question."""
        key = question_id(question)
        self.asked.append(question)
        if key not in self._table.rows:
            if not self._simulate:
                raise click.ClickException(
                    f"the table lacks {question.algorithm} on {question.cards:,} cards of {question.fabric}; "
                    "run without --plot-only"
                )
            row = self._simulated(question).row()
            self._table.simulated += 1
            series = str(question.fabric) + (", one domain" if question.domain else "")
            self._table.append({"question_id": key, "series": series, "version": __version__} | row)
        return self._table.rows[key]

    def forget_the_rest(self) -> None:
        """Drop rows that nobody asks for: those of other data sheets, and what a search came upon with them."""
        self._table.keep_only(map(question_id, self.asked))

    def _simulated(self, question: Question) -> Result:
        """The fastest of the algorithms that the cluster and the codec have room for."""
        # Changes of constants move no route. Schedules of one cluster are kept, those of all would not fit.
        cluster = question.fabric, question.cards, question.domain, question.placement
        if self._laid[0] != cluster:
            self._laid = cluster, Layouts()
        track = Track(study.cluster(replace(question, compress="none", algorithm="auto")), layouts=self._laid[1])
        names = question.algorithm.split("+")
        if question.compress != "none" and track.topology.cards <= SUMMED:
            return fastest_true(question, track, names, GOOD)
        found, refused, winner = list[Result](), list[StudyError](), None
        for name in names:
            limit_us = math.inf if winner is None or winner.time_us is None else winner.time_us
            try:
                found += race(replace(question, algorithm=name), track, limit_us)
            except StudyError as error:
                refused.append(error)
            winner = fastest(found)
        if winner is None:
            raise refused[0]
        return winner


def search(ask: Ask) -> None:
    """Ask what the page's searches come upon."""
    for scaled in asked.SEARCHES.values():
        for size in asked.SIZES:
            asked.factor(ask, size, scaled)


def plot(ask: Ask, picture: Path) -> None:
    """Left 8 bytes against cards, with the claim; right one step's gradients, with the computing that could hide them."""
    fig, (left, right) = figure(2)
    _small(ask, left)
    _steps(ask, right)
    for axes in (left, right):
        axes.set_xlabel("cards")
    save(fig, picture)


def _small(ask: Ask, axes: Any) -> None:
    lines: dict[str, Sequence[Question]] = {
        SLOW: [asked.growing(SLOW, cards) for cards in GROWING],
        FAST: [asked.growing(FAST, cards) for cards in GROWING],
        f"{FAST}, one domain": [asked.growing(FAST, cards, "all") for cards in asked.one_domain_cards()],
    }
    _log(axes, GROWING)
    ends = []
    for name, questions in lines.items():
        rows = [ask(question) for question in questions]
        axes.plot([row["cards"] for row in rows], [row["time_us"] for row in rows], "o-", color=COLOURS[name])
        ends.append((rows[-1]["cards"], rows[-1]["time_us"], name, COLOURS[name]))
        if name == FAST:
            bounds = [row["bound_us"] for row in rows]
            axes.plot([row["cards"] for row in rows], bounds, ":", color=COLOURS[name])
            ends.append((rows[-1]["cards"], bounds[-1], f"{FAST}, bound", COLOURS[name]))
    axes.axhline(TARGET_US, color="#888888", linewidth=1)
    axes.annotate(f"{TARGET_US:g} µs", (GROWING[0], TARGET_US), (0, -11), textcoords="offset points", color="#666666")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, TARGET_US / 2), high * 1.3)
    time_axis(axes.yaxis)
    axes.set_ylabel("time of one all-reduce")
    axes.set_title("8 bytes, fastest of the algorithms tried")
    label_ends(axes, ends)


def _steps(ask: Ask, axes: Any) -> None:
    _log(axes, SCALES)
    ends = []
    for fabric in (SLOW, FAST):
        for way, style in (("neither", "o-"), ("both", "^--")):
            rows = [row for cards in SCALES if (row := asked.best(ask, fabric, cards, way)) is not None]
            axes.plot([row["cards"] for row in rows], [row["time_us"] for row in rows], style, color=COLOURS[fabric])
            ends.append((rows[-1]["cards"], rows[-1]["time_us"], f"{fabric}: {way}", COLOURS[fabric]))
        hidden = [hidden_seconds(fabric, cards) * 1e6 for cards in SCALES]
        axes.plot(SCALES, hidden, ":", color=COLOURS[fabric])
        ends.append((SCALES[-1], hidden[-1], f"{fabric}: backward pass", COLOURS[fabric]))
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.3, high * 1.3)
    time_axis(axes.yaxis)
    axes.set_ylabel("time")
    axes.set_title(f"One step of {asked.MODEL}, {BATCH / 2**20:.0f} Mi tokens on all cards")
    label_ends(axes, ends)


def _log(axes: Any, cards: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    cards_axis(axes.xaxis, cards)


@click.command(help=HELP)
@options("article_claims")
def main(table: Table, picture: Path, quick: bool, plot_only: bool) -> None:
    ask = Answers(table, simulate=not plot_only)
    work = list(asked.everything())[: 3 if quick else None]
    if not plot_only:
        with progress([*work, *([] if quick else [None])], "article_claims") as bar:
            for question in bar:
                if question is None:
                    search(ask)
                else:
                    ask(question)
        if not quick:
            ask.forget_the_rest()
    if quick:
        return
    try:
        systems, points = load(), read_accuracy(ACCURACY)
    except (FileError, OSError) as error:
        raise click.ClickException(str(error)) from None
    page = text(ask, systems, points)
    target = PAGE if picture.parent == Path(__file__).parent / "results" else picture.with_suffix(".md")
    target.write_text(page, encoding="utf-8")
    click.echo(target)
    plot(ask, picture)


if __name__ == "__main__":
    main()
