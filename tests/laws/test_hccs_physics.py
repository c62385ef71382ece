"""Law: inside a full-mesh node the number of cards decides how many lanes a ring can use; behind a switch it does not."""

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import layout
from ringsim.collectives.ring import ring
from ringsim.study import Question, answer
from ringsim.topology import LANE, LINK_KINDS


def lanes_used(cards: int) -> tuple[int, int]:
    """Lanes out of card 0 that some ring uses, and lanes it has."""
    cluster = topology.build(fabric.load("hccs"), cards)
    schedule = ring(cluster, layout.most_rings(cluster), 1)
    _, links = cluster.routes(schedule.source, schedule.target, schedule.channel)
    users = np.bincount(links, minlength=cluster.links)
    assert users.max() == 1, "two rings share a lane"
    out = cluster.ends()[0] == 0
    return int((users[out] > 0).sum()), int(out.sum())


@pytest.mark.parametrize(("cards", "used", "there"), [(2, 1, 1), (4, 2, 3), (8, 7, 7)])
def test_lanes_of_a_card_that_rings_use(cards: int, used: int, there: int) -> None:
    """Four cards have three lanes each but only two disjoint directed Hamiltonian cycles; eight cards have all seven."""
    assert lanes_used(cards) == (used, there)


def busbw(name: str, cards: int) -> float:
    result = answer(Question(name, cards, "16G", algorithm="ring", protocol={"hccs": "hccl"}.get(name, "Simple"))).best
    assert result.busbw_GBps is not None
    return result.busbw_GBps


def test_hccs_ring_bandwidth_grows_with_the_lanes() -> None:
    """1, 2 and 7 lanes of 18.3 GB/s (at 16 GiB start-up and steps no longer show)."""
    for cards, lanes in ((2, 1), (4, 2), (8, 7)):
        assert busbw("hccs", cards) == pytest.approx(lanes * 18.3, rel=1e-3)


def test_nvswitch_ring_bandwidth_depends_on_the_cards_by_the_last_copy_alone() -> None:
    """Twelve links of 20 GB/s, whether 2, 4 or 8 cards use them; then 24 channels copy out the last of 2(p−1) chunks."""
    for cards in (2, 3, 4, 5, 8):
        part = 240 / (24 * 40) / (2 * (cards - 1))
        assert busbw("nvlink3", cards) == pytest.approx(240 / (1 + part), rel=1e-2)


@pytest.mark.parametrize("cards", [16, 24, 64, 256])
def test_rings_across_nodes_use_every_lane_and_every_nic_once(cards: int) -> None:
    cluster = topology.build(fabric.load("hccs"), cards)
    schedule = ring(cluster, 8, 1)
    _, links = cluster.routes(schedule.source, schedule.target, schedule.channel)
    users = np.bincount(links, minlength=cluster.links)
    for kind, name in enumerate(LINK_KINDS):
        here = users[cluster.kind == kind]
        if kind >= LANE and "spine" not in name:
            assert (here == 1).all(), name


def test_rings_change_rail_only_where_an_odd_number_of_nodes_closes() -> None:
    for nodes, crossings in ((2, 0), (4, 0), (16, 0), (3, 8), (5, 8)):
        cluster = topology.build(fabric.load("hccs"), 8 * nodes)
        schedule = ring(cluster, 8, 1)
        leaves = cluster.leaf_of(np.arange(cluster.cards))
        between = schedule.source // 8 != schedule.target // 8
        changes = leaves[schedule.source[between]] != leaves[schedule.target[between]]
        assert int(changes.sum()) == crossings


def test_one_ring_is_the_naive_case() -> None:
    """One ring uses one lane and one NIC of each node: an eighth of what eight rings reach."""
    one = answer(Question("hccs", 64, "16G", algorithm="ring", rings=1)).best
    eight = answer(Question("hccs", 64, "16G", algorithm="ring", rings=8)).best
    assert one.time_us / eight.time_us == pytest.approx(8, rel=1e-2)


def direct(cards: int, **changes: int) -> tuple[float, set[int]]:
    """Seconds of a two-shot all-reduce of 1 GiB beyond start-up and steps, and how many lanes each card sends on."""
    found = answer(Question("hccs", cards, "1G", algorithm="two-shot", **changes))
    program = found.program()
    used = np.unique(program.route_links)
    out = np.bincount(found.topology.ends()[0][used], minlength=cards)
    assert found.best.time_us is not None
    return found.best.time_us / 1e6 - 10e-6 - 2 * 3e-6, set(out.tolist())


@pytest.mark.parametrize(("cards", "lanes"), [(2, 1), (4, 3), (8, 7)])
def test_direct_uses_every_lane(cards: int, lanes: int) -> None:
    """Each card sends S/p on each of its lanes, twice: HCCL's mesh, 2α + 2S/(p·B) with B of one lane."""
    seconds, used = direct(cards)
    assert used == {lanes}
    assert seconds == pytest.approx(2 * 2**30 / (cards * 18.3e9), rel=1e-9)


def test_one_ring_seven_rings_and_direct_on_eight_cards() -> None:
    """A single ring has 1/7 of the mesh, seven rings and direct all of it."""
    mesh = 7 * 18.3e9

    def part_of_the_mesh(algorithm: str, rings: int, steps: int) -> float:
        best = answer(Question("hccs", 8, "1G", algorithm=algorithm, rings=rings)).best
        assert best.time_us is not None
        return 2 * 7 / 8 * 2**30 / (best.time_us / 1e6 - 10e-6 - steps * 3e-6) / mesh

    assert part_of_the_mesh("ring", 1, 14) == pytest.approx(1 / 7, rel=1e-9)
    assert part_of_the_mesh("ring", 7, 14) == pytest.approx(1, rel=1e-9)
    assert part_of_the_mesh("two-shot", 1, 2) == pytest.approx(1, rel=1e-9)
