"""Every algorithm leaves what it should on every rank of every cluster, and `execute` says so on real vectors.

Small faults of the two oldest algorithms, one by one: every dependency is needed, a lag too long is caught. Faults of
other kinds are in ``test_broken_schedules``, and what the proof is worth in ``test_proof``.
"""

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import COLLECTIVES, CollectiveError, layout
from ringsim.collectives.ring import ring
from ringsim.collectives.tree import tree
from ringsim.schedule import Schedule
from ringsim.values import Proof, ValuesError, counting, execute, fifo, prove
from timings import LEAVE, Step, Timing, altered, at_random, but_for, changed, hand, without

CLUSTERS = {"hccs": ("hccs", None), "nvlink3": ("nvlink3", None), "one-switch": ("nvlink3", "all")}
ALGORITHMS = {"ring": ring, "tree": tree}


def lay(algorithm: str, cluster: str, ranks: int, channels: int | None = 1, pieces: int = 1) -> Schedule:
    """Lay `algorithm` over `ranks` cards; no channels means as many as fit."""
    name, domain = CLUSTERS[cluster]
    cards = topology.build(fabric.load(name), ranks, domain=domain)
    return ALGORITHMS[algorithm](cards, most(algorithm, cards) if channels is None else channels, pieces)


def most(algorithm: str, cards: topology.Topology) -> int:
    """Count the channels that fit."""
    return layout.most_chains(cards) if algorithm == "tree" else layout.most_rings(cards)


def contributions(schedule: Schedule, width: int, dtype: Any) -> np.ndarray:
    random = np.random.default_rng(schedule.ranks)
    shape = (schedule.ranks, schedule.units, width)
    if np.issubdtype(dtype, np.floating):
        return random.standard_normal(shape).astype(dtype)
    return random.integers(0, 2**20, shape).astype(dtype)


# -- what is right --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [*range(2, 34), 96, 100, 127, 128])
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_rank_ends_with_the_sum(algorithm: str, cluster: str, ranks: int) -> None:
    ways = itertools.product((1, None), (1, 3)) if ranks < 34 else [(1, 3), (None, 1)]
    for channels, pieces in ways:
        schedule = lay(algorithm, cluster, ranks, channels, pieces)
        vectors = contributions(schedule, 2, np.int64)
        before = vectors.copy()
        after = execute(schedule, vectors)
        assert (after == vectors.sum(axis=0)).all()
        assert (vectors == before).all(), "the contributions were written to"
        prove(schedule)


EVERY = [(c, a) for c, algorithms in COLLECTIVES.items() for a in algorithms]


def build(collective: str, algorithm: str, cluster: str, ranks: int, pieces: int) -> Schedule | None:
    """Lay any algorithm over a cluster with one channel; None where it cannot be."""
    name, domain = CLUSTERS[cluster]
    try:
        cards = topology.build(fabric.load(name), ranks, domain=domain)
        return COLLECTIVES[collective][algorithm].build(cards, 1, pieces)
    except CollectiveError:
        return None


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize(("collective", "algorithm"), EVERY)
def test_every_algorithm_is_proved_in_any_timing(collective: str, algorithm: str, cluster: str) -> None:
    few = range(2, 34) if cluster == "hccs" else (2, 3, 8, 11, 16, 17)
    for ranks in (*few, *((96, 100, 128) if cluster == "hccs" else (100,))):
        schedule = build(collective, algorithm, cluster, ranks, 2)
        if schedule is not None:
            found = prove(schedule)
            assert found.firings == schedule.transfers
            assert found.pairs is not None


@pytest.mark.parametrize(("collective", "algorithm"), EVERY)
def test_a_thousand_ranks_are_counted(collective: str, algorithm: str) -> None:
    for ranks in (1000, 1024):
        schedule = build(collective, algorithm, "hccs", ranks, 1)
        if schedule is not None:
            assert prove(schedule, order=False) == Proof(schedule.transfers, None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint64, object])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ranks_agree_bit_for_bit_and_runs_repeat(algorithm: str, dtype: type) -> None:
    for cluster, ranks in itertools.product(CLUSTERS, (3, 8, 13, 32)):
        schedule = lay(algorithm, cluster, ranks, None, 2)
        vectors = contributions(schedule, 5, dtype)
        after = execute(schedule, vectors)
        assert after.dtype == vectors.dtype
        assert after.shape == vectors.shape
        assert (after == after[0]).all()
        assert (after == execute(schedule, vectors)).all()
        np.testing.assert_allclose(after[0].astype(float), vectors.sum(axis=0).astype(float), rtol=1e-4, atol=1e-4)


def test_a_thousand_ranks_are_proved_by_fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(counting, "_count")  # nothing is suspect, so nothing is counted one by one
    prove(lay("tree", "nvlink3", 1024, None, 2))


def test_vectors_may_lie_in_memory_in_any_order() -> None:
    schedule = lay("ring", "hccs", 5)
    vectors = np.asfortranarray(contributions(schedule, 3, np.int64))
    assert (execute(schedule, vectors) == vectors.sum(axis=0)).all()


def test_units_are_proved_in_blocks_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    good = lay("ring", "hccs", 12, None, 2)
    bad = changed(good, "reduces", good.rows - 1, -1)
    with pytest.raises(ValuesError) as whole:
        prove(bad)
    monkeypatch.setattr(counting, "MOST_BYTES", 12 * 12 * 4 * 10)  # a few units
    prove(good)
    with pytest.raises(ValuesError) as blocks:
        prove(bad)
    unit = re.compile(r"unit (\d+)")
    found = [int(unit.search(str(error.value))[1]) for error in (whole, blocks)]  # type: ignore[index]
    assert found[0] == found[1] >= 10


def test_several_rows_may_add_to_one_unit_in_one_wave_lowest_row_first() -> None:
    star = hand(
        4, 1,
        [(3, 0, 0, 1, 1), (1, 0, 0, 1, 1), (2, 0, 0, 1, 1), *((0, rank, 0, 1, 0) for rank in (1, 2, 3))],
        [(down, up, 0) for down in (3, 4, 5) for up in (0, 1, 2)],
    )  # fmt: skip
    prove(star)
    # 1e8 + 3 is 1e8 in float32, so the order shows: ((1 + −1e8) + 1e8) + 3, not 1 + 3 + 0.
    vectors = np.array([1, 1e8, 3, -1e8], np.float32).reshape(4, 1, 1)
    assert execute(star, vectors).ravel().tolist() == [3, 3, 3, 3]


def test_rows_of_one_connection_go_one_after_the_other() -> None:
    # Rank 0 hears from rank 1 and answers; row 1 waits for row 0 by being on the same connection only.
    prove(hand(2, 2, [(1, 0, 0, 2, 2), (0, 1, 0, 2, 0)], [(1, 0, 0)]))
    late = hand(3, 1, [(1, 0, 0, 1, 1), (0, 1, 0, 1, 0), (2, 0, 0, 1, 1), (0, 1, 0, 1, 0), (1, 2, 0, 1, 0)], [
        (1, 0, 0), (1, 2, 0), (3, 1, 0), (4, 3, 0),
    ])  # fmt: skip
    assert late.after.tolist() == [-1, -1, -1, 1, -1]
    prove(late)
    prove(without(late, 2))


def test_a_barrier_waits_for_all_of_a_row() -> None:
    barrier = hand(2, 3, [(1, 0, 0, 3, 3), (0, 1, 0, 3, 0)], [(1, 0, 1 - 3)])
    barrier = replace(barrier, first=np.array([0, 2]), stride=np.array([1, -1]))  # the last unit comes back first
    prove(barrier)
    for longer in (1, 2, 3):
        with pytest.raises(ValuesError, match=r"^rank"):
            prove(changed(barrier, "dep_lag", 0, longer))


def test_beyond_the_last_firing_the_last_is_meant() -> None:
    ups, downs = [(1, 0, 0, 3, 3), (2, 0, 0, 3, 3)], [(0, 1, 0, 3, 0), (0, 2, 0, 3, 0)]
    star = hand(3, 3, [*ups, *downs], [(1, 0, 2), *((down, up, -3) for down in (2, 3) for up in (0, 1))])
    star = replace(star, first=np.array([0, 0, 2, 2]), stride=np.array([1, 1, -1, -1]))
    prove(star)


def test_as_many_channels_of_a_tree_as_there_are_fit_into_a_switch_that_joins_servers() -> None:
    cards = topology.build(fabric.load("nvlink3"), 9, domain="all")
    prove(tree(cards, layout.most_chains(cards), 1))


def test_a_join_takes_all_that_is_parked_at_once_or_as_it_comes() -> None:
    rows = [(1, 0, 0, 3, 3), (0, 0, 0, 1, 0), (0, 1, 0, 3, 0)]
    for lag in (-2, -7):
        at_once = hand(2, 3, rows, [(1, 0, lag), (2, 1, 0)], parked=(0,))
        prove(at_once)
        assert Timing(at_once).run(but_for(Step(1, 0, LEAVE))).right()
    rows[1] = (0, 0, 0, 3, 0)
    # Named twice: the later of the two counts, and a third firing is missing for the last.
    prove(hand(2, 3, rows, [(1, 0, 0), (1, 0, 1), (2, 1, 0)], parked=(0,)))
    with pytest.raises(
        ValuesError, match=r"^rank 0, unit 2: what row 0 .* firing 2 parks .* row 1 .* fires too seldom"
    ):
        prove(hand(2, 3, rows, [(1, 0, 1), (2, 1, 0)], parked=(0,)))


def test_what_is_parked_is_written_by_the_join_and_not_before() -> None:
    rows = [(1, 0, 0, 3, 3), (0, 1, 0, 3, 3), (0, 0, 0, 1, 0), (1, 1, 0, 1, 0)]
    both_ways = hand(2, 3, rows, [(join, row, -2) for join in (2, 3) for row in (0, 1)], parked=(0, 1))
    prove(both_ways)
    with pytest.raises(
        ValuesError, match=r"row 1 \(0 → 1, .*, which reads it, and row 2 \(join at 0\) firing 0, which adds"
    ):
        prove(without(both_ways, 1))


def test_whoever_waits_for_the_last_firing_keeps_its_slot() -> None:
    # Rows 0 and 1 are one connection; the join takes both, so the slot of the first is not free for the second.
    rows = [(1, 0, 0, 1, 1), (1, 0, 0, 1, 1), (0, 0, 0, 1, 0), (0, 1, 0, 2, 0)]
    both = hand(2, 2, rows, [(2, 0, -5), (2, 1, 0), (3, 2, 0)], parked=(0, 1))
    both = replace(both, base=np.array([0, 1, 0, 0]), modulus=np.array([1, 1, 2, 2]))
    prove(both)
    assert fifo(both).smallest == 2
    assert not Timing(both, 1).run(lambda steps: steps[0]).finished()


@pytest.mark.parametrize("ranks", [5, 130])
def test_switches_begin_with_nothing_in_them(ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of switches need not follow those of the ranks at once."""
    every, switch = range(ranks), ranks + 7
    up, down = [(r, switch, 0, 1, 1) for r in every], [(switch, r, 0, 1, 0) for r in every]
    tree = hand(ranks, 1, up + down, [(ranks + r, other, 0) for r in every for other in every])
    with monkeypatch.context() as patch:
        if ranks > counting.MOST_COUNTED:
            patch.delattr(counting, "_count")  # the fingerprints are enough
        prove(tree)
    vectors = contributions(tree, 2, np.int64)
    assert (execute(tree, vectors) == vectors.sum(axis=0)).all()
    with pytest.raises(
        ValuesError, match=r"^rank 0, unit 0: the contribution of rank 0 is missing in what row .* copies$"
    ):
        # Row 0 leads from rank 1: it is heard twice, and rank 0 never.
        prove(altered(tree, "source", 0, 1))


def test_vectors_of_the_wrong_shape_are_refused() -> None:
    schedule = lay("ring", "hccs", 4)
    for shape in [(4, 4), (4, 5, 1), (3, 4, 1)]:
        with pytest.raises(ValueError, match=re.escape("is not [4, 4, width]")):
            execute(schedule, np.zeros(shape))


# -- what is wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("ranks", [2, 3, 5, 8, 11])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_dependency_is_needed(algorithm: str, ranks: int, pieces: int) -> None:
    schedule = lay(algorithm, "nvlink3", ranks, None, pieces)
    prove(schedule)
    for dependency in range(len(schedule.dep_row)):
        if algorithm == "ring":
            # In lockstep even this comes out right: only the order shows it.
            vectors = contributions(schedule, 1, np.int64)
            assert (execute(without(schedule, dependency), vectors) == vectors.sum(axis=0)).all()
        with pytest.raises(ValuesError):
            prove(without(schedule, dependency))


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("ranks", [2, 3, 5, 8, 11])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_lag_too_long_is_caught(algorithm: str, ranks: int, pieces: int) -> None:
    schedule = lay(algorithm, "hccs", ranks, None, pieces)
    for dependency in range(len(schedule.dep_row)):
        with pytest.raises(ValuesError, match=r"^rank \d+, unit \d+: "):
            prove(changed(schedule, "dep_lag", dependency, 1))


def test_a_lag_too_short_is_a_circle_in_a_ring_and_only_slower_in_a_tree() -> None:
    for broken in (
        replace(good := lay("ring", "hccs", 6), dep_lag=np.zeros_like(good.dep_lag)),
        replace(good := lay("ring", "hccs", 6, 1, 3), dep_lag=good.dep_lag - 9),
    ):
        with pytest.raises(ValuesError, match=r"^row \d \(\d → \d, channel 0\) never reaches firing 0: .* circle"):
            prove(broken)
        with pytest.raises(ValuesError, match="circle"):
            execute(broken, contributions(broken, 1, np.int64))
    slow = lay("tree", "hccs", 6, 1, 3)
    prove(replace(slow, dep_lag=slow.dep_lag - 1))


def test_a_circle_is_named_by_rows_that_are_in_it() -> None:
    # Row 0 waits for row 1, rows 1 and 2 wait for each other; row 3 gets through.
    rows = [(0, 1, 0, 1, 0), (1, 2, 0, 1, 0), (2, 3, 0, 1, 0), (3, 0, 0, 1, 0)]
    with pytest.raises(ValuesError, match=r"^row [12] .* circle for row [12] "):
        prove(hand(4, 1, rows, [(0, 1, 0), (1, 2, 0), (2, 1, 0)]))
    # The same connection twice: its second row cannot go first.
    with pytest.raises(ValuesError, match=r"^row [01] .* circle for row [01] "):
        prove(hand(2, 1, [(0, 1, 0, 1, 0), (0, 1, 0, 1, 0)], [(0, 1, 0)]))


@pytest.mark.parametrize("ranks", [2, 3, 8, 11, 130])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_firing_too_few_leaves_a_contribution_missing(algorithm: str, ranks: int) -> None:
    schedule = lay(algorithm, "hccs", ranks, 1, 2)
    for row in (0, 1, schedule.rows - 1):
        count = schedule.count - (np.arange(schedule.rows) == row)
        short = replace(schedule, count=count, reduces=np.minimum(schedule.reduces, count))
        with pytest.raises(ValuesError, match=r"^rank \d+, unit \d+: the contribution of rank \d+ is missing"):
            prove(short)


@pytest.mark.parametrize("ranks", [3, 8, 11, 130])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_copy_for_reduce_loses_and_reduce_for_copy_doubles(algorithm: str, ranks: int) -> None:
    schedule = lay(algorithm, "nvlink3", ranks, None, 2)
    adds = np.flatnonzero(schedule.reduces)
    for row in adds[[0, -1]]:
        with pytest.raises(ValuesError, match=r"is missing in what row \d+ .* firing \d+ copies$"):
            prove(changed(schedule, "reduces", row, -1))
    copies = np.flatnonzero(schedule.reduces < schedule.count)
    for row in copies[[0, -1]]:
        with pytest.raises(ValuesError, match=r"is counted \d+ times since row \d+ .* firing \d+ adds it again$"):
            prove(changed(schedule, "reduces", row, 1))


def test_counts_do_not_wrap_round_to_one() -> None:
    # Two ranks add to each other: the counts are Fibonacci's and after 192 rounds, modulo 256, what they were
    # at first. Then they do it right.
    ping_pong = hand(2, 1, [(0, 1, 0, 193, 193), (1, 0, 0, 193, 192)], [(1, 0, 0), (0, 1, 1)])
    vectors = np.array([3, 4], np.uint8).reshape(2, 1, 1)
    assert execute(ping_pong, vectors).ravel().tolist() == [7, 7]
    with pytest.raises(ValuesError, match=r"counted (\d+|inf) times"):
        prove(ping_pong)


def backwards(waits: list[tuple[int, int, int]]) -> Schedule:
    """Collect three units on rank 0 with rows 0 and 2, hand them out with rows 1 and 3, last unit first."""
    rows = [(1, 0, 0, 3, 3), (0, 1, 0, 3, 0), (2, 0, 0, 3, 3), (0, 2, 0, 3, 0), (0, 0, 0, 1, 0)]
    found = hand(3, 3, rows, [*waits, (3, 0, -2), (3, 2, -2)])
    return replace(found, first=np.array([0, 2, 0, 2, 0]), stride=np.array([1, -1, 1, -1, 0]))


#: Collect on rank 0 (rows 0 and 3), hand out (rows 1 and 2).
STAR = [(1, 0, 0, 1, 1), (0, 1, 0, 1, 0), (0, 2, 0, 1, 0), (2, 0, 0, 1, 1)]
#: Schedules that come out right in waves, and only there.
LUCKY = {
    "one does not wait for the last row": hand(3, 1, STAR, [(1, 0, 0), (2, 0, 0), (2, 3, 0)]),
    "only a second firing would": hand(3, 1, STAR, [(1, 0, 0), (2, 0, 0), (1, 3, 1), (2, 3, 1)]),
    # Row 1 waits for row 0 in its second firing, but rows 2, 4 and 5 wait for its first. In waves both are
    # over when these begin, because row 3 holds them up.
    "what a row learns later": hand(
        4,
        2,
        [
            (1, 0, 0, 2, 2),
            (2, 0, 0, 2, 2),
            (0, 1, 0, 2, 0),
            (3, 0, 0, 2, 2),
            (0, 2, 0, 2, 0),
            (0, 3, 0, 2, 0),
        ],
        [(1, 0, 1), (3, 1, 0), *((row, on, 0) for row in (2, 4, 5) for on in (1, 3))],
    ),
    # Rows 1 and 3 begin with the last unit. Row 1 waits for one firing too few of row 0, and is held up by row 2.
    "one firing too few, first": backwards([(1, 0, -1), (1, 2, -2)]),
    "one firing too few, last": backwards([(1, 2, -2), (1, 0, -1)]),
    "one firing too few, at one remove": backwards([(4, 0, -1), (1, 4, 0), (1, 2, -2)]),
    # Row 1 comes behind row 0 on the connection. Row 2 waits for it with its second firing only, row 3 holds it up.
    "the row behind": replace(
        hand(
            3,
            2,
            [(1, 0, 0, 1, 1), (1, 0, 0, 1, 1), (0, 1, 0, 2, 0), (2, 0, 0, 2, 2), (0, 2, 0, 2, 0)],
            [(2, 1, 1), (2, 3, 0), (4, 1, 0), (4, 3, 0)],
        ),
        base=np.array([0, 1, 0, 0, 0]),
        modulus=np.array([1, 1, 2, 2, 2]),
    ),
    # An all-gather: row 1 hands on what row 0 brought, last unit first, and waits for one firing too few of it.
    "one firing too few, alone": replace(
        hand(
            3,
            6,
            [(1, 0, 0, 3, 0), (0, 2, 0, 3, 0), (2, 0, 0, 3, 0), (0, 1, 0, 3, 0)],
            [(1, 2, -2), (1, 0, -1), (3, 2, 0)],
            begins=[1, 1, 1, 2, 2, 2],
        ),
        base=np.array([0, 0, 3, 3]),
        modulus=np.full(4, 3),
        first=np.array([0, 2, 0, 0]),
        stride=np.array([1, -1, 1, 1]),
    ),
    # Rank 2 receives something old (row 3) and the sum (row 4): the later of the two stays.
    "two copies": hand(
        3,
        1,
        [STAR[0], STAR[3], STAR[1], (1, 2, 0, 1, 0), STAR[2]],
        [(3, 1, 0), (2, 3, 0), *((row, on, 0) for row in (2, 4) for on in (0, 1))],
    ),
}


@pytest.mark.parametrize("why", LUCKY)
def test_luck_is_no_proof(why: str) -> None:
    schedule = LUCKY[why]
    prove(schedule, order=False)
    with pytest.raises(
        ValuesError, match=r"^rank \d, unit [02]: row \d .* firing [02], which .* and row \d .* nothing orders"
    ):
        prove(schedule)
    random = np.random.default_rng(1)
    assert not all(Timing(schedule).run(at_random(schedule, random)).right() for _ in range(300))
