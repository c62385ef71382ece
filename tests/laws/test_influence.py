"""Law: worked out pool by pool, each as far ahead as what it was given allows, a program has the times of one queue.

Rows that share links are a pool, and pools act on each other only by delivering. The engine divides large programs that
way; here it is made to divide small ones, built so that a pool that runs too far, too late or in a wrong order shows.
"""

from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laws.programs import build, by_hand, random_programs
from laws.test_engines_agree import assert_engines_agree, assert_same
from ringsim.engines import compiled, run
from ringsim.engines.compiled import contention, fluid, pools
from ringsim.engines.compiled.fold import unfolded
from ringsim.engines.compiled.kernel import rows_of
from ringsim.engines.compiled.tournament import first, length, schedule, settle
from ringsim.program import Program, ProgramError


def thorough(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=["some without a queue", "all with a queue"], autouse=True)
def divided(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide every program that shares anything; with and without the short way for the smallest pools."""
    monkeypatch.setattr(fluid, "FEW", 0)
    monkeypatch.setattr(fluid, "LEAST", 0)
    if request.param == "all with a queue":
        monkeypatch.setattr(pools, "FEW", 0)


def pools_of(program: Program) -> list[int]:
    """Number of the pool of each row."""
    shared = contention.find(program)
    found: list[int] = pools.divide(unfolded(rows_of(program, shared), shared, program.bytes)).tolist()
    return found


@st.composite
def pools_in_a_web(draw: st.DrawFn, most_firings: int = 12) -> Program:
    """Several cores of rows that share links, chains between them over lanes of their own or in pairs, also in circles.

    Every row has its firings of one number, as in trees, so that all of it is a pipeline; lags keep circles alive.
    """
    count = draw(st.integers(1, most_firings))
    bandwidth: list[float] = []
    routes: list[list[int]] = []
    deps: list[list[tuple[int, int]]] = []
    some = st.sampled_from([1.0, 2.0, 3.0, 5.0, 10.0])

    def link() -> int:
        bandwidth.append(draw(some))
        return len(bandwidth) - 1

    def row(way: list[int], inputs: list[tuple[int, int]]) -> int:
        routes.append(way)
        deps.append(inputs)
        return len(routes) - 1

    ends: list[int] = []  # rows whose deliveries the next core and its chains read
    for _ in range(draw(st.integers(1, 3))):
        ways = [link() for _ in range(draw(st.integers(1, 3)))]
        core = []
        for _ in range(draw(st.integers(2, 4))):
            read = draw(st.lists(st.sampled_from(ends), max_size=2, unique=True)) if ends else []
            way = draw(st.lists(st.sampled_from(ways), min_size=1, max_size=2, unique=True))
            core.append(row(way, [(u, draw(st.integers(0, 2))) for u in read]))
        lanes = [link() for _ in range(draw(st.integers(1, 3)))]
        ends = list(core)
        # Chains: each goes over the lanes one after the other, in the same direction or against it, fed or not.
        for _ in range(draw(st.integers(1, 3))):
            fed = draw(st.sampled_from([[(u, 0)] for u in core] + [[]]))
            for lane in lanes if draw(st.booleans()) else lanes[::-1]:
                fed = [(row([lane], fed), draw(st.integers(0, 1)))]
            ends.append(fed[0][0])
            if draw(st.booleans()):  # and back into the core, a few firings later
                deps[draw(st.sampled_from(core))].append((fed[0][0], draw(st.integers(1, 4))))
    rows = len(routes)

    def seconds(*choice: float) -> list[float]:
        return [draw(st.sampled_from(choice)) for _ in range(rows)]

    return by_hand(
        bandwidth, routes, seconds(0.5, 1.0, 1.0, 2.0, 3.7), count=[count] * rows, deps=deps,
        reduces=[draw(st.integers(0, count)) for _ in range(rows)], latency=seconds(0.0, 0.1, 1.0, 20.0),
        work=seconds(0.0, 0.0, 0.35), overhead=seconds(0.0, 0.0, 0.2), cap=seconds(inf, inf, 0.7, 2.0),
    )  # fmt: skip


@given(pools_in_a_web())
@thorough(150)
def test_a_web_of_pools(program: Program) -> None:
    assert_engines_agree(program, edge=True)


@given(pools_in_a_web(most_firings=60))
@thorough(50)
def test_a_web_of_pools_that_runs_for_long(program: Program) -> None:
    assert_engines_agree(program, edge=True)


@given(random_programs())
@thorough(400)
def test_random_programs(program: Program) -> None:
    assert_engines_agree(program, edge=True)


def test_most_webs_have_several_pools_and_circles_between_them() -> None:
    """So that the laws above are about something."""
    several, circles = [], []

    @given(pools_in_a_web())
    @thorough(100)
    def look(program: Program) -> None:
        pool = pools_of(program)
        reads = {
            (pool[program.dep_row[d]], pool[v])
            for v in range(program.rows)
            for d in range(program.dep_offsets[v], program.dep_offsets[v + 1])
        }
        several.append(len(set(pool)) > 2)
        circles.append(any((b, a) in reads for a, b in reads if a != b))

    look()
    assert sum(several) > 70
    assert sum(circles) > 10


@pytest.mark.parametrize("name", ["hccs", "nvlink3", "nvlink5"])
def test_trees(name: str) -> None:
    assert_engines_agree(build(name, 16, "tree", wide=True))


def test_pools_are_rows_that_share_links() -> None:
    """Rows 0, 1 and 3 hang together by links 0 and 1; row 2 has a link of its own; rows 4 and 5 are one connection."""
    program = by_hand([1, 1, 1, 1], [[0], [0, 1], [2], [1], [3], [3]], [1] * 6, after=[-1, -1, -1, -1, -1, 4])
    assert pools_of(program) == [0, 0, 1, 0, 2, 2]


# -- worked out by hand ------------------------------------------------------------------------------------------------


def test_a_chain_reads_what_a_core_delivered() -> None:
    """Rows 0 and 1 share a link of 2: a byte each a second; row 2 sends on what row 0 delivers, 3 s later, in 0.5 s.

    Row 2 shares its lane of 2 with row 3, which starts at 4 and has 4 bytes: from then on both have 1 byte a second. Its
    firings, ready at 4, 5 and 6, leave at 5, 6 and 7; row 3 has sent 3 bytes by then, and the last in half a second.
    """
    program = by_hand([2, 2], [[0], [0], [1], [1]], [1, 1, 1, 4], count=[3, 3, 3, 1], deps=[[], [], [(0, 0)], []],
                      latency=[3, 0, 0, 0], overhead=[0, 0, 0, 4])  # fmt: skip
    trace = run(program)
    assert trace.left.tolist() == pytest.approx([3, 3, 7, 7.5])
    assert trace.start.tolist() == pytest.approx([0, 0, 4, 4])


def test_who_comes_back_into_the_core_slows_it_down() -> None:
    """Row 0 shares a link of 2 with row 1, which waits for row 0's second firing to come back through row 2.

    Alone row 0 sends a firing of 2 bytes in a second: they leave at 1 and 2. Row 2 takes a second for each and delivers the
    second at 3.5 (at 3, and half a second on its way). From then on rows 0 and 1 have a byte a second each: row 0's fourth
    firing, half sent at 3.5, leaves at 4.5, its fifth at 6.5 with row 1's only one, which has 3 bytes.
    """
    program = by_hand([2, 1], [[0], [0], [1]], [2, 3, 1], count=[5, 1, 5], deps=[[], [(2, -1)], [(0, 0)]],
                      latency=[0, 0, 0.5])  # fmt: skip
    trace = run(program)
    assert trace.start.tolist() == pytest.approx([0, 3.5, 1])
    assert trace.left.tolist() == pytest.approx([6.5, 6.5, 7.5])


def test_a_row_that_may_begin_stands_behind_one_that_may_not_yet() -> None:
    """Rows 0 and 1 share a link; 0 waits for row 2, which comes late, and 1 for row 3, which has come.

    Row 2 waits for row 1. Nothing happens unless row 1 is found behind row 0.
    """
    program = by_hand([2, 1, 1], [[0], [0], [1], [2]], [1, 1, 1, 1], deps=[[(2, 0)], [(3, 0)], [(1, 0)], []])
    trace = run(program)
    assert trace.left.tolist() == pytest.approx([3, 1.5, 2.5, 1])


@pytest.mark.parametrize("rows", [3, 40])
def test_many_rows_on_one_connection_without_a_shared_link(rows: int) -> None:
    """They take turns on a lane of their own, each when what it waits for has come from a core."""
    routes = [[0], [0], *[[1]] * rows]
    deps = [[], [], *[[(0, 1 - 1 - i)] for i in range(rows)]]
    after = [-1, -1, -1, *range(2, rows + 1)]
    program = by_hand([2, 4], routes, [1] * (rows + 2), count=[rows, rows, *[1] * rows], deps=deps, after=after)
    assert pools_of(program)[2:] == [1] * rows
    trace = run(program)
    assert trace.left[2:].tolist() == pytest.approx([1.25 + i for i in range(rows)])


def test_a_circle_through_several_pools_is_refused_and_a_row_named() -> None:
    """Rows 0 and 2 wait for each other over links of their own; rows 1 and 3 are through."""
    program = by_hand([1, 1], [[0], [0], [1], [1]], [1] * 4, count=[2, 3, 2, 3], deps=[[(2, 0)], [], [(0, 0)], []],
                      latency=[0.1] * 4)  # fmt: skip
    assert len(set(pools_of(program))) == 2
    for jump in (True, False):
        with pytest.raises(ProgramError, match="row 0 waits for ever"):
            run(program, jump=jump)


def test_a_run_may_stop_to_report_and_goes_on_as_if_it_had_not(monkeypatch: pytest.MonkeyPatch) -> None:
    program = build("hccs", 64, "tree", wide=True)
    before = compiled.simulate(program, jump=False)
    seen: list[int] = []
    monkeypatch.setattr(fluid, "PAUSE", 50)
    after = compiled.simulate(program, jump=False, progress=seen.append)
    assert_same(before, after)
    assert after.simulated == program.transfers
    assert len(seen) > 10
    assert all(a < b for a, b in pairwise(seen))
    assert seen[-1] <= program.transfers


def test_few_rows_are_one_pool_and_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    program = by_hand([2, 4], [[0], [0], [1]], [1, 1, 1], count=[900, 900, 900], deps=[[], [], [(0, 0)]])
    assert run(program).jumped == 0
    monkeypatch.setattr(fluid, "FEW", 8192)
    assert run(program).jumped > 2000


# -- the queue ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 20), st.data())
@thorough(200)
def test_the_earliest_and_among_equals_the_lowest_row_wins(rows: int, data: st.DataObject) -> None:
    queue, keys = np.full(length(rows), inf), [inf] * rows
    moves = st.lists(st.tuples(st.integers(0, rows - 1), st.sampled_from([0.0, 1.0, 1.0, 2.5, inf])), max_size=30)
    for row, key in data.draw(moves):
        schedule.py_func(queue, row, key)  # type: ignore[attr-defined]
        keys[row] = key
        assert queue[1] == min(keys)
        assert first.py_func(queue) == int(np.argmin(keys))  # type: ignore[attr-defined]
    again = queue.copy()
    again[1 : length(rows) // 2] = -1
    settle.py_func(again)  # type: ignore[attr-defined]
    assert np.array_equal(again[1:], queue[1:])
