"""Double binary tree all-reduce as NCCL does it: two trees between servers, chains inside them, chunks in a pipeline."""

import numpy as np
from numpy.typing import NDArray

from ringsim.collectives import layout
from ringsim.collectives.sketch import Sketch
from ringsim.schedule import Schedule
from ringsim.topology import Topology

Ints = NDArray[np.int64]


def parents(topology: Topology, channels: int) -> Ints:
    """Parent card of every card in every tree, −1 at a root, shape ``[trees, cards]``.

    Each channel has two trees where there is more than one server and one chain where there is one.
    """
    chains = layout.chains(topology, channels)
    size = topology.server_size
    servers = -(-topology.cards // size)
    slot = np.arange(topology.cards)
    heads = np.arange(servers) * size
    found = []
    for chain in chains:
        for between in layout.double_binary_tree(servers) if servers > 1 else [np.array([-1])]:
            parent = np.empty(topology.cards, np.int64)
            parent[chain[1:]] = chain[:-1]
            above = np.where(between < 0, -1, chain[heads[between]])
            parent[chain[slot % size == 0]] = above
            found.append(parent)
    return np.stack(found)


def tree(topology: Topology, channels: int, chunks: int) -> Schedule:
    """Reduce towards the root and copy back down, chunk after chunk, on every tree at once.

    Rows come in pairs for every card but the root: up to its parent, and down to it. A card sends chunk *q* up when
    every child has delivered it; the root turns each complete chunk round at once.

    Parameters
    ----------
    topology : Topology
    channels : int
        Chains side by side, between 1 and `layout.most_chains`; each carries two trees, so each tree an equal share.
    chunks : int
        Pieces of a tree's share, at least 1.
    """
    parent = parents(topology, channels)
    count, cards = parent.shape
    t, child = np.nonzero(parent >= 0)
    above = parent[t, child]
    # The edges above a card, to find what it passes on; −1 where the parent is the root.
    edge_of = np.full(parent.shape, -1)
    edge_of[t, child] = np.arange(len(child))
    higher = edge_of[t, above]
    inner, top = np.flatnonzero(higher >= 0), np.flatnonzero(higher < 0)
    turn_from, turn_to = _pairs(t[top], top)

    sketch = Sketch(cards, count * chunks, channels=count)
    pairs = np.stack([child, above], axis=1)
    rows = sketch.send(
        pairs, pairs[:, ::-1], channel=t[:, None], count=chunks, reduces=np.array([chunks, 0]),
        base=t[:, None] * chunks, stride=1, modulus=chunks,
    )  # fmt: skip
    up, down = rows.T
    sketch.wait(up[higher[inner]], up[inner])
    sketch.wait(down[inner], down[higher[inner]])
    sketch.wait(down[turn_to], up[turn_from])
    return sketch.schedule()


def _pairs(tree_of: Ints, edges: Ints) -> tuple[Ints, Ints]:
    """Every (from, to) pair among edges of one tree: what comes up any of the root's edges goes down all of them."""
    found = [np.meshgrid(edges[tree_of == t], edges[tree_of == t]) for t in np.unique(tree_of)]
    return np.concatenate([a.ravel() for a, _ in found]), np.concatenate([b.ravel() for _, b in found])


def trees(topology: Topology, channels: int) -> int:
    """Two for each channel where there is more than one server."""
    return channels * (2 if topology.cards > topology.server_size else 1)


def depth(topology: Topology) -> int:
    """Longest way from a card up to the root, in hops."""
    size = topology.server_size
    servers = -(-topology.cards // size)
    between = max(servers - 1, 0).bit_length()
    return between + size - 1
