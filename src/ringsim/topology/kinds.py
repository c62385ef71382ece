"""The words of a topology: what a vertex is, what a link joins, and how a connection's identity picks its way.

Everything that lays out, routes over, checks or draws a cluster speaks these, and none of it knows the others.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: What a vertex is, in the order of their numbers.
VERTEX_KINDS = ("card", "switch", "nic", "leaf", "spine", "core")

#: What a link joins. The order is the order of the link numbers.
LINK_KINDS = (
    "card→switch", "switch→card", "lane", "card→nic", "nic→card", "nic→leaf", "leaf→nic", "leaf→spine", "spine→leaf",
    "spine→core", "core→spine", "leaf→leaf", "link",
)  # fmt: skip
UP, DOWN, LANE, CARD_NIC, NIC_CARD, NIC_LEAF, LEAF_NIC, LEAF_SPINE, SPINE_LEAF = range(9)
SPINE_CORE, CORE_SPINE, LEAF_LEAF, LINK = range(9, 13)

#: Cards beyond this need more memory for the link arrays than any machine this is meant for has.
MOST_CARDS = 20_000_000


class TopologyError(ValueError):
    """The cluster asked for cannot be built, or has no such way; the message says what it has."""


def flow(seed: int, source: Ints, target: Ints, channel: Ints) -> Ints:
    """Mix a flow's identity into a non-negative number (splitmix64, S. Vigna, public domain), like ECMP does.

    Parameters
    ----------
    seed : int
    source, target, channel : int arrays, shape ``[rows]``

    Returns
    -------
    int64 array, shape ``[rows]``
    """
    with np.errstate(over="ignore"):
        z = np.full(len(source), np.uint64(seed % 2**64))
        for part in (source, target, channel):
            z = (z ^ part.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
    return (z >> np.uint64(1)).astype(np.int64)
