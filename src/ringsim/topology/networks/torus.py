"""A torus of nodes: each node's NICs plug into a router of its own, and routers are joined to their neighbours.

No switch is shared, so the network grows with its nodes, and the price is the distance: the way goes along the first
side, then the second, …, the shorter way round (W. J. Dally, C. L. Seitz, 1987). Neighbours are joined by `links`
cables. Each router has a switch's latency.
"""

from dataclasses import dataclass
from functools import cached_property
from math import isqrt, prod

import numpy as np

from ringsim.topology import lanes
from ringsim.topology.kinds import LEAF_LEAF, Ints, TopologyError
from ringsim.topology.networks.seam import Columns, Scaleout, Trunks, counted


def even_box(nodes: int) -> tuple[int, ...]:
    """Three sides, as even as the number of nodes allows, the longest first; sides of one are left out."""
    best = (nodes, 1, 1)
    third = 1
    while third**3 <= nodes:
        if nodes % third == 0:
            rest = nodes // third
            second = next(side for side in range(isqrt(rest), 0, -1) if rest % side == 0)
            if second >= third:
                best = min(best, (rest // second, second, third))
        third += 1
    return tuple(side for side in best if side > 1) or (nodes,)


@dataclass(frozen=True, eq=False)
class RouterTorus(Scaleout):
    """Routers in a box whose ends are joined."""

    def __post_init__(self) -> None:
        if prod(self.shape) != self.nodes:
            sides = "x".join(map(str, self.shape))
            raise TopologyError(
                f"network.shape = {sides}: a torus of {prod(self.shape):,} nodes, and {self.cards:,} cards in nodes of "
                f"{self.group} are {self.nodes:,}; ask for {prod(self.shape) * self.group:,} cards, or leave the shape out"
            )
        used = sum(self.ports)
        if used > self.sheet.radix:
            raise TopologyError(
                f"network.radix = {self.sheet.radix}: a router of this torus has {self.group} NICs and "
                f"{self.ports[1]} cables to neighbours; write {used} or more"
            )

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Routers along each side."""
        return self.sheet.shape or even_box(self.nodes)

    @cached_property
    def _lanes(self) -> lanes.Torus:
        """The same arithmetic as inside a node whose cards form a torus."""
        return lanes.Torus(self.nodes, self.nodes, self.shape)

    @property
    def _cables(self) -> int:
        """Cables between neighbours."""
        return self.sheet.links or 1

    @property
    def _ways(self) -> int:
        """Links between neighbours, in each direction."""
        return 1 if self.spread else self._cables

    @property
    def ports(self) -> tuple[int, int]:
        """A router's NICs, and its cables to neighbours."""
        return self.group, self._cables * sum(min(side - 1, 2) for side in self.shape)

    @property
    def hardware(self) -> tuple[int, int, int]:
        """One router for each node."""
        return self.nodes, 0, 0

    @property
    def counts(self) -> dict[int, int]:
        """Links between routers."""
        return {LEAF_LEAF: self._lanes.count * self._ways}

    @property
    def farthest(self) -> int:
        """Routers between two nodes half way round on every side."""
        return 1 + sum(side // 2 for side in self.shape)

    def leaf(self, card: Ints) -> Ints:
        """A card's router is its node's."""
        return card // self.group

    def between(self, source: Ints, target: Ints, flow: Ints) -> tuple[Columns, Ints]:
        """Side after side, the shorter way round, always on the same one of the cables."""
        cable = flow % self._ways
        steps = self._lanes.route(source // self.group, target // self.group)
        return [
            (LEAF_LEAF, np.where(step < 0, -1, step * self._ways + cable)) for step in steps
        ], np.zeros_like(source)  # fmt: skip

    def trunks(self) -> list[Trunks]:
        """Between neighbours, in both directions."""
        source, target = (np.repeat(end, self._ways) for end in self._lanes.ends())
        return [Trunks(LEAF_LEAF, source, target, self._cables // self._ways, None)]

    def areas(self) -> list[tuple[str, Ints, Ints]]:
        """Along each side: both halves, and single slices."""
        router = np.arange(self.nodes)
        found = []
        for number, (side, place) in enumerate(zip(self.shape, np.unravel_index(router, self.shape), strict=True), 1):
            if side > 1:
                half = (place >= side - side // 2).astype(np.int64)
                found.append((f"half of side {number}", np.repeat(half, self.group)[: self.cards], half))
            if side > 2:
                slice_ = np.asarray(place, np.int64)
                found.append((f"slice of side {number}", np.repeat(slice_, self.group)[: self.cards], slice_))
        return found

    def summary(self) -> tuple[str, str]:
        """Its shape, and how much of a node's NICs crosses to a neighbour."""
        text = f"torus of {'×'.join(map(str, self.shape))} routers of {self.sheet.radix} ports"
        return text, f"{counted(self._cables, 'cable')} to each neighbour"
