"""All-reduce: every algorithm there is, with what to choose where the user does not, one entry each."""

from collections.abc import Callable
from functools import partial

from ringsim.collectives import bidirectional, bruck, exchange, forest, multiplying, swing, torus, tour
from ringsim.collectives.ahc import ahc, shares, widest
from ringsim.collectives.algorithm import (
    MOST_CHUNKS,
    SMALLEST_CHUNK,
    Algorithm,
    chunks,
    one,
    overlapping,
    pairs,
    ring_rows,
    slices,
)
from ringsim.collectives.bruck import NB, NHR
from ringsim.collectives.direct import ONE_SHOT, TWO_SHOT
from ringsim.collectives.halving import HALVING_DOUBLING, RECURSIVE_DOUBLING
from ringsim.collectives.hierarchical import hierarchical
from ringsim.collectives.in_switch import in_switch
from ringsim.collectives.layout import most_chains, most_rings
from ringsim.collectives.pipeline import pipeline
from ringsim.collectives.ring import RING_BY_CHUNK, ring
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Family, everyone
from ringsim.collectives.tree import depth, tree, trees
from ringsim.fabric import Protocol
from ringsim.schedule import Schedule
from ringsim.topology import Topology


def _flat(family: Family, rows: Callable[[Topology, int], int], about: str) -> Algorithm:
    """The family on one team of all cards, in the order of their ranks."""

    def build(topology: Topology, channels: int, pieces: int) -> Schedule:
        blocks = family.blocks(topology.cards)
        sketch = Sketch(topology.cards, blocks * pieces)
        family.all_reduce(sketch, everyone(topology.cards, blocks, pieces), None)
        return sketch.schedule()

    return Algorithm(build, one, rows, one, "chunks", about=about)


def _across(family: Family, each: Callable[[int], int], about: str) -> Algorithm:
    """The family between nodes, direct inside; `each` says how many rows a team across that many nodes has."""

    def build(topology: Topology, channels: int, pieces: int) -> Schedule:
        return hierarchical(topology, pieces, family)

    def rows(topology: Topology, channels: int) -> int:
        return 2 * topology.cards * topology.group + topology.group * each(topology.nodes)

    about = f"reduce-scatter in the node, {about} across, all-gather in the node, in a pipeline"
    return Algorithm(build, one, rows, chunks, "chunks", about=about)


def _along(sides: int, shot: str) -> Algorithm:
    """One-shot or two-shot between nodes, along the sides of a grid of them; in few chunks, for it has many messages."""
    family = (multiplying.one_shot if shot == "one-shot" else multiplying.two_shot)(sides)
    about = f"{shot} along {sides} sides of a grid of nodes" if sides > 1 else shot

    def pieces(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
        first = multiplying.sides(topology.nodes, sides)[0] if shot == "two-shot" else 1
        return chunks(topology, channels, protocol, payload / first)

    return _across(family, partial(multiplying.rows, sides), about)._replace(pieces=pieces)


def _on_cards(rows: Callable[[int], int]) -> Callable[[Topology, int], int]:
    return lambda topology, _: rows(topology.cards)


def _tree_rows(topology: Topology, channels: int) -> int:
    return 2 * trees(topology, channels) * (topology.cards - 1)


def _tree_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    share = payload / trees(topology, channels)
    if topology.cards <= topology.server_size and protocol.channels:
        share = payload / protocol.channels
    return max(1, min(8 * depth(topology), int(share // SMALLEST_CHUNK)))


def _ahc_rows(topology: Topology, channels: int) -> int:
    return 2 * topology.cards * topology.group + shares(topology) * bruck.rows(topology.nodes)


def _ahc_chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    # Between nodes of unequal size a message already goes out in several pieces.
    return chunks(topology, channels, protocol, payload, max(1, MOST_CHUNKS // widest(topology)))


def _in_switch_rows(topology: Topology, channels: int) -> int:
    inside = 4 if topology.scale_up_reduces else 2 * topology.group
    return topology.nodes * topology.group * (inside + 6)


ALGORITHMS: dict[str, Algorithm] = {
    "ring": Algorithm(
        ring, most_rings, ring_rows, slices, "slices", allotted=True, auto=True,
        about="as many rings as share no lane, NIC or rail; p − 1 steps to add, p − 1 to copy",
    ),
    "tree": Algorithm(
        tree, most_chains, _tree_rows, _tree_chunks, "chunks", allotted=True, auto=True,
        about="NCCL's double binary tree between servers, chains inside them, chunks in a pipeline",
    ),
    "bidirectional-ring": Algorithm(
        bidirectional.bidirectional_ring, bidirectional.most_pairs, bidirectional.rows, slices, "slices",
        about="rings in pairs, the same way round and back",
    ),
    "tour-ring": Algorithm(
        tour.tour_ring, tour.tours, ring_rows, slices, "slices", looks=True,
        about="rings along tours that are looked for, wherever the cables of a network lie; up to 256 cards",
    ),
    "forest": Algorithm(
        forest.forest, forest.trees, forest.rows, forest.chunks, "chunks", looks=True,
        about="spanning trees packed into the network, chunks in a pipeline (Blink, ForestColl); up to 256 cards",
    ),
    "torus-ring": Algorithm(
        torus.torus_ring, torus.ways, torus.rows, one, "slices",
        about="a ring along each side of a torus, or of cards × nodes, one after the other (BlueConnect)",
    ),
    "swing": Algorithm(
        swing.swing, swing.ways, swing.rows, overlapping, "chunks",
        about="halving and doubling over distances 1, 1, 3, 5, 11, …: short ways on rings and tori (Swing)",
    ),
    "halving-doubling": _flat(
        HALVING_DOUBLING, _on_cards(exchange.rows), "half the vector to a partner, a quarter to the next, …, and back (RHD)"
    )._replace(pieces=overlapping),
    "recursive-doubling": _flat(
        RECURSIVE_DOUBLING, _on_cards(exchange.rows), "the whole vector to each of log2 p partners: few steps, many bytes"
    )._replace(pieces=overlapping),
    "one-shot": _flat(ONE_SHOT, pairs, "the whole vector to everybody at once: one step"),
    "two-shot": _flat(
        TWO_SHOT, lambda topology, _: topology.cards * (2 * topology.cards - 1),
        "to everybody his part, then everybody his sum: HCCL's mesh",
    ),
    "nhr": _flat(NHR, _on_cards(bruck.rows), "HCCL's nonuniform hierarchical ring: ⌈log2 p⌉ steps, large ones near"),
    "nb": _flat(NB, _on_cards(bruck.rows), "HCCL's nonuniform Bruck: ⌈log2 p⌉ steps for any p"),
    "hierarchical-ring": _across(RING_BY_CHUNK, lambda nodes: 3 * MOST_CHUNKS * nodes * (nodes > 1), "rings"),
    "hierarchical-halving-doubling": _across(HALVING_DOUBLING, exchange.rows, "halving and doubling"),
    "hierarchical-recursive-doubling": _across(RECURSIVE_DOUBLING, exchange.rows, "recursive doubling"),
    "hierarchical-nhr": _across(NHR, bruck.rows, "NHR"),
    "hierarchical-nb": _across(NB, bruck.rows, "NB"),
    "hierarchical-swing": _across(swing.SWING, exchange.rows, "Swing"),
    "hierarchical-one-shot": _along(1, "one-shot"),
    "hierarchical-one-shot-2": _along(2, "one-shot"),
    "hierarchical-one-shot-3": _along(3, "one-shot"),
    "hierarchical-two-shot": _along(1, "two-shot"),
    "hierarchical-two-shot-2": _along(2, "two-shot"),
    "hierarchical-two-shot-3": _along(3, "two-shot"),
    "pipeline": Algorithm(
        lambda topology, _, pieces: pipeline(topology, pieces), one,
        lambda topology, _: topology.cards * (2 * topology.group + 3), one, "chunks",
        about="HCCL's pipeline: rings between nodes while the last block is spread inside them",
    ),
    "ahc": Algorithm(
        lambda topology, _, pieces: ahc(topology, pieces, NB), one, _ahc_rows, _ahc_chunks, "chunks",
        about="HCCL's asymmetric hierarchy: for nodes of unequal size",
    ),
    "in-switch": Algorithm(
        lambda topology, _, pieces: in_switch(topology, pieces), one, _in_switch_rows, partial(chunks, most=32), "chunks",
        adds_in_switch=True, looks=True,
        about="switches add: NVLS inside a node, SHARP between them, where the fabric has them",
    ),
}  # fmt: skip
