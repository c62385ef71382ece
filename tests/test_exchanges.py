"""Halving-doubling, recursive doubling and Swing: who talks to whom, what each hands over, and what folding costs."""

from itertools import product
from math import log2, prod

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, COLLECTIVES, CollectiveError, exchange
from ringsim.collectives.halving import HALVING_DOUBLING, RECURSIVE_DOUBLING, doubling
from ringsim.collectives.hierarchical import hierarchical
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.swing import SWING, partners
from ringsim.collectives.teams import Family, everyone
from ringsim.schedule import Schedule
from ringsim.topology import Topology
from ringsim.values import prove

FAMILIES = {"halving-doubling": HALVING_DOUBLING, "recursive-doubling": RECURSIVE_DOUBLING, "swing": SWING}
NAMES = [*FAMILIES, *(f"hierarchical-{name}" for name in FAMILIES)]
POWERS = [2**k for k in range(11)]


def make(name: str, cards: int, domain: int | str | None = None) -> Topology:
    return topology.build(fabric.load(name), cards, domain=domain)


def flat(family: Family, p: int, chunks: int = 1) -> Schedule:
    blocks = family.blocks(p)
    sketch = Sketch(p, blocks * chunks)
    family.all_reduce(sketch, everyone(p, blocks, chunks), None)
    return sketch.schedule()


# -- tables of partners --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", POWERS)
def test_distances_are_1_2_4(size: int) -> None:
    table = doubling(size)
    assert table.shape == (int(log2(size)), size)
    assert (table[:, 0] == 2 ** np.arange(len(table))).all()


@pytest.mark.parametrize("size", POWERS)
def test_swing_s_distances_are_those_of_the_paper(size: int) -> None:
    """1, −1, 3, −5, 11, −21, 43 for even ranks, the opposite for odd ones; mirrored, the other way round."""
    away = np.array([1, -1, 3, -5, 11, -21, 43, -85, 171, -341])[: int(log2(size)), None]
    rank = np.arange(size)
    sign = np.where(rank % 2 == 0, 1, -1)
    assert (partners((size,)) == (rank + sign * away) % size).all()
    assert (partners((size,), mirrored=True) == (rank - sign * away) % size).all()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shapes", [((4, 8),), ((2, 4, 16),), ((8, 8), (4,)), ((4,), (2, 8)), ((), (16,))])
def test_sides_take_turns_and_those_of_the_network_come_last(
    shapes: tuple[tuple[int, ...], ...], mirrored: bool
) -> None:
    shape = sum(shapes, ())
    table = partners(*shapes, mirrored=mirrored)
    here, there = np.indices(shape).reshape(len(shape), -1), np.stack(np.unravel_index(table, shape), axis=1)
    moved = (here != there).any(axis=2)
    assert (moved.sum(axis=1) == 1).all(), "a step goes along one side"
    along = moved.argmax(axis=1).tolist()
    inside = len(shapes[0])
    assert along == sorted(along, key=lambda side: side >= inside)
    assert [along.count(side) for side in range(len(shape))] == [int(log2(extent)) for extent in shape]
    assert along[:inside] == list(range(inside))


@pytest.mark.parametrize("table", [doubling, lambda size: doubling(size)[::-1], lambda size: partners((size,))])
@pytest.mark.parametrize("size", POWERS)
def test_what_a_member_still_cares_for_lies_together(size: int, table) -> None:
    """After step *s* the partners' runs are the two halves of the run both had."""
    who = table(size)
    place = exchange.places(who)
    assert sorted(place) == list(range(size))
    for step, other in enumerate(who):
        later = len(who) - 1 - step
        assert (place >> later + 1 == place[other] >> later + 1).all()
        assert (place >> later != place[other] >> later).all()


def test_farthest_first_every_member_ends_with_his_own_run() -> None:
    for size in POWERS:
        assert (exchange.places(doubling(size)[::-1]) == np.arange(size)).all()


@pytest.mark.parametrize(
    "table", [[[1, 0, 3, 2]], [[1, 0, 3, 2], [1, 0, 3, 2]], [[1, 2, 3, 0], [2, 3, 0, 1]], [[1, 0, 2], [2, 1, 0]]]
)
def test_a_table_that_does_not_fall_apart_in_halves_is_refused(table: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="fall apart in halves"):
        exchange.places(np.array(table))


# -- schedules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_everybody_gets_the_sum_whatever_the_timing(name: str) -> None:
    how = ALGORITHMS[name]
    for fabric_name, p, chunks in product(("hccs", "nvlink3"), range(2, 34), (1, 3)):
        cluster = make(fabric_name, p)
        for channels in {1, how.channels(cluster)}:
            prove(how.build(cluster, channels, chunks))


@pytest.mark.parametrize("p", [96, 100, 128])
@pytest.mark.parametrize("name", NAMES)
def test_everybody_gets_the_sum_on_many_cards(name: str, p: int) -> None:
    prove(ALGORITHMS[name].build(make("hccs", p), 1, 1), order=p < 128)


@pytest.mark.parametrize("p", [1000, 1024])
@pytest.mark.parametrize("name", ["halving-doubling", "swing", "hierarchical-recursive-doubling"])
def test_everybody_gets_the_sum_on_a_thousand_cards(name: str, p: int) -> None:
    prove(ALGORITHMS[name].build(make("hccs", p), 1, 1), order=False)


@pytest.mark.parametrize("domain", [1, 3, 5])
@pytest.mark.parametrize("name", FAMILIES)
def test_across_nodes_of_any_number_and_a_last_one_of_any_size(name: str, domain: int) -> None:
    for p in range(2, 20):
        prove(hierarchical(make("hccs", p, domain), 2, FAMILIES[name]))


@pytest.mark.parametrize("p", [2, 3, 5, 6, 8, 13, 16, 31, 33])
@pytest.mark.parametrize("name", FAMILIES)
def test_how_much_is_sent(name: str, p: int) -> None:
    """Halves, quarters, … there and back for those who go on; a whole vector to and from each who is folded."""
    found = flat(FAMILIES[name], p)
    power = 1 << p.bit_length() - 1
    sent = (found.count * found.span)[~found.joins].sum() / found.units
    each = log2(power) if name == "recursive-doubling" else 2 * (power - 1) / power
    assert sent == pytest.approx(power * each + 2 * (p - power))
    if p == power:
        assert len(np.unique(found.source[~found.joins])) == p
        assert found.rows <= exchange.rows(p)


@pytest.mark.parametrize("p", [3, 6, 100])
def test_neighbours_are_folded(p: int) -> None:
    found = flat(HALVING_DOUBLING, p)
    whole = (found.span == found.units) & ~found.joins
    assert (abs(found.source - found.target)[whole] == 1).all()
    assert whole.sum() == 2 * (p - (1 << p.bit_length() - 1))


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_known_beforehand(name: str) -> None:
    how = ALGORITHMS[name]
    for fabric_name, p in product(("hccs", "nvlink3"), (2, 3, 8, 9, 16, 21, 24, 64)):
        cluster = make(fabric_name, p)
        channels = how.channels(cluster)
        rows = how.build(cluster, channels, 1).rows
        assert rows <= how.rows(cluster, channels) <= 2 * rows + 8


@pytest.mark.parametrize(("collective", "name"), [("reduce-scatter", "halving"), ("all-gather", "doubling")])
def test_halves_on_their_own_need_a_power_of_two(collective: str, name: str) -> None:
    with pytest.raises(CollectiveError, match=r"12 ranks .* such as 8 or 16"):
        COLLECTIVES[collective][name].build(make("hccs", 12), 1, 1)


# -- Swing on tori ---------------------------------------------------------------------------------------------


def torus(*shape: int) -> Topology:
    kind, sides = ("torus", "x".join(map(str, shape))) if len(shape) > 1 else ("ring", "none")
    numbers = {"kind": kind, "shape": sides, "size": prod(shape), "lanes": 2 * len(shape)}
    sheet = fabric.load("hccs", changes=[f"domain.{key}={value}" for key, value in numbers.items()])
    return topology.build(sheet, prod(shape))


@pytest.mark.parametrize("shape", [(2,), (3,), (8,), (11,), (2, 4), (3, 3), (4, 4), (3, 5), (2, 2, 2), (3, 4, 2)])
def test_swing_on_a_torus(shape: tuple[int, ...]) -> None:
    """Two shares for each side, whatever its length."""
    cluster, how = torus(*shape), ALGORITHMS["swing"]
    assert how.channels(cluster) == 2 * len(shape)
    for channels, chunks in product((1, 2 * len(shape)), (1, 3)):
        found = how.build(cluster, channels, chunks)
        prove(found)
        assert found.rows == how.rows(cluster, channels)


@pytest.mark.parametrize("shape", [(8,), (4, 4), (8, 8), (4, 4, 4)])
def test_the_first_steps_of_all_shares_use_every_lane_once(shape: tuple[int, ...]) -> None:
    """On a torus of equal sides, all lanes of a card are busy with half of each share from the start."""
    cluster = torus(*shape)
    found = ALGORITHMS["swing"].build(cluster, 2 * len(shape), 1)
    first = (found.span == found.span.max()) & (found.reduces > 0)
    _, links = cluster.routes(found.source[first], found.target[first], found.channel[first])
    assert (np.bincount(links, minlength=cluster.links) == 1).all()
