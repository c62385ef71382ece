"""Exchanges in pairs: what halving-doubling, recursive doubling and Swing have in common.

A table says with whom each member talks in each step, *partners*, int array of shape ``[steps, size]`` with
2^steps = size, and everything else follows from it. Two members of a pair swap halves of what they still care
for (a reduce-scatter, last step last), or what they have (an all-gather, the steps backwards), or everything (one sum
in as many steps). The table has to fall apart in halves: whoever can be reached by the later steps is one
half of whoever can be reached when the present one is added. Distances 1, 2, 4, … do, and so do Swing's.

Both members of a pair begin when both have got that far, as after a handshake: MPI's rendezvous, HCCL's notify. That is
what textbooks count. Without it, in a model without back-pressure, whoever is ahead gets in the way of the others.

Where the size is no power of two the members beyond it are folded onto others first and told the sum in the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Done, Gate, Stage, Teams, done, gate, wait_at
from ringsim.schedule import Ints


def power(size: int) -> int:
    """Largest power of two that is not above `size`."""
    return 1 << (size.bit_length() - 1)


def places(partners: Ints) -> Ints:
    """Which run of the stretch each member ends with in a reduce-scatter, shape ``[size]``.

    Runs are dealt out so that what a member still cares for lies together after every step: all of it, half of it, a
    quarter. Of two groups that part in a step the one with the lower member gets the lower half.

    Raises
    ------
    ValueError
        If the table does not fall apart in halves.
    """
    steps, size = partners.shape
    lowest = np.arange(size)  # of the members that the steps from here on reach
    place = np.zeros(size, np.int64)
    for step in reversed(range(steps)):
        other = lowest[partners[step]]
        place += (lowest > other) << (steps - 1 - step)
        lowest = np.minimum(lowest, other)
    mutual = np.take_along_axis(partners, partners, axis=1) == np.arange(size)
    part = (place[partners] ^ place) >> np.arange(steps)[::-1, None] == 1
    if size != 1 << steps or not (mutual & part).all():
        raise ValueError("a table has to pair all 2^steps members in every step, and to fall apart in halves")
    return place


def reduce_scatter(partners: Ints) -> Stage:
    """Give away the half that the partner's side will end with, step after step; member *m* ends with run ``places[m]``."""

    def stage(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
        return _halves(sketch, teams, gates, partners, gather=False)

    return stage


def all_gather(partners: Ints) -> Stage:
    """Pass on all one has, beginning with run ``places[m]``, the steps backwards."""

    def stage(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
        return _halves(sketch, teams, gates, partners, gather=True)

    return stage


def in_and_out(partners: Ints) -> Stage:
    """Halve, then gather the steps backwards, on a channel of its own: chunks do not wait there for those behind them."""

    def stage(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
        inwards, outwards = (replace(teams, channel=2 * teams.channel + way) for way in (0, 1))
        halved = _halves(sketch, inwards, gates, partners, gather=False)
        between = gate(sketch, together([halved, standing(teams.members, gates)]), teams.chunks, gates)
        gathered = _halves(sketch, outwards, between, partners, gather=True)
        return together([gathered, standing(teams.members, between)])

    return stage


def _halves(sketch: Sketch, teams: Teams, gates: Gate, partners: Ints, *, gather: bool) -> Done:
    """Rows from every member to his partner of each step; they wait for all that came to either of them before."""
    steps, place, arrived = len(partners), places(partners), list[Ints]()
    for step in reversed(range(steps)) if gather else range(steps):
        with_whom = partners[step]
        later = steps - 1 - step
        # After this step the groups of those who go on together share a run of this size: he hands over theirs or his.
        span = teams.width << later
        whose = place if gather else place[with_whom]
        rows = sketch.send(
            teams.members, teams.members[:, with_whom],
            **teams.columns(), first=(whose >> later) * span, span=span, reduces=0 if gather else teams.chunks,
        )  # fmt: skip
        for ready in (slice(None), with_whom):
            wait_at(sketch, rows, teams.members[:, ready], gates)
            for before in arrived:
                sketch.wait(rows, before[:, ready])
        arrived.append(rows[:, with_whom])
    return together([done(teams.members, rows) for rows in arrived])


def swap(partners: Ints) -> Stage:
    """Swap everything with each partner in turn; each adds what came once his own is out."""

    def stage(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
        for with_whom in partners:
            rows = sketch.send(
                teams.members, teams.members[:, with_whom],
                **teams.columns(), span=teams.blocks, reduces=teams.chunks, parked=True,
            )  # fmt: skip
            for ready in (slice(None), with_whom):
                wait_at(sketch, rows, teams.members[:, ready], gates)
            there = done(teams.members, np.stack([rows, rows[:, with_whom]]))
            gates = gate(sketch, there, teams.chunks, gates)
        return standing(teams.members, gates)

    return stage


# -- sizes that are no power of two --------------------------------------------------------------------------


class Fold(NamedTuple):
    """Teams whose size is a power of two, and what became of the others.

    Attributes
    ----------
    teams : Teams
        Of those who go on.
    gates : Gate
        Says when they have what was folded onto them.
    kept, left : int arrays, shape ``[teams, how many were folded]``
        Ranks that took a vector on, and those it came from.
    """

    teams: Teams
    gates: Gate
    kept: Ints
    left: Ints


def fold(sketch: Sketch, teams: Teams, gates: Gate) -> Fold:
    """Send whole stretches from the first members with even numbers to those behind them, as many as are too many."""
    many = teams.size - power(teams.size)
    left, kept = teams.members[:, : 2 * many : 2], teams.members[:, 1 : 2 * many : 2]
    going_on = replace(teams, members=np.concatenate([kept, teams.members[:, 2 * many :]], axis=1))
    if not many:
        return Fold(going_on, gates, kept, left)
    rows = sketch.send(left, kept, **teams.columns(), span=teams.blocks, reduces=teams.chunks)
    wait_at(sketch, rows, left, gates)
    there = together([done(kept, rows), standing(kept, gates)])
    return Fold(going_on, gate(sketch, there, teams.chunks, gates), kept, left)


def unfold(sketch: Sketch, folded: Fold, finished: Done) -> Done:
    """Send the sum back to those who were folded."""
    teams, kept, left = folded.teams, folded.kept, folded.left
    if not kept.size:
        return finished
    gates = gate(sketch, finished, teams.chunks, folded.gates)
    rows = sketch.send(kept, left, **teams.columns(), span=teams.blocks)
    wait_at(sketch, rows, kept, gates)
    return together([standing(teams.members, gates), done(left, rows)])


def folding(stage: Callable[[int], Stage]) -> Stage:
    """A stage for any size of one for powers of two."""

    def folded_stage(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
        folded = fold(sketch, teams, gates)
        return unfold(sketch, folded, stage(folded.teams.size)(sketch, folded.teams, folded.gates))

    return folded_stage


def rows(*sides: int) -> int:
    """Rows and joins of an all-reduce that folds along each side and then goes in and out."""
    here, total = prod(sides), 0
    for side in sides:
        kept = here // side * power(side)
        total += 3 * (here - kept) + kept if kept < here else 0
        here = kept
    return total + here * (2 * here.bit_length() - 1)


def alike(members: Ints, base: int, blocks: int, chunks: int, channel: int) -> Teams:
    """Teams that share one stretch and one channel."""
    many = len(members)
    return Teams(members, np.full(many, base), blocks, chunks, np.full(many, channel))


# -- lists of what is complete -------------------------------------------------------------------------------


def together(parts: Sequence[Done]) -> Done:
    """One list of several."""
    none = np.zeros(0, np.int64)
    rank, row, lag = (np.concatenate([none, *(part[column] for part in parts)]) for column in range(3))
    return Done(rank, row, lag)


def standing(ranks: Ints, gates: Gate) -> Done:
    """What the gates of these ranks say is complete."""
    ranks = np.unique(ranks)
    return together([]) if gates is None else done(ranks, gates[ranks])
