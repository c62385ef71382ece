"""What could answer a question: algorithms, channel counts and protocols, each priced and with the least it can take."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol as Shape

import numpy as np

from ringsim import memory
from ringsim.catalogue import GATHER, constants, content, find, is_file
from ringsim.codecs import CodecError, parse
from ringsim.collectives import COLLECTIVES, Algorithm, CollectiveError
from ringsim.compression import compressed, permitted, refusal
from ringsim.fabric import Fabric
from ringsim.gradients import shapes
from ringsim.program import Program, Routes, price, route
from ringsim.question import Question, StudyError
from ringsim.result import Case
from ringsim.schedule import Schedule
from ringsim.selection import SelectionError, protocols, resolve
from ringsim.topology import LINK_KINDS, Topology

#: Programs with more rows than this are priced again when it is their turn rather than kept until then.
MOST_ROWS_KEPT = 200_000


class NoPlaceError(StudyError):
    """Nothing that is asked for can be laid over this cluster, or fits into memory."""


#: The kind of link that a card's memory is.
MEMORY = "memory"

#: Rows of schedules that are kept for the next question.
MOST_ROWS_LAID = 4_000_000


class Layouts:
    """Schedules and their routes, by algorithm, channels and pieces: sizes and protocols may share them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, int, int], tuple[Schedule, Routes]] = {}

    def get(self, case: Case, topology: Topology, timer: "Timer") -> tuple[Schedule, Routes]:
        """Lay a case's schedule over the cluster, unless it is at hand; those asked for longest ago make room."""
        key = case.collective, case.algorithm, case.channels, case.pieces
        if found := self._kept.pop(key, None):
            self._kept[key] = found
            return found
        self.trim()
        algorithm = find(case.collective, case.algorithm)
        with timer("schedule"):
            schedule = algorithm.build(topology, case.channels, case.pieces)
            if topology.placement is not None and not algorithm.looks:
                schedule = schedule.placed(topology.placement)
        with timer("route and price"):
            found = self._kept[key] = schedule, route(schedule, topology)
        return found

    def trim(self) -> None:
        """Forget as many as take more room than they are worth."""
        while sum(schedule.rows for schedule, _ in self._kept.values()) > MOST_ROWS_LAID:
            del self._kept[next(iter(self._kept))]


class Timer(Shape):
    """Something that takes note of how long a named part of the work takes."""

    def __call__(self, part: str) -> AbstractContextManager[None]:
        """Time a ``with`` block."""
        ...


@dataclass(frozen=True)
class Candidate:
    """One way to do it.

    Attributes
    ----------
    case : Case
    floor : float
        Seconds it takes at least: start-up, and the busiest link or connection.
    busy : float
        Seconds for which that one is sending.
    busiest : str
        Its kind of link.
    transfers : int
        Firings in all.
    wire_bytes : float
        Bytes that leave a sender, all firings together.
    code_bytes : float
        Of the vector of one rank when it is encoded.
    codec : float
        Seconds for which the busiest card's memory encodes and decodes.
    program : Program or None
        None where it was too large to be kept; `priced` builds it again.
    """

    case: Case
    floor: float
    busy: float
    busiest: str
    transfers: int
    wire_bytes: float
    code_bytes: float
    codec: float
    program: Program | None

    def priced(self, topology: Topology, timer: Timer, layouts: Layouts) -> Program:
        """Return the program."""
        return self.program or program_of(self.case, topology, timer, layouts)


def candidates(question: Question, topology: Topology, timer: Timer, layouts: Layouts) -> Iterator[Candidate]:
    """Price every candidate, in no particular order.

    Raises
    ------
    StudyError
        If the question asks for what this cluster or algorithm does not have.
    """
    names, refused = _names(question, choices(question)), []
    known = {name: find(question.collective, name) for name in names}
    _check(question, topology, known)
    everything = question.algorithm == "all"
    if not everything:
        memory.check(question, topology, names)
    for name in names:
        try:
            if everything:
                memory.check(question, topology, (name,))
            yield from _ways(question, topology, timer, layouts, name, known[name])
        except (CollectiveError, CodecError, memory.TooLargeError) as error:
            # Whoever asks for several asks for those that this cluster has room for.
            if len(names) == 1:
                raise NoPlaceError(f"algorithm = {name}: {error}") from error
            refused.append(name)
    if len(refused) == len(names):
        raise NoPlaceError(
            f"algorithm = {question.algorithm}: none of {', '.join(names)} can be laid over this cluster"
        )


def seated(question: Question, topology: Topology) -> str:
    """Say where ranks sit; nothing where rank is card."""
    if topology.placement is None:
        return ""
    return question.placement_words() or "as the graph has it"


def choices(question: Question) -> dict[str, Algorithm]:
    """Algorithms that a question could ask for, by name; with a codec those that its codes can ride."""
    codec = question.codec()
    if codec is None:
        return dict(COLLECTIVES[question.collective])
    return {name: find(question.collective, name) for name in permitted(codec)}


def _names(question: Question, known: Mapping[str, Algorithm]) -> tuple[str, ...]:
    """Algorithms that the question asks for."""
    if question.algorithm in ("auto", "all"):
        return tuple(name for name in known if known[name].auto or question.algorithm == "all")
    codec, name = question.codec(), question.algorithm
    if name in known:
        return (name,)
    if name.startswith(GATHER):
        if name.removeprefix(GATHER) not in COLLECTIVES["all-gather"]:
            right = ", ".join(GATHER + one for one in COLLECTIVES["all-gather"])
            raise StudyError(f"algorithm = {name}: no such all-gather; there are {right}")
        why = refusal(codec, find(question.collective, name), name) if codec else "there are no codes to gather"
        raise StudyError(f"algorithm = {name}: {why or 'it gathers codes for an all-reduce'}")
    if is_file(name):
        found: tuple[str, ...] = (name,)
    else:
        try:
            found = resolve(name, question.collective, tuple(COLLECTIVES[question.collective]))
        except SelectionError as error:
            raise StudyError(f"algorithm = {error}") from error
    refused = [] if codec is None else [refusal(codec, find(question.collective, one), one) for one in found]
    if found and all(refused) and refused:
        raise StudyError(f"algorithm = {name}: {refused[0]}")
    return tuple(one for one, why in zip(found, refused or [""] * len(found), strict=True) if not why)


def _check(question: Question, topology: Topology, asked: Mapping[str, Algorithm]) -> None:
    """Refuse pieces that no algorithm has and rings that there is no room for."""
    used = {algorithm.piece for name, algorithm in asked.items() if not is_file(name)}
    for piece, value in (("slices", question.slices), ("chunks", question.chunks)):
        if value is not None and piece not in used:
            cut = f"into {' or '.join(sorted(used))}" if used else "as its file says"
            raise StudyError(f"{piece} = {value}: {question.algorithm} has no {piece}; it is cut {cut}")
    if question.rings is not None:
        most = max(_most(algorithm, topology) for algorithm in asked.values())
        if question.rings != 1 == most:
            raise StudyError(f"rings = {question.rings}: {question.algorithm} has one channel; leave --rings out")
        if not 1 <= question.rings <= most:
            raise StudyError(
                f"rings = {question.rings}: {topology.fabric.name} with {topology.cards} cards has room for 1 to {most} "
                "that do not get in each other's way"
            )


def _most(algorithm: Algorithm, topology: Topology) -> int:
    """The most channels, one where it does not fit at all: that is said when it is laid."""
    try:
        return algorithm.channels(topology)
    except CollectiveError:
        return 1


def _ways(
    question: Question, topology: Topology, timer: Timer, layouts: Layouts, name: str, algorithm: Algorithm
) -> Iterator[Candidate]:
    """One algorithm with every protocol and every number of channels that is asked for."""
    sheet = topology.fabric
    size, count = question.payload()
    codec, rounds = question.codec(), question.code_rounds()
    # What is cut into pieces is what is sent: of codes that are gathered, those of all ranks.
    sent = sum(rounds) * topology.cards if codec and name.startswith(GATHER) else max(rounds)
    asked = {"slices": question.slices, "chunks": question.chunks}[algorithm.piece]
    numbers = _channels(question, algorithm.channels(topology))
    for channels, protocol in product(numbers, _protocols(question, sheet, name, algorithm)):
        pieces = asked or algorithm.pieces(topology, channels, constants(sheet, protocol, name), sent)
        case = Case(
            fabric=sheet.name, network=sheet.network.name, fingerprint=topology.fingerprint() + content(name),
            cards=topology.cards, domain=topology.group, nodes=topology.nodes,
            collective=question.collective, algorithm=name, protocol=protocol, channels=channels, pieces=pieces,
            bytes=size, count=count, dtype=question.dtype, engine=question.engine,
            jump=question.jump and question.engine == "compiled", seed=question.seed,
            placement=seated(question, topology),
            changed=tuple(f"{key}={new} (was {old})" for key, old, new in sheet.changed),
            compress=codec.spec if codec else "", model=question.model or "",
        )  # fmt: skip
        program = program_of(case, topology, timer, layouts)
        found = Candidate(
            case, *_floor(program, topology), program.transfers, program.wire_bytes, float(sum(rounds)),
            _codec_time(program), program,
        )  # fmt: skip
        yield found if program.rows <= MOST_ROWS_KEPT else replace(found, program=None)


def _protocols(question: Question, sheet: Fabric, name: str, algorithm: Algorithm) -> tuple[str, ...]:
    """Protocols to try: those that are asked for, and of them those in which the library has the algorithm."""
    try:
        asked = protocols(question.protocol, question.collective, sheet.protocols)
    except SelectionError as error:
        raise StudyError(f"protocol = {error}") from error
    if not algorithm.adds_in_switch:
        return asked
    # NVLS and SHARP have constants of their own where the library has them, and no others would do.
    having = [protocol for protocol in sheet.protocols if name in sheet.protocols[protocol].overrides]
    own = tuple(protocol for protocol in asked if protocol in (having or list(sheet.protocols)[-1:]))
    if not own:
        right = " or ".join(having or list(sheet.protocols)[-1:])
        raise CollectiveError(f"the library does not have it in {question.protocol}; use {right}")
    return own


def _channels(question: Question, most: int) -> tuple[int, ...]:
    """Channel counts to try with an algorithm that has room for `most`, the most first."""
    if question.rings is not None:
        return (question.rings,) if question.rings <= most else ()
    return (most, 1) if question.algorithm == "auto" and most > 1 else (most,)


def program_of(case: Case, topology: Topology, timer: Timer, layouts: Layouts) -> Program:
    """Lay out and price what a case simulates."""
    algorithm = find(case.collective, case.algorithm)
    schedule, routes = layouts.get(case, topology, timer)
    with timer("route and price"):
        protocol = constants(topology.fabric, case.protocol, case.algorithm)
        slices = case.pieces if algorithm.piece == "slices" else 1
        if not case.compress:
            return price(
                schedule, topology, protocol, case.bytes, allotted=algorithm.allotted, slices=slices, routes=routes
            )
        tensors, codec = (case.count,) if not case.model else shapes(case.model), parse(case.compress)
        if codec.combine == "sparsifier" and not case.algorithm.startswith(GATHER):
            memory.check_growing(schedule)
        return compressed(
            schedule, topology, protocol, codec, tensors, case.bytes,
            allotted=algorithm.allotted, slices=slices, routes=routes,
        )  # fmt: skip


def pinned(question: Question, case: Case) -> Question:
    """Ask for one candidate and no other."""
    sliced = find(case.collective, case.algorithm).piece == "slices"
    return replace(
        question, algorithm=case.algorithm, protocol=case.protocol, rings=case.channels, size=case.bytes,
        slices=case.pieces if sliced else None, chunks=None if sliced else case.pieces,
    )  # fmt: skip


def _codec_time(program: Program) -> float:
    """Seconds for which the busiest card's memory encodes and decodes."""
    if program.memory is None:
        return 0.0
    return float((program.load() / program.bandwidth)[program.memory :].max())


def _floor(program: Program, topology: Topology) -> tuple[float, float, str]:
    """Start-up and busiest sender or link, in seconds; the latter alone; and its kind of link.

    A sender's overheads and its closing copy count in the first: they take their time without keeping a link busy.
    """
    load = program.load() / program.bandwidth
    link = int(load.argmax())
    sending = program.bytes * program.count / program.top_rate()
    row = int(sending.argmax())
    if sending[row] > load[link] * (1 + 1e-9):
        # A reserved part of a link, or a cap: name the link on the way of which the row has the least.
        hops = program.route_links[program.route_offsets[row] : program.route_offsets[row + 1]]
        users = np.bincount(program.route_links, minlength=len(program.bandwidth))
        link = int(hops[(program.bandwidth[hops] / users[hops]).argmin()])
    busy = max(float(sending[row]), float(load.max()))
    own = program.finished(sending + program.overhead * program.count)
    least = program.startup + max(busy, float(own.max()))
    if program.memory is not None and link >= program.memory:
        return least, busy, MEMORY
    if link >= topology.links:
        # A limit that the rows of a card share: name the first real link on the way of one of them.
        limited = int(program.row_of_hop()[int((program.route_links == link).argmax())])
        link = int(program.route_links[program.route_offsets[limited]])
    return least, busy, LINK_KINDS[topology.kind[link]]
