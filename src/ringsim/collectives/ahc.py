"""HCCL's AHC (Asymmetric Hierarchical Concatenate): a hierarchy over nodes that need not be of one size.

The plain hierarchy cuts the vector into as many parts as a whole node has cards, so in a smaller node some cards carry two.
Here every node cuts it evenly among its own cards. Where the cuts of all nodes are drawn into one vector it falls into
pieces, and each piece has one owner in each node, "logically the same card" in HCCL's words. The owners of a piece reduce
it across nodes. With nodes of one size the pieces are the cards' own and it is the plain hierarchy.
"""

from math import gcd, lcm

import numpy as np

from ringsim.collectives import direct
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Done, Family, Teams, gate
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology


def _pieces(sizes: list[int]) -> tuple[int, Ints]:
    """Equal parts into which every node's cuts fall, and the part at which each piece begins, their number at the end."""
    parts = lcm(*sizes)
    return parts, np.unique(np.concatenate([np.arange(size + 1) * (parts // size) for size in sizes]))


def teams_across(topology: Topology) -> int:
    """Pieces of the vector, each with an owner in every node."""
    most, last = topology.group, topology.last_group
    return most + last - gcd(most, last)


def _together(*finished: Done) -> Done:
    return Done(*(np.concatenate(part) for part in zip(*finished, strict=True)))


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
    sizes = [most] * (nodes - 1) + [last]
    parts, cuts = _pieces([most, last])
    blocks = across.blocks(nodes)
    sketch = Sketch(topology.cards, parts * blocks * chunks)

    whole = np.arange(topology.cards - last).reshape(nodes - 1, most) if last < most else np.arange(0)
    rest = np.arange(topology.cards)[len(whole.ravel()) :]
    inside = [
        Teams(members, 0 * members[:, 0], parts * blocks, chunks, 0 * members[:, 0])
        for members in (whole.reshape(-1, most), rest.reshape(-1, last))
        if len(members)
    ]
    first = np.arange(nodes) * most
    begins, widths = cuts[:-1], np.diff(cuts)
    outside = []
    for width in np.unique(widths):
        begin = begins[widths == width]
        owner = first + begin[:, None] * np.array(sizes) // parts
        outside.append(Teams(owner, begin * blocks * chunks, blocks * int(width), chunks, 0 * begin))

    gates = gate(sketch, _together(*(direct.reduce_scatter(sketch, team, None) for team in inside)), chunks)
    summed = _together(*(across.all_reduce(sketch, team, gates) for team in outside))
    gates = gate(sketch, summed, chunks, gates)
    for team in inside:
        direct.all_gather(sketch, team, gates)
    return sketch.schedule()
