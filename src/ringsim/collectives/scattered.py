"""Reduce-scatter and all-gather on their own: halves of an all-reduce, in which every rank owns an equal part.

A reduce-scatter leaves rank *r* with the sum of the vector's *r*-th part, an all-gather gives his part to
everyone. An all-reduce is the one after the other. S is the vector as a whole, as nccl-tests counts.
"""

from collections.abc import Sequence

import numpy as np

from ringsim.collectives import nested
from ringsim.collectives.ring import all_gather, reduce_scatter, rings
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Family
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology


def _sketch(owner: Ints, pieces: int, *, gather: bool, **columns: int) -> Sketch:
    """Nothing drawn yet; `owner` is the rank that each block belongs to, each once for every channel."""
    owner = np.repeat(owner.ravel(), pieces)
    if gather:
        return Sketch(int(owner.max()) + 1, len(owner), begins=owner, **columns)
    return Sketch(int(owner.max()) + 1, len(owner), ends=owner, **columns)


def over_rings(topology: Topology, channels: int, slices: int, *, gather: bool) -> Schedule:
    """Once round each ring; a rank owns the block of its own number on the ring.

    Parameters
    ----------
    topology : Topology
    channels : int
        Rings, between 1 and `layout.most_rings`.
    slices : int
        Pieces of a block that travel on their own, at least 1.
    gather : bool
        All-gather instead of reduce-scatter.
    """
    teams = rings(topology, channels, slices)
    sketch = _sketch(teams.members, slices, gather=gather, channels=channels)
    (all_gather if gather else reduce_scatter)(sketch, teams, None)
    return sketch.schedule()


def over_grid(ranks: Ints, families: Sequence[Family], chunks: int, *, gather: bool) -> Schedule:
    """Side after side of a grid of ranks, in for a reduce-scatter, out for an all-gather.

    Parameters
    ----------
    ranks : int array, one axis for each side
        All of them on one side is no hierarchy.
    families : sequence of Family
        One for each side.
    chunks : int
        Pieces of a block that go through the sides one behind the other.
    gather : bool
        All-gather instead of reduce-scatter.

    Raises
    ------
    CollectiveError
        If a family cannot do with a side.
    """
    sketch = _sketch(ranks, chunks, gather=gather)
    (nested.all_gather if gather else nested.reduce_scatter)(sketch, nested.levels(ranks, families, 0, chunks))
    return sketch.schedule()


def line(topology: Topology) -> Ints:
    """The grid that is none: everyone on one side."""
    return np.arange(topology.cards)


def cards_by_nodes(topology: Topology) -> Ints:
    """The grid of cards in a node × nodes.

    Raises
    ------
    CollectiveError
        If the last node is not full.
    """
    nested.check_full(topology)
    return np.arange(topology.cards).reshape(topology.nodes, topology.group).T
