"""Stages inside one another: along each side of a grid of ranks in turn, on what the sides before have left over.

A reduce-scatter along the first side leaves each rank with a part, one along the second with a part of that, and so
on; the all-gathers go back in the opposite order. Ring after ring on a torus is that, and so is a hierarchy of any depth:
nodes are a grid of cards × nodes.
"""

from collections.abc import Sequence

import numpy as np

from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import CollectiveError, Family, Gate, Teams, gate
from ringsim.schedule import Ints
from ringsim.topology import Topology

#: Teams and what they do, the first side first.
Levels = Sequence[tuple[Teams, Family]]


def sides(topology: Topology) -> tuple[int, ...]:
    """Cards along each side of a node, without sides of one card."""
    return tuple(side for side in topology.shape if side > 1)


def full(topology: Topology) -> bool:
    """Whether the last node has as many cards as the others."""
    return topology.last_group == topology.group


def grid(topology: Topology) -> Ints:
    """Ranks by their place along each side of a node and then by node, without sides of one.

    Raises
    ------
    CollectiveError
        If the last node is not full.
    """
    if not full(topology):
        raise CollectiveError(
            f"{topology.cards} cards are no whole grid: the last node has {topology.last_group} of {topology.group} cards; "
            f"use a multiple of {topology.group} cards"
        )
    shape = topology.nodes, *sides(topology)
    ranks = np.moveaxis(np.arange(topology.cards).reshape(shape), 0, -1)
    return ranks if topology.nodes > 1 else ranks[..., 0]


def turned(ranks: Ints, within: int, turn: int) -> Ints:
    """The grid with the first `within` sides, those of a node, in another order: beginning with number `turn`."""
    first = [(turn + k) % within for k in range(within)]
    return ranks.transpose([*first, *range(within, ranks.ndim)])


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


def reduce_scatter(sketch: Sketch, nest: Levels, gates: Gate = None) -> Gate:
    """In, level after level."""
    for teams, family in nest:
        assert family.reduce_scatter
        gates = gate(sketch, family.reduce_scatter(sketch, teams, gates), teams.chunks, gates)
    return gates


def all_gather(sketch: Sketch, nest: Levels, gates: Gate = None) -> Gate:
    """And out again."""
    for teams, family in reversed(nest):
        assert family.all_gather
        gates = gate(sketch, family.all_gather(sketch, teams, gates), teams.chunks, gates)
    return gates


def all_reduce(sketch: Sketch, nest: Levels, gates: Gate = None) -> Gate:
    """In, the last level's own all-reduce, and out."""
    teams, family = nest[-1]
    gates = reduce_scatter(sketch, nest[:-1], gates)
    gates = gate(sketch, family.all_reduce(sketch, teams, gates), teams.chunks, gates)
    return all_gather(sketch, nest[:-1], gates)
