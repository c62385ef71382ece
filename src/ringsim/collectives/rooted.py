"""Broadcast and reduce: rank 0 has, or gets, what all others get, or have. Each is the other with all arrows turned round.

On *trees* (P. Sanders, J. Speck, J. L. Träff, 2009): the root hands one half of the vector to each of two binary trees over
the other servers, in which whoever is inner in one is a leaf of the other; chains lead through each server. Along
*rings*, as NCCL does it: the ring without the hop that comes back to the root. And in *two halves* (R. van de Geijn): the
vector is dealt out and then gathered round the rings, or the other way round.
"""

import numpy as np

from ringsim.collectives import layout
from ringsim.collectives.ring import all_gather, reduce_scatter, rings
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import done, gate, wait_at
from ringsim.schedule import EVERYONE, Ints, Schedule
from ringsim.topology import Topology

ROOT = 0


def _sketch(topology: Topology, units: int, channels: int, *, reduces: bool) -> Sketch:
    ends = {"ends": ROOT, "begins": EVERYONE} if reduces else {"begins": ROOT, "ends": EVERYONE}
    return Sketch(topology.cards, units, channels=channels, **ends)


def parents(topology: Topology, channels: int) -> Ints:
    """Parent card of every card in every tree, −1 at the root, shape ``[trees, cards]``.

    Each channel has two trees where there is more than one server besides the root's.
    """
    chains, size, cards = layout.chains(topology, channels), topology.server_size, topology.cards
    slot = np.arange(cards)
    servers = -(-cards // size)
    # The root's server feeds both trees of the others.
    others = [np.where(tree < 0, 0, tree + 1) for tree in layout.double_binary_tree(max(servers - 1, 1))]
    found = []
    for chain in chains:
        for between in others if servers > 2 else others[:1]:
            parent = np.empty(cards, np.int64)
            parent[chain[1:]] = chain[:-1]
            parent[chain[slot % size == 0]] = np.concatenate([[-1], chain[between[: servers - 1] * size]])
            found.append(parent)
    return _rooted(np.stack(found))


def _rooted(parent: Ints) -> Ints:
    """The same trees hung up by rank 0: hops on the way from there to where they hung are turned round."""
    parent = parent.copy()
    tree = np.arange(len(parent))
    here, below = np.full(len(parent), ROOT), np.full(len(parent), -1)
    while len(tree):
        above = parent[tree, here]
        parent[tree, here] = below
        on = above >= 0
        tree, here, below = tree[on], above[on], here[on]
    return parent


def trees(topology: Topology, channels: int) -> int:
    """Two for each channel where there are more than two servers."""
    return channels * (2 if topology.cards > 2 * topology.server_size else 1)


def over_trees(topology: Topology, channels: int, chunks: int, *, reduces: bool) -> Schedule:
    """Down the trees from the root, or up to it and adding, chunk after chunk.

    Parameters
    ----------
    topology : Topology
    channels : int
        Chains side by side, between 1 and `layout.most_chains`.
    chunks : int
        Pieces of a tree's share, at least 1.
    reduces : bool
        Reduce instead of broadcast.
    """
    parent = parents(topology, channels)
    tree, child = np.nonzero(parent >= 0)
    above = parent[tree, child]
    sketch = _sketch(topology, len(parent) * chunks, len(parent), reduces=reduces)
    source, target = (child, above) if reduces else (above, child)
    rows = sketch.send(
        source,
        target,
        channel=tree,
        base=tree * chunks,
        modulus=chunks,
        stride=1,
        count=chunks,
        reduces=chunks * reduces,
    )
    edge_of = np.full(parent.shape, -1)
    edge_of[tree, child] = rows
    higher = edge_of[tree, above]
    sketch.wait(*((higher, rows) if reduces else (rows, higher)))
    return sketch.schedule()


def depth(topology: Topology) -> int:
    """Longest way from the root, in hops, or a little more."""
    size = topology.server_size
    return max(-(-topology.cards // size) - 2, 0).bit_length() + 2 * size


def _from_root(orders: Ints) -> Ints:
    """Rings as they leave the root, shape as it is."""
    return np.stack([np.roll(order, -int(np.argmax(order == ROOT))) for order in orders])


def over_rings(topology: Topology, channels: int, chunks: int, *, reduces: bool) -> Schedule:
    """Along every ring from the root to the one behind it, or from the one ahead of it to the root and adding.

    Parameters
    ----------
    topology : Topology
    channels : int
        Rings, between 1 and `layout.most_rings`.
    chunks : int
        Pieces of a ring's share, at least 1.
    reduces : bool
        Reduce instead of broadcast.
    """
    orders = _from_root(layout.ring_orders(topology, channels))
    if reduces:
        orders = np.roll(orders, -1, axis=1)
    channel = np.arange(channels)[:, None]
    sketch = _sketch(topology, channels * chunks, channels, reduces=reduces)
    rows = sketch.send(
        orders[:, :-1], orders[:, 1:],
        channel=channel, base=channel * chunks, modulus=chunks, stride=1, count=chunks, reduces=chunks * reduces,
    )  # fmt: skip
    sketch.wait(rows[:, 1:], rows[:, :-1])
    return sketch.schedule()


def in_two_halves(topology: Topology, channels: int, slices: int, *, reduces: bool) -> Schedule:
    """Deal out and gather round the rings, or scatter sums round the rings and collect them.

    Parameters
    ----------
    topology : Topology
    channels : int
        Rings, between 1 and `layout.most_rings`.
    slices : int
        Pieces of a block that travel on their own, at least 1.
    reduces : bool
        Reduce instead of broadcast.
    """
    teams = rings(topology, channels, slices)
    sketch = _sketch(topology, channels * topology.cards * slices, channels, reduces=reduces)
    owner = teams.members
    columns = teams.columns() | {"first": np.arange(teams.size)}
    if reduces:
        gates = gate(sketch, reduce_scatter(sketch, teams, None), slices)
        wait_at(sketch, sketch.send(owner, np.array(ROOT), **columns), owner, gates)
    else:
        dealt = sketch.send(np.array(ROOT), owner, **columns)
        all_gather(sketch, teams, gate(sketch, done(owner, dealt), slices))
    return sketch.schedule()
