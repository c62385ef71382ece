"""Ring and tree leave the sum on every rank of every cluster; a schedule with one fault does not get by.

The last part does not trust the proof: it runs schedules in random timings, event by event, in plain Python.
What the proof accepts must come out right in all of them, what it rejects must come out wrong in some.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ringsim import fabric, topology, values
from ringsim.collectives import layout
from ringsim.collectives.ring import ring
from ringsim.collectives.tree import tree
from ringsim.schedule import Schedule, dependencies
from ringsim.values import ValuesError, execute, prove

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


def hand(
    ranks: int, units: int, rows: list[tuple[int, int, int, int, int]], waits: list[tuple[int, int, int]]
) -> Schedule:
    """Write a schedule by hand: rows (source, target, channel, count, reduces), waits (row, on, lag).

    Firing *q* carries unit *q* mod `units`.
    """
    source, target, channel, count, reduces = np.array(rows, np.int64).reshape(-1, 5).T
    waiting, on, lag = np.array(waits, np.int64).reshape(-1, 3).T
    offsets, dep_row, dep_lag = dependencies(len(rows), waiting, on, lag)
    none = np.zeros(len(rows), np.int64)
    return Schedule(
        ranks, units, source, target, channel, count, reduces, none, none, none + 1, none + units, none + 1,
        offsets, dep_row, dep_lag,
    )  # fmt: skip


def without(schedule: Schedule, dependency: int) -> Schedule:
    """Take one dependency away."""
    row = np.searchsorted(schedule.dep_offsets, dependency, side="right") - 1
    return replace(
        schedule,
        dep_offsets=schedule.dep_offsets - (np.arange(schedule.rows + 1) > row),
        dep_row=np.delete(schedule.dep_row, dependency),
        dep_lag=np.delete(schedule.dep_lag, dependency),
    )


def changed(schedule: Schedule, column: str, index: int, by: int) -> Schedule:
    """Add `by` to one entry of one column."""
    entries = getattr(schedule, column).copy()
    entries[index] += by
    return replace(schedule, **{column: entries})


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
    monkeypatch.delattr(values, "_count")  # nothing is suspect, so nothing is counted one by one
    prove(lay("ring", "hccs", 1024))
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
    monkeypatch.setattr(values, "MOST_BYTES", 12 * 12 * 4 * 5)  # five units
    prove(good)
    with pytest.raises(ValuesError) as blocks:
        prove(bad)
    unit = re.compile(r"unit (\d+)")
    found = [int(unit.search(str(error.value))[1]) for error in (whole, blocks)]  # type: ignore[index]
    assert found[0] == found[1] >= 5


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
        with pytest.raises(ValuesError, match=r"^rank \d+, unit \d+: the contribution of rank \d+ is missing$"):
            prove(short)


def test_an_error_names_the_rank_the_unit_and_the_contributor() -> None:
    # Rank 0 sends units 0 and 1 to rank 1, which adds; only unit 0 comes back.
    one_way = hand(2, 2, [(0, 1, 0, 2, 2), (1, 0, 0, 1, 0)], [(1, 0, 0)])
    with pytest.raises(ValuesError, match=r"^rank 0, unit 1: the contribution of rank 1 is missing$"):
        prove(one_way)
    again = hand(2, 1, [(0, 1, 0, 2, 2), (1, 0, 0, 1, 0)], [(1, 0, -1)])
    with pytest.raises(ValuesError, match=r"^rank 0, unit 0: the contribution of rank 0 is counted 2 times$"):
        prove(again)
    racing = hand(2, 1, [(0, 1, 0, 1, 1), (1, 0, 0, 1, 1)], [])
    with pytest.raises(
        ValuesError,
        match=r"^rank 0, unit 0: row 0 \(0 → 1, channel 0\) firing 0 and row 1 \(1 → 0, .* firing 0 meet",
    ):
        prove(racing)
    with pytest.raises(ValuesError, match=r"^rank 0, unit 0: the contribution of rank 1 is missing$"):
        prove(hand(2, 1, [], []))


@pytest.mark.parametrize("ranks", [3, 8, 11, 130])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_copy_for_reduce_loses_and_reduce_for_copy_doubles(algorithm: str, ranks: int) -> None:
    schedule = lay(algorithm, "nvlink3", ranks, None, 2)
    adds = np.flatnonzero(schedule.reduces)
    for row in adds[[0, -1]]:
        with pytest.raises(ValuesError, match=r"is missing$"):
            prove(changed(schedule, "reduces", row, -1))
    copies = np.flatnonzero(schedule.reduces < schedule.count)
    for row in copies[[0, -1]]:
        with pytest.raises(ValuesError, match=r"is counted \d+ times$"):
            prove(changed(schedule, "reduces", row, 1))


def test_counts_do_not_wrap_round_to_one() -> None:
    # Two ranks add to each other: the counts are Fibonacci's and after 192 rounds, modulo 256, what they were
    # at first. Then they do it right.
    ping_pong = hand(2, 1, [(0, 1, 0, 193, 193), (1, 0, 0, 193, 192)], [(1, 0, 0), (0, 1, 1)])
    vectors = np.array([3, 4], np.uint8).reshape(2, 1, 1)
    assert execute(ping_pong, vectors).ravel().tolist() == [7, 7]
    with pytest.raises(ValuesError, match=r"counted (\d+|inf) times"):
        prove(ping_pong)


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
    vectors = contributions(schedule, 1, np.int64)
    assert (execute(schedule, vectors) == vectors.sum(axis=0)).all()
    with pytest.raises(ValuesError, match=r"^rank \d, unit 0: row \d .* firing 0 and row \d .* nothing orders"):
        prove(schedule)
    assert not agreed(schedule)


# -- the proof against every timing ---------------------------------------------------------------------


def leaves_the_sum(schedule: Schedule, random: np.random.Generator) -> bool:
    """Run a schedule in one random timing, a send or a delivery at a time, one contribution one digit."""
    digits = 10 ** np.arange(schedule.ranks, dtype=object)
    state = [[int(digits[rank])] * schedule.units for rank in range(schedule.ranks)]
    left, delivered = [0] * schedule.rows, [0] * schedule.rows
    flying: list[list[int]] = [[] for _ in range(schedule.rows)]
    haste = random.exponential(size=2 * schedule.rows) ** 3  # some rows far faster than others, and so their wires

    def may_leave(row: int) -> bool:
        before, firing = int(schedule.after[row]), left[row]
        if firing == schedule.count[row] or (before >= 0 and left[before] < schedule.count[before]):
            return False
        for d in range(schedule.dep_offsets[row], schedule.dep_offsets[row + 1]):
            on, need = schedule.dep_row[d], firing - schedule.dep_lag[d]
            if need >= 0 and delivered[on] <= min(need, schedule.count[on] - 1):
                return False
        return True

    def may_arrive(row: int) -> bool:
        before = int(schedule.after[row])
        return bool(flying[row]) and (before < 0 or delivered[before] == schedule.count[before])

    def unit(row: int, firing: int) -> int:
        return int(schedule.unit(np.array([row]), np.array([firing]))[0])

    while True:
        can = [row for row in range(schedule.rows) if may_leave(row)]
        can += [schedule.rows + row for row in range(schedule.rows) if may_arrive(row)]
        if not can:
            break
        odds = haste[can] + 1e-12
        event = int(random.choice(can, p=odds / odds.sum()))
        if event < schedule.rows:
            flying[event].append(state[schedule.source[event]][unit(event, left[event])])
            left[event] += 1
        else:
            row = event - schedule.rows
            firing, target = delivered[row], state[schedule.target[row]]
            sent = flying[row].pop(0)
            target[unit(row, firing)] = sent + (target[unit(row, firing)] if firing < schedule.reduces[row] else 0)
            delivered[row] += 1
    assert delivered == schedule.count.tolist()
    return all(value == int(digits.sum()) for vector in state for value in vector)


def variants(good: Schedule) -> Iterator[Schedule]:
    """Yield a schedule and what becomes of it with a dependency less or a lag longer or shorter."""
    yield good
    for dependency in range(len(good.dep_row)):
        yield without(good, dependency)
        yield changed(good, "dep_lag", dependency, 1)
        yield changed(good, "dep_lag", dependency, -1)


@pytest.mark.parametrize(
    ("algorithm", "ranks", "pieces"),
    [
        ("ring", 2, 2),
        ("ring", 3, 1),
        ("ring", 4, 2),
        ("tree", 2, 1),
        ("tree", 3, 2),
        ("tree", 5, 3),
        ("tree", 12, 1),
    ],
)
def test_the_proof_agrees_with_random_timings(algorithm: str, ranks: int, pieces: int) -> None:
    verdicts = [agreed(each) for each in variants(lay(algorithm, "hccs", ranks, 1, pieces))]
    assert verdicts[0]
    assert not all(verdicts)


def agreed(schedule: Schedule) -> bool:
    """Return the verdict of the proof, confirmed by random timings."""
    random = np.random.default_rng(schedule.transfers)
    accepted, why = True, ""
    try:
        prove(schedule)
    except ValuesError as error:
        accepted, why = False, str(error)
    if "circle" not in why:
        always = all(leaves_the_sum(schedule, random) for _ in range(20 if accepted else 300))
        assert always == accepted, why
    return accepted
