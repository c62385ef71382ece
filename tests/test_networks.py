"""Networks between nodes: every way is walked on the NetworkX graph, every count is worked out by hand.

`tests/test_topology.py` does the same for what lies inside nodes, and for leaves and spines.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest

from ringsim import fabric
from ringsim.fabric.launch import launched
from ringsim.study import run
from ringsim.topology import (
    CARD_NIC,
    CORE_SPINE,
    LEAF_LEAF,
    LEAF_NIC,
    LEAF_SPINE,
    LINK_KINDS,
    NETWORKS,
    NIC_CARD,
    NIC_LEAF,
    SPINE_CORE,
    SPINE_LEAF,
    Cluster,
    TopologyError,
    build,
)  # fmt: skip
from ringsim.topology.networks.seam import Scaleout
from ringsim.topology.networks.torus import even_box


def fat(radix: int, over: float = 1, above: float = 1, wiring: str = "plain") -> tuple[str, ...]:
    return (
        "kind=fat-tree", f"radix={radix}", f"oversubscription={over}", f"spine_oversubscription={above}",
        f"wiring={wiring}",
    )  # fmt: skip


def dual(radix: int, planes: int = 2, over: float = 1) -> tuple[str, ...]:
    return "kind=dual-plane", f"radix={radix}", f"planes={planes}", f"oversubscription={over}"


def torus(shape: str = "none", links: int = 1) -> tuple[str, ...]:
    return "kind=torus", "radix=64", f"links={links}", f"shape={shape}"


def dragonfly(nics: int, size: int, links: int, groups: int | None = None) -> tuple[str, ...]:
    found = ("kind=dragonfly", "radix=64", f"nics_per_switch={nics}", f"group_switches={size}", f"global_links={links}")
    return (*found, f"groups={groups}") if groups else found


#: Name, fabric, what the network is, cards, domain.
CLUSTERS: list[tuple[str, str, tuple[str, ...], int, int | None]] = [
    ("fat tree, k = 4", "nvlink3", fat(4), 16, 1),
    ("fat tree, one pod", "nvlink3", fat(8), 16, None),
    ("fat tree, nodes on several leaves", "hccs", fat(8), 100, None),
    ("fat tree, a pod that ends in a node", "nvlink3", fat(6), 64, 4),
    ("fat tree, leaves narrower", "nvlink3", fat(12, over=2), 200, None),
    ("fat tree, spines narrower", "hccs", fat(8, above=3), 96, None),
    ("fat tree, rails", "nvlink3", fat(8, wiring="rails"), 64, 2),
    ("fat tree, rails in several pods", "nvlink3", fat(8, wiring="rails"), 64, None),
    ("fat tree, rails, last node of one", "hccs", fat(8, 3, 1, "rails"), 97, 4),
    ("fat tree, one leaf", "nvlink3", fat(64), 16, None),
    ("two planes", "nvlink3", dual(8), 64, None),
    ("two planes, one leaf a rail", "nvlink3", dual(64), 64, None),
    ("two planes, narrow, last node partial", "hccs", dual(12, over=2), 99, None),
    ("four planes", "nvlink3", dual(6, planes=4), 40, 4),
    ("two planes, a single rail", "nvlink3", dual(4), 8, 1),
    ("a ring of nodes", "nvlink3", torus("5"), 40, None),
    ("two nodes", "nvlink3", torus(), 16, None),
    ("a torus 4x3 of nodes", "hccs", torus("4x3", links=3), 24, 2),
    ("a torus 2x2x3, last node partial", "nvlink3", torus("2x2x3"), 90, None),
    ("a torus 1x4", "nvlink3", torus("1x4"), 32, None),
    ("a torus of 8 nodes, shape left out", "hccs", torus(links=2), 64, None),
    ("a torus of single cards", "hccs", torus("4x4x2"), 32, 1),
    ("dragonfly, full", "nvlink3", dragonfly(2, 4, 2), 72, 1),
    ("dragonfly, nodes of two", "nvlink3", dragonfly(4, 3, 1), 48, 2),
    ("dragonfly, several cables", "hccs", dragonfly(4, 4, 3), 60, None),
    ("dragonfly, two groups", "nvlink3", dragonfly(2, 3, 2), 12, 2),
    ("dragonfly, one group", "nvlink3", dragonfly(8, 4, 1), 32, None),
    ("dragonfly, part of a group", "nvlink3", dragonfly(8, 4, 1), 24, None),
    ("dragonfly, one switch", "nvlink3", dragonfly(16, 1, 1), 16, None),
    ("dragonfly, groups of one switch", "nvlink3", dragonfly(4, 1, 5), 24, 4),
    ("dragonfly, last group partial", "nvlink3", dragonfly(4, 4, 2), 35, None),
    ("dragonfly, more groups than needed", "nvlink3", dragonfly(4, 4, 2, groups=7), 35, None),
]  # fmt: skip
EVERY = pytest.mark.parametrize("cluster", [c[1:] for c in CLUSTERS], ids=[c[0] for c in CLUSTERS])
BOTH = pytest.mark.parametrize("routing", ["spread", "hash"])
BY_NAME = {c[0]: c[1:] for c in CLUSTERS}


def make(cluster, routing: str = "spread", seed: int = 0) -> Cluster:
    name, network, cards, domain = cluster
    changes = [f"network.{change}" for change in (*network, f"routing={routing}")]
    return build(fabric.load(name, changes=changes), cards, domain=domain, seed=seed)


def network_of(cards: Cluster) -> Scaleout:
    assert cards.network
    return cards.network


def everyone(cards: Cluster) -> tuple[np.ndarray, np.ndarray]:
    source, target = np.nonzero(~np.eye(cards.cards, dtype=bool))
    return source, target


def rows(cards: Cluster, source: np.ndarray, target: np.ndarray, channel: int = 0) -> list[list[int]]:
    offsets, links = cards.routes(source, target, np.full(len(source), channel))
    assert offsets[-1] == len(links)
    return [links[a:b].tolist() for a, b in pairwise(offsets.tolist())]


# -- every route of every kind -------------------------------------------------------------------------------


def test_every_kind_of_network_is_tested() -> None:
    kinds = {network[0].removeprefix("kind=") for _, network, _, _ in BY_NAME.values()}
    assert kinds | {"rail-leaf-spine", "leaf-spine"} == set(NETWORKS) == set(fabric.keys.NETWORK_USES)


def minimal(cards: Cluster, across: nx.DiGraph) -> Callable[[int, int], int]:
    """Links of a shortest way through the groups of both cards and no other: a dragonfly's minimal routing."""
    sheet, first = cards.fabric.network, cards.vertices[3]
    assert sheet.group_switches
    group = {v: (v - first) // sheet.group_switches for v in range(first, cards.vertices[-1])}

    @cache
    def between(out: int, into: int) -> dict[int, dict[int, int]]:
        some = [v for v, own in group.items() if own in (out, into)]
        return dict(nx.all_pairs_shortest_path_length(nx.subgraph(across, some)))

    def links(a: int, b: int) -> int:
        out, into = cards.leaf_of(np.array([a, b])).tolist()
        return 4 + between(group[out], group[into])[out][into]

    return links


@BOTH
@EVERY
def test_every_route_is_a_shortest_path_of_the_graph(cluster, routing) -> None:
    cards = make(cluster, routing, seed=3)
    tail, head = cards.ends()
    across = nx.DiGraph()
    chosen = cards.kind >= CARD_NIC
    across.add_edges_from(zip(tail[chosen].tolist(), head[chosen].tolist(), strict=True))
    shortest = dict(nx.all_pairs_shortest_path_length(across))
    ways = minimal(cards, across) if cards.fabric.network.kind == "dragonfly" else None
    source, target = everyone(cards)
    for channel in (0, 5):
        for a, b, path in zip(source.tolist(), target.tolist(), rows(cards, source, target, channel), strict=True):
            assert tail[path[0]] == a
            assert head[path[-1]] == b
            assert all(head[one] == tail[two] for one, two in pairwise(path)), path
            if a // cards.group != b // cards.group:
                least = shortest[a][b] if ways is None else ways(a, b)
                assert len(path) == least, (a, b, [LINK_KINDS[cards.kind[link]] for link in path])


@BOTH
@EVERY
def test_the_graph_is_the_arrays(cluster, routing) -> None:
    cards = make(cluster, routing)
    graph = cards.graph()
    tail, head = cards.ends()
    assert graph.number_of_edges() == cards.links == len(tail)
    assert cards.vertices[-1] == graph.number_of_nodes()
    names = [graph.nodes[v]["kind"] for v in range(cards.vertices[-1])]
    for a, b, data in graph.edges(data=True):
        link = data["link"]
        assert (tail[link], head[link]) == (a, b)
        assert a != b
        assert data["bandwidth"] == cards.bandwidth[link] > 0
        if data["kind"] != "lane":
            assert data["kind"] == f"{names[a]}→{names[b]}"
    assert nx.is_strongly_connected(graph)
    # As many ways back as there, and as wide.
    size = cards.vertices[-1]
    pairs = [np.bincount(one * size + other, weights=cards.bandwidth, minlength=1) for one, other in
             ((tail, head), (head, tail))]  # fmt: skip
    np.testing.assert_array_equal(*pairs)


@EVERY
def test_hashed_cables_carry_together_what_trunks_carry(cluster) -> None:
    spread, hashed = make(cluster, "spread"), make(cluster, "hash")
    for kind in range(len(LINK_KINDS)):
        low, high = spread.first_link[kind : kind + 2]
        own = hashed.first_link[kind : kind + 2]
        assert spread.bandwidth[low:high].sum() == pytest.approx(hashed.bandwidth[own[0] : own[1]].sum())
    assert spread.wiring() == hashed.wiring()
    assert (spread.leaves, spread.spines, spread.cores) == (hashed.leaves, hashed.spines, hashed.cores)


@BOTH
@EVERY
def test_switches_have_as_many_ports_as_they_have(cluster, routing) -> None:
    """In cables: a trunk counts as many as it is wide, divided among the switches that it stands for."""
    cards = make(cluster, routing)
    sheet, network = cards.fabric.network, network_of(cards)
    tail, _ = cards.ends()
    wire = cards.fabric.nic.bandwidth * cards.fabric.nic.efficiency
    planes = sheet.planes or 1
    used = np.bincount(tail, weights=cards.bandwidth / wire * planes, minlength=cards.vertices[-1])[cards.vertices[3] :]
    stands_for = [
        bought / vertices if vertices else 1 for bought, vertices in zip(network.hardware, network.tiers, strict=True)
    ]
    per_switch = used / np.repeat(stands_for, network.tiers)
    leaves, spines = network.tiers[0], network.tiers[1]
    assert per_switch[:leaves].max() <= sheet.radix + 1e-9
    if sheet.kind == "fat-tree":
        # A core may be wider: it stands for a further tier.
        assert per_switch[leaves : leaves + spines].max(initial=0) <= (sheet.spine_radix or sheet.radix) + 1e-9


@BOTH
@EVERY
def test_the_farthest_pair_is_as_far_as_the_network_says(cluster, routing) -> None:
    """No relay through other cards is quicker: the weighted diameter of the whole graph."""
    cards = make(cluster, routing)
    graph = nx.DiGraph(cards.graph())
    worst = 0.0
    for source in range(0, cards.cards, 3):
        lengths = nx.single_source_dijkstra_path_length(graph, source, weight="latency")
        worst = max(worst, max(lengths[card] for card in range(cards.cards)))
    assert cards.nearest_news() <= worst * (1 + 1e-9)


@pytest.mark.parametrize(
    ("name", "switches"),
    [
        ("fat tree, k = 4", 5), ("fat tree, one leaf", 1), ("fat tree, rails", 5), ("two planes", 3),
        ("a ring of nodes", 3), ("a torus 4x3 of nodes", 4), ("dragonfly, full", 4), ("dragonfly, one group", 2),
        ("dragonfly, one switch", 1),
    ],
)  # fmt: skip
def test_the_farthest_pair_is_found_where_nodes_are_kept_apart(name: str, switches: int) -> None:
    cards = make(BY_NAME[name])
    assert network_of(cards).farthest == switches
    graph = nx.DiGraph(cards.graph())
    lengths = dict(nx.all_pairs_dijkstra_path_length(graph, weight="latency"))
    farthest = max(lengths[a][b] for a in range(cards.cards) for b in range(cards.cards))
    assert cards.nearest_news() == pytest.approx(farthest, rel=1e-9)


# -- fat trees -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [4, 6, 8])
def test_a_k_ary_fat_tree_is_al_fares_s(k: int) -> None:
    """Pods: k, of k/2 leaves and k/2 spines; (k/2)² cores, k³/4 hosts, full bisection (Al-Fares et al. 2008)."""
    cards = make(("nvlink3", fat(k), k**3 // 4, 1), "hash")
    assert (cards.leaves, cards.spines, cards.cores) == (k * k // 2, k * k // 2, k * k // 4)
    for kind in (LEAF_SPINE, SPINE_LEAF, SPINE_CORE, CORE_SPINE):
        assert cards.count(kind) == k**3 // 4
    tail, head = cards.ends()
    _, _, _, leaf, spine, core, total = cards.vertices
    assert set(np.bincount(head[cards.kind == SPINE_CORE], minlength=total)[core:]) == {k}, "every core sees every pod"
    pod = (tail[cards.kind == SPINE_CORE] - spine) // (k // 2)
    wire = cards.fabric.nic.bandwidth * cards.fabric.nic.efficiency
    assert cards.bandwidth[cards.kind == SPINE_CORE][pod < k // 2].sum() == pytest.approx(k**3 / 8 * wire)
    assert leaf == 2 * cards.cards + cards.switches


def test_meta_s_cluster_has_eight_pods_and_a_seventh_between_them() -> None:
    """24,576 cards: 192 racks of 16 in a pod, 50 GB/s a card in it and 1:7 between pods (Llama 3 paper)."""
    cards = build(fabric.load("nvlink4", network="roce-400g-fat-tree"), 24_576)
    network = network_of(cards)
    assert (cards.leaves, network.pods, network.pod) == (1536, 8, 192)
    up = cards.bandwidth[cards.first_link[SPINE_CORE]]
    below = 3072 * cards.bandwidth[cards.first_link[NIC_LEAF]]
    assert below / up == pytest.approx(7, rel=0.02)
    assert below == pytest.approx(192 * cards.bandwidth[cards.first_link[LEAF_SPINE]])


def test_a_fat_tree_goes_no_higher_than_it_has_to() -> None:
    """With k = 4 two hosts share a leaf and two leaves a pod."""
    cards = make(BY_NAME["fat tree, k = 4"])
    for target, kinds in (
        (1, []),
        (2, [LEAF_SPINE, SPINE_LEAF]),
        (4, [LEAF_SPINE, SPINE_CORE, CORE_SPINE, SPINE_LEAF]),
    ):
        (path,) = rows(cards, np.array([0]), np.array([target]))
        assert cards.kind[path].tolist() == [CARD_NIC, NIC_LEAF, *kinds, LEAF_NIC, NIC_CARD]


def test_rails_of_a_fat_tree_meet_on_a_leaf() -> None:
    cards = make(BY_NAME["fat tree, rails"])
    own = network_of(cards).leaf(np.arange(cards.cards))
    rail = np.arange(cards.cards) % cards.group
    assert all(len(set(rail[own == leaf])) == 1 for leaf in set(own))
    (path,) = rows(cards, np.array([1]), np.array([3]))
    assert len(path) == 4, "the same rail of the next node is one leaf away"


# -- planes --------------------------------------------------------------------------------------------------


def test_planes_never_meet() -> None:
    """Without NICs and cards the network falls into as many parts as it has planes, and a NIC has a port in each."""
    for name, planes in (("two planes", 2), ("four planes", 4), ("two planes, narrow, last node partial", 2)):
        cards = make(BY_NAME[name], "hash")
        graph = cards.graph()
        nics = range(cards.vertices[2], cards.vertices[3])
        switches = nx.subgraph(graph, range(cards.vertices[3], cards.vertices[-1]))
        # A leaf without spines or NICs would be a part of its own: there is none with traffic.
        parts = list(nx.weakly_connected_components(switches))
        assert len(parts) == planes
        for nic in nics:
            leaves = [v for v in graph.successors(nic) if v >= cards.vertices[3]]
            assert sorted(next(i for i, part in enumerate(parts) if leaf in part) for leaf in leaves) == list(
                range(planes)
            )
        wire = cards.fabric.nic.bandwidth * cards.fabric.nic.efficiency
        assert cards.bandwidth[cards.kind == NIC_LEAF] == pytest.approx(wire / planes)


def test_a_connection_keeps_to_its_plane_and_connections_use_all() -> None:
    cards = make(BY_NAME["two planes"], "hash", seed=1)
    source, target = everyone(cards)
    tail, head = cards.ends()
    half = (cards.vertices[4] - cards.vertices[3]) // 2
    planes = []
    for path in rows(cards, source, target):
        if cards.kind[path[0]] == CARD_NIC:
            leaves = [head[link] for link in path if cards.kind[link] == NIC_LEAF]
            leaves += [tail[link] for link in path if cards.kind[link] == LEAF_NIC]
            plane = {int(leaf - cards.vertices[3]) // half for leaf in leaves}
            assert len(plane) == 1
            planes.append(plane.pop())
    assert np.mean(planes) == pytest.approx(0.5, abs=0.03)


def test_hpn_s_pod_is_as_large_as_published() -> None:
    """15,360 cards on 240 leaves, 128 ports down each; 60 spines of 400 Gb/s a plane count as 120 of 200 Gb/s."""
    cards = build(fabric.load("nvlink4", network="roce-400g-dual-plane"), 15_360)
    assert (cards.ports, cards.leaves, cards.spines) == ((128, 120), 240, 240)


# -- tori ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "shape"),
    [(2, (2,)), (8, (2, 2, 2)), (12, (3, 2, 2)), (16, (4, 2, 2)), (7, (7,)), (64, (4, 4, 4)), (128, (8, 4, 4)),
     (100, (5, 5, 4)), (1000, (10, 10, 10)), (125_000, (50, 50, 50)), (26, (13, 2))],
)  # fmt: skip
def test_a_box_is_as_even_as_its_number_allows(nodes: int, shape: tuple[int, ...]) -> None:
    assert even_box(nodes) == shape


def test_a_torus_of_nodes_by_hand() -> None:
    """Routers 4x3 of two cards, three cables to each neighbour: 2 sides, 2 directions, and 2·3·3 across the middle."""
    cards = make(BY_NAME["a torus 4x3 of nodes"], "hash")
    assert (cards.leaves, cards.spines, cards.ports) == (12, 0, (2, 12))
    assert cards.count(LEAF_LEAF) == 12 * 4 * 3
    tail, head = (end[cards.kind == LEAF_LEAF] - cards.vertices[3] for end in cards.ends())
    middle = (tail // 3 < 2) & (head // 3 >= 2)
    assert middle.sum() == 2 * 3 * 3
    # From router (0, 0) to (3, 1): round the end of the first side, one along the second.
    (path,) = rows(make(BY_NAME["a torus 4x3 of nodes"]), np.array([0]), np.array([2 * (3 * 3 + 1)]))
    assert len(path) == 6


def test_cables_of_a_torus_are_chosen_by_hash_and_kept() -> None:
    cards = make(BY_NAME["a torus 4x3 of nodes"], "hash")
    source, target = everyone(cards)
    used: list[int] = []
    for path in rows(cards, source, target):
        cable = {(link - cards.first_link[LEAF_LEAF]) % 3 for link in path if cards.kind[link] == LEAF_LEAF}
        assert len(cable) <= 1, "a connection keeps to its cable at every hop"
        used += cable
    assert np.bincount(used) == pytest.approx(len(used) / 3, rel=0.15)


# -- dragonflies ---------------------------------------------------------------------------------------------


def test_a_full_dragonfly_by_hand() -> None:
    """With p = h = 2, a = 4 nine groups are joined by one cable each, every port in use (Kim et al. 2008)."""
    cards = make(BY_NAME["dragonfly, full"])
    network = network_of(cards)
    assert (network.groups, network.cables, cards.leaves) == (9, 1, 36)
    assert cards.count(LEAF_LEAF) == 36 * 3 + 9 * 8
    tail, head = (end[cards.kind == LEAF_LEAF] - cards.vertices[3] for end in cards.ends())
    long = tail // 4 != head // 4
    between = np.zeros((9, 9), int)
    np.add.at(between, (tail[long] // 4, head[long] // 4), 1)
    assert (between == 1 - np.eye(9, dtype=int)).all()
    assert (np.bincount(tail[long]) == 2).all()


@pytest.mark.parametrize(("cards", "groups"), [(12, 2), (18, 3), (24, 4), (30, 5), (42, 7)])
def test_global_cables_are_dealt_evenly(cards: int, groups: int) -> None:
    cluster = make(("nvlink3", dragonfly(2, 3, 2), cards, 2))
    network = network_of(cluster)
    assert network.groups == groups
    assert network.cables == 6 // (groups - 1)
    tail, head = (end[cluster.kind == LEAF_LEAF] - cluster.vertices[3] for end in cluster.ends())
    long = tail // 3 != head // 3
    between = np.zeros((groups, groups), int)
    np.add.at(between, (tail[long] // 3, head[long] // 3), 1)
    assert (between == network.cables * (1 - np.eye(groups, dtype=int))).all()
    assert np.bincount(tail[long], minlength=3 * groups).max() <= 2
    there, back = (
        sorted(zip(a[long].tolist(), b[long].tolist(), strict=True)) for a, b in ((tail, head), (head, tail))
    )
    assert there == back, "every cable is one cable, there and back"


def test_planned_paths_take_the_cables_between_two_groups_in_turn() -> None:
    """Two groups of two switches with one cable each that leads to its like: all 64 flows, 32 on each cable."""
    cards = make(("nvlink3", dragonfly(4, 2, 1), 16, 1))
    source, target = (a.ravel() for a in np.meshgrid(np.arange(8), np.arange(8, 16)))
    long = [link for path in rows(cards, source, target) for link in path
            if cards.kind[link] == LEAF_LEAF and link - cards.first_link[LEAF_LEAF] >= 4]  # fmt: skip
    assert np.unique(long, return_counts=True)[1].tolist() == [32, 32]


# -- hashing -------------------------------------------------------------------------------------------------

CHOICES = [
    ("fat tree, spines narrower", LEAF_SPINE), ("fat tree, k = 4", SPINE_CORE), ("two planes", LEAF_SPINE),
    ("dragonfly, several cables", LEAF_LEAF), ("a torus of 8 nodes, shape left out", LEAF_LEAF),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), CHOICES)
def test_hashing_is_seeded_and_even(name: str, kind: int) -> None:
    source, target = everyone(make(BY_NAME[name]))

    def taken(seed: int, channel: int = 0) -> np.ndarray:
        cards = make(BY_NAME[name], "hash", seed)
        return cards.routes(source, target, np.full(len(source), channel))[1]

    assert (taken(7) == taken(7)).all()
    assert (taken(7) != taken(8)).any()
    assert (taken(7) != taken(7, channel=1)).any()
    cards = make(BY_NAME[name], "hash", 7)
    links = taken(7)
    users = np.bincount(links[cards.kind[links] == kind] - cards.first_link[kind], minlength=cards.count(kind))
    assert (users > 0).mean() > 0.9, "hardly a cable is forgotten"


def test_spreading_looks_at_no_seed() -> None:
    for cluster in BY_NAME.values():
        source, target = everyone(make(cluster))
        one, other = (make(cluster, seed=seed).routes(source, target, source)[1] for seed in (0, 1))
        assert (one == other).all()


# -- reductions inside the network: ways that end at switches ------------------------------------------------


@BOTH
@EVERY
def test_ways_to_and_from_switches_lead_to_neighbours(cluster, routing) -> None:
    cards = make(cluster, routing)
    tail, head = cards.ends()
    card = np.arange(cards.cards)
    ends = [(card, cards.leaf_of(card)), (cards.leaf_of(card), card)]
    if cards.switches:
        ends += [(card, cards.switch_of(card)), (cards.switch_of(card), card)]
    trunk = cards.kind >= LEAF_SPINE
    ends.append((tail[trunk], head[trunk]))
    for a, b in ends:
        paths = rows(cards, a, b)
        for one, other, path in zip(a.tolist(), b.tolist(), paths, strict=True):
            assert (tail[path[0]], head[path[-1]]) == (one, other)
            assert all(head[x] == tail[y] for x, y in pairwise(path))
    up, down = (rows(cards, a, b) for a, b in ends[:2])
    assert {tuple(cards.kind[path]) for path in up} == {(CARD_NIC, NIC_LEAF)}
    assert {tuple(cards.kind[path]) for path in down} == {(LEAF_NIC, NIC_CARD)}


def test_ways_to_switches_and_cards_may_be_mixed() -> None:
    cards = make(BY_NAME["two planes"])
    source = np.array([0, cards.vertices[1], 9, 0])
    target = np.array([1, 0, cards.vertices[1] + 1, 17])
    paths = rows(cards, source, target)
    alone = [rows(cards, source[i : i + 1], target[i : i + 1])[0] for i in range(4)]
    assert paths == alone
    assert [len(path) for path in paths] == [2, 1, 1, len(alone[3])]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (
            "card 0",
            "switch 1",
            "card 0 → scale-up switch 1: no neighbours; a way that begins or ends at a switch leads ",
        ),
        ("leaf 0", "leaf 1", "leaf 0 → leaf 1: no neighbours"),
        ("card 0", "leaf 3", "card 0 → leaf 3: no neighbours"),
        ("spine 0", "card 0", "spine 0 → card 0: no neighbours"),
        ("switch 0", "card 63", "scale-up switch 0 → card 63: no neighbours"),
    ],
)
def test_other_ways_are_refused(source: str, target: str, message: str) -> None:
    cards = make(BY_NAME["two planes"])
    first = {"card": 0, "switch": cards.vertices[1], "leaf": cards.vertices[3], "spine": cards.vertices[4]}
    a, b = (first[word] + int(number) for word, number in (end.split() for end in (source, target)))
    with pytest.raises(TopologyError) as error:
        cards.routes(np.array([0, a]), np.array([1, b]), np.array([0, 0]))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("vertex", [-1, 10**6])
def test_there_is_no_such_vertex(vertex: int) -> None:
    cards = make(BY_NAME["two planes"])
    with pytest.raises(TopologyError, match=f"there is no vertex {vertex}"):
        cards.routes(np.array([vertex]), np.array([cards.vertices[3]]), np.array([0]))


# -- what cannot be built --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "cards", "message"),
    [
        (torus("4x4"), 64, "network.shape = 4x4: a torus of 16 nodes, and 64 cards in nodes of 8 are 8; ask for 128 cards"),
        (("kind=torus", "radix=8", "links=1"), 64, "network.radix = 8: a router of this torus has 8 NICs and 3 cables"),
        (("kind=torus", "radix=8", "links=1"), 24, "network.radix = 8: a router of this torus has 8 NICs and 2 cables"),
        (dragonfly(2, 2, 1), 16, "network.global_links = 1: 2 switches with so many cables reach 2 other groups, and "
         "16 cards, 4 in a group, need 4 groups; ask for at most 12 cards, or more global links"),
        (dragonfly(2, 2, 1, groups=4), 16, "network.groups = 4: 2 switches with 1 global links each reach at most 2 other"),
        (dragonfly(2, 2, 2, groups=3), 16, "network.groups = 3: they hold 12 cards, and 16 were asked for; write 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(network, cards: int, message: str) -> None:
    with pytest.raises(TopologyError) as error:
        make(("nvlink3", network, cards, None))
    assert str(error.value).startswith(message)


def test_one_node_needs_no_network() -> None:
    cards = make(("nvlink3", torus("9x9"), 8, None))
    assert cards.network is None
    assert cards.leaf_of(np.arange(3)).tolist() == [-1, -1, -1]
    assert cards.wiring() == ("one scale-up domain holds every card", "not used")


# -- for people ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("fat tree, k = 4", ("8 leaves of 4 ports, 8 spines in 4 pods, 4 cores", "non-blocking")),
        ("fat tree, spines narrower", ("24 leaves of 8 ports, 16 spines in 4 pods, 8 cores",
         "leaves non-blocking; spines 6 ports down, 2 up: oversubscribed 3:1")),
        ("fat tree, one leaf", ("1 leaf of 64 ports", "non-blocking")),
        ("two planes", ("2 planes, rails, 32 leaves of 8 ports, 8 spines", "non-blocking")),
        ("a torus 4x3 of nodes", ("torus of 4×3 routers of 64 ports", "3 cables to each neighbour")),
        ("dragonfly, full", ("9 groups of 4 switches of 64 ports", "1 cable between any two groups of 8 NICs")),
        ("dragonfly, one group", ("1 group of 4 switches of 64 ports", "one group of 32 NICs")),
    ],
)  # fmt: skip
def test_what_a_network_says_of_itself(name: str, summary: tuple[str, str]) -> None:
    assert make(BY_NAME[name]).wiring() == summary


@pytest.mark.parametrize("name", [*fabric.networks(), "dragonfly of a million"])
def test_a_million_cards_are_laid_out_without_a_search(name: str) -> None:
    big = name.endswith("million")
    changes = [
        "network.radix=128",
        "network.nics_per_switch=32",
        "network.group_switches=64",
        "network.global_links=32",
    ]
    if name == "ib-hdr-dragonfly":
        pytest.skip("it holds 37,120 cards")
    sheet = fabric.load("hccs", network="ib-hdr-dragonfly" if big else name, changes=changes if big else ())
    cards = build(sheet, 1_000_000)
    for source, target in ((0, 999_999), (999_999, 0), (123_456, 654_321)):
        (path,) = rows(cards, np.array([source]), np.array([target]))
        assert cards.kind[path][[0, 1, -2, -1]].tolist() == [CARD_NIC, NIC_LEAF, LEAF_NIC, NIC_CARD]
        assert path[0] == cards.first_link[CARD_NIC] + source
        assert path[-1] == cards.first_link[NIC_CARD] + target


def test_spread_planes_are_one_link_as_fast_as_the_nic() -> None:
    """A library that divides a connection among its ports gets them all; a hashed connection gets one."""
    cards = make(BY_NAME["two planes"])
    wire = cards.fabric.nic.bandwidth * cards.fabric.nic.efficiency
    assert cards.count(NIC_LEAF) == cards.cards
    assert cards.bandwidth[cards.kind == NIC_LEAF] == pytest.approx(wire)
    assert make(BY_NAME["two planes"], "hash").count(NIC_LEAF) == 2 * cards.cards


@BOTH
def test_cables_that_join_the_same_two_switches_are_all_used(routing: str) -> None:
    """Three groups of one switch with four long cables each: two to either neighbour."""
    cards = make(("nvlink3", dragonfly(4, 1, 4), 12, 4), routing)
    assert network_of(cards).cables == 2
    links = cards.routes(*everyone(cards), np.zeros(12 * 11, np.int64))[1]
    assert len(np.unique(links[cards.kind[links] == LEAF_LEAF])) == cards.count(LEAF_LEAF) == 12


# -- networks of clouds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "adapters", "gigabits"),
    [("efa-p4d", 4, 100), ("efa-p5", 32, 100), ("efa-p5en", 16, 200), ("tcpxo", 8, 200)],
)
def test_eight_cards_share_the_adapters_of_their_node(name: str, adapters: int, gigabits: int) -> None:
    assert 8 * fabric.load("nvlink4", network=name).nic.bandwidth == pytest.approx(adapters * gigabits * 1e9 / 8)


@pytest.mark.parametrize(("name", "stated"), [("efa-p4d", 75e-6), ("efa-p5en", 35e-6)])
def test_efa_has_the_latency_that_its_plug_in_states(name: str, stated: float) -> None:
    sheet = fabric.load("nvlink4", network=name)
    assert 2 * sheet.nic.latency + sheet.network.switch_latency == pytest.approx(stated)


def test_two_nodes_over_tcpxo_take_what_was_measured_of_them() -> None:
    """123 us for 8 bytes, a process for each of 16 H100; and no more leaves a NIC than 180.7 GB/s from eight of them."""
    sheet = launched(fabric.load("nvlink4", network="tcpxo"), "process-per-card", 8)
    assert run(sheet, 16, size=8).time_us == pytest.approx(123, rel=0.01)
    assert 8 * sheet.nic.bandwidth * sheet.nic.efficiency == pytest.approx(180.7e9, rel=0.002)
