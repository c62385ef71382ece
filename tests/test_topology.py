"""Routes are arithmetic, so a wrong one is still a list of numbers: every one is held against the NetworkX graph.

The rule that is checked is the model's: cards of one node talk over its scale-up links, cards of different nodes each
over a NIC of their own and the switches between them, both by a shortest way. (A path that leaves by a neighbour's
NIC can have fewer links; no library's ring or tree takes it and no route here does.)
"""

from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.topology import (
    CARD_NIC, DOWN, LANE, LEAF_NIC, LEAF_SPINE, LINK_KINDS, MOST_CARDS, NIC_CARD, NIC_LEAF, SPINE_LEAF, UP,
    Topology, TopologyError, build,
)  # fmt: skip

RING = ("domain.kind=ring", "domain.lanes=2")
TORUS = {
    "2x2": ("domain.kind=torus", "domain.shape=2x2", "domain.size=4", "domain.lanes=4"),
    "2x4": ("domain.kind=torus", "domain.shape=2x4", "domain.size=8", "domain.lanes=4"),
    "4x3": ("domain.kind=torus", "domain.shape=4x3", "domain.size=12", "domain.lanes=4"),
    "3x2x4": ("domain.kind=torus", "domain.shape=3x2x4", "domain.size=24", "domain.lanes=6"),
    "5x5": ("domain.kind=torus", "domain.shape=5x5", "domain.size=25", "domain.lanes=4"),
}
#: Radix 8 has four ports down and four up, so a few nodes already need spines.
SMALL = ("network.radix=8",)
PLAIN, HASH, NARROW = "network.kind=leaf-spine", "network.routing=hash", "network.oversubscription=3"

#: Name, fabric, changes, cards, domain.
CLUSTERS: list[tuple[str, str, tuple[str, ...], int, int | str | None]] = [
    ("a switch, one node", "nvlink3", (), 8, None),
    ("a switch, two cards", "nvlink3", (), 2, None),
    ("a switch for everyone", "nvlink3", (), 24, "all"),
    ("a switch, one leaf a rail", "nvlink3", (), 24, None),
    ("a switch, last node partial", "nvlink3", SMALL, 43, None),
    ("a switch, last node of one card", "nvlink3", (*SMALL, HASH), 33, None),
    ("a switch, domain of three", "nvlink3", SMALL, 20, 3),
    ("a switch, domain of one", "nvlink3", SMALL, 20, 1),
    ("a switch, narrow hashed spines", "nvlink3", (*SMALL, HASH, NARROW), 64, None),
    ("a switch, plain leaves", "nvlink3", (*SMALL, PLAIN), 43, None),
    ("a switch, plain leaves, hashed", "nvlink3", (*SMALL, PLAIN, HASH), 43, None),
    ("a switch, a leaf that ends within a node", "nvlink3", ("network.radix=12", PLAIN, HASH), 40, None),
    ("a switch of two ports", "nvlink3", ("network.radix=2", HASH), 20, 4),
    ("a mesh, one node", "hccs", (), 8, None),
    ("a mesh, part of a node", "hccs", (), 5, None),
    ("a mesh, last node partial", "hccs", (*SMALL, HASH), 45, None),
    ("a mesh, spread", "hccs", (*SMALL, NARROW), 64, None),
    ("a mesh, domain of two", "hccs", (*SMALL, PLAIN, HASH), 13, 2),
    ("a mesh, last node of one card", "hccs", SMALL, 17, None),
    ("a mesh, domain of one", "hccs", SMALL, 6, 1),
    ("a ring, one node", "hccs", RING, 8, None),
    ("a ring, odd", "hccs", RING, 7, None),
    ("a ring of two", "hccs", RING, 2, None),
    ("a ring, last node of three", "hccs", (*RING, *SMALL, HASH), 43, None),
    ("a ring, last node of two", "hccs", (*RING, *SMALL), 42, None),
    ("a ring, last node of one", "hccs", (*RING, *SMALL), 41, None),
    ("a ring for everyone", "hccs", RING, 21, "all"),
    ("a ring, domain of two", "hccs", (*RING, PLAIN), 7, 2),
    ("a ring, domain of one", "hccs", RING, 4, 1),
    ("a torus of one side", "hccs", ("domain.kind=torus", "domain.shape=8", "domain.lanes=2"), 19, None),
    *((f"a torus {shape}, one node", "hccs", TORUS[shape], size, None)
      for shape, size in (("2x2", 4), ("2x4", 8), ("4x3", 12), ("3x2x4", 24), ("5x5", 25))),
    ("a torus 2x4, four nodes", "hccs", (*TORUS["2x4"], *SMALL, HASH), 32, None),
    ("a torus 3x2x4, three nodes, plain leaves", "hccs", (*TORUS["3x2x4"], *SMALL, PLAIN), 72, None),
]  # fmt: skip
EVERY = pytest.mark.parametrize("cluster", [c[1:] for c in CLUSTERS], ids=[c[0] for c in CLUSTERS])


def make(cluster: tuple[str, tuple[str, ...], int, int | str | None], seed: int = 0) -> Topology:
    name, changes, cards, domain = cluster
    return build(fabric.load(name, changes=changes), cards, domain=domain, seed=seed)


def everyone(cluster: Topology) -> tuple[np.ndarray, np.ndarray]:
    """All ordered pairs of different ranks."""
    source, target = np.nonzero(~np.eye(cluster.cards, dtype=bool))
    return source, target


def hops(cluster: Topology, source: int, target: int, channel: int = 0) -> list[int]:
    offsets, links = cluster.routes(np.array([source]), np.array([target]), np.array([channel]))
    assert offsets.tolist() == [0, len(links)]
    return links.tolist()


def vertices(cluster: Topology, source: int, target: int) -> list[int]:
    """Vertices along a route."""
    heads = cluster.ends()[1]
    return [source, *heads[hops(cluster, source, target)].tolist()]


# -- every route of every kind of cluster ------------------------------------------------------------------


@EVERY
def test_every_route_is_a_shortest_path_of_the_graph(cluster) -> None:
    cards = make(cluster)
    graph = cards.graph()
    link_ends = {data["link"]: (a, b) for a, b, data in graph.edges(data=True)}
    assert sorted(link_ends) == list(range(cards.links))

    def only(kinds: range) -> nx.DiGraph:
        names = {LINK_KINDS[k] for k in kinds}
        return nx.subgraph_view(graph, filter_edge=lambda a, b: graph.edges[a, b]["kind"] in names)

    inside = dict(nx.all_pairs_shortest_path_length(only(range(CARD_NIC))))
    across = dict(nx.all_pairs_shortest_path_length(only(range(CARD_NIC, len(LINK_KINDS)))))
    source, target = everyone(cards)
    for channel in (0, 5):
        offsets, links = cards.routes(source, target, np.full(len(source), channel))
        assert offsets[0] == 0
        assert offsets[-1] == len(links)
        for i, (a, b) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
            path = [link_ends[link] for link in links[offsets[i] : offsets[i + 1]].tolist()]
            assert path[0][0] == a
            assert path[-1][1] == b
            assert all(one[1] == two[0] for one, two in pairwise(path)), path
            shortest = inside if a // cards.group == b // cards.group else across
            assert len(path) == shortest[a][b], (a, b, path)


@EVERY
def test_the_graph_is_the_arrays_and_loses_no_link(cluster) -> None:
    cards = make(cluster)
    graph = cards.graph()
    source, target = cards.ends()
    assert graph.number_of_edges() == cards.links == len(source) == len(set(zip(source.tolist(), target.tolist(), strict=True)))
    assert (source != target).all()
    assert len(cards.bandwidth) == len(cards.latency) == len(cards.kind) == cards.links
    for a, b, data in graph.edges(data=True):
        link = data["link"]
        assert (source[link], target[link]) == (a, b)
        assert data["kind"] == LINK_KINDS[cards.kind[link]]
        assert data["bandwidth"] == cards.bandwidth[link] > 0
        assert data["latency"] == cards.latency[link] >= 0
    # Every link has its way back, as wide and as long (latency apart: a switch's lies on the way in).
    for a, b, data in graph.edges(data=True):
        assert graph.edges[b, a]["bandwidth"] == data["bandwidth"]
    kinds = [graph.nodes[v]["kind"] for v in range(graph.number_of_nodes())]
    assert kinds[: cards.cards] == ["card"] * cards.cards
    ends_of = {
        "card→switch": ("card", "switch"), "switch→card": ("switch", "card"), "lane": ("card", "card"),
        "card→nic": ("card", "nic"), "nic→card": ("nic", "card"), "nic→leaf": ("nic", "leaf"),
        "leaf→nic": ("leaf", "nic"), "leaf→spine": ("leaf", "spine"), "spine→leaf": ("spine", "leaf"),
    }  # fmt: skip
    for a, b, data in graph.edges(data=True):
        assert (kinds[a], kinds[b]) == ends_of[data["kind"]]
    # One scale-up link never joins two nodes, and each card has one NIC.
    scale_up = cards.kind <= LANE
    on_cards = scale_up & (source < cards.cards) & (target < cards.cards)
    assert (source[on_cards] // cards.group == target[on_cards] // cards.group).all()
    for v, kind in enumerate(kinds):
        if kind == "nic":
            assert sorted(kinds[u] for u in graph.successors(v)) == ["card", "leaf"]
    # All ways in are all ways out, and nobody is cut off.
    assert nx.is_strongly_connected(graph)


@EVERY
def test_links_by_kind(cluster) -> None:
    """As many of each kind as the data sheet says, counted without the arrays."""
    name, changes, p, _ = cluster
    sheet, cards = fabric.load(name, changes=changes), make(cluster)
    group, domain = cards.group, sheet.domain
    sizes = [group] * (p // group) + ([p % group] if p % group else [])
    assert cards.nodes == len(sizes)
    assert cards.node_sizes().tolist() == sizes
    assert cards.last_group == sizes[-1]

    def lanes(size: int) -> int:
        if domain.kind == "full-mesh":
            return size * (size - 1)
        sides = domain.shape if len(domain.shape) > 1 else (size,)
        return sum(size * min(side - 1, 2) for side in sides)

    switched = p if domain.kind == "switch" else 0
    assert cards.switches == (len(sizes) if switched else 0)
    assert cards.count(UP) == cards.count(DOWN) == switched
    assert cards.count(LANE) == (0 if switched else sum(map(lanes, sizes)))
    nics = p if len(sizes) > 1 else 0
    for kind in (CARD_NIC, NIC_CARD, NIC_LEAF, LEAF_NIC):
        assert cards.count(kind) == nics
    assert cards.count(LEAF_SPINE) == cards.count(SPINE_LEAF) == cards.leaves * cards.trunks
    assert sum(cards.count(kind) for kind in range(len(LINK_KINDS))) == cards.links
    assert cards.links == cards.graph().number_of_edges()


@EVERY
def test_leaves_hold_no_more_nics_than_they_have_ports(cluster) -> None:
    cards = make(cluster)
    if cards.nodes == 1:
        assert cards.leaves == cards.spines == cards.count(NIC_LEAF) == 0
        return
    down, up = cards.ports
    leaf = cards.leaf(np.arange(cards.cards))
    assert leaf.min() == 0
    assert leaf.max() < cards.leaves
    assert np.bincount(leaf).max() <= down
    assert down + up <= cards.fabric.network.radix
    if cards.railed:
        rail = np.arange(cards.cards) % cards.group
        assert all(len(set(rail[leaf == number])) <= 1 for number in range(cards.leaves))
    if cards.spines:
        # All cables of a leaf together carry what its ports carry, spread or hashed.
        wire = cards.bandwidth[cards.first_link[NIC_LEAF]]
        rate = cards.bandwidth[cards.first_link[LEAF_SPINE] : cards.first_link[LEAF_SPINE + 1]]
        assert rate.reshape(cards.leaves, cards.trunks).sum(axis=1) == pytest.approx([up * wire] * cards.leaves)
    else:
        assert cards.leaves == 1


def test_rates_and_latencies_are_the_data_sheet_s() -> None:
    """A100: 12·25·0.8 = 240 GB/s to the switch. HDR: 23.5 GB/s on the wire, 27.2 on the bus.

    The way across adds up to two NICs and a switch, or three switches where a spine is crossed.
    """
    cards = make(("nvlink3", SMALL, 64, None))
    sheet = cards.fabric
    for kind, rate in ((UP, 240e9), (DOWN, 240e9), (CARD_NIC, 27.2e9), (NIC_CARD, 27.2e9), (NIC_LEAF, 23.5e9), (LEAF_NIC, 23.5e9),
                       (LEAF_SPINE, 4 * 23.5e9), (SPINE_LEAF, 4 * 23.5e9)):  # fmt: skip
        assert cards.bandwidth[cards.kind == kind] == pytest.approx(rate)
    assert make(("nvlink3", (*SMALL, HASH), 64, None)).bandwidth[-1] == pytest.approx(23.5e9)
    nic, switch = sheet.nic.latency, sheet.network.switch_latency
    for source, target, expected in (
        (0, 1, sheet.domain.latency), (0, 8, 2 * nic + switch), (0, 32, 2 * nic + 3 * switch), (0, 9, 2 * nic + 3 * switch),
    ):  # fmt: skip
        assert cards.latency[hops(cards, source, target)].sum() == pytest.approx(expected)
    mesh = make(("hccs", (), 8, None))
    assert mesh.bandwidth == pytest.approx(18.3e9)
    assert mesh.latency == pytest.approx(0.5e-6)


def test_a_fabric_in_a_file_of_one_s_own(tmp_path: Path) -> None:
    """A 2x2 torus in a TOML file is the same cluster as the one by changes."""
    shipped = (Path(fabric.load("hccs").path)).read_text()
    own = shipped.replace('kind = "full-mesh"', 'kind = "torus"\nshape = [[2, 2], "toy"]').replace("datasheet_bandwidth = [", "# ")
    own = own.replace("size = [8", "size = [4").replace("lanes = [7", "lanes = [4")
    path = tmp_path / "own.toml"
    path.write_text(own)
    (tmp_path / "roce-200g.toml").write_text((Path(fabric.load("hccs").path).parent / "networks/roce-200g.toml").read_text())
    if "datasheet" in own:
        path.write_text("\n".join(line for line in own.splitlines() if "392GB/s" not in line))
    mine, other = build(fabric.load(str(path)), 8), make(("hccs", TORUS["2x2"], 8, None))
    assert mine.fabric.domain == other.fabric.domain
    for a, b in zip(mine.routes(*everyone(mine), np.zeros(56, int)), other.routes(*everyone(other), np.zeros(56, int)), strict=True):
        assert np.array_equal(a, b)
