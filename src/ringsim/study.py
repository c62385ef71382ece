"""From a question to a number: load, build, price, simulate, and say what limits the result.

This is the Python front door; the command line is a thin layer over it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ringsim import fabric as fabrics
from ringsim import fidelity
from ringsim import topology as topologies
from ringsim.candidates import Layouts, program_of
from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.collectives.tour import along
from ringsim.fabric import Fabric
from ringsim.fabric.launch import launched
from ringsim.program import Program
from ringsim.question import DTYPES, Question, StudyError
from ringsim.race import Notice, Progress, Timer, Track, fastest, race
from ringsim.result import Result
from ringsim.selection import remarks
from ringsim.topology import Topology

__all__ = ["DTYPES", "Answer", "Notice", "Progress", "Question", "StudyError", "answer", "cluster", "run"]


@dataclass(frozen=True)
class Answer:
    """What came out.

    Attributes
    ----------
    best : Result
    candidates : tuple of Result
        In the order in which they were looked at.
    topology : Topology
    remarks : tuple of str
        What of a library's selection string was read and changes nothing.
    spent : mapping
        Seconds by part of the work: load, build, schedule, route and price, compile, simulate.
    """

    best: Result
    candidates: tuple[Result, ...]
    topology: Topology
    spent: Mapping[str, float]
    remarks: tuple[str, ...] = ()

    @property
    def fabric(self) -> Fabric:
        """The data sheet, changes included."""
        return self.topology.fabric

    def program(self) -> Program:
        """Lay out and price the best candidate again, to see which link carries what."""
        return program_of(self.best.case, self.topology, Timer(), Layouts())


def answer(question: Question, *, progress: Progress | None = None, notice: Notice | None = None) -> Answer:
    """Simulate every candidate that could be the fastest.

    A candidate whose busiest link alone takes longer than another candidate's whole run is listed but not simulated.

    Parameters
    ----------
    question : Question
    progress : callable or None
        Called with the case, the firings done and the firings in all.
    notice : callable or None
        Called with a sentence about what takes long for reasons other than the case.

    Raises
    ------
    FabricError
        The fabric or network file, or a change to it, is wrong.
    TopologyError, StudyError
        The question is.
    """
    timer = Timer()
    topology = cluster(question, timer)
    results = race(question, Track(topology, timer, progress=progress, notice=notice))
    best = fastest(results)
    assert best is not None  # the first candidate is always simulated
    if best.case.compress:
        with timer("error"):
            true = fidelity.told(best, fidelity.measure(best.case, topology))
        results[results.index(best)] = best = true
    return Answer(best, tuple(results), topology, timer.spent, remarks(question.algorithm, question.collective))


def cluster(question: Question, timer: Timer | None = None) -> Topology:
    """Load, lay out or read the cluster of a question, with the ranks where they sit.

    Raises
    ------
    FabricError, TopologyError, StudyError
        As `answer` does.
    """
    timer = timer or Timer()
    with timer("load"):
        sheet = _load(question)
        question.checked(COLLECTIVES)
        question.payload()
    with timer("build"):
        found = _cards(question, sheet)
        if question.launch is not None:
            found = replace(found, fabric=launched(found.fabric, question.launch, found.server_size))
        if question.placement is None:
            return found
        return replace(found, placement=_placement(question.placement, found))


def _placement(written: str | Sequence[int], found: Topology) -> NDArray[np.int64] | None:
    """Card of each rank, None where rank is card."""
    if not isinstance(written, str) or written != "tour":
        return topologies.placed(written, found.cards, found.group)
    try:
        return along(found)
    except CollectiveError as error:
        raise StudyError(f"placement = tour: {error}") from error


def run(fabric: str | Fabric | None = None, cards: int | None = None, **options: object) -> Result:
    """Simulate one collective and return the fastest candidate's result.

    Parameters
    ----------
    fabric : str, Fabric or None
    cards : int or None
    **options
        The other fields of `Question`: ``size="1G"``, ``algorithm="auto"``, ``rings=8``, ``domain="all"``, …

    Examples
    --------
    >>> import ringsim
    >>> result = ringsim.run("hccs", cards=16, size="1M")
    >>> result.case.algorithm
    'ring'
    """
    return answer(Question(fabric, cards, **options)).best  # type: ignore[arg-type]


def _cards(question: Question, sheet: Fabric | None) -> Topology:
    """Lay out the cluster, or read it."""
    if isinstance(question.graph, str):
        return topologies.load_graph(question.graph, fabric=sheet, seed=question.seed)
    if question.graph is not None:
        return topologies.from_graph(question.graph, fabric=sheet, seed=question.seed)
    assert sheet is not None  # `checked` has seen to both
    assert question.cards is not None
    return topologies.build(sheet, question.cards, domain=question.domain, seed=question.seed)


def _load(question: Question) -> Fabric | None:
    if question.fabric is None:
        if question.changes:
            raise StudyError("changes are of a fabric's numbers, and there is no fabric")
        return None
    if isinstance(question.fabric, Fabric):
        if question.network or question.changes:
            raise StudyError(
                "network and changes apply to a fabric that is loaded by name or path; pass them to `load`"
            )
        return question.fabric
    return fabrics.load(question.fabric, network=question.network, changes=question.changes)
