"""A cluster that is any graph: irregular, asymmetric, drawn by hand or exported by another tool.

Nothing is known about it but vertices and edges, so routes are searched and not computed: the way whose latencies and
sending times of one message of `REFERENCE` bytes add up to least. Any vertex passes traffic on, cards included. The
search runs on arrays for all sources that are asked for and is remembered; among ways that cost the same each
connection keeps to one, chosen by the seeded hash of its ends and its channel, as a switch does.

Ranks are vertices here too: cards come first, then switches of a node, then the others. Cards that share a ``node`` are
one scale-up group, for the software cost of a step; a card whose node is not stated is a node of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ringsim.topology.base import Topology, digest
from ringsim.topology.cuts import smallest_cuts
from ringsim.topology.kinds import Floats, Ints, TopologyError, flow

#: Bytes of the message by whose sending time ways are compared.
REFERENCE = 2**16

#: Ways whose costs differ by less than this part are equally good.
ALIKE = 1e-9

#: Numbers worked on at once while searching, and rows walked back at once.
BLOCK = 2**22
MOST_ROWS = 2**16

#: Up to so many vertices a smallest cut between cards is looked for.
MOST_CUT = 300


@dataclass(frozen=True, eq=False)
class GraphTopology(Topology):
    """A cluster read from a graph; `ringsim.topology.reading` makes it.

    Attributes
    ----------
    first_vertex, first_edge : tuple of int
        First vertex of each of `VERTEX_KINDS` and first link of each of `LINK_KINDS`, and the totals.
    source, target : int arrays, shape ``[links]``
    rate : float array, shape ``[links]``, bytes/s
    delay : float array, shape ``[links]``, seconds
    home : int array, shape ``[vertices]``
        Node of each vertex, −1 for none.
    names : tuple of str
        What the file calls each vertex.
    """

    first_vertex: tuple[int, ...] = ()
    first_edge: tuple[int, ...] = ()
    source: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    target: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    rate: Floats = field(default_factory=lambda: np.zeros(0))
    delay: Floats = field(default_factory=lambda: np.zeros(0))
    home: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    names: tuple[str, ...] = ()
    _found: dict[int, Floats] = field(default_factory=dict)

    @property
    def server_size(self) -> int:
        """Cards that share a chassis: those of a node."""
        return self.group

    @property
    def scale_up_kind(self) -> str:
        """Cards of a node reach each other somehow, which is all that ``switch`` promises."""
        return "switch"

    @property
    def vertices(self) -> tuple[int, ...]:
        """First vertex number of each of `VERTEX_KINDS`, and the total."""
        return self.first_vertex

    @property
    def first_link(self) -> tuple[int, ...]:
        """First link number of each of `LINK_KINDS`, and the total."""
        return self.first_edge

    @property
    def bandwidth(self) -> Floats:
        """Rate of each link in bytes/s, shape ``[links]``."""
        return self.rate

    @property
    def latency(self) -> Floats:
        """Latency of each link in seconds, shape ``[links]``."""
        return self.delay

    @property
    def scale_up_reduces(self) -> bool:
        """A graph says nothing about switches that add."""
        return False

    @property
    def network_reduces(self) -> bool:
        """A graph says nothing about switches that add."""
        return False

    def ends(self) -> tuple[Ints, Ints]:
        """Source and target vertex of every link, shape ``[links]`` each."""
        return self.source, self.target

    def node_of_vertex(self) -> Ints:
        """Node of each vertex; −1 for those between nodes."""
        return self.home

    def switch_of(self, card: Ints) -> Ints:
        """Vertex of the scale-up switch next to each rank, the first if there are several; −1 for none."""
        return self._beside(card, 1, 2)

    def leaf_of(self, card: Ints) -> Ints:
        """Vertex of the first switch between nodes next to each rank; −1 for none."""
        return self._beside(card, 3, 6)

    def _beside(self, card: Ints, low: int, high: int) -> Ints:
        wanted = (self.target >= self.vertices[low]) & (self.target < self.vertices[high])
        found = np.full(self.vertices[-1], -1)
        found[self.source[wanted][::-1]] = self.target[wanted][::-1]
        return found[card]

    def hardware(self) -> str:
        """SHA-256, in hex, of the graph and of the protocols that are used on it."""
        protocols = np.frombuffer(self.fabric.fingerprint().encode(), np.uint8)
        kinds = np.array([*self.first_vertex, *self.first_edge])
        return digest(protocols, self.source, self.target, self.rate, self.delay, self.home, kinds)

    # -- the search ----------------------------------------------------------------------------------------

    @cached_property
    def _cost(self) -> Floats:
        """Seconds by which ways are compared, shape ``[links]``."""
        return self.delay + REFERENCE / self.rate

    @cached_property
    def _by_target(self) -> Ints:
        """Links in the order of their targets, shape ``[links]``."""
        return np.argsort(self.target, kind="stable")

    def costs(self, sources: Ints) -> Floats:
        """Cost of the best way from each source to every vertex, shape ``[sources, vertices]``; infinity for none."""
        missing = np.array([s for s in np.unique(sources).tolist() if s not in self._found], np.int64)
        step = max(1, BLOCK // max(1, self.links))
        for low in range(0, len(missing), step):
            some = missing[low : low + step]
            self._found.update(zip(some.tolist(), self._search(some, self._cost), strict=True))
        return np.stack([self._found[s] for s in np.asarray(sources).tolist()])

    def _search(self, sources: Ints, cost: Floats) -> Floats:
        """Bellman and Ford's relaxation, of all links and sources at once, until nothing gets shorter.

        Vertices are rows while it works: what a link brings is then a row of numbers that lie side by side.
        """
        order = self._by_target
        found = np.full((self.vertices[-1], len(sources)), np.inf)
        found[sources, np.arange(len(sources))] = 0.0
        tail, weight, head = self.source[order], cost[order][:, None], self.target[order]
        active = np.zeros(len(found), bool)
        active[sources] = True
        while active.any():
            some = active[tail]
            ends, starts = np.unique(head[some], return_index=True)
            through = found[tail[some]]
            through += weight[some]
            better = np.minimum.reduceat(through, starts, axis=0)
            old = found[ends]
            np.minimum(better, old, out=better)
            found[ends] = better
            active[:] = False
            active[ends[(better < old).any(axis=1)]] = True
        return np.ascontiguousarray(found.T)

    def routes(self, source: Ints, target: Ints, channel: Ints) -> tuple[Ints, NDArray[np.int32]]:
        """Route every (source, target, channel), all at once.

        Raises
        ------
        TopologyError
            Where there is no way.
        """
        source, target, channel = (np.asarray(a, np.int64) for a in (source, target, channel))
        choice = flow(self.seed, source, target, channel)
        starts, which = np.unique(source, return_inverse=True)
        by_source = np.argsort(which, kind="stable")
        lengths = np.zeros(len(source), np.int64)
        parts: list[tuple[Ints, Ints]] = []
        step = max(1, BLOCK // max(1, self.links))
        for low in range(0, len(starts), step):
            begins, ways = self._ways_back(starts[low : low + step])
            block = by_source[slice(*np.searchsorted(which[by_source], [low, low + step]))]
            for first in range(0, len(block), MOST_ROWS):
                rows = block[first : first + MOST_ROWS]
                taken = self._walk(source[rows], target[rows], choice[rows], which[rows] - low, begins, ways)
                lengths[rows] = (taken >= 0).sum(axis=1)
                parts.append((rows, taken[taken >= 0]))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        links = np.empty(offsets[-1], np.int32)
        for rows, taken in parts:
            own = lengths[rows]
            links[np.arange(len(taken)) + np.repeat(offsets[rows] - np.cumsum(own) + own, own)] = taken
        return offsets, links

    def _ways_back(self, starts: Ints) -> tuple[Ints, Ints]:
        """Last links of the best ways from each of some sources to each vertex.

        Returns
        -------
        begins : int64 array, shape ``[starts · vertices + 1]``
        links : int64 array, shape ``[begins[-1]]``
            Those to vertex *v* from the *s*-th source begin at ``begins[s * vertices + v]``.
        """
        order = self._by_target
        cost = self.costs(starts)
        before, after = cost[:, self.source[order]], cost[:, self.target[order]]
        # The second condition keeps a walk from turning round where costs differ by next to nothing.
        good = (before + self._cost[order] <= after * (1 + ALIKE)) & (before < after)
        start, place = np.nonzero(good)
        ends = start * self.vertices[-1] + self.target[order[place]]
        count = np.bincount(ends, minlength=len(starts) * self.vertices[-1])
        return np.concatenate([[0], np.cumsum(count)]), order[place]

    def _walk(self, source: Ints, target: Ints, choice: Ints, which: Ints, begins: Ints, ways: Ints) -> Ints:
        """Walk back from the targets, all rows a link at a time; links in the order of travel, shape ``[rows, hops]``."""
        here = target.copy()
        columns: list[Ints] = []
        while (away := here != source).any():
            place = which * self.vertices[-1] + here
            low, count = begins[place], begins[place + 1] - begins[place]
            lost = away & (count == 0)
            if lost.any():
                row = int(lost.argmax())
                ends = self.name(int(source[row])), self.name(int(target[row]))
                raise TopologyError(f"there is no way from {ends[0]} to {ends[1]}")
            with np.errstate(over="ignore"):
                mixed = (choice + len(columns)).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            pick = (mixed >> np.uint64(33)).astype(np.int64) % np.maximum(count, 1)
            taken = np.where(away, ways[np.where(away, low + pick, 0)], -1)
            columns.append(taken)
            here = np.where(away, self.source[taken], here)
        return np.stack(columns[::-1], axis=1) if columns else np.full((len(source), 1), -1)

    def name(self, vertex: int) -> str:
        """Say which vertex it is, as people know it."""
        if vertex < self.cards:
            return f"card {vertex}" if self.names[vertex] == str(vertex) else f"card {vertex} ({self.names[vertex]})"
        return f"switch {self.names[vertex]}"

    # -- for bounds and for people -------------------------------------------------------------------------

    def areas(self) -> Iterator[tuple[str, list[Ints]]]:
        """Cards, nodes, and the sides of smallest cuts where the graph is small enough to look for them."""
        own = np.full(self.vertices[-1], -1)
        own[: self.cards] = np.arange(self.cards)
        yield "card", [own, self._with_neighbours(own)]
        if 1 < self.nodes < self.cards:
            node = np.where(np.arange(len(own)) < self.cards, self.home, -1)
            yield "node", [node, self._with_neighbours(node)]
        if self.vertices[-1] <= MOST_CUT:
            for side in smallest_cuts(self):
                yield "cut", [side]

    def _with_neighbours(self, label: Ints) -> Ints:
        """Draw the line round vertices too that lead to and from one group only, like a card's own NIC."""
        found = label.copy()
        for _ in range(2):
            a, b = found[self.source], found[self.target]
            others = np.flatnonzero(found < 0)
            low, high = np.full(len(found), len(found)), np.full(len(found), -2)
            for ends, beside in ((self.source, b), (self.target, a)):
                known = beside >= 0
                np.minimum.at(low, ends[known], beside[known])
                np.maximum.at(high, ends[known], beside[known])
            single = others[low[others] == high[others]]
            if not len(single):
                break
            found[single] = low[single]
        return found

    def nearest_news(self, source: int | None = None, target: int | None = None) -> float:
        """Seconds that news from some card takes to some other: from the first cards to the one farthest from each."""
        some = np.arange(min(self.cards, 64)) if source is None else np.array([source])
        to = slice(self.cards) if target is None else target
        return float(self._search(some, self.delay)[:, to].max())

    def wiring(self) -> tuple[str, str]:
        """Count the switches."""
        kinds = f"{self.vertices[-1] - self.cards:,} switches" if self.vertices[-1] > self.cards else "no switch"
        return f"a graph of {self.cards:,} cards and {kinds}", "routes by latency and bandwidth"
