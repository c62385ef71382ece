"""A topology as a picture needs it: NICs folded into their cards, parallel links bundled, loads where they belong."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ringsim.topology import CARD_NIC, LANE, LEAF_NIC, NIC_CARD, NIC_LEAF, Topology

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bundle:
    """Links between two things, both directions.

    Attributes
    ----------
    a, b : int
        The things, ``a < b``.
    cables : int
        In the direction that has more of them.
    rate : float
        Bytes per second of that direction.
    there, back : float
        Load of the busiest link from `a` to `b`, and the other way.
    link : int
        The busiest of all.
    scale_up : bool
    one_way : int
        1 where no link leads from `b` to `a`, −1 where none leads from `a` to `b`, otherwise 0.
    """

    a: int
    b: int
    cables: int
    rate: float
    there: float
    back: float
    link: int
    scale_up: bool
    one_way: int


@dataclass(frozen=True, eq=False)
class View:
    """A topology and, after a run, how busy its links were.

    Attributes
    ----------
    topology : Topology
    given : float array, shape ``[links]``, or None
        Busy part of the run of each link.
    """

    topology: Topology
    given: Floats | None

    @property
    def loaded(self) -> bool:
        """Whether there was a run."""
        return self.given is not None

    @cached_property
    def ends(self) -> tuple[Ints, Ints]:
        """Source and target of every link, NICs folded into their cards, shape ``[links]`` each."""
        source, target = self.topology.ends()
        return self.owner[source], self.owner[target]

    @cached_property
    def owner(self) -> Ints:
        """The card of each NIC, and every other vertex itself, shape ``[vertices]``."""
        source, target = self.topology.ends()
        found = np.arange(self.topology.vertices[-1])
        to_nic = self.topology.kind == CARD_NIC
        found[target[to_nic]] = source[to_nic]
        return found

    @cached_property
    def load(self) -> Floats:
        """Load of each link; what is busier between a card and its NIC than behind it counts there, shape ``[links]``."""
        if self.given is None:
            return np.zeros(self.topology.links)
        load, kind = self.given.copy(), self.topology.kind
        source, target = self.topology.ends()
        nic = np.zeros(self.topology.vertices[-1])
        for inner, outer, near, far in ((CARD_NIC, NIC_LEAF, target, source), (NIC_CARD, LEAF_NIC, source, target)):
            nic[near[kind == inner]] = load[kind == inner]
            load[kind == outer] = np.maximum(load[kind == outer], nic[far[kind == outer]])
        return load

    @cached_property
    def peak(self) -> tuple[float, int, int]:
        """Load of the busiest link, the first that has it, and how many have it."""
        if self.given is None or not len(self.given) or self.given.max() <= 0:
            return 0.0, -1, 0
        top = float(self.given.max())
        alike = self.given >= top * (1 - 1e-6)
        return top, int(alike.argmax()), int(alike.sum())

    def busiest(self, group: Ints, groups: int, links: NDArray[np.bool_]) -> tuple[Floats, Ints]:
        """Load of the busiest of some links with an end in each group of vertices, and that link, −1 for none."""
        load, link = np.zeros(groups), np.full(groups, -1)
        chosen = np.flatnonzero(links)
        for end in self.ends:
            here = group[end[chosen]]
            inside = here >= 0
            np.maximum.at(load, here[inside], self.load[chosen[inside]])
        for end in reversed(self.ends):
            here = group[end[chosen]]
            best = (here >= 0) & (self.load[chosen] >= load[here]) & (self.load[chosen] > 0)
            link[here[best][::-1]] = chosen[best][::-1]
        return load, link

    @property
    def scale_up(self) -> NDArray[np.bool_]:
        """Links inside nodes, shape ``[links]``."""
        return np.asarray(self.topology.kind <= LANE)

    @property
    def plugs(self) -> NDArray[np.bool_]:
        """Links between NICs and switches, shape ``[links]``."""
        return np.asarray((self.topology.kind == NIC_LEAF) | (self.topology.kind == LEAF_NIC))

    def bundles(self, thing: Ints, links: NDArray[np.bool_] | None = None) -> Iterator[Bundle]:
        """Gather links by the pair of things that they join.

        Parameters
        ----------
        thing : int array, shape ``[vertices]``
            What each vertex is drawn as, −1 for nothing.
        links : bool array, shape ``[links]``, or None
            Which links to look at; None for all.
        """
        a, b = (thing[end] for end in self.ends)
        keep = (a >= 0) & (b >= 0) & (a != b)
        chosen = np.flatnonzero(keep if links is None else keep & links)
        if not len(chosen):
            return
        a, b = a[chosen], b[chosen]
        low, high, back = np.minimum(a, b), np.maximum(a, b), (a > b).astype(np.int64)
        _, pair = np.unique(low * (thing.max() + 1) + high, return_inverse=True)
        count = int(pair.max()) + 1
        load, rate = self.load[chosen], self.topology.bandwidth[chosen]
        cables, rates, loads = np.zeros((count, 2), np.int64), np.zeros((count, 2)), np.zeros((count, 2))
        np.add.at(cables, (pair, back), 1)
        np.add.at(rates, (pair, back), rate)
        np.maximum.at(loads, (pair, back), load)
        # The first link with the largest load of its pair; written last to first, so that the first stays.
        best = load >= loads.max(axis=1)[pair]
        link, first = np.zeros(count, np.int64), np.zeros(count, np.int64)
        link[pair[best][::-1]] = chosen[best][::-1]
        first[pair[::-1]] = np.arange(len(chosen))[::-1]
        inside = self.scale_up[link]
        for i in range(count):
            forth, home = cables[i].tolist()
            yield Bundle(
                int(low[first[i]]), int(high[first[i]]), max(forth, home), float(rates[i].max()),
                float(loads[i, 0]), float(loads[i, 1]), int(link[i]), bool(inside[i]), (not home) - (not forth),
            )  # fmt: skip


def components(count: int, a: Ints, b: Ints) -> Ints:
    """Number the connected parts of a graph by their first vertex, shape ``[count]``."""
    label = np.arange(count)
    while True:
        low = np.minimum(label[a], label[b])
        fresh = label.copy()
        np.minimum.at(fresh, a, low)
        np.minimum.at(fresh, b, low)
        fresh = fresh[fresh]
        if np.array_equal(fresh, label):
            return np.unique(label, return_inverse=True)[1].astype(np.int64)
        label = fresh
