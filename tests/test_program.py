"""Pricing is where alpha, beta and gamma meet, so a factor lost here is in every result: tiny clusters are priced by hand.

The numbers of the fabrics are replaced by round ones, so that each test is a sum that can be done on paper.
"""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from laws.programs import CARDS, CLASSIC, build, by_hand
from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, CollectiveError
from ringsim.collectives.layout import most_chains, most_rings
from ringsim.collectives.ring import ring
from ringsim.collectives.tree import tree
from ringsim.engines.reference import simulate
from ringsim.fabric import Protocol
from ringsim.program import Program, price
from ringsim.schedule import EVERYONE, Schedule, dependencies
from ringsim.topology import LANE, Topology

#: A switch takes 1 s, a NIC 10 s a side, a network switch 100 s; a card has 8 lanes of 4 B/s, its NIC 5 B/s, its bus 6 B/s.
ROUND = (
    "domain.lanes=8", "domain.lane_bandwidth=4B/s", "domain.efficiency=1", "domain.latency=1s", "nic.bandwidth=10B/s",
    "nic.efficiency=0.5", "nic.host_bandwidth=6B/s", "nic.latency=10s", "network.switch_latency=100s", "network.radix=8",
)  # fmt: skip
PROTOCOL = Protocol("toy", startup=7.0, step_scale_up=0.25, step_network=0.5, wire=1.5, slices=2, share="max-min")


def cluster(cards: int, *changes: str, name: str = "nvlink3", domain: int | str | None = None) -> Topology:
    changes = tuple(c for c in ROUND if name == "nvlink3" or "lanes" not in c) + changes
    return topology.build(fabric.load(name, changes=changes), cards, domain=domain)


def rows(ranks: int, *pairs: tuple[int, int, int]) -> Schedule:
    """One firing of one unit for each (source, target, channel), reduced."""
    source, target, channel = np.array(pairs, np.int64).T
    one = np.ones(len(pairs), np.int64)
    nothing = dependencies(len(pairs), *[np.zeros(0, np.int64)] * 3)
    return Schedule(
        ranks, 2, 2, int(channel.max()) + 1, *[np.full(2, EVERYONE)] * 2, source, target, channel, one, one,
        0 * one, 0 * one, one, one, one, one, one, one < 0, *nothing,
    )  # fmt: skip


def names(program: Program, where: Topology, row: int) -> list[int]:
    """Kinds of the links of a row."""
    part = slice(program.route_offsets[row], program.route_offsets[row + 1])
    return where.kind[program.route_links[part]].tolist()


# -- price -----------------------------------------------------------------------------------------------------


def test_two_cards_on_a_switch() -> None:
    """Two rows of two firings: half of 80 bytes, 1.5 times on the wire, over 32 B/s; a hop of 1 s and a step of 0.25 s."""
    where = cluster(2)
    program = price(ring(where, 1, 1), where, PROTOCOL, 80)
    assert program.rows == 2
    assert program.transfers == 4
    assert program.count.tolist() == [2, 2]
    assert program.reduces.tolist() == [1, 1]
    assert program.bytes.tolist() == [60, 60]
    assert program.latency.tolist() == [1.25, 1.25]
    assert program.route_offsets.tolist() == [0, 2, 4]
    assert program.route_links.tolist() == [0, 3, 1, 2], "up from 0, down to 1; up from 1, down to 0"
    assert program.bandwidth.tolist() == [32] * 4
    assert program.cap.tolist() == [inf, inf]
    assert program.work.tolist() == program.overhead.tolist() == [0, 0]
    assert program.after.tolist() == [-1, -1]
    assert (program.dep_row.tolist(), program.dep_lag.tolist()) == ([1, 0], [1, 1])
    assert program.startup == 7
    assert program.wire_bytes == 240
    assert program.load().tolist() == [120] * 4
    assert program.top_rate().tolist() == [32, 32]


def test_latencies_along_every_kind_of_way() -> None:
    """Inside 1 + 0.25. Across one leaf 10 + 100 + 10 + 0.5, over a spine two switches more."""
    where = cluster(40)  # a leaf serves four nodes
    assert price(rows(40, (0, 1, 0), (0, 8, 0), (0, 32, 0)), where, PROTOCOL, 1).latency.tolist() == [
        1.25,
        120.5,
        320.5,
    ]
    mesh = cluster(8, name="hccs")
    assert price(rows(8, (0, 1, 0)), mesh, PROTOCOL, 1).latency.tolist() == [1.25]
    assert names(price(rows(8, (0, 1, 0)), mesh, PROTOCOL, 1), mesh, 0) == [LANE]


def test_wire_overhead_is_on_the_wire_and_not_in_the_sum() -> None:
    """Half of 80 bytes: 60 travel, 40 are added at 8 B/s."""
    where = cluster(2)
    program = price(ring(where, 1, 1), where, replace(PROTOCOL, reduce_bandwidth=8.0), 80)
    assert program.bytes.tolist() == [60, 60]
    assert program.work.tolist() == [5, 5]


def test_slices_and_channels_divide_the_message() -> None:
    where = cluster(4)
    for channels, slices, expected in ((1, 1, 30), (1, 3, 10), (2, 1, 15), (4, 5, 1.5)):
        program = price(ring(where, channels, slices), where, PROTOCOL, 80)
        assert program.bytes == pytest.approx(expected)


def test_eight_bytes_on_a_thousand_cards_are_a_fluid() -> None:
    where = cluster(1024)
    program = price(ring(where, 1, 1), where, replace(PROTOCOL, wire=1.0), 8)
    assert program.bytes == pytest.approx(1 / 128)


def test_overhead_and_a_cap_of_the_protocol_are_every_row_s() -> None:
    where = cluster(3)
    program = price(ring(where, 2, 1), where, replace(PROTOCOL, send_overhead=0.125, channel_cap=3.0), 1)
    assert program.overhead.tolist() == [0.125] * 6
    assert program.cap.tolist() == [3] * 6
    assert program.top_rate().tolist() == [3] * 6


def test_reserved_shares_divide_scale_up_links_among_their_rows_and_nothing_else() -> None:
    """Four rows leave card 0: three over the switch at 32/3, one over its NIC at the NIC's 5, uncapped.

    Of the three, one meets another row on the way down to card 2, but 32/2 is more than 32/3; the row from 1 has
    32/2 there and all of its own way up.
    """
    where = cluster(16)
    schedule = rows(16, (0, 1, 0), (0, 2, 0), (0, 3, 0), (0, 8, 0), (1, 2, 0), (4, 5, 0))
    program = price(schedule, where, replace(PROTOCOL, share="reserved"), 1)
    assert program.cap.tolist() == pytest.approx([32 / 3, 32 / 3, 32 / 3, inf, 16, 32])
    assert program.top_rate().tolist() == pytest.approx([32 / 3, 32 / 3, 32 / 3, 5, 16, 32])
    capped = price(schedule, where, replace(PROTOCOL, share="reserved", channel_cap=12.0), 1)
    assert capped.cap.tolist() == pytest.approx([32 / 3, 32 / 3, 32 / 3, 12, 12, 12])
    fair = price(schedule, where, PROTOCOL, 1)
    assert fair.cap.tolist() == [inf] * 6
    assert fair.top_rate().tolist() == [32, 32, 32, 5, 32, 32]


def test_reserved_lanes() -> None:
    """A lane between two cards is reserved like a port: two channels on it have half each."""
    where = cluster(8, name="hccs")
    program = price(rows(8, (0, 1, 0), (0, 1, 1), (1, 0, 0)), where, replace(PROTOCOL, share="reserved"), 1)
    assert program.cap.tolist() == [2, 2, 4]


def test_rings_that_share_no_lane_have_their_lanes_to_themselves() -> None:
    where = cluster(8, name="hccs")
    program = price(ring(where, 7, 1), where, replace(PROTOCOL, share="reserved"), 1)
    assert (program.cap == 4).all()
    assert (program.load() == program.load()[0]).all()


# -- what follows from it --------------------------------------------------------------------------------------


def test_load_rate_and_hops_by_hand() -> None:
    """Row 0 (2 firings of 3 bytes) over links 0 and 2, row 1 (1 of 5, at most 1 B/s) over 2, row 2 (4 of 0.5) over 1."""
    program = by_hand([10, 4, 6, 1], [[0, 2], [2], [1]], [3, 5, 0.5], count=[2, 1, 4], cap=[inf, 1, inf])
    assert program.load().tolist() == [6, 2, 11, 0]
    assert program.top_rate().tolist() == [6, 1, 4]
    assert program.row_of_hop().tolist() == [0, 0, 1, 2]
    assert program.wire_bytes == 13
    assert program.transfers == 7
    assert program.cap.tolist() == [inf, 1, inf], "top_rate changes nothing"


@pytest.mark.parametrize("p", [2, 3, 7, 8, 9, 16, 17, 40])
@pytest.mark.parametrize("name", ["nvlink3", "hccs"])
def test_a_ring_moves_2_times_p_minus_1_vectors_and_a_tree_as_many(name: str, p: int) -> None:
    """Ring: each of p cards sends 2(p−1)/p of S. Tree: S goes up and down each of p − 1 edges, in two halves or whole."""
    where = cluster(p, name=name)
    expected = 2 * (p - 1) * 1e6 * PROTOCOL.wire
    for schedule in (
        ring(where, 1, 1), ring(where, most_rings(where), 3), tree(where, 1, 1), tree(where, most_chains(where), 4)
    ):  # fmt: skip
        program = price(schedule, where, PROTOCOL, 1e6)
        assert program.wire_bytes == pytest.approx(expected)
        added = (program.bytes * program.reduces).sum() / PROTOCOL.wire
        assert added == pytest.approx((p - 1) * 1e6), "each of p − 1 vectors is added once"


@pytest.mark.parametrize("p", [2, 3, 8, 9, 40])
def test_every_card_of_a_ring_sends_and_receives_the_same(p: int) -> None:
    where = cluster(p)
    schedule = ring(where, most_rings(where), 2)
    program = price(schedule, where, PROTOCOL, 1e6)
    for end in (schedule.source, schedule.target):
        per_card = np.bincount(end, weights=program.bytes * program.count, minlength=p)
        assert per_card == pytest.approx(2 * (p - 1) / p * 1e6 * PROTOCOL.wire)


@pytest.mark.parametrize("algorithm", CLASSIC)
@pytest.mark.parametrize("p", CARDS)
@pytest.mark.parametrize("name", fabric.available())
def test_bytes_on_links_are_bytes_times_hops(name: str, p: int, algorithm: str) -> None:
    program = build(name, p, algorithm, wide=True)
    hops = np.diff(program.route_offsets)
    assert (hops >= 1).all()
    assert program.load().sum() == pytest.approx((program.bytes * program.count * hops).sum())
    assert program.route_links.min() >= 0
    assert program.route_links.max() < len(program.bandwidth) == len(program.load())
    rate = program.top_rate()
    assert (rate > 0).all()
    assert (rate <= program.cap).all()
    assert (rate[program.row_of_hop()] <= program.bandwidth[program.route_links]).all()
    sheet = fabric.load(name)
    wire = sheet.protocol(list(sheet.protocols)[-1], algorithm).wire
    sent = 2 * (p - 1) * 1e5 * wire
    assert program.wire_bytes == pytest.approx(sent)


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in CLASSIC])
@pytest.mark.parametrize("name", ["hccs", "nvlink4"])
def test_a_join_costs_nothing_and_nobody_gets_by_with_fewer_bytes(name: str, algorithm: str) -> None:
    p, how = 16, ALGORITHMS[algorithm]
    sheet = fabric.load(name)
    cluster = topology.build(sheet, p)
    try:
        schedule = how.build(cluster, how.channels(cluster), 2)
    except CollectiveError:
        assert algorithm == "in-switch"
        return
    program = price(schedule, cluster, PROTOCOL, 1e5, allotted=how.allotted)
    joins = np.diff(program.route_offsets) == 0
    assert (joins == schedule.joins).all()
    for costs in (program.bytes, program.latency, program.work, program.overhead):
        assert (costs[joins] == 0).all()
    assert (program.bytes[~joins] > 0).all()
    sent = 2 * (p - 1) * 1e5 * PROTOCOL.wire
    assert program.wire_bytes >= sent * (1 - 1e-9) or how.adds_in_switch


# -- the gap between messages ------------------------------------------------------------------------------


GAP = replace(PROTOCOL, wire=1.0, message_gap=20.0)


def test_a_short_message_keeps_its_sender_busy_for_the_gap_and_arrives_no_later() -> None:
    where = cluster(16)  # NICs of 5 B/s; between nodes 2 · 10 s + 100 s and a step of 0.5 s
    program = price(rows(16, (0, 8, 0), (0, 1, 0), (0, 9, 0)), where, GAP, 20.0, allotted=False)
    assert program.bytes.tolist() == [100.0, 10.0, 100.0], "a message inside the node has no gap"
    assert program.latency[0] == pytest.approx(120.5 - 18.0)
    alone = simulate(price(rows(16, (0, 8, 0)), where, GAP, 20.0, allotted=False))
    assert alone.time == pytest.approx(7.0 + 10 / 5 + 120.5), "as without a gap"
    assert alone.left[0] == pytest.approx(7.0 + 20.0)
    assert program.wire_bytes == pytest.approx(30.0), "what keeps the sender busy is not sent"


def test_so_many_messages_take_so_many_gaps() -> None:
    several = price(rows(32, *((0, 8 * i, 0) for i in (1, 2, 3))), cluster(32), GAP, 20.0, allotted=False)
    assert simulate(several).time == pytest.approx(7.0 + 3 * 20.0 + 120.5 - 18.0)


def test_a_long_message_has_no_gap() -> None:
    where = cluster(16)
    long, plain = (price(rows(16, (0, 8, 0)), where, p, 300.0) for p in (GAP, replace(GAP, message_gap=0.0)))
    assert long.bytes.tolist() == plain.bytes.tolist() == [150.0]
    assert long.latency.tolist() == plain.latency.tolist()


def test_a_gap_longer_than_the_way_delays() -> None:
    where = cluster(16)
    program = price(rows(16, (0, 8, 0)), where, replace(GAP, message_gap=1000.0), 20.0)
    assert program.latency[0] == 0.0
    assert simulate(program).time == pytest.approx(7.0 + 1000.0)
