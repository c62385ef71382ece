"""Reduction in switches: right sums, exactly the bytes that NVLS and SHARP move, and a plain word where no switch adds."""

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, CollectiveError
from ringsim.collectives.bruck import NHR
from ringsim.collectives.hierarchical import hierarchical
from ringsim.collectives.in_switch import in_switch, inside
from ringsim.engines import run
from ringsim.program import price
from ringsim.topology import DOWN, LEAF_SPINE, NIC_LEAF, UP, Topology
from ringsim.values import prove

SIZE = 1e9
#: Networks in which sums meet on one leaf, on a spine, on one of many, and on a core.
NETWORKS = {
    "one leaf": (),
    "spines": ("network.radix=4",),
    "cables": ("network.radix=4", "network.routing=hash"),
    "no rails": ("network.radix=6", "network.kind=leaf-spine"),
}


def make(cards: int, *changes: str, name: str = "nvlink4", **options: object) -> Topology:
    return topology.build(fabric.load(name, changes=changes), cards, **options)


def load(cluster: Topology, kind: int, chunks: int = 1) -> np.ndarray:
    """Bytes over each link of a kind."""
    program = price(in_switch(cluster, chunks), cluster, cluster.fabric.protocol("Simple"), SIZE)
    return program.load()[cluster.first_link[kind] : cluster.first_link[kind + 1]]


@pytest.mark.parametrize("cards", [2, 3, 5, 8, 9, 15, 16, 17, 33])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ["nvlink4", "nvlink3"])
def test_everybody_gets_the_sum_whatever_the_timing(name: str, network: str, cards: int) -> None:
    """With and without a switch that adds inside the nodes."""
    if name == "nvlink3" and cards <= 8:
        cards += 8
    cluster = make(cards, *NETWORKS[network], name=name)
    for chunks in (1, 3):
        prove(in_switch(cluster, chunks))


@pytest.mark.parametrize("cards", [96, 100])
def test_everybody_gets_the_sum_on_many_cards(cards: int) -> None:
    prove(in_switch(make(cards), 1))


@pytest.mark.parametrize("wiring", ["rails", "plain"])
@pytest.mark.parametrize("routing", ["spread", "hash"])
def test_three_tiers(routing: str, wiring: str) -> None:
    narrow = ("network.reduces=true", "network.radix=4", "network.spine_radix=4")
    changes = (*narrow, f"network.wiring={wiring}", f"network.routing={routing}")
    cluster = topology.build(fabric.load("nvlink4", network="roce-400g-fat-tree", changes=changes), 64)
    assert cluster.cores
    made = in_switch(cluster, 2)
    prove(made)
    assert made.target.max() >= cluster.vertices[5]  # sums meet in cores
    price(made, cluster, cluster.fabric.protocol("Simple"), SIZE)  # and every row has a way


@pytest.mark.parametrize("cards", [9, 16, 17])
def test_inside_it_goes_with_other_algorithms_across(cards: int) -> None:
    cluster = make(cards)
    prove(hierarchical(cluster, 2, NHR, inside(cluster)))


# -- bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", [2, 5, 8])
def test_a_card_sends_its_vector_and_the_sum_it_owns(cards: int) -> None:
    """S·(1 + 1/p) each way: everything up and one sum down, then that sum up and every sum down."""
    for kind in (UP, DOWN):
        np.testing.assert_allclose(load(make(cards), kind, chunks=3), SIZE * (1 + 1 / cards))


@pytest.mark.parametrize("nodes", [2, 4, 9])
def test_a_nic_carries_its_part_once_whatever_the_number_of_nodes(nodes: int) -> None:
    cluster = make(8 * nodes)
    np.testing.assert_allclose(load(cluster, NIC_LEAF), SIZE / 8)
    np.testing.assert_allclose(load(cluster, UP), SIZE * (1 + 1 / 8))


def test_leaves_send_one_sum_each_and_rails_meet_on_spines_of_their_own() -> None:
    cluster = make(64, "network.radix=8", "network.routing=hash")
    trunks = load(cluster, LEAF_SPINE).reshape(cluster.leaves, -1)
    assert cluster.leaves == 16
    np.testing.assert_allclose(trunks.sum(axis=1), SIZE / 8)
    assert (trunks > 0).sum(axis=0).min() > 0  # no spine is left out


def test_who_is_alone_in_a_node_sends_nothing_to_his_switch() -> None:
    up = load(make(17), UP)
    assert up[16] == 0
    assert (up[:16] > 0).all()


def seconds(cluster: Topology, chunks: int, size: float) -> float:
    constants = cluster.fabric.protocol("Simple", "in-switch")
    return run(price(in_switch(cluster, chunks), cluster, constants, size, allotted=False)).time


def test_chunks_overlap() -> None:
    """Ways up and down at once: half the time of one chunk, which goes up and then down."""
    assert seconds(make(8), 64, 2**30) < 0.55 * seconds(make(8), 1, 2**30)


def test_eight_h100_reach_what_is_measured() -> None:
    """Measured are 473 to 484 GB/s of bus bandwidth; with NCCL's efficiency of 0.85 in the fabric file."""
    cluster, size = make(8), 8 * 2**30
    how, constants = ALGORITHMS["in-switch"], cluster.fabric.protocol("Simple", "in-switch")
    taken = seconds(cluster, how.pieces(cluster, 1, constants, size), size)
    assert 470e9 < 2 * 7 / 8 * size / taken < 495e9


# -- refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cluster", "what"),
    [
        (make(8, name="nvlink3"), r"nvlink3 has no switch that adds .* domain.reduces = true"),
        (make(8, name="hccs"), r"hccs has no switch that adds .* domain.kind = \"switch\""),
        (make(16, "network.reduces=false"), r"the switches of ib-ndr do not add; .* network.reduces = true"),
        (make(64, name="hccs"), r"the switches of roce-200g do not add"),
        (
            topology.build(fabric.load("nvlink4", network="roce-400g-torus", changes=["network.reduces=true"]), 64),
            "a torus network has no switch above all of its leaves",
        ),
        (topology.from_graph(make(16).graph()), "a graph does not say that its switches add; lay the cluster out"),
    ],
)
def test_a_plain_word_where_no_switch_adds(cluster: Topology, what: str) -> None:
    with pytest.raises(CollectiveError, match=what):
        in_switch(cluster, 1)


# -- what it takes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", [8, 9, 16, 17, 100, 1021, 1024])
@pytest.mark.parametrize("name", ["nvlink4", "nvlink3"])
def test_rows_are_foreseen(name: str, cards: int) -> None:
    cluster, how = make(max(cards, 9) if name == "nvlink3" else cards, name=name), ALGORITHMS["in-switch"]
    made = how.build(cluster, 1, 1).rows
    assert 0.95 * made <= how.rows(cluster, 1) <= 2 * made


@pytest.mark.parametrize("cards", [3, 8, 17, 24])
@pytest.mark.parametrize("network", NETWORKS)
def test_both_engines_agree(network: str, cards: int) -> None:
    cluster = make(cards, *NETWORKS[network])
    program = price(in_switch(cluster, 3), cluster, cluster.fabric.protocol("Simple", "in-switch"), 1e6)
    reference = run(program, "reference")
    for jump in (True, False):
        found = run(program, jump=jump)
        assert found.time == pytest.approx(reference.time, rel=1e-9)
        np.testing.assert_allclose(found.finish, reference.finish, rtol=1e-9)
