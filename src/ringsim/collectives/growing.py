"""The search for a forest: trees that grow through a network beside each other and give way where links are full.

A tree for an all-reduce is two: one along which every card sends its sums towards the root, and one along which the root's
total comes back. Each spans all cards, each edge is a route, and a link is as full as edges of all trees cross it. Wanted
are trees whose fullest link is as empty as can be, and among those shallow ones:

* a new tree *grows* from the root, always by the edge that strains the network least (after R. Prim, 1957), a little less
  eagerly where it is deep;
* then every card of every tree in turn looks for a better parent, and goes to one that is exactly as good, too. Without the
  second a cable that is one edge too full beside one that is just right would stay so for ever; with it the surplus
  wanders until it finds room;
* what was best is made *shallower*: cards look for parents again, where the fullest link gets no fuller.

Nothing is drawn by lot: ties go to the next rank after the present parent.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.collectives.packing import Floats, Ints, Links, floor, passing, sending, strain, ways
from ringsim.topology import Topology

#: By what part an edge counts more for each step that its upper end is away from the root.
PREFERENCE = 0.05

#: Rounds in which every card of every tree looks for another parent, fewer where there are many cards.
LEAST_ROUNDS, MOST_ROUNDS, LOOKS = 2, 8, 400

#: What differs by less than this part is equal.
EQUAL = 1e-6

#: A forest whose fullest link is within this part of what no forest goes below need not grow further.
NEARLY = 0.03


class Forest(NamedTuple):
    """Trees with equal shares of the vector.

    Attributes
    ----------
    up, down : int arrays, shape ``[trees, cards]``
        Parent of each card on the way up and on the way down, −1 at the root.
    seconds : float
        For each byte of the vector, on the link that takes longest.
    depth : int
        Steps from the farthest card up to the root and from there down to the farthest.
    """

    up: Ints
    down: Ints
    seconds: float
    depth: int


class Wish(NamedTuple):
    """What a card looks for in a parent.

    Attributes
    ----------
    value : (strain, depth) → number
        For each parent, from the strain that the edge to it would add and the parent's depth; the least is best.
    alike : bool
        Whether to change to what is as good as before, too.
    """

    value: Callable[[Floats, Ints], Floats]
    alike: bool = False


BALANCED = Wish(lambda added, depth: added, alike=True)
SETTLED = Wish(lambda added, depth: added * (1 + depth))
SHALLOW = Wish(lambda added, depth: depth.astype(np.float64))


def grown(topology: Topology, most: int) -> list[Forest]:
    """Find forests of 1, 2, … trees, up to `most` or until the last is as good as any.

    Each begins with what the one before had come to.
    """
    growing, found = _Growing(topology), list[Forest]()
    rounds = int(np.clip(LOOKS // topology.cards, LEAST_ROUNDS, MOST_ROUNDS))
    enough = floor(topology) * (1 + NEARLY)
    while len(found) < most and (not found or found[-1].seconds > enough):
        growing.plant()
        best, kept = growing.load.max(), [parent.copy() for parent in growing.parents]
        for _ in range(rounds):
            growing.rearrange(BALANCED)
            if growing.load.max() < best * (1 - EQUAL):
                best, kept = growing.load.max(), [parent.copy() for parent in growing.parents]
        wandering = growing.parents
        growing.take(kept)
        for wish in (SETTLED, SHALLOW):
            for _ in range(LEAST_ROUNDS):
                growing.rearrange(wish, best * (1 + EQUAL))
        found.append(growing.forest())
        growing.take(wandering)
    return found


class _Growing:
    """Trees in pairs, one down and one up, and how full all of them make each link.

    Trees are numbered 0 (down), 1 (up), 2 (down), …, and so are their channels, on which routes may depend. `load` is in
    edges that cross the slowest link.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology, self.cards = topology, topology.cards
        self.sending = sending(topology)
        self.slowest = self.sending.max()
        self.sending /= self.slowest
        self.load = np.zeros(len(self.sending))
        self.parents = list[Ints]()
        # The root is where the farthest card is nearest, there and back.
        away = passing(topology)[ways(topology, 0).links].sum(axis=2)
        self.root = int((away.max(axis=0) + away.max(axis=1)).argmin())
        # For each tree, by child, hop and parent: the link on the way down to the child, or up from it, and its part of
        # `load`; and by child and parent whether they are near.
        self.links, self.cost, self.near = list[Links](), list[Floats](), list[NDArray[np.bool_]]()

    def plant(self) -> None:
        """Let a pair of trees grow."""
        for tree in len(self.parents), len(self.parents) + 1:
            found, up = ways(self.topology, tree).short(), bool(tree % 2)
            self.links.append(np.ascontiguousarray(found.links.transpose((0, 2, 1) if up else (1, 2, 0))))
            self.cost.append(self.sending[self.links[tree]])
            self.near.append(np.ascontiguousarray(found.near if up else found.near.T))
            self.parents.append(self._grow(tree))

    def _grow(self, tree: int) -> Ints:
        """Reach card after card from the root, always by the edge that adds least."""
        links, cost, near = self.links[tree], self.cost[tree], self.near[tree]
        parent, depth = np.full(self.cards, -1), np.zeros(self.cards, np.int64)
        outside = np.ones(self.cards, bool)
        # What the edge from each card inside to each outside would add when it was last looked at. That only rises, so
        # what is still least when it is looked at again is the least of all.
        seen = np.full((self.cards, self.cards), np.inf)

        def look(card: int) -> None:
            load, more = self.load[links[:, :, card]], cost[:, :, card]
            added = (strain(load + more) - strain(load)).sum(axis=1) * (1 + PREFERENCE * depth[card])
            seen[card] = np.where(outside & near[:, card], added, np.inf)

        outside[self.root] = False
        look(self.root)
        while outside.any():
            above, card = divmod(int(seen.argmin()), self.cards)
            before = seen[above, card]
            look(above)
            if seen[above, card] > before * (1 + EQUAL):
                continue
            parent[card], depth[card], outside[card] = above, depth[above] + 1, False
            seen[:, card] = np.inf
            self.load[links[card, :, above]] += cost[card, :, above]
            look(card)
        return parent

    def rearrange(self, wish: Wish, ceiling: float = np.inf) -> None:
        """Let every card of every tree choose its parent anew, one after the other.

        Parameters
        ----------
        wish : Wish
        ceiling : float
            What no link on a new way may be loaded beyond.
        """
        for links, cost, near, parent in zip(self.links, self.cost, self.near, self.parents, strict=True):
            depth = depths(parent)
            for card in np.flatnonzero(parent >= 0).tolist():
                old = int(parent[card])
                self.load[links[card, :, old]] -= cost[card, :, old]
                load = self.load.take(links[card])
                then = load + cost[card]
                value = wish.value((strain(then) - strain(load)).sum(axis=0), depth)
                value[~near[card]] = np.inf
                if ceiling < np.inf:
                    value[then.max(axis=0) > ceiling] = np.inf
                new = _better(value, parent, card, alike=wish.alike)
                self.load[links[card, :, new]] += cost[card, :, new]
                if new != old:
                    parent[card] = new
                    depth = depth if wish.alike else depths(parent)
        self.take(self.parents)

    def take(self, parents: list[Ints]) -> None:
        """Go on with these trees, as many as there are; loads are added up anew, which forgets what rounding lost."""
        self.parents = parents
        self.load[:] = 0
        for links, cost, parent in zip(self.links, self.cost, parents, strict=True):
            card = np.flatnonzero(parent >= 0)
            np.add.at(self.load, links[card, :, parent[card]], cost[card, :, parent[card]])

    def forest(self) -> Forest:
        """Write down what has grown."""
        down, up = np.stack(self.parents[::2]), np.stack(self.parents[1::2])
        far = max(int(depths(a).max() + depths(b).max()) for a, b in zip(up, down, strict=True))
        return Forest(up, down, float(self.load.max() * self.slowest / len(up)), far)


def _better(value: Floats, parent: Ints, card: int, *, alike: bool) -> int:
    """Find the parent of least value that is not below the card itself; the present one unless another is better."""
    old, cards = int(parent[card]), len(parent)
    limit, value[old] = value[old], np.inf
    some = np.flatnonzero(value <= limit * (1 + (EQUAL if alike else -EQUAL)))
    if not len(some):
        return old
    turn = np.rint(value[some] / (limit * EQUAL)) * cards + (some - old) % cards
    for _ in some:
        first = int(turn.argmin())
        above = new = int(some[first])
        while above >= 0 and above != card:
            above = int(parent[above])
        if above < 0:
            return new
        turn[first] = np.inf
    return old


def depths(parent: Ints) -> Ints:
    """Steps from each card to the root, shape ``[cards]``."""
    depth, above = (parent >= 0).astype(np.int64), np.where(parent >= 0, parent, np.arange(len(parent)))
    for _ in range(len(parent).bit_length()):
        # Of a way twice as long each time.
        depth += depth[above]
        above = above[above]
    return depth
