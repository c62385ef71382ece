"""Rings along every side of a torus in turn (BlueConnect): few steps, and all links at work.

A share of the vector is reduced and scattered round the rings along one side of the torus, what is left of it round
those along the next, and gathered again on the way back. There are two shares for each side of a node: each begins with a
side of its own, one goes round forwards and one backwards. So on a torus of *D* equal sides every one of the *2D* directed
lanes of a card is busy in every step, and a large vector takes what the bound says, n·(p−1)/p / D for each
byte/s of a lane. Sides of two cards have one lane instead of two and reach half of that; on unequal sides the shares
get out of step, and a torus of 2×4 reaches 3/4, one of 4×8 TODO. Steps: 2·Σ(side − 1) instead of 2(p − 1).

Where there are several nodes the ring across nodes comes last, on what the sides of a node have left: NICs are
the slower links, and this way each carries as little as can be. A node with a switch or a full mesh is one side.
"""

import numpy as np

from ringsim.collectives import nested
from ringsim.collectives.ring import RING
from ringsim.collectives.sketch import Sketch
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology


def ways(topology: Topology) -> int:
    """Shares of the vector: two for each side of a node."""
    return 2 * max(1, len(nested.sides(topology)))


def rows(topology: Topology, channels: int) -> int:
    """Rows and joins: twice on every side for every card, less those that the last side saves."""
    deep = len(nested.sides(topology)) + (topology.nodes > 1)
    return channels * topology.cards * (4 * deep - 2)


def way(topology: Topology, number: int) -> Ints:
    """The grid of ranks as share `number` goes along it: its first side first, and in its direction.

    Raises
    ------
    CollectiveError
        If the last node is not full.
    """
    turn, backwards = divmod(number, 2)
    ranks = nested.turned(nested.grid(topology), len(nested.sides(topology)), turn)
    return np.flip(ranks) if backwards else ranks


def torus_ring(topology: Topology, channels: int, chunks: int) -> Schedule:
    """All-reduce with rings along every side of the torus.

    Source: M. Cho et al., "BlueConnect: decomposing all-reduce for deep learning on heterogeneous network hierarchy", 2019.

    Parameters
    ----------
    topology : Topology
    channels : int
        Shares, between 1 and `ways`.
    chunks : int
        Pieces of a block that go through the rings one behind the other.
    """
    sketch = Sketch(topology.cards, channels * topology.cards * chunks, channels=channels)
    for share in range(channels):
        ranks = way(topology, share)
        base = share * topology.cards * chunks
        nested.all_reduce(sketch, nested.levels(ranks, [RING] * ranks.ndim, base, chunks, share))
    return sketch.schedule()
