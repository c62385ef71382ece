"""Law: no result beats its bound, whatever the algorithm, the fabric and the size."""

import dataclasses

import networkx as nx
import numpy as np
import pytest

from random_graphs import irregular
from ringsim import fabric, topology
from ringsim.bounds import lower_bound
from ringsim.collectives import ALGORITHMS
from ringsim.engines import run
from ringsim.program import price
from ringsim.study import Question, answer

ROUNDING = 1e-9


@pytest.mark.parametrize("size", ["8", "64K", "1M", "256M"])
@pytest.mark.parametrize("cards", [2, 3, 4, 7, 8, 9, 16, 17, 100])
@pytest.mark.parametrize("name", fabric.available())
def test_no_result_beats_its_bound(name: str, cards: int, size: str) -> None:
    found = answer(Question(name, cards, size))
    for result in found.candidates:
        if result.time_us is not None:
            assert result.time_us >= result.bound_us * (1 - ROUNDING), result
            assert result.time_us >= result.floor_us * (1 - ROUNDING), result
        else:
            assert result.floor_us > found.best.time_us


@pytest.mark.parametrize("oversubscription", [1, 2, 4, 7.5])
@pytest.mark.parametrize("routing", ["spread", "hash"])
def test_no_result_beats_its_bound_on_a_narrow_spine(routing: str, oversubscription: float) -> None:
    changes = (f"network.routing={routing}", f"network.oversubscription={oversubscription}", "network.radix=8")
    for result in answer(Question("hccs", 128, "64M", changes=changes)).candidates:
        assert result.time_us is None or result.time_us >= result.bound_us * (1 - ROUNDING), result


def test_the_bound_of_a_flat_cluster_is_the_textbook_one() -> None:
    """2(p−1)/p · S/B (Rabenseifner 2004)."""
    cluster = topology.build(fabric.load("nvlink3"), 64, domain="all")
    expected = 2 * 63 / 64 * 2**30 / cluster.fabric.domain.card_bandwidth
    assert lower_bound(cluster, 2**30, 0.0) == pytest.approx(expected, rel=1e-12)


def test_the_bound_sees_the_network() -> None:
    """16 nodes of 8 A100: each must pass 15/16 of twice the vector through its eight NICs."""
    sheet = fabric.load("nvlink3")
    wire = 8 * sheet.nic.bandwidth * sheet.nic.efficiency
    assert lower_bound(topology.build(sheet, 128), 1e9, 0.0) == pytest.approx(2 * 15 / 16 * 1e9 / wire, rel=1e-12)


def test_the_bound_sees_lanes_and_nics_of_a_card_together() -> None:
    """On 910B the lanes are the slower cut: a card's seven lanes and its NIC carry 2·127/128 of the vector."""
    sheet = fabric.load("hccs")
    out = sheet.domain.card_bandwidth + sheet.nic.bandwidth * sheet.nic.efficiency
    assert lower_bound(topology.build(sheet, 128), 1e9, 0.0) == pytest.approx(2 * 127 / 128 * 1e9 / out, rel=1e-12)


def test_the_bound_of_next_to_nothing_is_the_farthest_pair() -> None:
    sheet = fabric.load("nvlink3")
    farthest = 2 * sheet.nic.latency + 3 * sheet.network.switch_latency
    assert lower_bound(topology.build(sheet, 1024), 1e-6, 1e-6) == pytest.approx(1e-6 + farthest, rel=1e-9)


@pytest.mark.parametrize("kind", ["rail-leaf-spine", "leaf-spine"])
@pytest.mark.parametrize("cards", [2, 8, 16, 20, 64, 100])
@pytest.mark.parametrize("name", fabric.available())
def test_news_cannot_travel_slower_than_the_bound_says(name: str, cards: int, kind: str) -> None:
    """The weighted diameter of the graph, relays through other cards included."""
    sheet = fabric.load(name, changes=[f"network.kind={kind}", "network.radix=4"])
    cluster = topology.build(sheet, cards)
    graph = cluster.graph()
    lengths = nx.single_source_dijkstra_path_length(graph, 0, weight="latency")
    farthest = max(lengths[card] for card in range(cards))
    assert lower_bound(cluster, 1e-9, 0.0) <= farthest * (1 + 1e-9)


def test_slow_switches_do_not_lift_the_bound_above_a_result() -> None:
    changes = ("nic.latency=0us", "network.switch_latency=100us")
    for result in answer(Question("nvlink3", 16, 8, changes=changes)).candidates:
        assert result.reached is None or result.reached <= 1 + ROUNDING


# -- networks of every kind, and graphs ------------------------------------------------------------------------

NETWORKS = {
    "fat-tree": ("radix=8", "spine_oversubscription=3", "wiring=plain"),
    "fat-tree on rails": ("radix=8", "spine_oversubscription=2", "wiring=rails"),
    "dual-plane": ("radix=8", "planes=2", "oversubscription=3"),
    "torus": ("radix=64", "links=1"),
    "dragonfly": ("radix=16", "nics_per_switch=4", "group_switches=4", "global_links=2"),
}


def changes_of(network: str, routing: str) -> tuple[str, ...]:
    kind = network.partition(" ")[0]
    return tuple(f"network.{change}" for change in (f"kind={kind}", f"routing={routing}", *NETWORKS[network]))


@pytest.mark.parametrize("routing", ["spread", "hash"])
@pytest.mark.parametrize("cards", [16, 20, 64, 100])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ["hccs", "nvlink3"])
def test_no_result_beats_its_bound_on_any_network(name: str, network: str, cards: int, routing: str) -> None:
    for size in ("8", "64M"):
        for result in answer(Question(name, cards, size, changes=changes_of(network, routing), seed=5)).candidates:
            assert result.time_us is None or result.time_us >= result.bound_us * (1 - ROUNDING), result


def simulated(cards: topology.Topology, algorithm: str, size: float) -> float:
    """Seconds of one channel with a library that costs nothing."""
    protocol = cards.fabric.protocol("bare", algorithm)
    schedule = ALGORITHMS[algorithm].build(cards, 1, 4)
    return run(price(schedule, cards, protocol, size)).time


@pytest.mark.parametrize("seed", range(20))
def test_no_result_beats_its_bound_on_an_irregular_graph(seed: int) -> None:
    cards = topology.from_graph(irregular(seed), seed=seed)
    for algorithm in ("ring", "tree"):
        for size in (8.0, 2.0**26):
            bound = lower_bound(cards, size, 0.0)
            assert 0 < bound <= simulated(cards, algorithm, size) * (1 + ROUNDING)


@pytest.mark.parametrize("seed", range(20))
def test_bounds_of_an_irregular_graph_are_below_what_flows_allow(seed: int) -> None:
    """Cards only: trees packed from the root reach S / min over t of maxflow(root, t) (J. Edmonds, 1973).

    An all-reduce may reduce to the root and broadcast from it, so it need not take longer than both together.
    """
    cards = topology.from_graph(all_cards(irregular(seed)))
    graph = nx.DiGraph()
    for a, b, rate in zip(*cards.ends(), cards.bandwidth, strict=True):
        graph.add_edge(int(a), int(b), capacity=float(rate) / 1e9)
    out = min(nx.maximum_flow_value(graph, 0, t) for t in range(1, cards.cards)) * 1e9
    into = min(nx.maximum_flow_value(graph, t, 0) for t in range(1, cards.cards)) * 1e9
    size = 1e12  # latencies are nothing beside it
    broadcast, reduce = (lower_bound(cards, size, 0.0, what) for what in ("broadcast", "reduce"))
    assert broadcast <= size / out * (1 + ROUNDING)
    assert reduce <= size / into * (1 + ROUNDING)
    assert lower_bound(cards, size, 0.0) <= (size / out + size / into) * (1 + ROUNDING)
    assert lower_bound(cards, size, 0.0) >= max(broadcast, reduce) * (1 - ROUNDING)


def all_cards(graph: nx.DiGraph) -> nx.DiGraph:
    """The same graph with every switch a card."""
    return nx.DiGraph((a, b, data) for a, b, data in graph.edges(data=True))


def test_the_bound_sees_each_direction_and_a_thin_middle() -> None:
    """Two stars of four joined by a cable of 20 GB/s one way and 5 GB/s the other: S must cross each way."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(8), kind="card")
    graph.add_nodes_from("LR", kind="switch")
    for card in range(8):
        graph.add_edge(card, "LR"[card // 4], bandwidth=10e9, latency=0)
        graph.add_edge("LR"[card // 4], card, bandwidth=10e9, latency=0)
    graph.add_edge("L", "R", bandwidth=20e9, latency=1e-6)
    graph.add_edge("R", "L", bandwidth=5e9, latency=1e-6)
    cards = topology.from_graph(graph)
    for collective, expected in (
        ("all-reduce", 1e9 / 5e9),
        ("reduce-scatter", 0.5e9 / 5e9),  # half of the sums cross the narrow way: more than a card's own 7/8 at 10 GB/s
        ("all-gather", 0.5e9 / 5e9),
        ("all-to-all", 4 * 0.5e9 / 5e9),
        ("broadcast", 1e9 / 10e9),  # from card 0 the wide way: into a card
        ("reduce", 1e9 / 5e9),
    ):
        assert lower_bound(cards, 1e9, 0.0, collective) == pytest.approx(expected), collective
    assert lower_bound(cards, 1e9, 0.0, "broadcast", root=7) == pytest.approx(1e9 / 5e9)
    assert lower_bound(cards, 1e-3, 0.0) == pytest.approx(1e-6)


@pytest.mark.parametrize(
    ("collective", "factor"),
    [("all-reduce", 2 * 63 / 64), ("reduce-scatter", 63 / 64), ("all-gather", 63 / 64), ("all-to-all", 63 / 64),
     ("broadcast", 1), ("reduce", 1)],
)  # fmt: skip
def test_bounds_of_a_flat_cluster_are_nccl_tests_s_factors(collective: str, factor: float) -> None:
    """Bus bandwidth is defined so that these are what it compares with (nccl-tests, PERFORMANCE.md)."""
    cluster = topology.build(fabric.load("nvlink3"), 64, domain="all")
    expected = factor * 2**30 / cluster.fabric.domain.card_bandwidth
    assert lower_bound(cluster, 2**30, 0.0, collective) == pytest.approx(expected, rel=1e-12)


def test_switches_that_add_lower_the_bound_where_they_can() -> None:
    """NVLS: every card sends S and gets S. SHARP: so does every node, and cards of a node share its NICs."""
    cluster = topology.build(fabric.load("nvlink4"), 8)
    rate = cluster.fabric.domain.card_bandwidth
    assert lower_bound(cluster, 1e9, 0.0, in_switch=True) == pytest.approx(1e9 / rate)
    assert lower_bound(cluster, 1e9, 0.0) == pytest.approx(2 * 7 / 8 * 1e9 / rate)
    many = topology.build(fabric.load("nvlink4"), 128)
    wire = 8 * many.fabric.nic.bandwidth * many.fabric.nic.efficiency
    assert lower_bound(many, 1e9, 0.0, in_switch=True) == pytest.approx(max(1e9 / wire, 1e9 / (rate + wire / 8)))
    for name, network in (("hccs", None), ("nvlink3", "roce-400g")):
        old = topology.build(fabric.load(name, network=network), 128)
        assert lower_bound(old, 1e9, 0.0, in_switch=True) == lower_bound(old, 1e9, 0.0), "nothing here adds"


def test_cards_without_a_switch_that_adds_meet_each_other_on_the_way_to_one_that_does() -> None:
    """SHARP over A100: of eight cards' parts of a byte m go up their NICs and 8 − m over NVLink, and so the sum comes back.

    NVLink carries 16 − 2m crossings and NICs m each way, so all ways out of the cards and the NICs' way in share 16.
    """
    cluster = topology.build(fabric.load("nvlink3"), 128)
    sheet = cluster.fabric
    wire = sheet.nic.bandwidth * sheet.nic.efficiency
    expected = 16e9 / (8 * (sheet.domain.card_bandwidth + wire) + 8 * wire)
    assert lower_bound(cluster, 1e9, 0.0, in_switch=True) == pytest.approx(expected, rel=1e-12)


def test_nothing_does_without_a_step() -> None:
    """Eight bytes between two nodes: a start-up, one RDMA task, two NICs and a switch."""
    sheet = fabric.load("hccs")
    found = answer(Question("hccs", 16, 8)).best
    protocol = sheet.protocol("hccl", "ring")
    way = 2 * sheet.nic.latency + sheet.network.switch_latency
    assert found.bound_us == pytest.approx((protocol.startup + protocol.step_network + way) * 1e6, rel=1e-9)
    alone = answer(Question("hccs", 8, 8)).best.bound_us
    assert alone == pytest.approx((protocol.startup + protocol.step_scale_up + sheet.domain.latency) * 1e6, rel=1e-9)


def test_nvls_alone_lowers_no_bound_between_nodes() -> None:
    """NVSwitches that add stand inside the nodes; between nodes 2(k−1)/k stays."""
    cluster = topology.build(fabric.load("nvlink4", network="roce-400g"), 128)
    wire = 8 * cluster.fabric.nic.bandwidth * cluster.fabric.nic.efficiency
    assert lower_bound(cluster, 1e9, 0.0, in_switch=True) == pytest.approx(2 * 15 / 16 * 1e9 / wire)


@pytest.mark.parametrize(("collective", "root", "what"), [("all_reduce", 0, "collective = all_reduce: one of all-reduce, "),
                                                          ("broadcast", 8, "root = 8: a rank from 0 to 7"),
                                                          ("reduce", -1, "root = -1: a rank")])  # fmt: skip
def test_bounds_of_what_there_is_not(collective: str, root: int, what: str) -> None:
    with pytest.raises(ValueError, match="^" + what):
        lower_bound(topology.build(fabric.load("hccs"), 8), 1e9, 0.0, collective, root=root)


def test_the_bound_of_a_narrow_torus_is_its_middle() -> None:
    """Sixteen nodes of one card in a ring: two cables each way through the middle, so S / 2B, and 1 + 8 routers far."""
    changes = ("network.kind=torus", "network.links=1", "network.shape=16")
    cluster = topology.build(fabric.load("hccs", changes=changes), 128)
    wire = cluster.fabric.nic.bandwidth * cluster.fabric.nic.efficiency
    # Sixteen nodes on 32 directed cables: 2·15/32 is less than one whole vector through two of them, S/2.
    assert lower_bound(cluster, 1e9, 0.0) == pytest.approx(max(2 * 15 / 32, 1 / 2) * 1e9 / wire)
    far = 2 * cluster.fabric.nic.latency + 9 * cluster.fabric.network.switch_latency
    assert lower_bound(cluster, 1e-6, 0.0) == pytest.approx(far)


def test_the_bound_weighs_each_side_by_its_cards() -> None:
    """Six cards and two; 20 GB/s from the six to the two and 5 GB/s back, everything else fast.

    Of an all-gather 2/8 of S cross the narrow way, of a reduce-scatter 6/8.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(range(8), kind="card")
    graph.add_nodes_from("LR", kind="switch")
    for card in range(8):
        graph.add_edge(card, "LR"[card // 6], bandwidth=1e12, latency=0)
        graph.add_edge("LR"[card // 6], card, bandwidth=1e12, latency=0)
    graph.add_edge("L", "R", bandwidth=20e9, latency=0)
    graph.add_edge("R", "L", bandwidth=5e9, latency=0)
    cards = topology.from_graph(graph)
    assert lower_bound(cards, 1e9, 0.0, "all-gather") == pytest.approx(0.25e9 / 5e9)
    assert lower_bound(cards, 1e9, 0.0, "reduce-scatter") == pytest.approx(0.75e9 / 5e9)
    assert lower_bound(cards, 1e9, 0.0, "all-to-all") == pytest.approx(2 * 0.75e9 / 5e9)


def test_a_part_of_the_hardware_without_cards_asks_for_nothing() -> None:
    """Two cards joined by 10 GB/s, and by a switch with 1 GB/s to each: S through 11 GB/s, whoever else is counted."""

    class Parted(topology.GraphTopology):
        def areas(self):
            yield "part", [np.array([0, 2, 1])]

    graph = nx.Graph()
    graph.add_nodes_from(range(2), kind="card")
    graph.add_node("x", kind="switch")
    graph.add_edge(0, 1, bandwidth=10e9, latency=0)
    for card in range(2):
        graph.add_edge(card, "x", bandwidth=1e9, latency=0)
    plain = topology.from_graph(graph)
    parted = Parted(**{item.name: getattr(plain, item.name) for item in dataclasses.fields(plain)})
    assert lower_bound(plain, 1e9, 0.0) == lower_bound(parted, 1e9, 0.0) == pytest.approx(1e9 / 11e9)
