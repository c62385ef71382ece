"""Algorithms: each a function that lays a schedule over a topology, listed by hand.

A new one is a function in a file of its own and one line in `COLLECTIVES`; every law in ``tests/laws`` then runs on it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from ringsim.collectives import all_to_all, bidirectional, bruck, exchange, nested, rooted, scattered, swing, torus
from ringsim.collectives.ahc import ahc, shares, widest
from ringsim.collectives.bruck import NB, NHR
from ringsim.collectives.direct import ONE_SHOT, TWO_SHOT
from ringsim.collectives.halving import HALVING_DOUBLING, RECURSIVE_DOUBLING
from ringsim.collectives.hierarchical import hierarchical
from ringsim.collectives.in_switch import in_switch
from ringsim.collectives.layout import most_chains, most_rings
from ringsim.collectives.pipeline import pipeline
from ringsim.collectives.ring import RING, RING_BY_CHUNK, ring
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import CollectiveError, Family, everyone
from ringsim.collectives.tree import depth, tree, trees
from ringsim.fabric import Protocol
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology

__all__ = ["ALGORITHMS", "COLLECTIVES", "Algorithm", "CollectiveError"]

#: Pieces of a pipeline: enough to fill it several times over, but none smaller than this many bytes.
SMALLEST_CHUNK = 32 * 1024


class Algorithm(NamedTuple):
    """How to build a schedule, and what to choose where the user does not.

    Attributes
    ----------
    build : (topology, channels, pieces) → Schedule
        `pieces` are slices of a ring's chunk, or chunks of a share that go through a pipeline.
    channels : topology → int
        The most channels that do not get in each other's way.
    rows : (topology, channels) → int
        Rows that `build` will make, roughly, to know beforehand what they take.
    pieces : (topology, channels, protocol, payload bytes) → int
        The default.
    piece : str
        What the field calls a piece: ``slices`` or ``chunks``.
    allotted : bool
        Whether NCCL knows it and divides scale-up links among its channels.
    auto : bool
        Whether ``auto`` tries it.
    adds_in_switch : bool
        Whether switches do the adding: that has another bound, and constants of its own.
    """

    build: Callable[[Topology, int, int], Schedule]
    channels: Callable[[Topology], int]
    rows: Callable[[Topology, int], int]
    pieces: Callable[[Topology, int, Protocol, float], int]
    piece: str
    allotted: bool = False
    auto: bool = False
    adds_in_switch: bool = False


def _ring_slices(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    return protocol.slices


def _tree_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    share = payload / trees(topology, channels)
    return max(1, min(8 * depth(topology), int(share // SMALLEST_CHUNK)))


#: Chunks that go through the stages of a hierarchy one behind the other.
MOST_CHUNKS = 16


def _few_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    return max(1, min(MOST_CHUNKS, int(payload / topology.group // SMALLEST_CHUNK)))


def _ahc_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    # Between nodes of unequal size a message already goes out in several pieces.
    most = max(1, MOST_CHUNKS // widest(topology))
    return min(most, _few_chunks(topology, channels, protocol, payload))


def _many_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    return max(1, min(32, int(payload / topology.group // SMALLEST_CHUNK)))


def _overlapping(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    # Steps inside nodes and steps between them are at work on different chunks; in one node they would share the links.
    return _few_chunks(topology, channels, protocol, payload) if topology.nodes > 1 else 1


def _one(*_: object) -> int:
    return 1


def _ring_rows(topology: Topology, channels: int) -> int:
    return channels * topology.cards


def _tree_rows(topology: Topology, channels: int) -> int:
    return 2 * trees(topology, channels) * (topology.cards - 1)


def _pairs(topology: Topology, channels: int) -> int:
    return topology.cards * topology.cards


def _log_rows(topology: Topology, channels: int) -> int:
    return bruck.rows(topology.cards)


def _pipeline_rows(topology: Topology, channels: int) -> int:
    return topology.cards * (2 * topology.group + 3)


def _ahc_rows(topology: Topology, channels: int) -> int:
    return 2 * topology.cards * topology.group + shares(topology) * bruck.rows(topology.nodes)


def _in_switch_rows(topology: Topology, channels: int) -> int:
    inside = 4 if topology.scale_up_reduces else 2 * topology.group
    return topology.nodes * topology.group * (inside + 6)


def _exchanges(topology: Topology, channels: int) -> int:
    return exchange.rows(topology.cards)


def _flat(family: Family, rows: Callable[[Topology, int], int]) -> Algorithm:
    """The family on one team of all cards, in the order of their ranks."""

    def build(topology: Topology, channels: int, chunks: int) -> Schedule:
        blocks = family.blocks(topology.cards)
        sketch = Sketch(topology.cards, blocks * chunks)
        family.all_reduce(sketch, everyone(topology.cards, blocks, chunks), None)
        return sketch.schedule()

    return Algorithm(build, _one, rows, _one, "chunks")


def _across(family: Family, each: Callable[[int], int] = lambda nodes: 16 * nodes) -> Algorithm:
    """The family between nodes, direct inside; `each` says how many rows a team across that many nodes has."""

    def build(topology: Topology, channels: int, chunks: int) -> Schedule:
        return hierarchical(topology, chunks, family)

    def rows(topology: Topology, channels: int) -> int:
        return 2 * topology.cards * topology.group + topology.group * each(topology.nodes)

    return Algorithm(build, _one, rows, _few_chunks, "chunks")


ALGORITHMS: dict[str, Algorithm] = {
    "ring": Algorithm(ring, most_rings, _ring_rows, _ring_slices, "slices", allotted=True, auto=True),
    "tree": Algorithm(tree, most_chains, _tree_rows, _tree_chunks, "chunks", allotted=True, auto=True),
    "two-shot": _flat(TWO_SHOT, lambda topology, channels: topology.cards * (2 * topology.cards - 1)),
    "one-shot": _flat(ONE_SHOT, _pairs),
    "nhr": _flat(NHR, _log_rows),
    "nb": _flat(NB, _log_rows),
    "hierarchical-nhr": _across(NHR, bruck.rows),
    "hierarchical-nb": _across(NB, bruck.rows),
    "pipeline": Algorithm(lambda topology, _, chunks: pipeline(topology, chunks), _one, _pipeline_rows, _one, "chunks"),
    "ahc": Algorithm(lambda topology, _, chunks: ahc(topology, chunks, NB), _one, _ahc_rows, _ahc_chunks, "chunks"),
    "in-switch": Algorithm(
        lambda topology, _, chunks: in_switch(topology, chunks),
        _one,
        _in_switch_rows,
        _many_chunks,
        "chunks",
        adds_in_switch=True,
    ),
    "halving-doubling": _flat(HALVING_DOUBLING, _exchanges)._replace(pieces=_overlapping),
    "recursive-doubling": _flat(RECURSIVE_DOUBLING, _exchanges)._replace(pieces=_overlapping),
    "bidirectional-ring": Algorithm(
        bidirectional.bidirectional_ring, bidirectional.most_pairs, bidirectional.rows, _ring_slices, "slices"
    ),
    "torus-ring": Algorithm(torus.torus_ring, torus.ways, torus.rows, _one, "slices"),
    "swing": Algorithm(swing.swing, swing.ways, swing.rows, _overlapping, "chunks"),
    "hierarchical-ring": _across(RING_BY_CHUNK),
    "hierarchical-halving-doubling": _across(HALVING_DOUBLING, exchange.rows),
    "hierarchical-recursive-doubling": _across(RECURSIVE_DOUBLING, exchange.rows),
    "hierarchical-swing": _across(swing.SWING, exchange.rows),
}


# -- other collectives -----------------------------------------------------------------------------------------


def _halves(gather: bool) -> dict[str, Algorithm]:
    """What reduce-scatter and all-gather have in common."""

    def over(
        grid: Callable[[Topology], Ints], families: Sequence[Family], rows: Callable[[Topology], int], piece: str
    ) -> Algorithm:
        """Over a grid of ranks, a family for each side; the last for all that are left."""

        def build(topology: Topology, channels: int, chunks: int) -> Schedule:
            ranks = grid(topology)
            each = [families[min(side, len(families) - 1)] for side in range(ranks.ndim)]
            return scattered.over_grid(ranks, each, chunks, gather=gather)

        pieces = _few_chunks if len(families) > 1 else _one
        return Algorithm(build, _one, lambda topology, _: topology.cards * rows(topology), pieces, piece)

    def steps(topology: Topology) -> int:
        return topology.cards.bit_length()

    def group_and_steps(topology: Topology) -> int:
        return topology.group + topology.nodes.bit_length() + 1

    rings = partial(scattered.over_rings, gather=gather)
    return {
        "ring": Algorithm(rings, most_rings, _ring_rows, _ring_slices, "slices", allotted=True, auto=True),
        "direct": over(scattered.line, [TWO_SHOT], lambda topology: topology.cards, "chunks"),
        "doubling" if gather else "halving": over(scattered.line, [HALVING_DOUBLING], steps, "chunks"),
        "hierarchical-ring": over(
            scattered.cards_by_nodes,
            [TWO_SHOT, RING_BY_CHUNK],
            lambda topology: topology.group + (1 if gather else 3 * MOST_CHUNKS),
            "chunks",
        ),
        "nhr": over(scattered.line, [NHR], steps, "chunks"),
        "nb": over(scattered.line, [NB], steps, "chunks"),
        "hierarchical-nhr": over(scattered.cards_by_nodes, [TWO_SHOT, NHR], group_and_steps, "chunks"),
        "hierarchical-nb": over(scattered.cards_by_nodes, [TWO_SHOT, NB], group_and_steps, "chunks"),
        "torus-ring": over(
            nested.grid, [RING], lambda topology: 2 * sum(map(len, nested.sides(topology))) - 1, "slices"
        ),
    }


def _rooted(reduces: bool) -> dict[str, Algorithm]:
    """What broadcast and reduce have in common."""

    def build(way: Callable[..., Schedule]) -> Callable[[Topology, int, int], Schedule]:
        return partial(way, reduces=reduces)

    def rows(topology: Topology, channels: int) -> int:
        return rooted.trees(topology, channels) * topology.cards

    def tree_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
        share = payload / rooted.trees(topology, channels)
        return max(1, min(8 * rooted.depth(topology), int(share // SMALLEST_CHUNK)))

    def ring_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
        return max(1, min(8 * topology.cards, int(payload / channels // SMALLEST_CHUNK)))

    def twice(topology: Topology, channels: int) -> int:
        return (2 * channels + 1) * topology.cards

    return {
        "ring": Algorithm(
            build(rooted.over_rings), most_rings, _ring_rows, ring_chunks, "chunks", allotted=True, auto=True
        ),
        "tree": Algorithm(build(rooted.over_trees), most_chains, rows, tree_chunks, "chunks", auto=True),
        "reduce-scatter-gather" if reduces else "scatter-all-gather": Algorithm(
            build(rooted.in_two_halves), most_rings, twice, _ring_slices, "slices"
        ),
    }


def _all_to_all(build: Callable[[Topology, int], Schedule], auto: bool = False) -> Algorithm:
    return Algorithm(lambda topology, _, chunks: build(topology, chunks), _one, _pairs, _one, "chunks", auto=auto)


#: Algorithms by collective.
COLLECTIVES: dict[str, dict[str, Algorithm]] = {
    "all-reduce": ALGORITHMS,
    "reduce-scatter": _halves(gather=False),
    "all-gather": _halves(gather=True),
    "broadcast": _rooted(reduces=False),
    "reduce": _rooted(reduces=True),
    "all-to-all": {"direct": _all_to_all(all_to_all.direct, auto=True), "pairwise": _all_to_all(all_to_all.pairwise)},
}
