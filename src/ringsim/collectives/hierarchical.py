"""Reduce-scatter in the node, any all-reduce across nodes, all-gather in the node, a pipeline over chunks.

Each card takes its part of the vector across, so all NICs work at once and none carries more than its share. HCCL does
this always; which algorithm goes across is what HCCL_ALGO's ``level1`` says.
"""

import numpy as np

from ringsim.collectives.direct import TWO_SHOT
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Family, Teams, gate
from ringsim.schedule import Schedule
from ringsim.topology import Topology


def hierarchical(topology: Topology, chunks: int, across: Family, inside: Family = TWO_SHOT) -> Schedule:
    """All-reduce a node at a time, `inside` the nodes and `across` between.

    The vector has as many parts as a node has cards; a last node with fewer cards deals several parts to each.

    Parameters
    ----------
    topology : Topology
    chunks : int
        Pieces of a part that go through the three stages one behind the other.
    across, inside : Family
        What goes inside has both halves, and takes a rank twice in a team where the last node has fewer cards.
    """
    nodes, parts = topology.nodes, topology.group
    blocks = across.blocks(nodes)
    sketch = Sketch(topology.cards, parts * blocks * chunks)
    node, part = np.arange(nodes)[:, None], np.arange(parts)
    sizes = np.full((nodes, 1), parts)
    sizes[-1] = topology.last_group
    owner = node * parts + part % sizes
    none = np.zeros(nodes, np.int64)
    within = Teams(owner, none, parts * blocks, chunks, none)
    between = Teams(owner.T, part * blocks * chunks, blocks, chunks, 0 * part)

    assert inside.reduce_scatter
    assert inside.all_gather
    gates = gate(sketch, inside.reduce_scatter(sketch, within, None), chunks)
    gates = gate(sketch, across.all_reduce(sketch, between, gates), chunks, gates)
    inside.all_gather(sketch, within, gates)
    return sketch.schedule()
