"""Any graph becomes a topology: its routes are NetworkX's, its mistakes are told by name, its oddities are found."""

import json
import math
import time
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from random_graphs import irregular
from ringsim import fabric
from ringsim.fabric import FabricError
from ringsim.topology import (
    LANE,
    LINK,
    LINK_KINDS,
    UP,
    Finding,
    GraphTopology,
    Topology,
    TopologyError,
    build,
    findings,
    from_graph,
    load_graph,
)  # fmt: skip
from ringsim.topology.graphs import REFERENCE

SEEDS = pytest.mark.parametrize("seed", range(20))


def everyone(cards: Topology) -> tuple[np.ndarray, np.ndarray]:
    source, target = np.nonzero(~np.eye(cards.cards, dtype=bool))
    return source, target


def rows(cards: Topology, source: np.ndarray, target: np.ndarray, channel: int = 0) -> list[list[int]]:
    offsets, links = cards.routes(source, target, np.full(len(source), channel))
    return [links[a:b].tolist() for a, b in pairwise(offsets.tolist())]


def line(**first: object) -> nx.Graph:
    """Three cards in a row; `first` changes the first edge."""
    graph = nx.Graph()
    graph.add_edge("a", "b", **({"bandwidth": 1e9, "latency": 1e-6} | first))
    graph.add_edge("b", "c", bandwidth="2GB/s", latency="3us")
    return graph


# -- routes ----------------------------------------------------------------------------------------------------


@SEEDS
def test_every_route_is_networkx_s_shortest_path(seed: int) -> None:
    graph = irregular(seed)
    cards = from_graph(graph, seed=seed)
    for _, _, data in graph.edges(data=True):
        data["cost"] = data["latency"] + REFERENCE / data["bandwidth"]
    lengths = dict(nx.all_pairs_dijkstra_path_length(graph, weight="cost"))
    tail, head = cards.ends()
    source, target = everyone(cards)
    for a, b, path in zip(source.tolist(), target.tolist(), rows(cards, source, target), strict=True):
        assert tail[path[0]] == a
        assert head[path[-1]] == b
        assert all(head[one] == tail[two] for one, two in pairwise(path))
        cost = (cards.latency[path] + REFERENCE / cards.bandwidth[path]).sum()
        assert cost == pytest.approx(lengths[cards.names[a]][cards.names[b]], rel=1e-9)


@SEEDS
def test_a_route_depends_on_nothing_but_itself(seed: int) -> None:
    cards = from_graph(irregular(seed), seed=seed)
    source, target = everyone(cards)
    together = rows(cards, source, target, 2)
    again = from_graph(irregular(seed), seed=seed)
    for i in (0, len(source) // 3, len(source) - 1):
        assert rows(again, source[i : i + 1], target[i : i + 1], 2)[0] == together[i]
    assert rows(cards, source[:0], target[:0]) == []
    assert rows(cards, source[:2], source[:2]) == [[], []], "who is there already takes no link"


def test_equal_ways_are_chosen_by_seed_and_channel_and_used_alike() -> None:
    """Two cards joined by eight switches: 4,096 connections, 512 on each, give or take five standard deviations."""
    graph = nx.Graph()
    graph.add_nodes_from("ab", kind="card")
    for i in range(8):
        graph.add_node(i, kind="switch")
        graph.add_edge("a", i, bandwidth=1e9, latency=1e-6)
        graph.add_edge(i, "b", bandwidth=1e9, latency=1e-6)
    cards, other = from_graph(graph), from_graph(graph, seed=1)
    channel = np.arange(4096)
    taken = cards.routes(0 * channel, 0 * channel + 1, channel)[1]
    assert (taken == cards.routes(0 * channel, 0 * channel + 1, channel)[1]).all()
    assert (taken != other.routes(0 * channel, 0 * channel + 1, channel)[1]).any()
    users = np.unique(taken[::2], return_counts=True)[1]
    assert len(users) == 8
    assert abs(users - 512).max() < 5 * math.sqrt(4096 / 8 * 7 / 8)


def test_parallel_cables_are_links_of_their_own() -> None:
    graph = nx.MultiGraph()
    for _ in range(3):
        graph.add_edge(0, 1, bandwidth=1e9, latency=0)
    cards = from_graph(graph)
    assert cards.links == 6
    channel = np.arange(300)
    assert len(np.unique(cards.routes(0 * channel, 0 * channel + 1, channel)[1])) == 3
    assert cards.graph().number_of_edges() == 6


def test_a_slow_short_way_loses_against_a_fast_detour() -> None:
    """64 KiB take 65 us at 1 GB/s and 2 x 0.65 us at 100 GB/s; a latency of 1 ms on the detour turns it round."""
    for delay, length in ((0.0, 2), (1e-3, 1)):
        graph = nx.Graph()
        graph.add_edge(0, 2, bandwidth=1e9, latency=0)
        graph.add_edge(0, 1, bandwidth=100e9, latency=delay)
        graph.add_edge(1, 2, bandwidth=100e9, latency=0)
        cards = from_graph(graph)
        assert len(rows(cards, np.array([0]), np.array([cards.names.index("2")]))[0]) == length


@pytest.mark.parametrize("name", ["hccs", "nvlink3"])
@pytest.mark.parametrize("network", [*fabric.networks()])
def test_a_cluster_survives_being_a_graph(name: str, network: str, tmp_path: Path) -> None:
    """Laid out, written as GraphML and as JSON, read again: the same parts in the same places."""
    cluster = build(fabric.load(name, network=network), 20)
    graph = cluster.graph()
    nx.write_graphml(graph, tmp_path / "cluster.graphml")
    (tmp_path / "cluster.json").write_text(json.dumps(nx.node_link_data(graph, edges="links")))
    for found in (from_graph(graph), load_graph(tmp_path / "cluster.graphml"), load_graph(tmp_path / "cluster.json")):
        assert found.vertices == cluster.vertices
        assert found.first_link == cluster.first_link
        assert (found.cards, found.group, found.nodes, found.last_group) == (20, 8, 3, 4)
        assert (found.node_of_vertex() == cluster.node_of_vertex()).all()
        assert sorted(zip(*found.ends(), found.bandwidth, found.latency, strict=True)) == sorted(
            zip(*cluster.ends(), cluster.bandwidth, cluster.latency, strict=True)
        )
        inside = np.arange(8)
        if name == "nvlink3":
            assert (found.switch_of(inside) == cluster.switch_of(inside)).all()
            assert (found.leaf_of(inside) == -1).all(), "its NIC is beside it, not a leaf"
    first = np.arange(1, 8)
    if name == "hccs" and network != "ib-xdr":
        # In a node the two agree (unless NICs are faster than lanes); between nodes a graph may go by a neighbour's NIC.
        ways = [[(int(t.ends()[0][k]), int(t.ends()[1][k])) for k in t.routes(0 * first, first, first)[1]]
                for t in (cluster, found)]  # fmt: skip
        assert ways[0] == ways[1]


def test_a_thousand_cards_are_routed_in_reasonable_time() -> None:
    """All 1,047,552 pairs of 1,024 cards in a fat tree of 40-port switches; measured 4 s on one core."""
    graph = build(fabric.load("nvlink3", changes=["network.routing=hash"]), 1024, domain=1).graph()
    cards = from_graph(graph)
    source, target = everyone(cards)
    began = time.perf_counter()
    offsets, _ = cards.routes(source, target, 0 * source)
    assert time.perf_counter() - began < 60
    assert set(np.diff(offsets)) == {4, 6}


# -- what a graph may say --------------------------------------------------------------------------------------


def test_quantities_with_and_without_units() -> None:
    cards = from_graph(line(bandwidth="8Gb/s", latency="2us"))
    assert cards.cards == 3
    assert cards.links == 4
    assert sorted(cards.bandwidth) == [1e9, 1e9, 2e9, 2e9]
    assert sorted(cards.latency) == pytest.approx([2e-6, 2e-6, 3e-6, 3e-6])
    assert cards.names == ("a", "b", "c")
    assert set(cards.kind) == {LINK}
    assert cards.fabric.protocol("bare", "ring").startup == 0.0
    assert (cards.group, cards.nodes, cards.server_size, cards.scale_up_kind) == (1, 3, 1, "switch")
    assert not cards.network_reduces
    assert cards.wiring() == ("a graph of 3 cards and no switch", "routes by latency and bandwidth")


def test_ranks_order_the_cards() -> None:
    graph = line()
    for name, rank in (("a", 2), ("b", "0"), ("c", 1)):
        graph.nodes[name]["rank"] = rank
    assert from_graph(graph).names == ("b", "c", "a")


def test_nodes_are_scale_up_groups() -> None:
    graph = nx.Graph()
    for i in range(5):
        graph.add_node(i, kind="card", node=f"server {i // 2}")
    graph.add_node("x", kind="switch", node="server 0")
    graph.add_node("tor", kind="anything")
    for i in range(5):
        graph.add_edge(i, "tor", bandwidth=1e9, latency=1e-6)
    graph.add_edge(0, "x", bandwidth=5e9, latency=0)
    graph.add_edge("x", 1, bandwidth=5e9, latency=0)
    graph.add_edge(2, 3, bandwidth=5e9, latency=0)
    cards = from_graph(graph)
    assert (cards.group, cards.nodes, cards.last_group) == (2, 3, 1)
    assert (cards.switches, cards.leaves) == (1, 1)
    assert [cards.count(kind) for kind in (UP, 1, LANE, LINK)] == [2, 2, 2, 10]
    assert cards.node_of_vertex().tolist() == [0, 0, 1, 1, 2, 0, -1]
    assert cards.switch_of(np.array([0, 1, 2])).tolist() == [5, 5, -1]
    assert cards.leaf_of(np.arange(5)).tolist() == [6] * 5
    assert [LINK_KINDS[k] for k in cards.kind[rows(cards, np.array([0]), np.array([1]))[0]]] == [
        "card→switch",
        "switch→card",
    ]


def test_protocols_of_a_fabric() -> None:
    sheet = fabric.load("hccs")
    cards = from_graph(line(), fabric=sheet)
    assert cards.fabric is sheet
    assert from_graph(line()).fingerprint() != cards.fingerprint()
    assert from_graph(line()).fingerprint() == from_graph(line()).fingerprint()
    assert from_graph(line(latency=2e-6)).fingerprint() != from_graph(line()).fingerprint()


# -- mistakes --------------------------------------------------------------------------------------------------


def pair(**values: object) -> nx.Graph:
    graph = nx.Graph()
    graph.add_edge(0, 1, **values)
    return graph


def odd_kind() -> nx.Graph:
    graph = ranked(0, 1)
    nx.set_node_attributes(graph, {0: "card", 1: ["card"]}, "kind")
    return graph


def with_nodes(*nodes: object) -> nx.Graph:
    graph = nx.cycle_graph(len(nodes))
    for i, node in enumerate(nodes):
        if node is not None:
            graph.nodes[i]["node"] = node
    nx.set_edge_attributes(graph, {edge: {"bandwidth": 1e9, "latency": 0} for edge in graph.edges})
    return graph


def ranked(*ranks: object) -> nx.Graph:
    graph = with_nodes(*[None] * len(ranks))
    for i, rank in enumerate(ranks):
        if rank is not None:
            graph.nodes[i]["rank"] = rank
    return graph


def kinds(*named: str | None) -> nx.Graph:
    graph = with_nodes(*[None] * len(named))
    for i, kind in enumerate(named):
        if kind:
            graph.nodes[i]["kind"] = kind
    return graph


def one_way() -> nx.DiGraph:
    return nx.DiGraph([(0, 1, {"bandwidth": 1e9, "latency": 0}), (1, 2, {"bandwidth": 1e9, "latency": 0}),
                       (2, 1, {"bandwidth": 1e9, "latency": 0})])  # fmt: skip


def two_parts() -> nx.Graph:
    graph = nx.Graph()
    for a, b in ((0, 1), (2, 3)):
        graph.add_edge(a, b, bandwidth=1e9, latency=0)
    return graph


RATE = 'write bytes/s such as 25e9, or a text such as "25GB/s"'
BAD = [
    (line(bandwidth=None), f"edge a – b: has no bandwidth; {RATE}"),
    (pair(latency=1e-6), f"edge 0 – 1: has no bandwidth; {RATE}"),
    (pair(bandwidth=1e9), 'edge 0 – 1: has no latency; write seconds such as 1e-6, or a text such as "1us"'),
    (line(bandwidth=-1e9), f"edge a – b: bandwidth = -1000000000.0: must be finite and larger than 0; {RATE}"),
    (line(bandwidth=0), "edge a – b: bandwidth = 0: must be finite and larger than 0"),
    (line(bandwidth=math.nan), "edge a – b: bandwidth = nan: must be finite"),
    (line(bandwidth=math.inf), "edge a – b: bandwidth = inf: must be finite"),
    (line(bandwidth=True), f"edge a – b: bandwidth = True: not a quantity; {RATE}"),
    (line(bandwidth=[1]), "edge a – b: bandwidth = [1]: not a quantity"),
    (line(bandwidth="25"), "edge a – b: bandwidth = 25: "),
    (line(bandwidth="25GB"), "edge a – b: bandwidth = 25GB: "),
    (line(bandwidth="nan"), "edge a – b: bandwidth = nan: a rate must be finite"),
    (line(latency=-1e-6), "edge a – b: latency = -1e-06: must be finite and 0 or larger; write seconds"),
    (line(latency="1"), "edge a – b: latency = 1: "),
    (line(latency="-1us"), "edge a – b: latency = -1us: "),
    (line(bandwidth=10**400), f"edge a – b: bandwidth: a number of more than 308 digits; {RATE}"),
    (line(latency=10**400), "edge a – b: latency: a number of more than 308 digits; write seconds"),
    (line(bandwidth=0.9), f"edge a – b: bandwidth = 0.9: must be between 1 B/s and 1e18 B/s; {RATE}"),
    (line(bandwidth="2e9GB/s"), f"edge a – b: bandwidth = 2e9GB/s: must be between 1 B/s and 1e18 B/s; {RATE}"),
    (line(latency=1.1e6), "edge a – b: latency = 1100000.0: must be at most 1e6 s; write seconds"),
    (nx.DiGraph([(0, 1, {"bandwidth": 1e9})]), "edge 0 → 1: has no latency"),
    (nx.Graph([(0, 0, {"bandwidth": 1e9, "latency": 0}), (0, 1)]), "edge 0 – 0: leads back to where it begins; remove it"),
    (nx.empty_graph(1), "1 of 1 vertices are cards: a collective needs 2 or more"),
    (nx.empty_graph(0), "0 of 0 vertices are cards"),
    (nx.empty_graph(2), "no edges: cards that nothing joins"),
    (kinds("card", "switch", "switch"), '1 of 3 vertices are cards: a collective needs 2 or more; write kind = "card"'),
    (kinds("card", "card", None), 'vertex 2: has no kind though others have; write kind = "card", or what it is'),
    (ranked(0, 1, 1), "vertex 2: rank = 1: 1 has it too; write each rank from 0 to 2 once, or none at all"),
    (ranked(0, 1, 3), "vertex 2: rank = 3: not a rank of 3 cards; write each rank from 0 to 2 once"),
    (ranked(0, 1, None), "vertex 2: rank = (missing): not a rank of 3 cards"),
    (ranked(0, 1, 1.5), "vertex 2: rank = 1.5: not a rank"),
    (ranked(0, -1, 1), "vertex 1: rank = -1: not a rank"),
    (ranked(0, True, 2), "vertex 1: rank = True: not a rank"),
    (with_nodes("x", "x", None), "vertex 2: has no node though other cards have; write node for every card"),
    (with_nodes("x", "x", "y", "z", "z"), "node y: 1 cards, and node x has 2; all nodes but the last hold as "
     "many cards"),
    (with_nodes(["x"], "x"), "vertex 0: node = ['x']: not the name of a server; write a text or a number"),
    (with_nodes("x", {"y": 1}), "vertex 1: node = {'y': 1}: not the name of a server"),
    (with_nodes("x", "y", "y"), "node y: 2 cards, and node x has 1"),
    (odd_kind(), "vertex 1: kind = ['card']: not a word; write"),
    (one_way(), "card 1: there is no way to card 0; add the edges that are missing, in a directed graph both directions"),
    (two_parts(), "card 2: there is no way from card 0; add the edges that are missing"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "message"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_graphs_are_refused_in_a_sentence(graph: nx.Graph, message: str, tmp_path: Path) -> None:
    with pytest.raises(TopologyError) as error:
        from_graph(graph)
    assert str(error.value).startswith(message)
    # The same from a file names the file.
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(nx.node_link_data(graph, edges="links")))
    with pytest.raises(FabricError) as told:
        load_graph(path)
    if " – " not in message and " → " not in message:
        assert str(told.value).startswith(f"{path}: {message}")


def test_an_unreachable_card_can_be_let_through_for_those_who_look() -> None:
    cards = from_graph(two_parts(), check=False)
    with pytest.raises(TopologyError, match="there is no way from card 0 to card 2"):
        cards.routes(np.array([0]), np.array([2]), np.array([0]))


NOT_A_FILE = [
    ("x.graphml", None, "there is no such file; name an existing graph"),
    ("x.txt", "", "not a known form of graph; give a .graphml or a node-link .json file"),
    ("x.graphml", "", "not GraphML: "),
    ("x.graphml", "<graphml>", "not GraphML: "),
    ("x.graphml", "<html></html>", "not GraphML: "),
    ("x.json", "", "not JSON: "),
    ("x.json", "{", "not JSON: "),
    ("x.json", "[" * 100_000, "not JSON: "),
    ("x.json", "[]", "nodes = (missing): not node-link JSON"),
    ("x.json", '{"nodes": []}', "links = (missing): not node-link JSON"),
    ("x.json", '{"nodes": {}, "links": []}', "nodes = (missing): not node-link JSON"),
    ("x.json", '{"nodes": [], "links": [], "directed": "yes"}', "directed = yes: neither true nor false"),
    ("x.json", '{"nodes": [1], "links": []}', "nodes[0]: has no id; write a name or a number"),
    ("x.json", '{"nodes": [{"id": null}], "links": []}', "nodes[0]: has no id"),
    ("x.json", '{"nodes": [{"id": 1}, {"id": 1}], "links": []}', "nodes[1]: id = 1: used twice; give every vertex a name"),
    ("x.json", '{"nodes": [{"id": 1}], "links": [2]}', "links[0]: not an object; write source, target, bandwidth"),
    ("x.json", '{"nodes": [{"id": 1}], "links": [{"source": 1}]}', "links[0]: target = (missing): no such vertex"),
    ("x.json", '{"nodes": [{"id": 1}], "edges": [{"source": 3, "target": 1}]}', "links[0]: source = 3: no such vertex"),
    ("x.json", '{"nodes": [{"id": 1}], "edges": [{"source": [], "target": 1}]}', "links[0]: source = []: no such vertex"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), NOT_A_FILE, ids=[str(i) for i in range(len(NOT_A_FILE))])
def test_bad_files_are_refused_in_a_sentence(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(FabricError) as error:
        load_graph(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_unreadable_files(tmp_path: Path) -> None:
    for name, content, message in (("a.json", b"\xff", "not UTF-8 text"), ("b.json", None, "cannot be read")):
        path = tmp_path / name
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        with pytest.raises(FabricError, match=message):
            load_graph(path)


# -- findings --------------------------------------------------------------------------------------------------


def found(graph: nx.Graph) -> list[tuple[str, str, str]]:
    cards = from_graph(graph, check=False)
    assert isinstance(cards, GraphTopology)
    return [(finding.severity, finding.where, finding.text) for finding in findings(cards)]


def ring(cards: int) -> nx.Graph:
    graph = nx.cycle_graph(cards)
    nx.set_edge_attributes(graph, {edge: {"bandwidth": 10e9, "latency": 1e-6} for edge in graph.edges})
    return graph


def star(cards: int) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(cards), kind="card")
    graph.add_node("tor", kind="switch")
    graph.add_edges_from(((i, "tor") for i in range(cards)), bandwidth=10e9, latency=1e-6)
    return graph


def test_nothing_is_odd_about_a_star_or_a_good_cluster() -> None:
    assert found(star(8)) == []
    for network in ("ib-hdr", "roce-400g"):
        assert findings(build(fabric.load("nvlink3", network=network), 64)) == []
    assert findings(build(fabric.load("hccs"), 8)) == []


def test_one_way_and_asymmetric_links_are_found() -> None:
    graph = nx.DiGraph(star(4))
    graph.add_edge(0, 1, bandwidth=1e9, latency=0)
    assert ("odd", "card 0 → card 1", "a one-way link: nothing leads straight back") in found(graph)
    graph = nx.DiGraph(star(4))
    graph.edges[2, "tor"]["bandwidth"] = 5e9
    said = found(graph)
    assert ("odd", "card 2 ↔ switch tor", "asymmetric: 5GB/s there, 10GB/s back") in said
    assert ("odd", "card 2", "bandwidth out is 5GB/s, and 10GB/s for 3 other cards") in said
    assert len(said) == 2


def test_many_findings_of_a_sort_are_counted() -> None:
    graph = nx.DiGraph(star(20))
    graph.add_edges_from(((i, i + 1) for i in range(12)), bandwidth=1e9, latency=0)
    assert ("odd", "links", "7 more one-way links") in found(graph)


def test_unreachable_cards_are_errors_and_come_first() -> None:
    graph = star(6)
    graph.remove_edge(5, "tor")
    said = found(graph)
    assert said[0] == ("error", "card 5", "1 of 6 cards cannot be reached from card 0")
    assert said[1] == ("error", "card 5", "1 of 6 cards cannot reach card 0")
    graph = star(6)
    graph.remove_edge(0, "tor")
    assert found(graph)[0] == ("error", "card 0", "1 of 6 cards cannot be reached from card 1")


def test_unequal_cards_and_rails_are_found() -> None:
    graph = star(8)
    graph.edges[3, "tor"]["bandwidth"] = 2.5e9
    assert found(graph) == [
        ("odd", "card 3", "bandwidth out is 2.5GB/s, and 10GB/s for 7 other cards"),
        ("odd", "card 3", "bandwidth in is 2.5GB/s, and 10GB/s for 7 other cards"),
    ]
    # A slow NIC behind a fast NVLink.
    cluster = build(fabric.load("nvlink3"), 16).graph()
    cluster.edges[5, cluster.number_of_nodes() and 18 + 5]["bandwidth"] = 1e9
    assert [where for _, where, _ in found(cluster)][:1] == ["card 5 ↔ switch 23"]


def test_dead_ends_are_found() -> None:
    graph = star(4)
    graph.add_node("lost", kind="switch")
    graph.add_edge("lost", "tor", bandwidth=10e9, latency=0)
    assert found(graph) == [("odd", "switch lost", "a dead end: no traffic between others can pass through")]


def test_a_bottleneck_is_found_with_the_cards_behind_it() -> None:
    """Two stars of eight, joined by one cable."""
    graph = nx.Graph()
    for i in range(16):
        graph.add_node(i, kind="card")
    graph.add_nodes_from(("left", "right"), kind="switch")
    graph.add_edges_from(((i, "left" if i < 8 else "right") for i in range(16)), bandwidth=10e9, latency=1e-6)
    graph.add_edge("left", "right", bandwidth=20e9, latency=1e-6)
    ((severity, where, text),) = found(graph)
    assert (severity, where in ("cards 0–7", "cards 8–15")) == ("odd", True)
    assert text == "a cut of 8 cards that could send 80GB/s together lets 20GB/s out: oversubscribed 4:1"


def test_an_oversubscribed_tier_is_found_by_construction() -> None:
    changes = ["network.radix=12", "network.oversubscription=2"]
    (only,) = findings(build(fabric.load("nvlink3", changes=changes), 128))
    assert isinstance(only, Finding)
    assert only.text == "a pod of 64 cards that could send 1.504TB/s together lets 752GB/s out: oversubscribed 2:1"
    meta = findings(build(fabric.load("nvlink4", network="roce-400g-fat-tree"), 24_576))
    assert [finding.text.rpartition(" ")[2] for finding in meta] == ["7.11:1"]
    assert meta[0].where == "cards 0–3071"


def test_a_large_graph_is_looked_at_without_its_cuts() -> None:
    assert found(ring(400)) == []
    assert "oversubscribed" in found(ring(40))[0][2]
