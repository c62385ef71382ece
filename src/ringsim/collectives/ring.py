"""Rings: a reduce-scatter and an all-gather that follow each other round the ring, on every ring at once."""

import numpy as np

from ringsim.collectives import layout
from ringsim.collectives.sketch import ALL, Sketch
from ringsim.collectives.teams import Done, Family, Gate, Teams, done, wait_at
from ringsim.schedule import Schedule
from ringsim.topology import Topology


def _round(sketch: Sketch, teams: Teams, gates: Gate, *, reduce: bool, gather: bool) -> Done:
    """Go round once for each of `reduce` and `gather`.

    Member *m* sends to *m* + 1. Chunk *c* of a step follows that of the step before on the connection before. A
    reduce-scatter begins with the block of the member behind, so that each ends with his own.
    """
    n, chunks, width = teams.size, teams.chunks, teams.width
    if n == 1:
        return done(np.zeros(0, np.int64), np.zeros(0, np.int64))
    steps = (reduce + gather) * (n - 1)
    ahead = np.roll(teams.members, -1, axis=1)
    rows = sketch.send(
        teams.members, ahead,
        **teams.columns() | {"count": steps * chunks, "first": (np.arange(n) - reduce) * width},
        reduces=reduce * (n - 1) * chunks, stride=-width, span=width,
    )  # fmt: skip
    sketch.wait(rows, np.roll(rows, 1, axis=1), chunks)
    wait_at(sketch, rows, teams.members, gates)
    return done(ahead, rows, -(steps - 1) * chunks)


def all_reduce(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Twice round."""
    return _round(sketch, teams, gates, reduce=True, gather=True)


def reduce_scatter(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Once round, adding."""
    return _round(sketch, teams, gates, reduce=True, gather=False)


def all_gather(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Once round, copying."""
    return _round(sketch, teams, gates, reduce=False, gather=True)


def _by_chunk(sketch: Sketch, teams: Teams, gates: Gate, *, gather: bool) -> Done:
    """Go round once, adding, and again if one is to `gather`, each chunk on a channel of its own.

    So a chunk need not wait at every step for the others of its block, and the stages before and after can overlap.
    """
    n, chunks, step = teams.size, teams.chunks, teams.width * teams.chunks
    if n == 1 or chunks == 1:
        return _round(sketch, teams, gates, reduce=True, gather=gather)
    chunk = np.arange(chunks)[:, None, None]
    members, ahead = np.broadcast_arrays(teams.members, np.roll(teams.members, -1, axis=1), chunk)[:2]
    rows = sketch.send(
        members, ahead, channel=teams.channel[:, None] * chunks + chunk, base=teams.base[:, None] + chunk,
        count=(1 + gather) * (n - 1), reduces=n - 1, first=(np.arange(n) - 1) * step, stride=-step, modulus=n * step,
        span=teams.width, pitch=chunks,
    )  # fmt: skip
    sketch.wait(rows, np.roll(rows, 1, axis=2), 1)
    if gates is not None:
        ready = sketch.join(members)
        sketch.wait(ready, gates[members], -chunk)
        sketch.wait(rows, ready)
    around = sketch.join(ahead)
    sketch.wait(around, rows, ALL)
    return done(ahead, around, chunk)


def all_reduce_by_chunk(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Twice round, chunk by chunk."""
    return _by_chunk(sketch, teams, gates, gather=True)


def reduce_scatter_by_chunk(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Once round, adding, chunk by chunk."""
    return _by_chunk(sketch, teams, gates, gather=False)


#: Source: P. Patarasu, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009.
RING = Family(all_reduce, lambda size: size, reduce_scatter, all_gather)
RING_BY_CHUNK = RING._replace(all_reduce=all_reduce_by_chunk, reduce_scatter=reduce_scatter_by_chunk)


def rings(topology: Topology, channels: int, slices: int) -> Teams:
    """Teams of everyone, one for each ring, each with its share of the vector."""
    p, each = topology.cards, np.arange(channels)
    return Teams(layout.ring_orders(topology, channels), each * p * slices, p, slices, each)


def ring(topology: Topology, channels: int, slices: int) -> Schedule:
    """Lay `channels` rings over the cluster, each reducing its share of the vector.

    A ring of *p* ranks cuts its share into *p* chunks of `slices` slices. Each connection fires 2(p−1)·slices times;
    slice *q* follows slice *q − slices* of the connection before it. The first half reduces, the second copies.

    Parameters
    ----------
    topology : Topology
    channels : int
        Rings, between 1 and `layout.most_rings`.
    slices : int
        Pieces of a chunk that travel on their own, at least 1.
    """
    teams = rings(topology, channels, slices)
    sketch = Sketch(topology.cards, channels * topology.cards * slices, channels=channels)
    all_reduce(sketch, teams, None)
    return sketch.schedule()
