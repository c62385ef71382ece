"""What could answer a question: algorithms, channel counts and protocols, each priced and with the least it can take."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol as Shape

import numpy as np

from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.program import Program, price
from ringsim.question import Question, StudyError
from ringsim.result import Case
from ringsim.topology import LINK_KINDS, Topology

#: Programs with more rows than this are priced again when it is their turn rather than kept until then.
MOST_ROWS_KEPT = 200_000


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
    program : Program or None
        None where it was too large to be kept; `priced` builds it again.
    """

    case: Case
    floor: float
    busy: float
    busiest: str
    transfers: int
    wire_bytes: float
    program: Program | None

    def priced(self, topology: Topology, timer: Timer) -> Program:
        """Return the program."""
        return self.program or _program(self.case, topology, timer)


def candidates(question: Question, topology: Topology, timer: Timer) -> Iterator[Candidate]:
    """Price every candidate, in no particular order.

    Raises
    ------
    StudyError
        If the question asks for what this cluster or algorithm does not have.
    """
    sheet = topology.fabric
    size, count = question.payload()
    known = COLLECTIVES[question.collective]
    names = tuple(n for n in known if known[n].auto) if question.algorithm == "auto" else (question.algorithm,)
    protocols = tuple(sheet.protocols) if question.protocol == "auto" else (question.protocol,)
    pieces_of = {"slices": question.slices, "chunks": question.chunks}
    used = {known[name].piece for name in names}
    for piece, value in pieces_of.items():
        if value is not None and piece not in used:
            raise StudyError(
                f"{piece} = {value}: {question.algorithm} has no {piece}; it is cut into {' or '.join(used)}"
            )
    most = {name: known[name].channels(topology) for name in names}
    if question.rings is not None and not 1 <= question.rings <= max(most.values()):
        raise StudyError(
            f"rings = {question.rings}: {sheet.name} with {topology.cards} cards has room for 1 to {max(most.values())} "
            "that share no lane"
        )
    for name, protocol in product(names, protocols):
        algorithm, constants = known[name], sheet.protocol(protocol, name)
        for channels in _channels(question, most[name]):
            pieces = pieces_of[algorithm.piece] or algorithm.pieces(topology, channels, constants, size)
            case = Case(
                fabric=sheet.name, network=sheet.network.name, fingerprint=sheet.fingerprint(),
                cards=topology.cards, domain=topology.group, nodes=topology.nodes,
                collective=question.collective, algorithm=name, protocol=protocol, channels=channels, pieces=pieces,
                bytes=size, count=count, dtype=question.dtype, engine=question.engine,
                jump=question.jump and question.engine == "compiled", seed=question.seed,
                changed=tuple(f"{key}={new} (was {old})" for key, old, new in sheet.changed),
            )  # fmt: skip
            program = _program(case, topology, timer)
            found = Candidate(case, *_floor(program, topology), program.transfers, program.wire_bytes, program)
            yield found if program.rows <= MOST_ROWS_KEPT else replace(found, program=None)


def _channels(question: Question, most: int) -> tuple[int, ...]:
    """Channel counts to try with an algorithm that has room for `most`, the most first."""
    if question.rings is not None:
        return (question.rings,) if question.rings <= most else ()
    return (most, 1) if question.algorithm == "auto" and most > 1 else (most,)


def _program(case: Case, topology: Topology, timer: Timer) -> Program:
    with timer("schedule"):
        algorithm = COLLECTIVES[case.collective][case.algorithm]
        try:
            schedule = algorithm.build(topology, case.channels, case.pieces)
        except CollectiveError as error:
            raise StudyError(f"algorithm = {case.algorithm}: {error}") from error
    with timer("route and price"):
        constants = topology.fabric.protocol(case.protocol, case.algorithm)
        return price(schedule, topology, constants, case.bytes, allotted=algorithm.allotted)


def _floor(program: Program, topology: Topology) -> tuple[float, float, str]:
    """Start-up and busiest sender or link, in seconds; the latter alone; and its kind of link."""
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
    return program.startup + busy, busy, LINK_KINDS[topology.kind[link]]
