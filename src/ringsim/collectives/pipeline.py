"""HCCL's Pipeline: a ring between nodes and a mesh inside them, both at work at the same time on different blocks.

Every card owns a block, and a ring of cards of the same rail goes from node to node. While a card passes on the block that
came in the last step, it hands the same block to the others of its own node; in the other half it collects the next block
from them. So both networks work in all steps but one, where a plain hierarchy leaves one of them idle.

A card goes in lockstep: it begins a step when all that it sent and was sent in the last has arrived. That is what HCCL's
formula charges, a whole transfer with its latency for each step.
"""

import numpy as np

from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Done, Gate, done, gate, wait_at
from ringsim.schedule import Schedule
from ringsim.topology import Topology


def _half(sketch: Sketch, topology: Topology, chunks: int, gates: Gate, *, reduces: bool) -> Done:
    """Go round once: `nodes` steps inside, `nodes` − 1 between, each of `chunks` firings.

    Block ``node * parts + part`` is that node's in the end. Adding up, the node before it in the ring comes last, so a node
    begins with the block of the one behind it: collects it inside in the step before it is sent on, and its own at the end.
    Handing out, it begins with its own, and spreads inside in a step what came in the step before.
    """
    nodes, parts = topology.nodes, topology.group
    rank, nth = np.arange(topology.cards), np.arange(parts)
    sizes = np.full(nodes, parts)
    sizes[-1] = topology.last_group
    steps, late = nodes * chunks, chunks * reduces

    # The n-th card of a node owns part n, and every part a whole number of the node's sizes further on.
    node, size = rank // parts, sizes[rank // parts]
    mate = np.where(nth[:, None] < size, node * parts + nth[:, None], rank)
    columns = {"stride": -parts, "modulus": nodes * parts, "inner": chunks}
    sender, receiver = (rank, mate) if reduces else (mate, rank)
    inside = sketch.send(
        sender, receiver, **columns, count=steps, reduces=steps * reduces,
        first=(node - reduces) * parts + nth[:, None], span=-(-(parts - nth[:, None]) // size), pitch=size,
    )  # fmt: skip

    here = np.arange(nodes)[:, None]
    owner = here * parts + nth % sizes[:, None]
    ahead = np.roll(owner, -1, axis=0)
    between = sketch.send(
        owner, ahead, **columns, count=steps - chunks, reduces=(steps - chunks) * reduces,
        first=(here - reduces) * parts + nth,
    )  # fmt: skip

    lockstep = sketch.join(rank, steps)
    for at in (sender, receiver):
        sketch.wait(lockstep[at], inside)
    for at in (owner, ahead):
        sketch.wait(lockstep[at], between, late)
    sketch.wait(inside, lockstep[sender], chunks)
    sketch.wait(between, lockstep[owner], chunks - late)
    wait_at(sketch, inside, sender, gates)
    wait_at(sketch, between, owner, gates)
    return done(rank, lockstep, chunks - steps)


def pipeline(topology: Topology, chunks: int) -> Schedule:
    """All-reduce: a reduce-scatter and an all-gather over all cards, each as a pipeline between and inside nodes.

    Parameters
    ----------
    topology : Topology
        A last node with fewer cards deals several parts to each of them.
    chunks : int
        Pieces of a block that travel on their own.

    Notes
    -----
    On a full mesh it takes 2·(max(S/p·β_inter + α_inter, S/p·β_intra + α_intra)·(nodes − 1) + S/p·β_intra + α_intra).
    Source: mirror-cann/hccl, coll_algo_intro/Pipeline.md.
    """
    sketch = Sketch(topology.cards, topology.nodes * topology.group * chunks)
    gates = gate(sketch, _half(sketch, topology, chunks, None, reduces=True), chunks)
    _half(sketch, topology, chunks, gates, reduces=False)
    return sketch.schedule()
