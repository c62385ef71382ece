"""Everybody to everybody: what a full mesh or one switch does in a single step, HCCL's mesh algorithm.

*Two-shot* deals the vector out: each member gets his run of it from all others, adds up, and hands the sum to all
others. *One-shot* sends the whole vector to everyone at once: one step instead of two for p times the bytes.
A rank may stand for several members of a team: he then owns all their runs and sends them nothing.
"""

import numpy as np

from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Done, Family, Gate, Teams, both, done, gate, wait_at
from ringsim.schedule import Ints


def _pairs(teams: Teams) -> tuple[Ints, Ints]:
    """Rank of a member and each of the members, where he himself stands for one that he has been counted as before.

    Shape ``[teams, size, size]`` both. Pairs of a rank with himself are none to `Sketch.send`, so whoever is a member
    twice talks to the others once.
    """
    members = teams.members
    again = (members[:, :, None] == members[:, None, :]) & np.tri(teams.size, k=-1, dtype=bool)
    one = np.broadcast_to(members[:, :, None], (*members.shape, teams.size))
    other = np.broadcast_to(members[:, None, :], one.shape)
    return one, np.where(again.any(axis=2)[:, :, None], one, other)


def reduce_scatter(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Send each member his run of the blocks; he adds them up."""
    return _deal(sketch, teams, gates, reduces=True)


def all_gather(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Send one's own run of the blocks to each."""
    return _deal(sketch, teams, gates, reduces=False)


def _deal(sketch: Sketch, teams: Teams, gates: Gate, *, reduces: bool) -> Done:
    """Rows between each rank and the owner of each run, towards the owner where it `reduces`, else from him."""
    rank, owner = _pairs(teams)
    source, target = (rank, owner) if reduces else (owner, rank)
    columns = {k: np.asarray(v)[..., None] for k, v in teams.columns().items()}
    run = np.arange(teams.size) * teams.width
    rows = sketch.send(source, target, **columns, first=run, span=teams.width, reduces=teams.chunks * reduces)
    wait_at(sketch, rows, source, gates)
    return done(target, rows)


def one_shot(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Send everything to everyone; each adds up once all is there and his own is out."""
    one, other = _pairs(teams)
    columns = {k: np.asarray(v)[..., None] for k, v in teams.columns().items()}
    rows = sketch.send(one, other, **columns, span=teams.blocks, reduces=teams.chunks, parked=True)
    wait_at(sketch, rows, one, gates)
    sums = gate(sketch, done(np.concatenate([one, other]), np.concatenate([rows, rows])), teams.chunks)
    ranks = np.unique(teams.members)
    return done(ranks, sums[ranks])


#: Source: HCCL's "mesh", 2α + 2n/p·β on p − 1 links of its own (mirror-cann/hccl, coll_algo_intro).
TWO_SHOT = Family(both(reduce_scatter, all_gather), lambda size: size, reduce_scatter, all_gather)
ONE_SHOT = Family(one_shot, lambda size: 1)
