"""A dragonfly: groups of switches, all joined to each other inside, and groups joined to each other by few long cables.

After J. Kim, W. J. Dally, S. Scott, D. Abts, 2008. A switch has NICs, one cable to every other switch of its group,
and some to other groups. The cables of a group are dealt to the other groups in turn: its port *q* leads *q* mod
(groups − 1) + 1 groups further. Ports are numbered switch after switch, and what cannot be dealt evenly stays unused.

Routing is minimal: out of the group by a switch that has a cable to the other one, and over as few switches as any
such cable allows; a switch's own cable before a neighbour's. Among equals a hash chooses, or they are taken in turn
where traffic is spread: cables that end at different switches are no trunk, so paths are planned instead.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ringsim.topology import lanes
from ringsim.topology.kinds import LEAF_LEAF, Ints, TopologyError
from ringsim.topology.networks.seam import Columns, Scaleout, Trunks, counted


@dataclass(frozen=True, eq=False)
class Dragonfly(Scaleout):
    """Groups of switches."""

    def __post_init__(self) -> None:
        most = self._size * self._global + 1
        nics = self.ports[0] * self._size
        if (self.sheet.groups or 0) > most:
            raise TopologyError(
                f"network.groups = {self.sheet.groups}: {self._size} switches with {self._global} global links each reach "
                f"at most {most - 1} other groups; write {most} or less"
            )
        if self._needed > most:
            raise TopologyError(
                f"network.global_links = {self._global}: {self._size} switches with so many cables reach {most - 1} other "
                f"groups, and {self.cards:,} cards, {nics} in a group, need {self._needed:,} groups; ask for at most "
                f"{most * nics:,} cards, or more global links"
            )
        if self.sheet.groups and self._needed > self.sheet.groups:
            raise TopologyError(
                f"network.groups = {self.sheet.groups}: they hold {self.sheet.groups * nics:,} cards, and {self.cards:,} "
                f"were asked for; write {self._needed} or more"
            )

    @property
    def ports(self) -> tuple[int, int]:
        """A switch's NICs, and its cables to other switches."""
        return self.sheet.nics_per_switch or 1, self._size - 1 + self._global

    @property
    def _size(self) -> int:
        """Switches of a group."""
        return self.sheet.group_switches or 1

    @property
    def _global(self) -> int:
        """Cables of a switch to other groups."""
        return self.sheet.global_links or 1

    @property
    def _needed(self) -> int:
        """Groups that the cards fill."""
        return -(-self.cards // (self.ports[0] * self._size))

    @property
    def groups(self) -> int:
        """Groups that are wired."""
        return max(self._needed, self.sheet.groups or 1)

    @property
    def leaves(self) -> int:
        """Switches: whole groups, or as many as there are NICs for in a single one."""
        return self.groups * self._size if self.groups > 1 else -(-self.cards // self.ports[0])

    @property
    def cables(self) -> int:
        """Cables between any two groups."""
        return self._size * self._global // (self.groups - 1) if self.groups > 1 else 0

    @cached_property
    def _lanes(self) -> lanes.Mesh:
        """The same arithmetic as inside a node whose cards form a full mesh."""
        return lanes.Mesh(self.leaves, self._size)

    @property
    def hardware(self) -> tuple[int, int, int]:
        """Switches, all of one tier."""
        return self.leaves, 0, 0

    @property
    def _used(self) -> int:
        """Global ports of a group that have a cable."""
        return self.cables * (self.groups - 1)

    @property
    def counts(self) -> dict[int, int]:
        """Links between switches: those of groups first, then those between groups."""
        return {LEAF_LEAF: self._lanes.count + self.groups * self._used}

    @cached_property
    def farthest(self) -> int:
        """Switches between some two cards at least: from the first switch to the one farthest from it.

        A way over a third group counts here, though no route takes it: news may travel as it likes.
        """
        if self.ports[0] % self.group or self.leaves == 1:
            return 1  # a node on two switches, perhaps of two groups, is a way of its own
        (links,) = self.trunks()
        seen, steps = np.zeros(self.leaves, bool), 0
        seen[0] = True
        while not seen[: self._busy].all():
            seen[links.target[seen[links.source]]] = True
            steps += 1
        return 1 + steps

    def leaf(self, card: Ints) -> Ints:
        """NICs fill one switch after the other."""
        return card // self.ports[0]

    def _cable(self, out: Ints, into: Ints, flow: Ints) -> tuple[Ints, Ints]:
        """Ports at both ends of the cable that each row takes between the groups of two switches."""
        ahead = (into // self._size - out // self._size) % self.groups
        behind = self.groups - ahead

        def own(switch: Ints, offset: Ints) -> tuple[Ints, Ints]:
            """First of the cables that end at a switch, and the one after the last."""
            port = switch % self._size * self._global
            low, high = (-((offset - 1 - edge) // (self.groups - 1)) for edge in (port, port + self._global))
            return low.clip(0, self.cables), high.clip(0, self.cables)

        (a, b), (c, d) = own(out, ahead), own(into, behind)
        low, high = np.maximum(a, c), np.minimum(b, d)
        both, either = (high - low).clip(0), (b - a) + (d - c)
        some = flow % np.maximum(either, 1)
        cable = np.where(
            both > 0,
            low + flow % np.maximum(both, 1),
            np.where(either > 0, np.where(some < b - a, a + some, c + some - (b - a)), flow % self.cables),
        )
        step = cable * (self.groups - 1)
        return ahead - 1 + step, behind - 1 + step

    def between(self, source: Ints, target: Ints, flow: Ints) -> tuple[Columns, Ints]:
        """To the switch with the cable, over it, and on to the target's switch."""
        plug = np.zeros_like(source)
        if self.leaves == 1:
            return [], plug
        out, into = self.leaf(source), self.leaf(target)
        near = out // self._size == into // self._size
        if self.groups == 1:
            return [(LEAF_LEAF, np.where(out == into, -1, self._lanes.route(out, into)[0]))], plug
        port, back = self._cable(out, np.where(near, (into + self._size) % self.leaves, into), flow)
        gate = np.where(near, into, out // self._size * self._size + port // self._global)
        entry = np.where(near, into, into // self._size * self._size + back // self._global)
        first = np.where(gate == out, -1, self._lanes.route(out, gate)[0])
        long = np.where(near, -1, self._lanes.count + out // self._size * self._used + port)
        last = np.where(entry == into, -1, self._lanes.route(entry, into)[0])
        return [(LEAF_LEAF, first), (LEAF_LEAF, long), (LEAF_LEAF, last)], plug

    def trunks(self) -> list[Trunks]:
        """Inside the groups and between them, in both directions."""
        source, target = self._lanes.ends()
        if self.groups > 1:
            group, port = np.divmod(np.arange(self.groups * self._used), self._used)
            cable, ahead = np.divmod(port, self.groups - 1)
            back = self.groups - 2 - ahead + cable * (self.groups - 1)
            other = (group + ahead + 1) % self.groups
            source = np.concatenate([source, group * self._size + port // self._global])
            target = np.concatenate([target, other * self._size + back // self._global])
        return [Trunks(LEAF_LEAF, source, target, 1, None)]

    def areas(self) -> list[tuple[str, Ints, Ints]]:
        """Switches and groups."""
        switch, own = np.arange(self.leaves), self.leaf(np.arange(self.cards))
        found = [("switch", own, np.where(switch * self.ports[0] < self.cards, switch, -1))] if self._busy > 1 else []
        if self._needed > 1:
            groups = switch // self._size
            found.append(("group", own // self._size, np.where(groups < self._needed, groups, -1)))
        return found

    @property
    def _busy(self) -> int:
        """Switches with a NIC."""
        return -(-self.cards // self.ports[0])

    def summary(self) -> tuple[str, str]:
        """Its groups, and what joins them."""
        text = f"{counted(self.groups, 'group')} of {counted(self._size, 'switch', 'switches')}"
        cables = f"{counted(self.cables, 'cable')} between any two groups" if self.groups > 1 else "one group"
        nics = self.ports[0] * self._size
        return f"{text} of {self.sheet.radix} ports", f"{cables} of {nics} NICs"
