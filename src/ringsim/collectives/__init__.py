"""Algorithms: each a function that lays a schedule over a topology, listed by hand.

A new one is a function in a file of its own and one line in `ALGORITHMS`; every law in ``tests/laws`` then runs on it.
"""

from collections.abc import Callable
from typing import NamedTuple

from ringsim.collectives.layout import most_chains, most_rings
from ringsim.collectives.ring import ring
from ringsim.collectives.tree import depth, tree, trees
from ringsim.fabric import Protocol
from ringsim.schedule import Schedule
from ringsim.topology import Topology

#: Tree chunks: enough to fill the pipeline several times over, but none smaller than this many bytes.
SMALLEST_CHUNK = 32 * 1024


class Algorithm(NamedTuple):
    """How to build a schedule, and what to choose where the user does not.

    Attributes
    ----------
    build : (topology, channels, pieces) → Schedule
        `pieces` are slices of a ring's chunk or chunks of a tree's share.
    channels : topology → int
        The most channels that do not get in each other's way.
    rows : (topology, channels) → int
        Rows that `build` will make, to know beforehand what they take.
    pieces : (topology, channels, protocol, payload bytes) → int
        The default.
    piece : str
        What the field calls a piece: ``slices`` or ``chunks``.
    """

    build: Callable[[Topology, int, int], Schedule]
    channels: Callable[[Topology], int]
    rows: Callable[[Topology, int], int]
    pieces: Callable[[Topology, int, Protocol, float], int]
    piece: str


def _ring_slices(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    return protocol.slices


def _tree_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    share = payload / trees(topology, channels)
    return max(1, min(8 * depth(topology), int(share // SMALLEST_CHUNK)))


def _ring_rows(topology: Topology, channels: int) -> int:
    return channels * topology.cards


def _tree_rows(topology: Topology, channels: int) -> int:
    return 2 * trees(topology, channels) * (topology.cards - 1)


ALGORITHMS: dict[str, Algorithm] = {
    "ring": Algorithm(ring, most_rings, _ring_rows, _ring_slices, "slices"),
    "tree": Algorithm(tree, most_chains, _tree_rows, _tree_chunks, "chunks"),
}
