"""Forests: right sums on any network, loads that are what the search says, and times that the theory of packing allows."""

from itertools import product

import networkx as nx
import numpy as np
import pytest

from laws.clusters import KINDS, cluster
from random_graphs import irregular
from ringsim import fabric, topology
from ringsim.bounds import lower_bound
from ringsim.collectives import ALGORITHMS, SMALLEST_CHUNK, CollectiveError, forest, growing, packing
from ringsim.engines import run
from ringsim.fabric import Protocol
from ringsim.program import price
from ringsim.study import Question, StudyError, answer
from ringsim.topology import Topology
from ringsim.values import prove

FREE = Protocol("free", 0.0, 0.0, 0.0, 1.0, 1, "max-min")
SEEDS = range(12)
RATE = 10e9


def even(drawn: nx.Graph) -> Topology:
    """Every vertex a card unless it says otherwise, every cable alike."""
    graph = nx.convert_node_labels_to_integers(drawn, ordering="sorted")
    nx.set_edge_attributes(graph, {edge: {"bandwidth": RATE, "latency": 1e-6} for edge in graph.edges})
    return topology.from_graph(graph)


def star(cards: int) -> Topology:
    """Cards on one switch."""
    graph = nx.Graph()
    graph.add_nodes_from(range(cards), kind="card")
    graph.add_node(cards, kind="switch")
    graph.add_edges_from((card, cards) for card in range(cards))
    return even(graph)


def graph_of(seed: int) -> Topology:
    return topology.from_graph(irregular(seed), seed=seed)


def least(where: Topology) -> float:
    """Seconds for each byte on the fullest link of the best of all forests that were found."""
    return min(found.seconds for found in forest.forests(where))


# -- trees ---------------------------------------------------------------------------------------------------


def check(where: Topology) -> None:
    """Trees span all cards from one root, each of their edges goes past no third card, and loads are what is said."""
    near = [packing.ways(where, tree).near for tree in range(2 * len(forest.forests(where)))]
    for count, found in enumerate(forest.forests(where), 1):
        assert found.up.shape == found.down.shape == (count, where.cards)
        for tree, (up, down) in enumerate(zip(found.up, found.down, strict=True)):
            (root,), (same,) = np.flatnonzero(up < 0), np.flatnonzero(down < 0)
            assert root == same
            for parent in (up, down):
                above = np.where(parent < 0, root, parent)
                for _ in range(where.cards):
                    above = above[above]
                assert (above == root).all()
            child = np.flatnonzero(up >= 0)
            assert near[2 * tree + 1][child, up[child]].all()
            assert near[2 * tree][down[child], child].all()
        program = price(forest.forest(where, count, 1), where, FREE, 1.0, allotted=False)
        assert (program.load()[: where.links] / where.bandwidth).max() == pytest.approx(found.seconds, rel=1e-9)
        deep = max(growing.depths(a).max() + growing.depths(b).max() for a, b in zip(found.up, found.down, strict=True))
        assert found.depth == deep


@pytest.mark.parametrize("seed", SEEDS)
def test_trees_span_an_irregular_graph(seed: int) -> None:
    check(graph_of(seed))


@pytest.mark.parametrize(
    ("kind", "cards"), [(kind, p) for kind in KINDS for p in (3, 16) if kind != "torus-node" or p > 3]
)
def test_trees_span_a_cluster(kind: str, cards: int) -> None:
    check(cluster(kind, cards))


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_are_right_in_any_timing(seed: int) -> None:
    where = graph_of(seed)
    for channels, chunks in product({1, forest.trees(where)}, (1, 3)):
        schedule = forest.forest(where, channels, chunks)
        assert schedule.rows == forest.rows(where, channels)
        prove(schedule)


def test_up_and_down_may_be_different_trees() -> None:
    """Cables that go one way round only: sums have to go on round, and the total, too."""
    ring = nx.cycle_graph(5, create_using=nx.DiGraph)
    nx.set_edge_attributes(ring, RATE, "bandwidth")
    nx.set_edge_attributes(ring, 1e-6, "latency")
    where = topology.from_graph(ring)
    found = forest.forests(where)[0]
    root = int(np.flatnonzero(found.up[0] < 0)[0])
    others = [card for card in range(5) if card != root]
    assert [int(found.up[0][card]) for card in others] == [(card + 1) % 5 for card in others]
    assert [int(found.down[0][card]) for card in others] == [(card - 1) % 5 for card in others]
    prove(forest.forest(where, 1, 2))


# -- how good they are -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", [2, 3, 5, 8, 16, 33])
def test_on_a_line_a_byte_crosses_each_cable_once_each_way(cards: int) -> None:
    where = even(nx.path_graph(cards))
    found = forest.forests(where)[forest.trees(where) - 1]
    assert found.seconds == pytest.approx(1 / RATE)
    assert found.depth == 2 * (cards // 2)  # the root is in the middle


@pytest.mark.parametrize("cards", [3, 4, 8, 16, 32])
def test_on_a_switch_nobody_is_busier_than_in_a_ring_but_for_rounding(cards: int) -> None:
    """2(p − 1)/p; whole edges of K trees make that the next K-th."""
    found = forest.forests(star(cards))
    for count, trees in enumerate(found, 1):
        assert trees.seconds * RATE == pytest.approx(np.ceil(count * 2 * (cards - 1) / cards - 1e-9) / count)


def test_trees_on_a_switch_are_shallow_where_there_are_many() -> None:
    """One tree has to be a chain: two children are a vector and a half too much. Of eight each may branch in its turn."""
    found = forest.forests(star(32))
    assert found[0].depth == 32
    assert found[7].depth <= 12


@pytest.mark.parametrize("cards", [4, 6, 8])
def test_an_even_mesh_falls_into_paths(cards: int) -> None:
    """p/2 spanning trees share no cable (Walecki's zigzags), so every lane carries 2/p of the vector each way."""
    assert least(even(nx.complete_graph(cards))) == pytest.approx(2 / cards / RATE)


@pytest.mark.parametrize("shape", [(3, 3), (4, 4), (4, 6), (6, 6)])
def test_a_torus_holds_two_whole_trees(shape: tuple[int, int]) -> None:
    """2p cables hold a little more than two spanning trees that share none (W. Tutte, C. Nash-Williams, 1961)."""
    where = even(nx.grid_2d_graph(*shape, periodic=True))
    ideal = (where.cards - 1) / (2 * where.cards)
    whole = min(np.ceil(count * ideal) / count for count in range(1, forest.MOST_TREES + 1))
    assert least(where) * RATE == pytest.approx(whole)
    assert whole == 0.5


def every_tree(cards: int) -> np.ndarray:
    """Parents of all trees with root 0, shape ``[trees, cards]``."""
    found = []
    for parent in product(range(cards), repeat=cards - 1):
        above = np.array([0, *parent])
        for _ in range(cards):
            above = np.array([0, *parent])[above]
        if (above == 0).all():
            found.append([-1, *parent])
    return np.array(found)


@pytest.mark.parametrize("seed", range(8))
def test_no_other_tree_is_better_on_a_small_graph(seed: int) -> None:
    """All 125 trees on five cards, up with down, from every root; one tree, so nothing can be balanced out."""
    random = np.random.default_rng(seed)
    drawn = nx.gnm_random_graph(5, int(random.integers(5, 9)), seed=seed)
    nx.add_path(drawn, range(5))
    for edge in drawn.edges:
        drawn.edges[edge].update(bandwidth=float(random.choice([5e9, 10e9, 20e9])), latency=1e-6)
    where = topology.from_graph(drawn)
    trees, best = every_tree(5), np.inf
    for root in range(5):
        name = np.roll(np.arange(5), -root)
        loads = np.zeros((2, len(trees), where.links))
        for i, parent in enumerate(trees):
            child, above = name[1:], name[parent[1:]]
            for way, ends in enumerate(((above, child), (child, above))):
                _, links = where.routes(*ends, np.full(4, 1 - way))
                loads[way, i] = np.bincount(links, minlength=where.links) / where.bandwidth
        best = min(best, float((loads[0][:, None] + loads[1][None]).max(axis=2).min()))
    assert forest.forests(where)[0].seconds == pytest.approx(best)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_matters_little_on_which_card_a_rank_sits(seed: int) -> None:
    drawn = irregular(seed)
    cards = [vertex for vertex, kind in drawn.nodes(data="kind") if kind == "card"]
    dealt = np.random.default_rng(seed).permutation(len(cards))
    shuffled = drawn.copy()
    nx.set_node_attributes(shuffled, {card: int(rank) for card, rank in zip(cards, dealt, strict=True)}, "rank")
    one, other = (least(topology.from_graph(graph)) for graph in (drawn, shuffled))
    assert other == pytest.approx(one, rel=0.15)


# -- what they take ----------------------------------------------------------------------------------------------


def lasts(where: Topology, channels: int, chunks: int, size: float) -> float:
    return run(price(forest.forest(where, channels, chunks), where, FREE, size, allotted=False)).time


@pytest.mark.parametrize("seed", SEEDS)
def test_no_run_takes_longer_than_the_fullest_link_and_the_depth_allow(seed: int) -> None:
    """What the docstring of `ringsim.collectives.forest` promises, and the bound from below."""
    where = graph_of(seed)
    channels = forest.trees(where)
    found = forest.forests(where)[channels - 1]
    pairs = packing.ways(where, 0).links
    hop = float(np.append(where.latency, 0.0)[pairs].sum(axis=2).max())
    for size, chunks in product((1e3, 1e8), (1, 7, 100)):
        most = (1 + (found.depth - 1) / chunks) * size * found.seconds + found.depth * hop
        assert lower_bound(where, size, 0.0) <= lasts(where, channels, chunks, size) <= most * (1 + 1e-9)


def test_enough_chunks_fill_the_trees() -> None:
    where = even(nx.path_graph(9))
    chunks = ALGORITHMS["forest"].pieces(where, 1, FREE, 2**40)
    assert chunks == 16 * 8
    assert ALGORITHMS["forest"].pieces(where, 1, FREE, 5 * SMALLEST_CHUNK) == 5
    assert ALGORITHMS["forest"].pieces(where, 1, FREE, 1) == 1
    size = 1e12
    assert lasts(where, 1, chunks, size) == pytest.approx(size / RATE, rel=0.07)
    assert lasts(where, 1, 10_000, size) == pytest.approx(size / RATE, rel=0.002)


def test_halls_need_half_of_what_a_ring_needs() -> None:
    """Five cards on each side of one cable: a ring takes 2 · 9/10 of the vector over it each way, a tree one."""
    halls = nx.Graph()
    halls.add_nodes_from(range(10), kind="card")
    halls.add_nodes_from(("left", "right"), kind="switch")
    halls.add_edges_from(((card, ("left", "right")[card % 2]) for card in range(10)), bandwidth=100e9, latency=1e-6)
    halls.add_edge("left", "right", bandwidth=RATE, latency=1e-6)
    where = topology.from_graph(halls)
    assert least(where) == pytest.approx(1 / RATE)
    for name, hops in (("forest", 1), ("tour-ring", 1.8), ("ring", 9)):
        best = answer(Question(None, None, 10**11, graph=halls, algorithm=name)).best
        assert best.time_us == pytest.approx(hops * 1e11 / RATE * 1e6, rel=0.07), name


# -- manners -----------------------------------------------------------------------------------------------------


def test_the_same_network_gives_the_same_forest() -> None:
    first = forest.forests(graph_of(3))
    forest._found.cache_clear()
    again = forest.forests(graph_of(3))
    assert len(first) == len(again)
    for one, other in zip(first, again, strict=True):
        assert (one.up == other.up).all()
        assert (one.down == other.down).all()


def test_what_was_found_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = fabric.load("hccs")
    found = forest.forests(topology.build(sheet, 16))
    monkeypatch.setattr(forest, "grown", None)
    assert forest.forests(topology.build(sheet, 16, seed=0)) is found


def test_too_many_cards_are_refused_with_a_sentence() -> None:
    where = topology.build(fabric.load("hccs"), 257)
    for name in ("forest", "tour-ring"):
        with pytest.raises(CollectiveError, match=r"is looked for on up to 256 cards, here are 257; use ring or tree$"):
            ALGORITHMS[name].channels(where)
        with pytest.raises(StudyError, match=rf"^algorithm = {name}: a .* use ring or tree$"):
            answer(Question("hccs", 257, "1M", algorithm=name))


def test_the_forest_of_many_cards_is_no_worse() -> None:
    where = topology.build(fabric.load("hccs"), packing.MOST_CARDS)
    assert lower_bound(where, 1e12, 0.0) / 1e12 >= 0.8 * least(where)
