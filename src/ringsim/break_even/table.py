"""From a question to a table: codecs with the schedules that suit them, their errors, and on which links they stop to pay.

How far a sum is off is a matter of the codec *and* of the schedule: around a ring sums are encoded once for each card, in a
tree once for each of its levels, where codes are gathered never. So what is looked for are pairs of the two: the fastest
of each codec, and the fastest of all that leaves a sum which is nearly the sum.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ringsim.break_even.crossing import crossing
from ringsim.break_even.entrant import Entrant, Holds, Tracks, Way, cut_alike, faster, time_us, ways
from ringsim.break_even.truth import Truth
from ringsim.candidates import Layouts
from ringsim.codecs import parse
from ringsim.collectives import COLLECTIVES
from ringsim.question import Question, StudyError
from ringsim.race import Notice, Track
from ringsim.result import Result
from ringsim.study import cluster
from ringsim.topology import Cluster, Topology

#: Codecs that are weighed if nobody names others: each kind, with error feedback where nobody trains without.
DEFAULT = (
    "fp16", "fp8", "int8", "int4", "error_feedback(sign)", "error_feedback(topk:0.01)",
    "error_feedback(chain(topk:0.01,int8))", "dgc:0.001", "error_feedback(randomk:0.01)", "error_feedback(powersgd:4)",
)  # fmt: skip

#: Called with how many steps are done, of how many, and the codec under way.
Steps = Callable[[int, int, str], None]


def silent(done: int, many: int, what: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Row:
    """What came out for one codec, by one schedule.

    Attributes
    ----------
    spec : str
        The codec, as it was asked for.
    best : Result or None
        On the links that there are, with the error; None where no algorithm that may be used can carry it.
    factor : float
        The codec pays on links that are less than so many times as fast: infinity where it pays on the fastest that were
        looked at, 0 where it does not on the slowest. At every bandwidth it takes its fastest schedule, and where the
        error of `best` is below `GOOD`, the fastest of those whose error is.
    refused : str
        Why there is no result.
    gains : tuple of (float, float)
        How many times as fast as no compression it is, at the factors that were asked for.
    """

    spec: str
    best: Result | None
    factor: float = 0.0
    refused: str = ""
    gains: tuple[tuple[float, float], ...] = ()

    @property
    def feeds_back(self) -> bool:
        """Whether the codec remembers what it has not sent: then the error is that of one step, not what training sees."""
        return parse(self.spec).first


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
        In the order in which codecs were named: each by its fastest schedule, and behind that by the fastest whose error is
        below `GOOD`, if that is another one and could be the fastest of all that are.
    """

    question: Question
    topology: Topology
    none: Result
    rows: tuple[Row, ...]

    @property
    def codecs(self) -> int:
        """How many there are."""
        return len({row.spec for row in self.rows})

    def gain(self, result: Result) -> float:
        """How often a time fits into that without compression."""
        return time_us(self.none) / time_us(result)

    def fastest(self, error: float = math.inf) -> Row | None:
        """The fastest pair that pays and leaves a sum within `error`; of equals the truest. None where there is none."""
        paying = [
            (time_us(row.best), math.inf if row.best.error is None else row.best.error, row)
            for row in self.rows
            if row.best is not None and time_us(row.best) < time_us(self.none)
        ]
        near = [one for one in paying if one[1] < error or math.isinf(error)]
        return min(near, key=lambda one: one[:2])[2] if near else None


def weigh(
    question: Question,
    codecs: Sequence[str] = DEFAULT,
    *,
    factors: Sequence[float] = (),
    notice: Notice | None = None,
    steps: Steps = silent,
) -> Table:
    """Weigh codecs against no compression on a cluster, and find the links on which each stops to pay.

    Both are at their best of the algorithms that may be used, at every bandwidth; `auto` has switches that add among them,
    where there are any. How an algorithm cuts the vector, and how many channels it takes, stays as it is on the links that
    there are; no compression may be cut as each of the codecs is.

    Parameters
    ----------
    question : Question
        Its `compress` is nobody's.
    codecs : sequence of str
    factors : sequence of float
        So many times the bandwidth of the links at which speed-ups are wanted, beside those of today.
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
    named = [replace(question, compress=spec).checked(COLLECTIVES) for spec in codecs]
    # Whoever writes a codec in two ways has one row of it.
    different = dict[str, Question]()
    for one in named:
        if (codec := one.codec()) is not None:
            different.setdefault(codec.spec, one)
    asked = list(different.values())
    if not asked or any(one.codec() is None for one in named):
        raise StudyError("compress = none: name codecs to compare with no compression, such as int8")
    topology = cluster(question)
    assert isinstance(topology, Cluster)
    layouts, made = Layouts(), dict[float, Track]()

    def tracks(factor: float) -> Track:
        if factor not in made:
            # Links that are all faster by the same factor are shared as before: schedules and routes stay.
            there = topology if factor == 1 else replace(topology, fabric=faster(topology.fabric, factor))
            made[factor] = Track(there, layouts=layouts, notice=notice)
        return made[factor]

    steps(0, 2 * len(asked), "none")
    plain, truth, raced = ways(question, tracks), Truth(topology), list[_Raced]()
    for done, one in enumerate(asked):
        steps(done, 2 * len(asked), one.compress)
        raced.append(_race(one, tracks))
    if all(one.best is None for one in raced):
        raise StudyError(raced[0].refused)
    alike = cut_alike(question, plain, (way for one in raced for way in one.ways), tracks)
    none = Entrant([*plain, *alike], tracks)
    first = none.best()
    assert first is not None
    # Nobody looks for a true sum that comes later than one that is known, or than the sum itself.
    true = (one.best for one in raced if one.best and truth.holds(one.best.case))
    bar, rows = min(map(time_us, (first, *true))), list[Row]()
    for done, runner in enumerate(raced, len(asked)):
        steps(done, 2 * len(asked), runner.spec)
        if runner.best is None:
            rows.append(Row(runner.spec, None, refused=runner.refused))
            continue
        for best, entrant in _pairs(runner, runner.best, tracks, truth.holds, bar):
            gains = tuple((factor, none.least_us(factor) / entrant.least_us(factor)) for factor in factors)
            rows.append(Row(runner.spec, truth.told(best), crossing(_lead(entrant, none)), gains=gains))
            bar = min(bar, time_us(best)) if truth.holds(best.case) else bar
    return Table(question, topology, first, tuple(rows))


@dataclass(frozen=True)
class _Raced:
    """A codec at factor 1: its ways and the fastest of them, or why there are none."""

    spec: str
    ways: Sequence[Way] = ()
    best: Result | None = None
    refused: str = ""


def _race(question: Question, tracks: Tracks) -> _Raced:
    try:
        found = ways(question, tracks)
    except StudyError as error:
        return _Raced(question.compress, refused=str(error))
    return _Raced(question.compress, found, Entrant(found, tracks).best())


def _pairs(
    one: _Raced, best: Result, tracks: Tracks, holds: Holds, bar_us: float
) -> Iterator[tuple[Result, Entrant]]:  # fmt: skip
    """The fastest schedule of a codec, and the fastest that holds, if that is another and within the bar."""
    true = Entrant(one.ways, tracks, holds)
    if holds(best.case):
        yield best, true
        return
    yield best, Entrant(one.ways, tracks)
    if (found := true.best(limit_us=bar_us)) is not None:
        yield found, true


def _lead(codec: Entrant, none: Entrant) -> Callable[[float], float]:
    """How much longer a codec takes than no compression, times the factor.

    A time is nearly what stays and what shrinks with the factor, c + b/f; times the factor that is a straight line.
    """

    def lead(factor: float) -> float:
        limit = none.least_us(factor)
        return factor * (codec.least_us(factor, limit) - limit)

    return lead
