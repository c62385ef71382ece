"""Logarithmic steps for any number of ranks: HCCL's NB (Nonuniform Bruck) and NHR (Nonuniform Hierarchical Ring).

Both reduce in ⌈log2 p⌉ steps and never send a byte twice, whatever *p*. A contribution that is *o* ranks away from the
owner of its block walks the binary digits of *o*, the lowest first: in step *k* it moves 2^k ranks where digit *k* is set.
So a rank sends 2^k ahead the sums of all blocks whose distance has *k* as its lowest digit, ⌊(p − 1 + 2^k) / 2^(k + 1)⌋
of them, and these numbers add up to p − 1.

NB walks upwards and gathers like J. Bruck: in step *k* it passes on what it has, 2^k blocks or what is missing. NHR walks
downwards and gathers by the same steps backwards, the largest message between neighbours in both halves.
"""

from typing import NamedTuple

import numpy as np

from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Done, Family, Gate, Teams, both, done, wait_at


class Step(NamedTuple):
    """One step, the same for every member: he sends `runs` owners' blocks, `pitch` owners apart, `ahead` members on."""

    ahead: int
    runs: int
    pitch: int


def _digits(size: int) -> range:
    return range((size - 1).bit_length())


def _halving(size: int, sign: int) -> list[Step]:
    """Reduce-scatter: step *k* goes 2^k members in the direction of `sign`."""
    return [Step(sign << k, (size - 1 + (1 << k)) >> (k + 1), sign << (k + 1)) for k in _digits(size)]


def _backwards(size: int) -> list[Step]:
    """All-gather: the steps of NHR's reduce-scatter in the other order and the other direction."""
    return [Step(-ahead, runs, pitch) for ahead, runs, pitch in reversed(_halving(size, -1))]


def _doubling(size: int) -> list[Step]:
    """All-gather: in step *k* each passes on the blocks of the 2^k members up to himself, or as many as are missing."""
    return [Step(1 << k, min(1 << k, size - (1 << k)), -1) for k in _digits(size)]


def _walk(sketch: Sketch, teams: Teams, gates: Gate, steps: list[Step], *, reduces: bool) -> Done:
    """Take the steps one after the other.

    A reduce-scatter sends blocks that the receiver passes on or owns, an all-gather such as the sender has. A message sets
    off when both its ends have got that far, HCCL's notify: what they sent has arrived and what they were sent is in.
    Where members own several blocks each, it goes out as that many pieces behind each other.
    """
    member, pieces = np.arange(teams.size), teams.width * teams.chunks
    columns = teams.columns() | {"modulus": teams.size, "inner": pieces, "count": pieces}
    came = went = np.full(teams.members.shape, -1)
    for ahead, runs, pitch in steps:
        to = np.roll(member, -ahead)
        rows = sketch.send(
            teams.members, teams.members[:, to],
            **columns, first=member + ahead * reduces, span=runs, pitch=pitch, reduces=reduces * pieces,
        )  # fmt: skip
        for end in (member, to):
            wait_at(sketch, rows, teams.members[:, end], gates)
            sketch.wait(rows, came[:, end])
            sketch.wait(rows, went[:, end])
        came, went = np.roll(rows, ahead, axis=1), rows
    return done(teams.members, np.stack([came, went]), teams.chunks - pieces)


def nb_reduce_scatter(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Distances 1, 2, 4, … upwards, the first message the largest."""
    return _walk(sketch, teams, gates, _halving(teams.size, 1), reduces=True)


def nb_all_gather(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Distances 1, 2, 4, … upwards, the last or last but one message the largest."""
    return _walk(sketch, teams, gates, _doubling(teams.size), reduces=False)


def nhr_reduce_scatter(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Distances 1, 2, 4, … downwards, the first message the largest."""
    return _walk(sketch, teams, gates, _halving(teams.size, -1), reduces=True)


def nhr_all_gather(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Distances …, 4, 2, 1 upwards, the last message the largest."""
    return _walk(sketch, teams, gates, _backwards(teams.size), reduces=False)


def rows(size: int) -> int:
    """Rows and joins of an all-reduce."""
    return size * (2 * len(_digits(size)) + 1)


#: Source: mirror-cann/hccl, coll_algo_intro: 2⌈log2 p⌉α + 2(p−1)/p·nβ + (p−1)/p·nγ for any p, each half with half of it.
NB = Family(both(nb_reduce_scatter, nb_all_gather), lambda size: size, nb_reduce_scatter, nb_all_gather)
NHR = Family(both(nhr_reduce_scatter, nhr_all_gather), lambda size: size, nhr_reduce_scatter, nhr_all_gather)
