"""What no algorithm can beat on a given cluster, so that a result can say how far from the limit it is.

Two arguments. A set of cards that holds a part of the vector alone must let it out and let the sum in. And if the cards
fall into *k* groups, the sum of each of the S bytes has to be assembled somewhere from *k* groups and brought back to
all of them: no fewer than 2(k−1) crossings between groups, like calls in one-way gossip, which the groups' ways out
carry together. (With k = cards that is the familiar 2(p−1)/p·S/B of R. Rabenseifner, 2004.)
"""

import numpy as np

from ringsim.topology import CARD_NIC, LEAF_SPINE, NIC_LEAF, Topology

#: Cards of a node that are looked at; on a switch, the only large node, all are equally far.
MOST_TARGETS = 4096


def lower_bound(topology: Topology, payload: float, startup: float) -> float:
    """Seconds that an all-reduce takes at least, at the links' effective rates.

    Parameters
    ----------
    topology : Topology
    payload : float
        Bytes of the vector on each rank.
    startup : float
        Seconds that pass before anything moves.
    """
    return startup + max(_latency(topology), payload * _slowest_cut(topology))


def _slowest_cut(topology: Topology) -> float:
    """Seconds for each byte of the vector at the slowest cut."""
    rate = topology.bandwidth
    out, source = np.zeros(topology.cards), topology.ends()[0]
    inside = source < topology.cards
    scale_up = inside & (topology.kind < CARD_NIC)
    out += np.bincount(source[scale_up], weights=rate[scale_up], minlength=topology.cards)
    if topology.nodes == 1:
        return _crossings(out)
    nic = np.minimum(
        rate[topology.first_link[CARD_NIC] :][: topology.cards],
        rate[topology.first_link[NIC_LEAF] :][: topology.cards],
    )
    node = np.arange(topology.cards) // topology.group
    cuts = [_crossings(out + nic), _crossings(np.bincount(node, weights=nic))]
    if topology.pods > 1 and topology.railed:
        leaf = np.arange(topology.leaves)
        trunks = rate[topology.first_link[LEAF_SPINE] : topology.first_link[LEAF_SPINE + 1]]
        up = trunks.reshape(topology.leaves, topology.trunks).sum(axis=1)
        pod_up = np.bincount(leaf // topology.group, weights=up)
        pod_nics = np.bincount(node // topology.ports[0], weights=nic)
        cuts.append(_crossings(np.minimum(pod_up, pod_nics)))
    return max(cuts)


def _crossings(out: np.ndarray) -> float:
    """Seconds per byte for groups whose ways out carry `out` bytes/s, shape ``[groups]``. Ways in are the same here."""
    return max(2 * (len(out) - 1) / float(out.sum()), 1 / float(out.min()))


def _latency(topology: Topology) -> float:
    """Seconds that news from some card takes to some other, whichever way it goes.

    Between nodes that is two NICs and a leaf, on whatever rail, and two more switches where rails end at a pod; a relay in
    a third node only adds to it. Inside a node it is the way to the card farthest from rank 0.
    """
    nic, network = topology.fabric.nic, topology.fabric.network
    if topology.nodes > 1:
        switches = 3 if topology.railed and topology.pods > 1 else 1
        return 2 * nic.latency + switches * network.switch_latency
    target = np.arange(1, min(topology.cards, MOST_TARGETS))
    offsets, links = topology.routes(np.zeros_like(target), target, np.zeros_like(target))
    row = np.repeat(np.arange(len(target)), np.diff(offsets))
    return float(np.bincount(row, weights=topology.latency[links]).max())
