"""Where a graph is thin: ways to divide its cards in two that leave little between the halves.

Any division is a valid cut, for bounds as for findings, so nothing here has to be exact, only good at finding thin
places. Two searches, each blind to what the other sees: the smallest cut of all (M. Stoer, F. Wagner, 1997) finds a
single thread, and a sweep along the slowest vibration of the graph (M. Fiedler, 1973) finds a waist.
"""

import numpy as np

from ringsim.topology.base import Topology
from ringsim.topology.kinds import Floats, Ints


def smallest_cuts(topology: Topology) -> list[Ints]:
    """Divisions of all vertices in two with cards on both sides, shape ``[vertices]`` each, 0 and 1."""
    rates = _both_ways(topology)
    found = [_stoer_wagner(rates), *_sweep(topology, rates)]
    cards = [side[: topology.cards] for side in found]
    return [side for side, own in zip(found, cards, strict=True) if own.min() < own.max()]


def _both_ways(topology: Topology) -> Floats:
    """Rate between any two vertices, the lesser of both directions' (or half of the only one's), in a matrix."""
    size = topology.vertices[-1]
    rates = np.zeros((size, size))
    np.add.at(rates, topology.ends(), topology.bandwidth)
    return np.where(np.minimum(rates, rates.T) > 0, np.minimum(rates, rates.T), np.maximum(rates, rates.T) / 2)


def _stoer_wagner(rates: Floats) -> Ints:
    """Smallest cut of all."""
    import networkx as nx

    graph = nx.from_numpy_array(rates)
    side = np.zeros(len(rates), np.int64)
    if not nx.is_connected(graph):
        side[list(nx.node_connected_component(graph, 0))] = 1
        return side
    _, (part, _) = nx.stoer_wagner(graph)
    side[part] = 1
    return side


def _sweep(topology: Topology, rates: Floats) -> list[Ints]:
    """The cuts along the Fiedler vector with the least rate in all, and with the least for what lies behind them."""
    degree = rates.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1.0))
    laplacian = np.diag((degree > 0).astype(float)) - rates * scale[:, None] * scale
    _, vectors = np.linalg.eigh(laplacian)
    place = vectors[:, 1] * scale
    order = np.argsort(place, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    low, high = np.minimum(*rank[np.stack(topology.ends())]), np.maximum(*rank[np.stack(topology.ends())])
    # A link counts in every prefix that holds one of its ends and not the other.
    change = np.bincount(low, weights=topology.bandwidth, minlength=len(order))
    change = change - np.bincount(high, weights=topology.bandwidth, minlength=len(order))
    across = np.cumsum(change)[:-1]
    cards = np.cumsum(order < topology.cards)[:-1]
    fewer = np.minimum(cards, topology.cards - cards)
    if not fewer.any():
        return []
    alone = np.where(fewer > 0, across, np.inf)
    ratio = np.where(fewer > 0, across / np.maximum(fewer, 1), np.inf)
    return [(rank <= int(np.argmin(goal))).astype(np.int64) for goal in (alone, ratio)]
