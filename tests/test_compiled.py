"""The compiled engine's short cuts, one by one: each leaves work out, and each has to know when it may not.

`laws/test_engines_agree` holds the engine as a whole against the reference. Here every short cut is called by itself, so
that one which never cuts, or one whose mistakes the next one hides, is seen: links that need no sharing, rows that fold
into one, the order of a sweep, rounds and periods that are jumped, memory that turns out too small, code that is cached.
"""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laws.programs import build, by_hand, random_programs
from ringsim.engines import compiled, run
from ringsim.engines.compiled import contention, fluid, fold, kernel, sweep
from ringsim.engines.compiled.fold import Folded
from ringsim.engines.compiled.kernel import Times, new_times, rows_of
from ringsim.engines.reference import max_min
from ringsim.program import Program, ProgramError
from ringsim.trace import Trace

AGREE = 1e-9


def thorough(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def assert_same(a: Trace | Times, b: Trace | Times) -> None:
    end = float(a.finish.max())
    for column in ("start", "left", "finish"):
        np.testing.assert_allclose(getattr(a, column), getattr(b, column), rtol=AGREE, atol=AGREE * end, err_msg=column)


def event_loop(program: Program, *, jump: bool) -> tuple[Times, int, int]:
    """Run on the event loop even where a sweep would do: times, firings worked out, firings jumped."""
    shared, times = contention.find(program), new_times(program.rows)
    simulated, jumped, _ = fluid.simulate(
        rows_of(program, shared), shared, program.bytes, times, jump=jump, progress=None
    )
    return times, simulated, jumped


def folded(program: Program) -> Folded:
    shared = contention.find(program)
    return fold.fold(rows_of(program, shared), shared, program.bytes)


def planned(program: Program) -> tuple[sweep.Plan, int] | None:
    return sweep.plan(rows_of(program, contention.find(program)))


# -- links that nobody has to share ---------------------------------------------------------------------------


def tight(program: Program) -> list[float]:
    """Bandwidths of the links that are left to share."""
    return contention.find(program).bandwidth.tolist()


def test_a_link_that_is_never_full_is_open() -> None:
    assert tight(by_hand([10], [[0], [0]], [1, 1], cap=[4, 5])) == []
    assert tight(by_hand([10], [[0], [0]], [1, 1], cap=[4, 7])) == [10]
    assert tight(by_hand([10], [[0], [0]], [1, 1])) == [10]
    assert tight(by_hand([10], [[0]], [1])) == []


@pytest.mark.parametrize("bandwidth", [10.0, 18.3e9])
def test_shares_that_fill_a_link_exactly_leave_it_open(bandwidth: float) -> None:
    """Of k rows each has a k-th; their sum may be a rounding more than the whole."""
    over = 0
    for k in range(2, 50):
        over += sum([bandwidth / k] * k) > bandwidth
        assert tight(by_hand([bandwidth], [[0]] * k, [1] * k, cap=[bandwidth / k] * k)) == []
    assert over, "no sum was a rounding too much"
    assert tight(by_hand([10], [[0]] * 7, [1] * 7, cap=[10 / 7 * (1 + 1e-9)] * 7)) == [10]


def test_what_a_row_can_send_elsewhere_counts() -> None:
    """Link 1 holds each row at 3, so two of them never fill link 0 of 10, and four do."""
    assert tight(by_hand([10, 3, 3], [[0, 1], [0, 2]], [1, 1])) == []
    assert tight(by_hand([10, 3, 3, 3, 3], [[0, i] for i in (1, 2, 3, 4)], [1] * 4)) == [10]


@pytest.mark.parametrize(
    ("bandwidth", "left"),
    [([6, 6], [6]), ([10, 6], [6]), ([6, 10], [6]), ([10, 6, 8], [6]), ([8, 6, 10], [6]), ([6, 6, 6], [6])],
)
def test_a_link_in_the_shadow_of_a_narrower_one_is_open(bandwidth: list[float], left: list[float]) -> None:
    """Both rows take all links one after the other."""
    way = list(range(len(bandwidth)))
    assert tight(by_hand(bandwidth, [way, way], [1, 1])) == left


def test_a_link_with_a_row_of_its_own_is_in_nobody_s_shadow() -> None:
    assert tight(by_hand([10, 6], [[0, 1], [0, 1], [0]], [1, 1, 1])) == [10, 6]
    assert tight(by_hand([10, 6], [[0, 1], [0, 1], [1]], [1, 1, 1])) == [10, 6]


def test_rows_of_one_connection_take_turns() -> None:
    """Rows 0 and 1 never send at the same time: the faster of them counts, 4; with 7 of row 2 that is too much."""
    after = [-1, 0, -1]
    assert tight(by_hand([10], [[0]] * 3, [1] * 3, after=after, cap=[3, 4, 6])) == []
    assert tight(by_hand([10], [[0]] * 3, [1] * 3, after=after, cap=[4, 3, 7])) == [10]
    assert tight(by_hand([10], [[0]] * 3, [1] * 3, cap=[3, 4, 6])) == [10]


def test_the_first_row_of_a_connection_is_found_through_any_chain() -> None:
    assert contention._connections(np.array([-1, 0, 1, -1, 2, 3, 4])).tolist() == [0, 0, 0, 3, 0, 3, 0]
    chain = np.arange(100) - 1
    assert not contention._connections(chain).any()


@given(random_programs(), st.data())
@thorough(600)
def test_rates_need_no_open_links(program: Program, data: st.DataObject) -> None:
    """Whoever is sending, max-min over the tight links alone gives the rates of max-min over all."""
    shared = contention.find(program)
    head = contention._connections(program.after)
    sending = data.draw(st.lists(st.integers(0, program.rows - 1), min_size=1, unique_by=lambda v: int(head[v])))
    ways, left = cut(program.route_links, program.route_offsets), cut(shared.links, shared.offsets)
    rates = max_min(
        {v: ways[v] for v in sending}, {v: float(program.cap[v]) for v in sending}, program.bandwidth.tolist()
    )
    ours = max_min(
        {v: left[v] for v in sending}, {v: float(shared.rate[v]) for v in sending}, shared.bandwidth.tolist()
    )
    assert ours == pytest.approx(rates, rel=1e-12)


# -- rows that fold into one -------------------------------------------------------------------------------------


def cut(values: np.ndarray, offsets: np.ndarray) -> list[list[int]]:
    """A list for each row."""
    return [values[a:b].tolist() for a, b in pairwise(offsets.tolist())]


def inputs(program: Program) -> list[list[tuple[int, int]]]:
    """What each row waits for: rows and lags."""
    rows, lags = cut(program.dep_row, program.dep_offsets), cut(program.dep_lag, program.dep_offsets)
    return [list(zip(*both, strict=True)) for both in zip(rows, lags, strict=True)]


def copies(program: Program, k: int, shared: float | None = None, order: np.ndarray | None = None) -> Program:
    """The same program `k` times on links of its own, all rows also over one `shared` link, rows in another order."""
    n, links = program.rows, len(program.bandwidth)
    common = [] if shared is None else [k * links]
    ways = cut(program.route_links, program.route_offsets)
    routes = [[*(link + i * links for link in way), *common] for i in range(k) for way in ways]
    deps = [[(u + i * n, lag) for u, lag in row] for i in range(k) for row in inputs(program)]
    after = [int(a) + i * n if a >= 0 else -1 for i in range(k) for a in program.after]
    column: dict[str, Any] = {
        name: np.tile(getattr(program, name), k)
        for name in ("bytes", "count", "reduces", "latency", "work", "overhead", "cap")
    }
    order = np.arange(k * n) if order is None else order
    number = np.argsort(order)  # of each row, in the new order
    return by_hand(
        [*program.bandwidth.tolist() * k, *([] if shared is None else [shared])],
        [routes[v] for v in order],
        deps=[[(int(number[u]), lag) for u, lag in deps[v]] for v in order],
        after=[int(number[after[v]]) if after[v] >= 0 else -1 for v in order],
        **{name: values[order].tolist() for name, values in column.items()},
    )


def assert_loops_agree(program: Program) -> None:
    """Folded and jumped, or not: the same times, or both refuse."""
    try:
        expected = event_loop(program, jump=False)[0]
    except ProgramError:
        with pytest.raises(ProgramError):
            event_loop(program, jump=True)
        return
    assert_same(expected, event_loop(program, jump=True)[0])


@given(random_programs(), st.sampled_from([None, 1.0, 9.0, 1000.0]), st.randoms(use_true_random=False))
@thorough(200)
def test_equal_parts_fold_into_one(program: Program, shared: float | None, random: Any) -> None:
    order = np.array(random.sample(range(8 * program.rows), 8 * program.rows))
    few = folded(copies(program, 8, shared, order))
    assert len(few.message) <= program.rows
    class_of = few.class_of[np.argsort(order)].reshape(8, program.rows)
    assert (class_of == class_of[0]).all()


@given(random_programs(most_firings=20), st.integers(2, 5), st.sampled_from([None, 1.0, 9.0, 40.0]))
@thorough(400)
def test_equal_parts_keep_their_times(program: Program, k: int, shared: float | None) -> None:
    assert_loops_agree(copies(program, k, shared))


@given(random_programs(), st.sampled_from([None, 9.0]))
@thorough(100)
def test_equal_parts_are_what_the_reference_says(program: Program, shared: float | None) -> None:
    several = copies(program, 3, shared)
    try:
        expected = run(several, "reference")
    except ProgramError:
        with pytest.raises(ProgramError, match="waits for ever"):
            event_loop(several, jump=True)
        return
    assert_same(expected, event_loop(several, jump=True)[0])


@given(
    random_programs(most_firings=10), st.integers(3, 5), st.sampled_from([None, 9.0, 40.0]), st.data(),
    st.sampled_from(["bytes", "latency", "work", "overhead", "cap", "count", "reduces", "dep_lag", "bandwidth"]),
)  # fmt: skip
@thorough(600)
def test_a_part_that_differs_in_one_number_is_not_taken_for_the_others(
    program: Program, k: int, shared: float | None, data: st.DataObject, name: str
) -> None:
    several = copies(program, k, shared)
    column = getattr(several, name).copy()
    if not len(column):
        return
    at = data.draw(st.integers(0, len(column) - 1))
    column[at] = 3 if column[at] == inf else column[at] + 1
    if name == "reduces":
        column = np.minimum(column, several.count)
    assert_loops_agree(replace(several, **{name: column}))


def test_eight_rails_fold_into_one() -> None:
    """Eight trees on eight rails of whole nodes are one tree; the loop works out an eighth."""
    program = build("nvlink3", 64, "tree", wide=True)
    few = folded(program)
    assert len(few.message) <= program.rows / 8
    assert (np.bincount(few.class_of) >= 8).all()
    times, simulated, jumped = event_loop(program, jump=True)
    assert (simulated + jumped) * 8 <= program.transfers
    assert_same(event_loop(program, jump=False)[0], times)


def test_the_weight_is_how_many_share() -> None:
    """Four rows on a link of their own each, all over a link of 6: one row that counts for four there, and for one at home.

    Two of 12 bytes more on the common link are another kind: 6/6 each while all send.
    """
    program = by_hand([2, 2, 2, 2, 6], [[0, 4], [1, 4], [2, 4], [3, 4], [4], [4]], [5] * 4 + [12] * 2)
    few = folded(program)
    assert few.class_of.tolist() == [few.class_of[0]] * 4 + [few.class_of[4]] * 2
    assert len(few.message) == 2
    assert sorted(few.weight.tolist()) == [2, 4]
    times = event_loop(program, jump=True)[0]
    # At 1 each the four are through at 5, when the two have 7 to go at 3 each.
    assert times.left.tolist() == pytest.approx([5] * 4 + [5 + 7 / 3] * 2)


def test_what_is_different_does_not_fold() -> None:
    program = by_hand([10, 6, 7], [[0, 1], [0, 2], [0]], [1, 2, 3])
    few = folded(program)
    assert few.class_of.tolist() == [0, 1, 2]
    assert (few.weight == 1).all()
    assert few.message.tolist() == [1, 2, 3]
    # Eight equal rows with eight kinds of input do not fold either.
    sources = by_hand([8, *[1] * 8], [[0]] * 8 + [[i] for i in range(1, 9)], [1] * 16, deps=[[(8 + i, 0)] for i in range(8)]
                      + [[]] * 8, latency=[0.0] * 8 + [float(i) for i in range(8)])  # fmt: skip
    assert len(folded(sources).message) == 16


@pytest.mark.parametrize("lags", [(1, 2), (-1, 1), (0, 3)])
def test_kinds_that_differ_in_a_lag_alone_fold_each_for_itself(lags: tuple[int, int]) -> None:
    """Two pairs, a feeder and a row that waits for it, on a link each; only the lag tells one from the other."""
    deps = [[], [(0, lags[0])], [], [(2, lags[1])]]
    program = by_hand([10, 10], [[0], [0], [1], [1]], [1] * 4, count=[6] * 4, deps=deps)
    few = folded(copies(program, 4))
    assert len(few.message) == 4
    assert few.class_of.reshape(4, 4).T.tolist() == [[c] * 4 for c in few.class_of[:4]]


def test_colours_that_collide_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one colour for everybody at the start, rows that differ in their bytes alone look the same."""
    program = copies(by_hand([10], [[0], [0]], [1, 2]), 4)
    assert len(folded(program).message) == 2
    monkeypatch.setattr(fold, "_scramble", lambda *columns: np.ones(len(columns[0]), np.uint64))
    few = folded(program)
    assert few.class_of.tolist() == list(range(8))
    assert_loops_agree(program)


def test_nothing_is_folded_where_everything_is_to_be_worked_out() -> None:
    program = build("nvlink3", 16, "tree", wide=True)
    _, simulated, jumped = event_loop(program, jump=False)
    assert (simulated, jumped) == (program.transfers, 0)


# -- the order of a sweep ----------------------------------------------------------------------------------------


def ring(
    duration: list[float],
    latency: list[float],
    slices: int,
    *,
    work: float = 0.0,
    overhead: float = 0.0,
    times: int = 1,
) -> Program:
    """A ring of hops of these durations and latencies, `times` all-reduces long."""
    p = len(duration)
    phase = (p - 1) * slices * times
    return by_hand(
        [1 / d for d in duration], [[i] for i in range(p)], [1.0] * p, count=[2 * phase] * p, reduces=[phase] * p,
        deps=[[((i - 1) % p, slices)] for i in range(p)], latency=latency, work=[work] * p, overhead=[overhead] * p,
    )  # fmt: skip


def test_a_ring_is_swept_in_row_order_and_remembers_its_lag() -> None:
    found = planned(ring([1.0] * 5, [1.0] * 5, 3))
    assert found is not None
    plan, history = found
    assert plan.offset.tolist() == [0] * 5
    assert plan.order.tolist() == [0, 1, 2, 3, 4]
    assert plan.marks.tolist() == [3, 24], "the first inputs, the end; no work, so no turn from REDUCE to COPY"
    assert history == 4
    turning = planned(ring([1.0] * 5, [1.0] * 5, 3, work=1.0))
    assert turning is not None
    assert turning[0].marks.tolist() == [3, 12, 24]


def test_a_chain_goes_through_within_a_round() -> None:
    """Row 2 feeds row 0 feeds row 1, without lag."""
    found = planned(by_hand([1] * 3, [[0], [1], [2]], [1] * 3, count=[4] * 3, deps=[[(2, 0)], [(0, 0)], []]))
    assert found is not None
    plan, history = found
    assert plan.order.tolist() == [2, 0, 1]
    assert plan.offset.tolist() == [0, 0, 0]
    assert history == 1


def test_rows_that_wait_for_all_of_another_begin_after_its_last_round() -> None:
    barrier = planned(by_hand([1] * 2, [[0], [1]], [1] * 2, count=[5, 5], deps=[[], [(0, -4)]]))
    turns = planned(by_hand([1], [[0], [0]], [1] * 2, count=[5, 5], after=[-1, 0]))
    assert barrier is not None
    assert turns is not None
    assert barrier[0].offset.tolist() == turns[0].offset.tolist() == [0, 4]


def test_a_circle_has_no_order() -> None:
    assert planned(by_hand([1] * 2, [[0], [1]], [1] * 2, deps=[[(1, 0)], [(0, 0)]])) is None
    assert planned(by_hand([1] * 2, [[0], [1]], [1] * 2, count=[9, 9], deps=[[(1, -1)], [(0, 0)]])) is None
    assert planned(by_hand([1], [[0]], [1], deps=[[(0, 0)]])) is None


def test_a_program_that_no_order_of_rounds_fits_still_runs() -> None:
    """Row 0 waits three ahead, row 1 two back: no constant distance will do, but two firings of row 1 are enough."""
    program = by_hand([1] * 2, [[0], [1]], [1] * 2, count=[6, 2], deps=[[(1, -3)], [(0, 2)]])
    assert planned(program) is None
    expected = run(program, "reference")
    for jump in (True, False):
        assert_same(expected, run(program, jump=jump))


@given(random_programs(most_firings=12))
@thorough(400)
def test_whatever_a_firing_waits_for_has_been_and_is_remembered(program: Program) -> None:
    found = planned(program)
    if found is None:
        return
    plan, history = found
    assert sorted(plan.order.tolist()) == list(range(program.rows))
    place = np.argsort(plan.order)
    assert plan.marks.tolist() == sorted(set(plan.marks.tolist()))
    assert plan.marks[-1] == (plan.offset + program.count).max()
    for v in range(program.rows):
        before = int(program.after[v])
        if before >= 0:  # only when it had left, which is kept
            assert (plan.offset[before] + program.count[before] - 1, place[before]) < (plan.offset[v], place[v])
        for u, lag in inputs(program)[v]:
            for q in range(max(lag, 0), program.count[v]):
                now, then = plan.offset[v] + q, plan.offset[u] + min(q - lag, program.count[u] - 1)
                assert (then, place[u]) < (now, place[v])
                assert now - then < history or q - lag >= program.count[u]


def test_a_sweep_that_would_remember_too_much_is_left_to_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    program = ring([1.0, 2.0, 3.0], [0.5] * 3, 2)
    before = run(program)
    monkeypatch.setattr(sweep, "LONGEST_MEMORY", 8)
    assert planned(program) is None
    assert_same(before, run(program))


# -- rounds that are jumped --------------------------------------------------------------------------------------

#: Of seconds: what rings are made of, from next to nothing to far more than everything else.
SECONDS = st.one_of(
    st.sampled_from([0.0, 1.0, 1.0, 2.0, 0.1, 1 / 3, 100.0]),
    st.floats(0, 10, allow_subnormal=False),
    st.integers(0, 9).map(lambda k: 1 + k * 1e-12),
    st.integers(0, 9).map(lambda k: 1 + k * 1e-7),
)


@st.composite
def rings(draw: st.DrawFn, most: int = 40) -> Program:
    """Rings whose hops differ: all of them, or one or two out of a kind."""
    p = draw(st.integers(2, most))
    duration, latency = ([draw(SECONDS) + small] * p for small in (1e-3, 0.0))
    for column, small in ((duration, 1e-3), (latency, 0.0)):
        if draw(st.booleans()):
            column[:] = [seconds + small for seconds in draw(st.lists(SECONDS, min_size=p, max_size=p))]
        else:
            for _ in range(draw(st.integers(0, 2))):
                column[draw(st.integers(0, p - 1))] = draw(SECONDS) + small
    work, overhead = (draw(st.one_of(st.just(0.0), SECONDS)) for _ in range(2))
    slices, times = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 7]))
    return ring(duration, latency, slices, work=work, overhead=overhead, times=times)


@given(rings())
@thorough(600)
def test_rings_jumped_or_not(program: Program) -> None:
    plain, jumped = run(program, jump=False), run(program)
    assert_same(plain, jumped)
    assert plain.simulated == program.transfers == jumped.simulated + jumped.jumped


@given(rings(most=6))
@thorough(150)
def test_small_rings_are_what_the_reference_says(program: Program) -> None:
    assert_same(run(program, "reference"), run(program))


@given(rings(most=12))
@thorough(150)
def test_rings_on_the_event_loop(program: Program) -> None:
    assert_same(run(program, jump=False), event_loop(program, jump=True)[0])


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_short_messages_on_hops_that_differ_are_a_delay_line(slices: int) -> None:
    """Latencies that no number divides and next to nothing to send: only the second law can jump here.

    In a plain delay line firing (p−1)·slices of a row arrives after the latencies of p − 1 hops, and the whole after
    2(p−1) of them, whichever 2(p−1) hops in a row are the slowest.
    """
    p = 40
    latency = [1 + np.sqrt(i) for i in range(p)]
    duration = 1e-4
    program = ring([duration] * p, latency, slices)
    found = run(program)
    assert_same(run(program, jump=False), found)
    assert found.simulated < program.transfers / 8
    slowest = max(sum((2 * latency)[(start + i) % p] for i in range(2 * (p - 1))) for start in range(p))
    assert found.time == pytest.approx(slowest + 2 * (p - 1) * duration + (slices - 1) * duration, rel=AGREE)


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_long_messages_repeat_round_by_round(slices: int) -> None:
    """A slow hop sets the pace of everybody: the first law jumps."""
    p = 30
    program = ring([1.0] * 11 + [5.0] + [1.0] * 18, [0.1 + i / 100 for i in range(p)], slices, times=20)
    found = run(program)
    assert_same(run(program, jump=False), found)
    assert found.simulated < program.transfers / 8


def test_a_gap_that_is_too_small_is_no_delay_line() -> None:
    """Row 0 sends two slices in a burst; row 1 is slower than they come, so it waits for itself every other time."""
    program = ring([0.5, 3.0, 0.5, 0.5], [10.0, 11.0, 12.0, 13.0], 2, times=30)
    assert_same(run(program, jump=False), run(program))
    assert_same(run(program, "reference"), run(program))


# -- pauses, and memory that turns out too small --------------------------------------------------------------------


def watched(program: Program, *, jump: bool) -> tuple[Trace, list[int]]:
    seen: list[int] = []
    return compiled.simulate(program, jump=jump, progress=seen.append), seen


@pytest.mark.parametrize("shared", [False, True])
def test_a_run_may_stop_to_report_and_goes_on_as_if_it_had_not(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    program = ring([1.0, 2.0, 1.5, 1.0, 1.0], [0.1, 0.3, 0.2, 0.5, 1.0], 2, work=0.25, times=10)
    if shared:
        program = copies(program, 2, 1.5)
    assert bool(tight(program)) == shared
    before, silent = watched(program, jump=False)
    assert silent == []
    monkeypatch.setattr(compiled, "PAUSE", 50)
    monkeypatch.setattr(fluid, "PAUSE", 50)
    after, seen = watched(program, jump=False)
    assert np.array_equal(before.finish, after.finish)
    assert np.array_equal(before.left, after.left)
    assert np.array_equal(before.start, after.start)
    assert after.simulated == before.simulated == program.transfers
    assert program.transfers / 100 < len(seen) <= program.transfers / 50
    assert all(a < b for a, b in pairwise(seen))
    assert seen[-1] <= program.transfers
    jumped, _ = watched(program, jump=True)
    assert_same(before, jumped)


@given(random_programs(most_firings=30))
@thorough(300)
def test_room_for_one_delivery_is_room_enough_to_begin_with(program: Program) -> None:
    try:
        expected = event_loop(program, jump=False)[0]
    except ProgramError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fluid, "UNDER_WAY", 1)
        for jump in (True, False):
            assert_same(expected, event_loop(program, jump=jump)[0])


# -- compiling and caching -----------------------------------------------------------------------------------------


def three(x: int) -> int:
    return x + 3


def test_compiled_is_what_has_run_here_or_lies_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(ring([1.0] * 3, [1.0] * 3, 1))
    assert kernel.is_compiled(sweep.run)
    monkeypatch.setattr(kernel, "_FOLDER", str(tmp_path))
    first = kernel.kernel(three)
    assert not kernel.is_compiled(first)
    assert first(4) == 7
    assert kernel.is_compiled(first)
    second = kernel.kernel(three)
    assert second.signatures == []
    assert kernel.is_compiled(second), "in the cache"
    monkeypatch.setattr(kernel, "_FOLDER", None)
    third = kernel.kernel(three)
    assert not kernel.is_compiled(third)
    assert third(4) == 7
    assert kernel.is_compiled(third)
    assert not kernel.is_compiled(kernel.kernel(three))


def test_numba_s_own_cache_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_FOLDER", str(tmp_path))
    before = kernel.config.CACHE_DIR
    kernel.kernel(three)
    assert before == kernel.config.CACHE_DIR


def test_each_state_of_the_sources_has_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel.config, "CACHE_DIR", str(tmp_path))
    folder = kernel._cache_folder()
    assert folder == kernel._cache_folder()
    assert folder is not None
    assert Path(folder).parent == tmp_path
    for name in ("kernel.py", "sweep.py"):
        (tmp_path / name).write_bytes((Path(kernel.__file__).parent / name).read_bytes())
    monkeypatch.setattr(kernel, "__file__", str(tmp_path / "kernel.py"))
    two = kernel._cache_folder()
    (tmp_path / "sweep.py").write_text("# changed\n")
    assert len({folder, two, kernel._cache_folder()}) == 3


@pytest.mark.parametrize("place", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME"])
def test_a_cache_that_cannot_be_made_is_done_without(place: str, tmp_path: Path) -> None:
    """Below a regular file nobody can make a folder, not even root. Then every process compiles for itself."""
    (tmp_path / "file").touch()
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {place: str(tmp_path / "file" / "cache"), "HOME": str(tmp_path / "file")}
    look = "from ringsim.engines.compiled import kernel; print(kernel._FOLDER)"
    if place == "NUMBA_CACHE_DIR":
        look += "\nimport ringsim; print(ringsim.run('nvlink3', 2, size=8, algorithm='ring').time_us > 0)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", look], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["None", "True"][: 2 if place == "NUMBA_CACHE_DIR" else 1]


def test_compiling_is_announced_once_and_only_where_it_takes_place(monkeypatch: pytest.MonkeyPatch) -> None:
    program = ring([1.0] * 3, [1.0] * 3, 1)
    run(program)
    said: list[str] = []
    run(program, notice=said.append)
    assert said == []
    monkeypatch.setattr(compiled, "is_compiled", lambda _: False)
    run(program, notice=said.append)
    assert len(said) == 1
    assert said[0].startswith("compiling the engine")
