"""Tours: right sums, loads that are what the search says, steps that cost what they promise, and the best there are."""

from itertools import permutations, product

import networkx as nx
import numpy as np
import pytest

from laws.clusters import KINDS, cluster
from random_graphs import irregular
from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, layout, tour, touring
from ringsim.engines import run
from ringsim.fabric import Protocol
from ringsim.program import Program, price
from ringsim.schedule import Schedule
from ringsim.topology import Topology
from ringsim.values import prove

FREE = Protocol("free", 0.0, 0.0, 0.0, 1.0, 1, "max-min")
SEEDS = range(12)
RATE = 10e9


def even(drawn: nx.Graph) -> Topology:
    """Every vertex a card, every cable alike."""
    graph = nx.convert_node_labels_to_integers(drawn, ordering="sorted")
    nx.set_edge_attributes(graph, {edge: {"bandwidth": RATE, "latency": 1e-6} for edge in graph.edges})
    return topology.from_graph(graph)


def graph_of(seed: int) -> Topology:
    return topology.from_graph(irregular(seed), seed=seed)


def priced(where: Topology, schedule: Schedule) -> Program:
    return price(schedule, where, FREE, 1e12, allotted=False)


def busiest(where: Topology, schedule: Schedule) -> float:
    """Seconds for each byte on the fullest link."""
    program = priced(where, schedule)
    return float((program.load()[: where.links] / where.bandwidth).max() / 1e12)


def laid(where: Topology) -> Schedule:
    return tour.tour_ring(where, tour.tours(where), 1)


def check(where: Topology) -> None:
    """Tours visit every card once, and links are as full as is said."""
    found = tour._tours(where)
    for count, tours in enumerate(found, 1):
        assert tours.orders.shape == (count, where.cards)
        assert (np.sort(tours.orders) == np.arange(where.cards)).all()
        assert busiest(where, tour.tour_ring(where, count, 1)) == pytest.approx(tours.seconds, rel=1e-9)
    least = min(tours.seconds for tours in found)
    assert found[tour.tours(where) - 1].seconds <= 1.01 * least


@pytest.mark.parametrize("seed", SEEDS)
def test_tours_of_an_irregular_graph(seed: int) -> None:
    where = graph_of(seed)
    check(where)
    for channels, slices in product({1, tour.tours(where)}, (1, 3)):
        schedule = tour.tour_ring(where, channels, slices)
        assert schedule.rows == ALGORITHMS["tour-ring"].rows(where, channels)
        prove(schedule)


@pytest.mark.parametrize(
    ("kind", "cards"), [(kind, p) for kind in KINDS for p in (2, 3, 16) if kind != "torus-node" or p > 3]
)
def test_tours_of_a_cluster(kind: str, cards: int) -> None:
    check(cluster(kind, cards))
    prove(laid(cluster(kind, cards)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tour_is_never_worse_than_the_order_of_the_ranks(seed: int) -> None:
    where = graph_of(seed)
    ring = ALGORITHMS["ring"].build(where, 1, 1)
    assert busiest(where, laid(where)) <= busiest(where, ring) * (1 + 1e-9)
    assert run(priced(where, laid(where))).time <= run(priced(where, ring)).time * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["mesh", "switch"])
@pytest.mark.parametrize("cards", [2, 8, 16, 64])
def test_on_nodes_of_a_data_sheet_rings_are_as_good_as_the_known_ones(kind: str, cards: int) -> None:
    where = cluster(kind, cards)
    ring = ALGORITHMS["ring"].build(where, layout.most_rings(where), 1)
    assert busiest(where, laid(where)) <= busiest(where, ring) * (1 + 1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_several_rings_keep_out_of_each_others_way(seed: int) -> None:
    """No link could be filled by what the rows on it can send at most, so that no ring waits for another."""
    where = graph_of(seed)
    schedule = laid(where)
    if schedule.channels > 1:
        program = priced(where, schedule)
        wanted = np.bincount(program.route_links, program.top_rate()[program.row_of_hop()], len(program.bandwidth))
        assert (wanted <= program.bandwidth * (1 + 1e-9)).all()


# -- the best there are ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_no_other_order_is_better_on_a_small_graph(seed: int) -> None:
    """All 720 orders of seven cards on one ring."""
    random = np.random.default_rng(seed)
    drawn = nx.gnm_random_graph(7, int(random.integers(8, 13)), seed=seed)
    nx.add_path(drawn, range(7))
    for edge in drawn.edges:
        drawn.edges[edge].update(bandwidth=float(random.choice([5e9, 10e9, 20e9])), latency=1e-6)
    where = topology.from_graph(drawn)
    best = np.inf
    for rest in permutations(range(1, 7)):
        order = np.array([0, *rest])
        _, links = where.routes(order, np.roll(order, -1), np.zeros(7, np.int64))
        best = min(best, (np.bincount(links, minlength=where.links) / where.bandwidth).max())
    assert touring._searched(where, 1)[0].seconds == pytest.approx(2 * 6 / 7 * best)


@pytest.mark.parametrize("cards", [3, 5, 6, 8, 9])
def test_a_full_mesh_drawn_as_a_graph_has_the_cycles_of_a_full_mesh(cards: int) -> None:
    where = even(nx.complete_graph(cards))
    cycles = cards - 1 if cards % 2 or cards == 8 else cards - 2
    assert tour.tours(where) == cycles
    _, links = where.routes(*(getattr(laid(where), end) for end in ("source", "target", "channel")))
    assert np.bincount(links).max() == 1


@pytest.mark.parametrize(
    ("drawn", "tours"),
    [
        (nx.grid_2d_graph(3, 3, periodic=True), 4), (nx.grid_2d_graph(3, 5, periodic=True), 3),
        (nx.grid_2d_graph(5, 5, periodic=True), 3), (nx.hypercube_graph(4), 3), (nx.circulant_graph(16, [1, 3, 5]), 6),
    ],
)  # fmt: skip
def test_tours_share_no_cable_of_a_torus_and_its_kin(drawn: nx.Graph, tours: int) -> None:
    """Three or four of the four ways out of a card, all six of six."""
    where = even(drawn)
    assert tour.tours(where) == tours
    assert busiest(where, laid(where)) == pytest.approx(2 * (where.cards - 1) / where.cards / tours / RATE)


def test_a_ring_of_cards_in_any_order_is_gone_both_ways_round() -> None:
    random = np.random.default_rng(1)
    graph = nx.relabel_nodes(nx.cycle_graph(20), dict(enumerate(random.permutation(20).tolist())))
    where = even(graph)
    assert tour.tours(where) == 2
    assert busiest(where, laid(where)) == pytest.approx(19 / 20 / RATE)


@pytest.mark.parametrize("seed", range(4))
def test_halls_are_left_and_entered_once(seed: int) -> None:
    """Ranks are dealt out to four halls, one way from each to the next; a ring in their order goes to and fro."""
    random = np.random.default_rng(seed)
    halls = nx.cycle_graph(4)
    halls = nx.relabel_nodes(halls, {hall: f"hall {hall}" for hall in halls})
    nx.set_node_attributes(halls, "switch", "kind")
    nx.set_edge_attributes(halls, RATE, "bandwidth")
    for rank, hall in enumerate(random.permutation(24) % 4):
        halls.add_node(rank, kind="card")
        halls.add_edge(rank, f"hall {hall}", bandwidth=100e9)
    nx.set_edge_attributes(halls, 1e-6, "latency")
    where = topology.from_graph(halls)
    assert busiest(where, tour.tour_ring(where, 1, 1)) == pytest.approx(2 * 23 / 24 / RATE)
    assert busiest(where, ALGORITHMS["ring"].build(where, 1, 1)) > 4 / RATE


# -- the steps of the search -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cards", "kinds"), [(2, 0), (3, 2), (4, 3), (5, 4), (6, 4), (9, 4)])
def test_a_step_costs_what_it_promises(cards: int, kinds: int) -> None:
    """Prices differ from card to card and from direction to direction; every step of every kind is taken."""
    price = np.random.default_rng(cards).random((cards, cards))
    np.fill_diagonal(price, 0)
    order = np.arange(cards)
    promised = touring._steps(price)
    seen = set()
    for kind, here, there in np.argwhere(np.isfinite(promised)).tolist():
        changed = touring._stepped(order, kind, here, there)
        assert sorted(changed) == order.tolist()
        before, after = (price[way, np.roll(way, -1)].sum() for way in (order, changed))
        assert after - before == pytest.approx(promised[kind, here, there], abs=1e-12)
        seen.add(kind)
    assert seen == set(range(kinds))


def test_laid_out_clusters_keep_their_rings() -> None:
    where = topology.build(fabric.load("hccs"), 64)
    assert (tour._tours(where)[7].orders == layout.ring_orders(where, 8)).all()
