"""Two tiers: NICs plug into leaves, and every leaf has one cable to every spine.

With rails NIC *i* of every node plugs into a leaf of rail *i*, and a leaf serves as many nodes as it has down ports;
the leaves that serve the same nodes are a pod. Without them NICs fill one leaf after the other, in order of rank.

A spine wider than the radix stands for a further non-blocking tier: nothing is lost in it but its switch latency is
counted once.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ringsim.topology.kinds import LEAF_SPINE, SPINE_LEAF, Ints
from ringsim.topology.networks.seam import Columns, Scaleout, Trunks, blocking, counted, divided


@dataclass(frozen=True, eq=False)
class LeafSpine(Scaleout):
    """Leaves and spines."""

    @property
    def railed(self) -> bool:
        """Whether NIC *i* of every node shares a leaf with NIC *i* of its neighbours."""
        return self.sheet.kind != "leaf-spine"

    @cached_property
    def ports(self) -> tuple[int, int]:
        """Down and up ports of a leaf."""
        return divided(self.sheet.radix, self.sheet.oversubscription)

    @property
    def planes(self) -> int:
        """Networks of leaves and spines beside each other."""
        return 1

    @property
    def pods(self) -> int:
        """Sets of leaves that serve the same nodes (rails), or plain leaves; in each plane."""
        return -(-(self.nodes if self.railed else self.cards) // self.ports[0])

    @property
    def _leaves(self) -> int:
        """Leaves of one plane."""
        return self.pods * (self.group if self.railed else 1)

    @property
    def _cables(self) -> int:
        """Cables from a leaf to spines; none where one leaf serves everyone."""
        return self.ports[1] if self._leaves > 1 else 0

    @property
    def _ways(self) -> int:
        """Links from a leaf to spines."""
        return min(self._cables, 1) if self.spread else self._cables

    @property
    def hardware(self) -> tuple[int, int, int]:
        """Leaves and spines of all planes."""
        return self._leaves * self.planes, self._cables * self.planes, 0

    @property
    def tiers(self) -> tuple[int, int, int]:
        """Leaves and spines that are vertices."""
        return self._leaves * self.plugs, self._ways * self.plugs, 0

    @property
    def counts(self) -> dict[int, int]:
        """Links of each kind between switches."""
        trunks = self.tiers[0] * self._ways
        return {LEAF_SPINE: trunks, SPINE_LEAF: trunks}

    @property
    def farthest(self) -> int:
        """Switches between some two cards at least: three where pods keep nodes apart."""
        apart = self.railed or self.ports[0] % self.group == 0
        return 3 if apart and self.pods > 1 else 1

    def leaf(self, card: Ints) -> Ints:
        """Leaf of each card in the first plane."""
        down, _ = self.ports
        if not self.railed:
            return card // down
        return (card // self.group // down) * self.group + card % self.group

    def between(self, source: Ints, target: Ints, flow: Ints) -> tuple[Columns, Ints]:
        """Up to a spine and down again, unless both cards share a leaf."""
        plug = flow % self.plugs if self.plugs > 1 else np.zeros_like(source)
        if not self._ways:
            return [], plug
        out_leaf, in_leaf = self.leaf(source), self.leaf(target)
        change = out_leaf != in_leaf
        spine = flow // self.plugs % self._ways
        first = plug * self._leaves
        return [
            (LEAF_SPINE, np.where(change, (first + out_leaf) * self._ways + spine, -1)),
            (SPINE_LEAF, np.where(change, (first + in_leaf) * self._ways + spine, -1)),
        ], plug

    def trunks(self) -> list[Trunks]:
        """From every leaf to every spine of its plane."""
        leaves, spines, _ = self.tiers
        leaf = np.repeat(np.arange(leaves), self._ways)
        spine = np.tile(np.arange(self._ways), leaves) + leaf // self._leaves * self._ways
        # Cables of a plane are as fast as a NIC's port there; a trunk over all planes is as wide as all their cables.
        width = self._cables // max(1, self._ways) * self.plug_width
        return [Trunks(LEAF_SPINE, leaf, leaves + spine, width, SPINE_LEAF)] if spines else []

    def areas(self) -> list[tuple[str, Ints, Ints]]:
        """Pods."""
        leaves, spines, _ = self.tiers
        if self.pods < 2:
            return []
        rails = self.group if self.railed else 1
        cards = self.leaf(np.arange(self.cards)) // rails
        switches = np.concatenate([np.arange(leaves) % self._leaves // rails, np.full(spines, -1)])
        return [("pod" if self.railed else "leaf", cards, switches)]

    def summary(self) -> tuple[str, str]:
        """Leaves and spines, and whether they block."""
        leaves, spines, _ = self.hardware
        text = f"{'rails, ' if self.railed else ''}{counted(leaves, 'leaf', 'leaves')} of {self.sheet.radix} ports"
        if spines:
            text += f", {counted(spines, 'spine')}"
        return text, blocking(*self.ports)
