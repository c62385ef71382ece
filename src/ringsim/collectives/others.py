"""Reduce-scatter, all-gather, broadcast, reduce and all-to-all: what falls out of the parts of an all-reduce."""

from collections.abc import Callable, Sequence
from functools import partial

from ringsim.collectives import all_to_all, nested, rooted, scattered
from ringsim.collectives.algorithm import (
    MOST_CHUNKS,
    SMALLEST_CHUNK,
    Algorithm,
    chunks,
    one,
    pairs,
    ring_rows,
    slices,
)
from ringsim.collectives.bruck import NB, NHR
from ringsim.collectives.direct import TWO_SHOT
from ringsim.collectives.halving import HALVING_DOUBLING
from ringsim.collectives.layout import most_chains, most_rings
from ringsim.collectives.ring import RING, RING_BY_CHUNK
from ringsim.collectives.teams import Family
from ringsim.fabric import Protocol
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology


def halves(*, gather: bool) -> dict[str, Algorithm]:
    """What reduce-scatter and all-gather have in common."""

    def over(
        grid: Callable[[Topology], Ints],
        families: Sequence[Family],
        rows: Callable[[Topology], int],
        about: str,
        piece: str = "chunks",
    ) -> Algorithm:
        """Over a grid of ranks, a family for each side; the last for all that are left."""

        def build(topology: Topology, channels: int, pieces: int) -> Schedule:
            ranks = grid(topology)
            each = [families[min(side, len(families) - 1)] for side in range(ranks.ndim)]
            return scattered.over_grid(ranks, each, pieces, gather=gather)

        default = chunks if len(families) > 1 else one
        return Algorithm(build, one, lambda topology, _: topology.cards * rows(topology), default, piece, about=about)

    def steps(topology: Topology) -> int:
        return topology.cards.bit_length()

    def group_and_steps(topology: Topology) -> int:
        return topology.group + topology.nodes.bit_length() + 1

    def group_and_ring(topology: Topology) -> int:
        return topology.group + (1 if gather else 3 * MOST_CHUNKS)

    def sides(topology: Topology) -> int:
        return 2 * sum(map(len, nested.sides(topology))) - 1

    nodes = scattered.cards_by_nodes
    return {
        "ring": Algorithm(
            partial(scattered.over_rings, gather=gather), most_rings, ring_rows, slices, "slices",
            allotted=True, auto=True, about="once round as many rings as share no lane, NIC or rail",
        ),
        "direct": over(scattered.line, [TWO_SHOT], lambda topology: topology.cards, "everybody to everybody at once"),
        "doubling" if gather else "halving": over(
            scattered.line, [HALVING_DOUBLING], steps, "with log2 p partners; p a power of two"
        ),
        "nhr": over(scattered.line, [NHR], steps, "HCCL's NHR: ⌈log2 p⌉ steps"),
        "nb": over(scattered.line, [NB], steps, "HCCL's NB: ⌈log2 p⌉ steps"),
        "hierarchical-ring": over(nodes, [TWO_SHOT, RING_BY_CHUNK], group_and_ring, "direct in nodes, rings across"),
        "hierarchical-nhr": over(nodes, [TWO_SHOT, NHR], group_and_steps, "direct in nodes, NHR across"),
        "hierarchical-nb": over(nodes, [TWO_SHOT, NB], group_and_steps, "direct in nodes, NB across"),
        "torus-ring": over(nested.grid, [RING], sides, "a ring along each side of a torus or grid", "slices"),
    }  # fmt: skip


def from_or_to_root(*, reduces: bool) -> dict[str, Algorithm]:
    """What broadcast and reduce have in common."""

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
            partial(rooted.over_rings, reduces=reduces), most_rings, ring_rows, ring_chunks, "chunks",
            allotted=True, auto=True, about="along rings, chunk behind chunk",
        ),
        "tree": Algorithm(
            partial(rooted.over_trees, reduces=reduces), most_chains, rows, tree_chunks, "chunks", auto=True,
            about="along both binary trees, chunk behind chunk",
        ),
        "reduce-scatter-gather" if reduces else "scatter-all-gather": Algorithm(
            partial(rooted.in_two_halves, reduces=reduces), most_rings, twice, slices, "slices",
            about="a reduce-scatter, then every part to the root" if reduces else "a part to everybody, then an all-gather",
        ),
    }  # fmt: skip


def everybody() -> dict[str, Algorithm]:
    """All-to-all."""

    def of(build: Callable[[Topology, int], Schedule], about: str, *, auto: bool = False) -> Algorithm:
        return Algorithm(
            lambda topology, _, pieces: build(topology, pieces), one, pairs, one, "chunks", auto=auto, about=about
        )

    return {
        "direct": of(all_to_all.direct, "everything at once", auto=True),
        "pairwise": of(all_to_all.pairwise, "p − 1 steps, in step s with the rank s further on"),
    }
