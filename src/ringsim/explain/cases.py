"""Four runs whose cause is known beforehand, to see what an explanation looks like and to hold it to the truth.

``ringsim explain --case NAME`` explains them.
"""

from collections.abc import Callable
from typing import Any

from ringsim import fabric, topology
from ringsim.question import Question


def oversubscribed() -> Question:
    """All-to-all across leaves whose cables to the spines are a quarter of what their NICs could fill."""
    return Question(
        "hccs", 256, size="64M", collective="all-to-all",
        changes=("network.kind=leaf-spine", "network.oversubscription=4"),
    )  # fmt: skip


def slow_nic(card: int = 5, slower: float = 4.0) -> Question:
    """A ring over 64 servers of one card, one of which has a NIC that is four times slower than the others."""
    return Question("hccs", None, size="256M", algorithm="ring", graph=_with_slow_nic(card, slower))


def small_message() -> Question:
    """Eight bytes around a ring of 1,024 cards."""
    return Question("hccs", 1024, size=8, algorithm="ring")


def one_ring() -> Question:
    """One ring in a full mesh that has room for seven."""
    return Question("hccs", 8, size="1G", algorithm="ring", rings=1)


CASES: dict[str, Callable[[], Question]] = {
    "oversubscribed": oversubscribed, "slow-nic": slow_nic, "small-message": small_message, "one-ring": one_ring,
}  # fmt: skip


def _with_slow_nic(card: int, slower: float) -> Any:
    """A laid-out cluster as a graph, the NIC of one card slowed."""
    cluster = topology.build(fabric.load("hccs"), 64, domain=1)
    graph = cluster.graph()
    nic = cluster.vertices[2] + card
    for a, b, values in graph.edges(data=True):
        if nic in (a, b) and "leaf" in values["kind"]:
            values["bandwidth"] /= slower
    return graph
