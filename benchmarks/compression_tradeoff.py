"""What a codec saves and what it costs the sum: time against error, for every codec, on two fabrics.

Command::

    python benchmarks/compression_tradeoff.py
    python benchmarks/compression_tradeoff.py --model llama-3-8b

An all-reduce of 1 GiB, or of a model's gradients, on 1,024 cards of hccs and of nvlink3, without compression and with
each codec. Who is asked takes the fastest of what `auto` tries (ring and tree, or a gathering ring) and of the
hierarchical two-shots, which send the fewest messages and so let a codec work least often; `algorithm` says which.
The error is that of one sum on sampled gradients, by the very schedule: the norm of the difference from the exact sum
over the norm of that. What error feedback is for is not to be seen in one sum.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from plots import COLOURS, figure, save, time_axis, time_text
from ringsim import __version__, study
from ringsim.break_even import measured
from ringsim.candidates import Layouts
from ringsim.codecs import parse
from ringsim.gradients import MODELS
from ringsim.race import Track, race
from ringsim.result import Result
from ringsim.study import Question, StudyError
from ringsim.topology import Topology
from ringsim.units import format_size
from sweep import Row, Table, fingerprint, options, progress, question_id

HELP = """Example: python benchmarks/compression_tradeoff.py --cards 64 --out /tmp/sweep

Time and error of every codec on hccs and nvlink3, as a table and a picture. Goes on where an interrupted run stopped.
The picture shows the rows of that vector and number of cards; that of a model has its name behind its own.
"""

FABRICS = ("hccs", "nvlink3")

#: Every codec, as papers use it; `identity` is the line without compression.
CODECS = (
    "fp16", "bf16", "fp8", "fp8:e5m2", "int8", "int4", "qsgd:127", "qsgd:7", "terngrad", "sign", "topk:0.01",
    "topk:0.001", "threshold:3", "dgc:0.001", "randomk:0.01", "powersgd:4", "chain(topk:0.01,int8)",
    "chain(powersgd:4,fp16)", "error_feedback(int4)", "error_feedback(sign)", "error_feedback(topk:0.01)",
)  # fmt: skip
QUICK = ("fp16", "int8", "topk:0.01")

#: What may carry them.
ALGORITHMS = ("auto", "hierarchical-two-shot", "hierarchical-two-shot-2", "hierarchical-two-shot-3")


#: So many times the time of the fastest, and nobody would choose it for its error.
FAR = 4.0


def best(
    question: Question, track: Track, algorithms: Sequence[str] = ALGORITHMS, within: float = math.inf
) -> Result:  # fmt: skip
    """The fastest of several algorithms, with its error.

    Parameters
    ----------
    question : Question
    track : Track
    algorithms : sequence of str
        Those that codec or cluster have no room for are left out.
    within : float
        Rather the fastest of those whose sums are nearer than this, if there is one that is not hopelessly slow: a ring
        that encodes a thousand times one after the other adds up a thousand errors.
    """
    results = _ways(question, track, algorithms)
    fastest = min((result for result in results if result.time_us is not None), key=time_us)
    if not fastest.case.compress:
        return fastest
    fastest = _sure(fastest, track.topology)
    if math.isinf(within) or _distance(fastest) < within:
        return fastest
    near = {result.case.algorithm: result for result in results if result.floor_us < FAR * time_us(fastest)}
    true = [name for name, result in near.items() if _distance(_sure(result, track.topology)) < within]
    if not true:
        return fastest
    again = [result for result in _ways(question, track, true) if result.time_us is not None]
    return _sure(min(again, key=time_us), track.topology)


def _ways(question: Question, track: Track, algorithms: Sequence[str]) -> list[Result]:
    """Race some algorithms; at least one has a time."""
    found, refused, limit_us = list[Result](), list[StudyError](), math.inf
    for name in algorithms:
        try:
            found += race(replace(question, algorithm=name), track, limit_us)
        except StudyError as error:
            refused.append(error)
        limit_us = min((time_us(result) for result in found if result.time_us is not None), default=math.inf)
    if not found:
        raise refused[0]
    return found


#: What is known of sums, by codec, algorithm and cluster: times and memories do not matter to them.
_SUMS: dict[tuple[str, str, str, int], Result] = {}


def _sure(result: Result, topology: Topology) -> Result:
    """Add the error."""
    case = result.case
    key = case.compress, case.algorithm, case.fabric, case.cards
    if key not in _SUMS:
        _SUMS[key] = measured(result, topology)
    return replace(result, error=_SUMS[key].error, agree=_SUMS[key].agree)


def _distance(result: Result) -> float:
    return math.inf if result.error is None else result.error


def time_us(result: Result) -> float:
    assert result.time_us is not None
    return result.time_us


def questions(cards: int, model: str | None, quick: bool) -> list[Question]:
    names = "+".join(ALGORITHMS)
    size = "16M" if quick else "1G"
    return [
        Question(fabric, cards, size, compress=spec, model=model, algorithm=names)
        for fabric in FABRICS
        for spec in ("none", *(QUICK if quick else CODECS))
    ]


def fill(table: Table, asked: Sequence[tuple[str, Question]], label: str, within: float = math.inf) -> None:
    """Answer every question that the table lacks, with ``+`` between algorithms; those on one cluster share schedules."""
    laid: dict[tuple[object, object], Layouts] = {}
    missing = {key: one for one in asked if (key := question_id(one[1])) not in table.rows}
    with progress(missing.values(), label) as bar:
        for series, question in bar:
            # How fast a card's memory is moves no route.
            layouts = laid.setdefault((question.fabric, question.cards), Layouts())
            topology = study.cluster(replace(question, compress="none", algorithm="auto"))
            track = Track(topology, layouts=layouts)
            row = best(question, track, question.algorithm.split("+"), within).row()
            table.simulated += 1
            table.append({"question_id": question_id(question), "series": series, "version": __version__} | row)


# -- the picture ---------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], picture: Path) -> None:
    """Time against error: sums that are nearly right on the left, those that keep only a part on the right."""
    none = {row["series"]: row["time_us"] for row in rows if not row["compress"]}
    codecs: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["compress"] and row["error"] and row["series"] in none:
            codecs.setdefault(row["compress"], {})[row["series"]] = row
    if not codecs:
        raise click.ClickException("the table has no codec of that vector and number of cards; run without --plot-only")
    fig, (left, right) = figure(2, height=6.0)
    from matplotlib.ticker import LogLocator  # `figure` has said so if it is missing

    true = {spec: own for spec, own in codecs.items() if _error(own) < SPLIT}
    panels = (left, true), (right, {spec: own for spec, own in codecs.items() if spec not in true})
    for axes, shown in panels:
        axes.set(xscale="log", yscale="log", xlabel="error of the sum, part of its norm")
        for own in shown.values():
            points = [(row["error"], row["time_us"]) for row in own.values()]
            axes.plot(*zip(*points, strict=True), color="#BBBBBB", linewidth=0.8, zorder=1)
            for fabric, row in own.items():
                axes.plot(row["error"], row["time_us"], "o", color=COLOURS[fabric], markersize=5, zorder=2)
        for fabric, time in none.items():
            axes.axhline(time, color=COLOURS[fabric], linestyle=(0, (5, 3)), linewidth=1)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
        axes.minorticks_off()
    times = [*none.values(), *(row["time_us"] for own in codecs.values() for row in own.values())]
    for axes in (left, right):
        axes.set_ylim(min(times) / 1.25, max(times) * 1.35)
        time_axis(axes.yaxis)
    left.set_ylabel("time of one all-reduce")
    row = rows[0]
    what = f"gradients of {row['model']}" if row["model"] else format_size(row["bytes"])
    left.set_title(f"{what}, {row['cards']:,} cards: errors below {SPLIT:.0%}")
    right.set_title(f"errors of {SPLIT:.0%} or more")
    for fabric, time in none.items():
        text = f"{fabric}, no compression: {time_text(time)}"
        left.annotate(text, (0.01, time), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
                      color=COLOURS[fabric])  # fmt: skip
    beside = {spec: own for spec, own in codecs.items() if CROWD[0] < _highest(own)[0] < CROWD[1]}
    for axes, shown in panels:
        _label_above(axes, {spec: own for spec, own in shown.items() if spec not in beside})
    _label_beside(right, beside)
    for fabric in none:
        right.plot([], [], "o", color=COLOURS[fabric], label=fabric)
    right.legend(frameon=False, loc="lower left", title="lines join one codec's points", title_fontsize=8)
    save(fig, picture)


#: Error that divides the picture, and errors between which so many codecs are that their names go into the margin.
SPLIT, CROWD = 0.1, (0.6, 1.1)

#: Codecs as they are asked for, by how they call themselves.
NAMES = {parse(spec).spec: spec for spec in CODECS}


def _error(own: dict[str, Row]) -> float:
    """The larger of a codec's errors."""
    return max(float(row["error"]) for row in own.values())


def _highest(own: dict[str, Row]) -> tuple[float, float]:
    return max(((row["error"], row["time_us"]) for row in own.values()), key=lambda point: point[1])


def _label_above(axes: Any, codecs: dict[str, dict[str, Row]]) -> None:
    """Name each codec at its upper point."""
    for spec, own in codecs.items():
        axes.annotate(NAMES.get(spec, spec), _highest(own), (2, 6), textcoords="offset points", rotation=40,
                      rotation_mode="anchor", fontsize=8,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip


def _label_beside(axes: Any, codecs: dict[str, dict[str, Row]]) -> None:
    """Name codecs in the margin, each with a line to its upper point, in their order and as near as there is room."""
    order = sorted(codecs, key=lambda spec: _highest(codecs[spec])[1])
    low, high = np.log(axes.get_ylim())
    heights = np.array([(math.log(_highest(codecs[spec])[1]) - low) / (high - low) for spec in order])
    gap = 0.042
    room = np.arange(len(order)) * gap
    # Pushed up where they are too close, then all down by the half of what the highest was pushed.
    pushed = np.maximum.accumulate(heights - room) + room
    pushed -= max(0.0, float((pushed - heights).max()) / 2) if len(order) else 0.0
    for height, spec in zip(pushed, order, strict=True):
        axes.annotate(
            NAMES.get(spec, spec), _highest(codecs[spec]), (1.08, height), textcoords="axes fraction", va="center",
            fontsize=8, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5, "shrinkB": 3, "relpos": (0, 0.5)},
        )  # fmt: skip


@click.command(help=HELP)
@click.option("--cards", type=click.IntRange(min=2), default=1024, show_default=True)
@click.option("--model", type=click.Choice(list(MODELS)), help="Its gradients instead of 1 GiB.")
@options("compression_tradeoff")
def main(table: Table, picture: Path, cards: int, model: str | None, quick: bool, plot_only: bool) -> None:
    asked = questions(cards, model, quick)
    if not plot_only:
        table.keep({fingerprint(question) for question in asked})
        fill(table, [(str(question.fabric), question) for question in asked], "codecs")
    target = picture if model is None else picture.with_stem(f"{picture.stem}_{model}")
    plot([table.rows[key] for key in map(question_id, asked) if key in table.rows], target)


if __name__ == "__main__":
    main()
