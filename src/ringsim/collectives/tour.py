"""All-reduce on rings that are laid along the network, whatever ranks its cards have.

An ordinary ring visits ranks in their order, which on a graph may lead to and fro over the same thin cable. Here orders
are looked for (`touring`), as many as keep out of each other's way.
"""

from functools import lru_cache

import numpy as np

from ringsim.collectives.packing import Known, known
from ringsim.collectives.ring import all_reduce
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Teams
from ringsim.collectives.touring import Tours, toured
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology

#: Rings beside each other, except in a full mesh, where it is known how many there can be.
MOST_TOURS = 8

#: A further ring has to lower the time by this part.
WORTH = 0.01


@lru_cache(maxsize=64)
def _found(topology: Known) -> tuple[Tours, ...]:
    return tuple(toured(topology.topology, MOST_TOURS))


def _tours(topology: Topology) -> tuple[Tours, ...]:
    return _found(known(topology, "a tour"))


def tours(topology: Topology) -> int:
    """As few rings as take no longer than any number of them.

    Raises
    ------
    CollectiveError
        Where there are more cards than there is time to search for.
    """
    found = _tours(topology)
    least = min(some.seconds for some in found)
    return next(len(some.orders) for some in found if some.seconds <= least * (1 + WORTH))


def along(topology: Topology) -> Ints:
    """Cards in the order of the best single tour, shape ``[cards]``: where to put ranks that only know their numbers.

    Raises
    ------
    CollectiveError
        Where there are more cards than there is time to search for.
    """
    order: Ints = np.asarray(_tours(topology)[0].orders[0])
    return np.roll(order, -int(order.argmin()))


def tour_ring(topology: Topology, channels: int, slices: int) -> Schedule:
    """Lay `channels` rings along the network, each reducing its share of the vector.

    Parameters
    ----------
    topology : Topology
    channels : int
        Rings, between 1 and `tours`.
    slices : int
        Pieces of a chunk that travel on their own, at least 1.

    Raises
    ------
    CollectiveError
        Where there are more cards than there is time to search for.
    """
    p, each = topology.cards, np.arange(channels)
    orders = _tours(topology)[channels - 1].orders
    sketch = Sketch(p, channels * p * slices, channels=channels)
    all_reduce(sketch, Teams(orders, each * p * slices, p, slices, each), None)
    return sketch.schedule()
