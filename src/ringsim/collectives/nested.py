"""Stages inside one another: along each side of a grid of ranks in turn, on what the sides before have left over.

A reduce-scatter along the first side leaves each rank with a part, one along the second with a part of that, and so
on; the all-gathers go back in the opposite order. Ring after ring on a torus is that, and so is a hierarchy of any depth:
nodes are a grid of cards × nodes.
"""

from collections.abc import Sequence

import numpy as np

from ringsim.collectives.exchange import standing, together
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import CollectiveError, Done, Family, Gate, Stage, Teams, gate
from ringsim.schedule import Ints
from ringsim.topology import Topology

#: Teams and what they do, the first side first.
Levels = Sequence[tuple[Teams, Family]]


def sides(topology: Topology) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Cards along each side of a node, and nodes along each side of the network, without sides of one."""
    between = topology.network_shape
    inside, outside = (tuple(side for side in shape if side > 1) for shape in (topology.shape, between))
    return inside, outside


def full(topology: Topology) -> bool:
    """Whether the last node has as many cards as the others."""
    return topology.last_group == topology.group


def check_full(topology: Topology) -> None:
    """Raise CollectiveError if the last node is not full."""
    if not full(topology):
        raise CollectiveError(
            f"{topology.cards} cards are no whole grid, the last node has {topology.last_group} of {topology.group}; "
            f"use a multiple of {topology.group} cards"
        )


def grid(topology: Topology, turn: int = 0) -> Ints:
    """Ranks by their place along each side of a node and then along each side of the network.

    Parameters
    ----------
    topology : Topology
    turn : int
        Begin with the side of that number, of a node as well as of the network, and go on from there.

    Raises
    ------
    CollectiveError
        If the last node is not full.
    """
    check_full(topology)
    inside, outside = sides(topology)
    ranks = np.arange(topology.cards).reshape(*outside, *inside)
    nodes, cards = np.arange(len(outside)), len(outside) + np.arange(len(inside))
    return ranks.transpose([*np.roll(cards, -turn), *np.roll(nodes, -turn)])


def levels(ranks: Ints, families: Sequence[Family], base: int, chunks: int, channel: int = 0) -> Levels:
    """Teams along every side of a grid, with as many blocks as it has ranks.

    Rank number *b* of the grid, row after row, ends with block *b* of a reduce-scatter.

    Parameters
    ----------
    ranks : int array, one axis for each side
    families : sequence of Family
        One for each side.
    base, chunks, channel : int
        As in `Teams`.
    """
    found, blocks = [], ranks.size
    first = np.full(ranks.shape, base)
    for axis, family in enumerate(families):
        side = ranks.shape[axis]
        lines, starts = (np.moveaxis(a, axis, -1).reshape(-1, side) for a in (ranks, first))
        found.append((Teams(lines, starts[:, 0], blocks, chunks, np.full(len(lines), channel)), family))
        blocks //= side
        first = first + np.indices(ranks.shape)[axis] * blocks * chunks
    return found


def reduce_scatter(sketch: Sketch, nest: Levels) -> None:
    """In, level after level."""
    _draw(sketch, [(teams, family.reduce_scatter) for teams, family in nest])


def all_gather(sketch: Sketch, nest: Levels) -> None:
    """And out again."""
    _draw(sketch, [(teams, family.all_gather) for teams, family in reversed(nest)])


def all_reduce(sketch: Sketch, nest: Levels) -> None:
    """In, the last level's own all-reduce, and out."""
    inwards = [(teams, family.reduce_scatter) for teams, family in nest[:-1]]
    outwards = [(teams, family.all_gather) for teams, family in reversed(nest[:-1])]
    teams, last = nest[-1]
    _draw(sketch, [*inwards, (teams, last.all_reduce), *outwards])


def _draw(sketch: Sketch, stages: Sequence[tuple[Teams, Stage | None]]) -> None:
    """Draw stages one after the other. What a rank has after one is what came in, and what he had before."""
    gates: Gate = None
    finished: Done | None = None
    for teams, stage in stages:
        assert stage
        if finished is not None:
            gates = gate(sketch, finished, teams.chunks, gates)
        finished = together([stage(sketch, teams, gates), standing(teams.members, gates)])
