"""From a question to a number: load, build, price, simulate, and say what limits the result.

This is the Python front door; the command line is a thin layer over it.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from ringsim import fabric as fabrics
from ringsim import topology as topologies
from ringsim.bounds import lower_bound
from ringsim.candidates import Candidate, candidates, program_of
from ringsim.collectives import COLLECTIVES
from ringsim.engines import run as run_program
from ringsim.fabric import Fabric
from ringsim.program import Program
from ringsim.question import DTYPES, Question, StudyError
from ringsim.result import Case, Result
from ringsim.selection import remarks
from ringsim.topology import Topology
from ringsim.trace import Trace

__all__ = ["DTYPES", "Answer", "Question", "StudyError", "answer", "run"]

#: From here on a link, not latency, is said to limit a run.
MOSTLY_BUSY = 0.5


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
        return program_of(self.best.case, self.topology, _Timer(), {})


Progress = Callable[[Case, int, int], None]
Notice = Callable[[str], None]

#: Lower bounds in seconds, by whether switches may add.
Bounds = Mapping[bool, float]


@np.errstate(over="ignore")  # what overflows is refused in words, once, at the end
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
    timer = _Timer()
    with timer("load"):
        sheet = _load(question)
        question.checked(COLLECTIVES)
        question.payload()
    with timer("build"):
        topology = _build(question, sheet)
        bounds = _bounds(question, topology)
    results: list[Result] = []
    best: Result | None = None
    for candidate in sorted(candidates(question, topology, timer), key=lambda c: c.floor):
        if best and best.time_us and candidate.floor * 1e6 > best.time_us:
            results.append(_result(candidate, bounds))
            continue
        result = _simulate(question, topology, candidate, bounds, timer, progress, notice)
        results.append(result)
        if not best or not best.time_us or not result.time_us or result.time_us < best.time_us:
            best = result
    assert best is not None  # the first candidate is always simulated
    return Answer(best, tuple(results), topology, timer.spent, remarks(question.algorithm, question.collective))


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


def _build(question: Question, sheet: Fabric | None) -> Topology:
    """Lay out the cluster, or read it, and put the ranks where they sit."""
    found = _cards(question, sheet)
    if question.placement is None:
        return found
    return replace(found, placement=topologies.placed(question.placement, found.cards, found.group))


def _cards(question: Question, sheet: Fabric | None) -> Topology:
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


class _Timer:
    """Adds up seconds by part of the work."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spent[part] = self.spent.get(part, 0.0) + time.perf_counter() - began


def _bounds(question: Question, topology: Topology) -> Bounds:
    """Seconds that no algorithm beats which adds in cards, and that none beats which may add in switches."""
    size, _ = question.payload()
    software = _least_software(topology, question.collective)
    return {adds: lower_bound(topology, size, software, question.collective, in_switch=adds) for adds in (False, True)}


def _least_software(topology: Topology, collective: str) -> float:
    """Start-up and one step, between nodes if there are several, of the quickest protocol: nothing does with less."""
    sheet = topology.fabric
    protocols = [sheet.protocol(name, algorithm) for name in sheet.protocols for algorithm in COLLECTIVES[collective]]
    return min(p.startup + (p.step_network if topology.nodes > 1 else p.step_scale_up) for p in protocols)


def _simulate(
    question: Question,
    topology: Topology,
    candidate: Candidate,
    bounds: Bounds,
    timer: _Timer,
    progress: Progress | None,
    notice: Notice | None,
) -> Result:
    case, began = candidate.case, time.perf_counter()
    program = candidate.priced(topology, timer)
    report = (lambda done: progress(case, done, program.transfers)) if progress else None
    with timer("simulate"):
        trace = run_program(program, question.engine, jump=case.jump, progress=report, notice=notice)
    if trace.compile_s:
        timer.spent["simulate"] -= trace.compile_s
        timer.spent["compile"] = timer.spent.get("compile", 0.0) + trace.compile_s
    return _result(candidate, bounds, trace, wall_s=time.perf_counter() - began - trace.compile_s)


def _result(candidate: Candidate, bounds: Bounds, trace: Trace | None = None, wall_s: float = 0.0) -> Result:
    """Turn times into figures; without a trace the candidate was not simulated."""
    case = candidate.case
    bound = bounds[COLLECTIVES[case.collective][case.algorithm].adds_in_switch]
    seconds = trace.time if trace else None
    if not all(math.isfinite(part * 1e6) for part in (candidate.floor, bound, seconds or 0.0)):
        raise StudyError(
            f"fabric = {case.fabric}: takes longer than a number can say; "
            "check for a bandwidth or an efficiency of nearly zero, or an enormous latency"
        )
    busy = candidate.busy / (seconds or candidate.floor)
    simulated, jumped = (trace.simulated, trace.jumped) if trace else (0, 0)
    return Result(
        case=case,
        time_us=None if seconds is None else seconds * 1e6,
        floor_us=candidate.floor * 1e6,
        bound_us=bound * 1e6,
        transfers=candidate.transfers,
        transfers_simulated=simulated,
        transfers_jumped=jumped,
        transfers_folded=candidate.transfers - simulated - jumped if trace else 0,
        events=trace.events if trace else 0,
        wire_bytes=candidate.wire_bytes,
        bottleneck=candidate.busiest if busy >= MOSTLY_BUSY else "latency",
        busy=busy,
        busiest=candidate.busiest,
        wall_s=wall_s,
    )
