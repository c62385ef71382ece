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

from ringsim import fabric
from ringsim.topology import (
    CARD_NIC,
    DOWN,
    LANE,
    LEAF_NIC,
    LEAF_SPINE,
    LINK_KINDS,
    MOST_CARDS,
    NIC_CARD,
    NIC_LEAF,
    SPINE_LEAF,
    UP,
    Topology,
    TopologyError,
    build,
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


def trunks(cards: Topology) -> int:
    """Links from a leaf to spines."""
    return cards.count(LEAF_SPINE) // max(1, cards.leaves)


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
    assert (
        graph.number_of_edges()
        == cards.links
        == len(source)
        == len(set(zip(source.tolist(), target.tolist(), strict=True)))
    )
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
    assert np.bincount(np.arange(cards.cards) // cards.group).tolist() == sizes
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
    assert cards.count(LEAF_SPINE) == cards.count(SPINE_LEAF) == cards.leaves * trunks(cards)
    assert sum(cards.count(kind) for kind in range(len(LINK_KINDS))) == cards.links
    assert cards.links == cards.graph().number_of_edges()


@EVERY
def test_leaves_hold_no_more_nics_than_they_have_ports(cluster) -> None:
    cards = make(cluster)
    if cards.nodes == 1:
        assert cards.leaves == cards.spines == cards.count(NIC_LEAF) == 0
        return
    down, up = cards.ports
    assert cards.network
    leaf = cards.network.leaf(np.arange(cards.cards))
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
        assert rate.reshape(cards.leaves, trunks(cards)).sum(axis=1) == pytest.approx([up * wire] * cards.leaves)
    else:
        assert cards.leaves == 1


def test_rates_and_latencies_are_the_data_sheet_s() -> None:
    """A100: 12·25·0.8 = 240 GB/s to the switch. HDR: 23.5 GB/s on the wire, 27.2 on the bus.

    The way across adds up to two NICs and a switch, or three switches where a spine is crossed.
    """
    cards = make(("nvlink3", SMALL, 64, None))
    sheet = cards.fabric
    for kinds, rate in (
        ((UP, DOWN), 240e9),
        ((CARD_NIC, NIC_CARD), 27.2e9),
        ((NIC_LEAF, LEAF_NIC), 23.5e9),
        ((LEAF_SPINE, SPINE_LEAF), 4 * 23.5e9),
    ):
        assert cards.bandwidth[np.isin(cards.kind, kinds)] == pytest.approx(rate)
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
    """A 2x2 torus written in a file is laid out like the one made by changes."""
    text = Path(fabric.load("hccs").path).read_text()
    for old, new in (
        ('kind = "full-mesh"', 'kind = "torus"\nshape = [[2, 2], "toy"]'),
        ("size = [8", "size = [4"),
        ("lanes = [7", "lanes = [4"),
        ('"392GB/s"', '"224GB/s"'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path / "own.toml"
    path.write_text(text)
    mine, other = build(fabric.load(str(path)), 8), make(("hccs", TORUS["2x2"], 8, None))
    assert mine.fabric.domain == other.fabric.domain
    assert mine.ends()[1].tolist() == other.ends()[1].tolist()
    assert np.array_equal(mine.bandwidth, other.bandwidth)


# -- switches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radix", [2, 3, 8, 40, 64, 65, 128])
@pytest.mark.parametrize("oversubscription", [1, 1.5, 2, 3, 3.7, 7.5, 1000])
def test_a_leaf_keeps_to_its_radix_and_its_oversubscription(radix: int, oversubscription: float) -> None:
    """Down over up is at most what is asked for, and one port more down would be too many or too much."""
    changes = (f"network.radix={radix}", f"network.oversubscription={oversubscription}")
    down, up = make(("nvlink3", changes, 16, None)).ports
    assert min(down, up) >= 1
    assert down + up <= radix
    assert down / up <= oversubscription
    assert down + 1 + up > radix or (down + 1) / up > oversubscription


def test_a_leaf_without_oversubscription_is_half_and_half() -> None:
    assert make(("nvlink3", (), 16, None)).ports == (20, 20)
    assert make(("nvlink3", ("network.oversubscription=3",), 16, None)).ports == (30, 10)
    assert make(("nvlink3", ("network.radix=64", "network.oversubscription=7"), 16, None)).ports == (56, 8)


@pytest.mark.parametrize("routing", ["spread", "hash"])
@pytest.mark.parametrize("kind", ["rail-leaf-spine", "leaf-spine"])
@pytest.mark.parametrize("oversubscription", [1, 2, 3])
def test_a_full_leaf_has_so_many_times_more_below_than_above(kind: str, routing: str, oversubscription: int) -> None:
    """72 nodes fill leaves of 6, 8 and 9 ports."""
    changes = (
        "network.radix=12",
        f"network.oversubscription={oversubscription}",
        f"network.kind={kind}",
        f"network.routing={routing}",
    )
    cards = make(("nvlink3", changes, 8 * 72, None))
    source, target = cards.ends()
    first, last = cards.vertices[3], cards.vertices[4]
    for leaf in range(first, last):
        below = cards.bandwidth[(source == leaf) & (cards.kind == LEAF_NIC)].sum()
        above = cards.bandwidth[(source == leaf) & (cards.kind == LEAF_SPINE)].sum()
        assert below == pytest.approx(oversubscription * above)
        assert below == pytest.approx(cards.bandwidth[(target == leaf) & (cards.kind == NIC_LEAF)].sum())
        assert above == pytest.approx(cards.bandwidth[(target == leaf) & (cards.kind == SPINE_LEAF)].sum())


def test_one_rail_crosses_a_spine_only_between_pods() -> None:
    """Radix 8: four nodes share the leaves of a pod."""
    cards = make(("nvlink3", SMALL, 8 * 8, None))
    for node, crosses in ((1, False), (3, False), (4, True), (7, True)):
        kinds = cards.kind[hops(cards, 3, node * 8 + 3)].tolist()
        middle = [LEAF_SPINE, SPINE_LEAF] if crosses else []
        assert kinds == [CARD_NIC, NIC_LEAF, *middle, LEAF_NIC, NIC_CARD]
    assert LEAF_SPINE in cards.kind[hops(cards, 3, 12)], "another rail is another leaf"


def test_routes_of_nothing() -> None:
    offsets, links = make(("hccs", SMALL, 64, None)).routes(*[np.zeros(0, np.int64)] * 3)
    assert offsets.tolist() == [0]
    assert len(links) == 0


# -- hashing -------------------------------------------------------------------------------------------------

HASHED = ("nvlink3", (*SMALL, HASH), 256, None)


def spines_of(cards: Topology, channel: int = 0) -> np.ndarray:
    """Spine that each flow between the two halves of the cluster takes."""
    half = cards.cards // 2
    source, target = (a.ravel() for a in np.meshgrid(np.arange(half), np.arange(half, 2 * half)))
    offsets, links = cards.routes(source, target, np.full(len(source), channel))
    up = links[offsets[:-1] + 2]
    down = links[offsets[:-1] + 3]
    assert (cards.kind[up] == LEAF_SPINE).all()
    spine = (up - cards.first_link[LEAF_SPINE]) % trunks(cards)
    assert (spine == (down - cards.first_link[SPINE_LEAF]) % trunks(cards)).all()
    assert (cards.ends()[1][up] == cards.vertices[4] + spine).all()
    return spine


def test_a_flow_keeps_to_its_spine() -> None:
    assert (spines_of(make(HASHED, 7)) == spines_of(make(HASHED, 7))).all()
    alone = make(HASHED, 7)
    assert hops(alone, 5, 250, 3) == hops(make(HASHED, 7), 5, 250, 3)
    together = alone.routes(np.array([9, 5]), np.array([200, 250]), np.array([0, 3]))[1].tolist()
    assert together[6:] == hops(alone, 5, 250, 3), "a flow's way depends on no other flow"


@pytest.mark.parametrize("other", [{"seed": 1}, {"seed": -1}, {"seed": 2**64 - 2}, {"channel": 1}])
def test_another_seed_or_channel_is_another_draw(other: dict[str, int]) -> None:
    """Four spines: two independent draws agree for about a quarter of the flows."""
    cards = make(HASHED, other.get("seed", 0))
    agree = float((spines_of(make(HASHED)) == spines_of(cards, other.get("channel", 0))).mean())
    assert 0.2 < agree < 0.3


def test_the_way_back_is_another_draw() -> None:
    cards = make(HASHED)
    half = np.arange(128)
    there, back = (
        cards.routes(a, b, 0 * a)[1].reshape(-1, 6)[:, 2] for a, b in ((half, half + 128), (half + 128, half))
    )
    assert 0.1 < ((there % trunks(cards)) == (back % trunks(cards))).mean() < 0.45


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_flows_spread_over_spines_roughly_evenly(seed: int) -> None:
    """16,384 flows on 4 spines: 4,096 each, give or take five standard deviations of 55."""
    users = np.bincount(spines_of(make(HASHED, seed)), minlength=4)
    assert abs(users - 4096).max() < 5 * 56


def test_every_card_sends_and_receives_over_every_spine() -> None:
    spine = spines_of(make(HASHED)).reshape(128, 128)
    assert all(len(set(flows)) == 4 for flows in (*spine.tolist(), *spine.T.tolist()))


def test_spreading_looks_at_neither_seed_nor_channel() -> None:
    cluster = ("nvlink3", SMALL, 256, None)
    assert trunks(make(cluster)) == 1
    assert (spines_of(make(cluster, 1), 4) == spines_of(make(cluster))).all()


# -- tori ----------------------------------------------------------------------------------------------------


def test_a_torus_is_crossed_dimension_by_dimension() -> None:
    """In 3x2x4 card (a, b, c) is number 8a + 4b + c. Sides are walked from the first to the last.

    From (0, 0, 0) to (2, 1, 3): one step down the first side (0 → 2 wraps), one along the second, one down the third.
    """
    cards = make(("hccs", TORUS["3x2x4"], 24, None))
    assert vertices(cards, 0, 2 * 8 + 4 + 3) == [0, 16, 20, 23]
    assert vertices(cards, 23, 0) == [23, 7, 3, 0]
    # Exactly half way round goes up: 0, 1, 2 and not 0, 3, 2.
    assert vertices(cards, 0, 2) == [0, 1, 2]
    assert vertices(cards, 2, 0) == [2, 3, 0]


def test_a_torus_repeats_itself_node_by_node() -> None:
    cards = make(("hccs", TORUS["4x3"], 36, None))
    assert (np.array(vertices(cards, 13, 23)) == np.array(vertices(cards, 1, 11)) + 12).all()


def test_a_ring_goes_the_short_way_round() -> None:
    cards = make(("hccs", RING, 8, None))
    assert vertices(cards, 0, 3) == [0, 1, 2, 3]
    assert vertices(cards, 0, 4) == [0, 1, 2, 3, 4]
    assert vertices(cards, 4, 0) == [4, 5, 6, 7, 0]
    assert vertices(cards, 1, 6) == [1, 0, 7, 6]
    short = make(("hccs", RING, 11, None))
    assert vertices(short, 8, 10) == [8, 10], "a last node of three closes on itself"


# -- what cannot be built --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "cards", "domain", "message"),
    [
        ((), 1, None, "cards = 1: all-reduce needs between 2 and 20,000,000 cards"),
        ((), 0, None, "cards = 0: "),
        ((), -8, None, "cards = -8: "),
        ((), MOST_CARDS + 1, None, "cards = 20000001: "),
        ((), True, None, "cards = True: "),
        ((), 8.0, None, "cards = 8.0: "),
        ((), "8", None, "cards = 8: "),
        ((), 8, 0, "domain = 0: a scale-up domain holds at least 1 card"),
        ((), 8, -1, "domain = -1: "),
        ((), 8, "some", "domain = some: a number of cards, or 'all'"),
        ((), 8, "4", "domain = 4: a number of cards, or 'all'"),
        ((), 16, 9, "domain = 9: a full mesh with 7 lanes a card joins at most 8 cards; `--set domain.kind=switch`"),
        ((), 9, "all", "domain = 9: a full mesh with 7 lanes"),
        (TORUS["2x4"], 12, None, "cards = 12, domain = 8: a torus of 2x4 is whole or nothing; ask for a multiple of 8"),
        (TORUS["2x4"], 4, None, "cards = 4, domain = 4: a torus of 2x4 is whole"),
        (TORUS["2x4"], 16, "all", "cards = 16, domain = 16: a torus of 2x4 is whole"),
        (TORUS["2x4"], 16, 4, "cards = 16, domain = 4: a torus of 2x4 is whole"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(changes, cards, domain, message: str) -> None:
    with pytest.raises(TopologyError) as error:
        build(fabric.load("hccs", changes=changes), cards, domain=domain)
    assert str(error.value).startswith(message)


def test_a_domain_larger_than_the_cluster_is_the_cluster() -> None:
    assert make(("hccs", (), 6, 1000)).group == 6
    assert make(("hccs", (), 6, 1000)).nodes == 1
    assert make(("nvlink3", (), 6, "all")).group == 6
    assert make(("hccs", TORUS["2x4"], 8, "all")).group == 8


def test_a_million_cards_are_laid_out_without_a_search() -> None:
    cards = make(("hccs", (HASH,), 1_000_000, None))
    path = hops(cards, 0, 999_999)
    assert cards.kind[path].tolist() == [CARD_NIC, NIC_LEAF, LEAF_SPINE, SPINE_LEAF, LEAF_NIC, NIC_CARD]
    assert path[0] == cards.first_link[CARD_NIC]
    assert path[-1] == cards.first_link[NIC_CARD] + 999_999
