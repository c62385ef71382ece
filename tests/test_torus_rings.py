"""Rings both ways round and rings along every side of a torus: right sums, and links that are busy all the time."""

from itertools import product
from math import inf, prod

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, CollectiveError, bidirectional, hamilton, layout, nested, torus
from ringsim.engines import run
from ringsim.fabric import Protocol
from ringsim.program import price
from ringsim.topology import LANE, Topology
from ringsim.topology.kinds import LEAF_NIC
from ringsim.values import prove

FREE = Protocol("free", 0.0, 0.0, 0.0, 1.0, 1, "max-min", channel_cap=inf)
SHAPES = ((2,), (3,), (8,), (2, 2), (2, 4), (3, 3), (4, 4), (3, 5), (2, 2, 2), (3, 4, 2))


def make(name: str, cards: int, domain: int | str | None = None) -> Topology:
    return topology.build(fabric.load(name), cards, domain=domain)


def torus_of(*shape: int, nodes: int = 1) -> Topology:
    kind, sides = ("torus", "x".join(map(str, shape))) if len(shape) > 1 else ("ring", "none")
    numbers = {"kind": kind, "shape": sides, "size": prod(shape), "lanes": 2 * len(shape)}
    sheet = fabric.load("hccs", changes=[f"domain.{key}={value}" for key, value in numbers.items()])
    return topology.build(sheet, prod(shape) * nodes)


def share_of_the_bound(name: str, cluster: Topology) -> float:
    """How near a vector that is long beyond all latency comes to 2(p−1)/p·S over all lanes of a card."""
    how, size = ALGORITHMS[name], 1e15
    schedule = how.build(cluster, how.channels(cluster), 1)
    ways_out = cluster.bandwidth[cluster.ends()[0] == 0].sum()
    least = 2 * (cluster.cards - 1) / cluster.cards * size / ways_out
    return float(least / run(price(schedule, cluster, FREE, size)).time)


# -- both ways round -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(3, 40))
def test_circuits_share_no_lane_whichever_way_round(n: int) -> None:
    found = hamilton.mesh_circuits(n)
    assert len(found) == (n - 1) // 2
    assert all(sorted(way) == list(range(n)) for way in found)
    pairs = {frozenset(pair) for way in found for pair in zip(way, (*way[1:], way[0]), strict=True)}
    assert len(pairs) == n * len(found)


@pytest.mark.parametrize("p", [*range(2, 34), 100])
@pytest.mark.parametrize(("name", "domain"), [("hccs", None), ("nvlink3", None), ("nvlink3", "all"), ("hccs", 7)])
def test_pairs_of_rings_add_up_and_share_no_lane_and_no_nic(name: str, domain: int | str | None, p: int) -> None:
    cluster = make(name, p, domain if domain == "all" else min(p, domain or 8))
    pairs = bidirectional.most_pairs(cluster)
    assert 1 <= pairs <= max(1, layout.most_rings(cluster))
    for slices in (1, 3) if p < 20 else (1,):
        found = bidirectional.bidirectional_ring(cluster, pairs, slices)
        assert found.rows == bidirectional.rows(cluster, pairs)
        prove(found, order=p < 100)
    _, links = cluster.routes(found.source, found.target, found.channel)
    users = np.bincount(links, minlength=cluster.links)
    own = (cluster.kind >= LANE) & (cluster.kind <= LEAF_NIC)
    if pairs > 1:
        assert users[own].max(initial=0) <= 1


@pytest.mark.parametrize(("cards", "pairs"), [(2, 1), (4, 1), (7, 3), (8, 3), (16, 4), (64, 4)])
def test_as_many_pairs_as_fit_into_a_mesh(cards: int, pairs: int) -> None:
    assert bidirectional.most_pairs(make("hccs", cards)) == pairs


def test_where_lanes_work_both_ways_half_the_vector_goes_each_way() -> None:
    """One ring on a physical ring has half of the lanes, a pair has all; on nodes full of rings nothing changes."""
    cluster = torus_of(8)
    one = price(ALGORITHMS["ring"].build(cluster, 1, 1), cluster, FREE, 1e15)
    pair = price(ALGORITHMS["bidirectional-ring"].build(cluster, 1, 1), cluster, FREE, 1e15)
    assert run(one).time == pytest.approx(2 * run(pair).time)
    cluster = make("hccs", 32)
    rings = price(ALGORITHMS["ring"].build(cluster, 8, 1), cluster, FREE, 1e15)
    pairs = price(ALGORITHMS["bidirectional-ring"].build(cluster, 4, 1), cluster, FREE, 1e15)
    assert run(rings).time == pytest.approx(run(pairs).time)


# -- along every side --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_rings_along_the_sides_of_a_torus_add_up(shape: tuple[int, ...], nodes: int) -> None:
    cluster = torus_of(*shape, nodes=nodes)
    ways = torus.ways(cluster)
    assert ways == 2 * len(shape)
    for channels, slices in product((1, ways), (1, 3)):
        found = torus.torus_ring(cluster, channels, slices)
        prove(found)
        assert found.rows == torus.rows(cluster, channels)
        assert found.count[~found.joins].max() <= 2 * (max(*shape, nodes) - 1) * slices


@pytest.mark.parametrize("p", [*range(2, 9), 16, 24, 32, 96, 128])
@pytest.mark.parametrize("name", ["hccs", "nvlink3"])
def test_cards_and_nodes_are_a_grid(name: str, p: int) -> None:
    prove(torus.torus_ring(make(name, p), 2, 1), order=p < 128)


def test_a_thousand_cards_add_up() -> None:
    prove(torus.torus_ring(make("hccs", 1000), 2, 1), order=False)


@pytest.mark.parametrize("shape", [(3,), (8,), (3, 3), (4, 4), (8, 8), (2, 2, 2), (4, 4, 4)])
def test_on_equal_sides_all_lanes_of_all_cards_are_busy_all_the_time(shape: tuple[int, ...]) -> None:
    assert share_of_the_bound("torus-ring", torus_of(*shape)) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(("shape", "reached"), [((4, 8), 0.886), ((4, 4, 8), 0.804), ((2, 4), 0.667)])
def test_on_unequal_sides_shares_get_out_of_step(shape: tuple[int, ...], reached: float) -> None:
    """What the docstring of the module says."""
    cluster = torus_of(*shape)
    assert share_of_the_bound("torus-ring", cluster) == pytest.approx(reached, abs=5e-4)
    assert share_of_the_bound("bidirectional-ring", cluster) <= reached + 1e-3


def test_a_share_begins_with_a_side_of_its_own_and_nodes_come_last() -> None:
    cluster = torus_of(2, 3, nodes=5)
    assert nested.grid(cluster).shape == (2, 3, 5)
    assert nested.grid(cluster, 1).shape == (3, 2, 5)
    assert (nested.grid(cluster)[1, 2] == 5 + 6 * np.arange(5)).all()


def test_a_last_node_that_is_not_full_is_no_grid() -> None:
    with pytest.raises(CollectiveError, match="the last node has 5 of 8; use a multiple of 8 cards"):
        torus.torus_ring(make("hccs", 13), 2, 1)
