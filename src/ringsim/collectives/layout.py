"""Where rings and trees lie on a cluster: which card follows which.

The rule for rings across nodes is the one that keeps rails apart: ring *r* walks the even nodes along path *r* and the
odd nodes along the same path backwards, so it leaves every node by the rail on which it enters the next, and no
spine is crossed for changing rails. With an odd number of nodes the ring closes on one hop that does change rail.
"""

import numpy as np
from numpy.typing import NDArray

from ringsim.collectives import hamilton
from ringsim.topology import Topology

Ints = NDArray[np.int64]


def _ways(topology: Topology, cards: int, *, closed: bool) -> tuple[hamilton.Path, ...]:
    """Ways through one node of `cards` cards that share no lane: paths, or cycles where the node is the cluster."""
    kind = topology.scale_up_kind
    if kind == "switch":
        return hamilton.rotations(cards)
    if kind == "full-mesh":
        return hamilton.mesh_cycles(cards) if closed else hamilton.mesh_paths(cards)
    shape = topology.shape if cards == topology.group else (cards,)
    return hamilton.snake_cycles(shape) if closed else hamilton.snake(shape)


def most_rings(topology: Topology) -> int:
    """Rings that can run beside each other without sharing a lane, a NIC or, on a switch, a rail.

    The smallest node decides: a last node with a single card carries a single ring.
    """
    if topology.scale_up_kind == "switch":
        return min(topology.server_size, topology.last_group)
    if topology.nodes == 1:
        return len(_ways(topology, topology.cards, closed=True))
    sizes = {topology.group, topology.last_group}
    return min(len(_ways(topology, size, closed=False)) for size in sizes)


def most_chains(topology: Topology) -> int:
    """Chains that can run beside each other through every server, each beginning on a card of its own."""
    size = topology.server_size
    sizes = {size, topology.cards % size or size}
    return min(len(_ways(topology, cards, closed=False)) for cards in sizes)


def ring_orders(topology: Topology, channels: int) -> Ints:
    """Order of visit of each ring, shape ``[channels, cards]``."""
    if topology.nodes > 1:
        return _along(topology, channels, topology.group, alternate=True)
    if topology.scale_up_kind == "switch":
        everyone = np.arange(topology.cards)
        return (everyone + np.arange(channels)[:, None]) % topology.cards
    return np.array(_ways(topology, topology.cards, closed=True)[:channels], np.int64)


def chains(topology: Topology, channels: int) -> Ints:
    """Order of the cards along each channel's chain, server after server, shape ``[channels, cards]``.

    A chain's first card is where the tree between servers attaches. Chain *r* begins on the card of rail *r* on a switch
    and in a full mesh of even size; elsewhere, and in a last server of another size, on a card of its own.
    """
    return _along(topology, channels, topology.server_size, alternate=False)


def _along(topology: Topology, channels: int, size: int, *, alternate: bool) -> Ints:
    cards = topology.cards
    whole = cards // size
    orders = np.empty((channels, cards), np.int64)
    for cards_here, first, count in ((size, 0, whole), (cards % size, whole * size, 1)):
        if cards_here and count:
            paths = np.array(_ways(topology, cards_here, closed=False)[:channels], np.int64)
            base = first + size * np.arange(count)
            block = base[None, :, None] + paths[:, None, :]
            if alternate:
                odd = (base // size) % 2 == 1
                block[:, odd] = block[:, odd, ::-1]
            orders[:, first : first + cards_here * count] = block.reshape(channels, -1)
    return orders


def double_binary_tree(servers: int) -> Ints:
    """Parents in NCCL's two complementary binary trees, shape ``[2, servers]``, −1 at a root.

    In the first, a server's lowest set bit is its height; every odd server is a leaf. The second is the first mirrored
    (even number of servers) or shifted by one (odd). With an even number whoever is inner in one is a leaf in the
    other; with an odd one that holds for all but server 0.
    Source: P. Sanders, J. Speck, J. L. Träff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan",
    2009; the shape is that of NCCL 2.4 and later.
    """
    server = np.arange(servers)
    low = server & -server
    up = (server ^ low) | (low << 1)
    parent = np.where(up < servers, up, server ^ low)
    parent[0] = -1
    if servers % 2:
        moved = parent[(server - 1) % servers]
        second = np.where(moved < 0, -1, (moved + 1) % servers)
    else:
        moved = parent[::-1]
        second = np.where(moved < 0, -1, servers - 1 - moved)
    return np.stack([parent, second])
