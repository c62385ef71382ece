"""Algorithms: each a function that lays a schedule over a topology, listed by hand.

A new one is a function in a file of its own and one line in `COLLECTIVES`; every law in ``tests/laws`` then runs on it.
"""

from collections.abc import Callable
from typing import NamedTuple

from ringsim.collectives.direct import ONE_SHOT, TWO_SHOT
from ringsim.collectives.hierarchical import hierarchical
from ringsim.collectives.layout import most_chains, most_rings
from ringsim.collectives.ring import RING_BY_CHUNK, ring
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import CollectiveError, Family, everyone
from ringsim.collectives.tree import depth, tree, trees
from ringsim.fabric import Protocol
from ringsim.schedule import Schedule
from ringsim.topology import Topology

__all__ = ["ALGORITHMS", "COLLECTIVES", "Algorithm", "CollectiveError"]

#: Pieces of a pipeline: enough to fill it several times over, but none smaller than this many bytes.
SMALLEST_CHUNK = 32 * 1024


class Algorithm(NamedTuple):
    """How to build a schedule, and what to choose where the user does not.

    Attributes
    ----------
    build : (topology, channels, pieces) → Schedule
        `pieces` are slices of a ring's chunk, or chunks of a share that go through a pipeline.
    channels : topology → int
        The most channels that do not get in each other's way.
    rows : (topology, channels) → int
        Rows that `build` will make, roughly, to know beforehand what they take.
    pieces : (topology, channels, protocol, payload bytes) → int
        The default.
    piece : str
        What the field calls a piece: ``slices`` or ``chunks``.
    allotted : bool
        Whether NCCL knows it and divides scale-up links among its channels.
    auto : bool
        Whether ``auto`` tries it.
    """

    build: Callable[[Topology, int, int], Schedule]
    channels: Callable[[Topology], int]
    rows: Callable[[Topology, int], int]
    pieces: Callable[[Topology, int, Protocol, float], int]
    piece: str
    allotted: bool = False
    auto: bool = False


def _ring_slices(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    return protocol.slices


def _tree_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    share = payload / trees(topology, channels)
    return max(1, min(8 * depth(topology), int(share // SMALLEST_CHUNK)))


def _few_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    return max(1, min(16, int(payload / topology.group // SMALLEST_CHUNK)))


def _one(*_: object) -> int:
    return 1


def _ring_rows(topology: Topology, channels: int) -> int:
    return channels * topology.cards


def _tree_rows(topology: Topology, channels: int) -> int:
    return 2 * trees(topology, channels) * (topology.cards - 1)


def _pairs(topology: Topology, channels: int) -> int:
    return topology.cards * topology.cards


def _flat(family: Family, rows: Callable[[Topology, int], int]) -> Algorithm:
    """The family on one team of all cards, in the order of their ranks."""

    def build(topology: Topology, channels: int, chunks: int) -> Schedule:
        blocks = family.blocks(topology.cards)
        sketch = Sketch(topology.cards, blocks * chunks)
        family.all_reduce(sketch, everyone(topology.cards, blocks, chunks), None)
        return sketch.schedule()

    return Algorithm(build, _one, rows, _one, "chunks")


def _across(family: Family) -> Algorithm:
    """The family between nodes, direct inside."""

    def build(topology: Topology, channels: int, chunks: int) -> Schedule:
        return hierarchical(topology, chunks, family)

    def rows(topology: Topology, channels: int) -> int:
        return 2 * topology.cards * (topology.group + 2) + topology.group * topology.nodes * 16

    return Algorithm(build, _one, rows, _few_chunks, "chunks")


ALGORITHMS: dict[str, Algorithm] = {
    "ring": Algorithm(ring, most_rings, _ring_rows, _ring_slices, "slices", allotted=True, auto=True),
    "tree": Algorithm(tree, most_chains, _tree_rows, _tree_chunks, "chunks", allotted=True, auto=True),
    "two-shot": _flat(TWO_SHOT, lambda topology, channels: topology.cards * (2 * topology.cards - 1)),
    "one-shot": _flat(ONE_SHOT, _pairs),
    "hierarchical-ring": _across(RING_BY_CHUNK),
}
#: Algorithms by collective.
COLLECTIVES: dict[str, dict[str, Algorithm]] = {"all-reduce": ALGORITHMS}
