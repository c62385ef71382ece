"""What links carry when cards talk: the one measure by which forests and tours are laid along a network.

An algorithm that looks at the network asks two things of it: which links lie between two cards, and how full they get.
The fullest link decides how long a large vector takes, but whoever looks at that one alone sees no way to improve while
two are equally full. So fullness is summed up as eighth powers of the links' sending times: nearly all of the sum is in
the fullest links, and each little by which one of them is relieved counts. (F. Shahrokhi, D. Matula, "The maximum
concurrent flow problem", 1990, take exponentials for the same end.)
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ringsim.collectives.algorithm import SMALLEST_CHUNK
from ringsim.collectives.teams import CollectiveError
from ringsim.topology import Topology

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Links = NDArray[np.int32]

#: Beyond so many cards the search takes minutes.
MOST_CARDS = 256


@dataclass(frozen=True)
class Known:
    """A topology by its numbers, so that what took long to find is found once for all that are alike."""

    topology: Topology = field(compare=False)
    hardware: str
    cards: int
    group: int
    seed: int


def known(topology: Topology, name: str) -> Known:
    """Make a key for what is remembered of a topology.

    Raises
    ------
    CollectiveError
        If `name`, an algorithm, would search for too long.
    """
    if topology.cards > MOST_CARDS:
        raise CollectiveError(
            f"{name} is looked for on up to {MOST_CARDS} cards, here are {topology.cards}; use ring or tree"
        )
    return Known(topology, topology.hardware(), topology.cards, topology.group, topology.seed)


@dataclass(frozen=True, eq=False)
class Ways:
    """Routes between all cards on one channel.

    Attributes
    ----------
    links : int32 array, shape ``[cards, cards, hops]``
        Links on the way from one card to another, filled up with a link behind the last of the topology, which takes no
        time.
    near : bool array, shape ``[cards, cards]``
        Pairs of different cards with no third one on the way.
    """

    links: Links
    near: NDArray[np.bool_]

    def short(self) -> "Ways":
        """Only the ways between near cards; the others are empty.

        Who sends past a card might as well stop there: it takes the same links, and one more card is reached.
        """
        width = int((self.links[self.near] < self.links.max()).sum(axis=1).max())
        return Ways(np.where(self.near[:, :, None], self.links[:, :, :width], self.links.max()), self.near)


def ways(topology: Topology, channel: int) -> Ways:
    """Route every card to every other."""
    p = topology.cards
    source, target = np.nonzero(~np.eye(p, dtype=bool))
    offsets, links = topology.routes(source, target, np.full(len(source), channel))
    row = np.repeat(np.arange(len(source)), np.diff(offsets))
    place = np.arange(len(links)) - offsets[row]
    found = np.full((p, p, int(place.max()) + 1), topology.links, np.int32)
    found[source[row], target[row], place] = links
    reached = topology.ends()[1][links]
    near = ~np.eye(p, dtype=bool)
    passes = (reached < p) & (reached != target[row])
    near[source[row[passes]], target[row[passes]]] = False
    return Ways(found, near)


def sending(topology: Topology) -> Floats:
    """Seconds for which a byte keeps each link busy, and none for the one behind the last, shape ``[links + 1]``."""
    return np.append(1 / topology.bandwidth, 0.0)


def strain(load: Floats) -> Floats:
    """Eighth powers."""
    square = load * load
    fourth = square * square
    return fourth * fourth


def passing(topology: Topology) -> Floats:
    """Seconds that a chunk of `SMALLEST_CHUNK` bytes takes over each link, shape ``[links + 1]``."""
    return np.append(topology.latency, 0.0) + SMALLEST_CHUNK * sending(topology)


def floor(topology: Topology) -> float:
    """Seconds for each byte of a vector that no forest or ring goes below: what cards send and get, alone and together."""
    p = topology.cards
    out, into = (np.bincount(ends, topology.bandwidth, p)[:p] for ends in topology.ends())
    together = 2 * (p - 1)
    return float(max(1 / out.min(), 1 / into.min(), together / out.sum(), together / into.sum()))
