"""Swing: halving-doubling for tori, with partners at distances 1, −1, 3, −5, 11, … that alternate in direction.

They reach everyone in as many steps as 1, 2, 4, … do, but on a ring the way is a third shorter, so flows share fewer
links. On a torus the steps take its sides in turn, and there are two shares of the vector for each side: each begins with
a side of its own, and in one of the two it is the odd ranks that go forwards. So all directed lanes of a card are at
work. Sides that are no power of two fold the ranks beyond it onto their neighbours and tell them in the end.

Across nodes the steps come after those inside: NICs are the slower links. Where the last node is not full, everyone
stands in a single line.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from ringsim.collectives import exchange, nested
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Family, Teams
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology


def partners(shape: tuple[int, ...], within: int, *, mirrored: bool = False) -> Ints:
    """Partners on a torus whose sides are powers of two, shape ``[steps, cards]``.

    In step *s* along a side, the ranks with an even number there go forwards by ``(1 − (−2)^(s+1)) / 3`` and the others
    back by as much.

    Parameters
    ----------
    shape : tuple of int
    within : int
        The first so many sides take turns; those after them come one after the other.
    mirrored : bool
        Let the odd ones go forwards.
    """
    steps = [side.bit_length() - 1 for side in shape]
    order = [
        (step, axis) for step in range(max(steps[:within], default=0)) for axis in range(within) if step < steps[axis]
    ]
    order += [(step, axis) for axis in range(within, len(shape)) for step in range(steps[axis])]
    place = np.indices(shape).reshape(len(shape), -1)
    table = np.empty((len(order), place.shape[1]), np.int64)
    for row, (step, axis) in zip(table, order, strict=True):
        away = (1 - (-2) ** (step + 1)) // 3
        there = place.copy()
        there[axis] += np.where(place[axis] % 2 == mirrored, away, -away)
        row[:] = np.ravel_multi_index(tuple(there), shape, mode="wrap")
    return table


def ways(topology: Topology) -> int:
    """Shares of the vector: two for each side of a node."""
    return 2 * max(1, len(_grid(topology)[0]))


def rows(topology: Topology, channels: int) -> int:
    """Rows and joins: a step there and one back for every halving of every side, and folds."""
    sides, ranks = _grid(topology)
    return channels * topology.cards * (2 * sum(side.bit_length() for side in ranks.shape) + 1)


def _grid(topology: Topology) -> tuple[tuple[int, ...], Ints]:
    """Sides of a node that take turns, and all ranks: those sides and then nodes, or one line."""
    if nested.full(topology):
        return nested.sides(topology), nested.grid(topology)
    return (topology.cards,), np.arange(topology.cards)


def swing(topology: Topology, channels: int, chunks: int) -> Schedule:
    """All-reduce with partners that swing from side to side.

    Source: D. De Sensi et al., "Swing: short-cutting rings for higher bandwidth allreduce", NSDI 2024; the variant
    that is optimal in bandwidth. Folding is ours: they skip blocks that come twice instead.

    Parameters
    ----------
    topology : Topology
    channels : int
        Shares, between 1 and `ways`.
    chunks : int
        Pieces of a block that go through the steps one behind the other.
    """
    sides, ranks = _grid(topology)
    blocks = int(np.prod([exchange.power(side) for side in ranks.shape]))
    sketch = Sketch(topology.cards, channels * blocks * chunks, channels=channels)
    for share in range(channels):
        turn, mirrored = divmod(share, 2)
        order = nested.turned(ranks, len(sides), turn)
        teams = partial(exchange.alike, base=share * blocks * chunks, blocks=blocks, chunks=chunks, channel=share)
        _share(sketch, order, len(sides), teams, mirrored=bool(mirrored))
    return sketch.schedule()


def _share(sketch: Sketch, ranks: Ints, within: int, teams: Callable[[Ints], Teams], *, mirrored: bool) -> None:
    """Fold side after side, go in and out, unfold."""
    folds, gates = list[exchange.Fold](), None
    for axis in range(ranks.ndim):
        lines = np.moveaxis(ranks, axis, -1)
        folds.append(exchange.fold(sketch, teams(lines.reshape(-1, lines.shape[-1])), gates))
        gates = folds[-1].gates
        ranks = np.moveaxis(folds[-1].teams.members.reshape(*lines.shape[:-1], -1), -1, axis)
    halves = exchange.in_and_out(partners(ranks.shape, within, mirrored=mirrored))
    finished = halves(sketch, teams(ranks.reshape(1, -1)), gates)
    for folded in reversed(folds):
        finished = exchange.unfold(sketch, folded, finished)


#: On one line, as a stage: the even members go forwards.
SWING = Family(exchange.folding(lambda size: exchange.in_and_out(partners((size,), 1))), exchange.power)
