"""Law: no result beats its bound, whatever the algorithm, the fabric and the size."""

import networkx as nx
import pytest

from ringsim import fabric, topology
from ringsim.bounds import lower_bound
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
