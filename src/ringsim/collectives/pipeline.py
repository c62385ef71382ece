"""HCCL's Pipeline: a ring between nodes and a mesh inside them, both at work at the same time on different blocks.

Every card owns a block and every node is a step of the ring. While a card passes the block that came in the last step on to
the next node, it hands the same block to the other cards of its own node; in the other half it collects the next block from
them. So the slower of the two networks is never idle but for one step, where a plain hierarchy leaves one idle always.

A card takes its steps in lockstep: it begins the next when all it sent and all it was sent in the last has arrived. That is
what HCCL's formula charges, a whole transfer with its latency for each step.
"""

import numpy as np

from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Done, Gate, done, gate, wait_at
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology


def owners(topology: Topology) -> Ints:
    """Card that owns part *i* in each node, shape ``[nodes, parts]``: as many parts as a whole node has cards.

    A last node with fewer cards deals several parts to each.
    """
    sizes = np.full((topology.nodes, 1), topology.group)
    sizes[-1] = topology.last_group
    owner: Ints = np.arange(topology.nodes)[:, None] * topology.group + np.arange(topology.group) % sizes
    return owner


def _half(sketch: Sketch, topology: Topology, chunks: int, gates: Gate, *, reduces: bool) -> Done:
    """Go round once, `nodes` steps inside and `nodes` − 1 between.

    Block ``node * parts + part`` goes round the ring from node to node. Adding up, a node collects what its cards have of a
    block in the step before it sends it on, and its own block is the last; handing out, it spreads a block in the step after
    it came in, and its own is the first.
    """
    nodes, parts, cards = topology.nodes, topology.group, np.arange(topology.cards)
    steps, columns = nodes * chunks, {"stride": -parts, "modulus": nodes * parts, "inner": chunks}
    owner, node = owners(topology), np.arange(nodes)[:, None]

    # Between a card and each other of its node, for all parts that the other owns.
    mate = cards // parts * parts + np.arange(parts)[:, None]
    size = np.where(cards // parts == nodes - 1, topology.last_group, parts)
    mate = np.where((mate - cards // parts * parts) < size, mate, cards)
    part = mate % parts
    first = (cards // parts - reduces) * parts + part
    inside = _by_span(
        sketch, (cards, mate) if reduces else (mate, cards), -(-(parts - part) // size),
        **columns, first=first, pitch=size, count=steps, reduces=steps * reduces,
    )  # fmt: skip
    between = sketch.send(
        owner, np.roll(owner, -1, axis=0), **columns,
        first=(node - reduces) * parts + np.arange(parts), count=steps - chunks, reduces=(steps - chunks) * reduces,
    )  # fmt: skip
    ahead = np.roll(owner, -1, axis=0)
    ends = [(cards, inside), (mate, inside), (owner, between), (ahead, between)]

    # In an all-gather the first step of the ring goes with the first inside, in a reduce-scatter with the second.
    late = chunks * reduces
    lockstep = np.full(topology.cards, -1)
    lockstep[cards] = sketch.join(cards, steps)
    for (rank, rows), lag in zip(ends, (0, 0, late, late), strict=True):
        sketch.wait(lockstep[rank], rows, lag)
    sources = cards if reduces else mate
    sketch.wait(inside, lockstep[sources], chunks)
    sketch.wait(between, lockstep[owner], chunks - late)
    wait_at(sketch, inside, sources, gates)
    wait_at(sketch, between, owner, gates)
    return done(cards, lockstep, chunks - steps)
