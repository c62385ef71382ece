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
from itertools import chain
from math import prod

import numpy as np

from ringsim.collectives import exchange, nested
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Family, Teams
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology


def partners(*shapes: tuple[int, ...], mirrored: bool = False) -> Ints:
    """Partners on a torus whose sides are powers of two, shape ``[steps, cards]``.

    In step *s* along a side, the ranks with an even number there go forwards by ``(1 − (−2)^(s+1)) / 3`` and the others
    back by as much.

    Parameters
    ----------
    *shapes : tuple of int
        Sides that take turns; those of the second shape come when all of the first are through.
    mirrored : bool
        Let the odd ones go forwards.
    """
    shape = tuple(chain(*shapes))
    order, axis = list[tuple[int, int]](), 0
    for sides in shapes:
        order += sorted((step, axis + k) for k, side in enumerate(sides) for step in range(side.bit_length() - 1))
        axis += len(sides)
    place = np.indices(shape).reshape(len(shape), -1)
    table = np.empty((len(order), place.shape[1]), np.int64)
    for row, (step, axis) in zip(table, order, strict=True):
        away = (1 - (-2) ** (step + 1)) // 3
        there = place.copy()
        there[axis] += np.where(place[axis] % 2 == mirrored, away, -away)
        row[:] = np.ravel_multi_index(tuple(there), shape, mode="wrap")
    return table


def _sides(topology: Topology) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of a node and of the network, or one line."""
    return nested.sides(topology) if nested.full(topology) else ((topology.cards,), ())


def ways(topology: Topology) -> int:
    """Shares of the vector: two for each side of a node or of the network, whichever has more."""
    return 2 * max(len(sides) for sides in _sides(topology))


def rows(topology: Topology, channels: int) -> int:
    """Rows and joins of so many shares."""
    orders = (
        chain(*(np.roll(sides, -(share // 2)).tolist() for sides in _sides(topology))) for share in range(channels)
    )
    return sum(exchange.rows(*order) for order in orders)


def swing(topology: Topology, channels: int, chunks: int) -> Schedule:
    """All-reduce with partners that swing from side to side.

    Source: D. De Sensi et al., "Swing: short-cutting rings for higher bandwidth allreduce", NSDI 2024, the variant
    that is optimal in bandwidth. Folding is ours.

    Parameters
    ----------
    topology : Topology
    channels : int
        Shares, between 1 and `ways`.
    chunks : int
        Pieces of a block that go through the steps one behind the other.
    """
    whole = nested.full(topology)
    inside = len(_sides(topology)[0])
    blocks = prod(exchange.power(side) for sides in _sides(topology) for side in sides)
    sketch = Sketch(topology.cards, channels * blocks * chunks, channels=channels)
    for share in range(channels):
        turn, mirrored = divmod(share, 2)
        ranks = nested.grid(topology, turn) if whole else np.arange(topology.cards)
        alike = partial(exchange.alike, base=share * blocks * chunks, blocks=blocks, chunks=chunks, channel=share)
        _share(sketch, ranks, inside, alike, mirrored=bool(mirrored))
    return sketch.schedule()


def _share(sketch: Sketch, ranks: Ints, inside: int, alike: Callable[[Ints], Teams], *, mirrored: bool) -> None:
    """Fold side after side, go in and out, unfold; the first `inside` sides are those of a node."""
    folds, gates = list[exchange.Fold](), None
    for axis in range(ranks.ndim):
        lines = np.moveaxis(ranks, axis, -1)
        folds.append(exchange.fold(sketch, alike(lines.reshape(-1, lines.shape[-1])), gates))
        gates = folds[-1].gates
        ranks = np.moveaxis(folds[-1].teams.members.reshape(*lines.shape[:-1], -1), -1, axis)
    table = partners(ranks.shape[:inside], ranks.shape[inside:], mirrored=mirrored)
    finished = exchange.in_and_out(table)(sketch, alike(ranks.reshape(1, -1)), gates)
    for folded in reversed(folds):
        finished = exchange.unfold(sketch, folded, finished)


#: On one line, as a stage: the even members go forwards.
SWING = Family(exchange.folding(lambda size: exchange.in_and_out(partners((size,)))), exchange.power)
