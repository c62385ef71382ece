"""A schedule is all that an algorithm says, so what it cannot mean is refused at the door, and the row is named."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringsim.schedule import COLUMNS, EVERYONE, Schedule, ScheduleError, dependencies


def schedule(
    rows: int = 3, *, ranks: int = 4, units: int = 12, parts: int | None = None, channels: int = 1, **columns: list[int]
) -> Schedule:
    """Rows 0 → 1, 1 → 2, … of four firings; `columns` say what is different."""
    every = np.arange(rows)
    usual = {
        "source": every % ranks, "target": (every + 1) % ranks, "channel": every * 0, "count": every * 0 + 4,
        "reduces": every * 0 + 2, "base": every * 0, "first": every, "stride": every * 0 - 1, "modulus": every * 0 + 3,
        "inner": every * 0 + 2, "span": every * 0 + 1, "pitch": every * 0 + 1, "parked": every < 0,
        "dep_offsets": np.zeros(rows + 1, int), "dep_row": every[:0], "dep_lag": every[:0],
        "begins": np.full(units, EVERYONE), "ends": np.full(units, EVERYONE),
    }  # fmt: skip
    given = {k: np.array(v, bool if k == "parked" else np.int64) for k, v in columns.items()}
    return Schedule(ranks=ranks, units=units, parts=parts or units, channels=channels, **usual | given)


def carried(found: Schedule, row: int, firings: int) -> list[int]:
    """Units of the first firings of a row, one after the other."""
    which, unit = found.carried(np.full(firings, row), np.arange(firings))
    assert which.tolist() == np.repeat(np.arange(firings), found.span[row]).tolist()
    return unit.tolist()


# -- what is refused ---------------------------------------------------------------------------------------


OFFSETS = "dependency offsets must rise from 0 to the number of dependencies"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"source": [0, -1, 2]}, "row 1: source is no rank"),
        ({"target": [-1, 2, 3]}, "row 0: target is no rank"),
        ({"channel": [0, 0, -1]}, "row 2: channel is below 0"),
        ({"span": [1, 0, 1]}, "row 1: span is not within 1..modulus"),
        ({"span": [3, 3, 4]}, "row 2: span is not within 1..modulus"),
        ({"target": [1, 1, 3], "parked": [1, 1, 0]}, "row 1: a join has nothing to park"),
        ({"begins": [4] * 12}, "begins must hold a rank, or -1 for every rank, for each of 12 units"),
        ({"ends": [-2] * 12}, "ends must hold a rank, or -1 for every rank, for each of 12 units"),
        ({"ends": [0] * 11}, "ends must hold a rank, or -1 for every rank, for each of 12 units"),
        ({"parts": 13}, "parts must be within 1..units, and channels at least 1"),
        ({"channels": 0}, "parts must be within 1..units, and channels at least 1"),
        ({"count": [4, 4, 0], "reduces": [0, 0, 0]}, "row 2: count is below 1"),
        ({"count": [4, -3, 0], "reduces": [0, 0, 0]}, "row 1: count is below 1"),
        ({"reduces": [0, -1, 4]}, "row 1: reduces is not within 0..count"),
        ({"reduces": [0, 4, 5]}, "row 2: reduces is not within 0..count"),
        ({"modulus": [3, 0, 3]}, "row 1: modulus and inner must be at least 1"),
        ({"inner": [2, 2, 0]}, "row 2: modulus and inner must be at least 1"),
        ({"inner": [2, 2, -1]}, "row 2: modulus and inner must be at least 1"),
        ({"base": [6, 7, 0]}, "row 1: units run past the vector"),
        ({"base": [-1, 0, 0]}, "row 0: units run past the vector"),
        ({"modulus": [6, 6, 7]}, "row 2: units run past the vector"),
        ({"dep_offsets": [0, 0, 0]}, "dependency columns do not fit together"),
        ({"dep_row": [0], "dep_offsets": [0, 0, 1, 1]}, "dependency columns do not fit together"),
        ({"dep_row": [0], "dep_lag": [0], "dep_offsets": [0, 0, 9, 9]}, OFFSETS),
        ({"dep_row": [0], "dep_lag": [0], "dep_offsets": [1, 1, 1, 1]}, OFFSETS),
        ({"dep_row": [0], "dep_lag": [0], "dep_offsets": [0, 1, 0, 1]}, OFFSETS),
        ({"dep_row": [3], "dep_lag": [0], "dep_offsets": [0, 0, 1, 1]}, "a dependency names a row that does not exist"),
        ({"dep_row": [-1], "dep_lag": [0], "dep_offsets": [0, 0, 1, 1]}, "a dependency names a row that does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_the_row_is_named(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ScheduleError) as error:
        schedule(**columns)
    assert str(error.value) == message


def test_the_limits_themselves_are_allowed() -> None:
    schedule(source=[0, 3, 2], target=[3, 0, 1], reduces=[0, 4, 1], base=[6, 6, 0], modulus=[3, 3, 6], inner=[2, 2, 2])
    schedule(1, units=1, modulus=[1], inner=[1], count=[1], reduces=[0])
    assert schedule(0).rows == schedule(0).transfers == 0


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_another_length_is_refused(name: str) -> None:
    with pytest.raises(ScheduleError) as error:
        replace(schedule(), **{name: np.zeros(2, np.int64)})
    # Every column is compared with `source`, and is the one that is named where it is another.
    assert str(error.value).endswith("has shape (2,), source has (3,)" if name != "source" else "source has (2,)")


def test_every_column_is_looked_at() -> None:
    """A new column has to be looked at too."""
    others = {"ranks", "units", "parts", "channels", "begins", "ends", "dep_offsets", "dep_row", "dep_lag"}
    assert {f.name for f in fields(Schedule)} == set(COLUMNS) | others


def test_blocks_that_are_never_reached_need_not_be_there() -> None:
    """Every second block of a vector: first 0, stride 2, modulus 6 stays below block 5."""
    found = schedule(1, units=5, first=[0], stride=[2], pitch=[2], modulus=[6], inner=[1])
    assert carried(found, 0, 4) == [0, 2, 4, 0]
    with pytest.raises(ScheduleError, match="run past the vector"):
        schedule(1, units=5, first=[1], stride=[2], pitch=[2], modulus=[6], inner=[1])


# -- what it says ---------------------------------------------------------------------------------------------


def test_rows_and_transfers() -> None:
    found = schedule(count=[4, 5, 6])
    assert found.rows == 3
    assert found.transfers == 15


def test_rows_of_one_connection_follow_each_other_in_row_order() -> None:
    """0 → 1 on channel 0 are rows 0, 2 and 5; on channel 1 rows 1 and 4; 1 → 0 is another connection."""
    found = schedule(6, source=[0, 0, 0, 1, 0, 0], target=[1, 1, 1, 0, 1, 1], channel=[0, 1, 0, 0, 1, 0], first=[0] * 6)
    assert found.after.tolist() == [-1, -1, 0, -1, 1, 2]


Connections = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12)


@given(Connections)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_after_is_the_latest_row_before_on_the_same_connection(rows: list[tuple[int, int, int]]) -> None:
    rows = [(a, b if b != a else 3, c) for a, b, c in rows]
    source, target, channel = (list(column) for column in zip(*rows, strict=True))
    found = schedule(len(rows), source=source, target=target, channel=channel)
    expected = [max((u for u in range(v) if rows[u] == rows[v]), default=-1) for v in range(len(rows))]
    assert found.after.tolist() == expected


def test_units_of_a_ring() -> None:
    """Three chunks of two slices, going down from chunk 1: 1, 0, 2 and round again."""
    found = schedule(1, first=[1], stride=[-1], modulus=[3], inner=[2], count=[8], base=[6])
    assert carried(found, 0, 8) == [8, 9, 6, 7, 10, 11, 8, 9]


@given(
    base=st.integers(0, 5), first=st.integers(-20, 20), stride=st.integers(-7, 7), modulus=st.integers(1, 9),
    inner=st.integers(1, 4), count=st.integers(1, 60), span=st.integers(1, 9), pitch=st.integers(-4, 4),
)  # fmt: skip
@settings(max_examples=200, deadline=None, derandomize=True)
def test_units_are_what_the_formula_says_and_stay_in_the_vector(
    base: int, first: int, stride: int, modulus: int, inner: int, count: int, span: int, pitch: int
) -> None:
    span = min(span, modulus)
    found = schedule(
        2, units=base + modulus * inner, base=[0, base], first=[0, first], stride=[1, stride], modulus=[1, modulus],
        inner=[1, inner], count=[1, count], reduces=[0, 0], span=[1, span], pitch=[0, pitch],
    )  # fmt: skip
    units = carried(found, 1, count)
    expected = [
        base + (first + stride * (q // inner) + pitch * i) % modulus * inner + q % inner
        for q in range(count)
        for i in range(span)
    ]
    assert units == expected
    assert all(0 <= unit < found.units for unit in units)


def test_joins_and_switches() -> None:
    """Source and target alike is a join, which is on no connection; ends beyond the ranks are switches."""
    found = schedule(4, ranks=3, source=[0, 1, 1, 7], target=[7, 1, 1, 2], first=[0] * 4)
    assert found.joins.tolist() == [False, True, True, False]
    assert found.after.tolist() == [-1] * 4
    assert found.places == 8
    assert schedule(2, ranks=5).places == 5


# -- dependencies -----------------------------------------------------------------------------------------------


def test_dependencies_are_sorted_by_the_row_that_waits_and_keep_their_order() -> None:
    offsets, row, lag = dependencies(
        4, np.array([2, 0, 2, 3, 2]), np.array([9, 8, 7, 6, 5]), np.array([1, 2, 3, 4, -5])
    )
    assert offsets.tolist() == [0, 1, 1, 4, 5]
    assert row.tolist() == [8, 9, 7, 5, 6]
    assert lag.tolist() == [2, 1, 3, -5, 4]


def test_no_dependencies() -> None:
    none = np.zeros(0, np.int64)
    offsets, row, lag = dependencies(3, none, none, none)
    assert offsets.tolist() == [0, 0, 0, 0]
    assert len(row) == len(lag) == 0


@given(st.integers(1, 8), st.data())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_dependencies_lose_and_invent_nothing(rows: int, data: st.DataObject) -> None:
    row, lag = st.integers(0, rows - 1), st.integers(-9, 9)
    triples = data.draw(st.lists(st.tuples(row, row, lag), max_size=20))
    waiting, on, lags = np.array(triples, np.int64).reshape(-1, 3).T
    offsets, dep_row, dep_lag = dependencies(rows, waiting, on, lags)
    assert (offsets.dtype, dep_row.dtype, dep_lag.dtype) == (np.int64,) * 3
    assert offsets[0] == 0
    assert offsets[-1] == len(triples)
    for v in range(rows):
        part = slice(offsets[v], offsets[v + 1])
        found = list(zip(dep_row[part].tolist(), dep_lag[part].tolist(), strict=True))
        assert found == [(u, one) for w, u, one in triples if w == v]
