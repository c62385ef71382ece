"""Irregular graphs for tests: nothing about them is even, and every card still reaches every other."""

import networkx as nx
import numpy as np


def irregular(seed: int) -> nx.DiGraph:
    """Between 8 and 64 cards and some switches, joined at random, each direction with a rate and a latency of its own."""
    rng = np.random.default_rng(seed)
    cards, switches = int(rng.integers(8, 65)), int(rng.integers(0, 9))
    size = cards + switches
    graph = nx.DiGraph()
    graph.add_nodes_from((f"c{i}", {"kind": "card"}) for i in range(cards))
    graph.add_nodes_from((f"s{i}", {"kind": "switch"}) for i in range(switches))
    names = list(graph)

    def link(a: int, b: int) -> None:
        if a != b:
            for one, other in ((a, b), (b, a)):
                rate, delay = float(rng.choice([5e9, 10e9, 25e9, 50e9])), float(rng.choice([0.5e-6, 1e-6, 2e-6]))
                graph.add_edge(names[one], names[other], bandwidth=rate, latency=delay)

    for i in range(1, size):
        link(i, int(rng.integers(0, i)))
    for _ in range(size):
        link(*rng.integers(0, size, 2).tolist())
    one_way = [(a, b) for a, b in graph.edges if rng.random() < 0.1]
    for a, b in one_way:
        values = dict(graph.edges[a, b])
        graph.remove_edge(a, b)
        if not nx.has_path(graph, a, b):
            graph.add_edge(a, b, **values)
    return graph
