"""Rings in pairs, each pair the same cards both ways round and half of its share of the vector each way.

A ring that goes one way uses each lane between neighbours in one direction only. Where a lane works in both, the other half
can go the other way: in a ring or a torus that doubles the bandwidth. Where the ways of a ring already use
every lane (a full mesh, cards on a switch) or NIC in both directions it changes nothing, and then there are half as many
pairs as there were rings.
"""

import numpy as np

from ringsim.collectives import hamilton, layout
from ringsim.collectives.ring import all_reduce
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Teams
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology
from ringsim.topology.kinds import LANE, LEAF_NIC


def _ways(topology: Topology) -> Ints:
    """Rings to choose from, shape ``[rings, cards]``."""
    if topology.nodes == 1 and topology.scale_up_kind == "full-mesh" and topology.cards > 2:
        return np.array(hamilton.mesh_circuits(topology.cards), np.int64)
    return layout.ring_orders(topology, layout.most_rings(topology))


def orders(topology: Topology) -> Ints:
    """Order of visit of the rings of which both directions fit, shape ``[pairs, cards]``.

    One after the other they are taken if they share no lane and no NIC with those before, whichever way round; the first
    always. On a single switch, where all share the ways to it, there are half as many as rings.
    """
    ways = _ways(topology)
    taken, used = list[Ints](), np.zeros(topology.links, np.int64)
    own = (topology.kind >= LANE) & (topology.kind <= LEAF_NIC)
    for way in ways:
        ahead = np.roll(way, -1)
        ends = np.concatenate([way, ahead]), np.concatenate([ahead, way])
        _, links = topology.routes(*ends, np.zeros(2 * len(way), np.int64))
        here = np.bincount(links, minlength=topology.links)
        if not taken or ((used + here)[own] <= 1).all():
            taken.append(way)
            used += here
    return np.stack(taken if own.any() else taken[: max(1, len(taken) // 2)])


def most_pairs(topology: Topology) -> int:
    """Rings of which both directions can run beside each other without sharing a lane or a NIC."""
    return len(orders(topology))


def rows(topology: Topology, channels: int) -> int:
    """One for every card, ring and direction."""
    return 2 * channels * topology.cards


def bidirectional_ring(topology: Topology, channels: int, slices: int) -> Schedule:
    """Lay `channels` pairs of rings over the cluster.

    Parameters
    ----------
    topology : Topology
    channels : int
        Pairs, between 1 and `most_pairs`.
    slices : int
        Pieces of a chunk that travel on their own, at least 1.
    """
    p, each = topology.cards, np.arange(2 * channels)
    forwards = orders(topology)[:channels]
    both = np.concatenate([forwards, forwards[:, ::-1]])
    sketch = Sketch(p, 2 * channels * p * slices, channels=2 * channels)
    all_reduce(sketch, Teams(both, each * p * slices, p, slices, each), None)
    return sketch.schedule()
