"""HCCL's own algorithms, NB and NHR, Pipeline, AHC: right sums whatever the timing, and they move what they say."""

from math import ceil, gcd, log2

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, COLLECTIVES
from ringsim.collectives.ahc import ahc, shares, widest
from ringsim.collectives.bruck import NB, NHR
from ringsim.collectives.hierarchical import hierarchical
from ringsim.collectives.pipeline import pipeline
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import Family, everyone
from ringsim.engines import run
from ringsim.program import price
from ringsim.schedule import COLUMNS, Schedule
from ringsim.topology import CARD_NIC, Topology
from ringsim.values import prove

FAMILIES = {"nb": NB, "nhr": NHR}
NAMES = ("nhr", "nb", "hierarchical-nhr", "hierarchical-nb", "pipeline", "ahc")
#: A pair, odd and even, whole nodes, a last node of one card, of all but one, of some.
CARDS = (2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 23, 24, 29, 33)


def make(name: str, cards: int, domain: int | str | None = None) -> Topology:
    return topology.build(fabric.load(name), cards, domain=domain)


def flat(family: Family, p: int, width: int = 1, chunks: int = 1) -> Schedule:
    """All-reduce of one team in which everybody owns `width` blocks."""
    sketch = Sketch(p, p * width * chunks)
    family.all_reduce(sketch, everyone(p, p * width, chunks), None)
    return sketch.schedule()


# -- values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", CARDS)
@pytest.mark.parametrize("fabric_name", ["hccs", "nvlink3"])
@pytest.mark.parametrize("name", NAMES)
def test_everybody_gets_the_sum_whatever_the_timing(name: str, fabric_name: str, cards: int) -> None:
    for chunks in (1, 3):
        prove(ALGORITHMS[name].build(make(fabric_name, cards), 1, chunks))


@pytest.mark.parametrize("cards", [96, 100, 128])
@pytest.mark.parametrize("name", NAMES)
def test_everybody_gets_the_sum_on_many_cards(name: str, cards: int) -> None:
    prove(ALGORITHMS[name].build(make("hccs", cards), 1, 1), order=cards < 128)


@pytest.mark.parametrize("collective", ["reduce-scatter", "all-gather"])
@pytest.mark.parametrize("cards", [2, 3, 7, 16, 24, 33])
@pytest.mark.parametrize("name", ["nhr", "nb"])
def test_the_halves_on_their_own(name: str, cards: int, collective: str) -> None:
    cluster = make("hccs", cards)
    prove(COLLECTIVES[collective][name].build(cluster, 1, 2))
    if cluster.last_group == cluster.group:
        prove(COLLECTIVES[collective][f"hierarchical-{name}"].build(cluster, 1, 2))


@pytest.mark.parametrize("p", [2, 3, 6, 13, 32])
@pytest.mark.parametrize("name", FAMILIES)
def test_members_may_own_several_blocks(name: str, p: int) -> None:
    prove(flat(FAMILIES[name], p, width=3, chunks=2))


@pytest.mark.parametrize("domain", [1, 3, 5])
@pytest.mark.parametrize("cards", [9, 16, 22])
def test_other_nodes(cards: int, domain: int) -> None:
    cluster = make("hccs", cards, domain)
    prove(pipeline(cluster, 2))
    prove(ahc(cluster, 2, NHR))


# -- NB and NHR ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [2, 3, 4, 5, 6, 7, 8, 31, 32, 33, 100])
@pytest.mark.parametrize("name", FAMILIES)
def test_as_many_steps_as_digits_and_no_byte_twice(name: str, p: int) -> None:
    """⌈log2 p⌉ rows a card and half, which carry p − 1 blocks together."""
    made = flat(FAMILIES[name], p)
    moves = ~made.joins
    for adds in (True, False):
        half = moves & ((made.reduces > 0) == adds)
        assert (np.bincount(made.source[half], minlength=p) == ceil(log2(p))).all()
        assert (np.bincount(made.source[half], weights=made.span[half], minlength=p) == p - 1).all()


def test_nhr_keeps_its_largest_messages_between_neighbours() -> None:
    """In both halves, where NB's gathering has them go the farthest."""
    for name, far in (("nhr", 1), ("nb", 8)):
        made = flat(FAMILIES[name], 16)
        gathers = ~made.joins & (made.reduces == 0)
        distance = (made.target - made.source) % 16
        largest = gathers & (made.span == made.span[gathers].max())
        assert set(np.minimum(distance, 16 - distance)[largest].tolist()) == {far}, name
        adds = made.reduces > 0
        largest = adds & (made.span == made.span[adds].max())
        assert set(np.minimum(distance, 16 - distance)[largest].tolist()) == {1}, name


@pytest.mark.parametrize("p", [5, 8, 13])
def test_nb_walks_upwards_and_nhr_downwards_and_back(p: int) -> None:
    """NHR's gathering takes the same ways as its reducing, the other way round and in the other order."""
    ahead = {}
    for name in FAMILIES:
        made = flat(FAMILIES[name], p)
        mine = ~made.joins & (made.source == 0)
        ahead[name] = [(made.target[mine & ((made.reduces > 0) == adds)] % p).tolist() for adds in (True, False)]
    ways = [1 << k for k in range(ceil(log2(p)))]
    assert ahead["nb"] == [ways, ways]
    assert ahead["nhr"] == [[p - way for way in ways], ways[::-1]]


# -- Pipeline ------------------------------------------------------------------------------------------------


def test_a_pipeline_works_inside_and_between_nodes_at_once() -> None:
    """Every row inside a node is still at it when the rows between nodes are half way, and the other way round."""
    cluster = make("hccs", 64)
    made = pipeline(cluster, 1)
    trace = run(price(made, cluster, fabric.load("hccs").protocol("hccl"), 2**28))
    between = made.source // 8 != made.target // 8
    adds = made.reduces > 0
    ends = {where: trace.left[rows & adds].max() for where, rows in (("in", ~between), ("out", between))}
    starts = {where: trace.start[rows & adds].min() for where, rows in (("in", ~between), ("out", between))}
    assert starts["out"] < 0.2 * ends["in"]
    assert ends["out"] > 0.8 * ends["in"]


def test_a_pipeline_is_quicker_than_a_hierarchy_without_chunks() -> None:
    cluster = make("hccs", 64)
    protocol = fabric.load("hccs").protocol("hccl")
    plain, piped = (
        run(price(ALGORITHMS[name].build(cluster, 1, 1), cluster, protocol, 2**30)).time
        for name in ("hierarchical-ring", "pipeline")
    )
    assert piped < 0.75 * plain


# -- AHC -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", [16, 24, 64])
@pytest.mark.parametrize("name", FAMILIES)
def test_with_equal_nodes_ahc_is_the_plain_hierarchy(name: str, cards: int) -> None:
    cluster = make("hccs", cards)
    mine, plain = ahc(cluster, 2, FAMILIES[name]), hierarchical(cluster, 2, FAMILIES[name])
    # Which channel keeps the pieces of two cards apart makes no difference where they have but one.
    for column in set(COLUMNS) - {"channel"}:
        np.testing.assert_array_equal(getattr(mine, column), getattr(plain, column), err_msg=column)
    for column in ("dep_offsets", "dep_row", "dep_lag"):
        np.testing.assert_array_equal(getattr(mine, column), getattr(plain, column), err_msg=column)


@pytest.mark.parametrize("last", [1, 2, 3, 5, 6, 7])
def test_every_card_of_a_node_carries_the_same_across(last: int) -> None:
    """1/g of the vector up and down again, whatever g is; the plain hierarchy gives some cards of a last node more."""
    cluster, size = make("nvlink3", 32 + last), 1e9
    program = price(ahc(cluster, 1, NB), cluster, fabric.load("nvlink3").protocol("Simple"), size)
    load = program.load()[cluster.first_link[CARD_NIC] : cluster.first_link[CARD_NIC + 1]]
    nodes = 5
    each = np.repeat([8, last], [32, last])
    np.testing.assert_allclose(load, 2 * (nodes - 1) / nodes * size / each)
    assert shares(cluster) == 8 + last - gcd(8, last)


def test_pieces_that_two_cards_own_together_do_not_wait_for_each_other() -> None:
    made = ahc(make("hccs", 8 * 3 + 5), 1, NB)
    between = made.source // 8 != made.target // 8
    connections = np.stack([made.source, made.target, made.channel])[:, between & (made.reduces > 0)]
    assert len(np.unique(connections, axis=1).T) == connections.shape[1]


def test_a_smaller_last_node_is_less_of_a_brake() -> None:
    """Seven cards of a last node carry a seventh each instead of two of them an eighth too much."""
    cluster = make("nvlink3", 127)
    protocol = fabric.load("nvlink3").protocol("Simple")
    mine, plain = (
        run(price(ALGORITHMS[name].build(cluster, 1, 1), cluster, protocol, 2**30)).time
        for name in ("ahc", "hierarchical-nb")
    )
    assert mine < 0.8 * plain
    assert widest(cluster) == 7


# -- what they take ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", [8, 16, 17, 64, 100, 1021, 1024])
@pytest.mark.parametrize("name", NAMES)
def test_rows_are_foreseen(name: str, cards: int) -> None:
    cluster, how = make("hccs", cards), ALGORITHMS[name]
    made = how.build(cluster, 1, 1).rows
    assert 0.95 * made <= how.rows(cluster, 1) <= 2 * made


@pytest.mark.parametrize("cards", [3, 8, 17, 20])
@pytest.mark.parametrize("fabric_name", ["hccs", "nvlink3"])
@pytest.mark.parametrize("name", NAMES)
def test_both_engines_agree(name: str, fabric_name: str, cards: int) -> None:
    cluster = make(fabric_name, cards)
    protocol = list(cluster.fabric.protocols)[-1]
    program = price(ALGORITHMS[name].build(cluster, 1, 2), cluster, cluster.fabric.protocol(protocol, name), 1e6)
    reference = run(program, "reference")
    for jump in (True, False):
        found = run(program, jump=jump)
        assert found.time == pytest.approx(reference.time, rel=1e-9)
        np.testing.assert_allclose(found.finish, reference.finish, rtol=1e-9)
