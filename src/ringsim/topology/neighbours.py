"""Ways that begin or end at a switch, for reductions inside the network.

A switch that adds hears from its neighbours and answers them: cards behind it, a leaf's cards by way of their NICs, and
the switch at the other end of a trunk. Nothing else is a step of such a reduction, so nothing else has a way.
"""

from functools import cached_property

import numpy as np

from ringsim.topology.base import Topology
from ringsim.topology.kinds import Ints, TopologyError

_NAMES = ("card", "scale-up switch", "NIC", "leaf", "spine", "core")


class Neighbours:
    """Who is next to whom in a topology, worked out when it is first asked.

    Parameters
    ----------
    topology : Topology
        Laid out by construction: its NICs are numbered like its cards.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    @cached_property
    def _links(self) -> tuple[Ints, Ints]:
        """Links in the order of their ends, and those ends as one number, shape ``[links]`` each."""
        source, target = self._topology.ends()
        ends = source * self._topology.vertices[-1] + target
        order = np.argsort(ends, kind="stable")
        return order, ends[order]

    def _link(self, source: Ints, target: Ints, channel: Ints) -> Ints:
        """Link between two vertices, one of the cables in turn where there are several, −1 where there is none."""
        order, ends = self._links
        wanted = source * self._topology.vertices[-1] + target
        low, high = np.searchsorted(ends, wanted, "left"), np.searchsorted(ends, wanted, "right")
        choice = low + channel % np.maximum(high - low, 1)
        return np.where(high > low, order[np.minimum(choice, len(order) - 1)], -1)

    def ways(self, source: Ints, target: Ints, channel: Ints) -> Ints:
        """Links of every way, one or, by way of a card's NIC, two; shape ``[rows, 2]``, −1 for none.

        Raises
        ------
        TopologyError
            If the two are no neighbours, or there is no such vertex.
        """
        first = self._topology.vertices
        for vertex in (source, target):
            wrong = (vertex < 0) | (vertex >= first[-1])
            if wrong.any():
                raise TopologyError(
                    f"there is no vertex {vertex[wrong][0]}; they are numbered from 0 to {first[-1] - 1}"
                )
        card = np.minimum(source, target)
        nic = np.where(card < first[3] - first[2], first[2] + card, -1)
        direct = self._link(source, target, channel)
        out = np.where(direct < 0, self._link(source, nic, channel), direct)
        into = np.where(direct < 0, self._link(nic, target, channel), -1)
        strangers = (direct < 0) & ((out < 0) | (into < 0))
        if strangers.any():
            a, b = (self._named(int(end[strangers][0])) for end in (source, target))
            raise TopologyError(
                f"{a} → {b}: no neighbours; a way that begins or ends at a switch leads from or to a card of its own, or "
                "along one trunk"
            )
        return np.stack([out, into], axis=1)

    def _named(self, vertex: int) -> str:
        first = self._topology.vertices
        kind = int(np.searchsorted(first[1:-1], vertex, "right"))
        return f"{_NAMES[kind]} {vertex - first[kind]}"
