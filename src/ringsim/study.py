"""From a question to a number: load, build, price, simulate, and say what limits the result.

This is the Python front door; the command line is a thin layer over it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ringsim import fabric as fabrics
from ringsim import topology as topologies
from ringsim.bounds import lower_bound
from ringsim.collectives import ALGORITHMS
from ringsim.engines import ENGINES, EngineName
from ringsim.engines import run as run_program
from ringsim.fabric import Fabric
from ringsim.program import Program, price
from ringsim.result import Case, Result
from ringsim.topology import LINK_KINDS, Topology
from ringsim.units import UnitError, parse_size

#: Bytes of an element, by nccl-tests' names.
DTYPES = {
    "int8": 1, "uint8": 1, "f8e4m3": 1, "f8e5m2": 1, "half": 2, "bfloat16": 2,
    "int32": 4, "uint32": 4, "float": 4, "int64": 8, "uint64": 8, "double": 8,
}  # fmt: skip

#: From here on a link, not latency, is said to limit a run.
MOSTLY_BUSY = 0.5


class StudyError(ValueError):
    """A question that cannot be answered as asked; the message says what could be."""


@dataclass(frozen=True)
class Question:
    """What to simulate, every field with the default of the command line.

    Attributes
    ----------
    fabric : str or Fabric
        Name of a shipped fabric, path of a TOML file, or one already loaded.
    cards : int
    size : int or str
        Bytes of the vector on each rank, or text such as ``"64M"``.
    algorithm : str
        A name in `ALGORITHMS`, or ``"auto"`` for the fastest.
    rings : int or None
        Channels side by side; None for the most that do not get in each other's way.
    slices, chunks : int or None
        Pieces of a ring's chunk, or of a tree's share.
    domain : int, "all" or None
        Cards per scale-up domain instead of the fabric's.
    network : str or None
        Another scale-out network under the same cards, by name or path.
    protocol : str
        One of the fabric's, or ``"auto"`` for the fastest.
    engine : str
        ``compiled`` or ``reference``.
    jump : bool
        Carry the steady state over whole periods.
    dtype : str
        A key of `DTYPES`.
    seed : int
        For networks that hash flows onto spines.
    changes : sequence of str
        ``KEY=VALUE`` for numbers of the fabric file.
    """

    fabric: str | Fabric
    cards: int
    size: int | str = "1G"
    algorithm: str = "auto"
    rings: int | None = None
    slices: int | None = None
    chunks: int | None = None
    domain: int | str | None = None
    network: str | None = None
    protocol: str = "auto"
    engine: EngineName = "compiled"
    jump: bool = True
    dtype: str = "float"
    seed: int = 0
    changes: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """What came out: every candidate in the order it was looked at, the best of them, and the cluster."""

    best: Result
    candidates: tuple[Result, ...]
    topology: Topology

    @property
    def fabric(self) -> Fabric:
        """The data sheet, changes included."""
        return self.topology.fabric


@dataclass(frozen=True)
class _Candidate:
    case: Case
    program: Program
    kinds: np.ndarray
    floor: float
    busy: float
    busiest: str
    wall: float


Progress = Callable[[Case, int, int], None]


def answer(
    question: Question, *, progress: Progress | None = None, notice: Callable[[str], None] | None = None
) -> Answer:
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
    UnitError, TopologyError, StudyError
        The question is.
    """
    sheet = _load(question)
    size, width = _size(question), DTYPES[question.dtype]
    topology = topologies.build(sheet, question.cards, domain=question.domain, seed=question.seed)
    results: list[Result] = []
    best: Result | None = None
    for candidate in sorted(_candidates(question, topology, size, size // width), key=lambda c: c.floor):
        skip = best is not None and best.time_us is not None and candidate.floor > best.time_us * 1e-6
        result = _run(question, topology, candidate, progress, notice, skip=skip)
        results.append(result)
        if result.time_us is not None and (best is None or best.time_us is None or result.time_us < best.time_us):
            best = result
    assert best is not None  # the first candidate is never skipped
    return Answer(best, tuple(results), topology)


def run(fabric: str | Fabric, cards: int, **options: object) -> Result:
    """Simulate one all-reduce and return the fastest candidate's result.

    Parameters
    ----------
    fabric : str or Fabric
    cards : int
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


def _load(question: Question) -> Fabric:
    if isinstance(question.fabric, Fabric):
        if question.network or question.changes:
            raise StudyError(
                "network and changes apply to a fabric that is loaded by name or path; pass them to `load`"
            )
        return question.fabric
    return fabrics.load(question.fabric, network=question.network, changes=question.changes)


def _size(question: Question) -> int:
    _choice("dtype", question.dtype, DTYPES)
    try:
        size = parse_size(str(question.size))
    except UnitError as error:
        raise StudyError(f"size = {error}") from error
    width = DTYPES[question.dtype]
    if size % width:
        raise StudyError(f"size = {question.size}: not a whole number of {question.dtype} elements of {width} bytes")
    return size


def _choice(name: str, value: str, known: Sequence[str] | dict[str, int]) -> None:
    if value not in known:
        raise StudyError(f"{name} = {value}: one of {', '.join(known)}")


def _candidates(question: Question, topology: Topology, size: int, count: int) -> Iterator[_Candidate]:
    sheet = topology.fabric
    _choice("engine", question.engine, ENGINES)
    _choice("algorithm", question.algorithm, ("auto", *ALGORITHMS))
    _choice("protocol", question.protocol, ("auto", *sheet.protocols))
    pieces_of = {"slices": question.slices, "chunks": question.chunks}
    if question.algorithm != "auto":
        piece = ALGORITHMS[question.algorithm].piece
        for other, value in pieces_of.items():
            if other != piece and value is not None:
                raise StudyError(f"{other} = {value}: {question.algorithm} has no {other}; it is cut into {piece}")
    for name in ALGORITHMS if question.algorithm == "auto" else (question.algorithm,):
        algorithm = ALGORITHMS[name]
        most = algorithm.channels(topology)
        if question.rings is not None and not 1 <= question.rings <= most:
            raise StudyError(
                f"rings = {question.rings}: {sheet.name} with {topology.cards} cards has room for 1 to {most} "
                "that share no lane"
            )
        asked = pieces_of[algorithm.piece]
        if asked is not None and not 1 <= asked <= 1_000_000:
            raise StudyError(f"{algorithm.piece} = {asked}: between 1 and 1,000,000")
        wanted = {1, most} if question.algorithm == "auto" else {most}
        for channels in sorted(wanted if question.rings is None else {question.rings}, reverse=True):
            for protocol in sheet.protocols if question.protocol == "auto" else (question.protocol,):
                began = time.perf_counter()
                constants = sheet.protocol(protocol, name)
                pieces = asked or algorithm.pieces(topology, channels, constants, size)
                program = price(algorithm.build(topology, channels, pieces), topology, constants, size)
                case = Case(
                    fabric=sheet.name, network=sheet.network.name, fingerprint=sheet.fingerprint(),
                    cards=topology.cards, domain=topology.group, nodes=topology.nodes,
                    algorithm=name, protocol=protocol, channels=channels, pieces=pieces,
                    bytes=size, count=count, dtype=question.dtype, engine=question.engine,
                    jump=question.jump and question.engine == "compiled", seed=question.seed,
                    changed=tuple(f"{key}={new} (was {old})" for key, old, new in sheet.changed),
                )  # fmt: skip
                kinds = topology.kind
                yield _Candidate(case, program, kinds, *_floor(program, kinds), time.perf_counter() - began)


def _floor(program: Program, kinds: np.ndarray) -> tuple[float, float, str]:
    """Start-up and busiest sender or link, in seconds; the latter alone; and its kind of link."""
    load = program.load() / program.bandwidth
    link = int(load.argmax())
    sending = program.bytes * program.count / program.top_rate()
    row = int(sending.argmax())
    hops = program.route_links[program.route_offsets[row] : program.route_offsets[row + 1]]
    if sending[row] > load[link] * (1 + 1e-9):
        # A reserved part of a link, or a cap: name the link on the way of which the row has the least.
        users = np.bincount(program.route_links, minlength=len(program.bandwidth))
        link = int(hops[(program.bandwidth[hops] / users[hops]).argmin()])
    busy = max(float(sending[row]), float(load.max()))
    return program.startup + busy, busy, LINK_KINDS[kinds[link]]


def _least_startup(sheet: Fabric) -> float:
    """Start-up of the quickest protocol: what a bound for all of them may count."""
    return min(sheet.protocol(name, algorithm).startup for name in sheet.protocols for algorithm in ALGORITHMS)


def _run(
    question: Question, topology: Topology, candidate: _Candidate,
    progress: Progress | None, notice: Callable[[str], None] | None, *, skip: bool,
) -> Result:  # fmt: skip
    case, program = candidate.case, candidate.program
    began = time.perf_counter()
    seconds, simulated, jumped, events = None, 0, 0, 0
    if not skip:
        report = (lambda done: progress(case, done, program.transfers)) if progress else None
        trace = run_program(program, question.engine, jump=question.jump, progress=report, notice=notice)
        seconds, simulated, jumped, events = trace.time, trace.simulated, trace.jumped, trace.events
    busy = candidate.busy / (seconds or candidate.floor)
    return Result(
        case=case,
        time_us=None if seconds is None else seconds * 1e6,
        floor_us=candidate.floor * 1e6,
        bound_us=lower_bound(topology, case.bytes, _least_startup(topology.fabric)) * 1e6,
        transfers=program.transfers,
        transfers_simulated=simulated,
        transfers_jumped=jumped,
        transfers_folded=0 if skip else program.transfers - simulated - jumped,
        events=events,
        wire_bytes=program.wire_bytes,
        bottleneck=candidate.busiest if busy >= MOSTLY_BUSY else "latency",
        busy=busy,
        busiest=candidate.busiest,
        wall_s=candidate.wall + time.perf_counter() - began,
    )
