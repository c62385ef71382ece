"""Reduce-scatter in the node, any all-reduce across nodes, all-gather in the node, a pipeline over chunks.

Each card takes its part of the vector across, so all NICs work at once and none carries more than its share. HCCL does
this always; which algorithm goes across is what HCCL_ALGO's ``level1`` says.
"""

import numpy as np

from ringsim.collectives import direct
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Family, Teams, gate
from ringsim.schedule import Schedule
from ringsim.topology import Topology


def hierarchical(topology: Topology, chunks: int, across: Family) -> Schedule:
    """All-reduce a node at a time, direct inside, `across` between.

    The vector has as many parts as a node has cards; a last node with fewer cards deals several parts to each.

    Parameters
    ----------
    topology : Topology
    chunks : int
        Pieces of a part that go through the three stages one behind the other.
    across : Family
    """
    nodes, parts = topology.nodes, topology.group
    blocks = across.blocks(nodes)
    sketch = Sketch(topology.cards, parts * blocks * chunks)
    node, part = np.arange(nodes)[:, None], np.arange(parts)
    sizes = np.full((nodes, 1), parts)
    sizes[-1] = topology.last_group
    owner = node * parts + part % sizes
    none = np.zeros(nodes, np.int64)
    inside = Teams(owner, none, parts * blocks, chunks, none)
    outside = Teams(owner.T, part * blocks * chunks, blocks, chunks, 0 * part)

    gates = gate(sketch, direct.reduce_scatter(sketch, inside, None), chunks)
    gates = gate(sketch, across.all_reduce(sketch, outside, gates), chunks, gates)
    direct.all_gather(sketch, inside, gates)
    return sketch.schedule()
