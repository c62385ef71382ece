"""HCCL's AHC (Asymmetric Hierarchical Concatenate): a hierarchy over nodes that need not be of one size.

The plain hierarchy cuts the vector into as many parts as a whole node has cards, so in a smaller node some cards carry two.
Here every node cuts it evenly among its own cards. Where the cuts of all nodes are drawn into one vector it falls into
pieces, and each piece has one owner in each node, "logically the same card" in HCCL's words. The owners of a piece reduce
it across nodes. With nodes of one size the pieces are the cards' own and it is the plain hierarchy.
"""

from math import gcd, lcm

import numpy as np

from ringsim.collectives import direct
from ringsim.collectives.exchange import together
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Family, Teams, gate
from ringsim.schedule import Schedule
from ringsim.topology import Topology


def shares(topology: Topology) -> int:
    """Pieces of the vector, each with one owner in every node."""
    most, last = topology.group, topology.last_group
    return most + last - gcd(most, last)


def widest(topology: Topology) -> int:
    """Equal parts of the vector in the widest piece, which are as narrow as it takes for all pieces to be whole numbers."""
    return lcm(topology.group, topology.last_group) // topology.group


def ahc(topology: Topology, chunks: int, across: Family) -> Schedule:
    """All-reduce a node at a time, direct inside, `across` between the owners of each piece.

    Parameters
    ----------
    topology : Topology
    chunks : int
        Pieces of a card's share that go through the three stages one behind the other.
    across : Family
        HCCL chooses among NB, NHR and ring, and states its cost for NB.
    """
    nodes, most, last = topology.nodes, topology.group, topology.last_group
    parts, blocks = lcm(most, last), across.blocks(nodes)
    sketch = Sketch(topology.cards, parts * blocks * chunks)
    rank, whole = np.arange(topology.cards), (nodes - (last < most)) * most
    inside = [
        Teams(members, 0 * members[:, 0], parts * blocks, chunks, 0 * members[:, 0])
        for members in (rank[:whole].reshape(-1, most), rank[whole:].reshape(-1, last))
        if len(members)
    ]
    # Where the cuts of the nodes fall, in parts of the vector; one team for each piece, those of one width together.
    cuts = np.unique(np.concatenate([np.arange(size + 1) * (parts // size) for size in (most, last)]))
    widths, sizes = np.diff(cuts), np.full(nodes, most)
    sizes[-1] = last
    outside = []
    for width in np.unique(widths):
        which = np.flatnonzero(widths == width)
        begin = cuts[which]
        owner = np.arange(nodes) * most + begin[:, None] * sizes // parts
        # Two cards may own several pieces together: channels keep them apart.
        outside.append(Teams(owner, begin * blocks * chunks, blocks * int(width), chunks, which))

    gates = gate(sketch, together([direct.reduce_scatter(sketch, team, None) for team in inside]), chunks)
    summed = together([across.all_reduce(sketch, team, gates) for team in outside])
    gates = gate(sketch, summed, chunks, gates)
    for team in inside:
        direct.all_gather(sketch, team, gates)
    return sketch.schedule()
