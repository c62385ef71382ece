"""Collectives: algorithms by name, each a function that lays a schedule over a topology, listed by hand.

A new one is a function in a file of its own and one entry in `all_reduces` or `others`; every law in ``tests/laws`` then
runs on it.
"""

from ringsim.collectives.algorithm import SMALLEST_CHUNK, Algorithm
from ringsim.collectives.all_reduces import ALGORITHMS
from ringsim.collectives.others import everybody, from_or_to_root, halves
from ringsim.collectives.teams import CollectiveError

__all__ = ["ALGORITHMS", "COLLECTIVES", "SMALLEST_CHUNK", "Algorithm", "CollectiveError"]

#: Algorithms by collective.
COLLECTIVES: dict[str, dict[str, Algorithm]] = {
    "all-reduce": ALGORITHMS,
    "reduce-scatter": halves(gather=False),
    "all-gather": halves(gather=True),
    "broadcast": from_or_to_root(reduces=False),
    "reduce": from_or_to_root(reduces=True),
    "all-to-all": everybody(),
}
