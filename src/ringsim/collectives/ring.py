"""Ring all-reduce: a reduce-scatter and an all-gather that follow each other round the ring, on every ring at once."""

import numpy as np

from ringsim.collectives import layout
from ringsim.schedule import Schedule, dependencies
from ringsim.topology import Topology


def ring(topology: Topology, channels: int, slices: int) -> Schedule:
    """Lay `channels` rings over the cluster, each reducing its share of the vector.

    A ring of *p* ranks cuts its share into *p* chunks of `slices` slices. Each connection fires 2(p−1)·slices times;
    slice *q* follows slice *q − slices* of the connection before it. The first half reduces, the second copies.
    Source: P. Patarasu, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009.

    Parameters
    ----------
    topology : Topology
    channels : int
        Rings, between 1 and `layout.most_rings`.
    slices : int
        Pieces of a chunk that travel on their own, at least 1.
    """
    p = topology.cards
    orders = layout.ring_orders(topology, channels)
    position = np.tile(np.arange(p), channels)
    ring_of = np.repeat(np.arange(channels), p)
    rows = channels * p
    before = ring_of * p + (position - 1) % p
    phase = np.full(rows, (p - 1) * slices)
    offsets, dep_row, dep_lag = dependencies(rows, np.arange(rows), before, np.full(rows, slices))
    return Schedule(
        ranks=p,
        units=rows * slices,
        source=orders.ravel(),
        target=np.roll(orders, -1, axis=1).ravel(),
        channel=ring_of,
        count=2 * phase,
        reduces=phase,
        base=ring_of * p * slices,
        first=position,
        stride=np.full(rows, -1),
        modulus=np.full(rows, p),
        inner=np.full(rows, slices),
        dep_offsets=offsets,
        dep_row=dep_row,
        dep_lag=dep_lag,
    )
