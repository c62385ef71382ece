"""Ranks on other cards than their own: read, laid, priced and proved."""

import json
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from ringsim import fabric, study, topology
from ringsim.collectives import ALGORITHMS, COLLECTIVES
from ringsim.program import price
from ringsim.study import Question, answer
from ringsim.topology import TopologyError, placed
from ringsim.values import prove


def time_us(**options: object) -> float:
    found = answer(Question("hccs", 24, "4M", **options)).best.time_us  # type: ignore[arg-type]
    assert found is not None
    return found


def test_words() -> None:
    assert placed("ordered", 8, 4) is None
    assert placed("round-robin", 8, 4).tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert sorted(placed("shuffle:3", 100, 4).tolist()) == list(range(100))
    assert placed("shuffle:3", 100, 4).tolist() == placed("shuffle:3", 100, 4).tolist()
    assert placed("shuffle:3", 100, 4).tolist() != placed("shuffle:4", 100, 4).tolist()


@pytest.mark.parametrize("text", ["2, 0,1\n", "2\n0\n1", "[2, 0, 1]", " [2,0,1]\n"])
def test_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ranks"
    path.write_text(text)
    assert placed(str(path), 3, 1).tolist() == placed((2, 0, 1), 3, 1).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("shuffle", "no such file and no such word; write shuffle:SEED"), ("shuffle:-1", "no such word"),
        ("shuffle:1.5", "no such word"), ("nowhere.txt", "no such file"), ("", "no such file"),
        ((0, 1), "2 cards, and there are 3"), ((0, 1, 3), "rank 2 on 3: not a card"),
        ((0, 1, -1), "rank 2 on -1: not a card"), ((0, 1, 1), "card 1 has ranks 1 and 2"),
        ((0, 1, True), "not a card"), ((0, 1, 1.5), "not a card"), ((0, 1, "x"), "rank 2 on x: not a card"),
    ],
)  # fmt: skip
def test_what_is_no_placement(given: object, what: str) -> None:
    with pytest.raises(TopologyError, match=what):
        placed(given, 3, 1)  # type: ignore[arg-type]


def test_a_file_that_holds_no_list(tmp_path: Path) -> None:
    path = tmp_path / "ranks.json"
    for text in ("[0, 1,", "zero one", json.dumps([[0], 1, 2])):
        path.write_text(text)
        with pytest.raises(TopologyError, match=r"ranks\.json"):
            placed(str(path), 3, 1)


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_placed_schedules_prove_right_and_cost_what_their_cards_cost(collective: str) -> None:
    """A placement changes who does what, so on a cluster where all cards are alike it changes no time."""
    flat = topology.build(fabric.load("nvlink3"), 8)
    mixed = replace(flat, placement=placed("shuffle:1", 8, 8))
    for name, algorithm in COLLECTIVES[collective].items():
        if algorithm.adds_in_switch:
            continue
        schedule = algorithm.build(flat, 1, 1)
        moved = schedule.placed(mixed.placement)
        prove(moved)
        protocol = flat.fabric.protocol("Simple", name)
        loads = [np.sort(price(s, flat, protocol, 1e6).load()) for s in (schedule, moved)]
        assert np.allclose(*loads), name


def test_identity_changes_nothing() -> None:
    assert time_us(placement=range(24)) == time_us()


def test_a_shuffle_costs_those_who_trust_ranks_and_nobody_else() -> None:
    for name, algorithm in ALGORITHMS.items():
        if algorithm.adds_in_switch:
            continue
        ordered, mixed = time_us(algorithm=name), time_us(algorithm=name, placement="shuffle:1")
        assert mixed == ordered if algorithm.looks else mixed >= ordered * 0.99, name
    assert time_us(algorithm="ring", placement="shuffle:1") > 2 * time_us(algorithm="ring")


def test_an_algorithm_that_looks_is_laid_where_the_network_is() -> None:
    plain = answer(Question("nvlink4", 32, "64M", algorithm="in-switch")).best
    mixed = answer(Question("nvlink4", 32, "64M", algorithm="in-switch", placement="shuffle:5")).best
    assert mixed.time_us == plain.time_us
    assert mixed.case.placement == "shuffle:5"


def test_inputs_with_other_placements_are_other_inputs() -> None:
    ids = {answer(Question("hccs", 8, "1M", placement=p)).best.case.id() for p in (None, "shuffle:1", "shuffle:2")}
    assert len(ids) == 3


def test_the_same_cards_in_other_words_are_the_same_input() -> None:
    words = answer(Question("hccs", 8, "1M", placement="shuffle:1")).best
    given = answer(Question("hccs", 8, "1M", placement=placed("shuffle:1", 8, 8).tolist())).best
    assert words.case.id() == given.case.id()


def test_a_graph_can_have_a_placement() -> None:
    """On a path of six cards ranks 0, 2, 4, 1, 3, 5 make a ring go over every cable several times."""
    path = nx.path_graph(6)
    nx.set_edge_attributes(path, 1e9, "bandwidth")
    nx.set_edge_attributes(path, 0.0, "latency")
    plain, mixed = (
        answer(Question(None, None, "6M", graph=path, algorithm="ring", placement=p)).best.time_us
        for p in (None, (0, 2, 4, 1, 3, 5))
    )
    assert mixed > 1.5 * plain


def test_study_says_where_ranks_sit() -> None:
    from ringsim.report import header

    found = study.answer(Question("hccs", 16, "1M", placement="shuffle:1"))
    assert any("placement  shuffle:1: ranks on other cards" in line.text for line in header(found))


# -- graphs whose ranks are scattered over servers -----------------------------------------------------------------


def scattered(seed: int, nodes: int = 8) -> "nx.DiGraph[int]":
    """The graph of hccs servers, with ranks dealt out by a seed."""
    graph = topology.build(fabric.load("hccs"), 8 * nodes).graph()
    ranks = np.random.default_rng(seed).permutation(8 * nodes)
    nx.set_node_attributes(graph, {card: int(rank) for card, rank in enumerate(ranks)}, "rank")
    return graph


def test_cards_are_numbered_server_by_server_and_rail_by_rail() -> None:
    found = topology.from_graph(scattered(3))
    assert found.placement is not None
    assert sorted(found.placement.tolist()) == list(range(64))
    assert (found.node_of_vertex()[:64] == np.arange(64) // 8).all()
    rails = [found.name(card) for card in range(8)]
    original = topology.build(fabric.load("hccs"), 64)
    leaf = original.leaf_of(np.array([int(name.partition("(")[2].rstrip(")") or name.split()[1]) for name in rails]))
    assert (np.diff(leaf) > 0).all(), "the first card of every server is on the first rail"


def test_ranks_in_order_again_cost_what_they_cost_in_order() -> None:
    plain = topology.build(fabric.load("hccs"), 64).graph()
    times = [
        answer(Question(None, None, "16M", graph=graph, algorithm="hierarchical-halving-doubling", placement=p)).best
        for graph, p in ((plain, None), (scattered(3), None), (scattered(3), "ordered"))
    ]
    assert times[1].case.placement == "as the graph has it"
    assert times[2].case.placement == ""
    assert times[1].time_us > 3 * times[0].time_us
    assert times[2].time_us == pytest.approx(times[0].time_us, rel=0.02)


def test_scattered_ranks_still_need_servers_of_equal_size() -> None:
    graph = nx.complete_graph(5)
    nx.set_edge_attributes(graph, 1e9, "bandwidth")
    nx.set_edge_attributes(graph, 0.0, "latency")
    nx.set_node_attributes(graph, dict(enumerate("xyxyx")), "node")
    found = topology.from_graph(graph)
    assert found.group == 3
    assert found.last_group == 2
    assert found.placement.tolist() == [0, 3, 1, 4, 2]
    nx.set_node_attributes(graph, dict(enumerate("xyxzw")), "node")
    with pytest.raises(TopologyError, match="node y: 1 cards"):
        topology.from_graph(graph)
