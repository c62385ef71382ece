"""The search for tours: orders in which rings visit all cards, laid so that no link gets fuller than it must.

A ring loads the links on the way from each card to the next, in one direction; the same order backwards loads the other.
Every tour begins as the way that always goes on to the card to which it strains the network least, or as the tour before
backwards. Then a stretch of it is turned round, or up to three cards move elsewhere in it, whichever relieves the network
most, until nothing does (2-opt and or-opt: G. Croes, 1958; I. Or, 1976). Which links are full changes with every step, so
a step is chosen by what the links' load costs now and taken only if it holds what it promises.

There are no more tours than can keep out of each other's way. A ring waits for itself all the way round, and where several
share links the least delay of one comes back to it larger from the others: such times would say nothing.

Some tours are known: the rings that `layout` has for nodes of a data sheet, and those of `hamilton` for any full mesh.
"""

from typing import NamedTuple

import numpy as np

from ringsim.collectives import hamilton, layout
from ringsim.collectives.packing import Floats, Ints, Links, floor, passing, sending, strain, ways
from ringsim.topology import Topology

#: Cards that move together, at most, and steps that are looked at before giving up.
MOST_MOVED, LOOKS = 3, 80

#: What the way counts beside the load: next to nothing, but it decides between tours that load links alike.
WAY = 1e-4

#: What is less by no more than this part is not less.
EQUAL = 1e-9

#: Tours whose fullest link is within this part of what no others go below need no more beside them.
NEARLY = 0.01


class Tours(NamedTuple):
    """Rings with equal shares of the vector.

    Attributes
    ----------
    orders : int array, shape ``[tours, cards]``
        Cards in the order of the visit.
    seconds : float
        For each byte of the vector, on the link that takes longest.
    """

    orders: Ints
    seconds: float


def toured(topology: Topology, most: int) -> list[Tours]:
    """Find 1, 2, … tours: the known ones, or up to `most` others if these take less time."""
    known = layout.ring_orders(topology, layout.most_rings(topology))
    if _is_mesh(topology):
        known = np.array(hamilton.mesh_cycles(topology.cards), np.int64)
    families = [_searched(topology, most), [_tours(topology, known[:count]) for count in range(1, len(known) + 1)]]
    return min(families, key=lambda family: min(tours.seconds for tours in family))


def _is_mesh(topology: Topology) -> bool:
    """Whether each card has a link to each other, all are equal and there is nothing else."""
    source, target = topology.ends()
    pairs = len(np.unique(source * topology.vertices[-1] + target))
    whole = topology.links == pairs == topology.cards * (topology.cards - 1) and topology.vertices[-1] == topology.cards
    return bool(whole and (topology.bandwidth == topology.bandwidth[0]).all())


def _searched(topology: Topology, most: int) -> list[Tours]:
    touring = _Touring(topology)
    touring.another()
    found = [_tours(topology, np.stack(touring.orders))]
    while len(found) < most and found[-1].seconds > floor(topology) * (1 + NEARLY):
        touring.another()
        orders = np.stack(touring.orders)
        if not _apart(topology, orders):
            break
        found.append(_tours(topology, orders))
    return found


def _tours(topology: Topology, orders: Ints) -> Tours:
    """Time tours: a ring sends its share of the vector 2(p − 1)/p times over each hop."""
    count, cards = orders.shape
    _, links = _routes(topology, orders)
    hops = (np.bincount(links, minlength=topology.links) / topology.bandwidth).max()
    return Tours(orders, float(2 * (cards - 1) / cards / count * hops))


def _apart(topology: Topology, orders: Ints) -> bool:
    """Whether no link could be filled by what all hops on it can send at most."""
    offsets, links = _routes(topology, orders)
    least = np.minimum.reduceat(topology.bandwidth[links], offsets[:-1])
    wanted = np.bincount(links, np.repeat(least, np.diff(offsets)), topology.links)
    return bool((wanted <= topology.bandwidth * (1 + EQUAL)).all())


def _routes(topology: Topology, orders: Ints) -> tuple[Ints, Links]:
    """Route all hops of all tours."""
    channel = np.repeat(np.arange(len(orders)), orders.shape[1])
    return topology.routes(orders.ravel(), np.roll(orders, -1, axis=1).ravel(), channel)


class _Touring:
    """Tours beside each other, each on the channel of its number, and how full all of them make each link.

    `load` is in hops that cross the slowest link.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology, self.cards = topology, topology.cards
        self.sending, self.passing = sending(topology), passing(topology)
        self.sending /= self.sending.max()
        self.passing *= WAY / (self.passing.max() * self.cards)
        self.load = np.zeros(len(self.sending))
        self.orders, self.links = list[Ints](), list[Links]()

    def another(self) -> None:
        """Find one more tour, and better ones instead of the others."""
        number = len(self.orders)
        self.links.append(ways(self.topology, number).links)
        begin = [self._nearest(number), *(order[::-1].copy() for order in self.orders[-1:])]
        self.orders.append(min((self._improved(number, order) for order in begin), key=lambda o: self._cost(number, o)))
        self._put(number, 1)
        for number in range(len(self.orders)):
            self._put(number, -1)
            self.orders[number] = self._improved(number, self.orders[number])
            self._put(number, 1)

    def _put(self, number: int, times: int) -> None:
        self.load += times * self._alone(number, self.orders[number])

    def _hops(self, number: int, order: Ints) -> Links:
        """Links from each card to the next, shape ``[cards, hops]``."""
        hops: Links = self.links[number][order, np.roll(order, -1)]
        return hops

    def _alone(self, number: int, order: Ints) -> Floats:
        """Load of one tour."""
        alone: Floats = np.bincount(self._hops(number, order).ravel(), minlength=len(self.load)) * self.sending
        return alone

    def _cost(self, number: int, order: Ints) -> float:
        """What a tour costs beside the others."""
        full = strain(self.load + self._alone(number, order)).sum()
        return float(full + self.passing[self._hops(number, order)].sum())

    def _prices(self, number: int, order: Ints | None = None) -> Floats:
        """What the way from each card to each would cost, or costs if it is on a tour, shape ``[cards, cards]``."""
        load = self.load if order is None else self.load + self._alone(number, order)
        more = strain(load + self.sending) - strain(load) + self.passing
        prices: Floats = more[self.links[number]].sum(axis=2)
        if order is not None:
            less = strain(load) - strain(load - self.sending) + self.passing
            prices[order, np.roll(order, -1)] = less[self._hops(number, order)].sum(axis=1)
        return prices

    def _nearest(self, number: int) -> Ints:
        """Go from card to the nearest card not yet visited."""
        prices = self._prices(number)
        np.fill_diagonal(prices, np.inf)
        order = [0]
        while len(order) < self.cards:
            prices[:, order[-1]] = np.inf
            order.append(int(prices[order[-1]].argmin()))
        return np.array(order)

    def _improved(self, number: int, order: Ints) -> Ints:
        """Take step after step until none helps."""
        cost = self._cost(number, order)
        while True:
            gains = _steps(self._prices(number, order)[order][:, order])
            for _ in range(LOOKS):
                kind, here, there = np.unravel_index(int(gains.argmin()), gains.shape)
                gains[kind, here, there] = np.inf
                changed = _stepped(order, int(kind), int(here), int(there))
                if (less := self._cost(number, changed)) < cost * (1 - EQUAL):
                    order, cost = changed, less
                    break
            else:
                return order


def _steps(price: Floats) -> Floats:
    """What every step would cost more, by the prices between places of the tour.

    Parameters
    ----------
    price : float array, shape ``[cards, cards]``

    Returns
    -------
    float array, shape ``[1 + MOST_MOVED, cards, cards]``
        Plane 0: turn round what follows place *i* up to place *j*. Plane *n*: move the *n* cards from place *i* on behind
        place *j*. Infinite where that is no step.
    """
    cards = len(price)
    place = np.arange(cards)
    after, ahead = (place + 1) % cards, (place[None, :] - place[:, None]) % cards
    on = price[place, after]
    more = np.full((1 + MOST_MOVED, cards, cards), np.inf)
    back = np.concatenate([[0.0], np.cumsum(price[place[1:], place[:-1]] - on[:-1])])
    turned = price + price[np.ix_(after, after)] - on[:, None] - on[None, :] + back[None, :] - back[after][:, None]
    turns = (place[None, :] > place[:, None] + 1) & (place[:, None] < cards - 1)
    more[0, turns] = turned[turns]
    for count in range(1, min(MOST_MOVED, cards - 2) + 1):
        before, last, behind = place - 1, (place + count - 1) % cards, (place + count) % cards
        closed = price[before, behind] - on[before] - on[last]
        moved = closed[:, None] + price.T + price[np.ix_(last, after)] - on[None, :]
        moves = (ahead >= count) & (ahead < cards - 1)
        more[count, moves] = moved[moves]
    return more


def _stepped(order: Ints, kind: int, here: int, there: int) -> Ints:
    """Take one of those steps."""
    if not kind:
        return np.concatenate([order[: here + 1], order[here + 1 : there + 1][::-1], order[there + 1 :]])
    turned = np.roll(order, -here)
    last = (there - here) % len(order) + 1
    return np.concatenate([turned[kind:last], turned[:kind], turned[last:]])
