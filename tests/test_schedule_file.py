"""Schedules survive a file, and whoever typed one in is told the row and the key of what is wrong."""

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringsim import fabric, topology
from ringsim.collectives import COLLECTIVES, CollectiveError, sketch
from ringsim.schedule import EVERYONE, Schedule
from ringsim.schedule_file import ROW_KEYS, USUAL, ScheduleFileError, load_schedule, save
from ringsim.values import prove

DOCS = Path(__file__).parents[1] / "docs/schedule.md"


def same(one: Schedule, other: Schedule) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Schedule))


@pytest.mark.parametrize(("collective", "algorithm"), [(c, a) for c, some in COLLECTIVES.items() for a in some])
def test_every_schedule_survives(collective: str, algorithm: str, tmp_path: Path) -> None:
    cards = topology.build(fabric.load("hccs"), 11)
    try:
        schedule = COLLECTIVES[collective][algorithm].build(cards, 1, 2)
    except CollectiveError:
        pytest.skip("not over this cluster")
    save(schedule, tmp_path / "s.json")
    assert same(load_schedule(tmp_path / "s.json"), schedule)


@given(st.data())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_every_owner_of_units_survives(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    cards = topology.build(fabric.load("hccs"), 3)
    schedule = COLLECTIVES["all-reduce"]["ring"].build(cards, 1, 3)
    who = st.lists(st.integers(EVERYONE, 2), min_size=schedule.units, max_size=schedule.units)
    schedule = replace(schedule, begins=np.array(data.draw(who)), ends=np.array(data.draw(who)))
    path = tmp_path_factory.mktemp("s") / "s.json"
    save(schedule, path)
    assert same(load_schedule(path), schedule)


def test_the_usual_is_what_algorithms_leave_out() -> None:
    assert USUAL == sketch._USUAL


def test_a_row_is_a_line_and_says_only_what_is_unusual(tmp_path: Path) -> None:
    cards = topology.build(fabric.load("hccs"), 4)
    save(COLLECTIVES["all-reduce"]["two-shot"].build(cards, 1, 1), tmp_path / "s.json")
    lines = (tmp_path / "s.json").read_text("utf-8").splitlines()
    assert '    {"source": 0, "target": 1, "reduces": 1, "first": 1, "modulus": 4},' in lines
    assert '  "begins": "everyone",' in lines
    assert max(map(len, lines)) < 120


# -- the page --------------------------------------------------------------------------------------------


def example() -> dict[str, Any]:
    found = re.search(r"```json\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    assert found
    return json.loads(found[1])


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_the_example_on_the_page_is_right(tmp_path: Path) -> None:
    schedule = load_schedule(written(tmp_path / "star.json", example()))
    assert (schedule.ranks, schedule.rows, schedule.transfers) == (3, 4, 8)
    prove(schedule)


def test_the_page_names_every_key() -> None:
    text = DOCS.read_text("utf-8")
    for key in ("schema", "ranks", "units", "parts", "channels", "begins", "ends", "rows", *ROW_KEYS):
        assert f"`{key}`" in text


# -- what is refused ---------------------------------------------------------------------------------------


def head(**keys: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: document | keys


def row(**keys: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Change row 2."""
    return lambda d: d | {"rows": [r | keys if i == 2 else r for i, r in enumerate(d["rows"])]}


BAD: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a list": (lambda d: [d], "holds [{...}]; write an object with schema, ranks"),
    "unknown key": (head(rank=3), "there is no key 'rank'; did you mean 'ranks'?"),
    "schema of the future": (head(schema=2), "schema = 2: write 1, the only one there is"),
    "no schema": (lambda d: {k: v for k, v in d.items() if k != "schema"}, "schema = (missing): write 1"),
    "no ranks": (lambda d: {k: v for k, v in d.items() if k != "ranks"}, "ranks = (missing): write a whole number, at"),
    "ranks 0": (head(ranks=0), "ranks = 0: write a whole number, at least 1"),
    "ranks true": (head(ranks=True), "ranks = true: write a whole number, at least 1"),
    "ranks 2.0": (head(ranks=2.0), "ranks = 2.0: write a whole number"),
    "units beyond all reason": (head(units=10**9), "units = 1000000000: at most 100,000,000"),
    "ranks beyond all reason": (head(ranks=10**8), "ranks = 100000000: at most 20,000,000"),
    "units beyond 64 bits": (head(units=10**30), "write a whole number, at least 1"),
    "parts of more than all": (head(parts=3), "parts must be within 1..units"),
    "begins nobody": (
        head(begins="nobody"),
        'begins = nobody: write "everyone", a rank, or [[rank, units], ...] for 2',
    ),
    "ends at no rank": (head(ends=3), "ends must hold a rank, or -1 for every rank, for each of 2 units"),
    "ends too short": (head(ends=[[0, 1]]), "ends = [[0, 1]]: write"),
    "ends too long": (head(ends=[[0, 1], [1, 2]]), "for 2 units in all"),
    "ends in a run of nothing": (head(ends=[[0, 0], [1, 2]]), "ends = 0: write a whole number, at least 1"),
    "ends no runs": (head(ends=[0, 1]), "ends = [0, 1]: write"),
    "no rows": (lambda d: {k: v for k, v in d.items() if k != "rows"}, "rows = (missing): write a list of objects"),
    "rows an object": (head(rows={}), "rows = {...}: write a list of objects"),
    "a row a list": (head(rows=[[0, 1]]), 'row 0: row = [0, 1]: write an object such as {"source": 0, "target": 1}'),
    "misspelt column": (row(counts=3), "row 2: there is no key 'counts'; did you mean 'count'?"),
    "no source": (head(rows=[{"target": 1}]), "row 0: source = (missing): write a whole number"),
    "count 0": (row(count=0), "row 2: count is below 1"),
    "count a word": (row(count="two"), "row 2: count = two: write a whole number"),
    "count beyond": (row(count=2**31), "row 2: count = 2147483648: write a whole number"),
    "span 0": (row(span=0), "row 2: span is not within 1..modulus"),
    "units past the vector": (row(base=1), "row 2: units run past the vector"),
    "parked 1": (row(parked=1), "row 2: parked = 1: write true or false"),
    "a join that parks": (row(target=0, parked=True), "row 2: a join has nothing to park"),
    "waits one number": (row(waits=[3]), "row 2: waits = [3]: write [[row, lag], ...] with rows from 0 to 3"),
    "waits an object": (row(waits={}), "row 2: waits = {...}: write [[row, lag], ...]"),
    "waits for no row": (row(waits=[[4, 0]]), "row 2: waits = [[4, 0]]: write [[row, lag], ...] with rows from 0 to 3"),
    "waits for row -1": (row(waits=[[-1, 0]]), "row 2: waits = [[-1, 0]]: write"),
    "waits with half a lag": (row(waits=[[0, 0.5]]), "row 2: waits = 0.5: write a whole number"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_with_file_row_and_key(name: str, tmp_path: Path) -> None:
    change, right = BAD[name]
    path = written(tmp_path / "s.json", change(example()))
    with pytest.raises(ScheduleFileError) as error:
        load_schedule(path)
    assert str(error.value).startswith(f"{path}: ")
    assert right in str(error.value)


@pytest.mark.parametrize(
    ("content", "right"),
    [
        (b"", "line 1, column 1: Expecting value; repair the JSON there"),
        (b'{"schema": 1,\n "ranks": }', "line 2, column 11: "),
        (b"\xff\xfe", "byte 0 is not UTF-8; save the file as UTF-8"),
        (b'{"ranks": 1, "ranks": 2}', "'ranks' stands twice in one object"),
        (b"[" * 100_000, "too many brackets inside each other"),
        (b'{"ranks": NaN}', "schema = (missing)"),
        (b'{"schema": 1, "ranks": ' + b"1" * 5000 + b"}", "s.json: "),
    ],
)
def test_what_is_no_json(content: bytes, right: str, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(content)
    with pytest.raises(ScheduleFileError) as error:
        load_schedule(path)
    assert right in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no.json", "a\0b"):
        with pytest.raises(ScheduleFileError, match="name an existing JSON file"):
            load_schedule(path)
