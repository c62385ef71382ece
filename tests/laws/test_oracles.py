"""Oracles that are not ours: on a uniform network the simulated times are what HCCL and NCCL document, to the last digits.

HCCL states alpha (a step), beta (a byte on the wire) and gamma (a byte reduced): github:mirror-cann/hccl coll_algo_intro.
NCCL's latencies are those of its cost model: github:NVIDIA/nccl src/graph/tuning.cc. Where a formula counts what the law
of time does not, or the other way round, the test says so and takes the difference from a rule, not from a tolerance.
"""

from math import inf, log2

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, COLLECTIVES
from ringsim.engines import run
from ringsim.fabric import Protocol
from ringsim.program import price
from ringsim.topology import Topology

EXACT = 1e-9
RANKS = (2, 4, 6, 8, 16, 100, 128)
SIZES = (8, 2**20, 2**30)
STEP, REDUCE = 1e-6, 50e9
PROTOCOL = Protocol("exact", 0.0, STEP, 0.0, 1.0, 1, "max-min", channel_cap=inf, reduce_bandwidth=REDUCE)
GAMMA = 1 / REDUCE
EVERY = [pytest.mark.parametrize("n", SIZES), pytest.mark.parametrize("p", RANKS)]


def switch(p: int) -> tuple[Topology, float, float]:
    """One switch for everyone, with alpha and beta: whoever sends to one and hears from one has all of a card's link."""
    cluster = topology.build(fabric.load("nvlink3"), p, domain="all")
    domain = cluster.fabric.domain
    return cluster, domain.latency + STEP, 1 / domain.card_bandwidth


def mesh(p: int) -> tuple[Topology, float, float]:
    """A lane between every two cards, with alpha and the beta of one lane."""
    sheet = fabric.load("hccs", changes=["domain.size=128", "domain.lanes=127"])
    cluster = topology.build(sheet, p)
    domain = cluster.fabric.domain
    return cluster, domain.latency + STEP, 1 / (domain.lane_bandwidth * domain.efficiency)


def simulate(
    collective: str, algorithm: str, cluster: Topology, n: float, protocol: Protocol = PROTOCOL
) -> list[float]:
    """Seconds, jumped and not, on one channel and in one piece."""
    program = price(COLLECTIVES[collective][algorithm].build(cluster, 1, 1), cluster, protocol, n)
    return [run(program, jump=jump).time for jump in (True, False)]


def exactly(seconds: float) -> object:
    return pytest.approx([seconds] * 2, rel=EXACT)


def every(test):
    for mark in EVERY:
        test = mark(test)
    return test


# -- HCCL ----------------------------------------------------------------------------------------------------------


@every
def test_ring(p: int, n: int) -> None:
    """2(p−1)α + 2(p−1)/p·nβ + (p−1)/p·nγ."""
    cluster, alpha, beta = switch(p)
    expected = 2 * (p - 1) * alpha + (p - 1) / p * n * (2 * beta + GAMMA)
    assert simulate("all-reduce", "ring", cluster, n) == exactly(expected)


@every
def test_halving_doubling(p: int, n: int) -> None:
    """2·log2(p)α + 2(p−1)/p·nβ + (p−1)/p·nγ for powers of two.

    Otherwise (2⌊log2 p⌋ + 2)α + (2(p'−1)/p' + 2)·nβ + ((p'−1)/p' + 1)·nγ with p' = 2^⌊log2 p⌋: the remainder is folded.
    """
    cluster, alpha, beta = switch(p)
    steps = int(log2(p))
    most = 2**steps
    folds = most < p
    part = (most - 1) / most
    expected = 2 * (steps + folds) * alpha + 2 * (part + folds) * n * beta + (part + folds) * n * GAMMA
    assert simulate("all-reduce", "halving-doubling", cluster, n) == exactly(expected)


@every
def test_recursive_doubling(p: int, n: int) -> None:
    """⌊log2 p⌋·(α + nβ + nγ); a remainder is folded with a vector that is reduced and told with one that is not."""
    cluster, alpha, beta = switch(p)
    steps = int(log2(p))
    folds = 2**steps < p
    expected = (steps + folds) * (alpha + n * (beta + GAMMA)) + folds * (alpha + n * beta)
    assert simulate("all-reduce", "recursive-doubling", cluster, n) == exactly(expected)


@every
def test_mesh_two_shot(p: int, n: int) -> None:
    """2α + (2/p)·nβ + ((p−1)/p)·nγ, says HCCL; here γ counts once, not p − 1 times.

    By rule 4 of the law reducing a firing delays its delivery and nothing else, so what comes in on p − 1 lanes at once is
    reduced at once. HCCL's formula adds it up one after the other. Without γ they are the same.
    """
    cluster, alpha, beta = mesh(p)
    hccl = 2 * alpha + 2 / p * n * beta + (p - 1) / p * n * GAMMA
    expected = hccl - (p - 2) / p * n * GAMMA
    assert simulate("all-reduce", "two-shot", cluster, n) == exactly(expected)


@every
def test_mesh_one_shot(p: int, n: int) -> None:
    """α + nβ + nγ: everything to everyone, all at once, and by the same rule reduced at once."""
    cluster, alpha, beta = mesh(p)
    assert simulate("all-reduce", "one-shot", cluster, n) == exactly(alpha + n * (beta + GAMMA))


@every
def test_halves_of_a_ring(p: int, n: int) -> None:
    """(p−1)α + (p−1)/p·nβ each, and γ for what is added up."""
    cluster, alpha, beta = switch(p)
    half = (p - 1) * alpha + (p - 1) / p * n * beta
    assert simulate("all-gather", "ring", cluster, n) == exactly(half)
    assert simulate("reduce-scatter", "ring", cluster, n) == exactly(half + (p - 1) / p * n * GAMMA)


@every
def test_halves_of_a_mesh(p: int, n: int) -> None:
    """α + n/p·β each."""
    cluster, alpha, beta = mesh(p)
    half = alpha + n / p * beta
    assert simulate("all-gather", "direct", cluster, n) == exactly(half)
    assert simulate("reduce-scatter", "direct", cluster, n) == exactly(half + n / p * GAMMA)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("p", [p for p in RANKS if p & (p - 1) == 0])
def test_halving_and_doubling_on_their_own(p: int, n: int) -> None:
    """log2(p)α + (p−1)/p·nβ each."""
    cluster, alpha, beta = switch(p)
    half = log2(p) * alpha + (p - 1) / p * n * beta
    assert simulate("all-gather", "doubling", cluster, n) == exactly(half)
    assert simulate("reduce-scatter", "halving", cluster, n) == exactly(half + (p - 1) / p * n * GAMMA)


@every
def test_all_to_all(p: int, n: int) -> None:
    """Each has p − 1 blocks to send: on a mesh at once, on a switch they share the link, in turns each has its own α."""
    cluster, alpha, beta = mesh(p)
    assert simulate("all-to-all", "direct", cluster, n) == exactly(alpha + n / p * beta)
    cluster, alpha, beta = switch(p)
    assert simulate("all-to-all", "direct", cluster, n) == exactly(alpha + (p - 1) / p * n * beta)
    assert simulate("all-to-all", "pairwise", cluster, n) == exactly((p - 1) * (alpha + n / p * beta))


@every
def test_a_chain_is_a_pipeline(p: int, n: int) -> None:
    """With C chunks (p − 2 + C)·nβ/C + (p − 1)α, and γ at every hop of a reduce."""
    cluster, alpha, beta = switch(p)
    for collective, gamma in (("broadcast", 0.0), ("reduce", GAMMA)):
        for chunks in (1, 7):
            program = price(COLLECTIVES[collective]["ring"].build(cluster, 1, chunks), cluster, PROTOCOL, n)
            expected = (p - 1) * (alpha + n / chunks * (beta + gamma)) + (chunks - 1) * n / chunks * beta
            assert run(program).time == pytest.approx(expected, rel=EXACT)


# -- NCCL ----------------------------------------------------------------------------------------------------------

#: Of v2.30.7, in seconds, NVLink and NET: start-up, a step inside a node, a step between nodes.
NCCL = {
    ("ring", "LL"): (6.6e-6, 0.6e-6, 2.7e-6),
    ("ring", "LL128"): (14e-6, 1.9e-6, 4e-6),
    ("ring", "Simple"): (8.4e-6, 3.4e-6, 14e-6),
    ("tree", "LL"): (6.8e-6, 0.6e-6, 5e-6),
    ("tree", "LL128"): (14e-6, 1.25e-6, 8.5e-6),
    ("tree", "Simple"): (8.4e-6, 4e-6, 14e-6),
}
NOTHING = 1e-9  # bytes


#: NCCL's latencies are of one message at a time.
NO_GAP = [f"protocol.{name}.message_gap=0us" for name in ("LL", "LL128", "Simple")]


def cards_and_nodes(cards: int, nodes: int, changes: list[str] = NO_GAP) -> Topology:
    """Nodes of so many cards, and leaves wide enough that no step crosses a spine."""
    sheet = fabric.load("nvlink3", changes=["network.radix=1024", *changes])
    return topology.build(sheet, cards * nodes, domain=cards)


def latency(algorithm: str, protocol: str, cluster: Topology) -> float:
    constants = cluster.fabric.protocol(protocol, algorithm)
    program = price(ALGORITHMS[algorithm].build(cluster, 1, 1), cluster, constants, NOTHING)
    times = [run(program, jump=jump).time for jump in (True, False)]
    assert times == exactly(times[0])
    return times[0]


@pytest.mark.parametrize("protocol", ["LL", "LL128", "Simple"])
@pytest.mark.parametrize(("cards", "nodes"), [(2, 1), (8, 1), (1, 2), (1, 16), (2, 2), (2, 8), (4, 4), (8, 2), (8, 16)])
def test_nccl_ring_latency(cards: int, nodes: int, protocol: str) -> None:
    """Startup + (nsteps − nInter)·intra + nInter·inter, nsteps = 2(p−1), nInter = 2(nNodes−1).

    A chunk makes 2(p−1) hops, twice round the ring less two hops. NCCL leaves out two hops between nodes. The slowest chunk
    leaves out two neighbouring hops that are as quick as possible: inside a node where it has three cards, one of each kind
    where it has two.
    """
    startup, intra, inter = NCCL["ring", protocol]
    steps, between = 2 * (cards * nodes - 1), 2 * (nodes - 1)
    nccl = startup + (steps - between) * intra + between * inter
    left_out = min(cards - 1, 2) if nodes > 1 else 0
    found = latency("ring", protocol, cards_and_nodes(cards, nodes))
    assert found == pytest.approx(nccl + left_out * (inter - intra), rel=EXACT)


@pytest.mark.parametrize("overhead", [1e-6, 2e-6])
@pytest.mark.parametrize("nodes", [2, 4, 16, 128])
def test_nccl_ring_overhead(nodes: int, overhead: float) -> None:
    """NCCL lets each step inside a node take netOverhead at least where there are several nodes, 1 us or 2 on AMD hosts.

    Here it is the gap between messages at the NICs: all connections of a ring keep step with the slowest sender,
    which is the same but for the 2(nNodes − 1) steps between nodes, of which NCCL counts the whole latency.
    """
    startup, intra, inter = NCCL["ring", "LL"]
    steps, between = 2 * (8 * nodes - 1), 2 * (nodes - 1)
    nccl = startup + (steps - between) * max(intra, overhead) + between * inter
    gap = [f"protocol.LL.message_gap={overhead * 1e6}us"]
    found = latency("ring", "LL", cards_and_nodes(8, nodes, gap))
    assert startup + steps * overhead <= found <= nccl
    assert found > latency("ring", "LL", cards_and_nodes(8, nodes))


@pytest.mark.parametrize("protocol", ["LL", "LL128", "Simple"])
@pytest.mark.parametrize("cards", [1, 2, 8])
@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 6, 16, 128])
def test_nccl_tree_latency(cards: int, nodes: int, protocol: str) -> None:
    """Startup + 2·((p/nNodes − 1)·intra + log2(nNodes)·inter).

    NCCL rounds the logarithm down. No two binary trees are that shallow between 3 or 6 nodes; these are as deep as it says
    rounded up (`test_two_binary_trees`).
    """
    if cards * nodes < 2:
        return
    startup, intra, inter = NCCL["tree", protocol]
    nccl = startup + 2 * ((cards - 1) * intra + int(log2(nodes)) * inter)
    rounded = 2 * int(log2(nodes) % 1 > 0) * inter
    found = latency("tree", protocol, cards_and_nodes(cards, nodes))
    assert found == pytest.approx(nccl + rounded, rel=EXACT)


def test_the_constants_are_those_of_the_fabric_file() -> None:
    """The files split NCCL's steps into links and software; here they are put together again."""
    cluster = cards_and_nodes(2, 2)
    assert np.isfinite(cluster.bandwidth).all()
    for (algorithm, protocol), (startup, intra, inter) in NCCL.items():
        constants = cluster.fabric.protocol(protocol, algorithm)
        nic, network = cluster.fabric.nic, cluster.fabric.network
        assert constants.startup == pytest.approx(startup)
        assert constants.step_scale_up + cluster.fabric.domain.latency == pytest.approx(intra)
        assert constants.step_network + 2 * nic.latency + network.switch_latency == pytest.approx(inter)
