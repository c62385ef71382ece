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
    each = np.arange(len(parent))
    return up_and_down(parent, parent, np.stack([each, each], axis=1), chunks)


def up_and_down(up: Ints, down: Ints, channel: Ints, chunks: int) -> Schedule:
    """Reduce along one set of trees and copy along another, each tree with an equal share of the vector.

    Parameters
    ----------
    up, down : int arrays, shape ``[trees, cards]``
        Whom each card sends its sums to, and whom it gets the total from, −1 at the root, which must be the same card.
    channel : int array, shape ``[trees, 2]``
        Of the rows up and down. They must differ where a card may both send its sums and copy the total to the same card,
        for rows of one connection take turns.
    chunks : int
        Pieces of a tree's share, at least 1.
    """
    count, cards = up.shape
    t, child = np.nonzero(up >= 0)
    above, source = up[t, child], down[t, child]
    # The edges above a card, to find what it passes on; −1 where the parent is the root.
    edge_of = np.full(up.shape, -1)
    edge_of[t, child] = np.arange(len(child))
    higher, earlier = edge_of[t, above], edge_of[t, source]
    to_inner, from_inner = np.flatnonzero(higher >= 0), np.flatnonzero(earlier >= 0)
    turn_from, turn_to = _pairs(t, np.flatnonzero(higher < 0), np.flatnonzero(earlier < 0))

    sketch = Sketch(cards, count * chunks, channels=count)
    rows = sketch.send(
        np.stack([child, source], axis=1), np.stack([above, child], axis=1),
        channel=channel[t], count=chunks, reduces=np.array([chunks, 0]),
        base=t[:, None] * chunks, stride=1, modulus=chunks,
    )  # fmt: skip
    upwards, downwards = rows.T
    sketch.wait(upwards[higher[to_inner]], upwards[to_inner])
    sketch.wait(downwards[from_inner], downwards[earlier[from_inner]])
    sketch.wait(downwards[turn_to], upwards[turn_from])
    return sketch.schedule()


def _pairs(tree_of: Ints, up: Ints, down: Ints) -> tuple[Ints, Ints]:
    """Every (from, to) pair among edges of one tree: what comes up any of the root's edges goes down all of them."""
    found = [np.meshgrid(up[tree_of[up] == t], down[tree_of[down] == t]) for t in np.unique(tree_of)]
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
