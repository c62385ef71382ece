"""The busiest links of a run, those that are alike in one row."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ringsim.candidates import MEMORY
from ringsim.explain import naming
from ringsim.explain.subject import Subject
from ringsim.topology import LINK_KINDS


@dataclass(frozen=True)
class LinkGroup:
    """Links of one kind and rate that were kept busy for the same part of the run, to a tenth of a per cent.

    Attributes
    ----------
    name : str
        Of the busiest of them.
    kind : str
        One of `LINK_KINDS`, ``limit`` for what a protocol lets the rows of a card carry together, or ``memory`` for what
        the codec of a card passes bytes through.
    alike, of : int
        How many there are, and how many of the kind.
    bandwidth : float, bytes/s
    bytes : float
        That the busiest carried.
    busy : float
        Part of the time for which the busiest was kept busy.
    """

    name: str
    kind: str
    alike: int
    of: int
    bandwidth: float
    bytes: float
    busy: float


def groups(subject: Subject) -> Iterator[LinkGroup]:
    """Find groups of links in use, busiest first."""
    topology, memory = subject.topology, subject.program.memory
    kinds = (*LINK_KINDS, "limit", MEMORY)
    kind = np.full(len(subject.busy), kinds.index("limit"))
    kind[: topology.links] = topology.kind
    kind[len(kind) if memory is None else memory :] = kinds.index(MEMORY)
    totals = np.bincount(kind, minlength=len(kinds))
    seen: dict[tuple[int, float, int], list[int]] = {}
    order = np.argsort(-subject.busy, kind="stable")
    for link in order[: int((subject.busy > 0).sum())].tolist():
        key = int(kind[link]), float(subject.program.bandwidth[link]), round(1000 * float(subject.busy[link]))
        seen.setdefault(key, []).append(link)
    for (sort, bandwidth, _), members in seen.items():
        first = members[0]
        yield LinkGroup(
            name=_name(subject, first),
            kind=kinds[sort],
            alike=len(members),
            of=int(totals[sort]),
            bandwidth=bandwidth,
            bytes=float(subject.carried[first]),
            busy=float(subject.busy[first]),
        )


def _name(subject: Subject, link: int) -> str:
    topology, memory = subject.topology, subject.program.memory
    if link < topology.links:
        return naming.link(topology, link)
    if memory is not None and link >= memory:
        return f"memory of {naming.vertex(topology, link - memory)}"
    return _limit(subject, link - topology.links)


def _limit(subject: Subject, number: int) -> str:
    card, where = (
        number % subject.topology.cards,
        "to other nodes" if number >= subject.topology.cards else "inside its node",
    )
    return f"what {subject.case.protocol} lets card {card} send {where}"
