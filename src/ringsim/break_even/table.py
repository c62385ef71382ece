"""From a question to a table: each codec with its time, its error, and the links on which it stops to pay."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ringsim import fidelity
from ringsim.break_even.crossing import crossing
from ringsim.break_even.entrant import Entrant, faster, time_us
from ringsim.candidates import Layouts
from ringsim.collectives import COLLECTIVES
from ringsim.question import Question, StudyError
from ringsim.race import Notice, Track
from ringsim.result import Result
from ringsim.study import cluster
from ringsim.topology import Cluster, Topology

#: Codecs that are weighed if nobody names others: each kind, as its paper has it.
DEFAULT = (
    "fp16", "fp8", "int8", "int4", "sign", "topk:0.01", "chain(topk:0.01,int8)", "dgc:0.001", "randomk:0.01", "powersgd:4",
)  # fmt: skip

#: Relative error of a sum below which nobody has to change how he trains.
GOOD = 0.05

#: Called with how many codecs are done, of how many, and the one under way.
Steps = Callable[[int, int, str], None]


def silent(done: int, many: int, what: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Row:
    """What came out for one codec.

    Attributes
    ----------
    spec : str
        As it was asked for.
    best : Result or None
        On the links that there are, with the error; None where no algorithm that may be used can carry it.
    factor : float
        The codec pays on links that are less than so many times as fast: infinity where it pays on the fastest that were
        looked at, 0 where it does not on the slowest.
    refused : str
        Why there is no result.
    """

    spec: str
    best: Result | None
    factor: float = 0.0
    refused: str = ""


@dataclass(frozen=True)
class Table:
    """What came out.

    Attributes
    ----------
    question : Question
        Without a codec.
    topology : Topology
    none : Result
        Without compression.
    rows : tuple of Row
        In the order in which codecs were named.
    """

    question: Question
    topology: Topology
    none: Result
    rows: tuple[Row, ...]

    def gain(self, result: Result) -> float:
        """How often a time fits into that without compression."""
        return time_us(self.none) / time_us(result)

    def fastest(self, error: float = math.inf) -> Row | None:
        """The fastest codec that pays and leaves a sum within `error`; of equals the truest. None where there is none."""
        paying = [
            (time_us(row.best), math.inf if row.best.error is None else row.best.error, row)
            for row in self.rows
            if row.best is not None and time_us(row.best) < time_us(self.none)
        ]
        near = [one for one in paying if one[1] < error or math.isinf(error)]
        return min(near, key=lambda one: one[:2])[2] if near else None


def weigh(
    question: Question, codecs: Sequence[str] = DEFAULT, *, notice: Notice | None = None, steps: Steps = silent
) -> Table:
    """Weigh codecs against no compression on a cluster, and find the links on which each stops to pay.

    Both are at their best of the algorithms that may be used, at every bandwidth. How an algorithm cuts the vector, and
    how many channels it takes, stays as it is on the links that there are.

    Parameters
    ----------
    question : Question
        Its `compress` is nobody's.
    codecs : sequence of str
    notice : callable or None
        Called with a sentence about what takes long for other reasons.
    steps : callable

    Raises
    ------
    FabricError, TopologyError, StudyError
        As in `ringsim.study.answer`.
    """
    if question.graph is not None:
        raise StudyError("graph: break-even changes the links of a fabric, and a graph's are its own; name a fabric")
    question = replace(question, compress="none")
    asked = [replace(question, compress=spec).checked(COLLECTIVES) for spec in codecs]
    if not asked or any(one.codec() is None for one in asked):
        raise StudyError("compress = none: name codecs to compare with no compression, such as int8")
    topology = cluster(question)
    assert isinstance(topology, Cluster)
    layouts, made = Layouts(), {1.0: topology}

    def tracks(factor: float) -> Track:
        if factor not in made:
            # Links that are all faster by the same factor are shared as before: schedules and routes stay.
            made[factor] = replace(topology, fabric=faster(topology.fabric, factor))
        return Track(made[factor], layouts=layouts, notice=notice)

    steps(0, len(asked), "none")
    none, rows = Entrant(question, tracks), list[Row]()
    for done, one in enumerate(asked):
        steps(done, len(asked), one.compress)
        rows.append(_row(one, none, tracks))
    if all(row.best is None for row in rows):
        raise StudyError(rows[0].refused)
    return Table(question, topology, none.best, tuple(rows))


def _row(question: Question, none: Entrant, tracks: Callable[[float], Track]) -> Row:
    try:
        codec = Entrant(question, tracks)
    except StudyError as error:
        return Row(question.compress, None, refused=str(error))

    def lead(factor: float) -> float:
        limit = none.least_us(factor)
        return math.log(codec.least_us(factor, limit) / limit)

    return Row(question.compress, measured(codec.best, tracks(1.0).topology), crossing(lead))


def measured(result: Result, topology: Topology) -> Result:
    """Add to a result what its codec does to the sum, where that can be found out within a moment."""
    found = fidelity.measure(result.case, topology)
    return result if found is None else replace(result, error=found.error, agree=found.agree)
