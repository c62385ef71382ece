"""Law: on uniform clusters the simulated times are the textbook's, to the last digits."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import COLLECTIVES
from ringsim.collectives.ring import ring
from ringsim.collectives.tree import tree
from ringsim.engines import EngineName, run
from ringsim.fabric import Protocol
from ringsim.program import price

EXACT = 1e-9
RING_CARDS = (2, 3, 7, 8, 64, 1000, 1024)
SIZES = (8, 1000, 2**20, 2**30)
PROTOCOL = Protocol("exact", startup=5e-6, step_scale_up=1e-6, step_network=0.0, wire=1.0, slices=1, share="max-min")


def flat(cards: int, name: str = "nvlink3") -> tuple[topology.Topology, float, float]:
    """One domain that holds every card; the rate B of a card and the cost alpha of a step."""
    cluster = topology.build(fabric.load(name), cards, domain="all")
    domain = cluster.fabric.domain
    rate = domain.card_bandwidth if domain.kind == "switch" else domain.lane_bandwidth * domain.efficiency
    return cluster, rate, domain.latency + PROTOCOL.step_scale_up


def simulate(schedule, cluster, size: float) -> list[float]:
    """Time on the compiled engine with and without jumping."""
    program = price(schedule, cluster, PROTOCOL, size)
    return [run(program, jump=jump).time for jump in (True, False)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("p", RING_CARDS)
def test_ring(p: int, size: int) -> None:
    """Every card sends 2(p−1) chunks of S/p bytes, one after the other has arrived.

    All start at once, so all connections are in step: a firing takes S/(pB) to leave and alpha to arrive, and the
    next one begins. T = base + 2(p−1)·(alpha + S/(pB)).
    """
    cluster, rate, alpha = flat(p)
    expected = PROTOCOL.startup + 2 * (p - 1) * (alpha + size / (p * rate))
    assert simulate(ring(cluster, 1, 1), cluster, size) == pytest.approx([expected] * 2, rel=EXACT)


@pytest.mark.parametrize("slices", [2, 3, 8])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("p", RING_CARDS)
def test_ring_with_slices(p: int, size: int, slices: int) -> None:
    """Slice i of step j starts when slice i−1 of the step has left and slice i of step j−1 has arrived.

    With t = S/(psB): start(j, i) = max(start(j, i−1) + t, start(j−1, i) + t + alpha) and start(j, 0) also waits for the
    last slice of step j−1 to leave, so start(j, i) = i·t + j·max(s·t, t + alpha): a step costs either the sending of its
    slices or one slice's way, whichever is longer. The last slice of the last of the 2(p−1) steps arrives at
    (s−1)·t + (2p−3)·max(s·t, t + alpha) + t + alpha.
    """
    cluster, rate, alpha = flat(p)
    t = size / (p * slices * rate)
    expected = PROTOCOL.startup + (slices - 1) * t + (2 * p - 3) * max(slices * t, t + alpha) + t + alpha
    assert simulate(ring(cluster, 1, slices), cluster, size) == pytest.approx([expected] * 2, rel=EXACT)


@pytest.mark.parametrize("chunks", [1, 2, 16, 100])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_pipelined_chain_in_a_full_mesh(n: int, size: int, chunks: int) -> None:
    """In one node the tree is a chain: n−1 hops up to the root and n−1 down again, each on a lane of its own.

    A chunk takes t = S/(C·B) to leave and alpha to arrive, so the first has made its way after 2(n−1)(t + alpha) and the
    others follow t apart: T = base + 2(n−1)·(alpha + t) + (C−1)·t.
    """
    cluster, rate, alpha = flat(n, "hccs")
    t = size / (chunks * rate)
    expected = PROTOCOL.startup + 2 * (n - 1) * (alpha + t) + (chunks - 1) * t
    assert simulate(tree(cluster, 1, chunks), cluster, size) == pytest.approx([expected] * 2, rel=EXACT)


@pytest.mark.parametrize("chunks", [1, 7])
@pytest.mark.parametrize("n", [3, 8])
def test_pipelined_chain_on_a_switch_with_reserved_shares(n: int, chunks: int) -> None:
    """On a switch every card's link carries a row up and a row down; each keeps half of it, so B/2 replaces B."""
    cluster, rate, alpha = flat(n)
    size = 2**24
    protocol = Protocol("reserved", 5e-6, 1e-6, 0.0, wire=1.0, slices=1, share="reserved")
    t = size / (chunks * rate / 2)
    expected = protocol.startup + 2 * (n - 1) * (alpha + t) + (chunks - 1) * t
    program = price(tree(cluster, 1, chunks), cluster, protocol, size)
    assert run(program).time == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("servers", [2, 3, 4, 7, 8, 33, 128])
def test_double_binary_tree_latency(servers: int) -> None:
    """With nothing to send only hops count, and the deeper tree decides.

    In the first tree server s > 0 hangs below the server whose lowest set bit is the next higher one (or, past the end,
    below s without its lowest bit), so the walk up from s visits strictly higher lowest bits: as many hops as the longest
    such walk. One card a server; each hop costs the NIC's, the switch's and the step's latency.
    """
    sheet = fabric.load("nvlink3")
    cluster = topology.build(sheet, servers, domain=1)

    def up(s: int) -> int:
        low = s & -s
        parent = (s ^ low) | (low << 1)
        return parent if parent < servers else s ^ low

    def depth(s: int) -> int:
        return 0 if s == 0 else 1 + depth(up(s))

    hop_s = 2 * sheet.nic.latency + sheet.network.switch_latency
    crossing_s = 2 * sheet.network.switch_latency
    assert not cluster.spines or servers > cluster.ports[0]
    deepest = max(map(depth, range(servers)))
    program = price(tree(cluster, 1, 1), cluster, PROTOCOL, 1e-9)
    low, high = 2 * deepest * hop_s, 2 * deepest * (hop_s + crossing_s)
    elapsed = run(program).time - PROTOCOL.startup
    if not cluster.spines:
        assert elapsed == pytest.approx(low, rel=1e-6)
    else:
        assert low <= elapsed <= high * (1 + 1e-6)


def test_reduction_work_is_paid_in_the_first_half_only() -> None:
    """gamma: each of the p−1 reducing steps adds S/(p·R), the p−1 copying steps add nothing."""
    cluster, rate, alpha = flat(8)
    protocol = Protocol("gamma", 0.0, 1e-6, 0.0, 1.0, 1, "max-min", channel_cap=inf, reduce_bandwidth=50e9)
    size = 2**26
    expected = 2 * 7 * (alpha + size / (8 * rate)) + 7 * size / (8 * 50e9)
    assert run(price(ring(cluster, 1, 1), cluster, protocol, size)).time == pytest.approx(expected, rel=EXACT)


def test_send_overhead_is_paid_before_every_firing() -> None:
    """o: each of the 2(p−1) steps begins o later."""
    cluster, rate, alpha = flat(8)
    protocol = Protocol("o", 0.0, 1e-6, 0.0, 1.0, 1, "max-min", send_overhead=2e-6)
    expected = 2 * 7 * (2e-6 + alpha + 2**20 / (8 * rate))
    assert run(price(ring(cluster, 1, 1), cluster, protocol, 2**20)).time == pytest.approx(expected, rel=EXACT)


def channel(slices: int, overhead: float, *, step: float = 1e-6, share: str = "reserved") -> Protocol:
    """A protocol of which a slice keeps its channel busy."""
    return Protocol("Simple", 5e-6, step, 0.0, 1.0, slices, share, slice_overhead=overhead)


@pytest.mark.parametrize("jump", [True, False])
@pytest.mark.parametrize("overhead", [0.3e-6, 1e-6, 5.2e-6])
@pytest.mark.parametrize(("slices", "size"), [(1, 2**20), (2, 8), (2, 2**20), (2, 2**30), (3, 2**26)])
def test_a_slice_keeps_its_channel_busy(slices: int, size: int, overhead: float, jump: bool) -> None:
    """A slice of b bytes occupies its channel for tau = o + b/B and is there after max(o, step) + b/B + link latency.

    So a step of the ring takes max(s·tau, max(o, step) + b/B + latency), and the last slice of the last step arrives s − 1
    slices after its first: T = base + (s−1)·tau + (2p−3)·max(s·tau, way) + way. Eight channels side by side have an eighth
    of the bytes and of the rate each.
    """
    cluster, rate, alpha = flat(8)
    sending, link = size / (8 * slices * rate), alpha - PROTOCOL.step_scale_up
    tau, way = overhead + sending, max(overhead, 1e-6) + sending + link
    expected = 5e-6 + (slices - 1) * tau + 13 * max(slices * tau, way) + way
    for channels in (1, 8):
        program = price(ring(cluster, channels, slices), cluster, channel(slices, overhead), size)
        assert run(program, jump=jump).time == pytest.approx(expected, rel=EXACT)


def test_a_slice_keeps_its_channel_busy_in_numbers() -> None:
    """Two cards, a chunk of 480,000 bytes in two slices at 240 GB/s: 1 us to send, 5.2 us busy, 25 ns of link.

    2 steps of 2 x 6.2 us, 8.4 us before and the last slice's link after: 8.4 + 4 x 6.2 + 0.025 us.
    """
    cluster = topology.build(fabric.load("nvlink3"), 2)
    protocol = Protocol("Simple", 8.4e-6, 3.375e-6, 0.0, 1.0, 2, "reserved", slice_overhead=5.2e-6)
    for engine in ("compiled", "reference"):
        time = run(price(ring(cluster, 2, 2), cluster, protocol, 960_000), engine).time
        assert time == pytest.approx(33.225e-6, rel=EXACT)


def test_a_chunk_of_a_tree_keeps_its_channel_busy() -> None:
    """T = base + 2(n−1)·(max(o, step) + t + latency) + (C−1)·(o + t), with half of a link for each row."""
    cluster, rate, alpha = flat(8)
    t, link = 2**24 / (7 * rate / 2), alpha - PROTOCOL.step_scale_up
    expected = 5e-6 + 14 * (5.2e-6 + t + link) + 6 * (5.2e-6 + t)
    assert run(price(tree(cluster, 1, 7), cluster, channel(1, 5.2e-6), 2**24)).time == pytest.approx(
        expected, rel=EXACT
    )


def test_only_channels_inside_nodes_are_kept_busy() -> None:
    """Not rows that share links fairly, not those of algorithms without channels, not those between nodes, no joins."""
    cluster, _, _ = flat(8)
    schedule = ring(cluster, 8, 2)
    assert (price(schedule, cluster, channel(2, 5e-6), 1e6).overhead == 5e-6).all()
    for protocol, allotted in ((channel(2, 5e-6, share="max-min"), True), (channel(2, 5e-6), False)):
        without = replace(protocol, slice_overhead=0.0)
        free, plain = (price(schedule, cluster, one, 1e6, allotted=allotted) for one in (protocol, without))
        assert not free.overhead.any()
        assert (free.latency == plain.latency).all()
    two = topology.build(fabric.load("nvlink3"), 16)
    program = price(ring(two, 8, 2), two, channel(2, 5e-6), 1e6)
    inside = ring(two, 8, 2).source // 8 == ring(two, 8, 2).target // 8
    assert (program.overhead == np.where(inside, 5e-6, 0.0)).all()
    assert program.wire_bytes == pytest.approx(2 * 15 * 1e6)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_the_last_chunk_is_copied_out(engine: EngineName) -> None:
    """Two cards, as above; a chunk of 480,000 bytes, 20,000 on each of 24 channels, at 40 GB/s: 0.5 us on any number."""
    cluster = topology.build(fabric.load("nvlink3"), 2)
    protocol = Protocol(
        "Simple", 8.4e-6, 3.375e-6, 0.0, 1.0, 2, "reserved", slice_overhead=5.2e-6, channels=24, copy_bandwidth=40e9
    )
    for channels in (1, 2):
        for slices in (1, 2, 4):
            schedule = ring(cluster, channels, slices)
            program = price(schedule, cluster, protocol, 960_000, slices=slices)
            without = price(schedule, cluster, replace(protocol, copy_bandwidth=inf), 960_000, slices=slices)
            assert without.closing is None
            assert run(program, engine).time == pytest.approx(run(without, engine).time + 0.5e-6, rel=EXACT)
        assert run(
            price(ring(cluster, channels, 2), cluster, protocol, 960_000, slices=2), engine
        ).time == pytest.approx(33.725e-6, rel=EXACT)


def test_who_passes_on_or_adds_up_copies_nothing_out() -> None:
    """A tree's sums go up without; what comes down is copied out chunk by chunk. A reduce-scatter ends with a sum."""
    cluster, _, _ = flat(8)
    protocol = Protocol("Simple", 0.0, 1e-6, 0.0, 1.0, 1, "reserved", copy_bandwidth=25e9)
    schedule = tree(cluster, 4, 5)
    program = price(schedule, cluster, protocol, 2e6)
    up = schedule.reduces == schedule.count
    assert up.sum() == (~up).sum() > 0
    assert program.closing is not None
    # A chunk of 2 MB / 4 trees / 5: nobody says that there are more channels.
    assert program.closing == pytest.approx(np.where(up, 0.0, 1e5 / 25e9))
    scattered = price(COLLECTIVES["reduce-scatter"]["ring"].build(cluster, 8, 2), cluster, protocol, 2e6, slices=2)
    assert scattered.closing is not None
    assert not scattered.closing.any()
    assert (price(schedule, cluster, protocol, 2e6, allotted=False).closing == 0.0).all()
