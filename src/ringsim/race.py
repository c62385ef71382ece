"""Candidates against each other: all are priced, and those that could still win are simulated.

A candidate whose busiest link alone takes longer than the best time so far cannot win, whatever a simulation would say.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ringsim.bounds import lower_bound
from ringsim.candidates import Candidate, Layouts, candidates
from ringsim.catalogue import find
from ringsim.collectives import COLLECTIVES
from ringsim.engines import run
from ringsim.question import Question, StudyError
from ringsim.result import Case, Result
from ringsim.topology import Cluster, Topology
from ringsim.trace import Trace

#: From here on a link, not latency, is said to limit a run.
MOSTLY_BUSY = 0.5

Progress = Callable[[Case, int, int], None]
Notice = Callable[[str], None]

#: Lower bounds in seconds, by whether switches may add.
Bounds = Mapping[bool, float]


class Timer:
    """Adds up seconds by part of the work."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Time a ``with`` block."""
        began = time.perf_counter()
        yield
        self.spent[part] = self.spent.get(part, 0.0) + time.perf_counter() - began


@dataclass(frozen=True)
class Track:
    """What runs on the same cluster have in common.

    Attributes
    ----------
    topology : Topology
    timer : Timer
    layouts : Layouts
        Schedules and routes that the next question may share.
    known : dict
        Results of simulations by `Case.id`: nothing is simulated twice.
    bounds : dict
        By what a question asks to be moved: on a graph they are looked for.
    progress : callable or None
        Called with the case, the firings done and the firings in all.
    notice : callable or None
        Called with a sentence about what takes long for reasons other than the case.
    """

    topology: Topology
    timer: Timer = field(default_factory=Timer)
    layouts: Layouts = field(default_factory=Layouts)
    known: dict[str, Result] = field(default_factory=dict)
    bounds: dict[tuple[object, ...], Bounds] = field(default_factory=dict)
    progress: Progress | None = None
    notice: Notice | None = None


@np.errstate(over="ignore")  # what overflows is refused in words, once, at the end
def race(question: Question, track: Track, limit_us: float = math.inf) -> list[Result]:
    """Simulate every candidate that could be the fastest.

    Parameters
    ----------
    question : Question
    track : Track
    limit_us : float
        A time that is known already: what cannot beat it is not simulated.

    Returns
    -------
    list of Result
        In the order of `Result.floor_us`; without a time where it was not simulated.

    Raises
    ------
    StudyError
        If the question asks for what this cluster or algorithm does not have.
    """
    key = question.payload()[0], question.collective, question.dtype, question.compress, question.model
    bounds = track.bounds[key] = track.bounds.get(key) or bounds_of(question, track.topology)
    results = []
    priced = sorted(candidates(question, track.topology, track.timer, track.layouts), key=lambda c: c.floor)
    track.layouts.trim()
    for candidate in priced:
        result = track.known.get(candidate.case.id())
        if result is None and candidate.floor * 1e6 > limit_us:
            results.append(_result(candidate, bounds))
            continue
        result = track.known[candidate.case.id()] = result or _simulate(question, track, candidate, bounds)
        results.append(result)
        assert result.time_us is not None
        limit_us = min(limit_us, result.time_us)
    return results


def fastest(results: list[Result]) -> Result | None:
    """The first of those with the least time; None where none was simulated."""
    timed = [result for result in results if result.time_us is not None]
    return min(timed, key=lambda result: result.time_us or 0.0, default=None)


def bounds_of(question: Question, topology: Topology) -> Bounds:
    """Seconds that no algorithm beats which adds in cards, and that none beats which may add in switches."""
    size = _wire_bytes(question)
    any_step, far_step = _least_software(topology, question.collective)
    root = 0 if topology.placement is None else int(topology.placement[0])
    # In a cluster that is laid out the farthest cards sit in different nodes, so their news takes a step between nodes.
    far = isinstance(topology, Cluster) and topology.nodes > 1
    return {
        adds: max(
            _work(question, topology),
            lower_bound(topology, size, any_step, question.collective, in_switch=adds, root=root),
            lower_bound(topology, 0.0, far_step, question.collective, in_switch=adds, root=root) if far else 0.0,
        )
        for adds in (False, True)
    }


def _wire_bytes(question: Question) -> float:
    """Bytes that every rank has to part with: of the vector, or of its code.

    With a codec nothing better is claimed: that codes are as many as one rank's holds even for a sum that grows.
    """
    return float(sum(question.code_rounds()))


def _work(question: Question, topology: Topology) -> float:
    """Seconds for which every card's memory works: each rank encodes what he has, and decodes what he ends with."""
    codec = question.codec()
    if codec is None:
        return 0.0
    cost, code, raw = codec.cost, _wire_bytes(question), question.payload()[0]
    # Of a quantiser's sum a rank may own a part, which he need not encode before it is complete.
    own = 1 / topology.cards if codec.combine == "quantiser" and not codec.whole else 0.0
    passes = [(cost.encode, 1 - own), (cost.decode, 1.0), (cost.between, float(len(question.code_rounds()) > 1))]
    through = sum(part * (each.raw * raw + each.code * code) for each, part in passes)
    return through / topology.fabric.card.memory_bandwidth


def _least_software(topology: Topology, collective: str) -> tuple[float, float]:
    """Start-up and one step of the quickest protocol, wherever the step is and between nodes: nothing does with less."""
    sheet = topology.fabric
    protocols = [sheet.protocol(name, algorithm) for name in sheet.protocols for algorithm in COLLECTIVES[collective]]
    near = [p.startup + p.step_scale_up for p in protocols if topology.group > 1]
    far = [p.startup + p.step_network for p in protocols if topology.nodes > 1]
    return min(near + far), min(far, default=math.inf)


def _simulate(question: Question, track: Track, candidate: Candidate, bounds: Bounds) -> Result:
    case, began, timer, progress = candidate.case, time.perf_counter(), track.timer, track.progress
    program = candidate.priced(track.topology, timer, track.layouts)
    track.layouts.trim()
    report = (lambda done: progress(case, done, program.transfers)) if progress else None
    with timer("simulate"):
        trace = run(program, question.engine, jump=case.jump, progress=report, notice=track.notice)
    if trace.compile_s:
        timer.spent["simulate"] -= trace.compile_s
        timer.spent["compile"] = timer.spent.get("compile", 0.0) + trace.compile_s
    return _result(candidate, bounds, trace, wall_s=time.perf_counter() - began - trace.compile_s)


def _result(candidate: Candidate, bounds: Bounds, trace: Trace | None = None, wall_s: float = 0.0) -> Result:
    """Turn times into figures; without a trace the candidate was not simulated."""
    case = candidate.case
    bound = bounds[find(case.collective, case.algorithm).adds_in_switch]
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
        code_bytes=candidate.code_bytes,
        codec_us=candidate.codec * 1e6,
        bottleneck=candidate.busiest if busy >= MOSTLY_BUSY else "latency",
        busy=busy,
        busiest=candidate.busiest,
        wall_s=wall_s,
    )
