"""Everybody to everybody, but only along one side of a grid at a time: few steps and not too many messages.

With *k* sides a team of *n* takes the steps of *k* teams of about n^(1/k). One side is one-shot or two-shot, log2 n sides
of two are recursive doubling or halving and doubling; in between lies what suits a network whose latency is worth
several messages. Sides are as equal as the divisors of *n* allow, neighbours first; a prime number is one side.

Sources: M. Ruefenacht, M. Bull, S. Booth, "Generalisation of recursive doubling for AllReduce: now with simulation", 2017
(recursive multiplying); R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations in
MPICH", 2005 (the halves).
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from ringsim.collectives import direct
from ringsim.collectives.exchange import standing, together
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import CollectiveError, Done, Family, Gate, Stage, Teams, gate

#: Members along a side, at most: each sends to all others at once.
LONGEST = 256


@lru_cache
def sides(size: int, most: int) -> tuple[int, ...]:
    """Up to `most` factors of a size whose sum is least, the smallest first."""
    best: tuple[int, ...] = (size,)
    for side in range(2, size // 2 + 1):
        if most > 1 and size % side == 0:
            found = tuple(sorted((side, *sides(size // side, most - 1))))
            best = min(best, found, key=lambda factors: (sum(factors), factors))
    return best


def two_shot(most: int) -> Family:
    """Deal out along each side in turn what the sides before have left, and gather on the way back."""
    return Family(_stage(most, whole=False), lambda size: size)


def one_shot(most: int) -> Family:
    """Send everything to everybody along each side in turn."""
    return Family(_stage(most, whole=True), lambda size: 1)


def rows(most: int, size: int) -> int:
    """Rows and joins of a team, for memory."""
    return size * sum(2 * (side + 1) for side in sides(size, most))


def _stage(most: int, *, whole: bool) -> Stage:
    def all_reduce(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
        lengths = sides(teams.size, most)
        if lengths[-1] > LONGEST:
            raise CollectiveError(
                f"{teams.size:,} nodes are {lengths[-1]:,} along one side of a grid, who would all send to each other: at "
                f"most {LONGEST}; use more sides or halving-doubling"
            )
        if whole:
            return _in_turn(sketch, [(level, direct.one_shot) for level in _levels(teams, lengths, deal=False)], gates)
        inwards, outwards = (_levels(_on_channel(teams, way), lengths, deal=True) for way in (0, 1))
        stages = [(level, direct.reduce_scatter) for level in inwards]
        return _in_turn(sketch, [*stages, *((level, direct.all_gather) for level in reversed(outwards))], gates)

    return all_reduce


def _on_channel(teams: Teams, way: int) -> Teams:
    """The way back has a channel of its own: chunks do not wait there for those behind them."""
    return replace(teams, channel=2 * teams.channel + way)


def _levels(teams: Teams, lengths: tuple[int, ...], *, deal: bool) -> list[Teams]:
    """Teams along each side; where blocks are dealt out, each works on what the sides before have left its members."""
    # The last side changes fastest, so that the first stage is among neighbours; then sides in the order of the stages.
    count, each = len(lengths), teams.members.reshape(-1, *lengths[::-1])
    grid = each.transpose(0, *range(count, 0, -1))
    base, blocks, found = np.broadcast_to(teams.base.reshape(-1, *[1] * count), grid.shape), teams.blocks, []
    channel = np.broadcast_to(teams.channel.reshape(-1, *[1] * count), grid.shape)
    for axis, side in enumerate(lengths, 1):
        lines, starts, channels = (np.moveaxis(a, axis, -1).reshape(-1, side) for a in (grid, base, channel))
        found.append(Teams(lines, starts[:, 0], blocks, teams.chunks, channels[:, 0]))
        if deal:
            blocks //= side
            base = base + np.indices(grid.shape)[axis] * blocks * teams.chunks
    return found


def _in_turn(sketch: Sketch, stages: list[tuple[Teams, Stage]], gates: Gate) -> Done:
    """Stages one after the other. What a rank has after one is what came in, and what he had before."""
    finished = together([])
    for number, (teams, stage) in enumerate(stages):
        if number:
            gates = gate(sketch, finished, teams.chunks, gates)
        finished = together([stage(sketch, teams, gates), standing(teams.members, gates)])
    return finished
