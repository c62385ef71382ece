"""Rings along every side of a torus in turn (BlueConnect): few steps, and all links at work.

A share of the vector is reduced and scattered round the rings along one side of the torus, what is left of it round
those along the next, and gathered again on the way back. There are two shares for each side of a node: each begins with a
side of its own, one goes round forwards and one backwards. So on a torus of *D* equal sides every one of the *2D* directed
lanes of a card is busy all the time, and a large vector takes no longer than the bound says. Sides of two cards have one
lane instead of two, and on unequal sides shares get out of step: 4×8 reaches 0.89 of the bound, 4×4×8 0.80 and 2×4
0.67, where one ring with its reverse reaches 0.50, 0.33 and 0.67. Steps: 2·Σ(side − 1) instead of 2(p − 1).

Where there are several nodes the ring across nodes comes last, on what the sides of a node have left: NICs are
the slower links, and this way each carries as little as can be. A node with a switch or a full mesh is one side.
"""

import numpy as np

from ringsim.collectives import nested
from ringsim.collectives.ring import RING
from ringsim.collectives.sketch import Sketch
from ringsim.schedule import Schedule
from ringsim.topology import Topology


def ways(topology: Topology) -> int:
    """Shares of the vector: two for each side of a node or of the network, whichever has more."""
    return 2 * max(len(sides) for sides in nested.sides(topology))


def rows(topology: Topology, channels: int) -> int:
    """Rows and joins: in and out on every side for every card, once on the last."""
    return channels * topology.cards * (4 * sum(len(sides) for sides in nested.sides(topology)) - 3)


def torus_ring(topology: Topology, channels: int, slices: int) -> Schedule:
    """All-reduce with rings along every side of the torus.

    Source: M. Cho et al., "BlueConnect: decomposing all-reduce for deep learning on heterogeneous network hierarchy", 2019.

    Parameters
    ----------
    topology : Topology
    channels : int
        Shares, between 1 and `ways`.
    slices : int
        Pieces of a chunk that travel on their own, at least 1.
    """
    sketch = Sketch(topology.cards, channels * topology.cards * slices, channels=channels)
    for share in range(channels):
        turn, backwards = divmod(share, 2)
        ranks = nested.grid(topology, turn)
        ranks = np.flip(ranks) if backwards else ranks
        base = share * topology.cards * slices
        nested.all_reduce(sketch, nested.levels(ranks, [RING] * ranks.ndim, base, slices, share))
    return sketch.schedule()
