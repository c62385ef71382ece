"""Ways through a node that share no link: what decides how many rings a node can carry at full speed.

A ring enters a node on one card, visits all of them and leaves on another; several rings should do so without
meeting on a directed link, and each should enter and leave on cards of its own so that every NIC carries one.
Where a single node is the whole cluster the ring closes inside it instead. Both are old questions about
Hamiltonian paths and cycles of complete graphs; the constructions below are Walecki's (1890s, see B. Alspach, "The
wonderful Walecki construction", 2008) and, for eight cards, one of the decompositions that T. Tillson showed to
exist for every even n ≥ 8 ("A Hamiltonian decomposition of K*2m", 1980), found by exhaustive search.

Four cards cannot be decomposed into three directed cycles and six not into five: that is a theorem, not a gap here.
"""

from collections.abc import Sequence
from functools import lru_cache

#: Local card numbers in the order of visit.
Path = tuple[int, ...]

# Seven directed cycles that use each of the 56 lanes between eight cards exactly once.
_TILLSON_8: tuple[Path, ...] = (
    (0, 1, 5, 4, 2, 7, 3, 6),
    (0, 3, 1, 6, 4, 7, 2, 5),
    (0, 2, 3, 5, 6, 7, 1, 4),
    (0, 6, 2, 4, 3, 7, 5, 1),
    (0, 5, 7, 6, 3, 4, 1, 2),
    (0, 4, 6, 5, 3, 2, 1, 7),
    (0, 7, 4, 5, 2, 6, 1, 3),
)


def _zigzag(start: int, n: int) -> Path:
    """Visit start, start+1, start−1, start+2, … modulo n: every difference once, so rotations never share a lane."""
    return tuple((start + (step + 1) // 2 * (1 if step % 2 else -1)) % n for step in range(n))


def _both_ways(cycles: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(direction for cycle in cycles for direction in (cycle, cycle[::-1]))


@lru_cache
def mesh_cycles(n: int) -> tuple[Path, ...]:
    """Directed Hamiltonian cycles of a full mesh that share no lane.

    n − 1 of them use every lane for odd n and for n = 8. Otherwise n − 2 do (two for n = 4): the undirected
    graph without a perfect matching, each cycle both ways round.
    """
    if n == 2:
        return ((0, 1),)
    return _TILLSON_8 if n == 8 else _both_ways(mesh_circuits(n))


@lru_cache
def mesh_circuits(n: int) -> tuple[Path, ...]:
    """Hamiltonian cycles of a full mesh of 3 or more that share no lane, whichever way round each is gone.

    (n − 1)/2 of them use every lane for odd n; (n − 2)/2 for even n leave a perfect matching.
    """
    if n % 2:
        hub, rim = n - 1, n - 1
        return tuple((hub, *_zigzag(i, rim)) for i in range(rim // 2))
    # Two hubs: one closes the zigzag, the other sits in its middle, on the lane that spans half the rim.
    rim = n - 2
    zigzags = [_zigzag(i, rim) for i in range(rim // 2)]
    return tuple((n - 2, *z[: rim // 2], n - 1, *z[rim // 2 :]) for z in zigzags)


@lru_cache
def mesh_paths(n: int) -> tuple[Path, ...]:
    """Directed Hamiltonian paths of a full mesh that share no lane and no first and no last card.

    For even n the n zigzags: path i ends on card i + n/2, where its own reverse begins. For odd n the n − 1
    directed cycles, each undirected one cut in its middle: that lane spans half the rim, so no card is cut twice.
    """
    if n <= 2:
        return tuple((i, 1 - i)[:n] for i in range(n))
    if n % 2 == 0:
        return tuple(_zigzag(i, n) for i in range(n))
    half = n // 2 + 1
    return _both_ways([cycle[half:] + cycle[:half] for cycle in mesh_cycles(n)[::2]])


def rotations(n: int) -> tuple[Path, ...]:
    """Where any order is as good as any other (a switch): n orders that begin on different cards."""
    return tuple(tuple((i + k) % n for k in range(n)) for i in range(n))


def snake(shape: tuple[int, ...]) -> tuple[Path, ...]:
    """Boustrophedon through a torus and back again: consecutive cards are neighbours."""
    rows: list[Path] = [()]
    for extent in shape:
        rows = [
            (*row, k)
            for i, row in enumerate(rows)
            for k in (range(extent) if i % 2 == 0 else range(extent - 1, -1, -1))
        ]
    cards = []
    for coordinates in rows:
        card = 0
        for k, extent in zip(coordinates, shape, strict=True):
            card = card * extent + k
        cards.append(card)
    return (tuple(cards), tuple(cards[::-1])) if len(cards) > 2 else (tuple(cards),)


def snake_cycles(shape: tuple[int, ...]) -> tuple[Path, ...]:
    """The same as rings: both ways round where the last card is a neighbour of the first, otherwise one way."""
    ways = snake(shape)
    end = [0] * len(shape)
    place = ways[0][-1]
    for d in range(len(shape) - 1, -1, -1):
        place, end[d] = divmod(place, shape[d])
    away = sum(min(at, extent - at) for at, extent in zip(end, shape, strict=True))
    return ways if away == 1 else ways[:1]
