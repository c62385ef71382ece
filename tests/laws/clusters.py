"""Every kind of cluster for the laws: nodes and networks of every sort, narrow enough that flows meet, and graphs."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import networkx as nx
import numpy as np

from ringsim import fabric, topology
from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.program import Program, price
from ringsim.topology import Topology

CARDS = (2, 3, 5, 8, 16, 24, 64)

#: Rows up to which the reference engine, which shares links in plain Python, is asked where many flows meet.
MOST_ROWS = 2_500


def irregular(cards: int, seed: int = 0) -> nx.Graph:
    """A random graph of cards and switches in which every card reaches every other: a tree, and edges across it."""
    random = np.random.default_rng([cards, seed])
    switches = max(2, cards // 4)
    graph = nx.Graph()
    graph.add_nodes_from(range(cards), kind="card")
    graph.add_nodes_from((f"s{s}" for s in range(switches)), kind="switch")
    for s in range(1, switches):
        graph.add_edge(f"s{s}", f"s{random.integers(s)}")
    for card in range(cards):
        graph.add_edge(card, f"s{random.integers(switches)}")
    for _ in range(cards // 2):
        a, b = (int(end) for end in random.integers(cards, size=2))
        if a != b:
            graph.add_edge(a, b)
    for edge in graph.edges:
        graph.edges[edge].update(bandwidth=random.integers(5, 40) * 1e9, latency=random.integers(1, 9) * 2.5e-7)
    return graph


def _lay(
    name: str, *changes: str, network: str | None = None, domain: int | None = None, seed: int = 0
) -> Callable[[int], Topology]:
    sheet = fabric.load(name, network=network, changes=changes)
    return lambda cards: topology.build(sheet, cards, domain=domain, seed=seed)


HASHED = "network.routing=hash"
KINDS: dict[str, Callable[[int], Topology]] = {
    "mesh": _lay("hccs"),
    "switch": _lay("nvlink4"),
    "narrow": _lay("hccs", HASHED, "network.oversubscription=4", "network.radix=10", domain=4, seed=7),
    "torus-node": _lay("hccs", "domain.kind=torus", "domain.size=8", "domain.shape=2x4", "domain.lanes=4"),
    "fat-tree": _lay("hccs", HASHED, "network.radix=8", network="roce-400g-fat-tree", domain=2, seed=3),
    "dual-plane": _lay("nvlink3", HASHED, "network.radix=8", network="roce-400g-dual-plane", domain=4, seed=1),
    "torus": _lay("hccs", network="roce-400g-torus", domain=2),
    "dragonfly": _lay(
        *("nvlink3", HASHED, "network.radix=8", "network.nics_per_switch=2", "network.group_switches=4"),
        *("network.global_links=2",),
        network="ib-hdr-dragonfly",
        domain=2,
        seed=5,
    ),
    "graph": lambda cards: topology.from_graph(irregular(cards), seed=cards),
}


@lru_cache(maxsize=16)
def cluster(kind: str, cards: int) -> Topology:
    """One of them; a node that is a torus is whole, so only multiples of 8 cards have those."""
    return KINDS[kind](cards)


def cases() -> list[tuple[str, int, str, str]]:
    """Every kind × cards × collective × algorithm."""
    return [
        (kind, cards, collective, algorithm)
        for kind in KINDS
        for cards in CARDS
        if kind != "torus-node" or cards % 8 == 0
        for collective, algorithms in COLLECTIVES.items()
        for algorithm in algorithms
    ]


def program(kind: str, cards: int, collective: str, algorithm: str, size: float = 1e5) -> Program | None:
    """The program of a case; None where the algorithm says that this cluster has no room for it."""
    where, how = cluster(kind, cards), COLLECTIVES[collective][algorithm]
    try:
        schedule = how.build(where, how.channels(where), 2 if cards <= 8 else 1)
    except CollectiveError:
        return None
    protocol = where.fabric.protocol(list(where.fabric.protocols)[-1], algorithm)
    return price(schedule, where, protocol, size, allotted=how.allotted)


def unfit() -> Iterator[tuple[str, int, str, str]]:
    """Cases that have no program."""
    for case in cases():
        if case[1] <= 24 and program(*case) is None:
            yield case
