"""Rings and trees are only as good as the ways they are laid along, and those are theorems: each is counted out here.

That a schedule adds up to the sum is proved in `test_values`; here it is where rings and trees lie and how often they send.
"""

from dataclasses import replace
from itertools import pairwise, product
from math import ceil, log2

import numpy as np
import pytest

from laws.programs import CARDS
from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, SMALLEST_CHUNK, CollectiveError
from ringsim.collectives.hamilton import Path, mesh_cycles, mesh_paths, rotations, snake
from ringsim.collectives.layout import chains, double_binary_tree, most_chains, most_rings, ring_orders
from ringsim.collectives.ring import ring
from ringsim.collectives.tree import depth, parents, tree
from ringsim.fabric import Protocol
from ringsim.topology import CARD_NIC, LANE, LEAF_NIC, LEAF_SPINE, NIC_CARD, NIC_LEAF, Topology

PROTOCOL = Protocol("any", 0.0, 0.0, 0.0, 1.0, slices=3, share="max-min")

#: Fabric, changes, domain: every kind of node, with and without a server smaller than the domain.
KINDS: dict[str, tuple[str, tuple[str, ...], int | str | None]] = {
    "mesh": ("hccs", (), None),
    "mesh of seven": ("hccs", (), 7),
    "switch": ("nvlink3", (), None),
    "one switch": ("nvlink3", (), "all"),
    "ring": ("hccs", ("domain.kind=ring", "domain.lanes=2"), None),
    "torus": ("hccs", ("domain.kind=torus", "domain.shape=2x4", "domain.lanes=4"), None),
    "single cards": ("nvlink3", (), 1),
}
#: Clusters of one node and of several, whole and partial.
SIZES = (2, 3, 5, 7, 8, 9, 14, 15, 16, 17, 24, 29, 40)


def make(kind: str, cards: int) -> Topology:
    name, changes, domain = KINDS[kind]
    return topology.build(fabric.load(name, changes=changes), cards, domain=domain)


def clusters() -> list[tuple[str, int]]:
    return [(kind, p) for kind, p in product(KINDS, SIZES) if kind != "torus" or p % 8 == 0]


EVERY = pytest.mark.parametrize(("kind", "p"), clusters())


def lanes(ways: tuple[Path, ...], *, closed: bool) -> list[tuple[int, int]]:
    """Directed lanes that some ways use, as often as they do."""
    return [lane for way in ways for lane in pairwise((*way, way[0]) if closed else way)]


# -- ways through a node -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(2, 66))
def test_cycles_visit_everyone_and_share_no_lane(n: int) -> None:
    cycles = mesh_cycles(n)
    assert all(sorted(cycle) == list(range(n)) for cycle in cycles)
    used = lanes(cycles, closed=True)
    assert len(used) == len(set(used)) == n * len(cycles)


@pytest.mark.parametrize("n", range(2, 66))
def test_there_are_as_many_cycles_as_there_can_be_or_one_less(n: int) -> None:
    """N − 1 lanes leave a card. Walecki uses all of them for odd n, Tillson for 8; 4 and 6 cannot (theorem)."""
    best = n - 1 if n % 2 or n in (2, 8) else n - 2
    assert len(mesh_cycles(n)) == best
    if n in (4, 6):
        assert len(mesh_cycles(n)) == {4: 2, 6: 4}[n]


def test_four_cards_have_no_third_cycle() -> None:
    """All six directed cycles of four cards: no three share no lane, so two are the best there is."""
    all_cycles = [(0, *rest) for rest in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1))]
    for three in product(all_cycles, repeat=3):
        used = lanes(three, closed=True)
        assert len(set(used)) < 12


def test_eight_cards_use_every_lane_once() -> None:
    used = lanes(mesh_cycles(8), closed=True)
    assert sorted(used) == [(a, b) for a in range(8) for b in range(8) if a != b]


@pytest.mark.parametrize("n", range(1, 66))
def test_paths_visit_everyone_share_no_lane_and_no_end(n: int) -> None:
    paths = mesh_paths(n)
    assert len(paths) == (n if n % 2 == 0 or n == 1 else n - 1)
    assert all(sorted(path) == list(range(n)) for path in paths)
    used = lanes(paths, closed=False)
    assert len(used) == len(set(used)) == (n - 1) * len(paths)
    assert len({path[0] for path in paths}) == len({path[-1] for path in paths}) == len(paths)


@pytest.mark.parametrize("n", range(2, 66, 2))
def test_path_i_of_an_even_node_runs_from_card_i_to_the_one_opposite_and_its_reverse_begins_there(n: int) -> None:
    paths = mesh_paths(n)
    for i, path in enumerate(paths):
        assert (path[0], path[-1]) == (i, (i + n // 2) % n)
        assert path[::-1] == paths[path[-1]]


@pytest.mark.parametrize("n", [1, 2, 3, 8, 16])
def test_rotations_begin_and_end_on_cards_of_their_own(n: int) -> None:
    ways = rotations(n)
    assert len(ways) == n
    assert all(sorted(way) == list(range(n)) for way in ways)
    assert [way[0] for way in ways] == list(range(n))
    assert len({way[-1] for way in ways}) == n
    assert all((b - a) % n == 1 for a, b in lanes(ways, closed=False))


@pytest.mark.parametrize("shape", [(2,), (3,), (8,), (2, 2), (2, 4), (4, 3), (3, 3), (3, 2, 4), (2, 2, 2, 3)])
def test_a_snake_steps_from_neighbour_to_neighbour_and_back_again(shape: tuple[int, ...]) -> None:
    ways = snake(shape)
    n = int(np.prod(shape))
    assert len(ways) == (2 if n > 2 else 1)
    for way in ways:
        assert sorted(way) == list(range(n))
        for a, b in pairwise(way):
            steps = [abs(x - y) for x, y in zip(np.unravel_index(a, shape), np.unravel_index(b, shape), strict=True)]
            assert sorted(steps)[-1] == 1
            assert sum(steps) == 1
    assert len(ways) == 1 or ways[1] == ways[0][::-1]


# -- rings over a cluster --------------------------------------------------------------------------------------


@EVERY
def test_every_ring_and_every_chain_visits_everyone_once(kind: str, p: int) -> None:
    cluster = make(kind, p)
    for orders, most in ((ring_orders, most_rings), (chains, most_chains)):
        for channels in {1, most(cluster)}:
            found = orders(cluster, channels)
            assert found.shape == (channels, p)
            assert (np.sort(found, axis=1) == np.arange(p)).all()


@EVERY
def test_rings_pass_node_after_node_and_chains_server_after_server(kind: str, p: int) -> None:
    cluster = make(kind, p)
    if cluster.nodes > 1:
        assert (np.diff(ring_orders(cluster, most_rings(cluster)) // cluster.group) >= 0).all()
    size = cluster.server_size
    assert size <= cluster.group
    found = chains(cluster, most_chains(cluster))
    assert (np.diff(found // size) >= 0).all()
    # Chains begin on cards of their own in every server.
    heads = found[:, ::size]
    assert all(len(set(column)) == len(column) for column in heads.T.tolist())


@EVERY
def test_rings_at_their_most_share_no_lane_and_no_nic(kind: str, p: int) -> None:
    cluster = make(kind, p)
    schedule = ring(cluster, most_rings(cluster), 1)
    links = cluster.routes(schedule.source, schedule.target, schedule.channel)[1]
    users = np.bincount(links, minlength=cluster.links)
    assert users[cluster.kind == LANE].max(initial=0) <= 1
    for port in (CARD_NIC, NIC_LEAF, LEAF_NIC, NIC_CARD):
        here = users[cluster.kind == port]
        assert here.max(initial=0) <= 1
        assert here.sum() == most_rings(cluster) * (cluster.nodes if cluster.nodes > 1 else 0)


@pytest.mark.parametrize("kind", ["mesh", "switch", "single cards"])
@pytest.mark.parametrize("p", [16, 24, 40])
def test_rings_at_their_most_use_every_nic_once_in_and_once_out(kind: str, p: int) -> None:
    cluster = make(kind, p)
    schedule = ring(cluster, most_rings(cluster), 1)
    links = cluster.routes(schedule.source, schedule.target, schedule.channel)[1]
    users = np.bincount(links, minlength=cluster.links)
    assert (users[(cluster.kind >= CARD_NIC) & (cluster.kind < LEAF_SPINE)] == 1).all()


@pytest.mark.parametrize(
    ("kind", "p"), [("mesh", 16), ("switch", 32), ("ring", 16), ("torus", 16), ("mesh of seven", 28)]
)
def test_a_ring_enters_a_node_by_the_rail_on_which_it_left_the_one_before(kind: str, p: int) -> None:
    """Also round the corner, because the number of nodes is even."""
    cluster = make(kind, p)
    schedule = ring(cluster, most_rings(cluster), 1)
    between = schedule.source // cluster.group != schedule.target // cluster.group
    assert between.sum() == most_rings(cluster) * cluster.nodes
    assert (schedule.source[between] % cluster.group == schedule.target[between] % cluster.group).all()


@pytest.mark.parametrize(("kind", "p", "rings", "trees"), [
    ("mesh", 2, 1, 2), ("mesh", 4, 2, 4), ("mesh", 7, 6, 6), ("mesh", 8, 7, 8), ("mesh", 16, 8, 8), ("mesh", 17, 1, 1),
    ("mesh", 15, 6, 6), ("mesh of seven", 21, 6, 6), ("switch", 5, 5, 5), ("switch", 8, 8, 8), ("switch", 13, 5, 5),
    ("one switch", 8, 8, 8), ("one switch", 13, 8, 5), ("one switch", 24, 8, 8), ("ring", 8, 2, 2), ("ring", 2, 1, 1),
    ("ring", 9, 1, 1), ("torus", 8, 2, 2), ("torus", 16, 2, 2), ("single cards", 5, 1, 1),
])  # fmt: skip
def test_how_many_rings_and_chains_fit(kind: str, p: int, rings: int, trees: int) -> None:
    cluster = make(kind, p)
    assert (most_rings(cluster), most_chains(cluster)) == (rings, trees)


@EVERY
@pytest.mark.parametrize("slices", [1, 3])
def test_a_ring_s_schedule(kind: str, p: int, slices: int) -> None:
    """A row for each card and ring, 2(p−1)·slices firings, half of them reduced, one dependency: the hop before."""
    cluster = make(kind, p)
    channels = most_rings(cluster)
    found = ring(cluster, channels, slices)
    assert (found.ranks, found.rows, found.units) == (p, channels * p, channels * p * slices)
    assert (found.count == 2 * (p - 1) * slices).all()
    assert (2 * found.reduces == found.count).all()
    assert found.transfers == channels * p * 2 * (p - 1) * slices
    assert (found.after == -1).all()
    assert (np.diff(found.dep_offsets) == 1).all()
    assert (found.dep_lag == slices).all()
    assert (found.target[found.dep_row] == found.source).all()
    assert (found.channel[found.dep_row] == found.channel).all()
    for r in range(channels):
        here = found.channel == r
        assert sorted(found.source[here]) == sorted(found.target[here]) == list(range(p))


# -- trees ------------------------------------------------------------------------------------------------------


def depths(parent: np.ndarray) -> list[int]:
    """Hops from everyone up to the root; a circle would take more hops than there are nodes."""
    found = []
    for node in range(len(parent)):
        steps = 0
        while parent[node] >= 0:
            node, steps = parent[node], steps + 1
            assert steps < len(parent), "a circle"
        found.append(steps)
    return found


@pytest.mark.parametrize("n", [*range(1, 40), 63, 64, 65, 100, 127, 128, 129, 1000])
def test_two_binary_trees(n: int) -> None:
    """Both are trees of depth ceil(log2 n) with one root and at most two children a node."""
    both = double_binary_tree(n)
    assert both.shape == (2, n)
    for parent in both:
        assert (parent < n).all()
        assert (parent == -1).sum() == 1
        assert max(depths(parent)) == ceil(log2(n))
        assert np.bincount(parent[parent >= 0], minlength=n).max() <= 2
        assert np.bincount(parent[parent >= 0], minlength=n)[parent < 0] == min(n - 1, 1), "a root has one child"


@pytest.mark.parametrize("n", [*range(2, 40), 63, 64, 65, 1000, 1001])
def test_an_inner_server_of_one_tree_is_a_leaf_of_the_other(n: int) -> None:
    """Even number: each is inner in one tree and a leaf in the other. Odd: the same, but server 0 is inner in both."""
    inner = [set(parent[parent >= 0].tolist()) for parent in double_binary_tree(n)]
    assert inner[0] | inner[1] == set(range(n))
    assert inner[0] & inner[1] == (set() if n % 2 == 0 else {0})
    assert inner[0] == set(range(0, n, 2))


def test_the_trees_of_eight_servers() -> None:
    """0 ← 4 ← (2 ← 1, 3), (6 ← 5, 7), and its mirror image."""
    assert double_binary_tree(8).tolist() == [[-1, 2, 4, 2, 0, 6, 4, 6], [1, 3, 1, 7, 5, 3, 5, -1]]


@EVERY
def test_every_card_reaches_the_root_of_every_tree(kind: str, p: int) -> None:
    cluster = make(kind, p)
    size = cluster.server_size
    servers = ceil(p / size)
    channels = most_chains(cluster)
    found = parents(cluster, channels)
    assert found.shape == (channels * (2 if servers > 1 else 1), p)
    deepest = max(max(depths(parent)) for parent in found)
    assert deepest <= depth(cluster)
    if p % size == 0:
        assert deepest == depth(cluster)
    for parent in found:
        assert (parent == -1).sum() == 1
        # A server hangs on one link to another server; a card has its chain below it and two servers at the most.
        child = np.flatnonzero(parent >= 0)
        assert (child // size != parent[child] // size).sum() == servers - 1
        assert np.bincount(parent[child], minlength=p).max() <= 3


@EVERY
@pytest.mark.parametrize("chunks", [1, 5])
def test_a_tree_s_schedule(kind: str, p: int, chunks: int) -> None:
    """A row up and a row down for every card but the root; what goes up is reduced, what comes down is not."""
    cluster = make(kind, p)
    channels = most_chains(cluster)
    trees = channels * (2 if p > cluster.server_size else 1)
    found = tree(cluster, channels, chunks)
    assert (found.ranks, found.rows, found.units) == (p, trees * 2 * (p - 1), trees * chunks)
    assert (found.count == chunks).all()
    up, down = slice(0, None, 2), slice(1, None, 2)
    assert (found.reduces[up] == chunks).all()
    assert (found.reduces[down] == 0).all()
    assert (found.source[up] == found.target[down]).all()
    assert (found.target[up] == found.source[down]).all()
    assert (found.dep_lag == 0).all()
    assert (found.after == -1).all()
    # Whoever sends something on waits for all that comes in: a row's inputs end where it begins.
    waiting = np.repeat(np.arange(found.rows), np.diff(found.dep_offsets))
    assert (found.target[found.dep_row] == found.source[waiting]).all()
    assert (found.channel[found.dep_row] == found.channel[waiting]).all()


@pytest.mark.parametrize("p", [16, 24, 40])
@pytest.mark.parametrize("kind", ["mesh", "switch"])
def test_trees_between_whole_nodes_stay_on_their_rail(kind: str, p: int) -> None:
    cluster = make(kind, p)
    schedule = tree(cluster, 8, 1)
    between = schedule.source // 8 != schedule.target // 8
    assert (schedule.source[between] % 8 == schedule.channel[between] // 2).all()
    assert (schedule.target[between] % 8 == schedule.channel[between] // 2).all()


# -- what is chosen where nobody chooses ---------------------------------------------------------------------


def test_a_ring_is_cut_as_the_protocol_says() -> None:
    assert ALGORITHMS["ring"].pieces(make("mesh", 16), 4, PROTOCOL, 1e9) == 3
    assert ALGORITHMS["ring"].piece == "slices"
    assert ALGORITHMS["tree"].piece == "chunks"


@pytest.mark.parametrize(
    ("kind", "p", "payload", "chunks"),
    [
        ("switch", 8, 1, 1),
        ("switch", 8, SMALLEST_CHUNK * 4, 1),  # one chain on each of four channels
        ("switch", 8, SMALLEST_CHUNK * 4 * 5, 5),
        ("switch", 8, 2**40, 8 * 7),  # eight times as deep as the chain is long
        ("switch", 64, SMALLEST_CHUNK * 8, 1),  # two trees on each
        ("switch", 64, SMALLEST_CHUNK * 8 * 5, 5),
        ("switch", 64, 2**40, 8 * (7 + 3)),
        ("switch", 65, 2**40, 8 * (7 + 4)),
    ],
)  # fmt: skip
def test_a_tree_is_cut_into_enough_chunks_to_fill_it(kind: str, p: int, payload: int, chunks: int) -> None:
    assert ALGORITHMS["tree"].pieces(make(kind, p), 4, PROTOCOL, payload) == chunks


def test_the_least_chunk_of_a_tree_is_that_of_one_of_the_library_s_channels() -> None:
    """In one server, however few channels stand for its 24; between servers the number in the file is not meant."""
    opens = replace(PROTOCOL, channels=24)
    for channels in (1, 4, 8):
        assert ALGORITHMS["tree"].pieces(make("switch", 8), channels, opens, SMALLEST_CHUNK * 24 * 5) == 5
    assert ALGORITHMS["tree"].pieces(make("switch", 64), 4, opens, SMALLEST_CHUNK * 8 * 5) == 5


@pytest.mark.parametrize("p", CARDS)
@pytest.mark.parametrize("name", fabric.available())
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_defaults_can_be_built(algorithm: str, name: str, p: int) -> None:
    sheet = fabric.load(name)
    cluster, how = topology.build(sheet, p), ALGORITHMS[algorithm]
    try:
        most = how.channels(cluster)
        pieces = how.pieces(cluster, most, sheet.protocol(next(iter(sheet.protocols)), algorithm), 1e6)
        found = how.build(cluster, most, pieces)
    except CollectiveError:
        return  # `laws/test_every_algorithm.py` says where that may be
    assert isinstance(pieces, int)
    assert pieces >= 1
    assert found.ranks == p
    assert set(found.source.tolist()) == set(found.target.tolist())
    assert set(range(p)) <= set(found.source.tolist())
    assert found.places == p or how.adds_in_switch


@pytest.mark.parametrize("shape", [(2,), (3,), (8,), (2, 2), (3, 2), (2, 3), (4, 4), (3, 3), (3, 3, 2), (2, 4, 4)])
def test_rings_through_a_torus_node_share_no_lane(shape: tuple[int, ...]) -> None:
    """Where the last card is no neighbour of the first the way back uses lanes of the other direction: one ring only."""
    cards = int(np.prod(shape))
    kind, sides = ("torus", "x".join(map(str, shape))) if len(shape) > 1 else ("ring", "none")
    numbers = {"kind": kind, "shape": sides, "size": cards, "lanes": 2 * len(shape)}
    sheet = fabric.load("hccs", changes=[f"domain.{key}={value}" for key, value in numbers.items()])
    cluster = topology.build(sheet, cards)
    schedule = ring(cluster, most_rings(cluster), 1)
    _, links = cluster.routes(schedule.source, schedule.target, schedule.channel)
    assert np.bincount(links).max() == 1
