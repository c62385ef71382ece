"""What a topology asks of the network between its nodes; one file beside this one for each kind of network.

A network numbers its switches from 0 (leaves, then spines, then cores) and the links of each kind from 0, and finds a
way by arithmetic on those numbers, never by a search: a million cards are routed in one pass over arrays. It knows
nothing of nodes' insides, of seconds or of bytes per second: widths are in cables, each as fast as a NIC.

Where traffic is spread (adaptive routing, packet spraying, planned paths) equal cables beside each other act as one
trunk and are one link of that width. Where it is hashed each cable is a link, and a connection keeps to one of them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import floor

import numpy as np

from ringsim.fabric import Network
from ringsim.topology.kinds import LEAF_NIC, NIC_LEAF, Ints

#: Columns of a route: kind of link and, of each row, its number among that kind, −1 where the row takes none.
Columns = list[tuple[int, Ints]]


@dataclass(frozen=True)
class Trunks:
    """Links of one kind between switches.

    Attributes
    ----------
    kind : int
        Index into `LINK_KINDS`.
    source, target : int arrays, shape ``[links]``
        Switches they join.
    width : float
        Rate of each in cables.
    back : int or None
        Kind of the links that lead back, numbered alike; None where `source` and `target` hold both directions.
    """

    kind: int
    source: Ints
    target: Ints
    width: float
    back: int | None


@dataclass(frozen=True, eq=False)
class Scaleout(ABC):
    """A network between nodes.

    Attributes
    ----------
    sheet : Network
        Its data sheet.
    cards, group : int
        In the cluster and in a node; each card has one NIC.
    """

    sheet: Network
    cards: int
    group: int

    @property
    def nodes(self) -> int:
        """Nodes that are joined."""
        return -(-self.cards // self.group)

    @property
    def spread(self) -> bool:
        """Whether traffic uses equal paths evenly."""
        return self.sheet.routing == "spread"

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes along each side: a torus has several, everything else one."""
        return (self.nodes,)

    @property
    def railed(self) -> bool:
        """Whether NIC *i* of every node shares a leaf with NIC *i* of its neighbours."""
        return False

    @property
    def plugs(self) -> int:
        """Links between a NIC and the network, side by side."""
        return 1

    @property
    def plug_width(self) -> float:
        """Rate of one of them in NICs."""
        return 1 / self.plugs

    @property
    @abstractmethod
    def ports(self) -> tuple[int, int]:
        """Ports of a leaf towards NICs and towards other switches."""

    @property
    @abstractmethod
    def hardware(self) -> tuple[int, int, int]:
        """Leaf, spine and core switches that are bought."""

    @property
    def tiers(self) -> tuple[int, int, int]:
        """Leaves, spines and cores that are vertices: switches behind one trunk are one."""
        return self.hardware

    @property
    @abstractmethod
    def counts(self) -> dict[int, int]:
        """Links of each kind between switches, without laying them out."""

    @property
    @abstractmethod
    def farthest(self) -> int:
        """Switches between some two cards at least, whichever way the news goes, through other cards included."""

    @abstractmethod
    def leaf(self, card: Ints) -> Ints:
        """Leaf of each card's first plug, shape like `card`."""

    @abstractmethod
    def between(self, source: Ints, target: Ints, flow: Ints) -> tuple[Columns, Ints]:
        """Route between the leaves of cards of different nodes.

        Parameters
        ----------
        source, target : int arrays, shape ``[rows]``
            Cards. What stands where they are of one node is not looked at.
        flow : int array, shape ``[rows]``
            Not negative, alike for alike connections; chooses among equal paths.

        Returns
        -------
        columns : list of (kind, int array of shape ``[rows]``)
        plug : int array, shape ``[rows]``
            Plug through which each row leaves its source and enters its target.
        """

    @abstractmethod
    def trunks(self) -> list[Trunks]:
        """Links between switches, in the order of their kinds."""

    @abstractmethod
    def areas(self) -> list[tuple[str, Ints, Ints]]:
        """Parts of the network that serve cards of their own, for the bounds.

        Returns
        -------
        list of (name, int array of shape ``[cards]``, int array of shape ``[switches]``)
            Part of each card and of each switch, −1 for switches that serve all of them.
        """

    @abstractmethod
    def summary(self) -> tuple[str, str]:
        """Say what it is made of, and what that costs."""

    # -- the same for all of them --------------------------------------------------------------------------

    def route(self, source: Ints, target: Ints, flow: Ints) -> Columns:
        """Route between the NICs of cards of different nodes; columns as in `between`."""
        middle, plug = self.between(source, target, flow)
        return [(NIC_LEAF, source * self.plugs + plug), *middle, (LEAF_NIC, target * self.plugs + plug)]

    def plug_ends(self) -> tuple[Ints, Ints]:
        """Card and leaf of every plug, shape ``[cards · plugs]`` each."""
        everyone = np.arange(self.cards)
        leaves = [self.leaf(everyone) + plug * self.leaves_of_a_plane for plug in range(self.plugs)]
        return np.repeat(everyone, self.plugs), np.stack(leaves, axis=1).ravel()

    @property
    def leaves_of_a_plane(self) -> int:
        """Leaves that one plug of every NIC leads to."""
        return self.tiers[0] // self.plugs


def divided(radix: int, oversubscription: float | None) -> tuple[int, int]:
    """Down and up ports of a switch: the radix divided so that down / up is at most the oversubscription."""
    most = oversubscription or 1.0
    up = max(1, floor(radix / (1 + most)))
    return max(1, min(radix - up, floor(up * most))), up


def blocking(down: int, up: int, what: str = "ports") -> str:
    """Say what a switch's ports cost."""
    return "non-blocking" if down == up else f"{down} {what} down, {up} up: oversubscribed {down / up:.3g}:1"


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
