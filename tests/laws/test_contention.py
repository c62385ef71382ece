"""Law: where flows meet they share, and symmetric or faster clusters behave as they should.

The figures for recursive doubling are SimGrid 3.32's flow model on the same ring of hosts.
"""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.collectives.sketch import Sketch
from ringsim.engines import run
from ringsim.fabric import Protocol
from ringsim.program import price

BARE = Protocol("bare", startup=0.0, step_scale_up=0.0, step_network=0.0, wire=1.0, slices=1, share="max-min")


@pytest.mark.parametrize(("hosts", "milliseconds"), [(64, 14.16), (256, 57.30), (1024, 229.9)])
def test_recursive_doubling_on_a_physical_ring(hosts: int, milliseconds: float) -> None:
    """In step k, 2^k flows meet on the middle link of every pair of halves: (p − 1)·(α + S/B) in all."""
    numbers = ("kind=ring", "lanes=2", "lane_bandwidth=300GB/s", "efficiency=1", "latency=1us")
    sheet = fabric.load("nvlink3", changes=[f"domain.{number}" for number in numbers])
    cluster = topology.build(sheet, hosts, domain="all")
    schedule = COLLECTIVES["all-reduce"]["recursive-doubling"].build(cluster, 1, 1)
    time = run(price(schedule, cluster, BARE, 2**26)).time
    assert time == pytest.approx(milliseconds / 1e3, rel=1e-3)
    assert time == pytest.approx((hosts - 1) * (1e-6 + 2**26 / 300e9), rel=1e-9)


@pytest.mark.parametrize("senders", [1, 2, 7, 31])
def test_incast(senders: int) -> None:
    """All of k senders to one card arrive at alpha + kS/B."""
    cluster = topology.build(fabric.load("nvlink3"), 32, domain="all")
    sketch = Sketch(32, 1)
    sketch.send(np.arange(1, senders + 1), np.zeros(senders, np.int64))
    program = price(sketch.schedule(), cluster, BARE, 1e9)
    domain = cluster.fabric.domain
    expected = domain.latency + senders * 1e9 / domain.card_bandwidth
    for engine in ("reference", "compiled"):
        assert run(program, engine).time == pytest.approx(expected, rel=1e-9)


def test_a_collision_halves_what_it_hits_and_nothing_else() -> None:
    """Two flows from one leaf to another over two spines: where the hash puts both on one they take twice as long."""
    changes = ["network.routing=hash", "network.radix=4", "network.kind=leaf-spine"]
    sheet = fabric.load("hccs", changes=changes)
    seen = set()
    for seed in range(20):
        cluster = topology.build(sheet, 4, domain=1, seed=seed)
        sketch = Sketch(4, 1)
        rows = sketch.send(np.array([0, 1]), np.array([2, 3]))
        program = price(sketch.schedule(), cluster, BARE, 1e9)
        _, links = cluster.routes(np.array([0, 1]), np.array([2, 3]), np.zeros(2, np.int64))
        shared = int(np.bincount(links).max())
        trace = run(program)
        alone = 1e9 / (sheet.nic.bandwidth * sheet.nic.efficiency)
        np.testing.assert_allclose(trace.left[rows], shared * alone, rtol=1e-9)
        seen.add(shared)
    assert seen == {1, 2}


def star(cards: int) -> nx.Graph:
    """Cards on one switch: any order is as good as any other."""
    graph = nx.star_graph([cards, *range(cards)])
    nx.set_node_attributes(graph, {v: "switch" if v == cards else "card" for v in graph}, "kind")
    return graph


SYMMETRIC = {
    "star": (star, lambda cards, random: random.permutation(cards)),
    "mesh": (nx.complete_graph, lambda cards, random: random.permutation(cards)),
    # Of odd size, so that one way round is shorter: turned and turned over.
    "cycle": (
        nx.cycle_graph,
        lambda cards, random: random.choice([1, -1]) * (np.arange(cards) + random.integers(9)) % cards,
    ),
}


@pytest.mark.parametrize("shape", SYMMETRIC)
@pytest.mark.parametrize(("collective", "algorithm"), [(c, a) for c, known in COLLECTIVES.items() for a in known])
def test_relabelling_the_ranks_of_a_symmetric_cluster_changes_nothing(
    shape: str, collective: str, algorithm: str
) -> None:
    make, permutation = SYMMETRIC[shape]
    how, cards, random = COLLECTIVES[collective][algorithm], 9, np.random.default_rng(1)
    times = []
    for order in (np.arange(cards), *(permutation(cards, random) for _ in range(3))):
        graph = make(cards)
        nx.set_edge_attributes(graph, {edge: {"bandwidth": 25e9, "latency": 1e-6} for edge in graph.edges})
        nx.set_node_attributes(graph, dict(enumerate(order.tolist())), "rank")
        cluster = topology.from_graph(graph)
        try:
            schedule = how.build(cluster, how.channels(cluster), 2)
        except CollectiveError:
            return  # `test_every_algorithm.py` says where that may be
        times.append(run(price(schedule, cluster, BARE, 1e6)).time)
    assert times == pytest.approx([times[0]] * 4, rel=1e-9)


@pytest.mark.parametrize(("collective", "algorithm"), [(c, a) for c, known in COLLECTIVES.items() for a in known])
def test_where_no_link_is_shared_a_faster_link_never_makes_anything_slower(collective: str, algorithm: str) -> None:
    """Each link in turn twice as fast, and half as far: no row of a program without shared links arrives later."""
    how = COLLECTIVES[collective][algorithm]
    for name, cards in (("hccs", 8), ("nvlink4", 4)):
        cluster = topology.build(fabric.load(name), cards)
        try:
            program = price(how.build(cluster, 1, 1), cluster, BARE, 1e6, allotted=False)
        except CollectiveError:
            continue
        if np.bincount(program.route_links).max() > 1:
            continue  # shared: faster can be slower there, and `docs/design.md` says so
        before = run(program).finish
        for link in np.unique(program.route_links):
            faster = program.bandwidth.copy()
            faster[link] *= 2
            assert (run(replace(program, bandwidth=faster)).finish <= before * (1 + 1e-12)).all()
        nearer = program.latency * np.random.default_rng(0).uniform(0.5, 1, program.rows)
        assert (run(replace(program, latency=nearer)).finish <= before * (1 + 1e-12)).all()
