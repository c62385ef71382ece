"""Rails in several planes: every NIC has one port in each of several networks that never meet.

As in Alibaba's HPN 7.0, where a card's NIC of 400 Gb/s is two ports of 200 Gb/s on two leaves, and the leaves of one
plane reach only that plane's spines. A leaf that fails then costs half of a NIC and not a node, and traffic that
enters a plane stays in it, so there is less for a hash to get wrong.

Where traffic is hashed a connection keeps to one plane, as a queue pair does, and gets one port's rate at most. Where
it is spread the library divides each connection evenly among the planes, which act as one.
"""

from dataclasses import dataclass

from ringsim.topology.networks.leaf_spine import LeafSpine


@dataclass(frozen=True, eq=False)
class DualPlane(LeafSpine):
    """Leaves and spines, several times over."""

    @property
    def planes(self) -> int:
        """Networks beside each other."""
        return self.sheet.planes or 1

    @property
    def plugs(self) -> int:
        """Ports of a NIC that connections are divided among."""
        return 1 if self.spread else self.planes

    def summary(self) -> tuple[str, str]:
        """The same in each plane."""
        text, cost = super().summary()
        return f"{self.planes} planes, {text}", cost
