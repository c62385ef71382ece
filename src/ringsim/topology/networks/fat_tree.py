"""Three tiers: leaves and spines in pods, and cores that join the pods.

Every leaf has one cable to every spine of its pod; spine *s* of every pod has one cable to each core of column *s*. A
pod holds as many leaves as a spine has down ports. With the same radix everywhere and nothing oversubscribed that is
the k-ary fat tree (M. Al-Fares, A. Loukissas, A. Vahdat, 2008); a spine that is oversubscribed has fewer cables up.

A core wider than the radix stands for a further non-blocking tier, as a wide spine does in two tiers.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ringsim.topology.kinds import CORE_SPINE, LEAF_SPINE, SPINE_CORE, SPINE_LEAF, Ints
from ringsim.topology.networks.seam import Columns, Scaleout, Trunks, blocking, counted, divided


@dataclass(frozen=True, eq=False)
class FatTree(Scaleout):
    """Leaves, spines and cores."""

    @property
    def railed(self) -> bool:
        """Whether NIC *i* of every node shares a leaf with NIC *i* of its neighbours."""
        return self.sheet.wiring == "rails"

    @cached_property
    def ports(self) -> tuple[int, int]:
        """Down and up ports of a leaf."""
        return divided(self.sheet.radix, self.sheet.oversubscription)

    @cached_property
    def spine_ports(self) -> tuple[int, int]:
        """Down and up ports of a spine."""
        return divided(self.sheet.spine_radix or self.sheet.radix, self.sheet.spine_oversubscription)

    @property
    def _rails(self) -> int:
        """Leaves that serve the same nodes."""
        return self.group if self.railed else 1

    @property
    def leaves(self) -> int:
        """Leaf switches."""
        return -(-(self.nodes if self.railed else self.cards) // self.ports[0]) * self._rails

    @cached_property
    def pod(self) -> int:
        """Leaves of a pod: a spine's down ports, in whole sets of rails where that is possible."""
        down, _ = self.spine_ports
        return down // self._rails * self._rails or down

    @property
    def pods(self) -> int:
        """Pods, the last one perhaps smaller."""
        return -(-self.leaves // self.pod)

    @property
    def hardware(self) -> tuple[int, int, int]:
        """Leaves, spines and cores."""
        if self.leaves == 1:
            return 1, 0, 0
        up, over = self.ports[1], self.spine_ports[1]
        return self.leaves, self.pods * up, up * over if self.pods > 1 else 0

    @property
    def _ways(self) -> tuple[int, int]:
        """Links from a leaf to spines, and from a spine (all of a pod's, where they are one) to cores."""
        up, over = (self.ports[1] if self.leaves > 1 else 0), (self.spine_ports[1] if self.pods > 1 else 0)
        return (min(up, 1), min(over, 1)) if self.spread else (up, over)

    @property
    def tiers(self) -> tuple[int, int, int]:
        """Leaves, spines and cores that are vertices."""
        up, over = self._ways
        return self.leaves, self.pods * up, up * over

    @property
    def counts(self) -> dict[int, int]:
        """Links of each kind between switches."""
        up, over = self._ways
        low, high = self.leaves * up, self.pods * up * over
        return {LEAF_SPINE: low, SPINE_LEAF: low, SPINE_CORE: high, CORE_SPINE: high}

    @property
    def farthest(self) -> int:
        """Switches between some two cards at least: five where pods keep nodes apart, three where leaves do."""
        whole = self.pod % self._rails == 0 if self.railed else self.ports[0] * self.pod % self.group == 0
        if self.pods > 1 and whole:
            return 5
        apart = self.railed or self.ports[0] % self.group == 0
        return 3 if apart and self.leaves > self._rails else 1

    def leaf(self, card: Ints) -> Ints:
        """Leaf of each card."""
        down, _ = self.ports
        return (card // self.group // down) * self.group + card % self.group if self.railed else card // down

    def between(self, source: Ints, target: Ints, flow: Ints) -> tuple[Columns, Ints]:
        """Up as far as the two have to, and down again."""
        up, over = self._ways
        columns: Columns = []
        if up:
            out_leaf, in_leaf = self.leaf(source), self.leaf(target)
            spine = flow % up
            change, out_pod, in_pod = out_leaf != in_leaf, out_leaf // self.pod, in_leaf // self.pod
            columns.append((LEAF_SPINE, np.where(change, out_leaf * up + spine, -1)))
            if over:
                core, far = flow // up % over, out_pod != in_pod
                columns.append((SPINE_CORE, np.where(far, (out_pod * up + spine) * over + core, -1)))
                columns.append((CORE_SPINE, np.where(far, (in_pod * up + spine) * over + core, -1)))
            columns.append((SPINE_LEAF, np.where(change, in_leaf * up + spine, -1)))
        return columns, np.zeros_like(source)

    def trunks(self) -> list[Trunks]:
        """From leaves to the spines of their pod, and from spines to the cores of their column."""
        up, over = self._ways
        cables = self.ports[1]
        found = []
        if up:
            leaf, spine = np.repeat(np.arange(self.leaves), up), np.tile(np.arange(up), self.leaves)
            spine = self.leaves + leaf // self.pod * up + spine
            found.append(Trunks(LEAF_SPINE, leaf, spine, cables // up, SPINE_LEAF))
        if over:
            spines = self.pods * up
            spine, core = np.repeat(np.arange(spines), over), np.tile(np.arange(over), spines)
            core = self.leaves + spines + spine % up * over + core
            width = (cables // up) * (self.spine_ports[1] // over)
            found.append(Trunks(SPINE_CORE, self.leaves + spine, core, width, CORE_SPINE))
        return found

    def areas(self) -> list[tuple[str, Ints, Ints]]:
        """Leaves that serve the same nodes, and pods."""
        leaf, spines, cores = np.arange(self.leaves), self.tiers[1], self.tiers[2]
        own = self.leaf(np.arange(self.cards))
        outside = np.full(spines + cores, -1)
        found = []
        if self.leaves > self._rails:
            name = "rails" if self.railed else "leaf"
            found.append((name, own // self._rails, np.concatenate([leaf // self._rails, outside])))
        if self.pods > 1:
            spine_pod = np.repeat(np.arange(self.pods), self._ways[0])
            switches = np.concatenate([leaf // self.pod, spine_pod, np.full(cores, -1)])
            found.append(("pod", own // self.pod, switches))
            if self.leaves > self._rails > self.pod:
                # Rails of one set of nodes in several pods: those pods are theirs alone, or cut through two sets.
                first, last = spine_pod * self.pod // self._rails, ((spine_pod + 1) * self.pod - 1) // self._rails
                switches = np.concatenate([leaf // self._rails, np.where(first == last, first, -1), outside[spines:]])
                found.append(("set of rails", own // self._rails, switches))
        return found

    def summary(self) -> tuple[str, str]:
        """Three tiers, and whether each of the lower two blocks."""
        leaves, spines, cores = self.hardware
        text = f"{'rails, ' if self.railed else ''}{counted(leaves, 'leaf', 'leaves')} of {self.sheet.radix} ports"
        cost = blocking(*self.ports)
        if spines:
            text += f", {counted(spines, 'spine')} in {counted(self.pods, 'pod')}"
        if cores:
            text += f", {counted(cores, 'core')}"
            above = blocking(*self.spine_ports)
            cost = cost if cost == above else f"leaves {cost}; spines {above}"
        return text, cost
