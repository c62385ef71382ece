"""Double binary tree all-reduce as NCCL does it: two trees between servers, chains inside them, chunks in a pipeline."""

import numpy as np
from numpy.typing import NDArray

from ringsim.collectives import layout
from ringsim.schedule import Schedule, dependencies
from ringsim.topology import Topology

Ints = NDArray[np.int64]


def parents(topology: Topology, channels: int) -> Ints:
    """Parent card of every card in every tree, −1 at a root, shape ``[trees, cards]``.

    Each channel has two trees where there is more than one server and one chain where there is one.
    """
    chains = layout.chains(topology, channels)
    size = layout.server_size(topology)
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
    edges = len(child)
    # Row 2e goes up edge e, row 2e + 1 down; edge_of finds the edge above a card.
    edge_of = np.full(parent.shape, -1)
    edge_of[t, child] = np.arange(edges)
    higher = edge_of[t, above]  # the edge above the parent, −1 where the parent is the root
    inner, top = np.flatnonzero(higher >= 0), np.flatnonzero(higher < 0)
    turn_from, turn_to = _pairs(t[top], top)
    waiting = np.concatenate([2 * higher[inner], 2 * inner + 1, 2 * turn_to + 1])
    on = np.concatenate([2 * inner, 2 * higher[inner] + 1, 2 * turn_from])
    offsets, dep_row, dep_lag = dependencies(2 * edges, waiting, on, np.zeros(len(on), np.int64))

    def both(up: Ints, down: Ints) -> Ints:
        return np.stack([up, down], axis=1).ravel()

    whole, none = np.full(edges, chunks), np.zeros(edges, np.int64)
    return Schedule(
        ranks=cards,
        units=count * chunks,
        source=both(child, above),
        target=both(above, child),
        channel=both(t, t),
        count=both(whole, whole),
        reduces=both(whole, none),
        base=both(t * chunks, t * chunks),
        first=both(none, none),
        stride=both(none + 1, none + 1),
        modulus=both(whole, whole),
        inner=both(none + 1, none + 1),
        dep_offsets=offsets,
        dep_row=dep_row,
        dep_lag=dep_lag,
    )


def _pairs(tree_of: Ints, edges: Ints) -> tuple[Ints, Ints]:
    """Every (from, to) pair among edges of one tree: what comes up any of the root's edges goes down all of them."""
    found = [np.meshgrid(edges[tree_of == t], edges[tree_of == t]) for t in np.unique(tree_of)]
    return np.concatenate([a.ravel() for a, _ in found]), np.concatenate([b.ravel() for _, b in found])


def trees(topology: Topology, channels: int) -> int:
    """Two for each channel where there is more than one server."""
    return channels * (2 if topology.cards > layout.server_size(topology) else 1)


def depth(topology: Topology) -> int:
    """Longest way from a card up to the root, in hops."""
    size = layout.server_size(topology)
    servers = -(-topology.cards // size)
    between = max(servers - 1, 0).bit_length()
    return between + size - 1
