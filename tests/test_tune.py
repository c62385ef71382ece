"""The tuner: nobody does better by hand, answers are kept and found again, and what it says about them is so."""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import ringsim
from ringsim.cli import main
from ringsim.collectives import ALGORITHMS, COLLECTIVES
from ringsim.fabric import available
from ringsim.question import Question, StudyError
from ringsim.race import Track
from ringsim.result import Result
from ringsim.study import answer, cluster
from ringsim.tune import store as storing
from ringsim.tune import table as tables
from ringsim.tune.reason import why
from ringsim.tune.search import GAIN, Tuned
from ringsim.tune.store import Store
from ringsim.tune.table import CLOSE, MOST_SIZES, Row, Table, sizes, tune
from ringsim.units import parse_size

SIZES = [2**16, 2**20, 2**26, 2**30]
NOWHERE = Store(None)

#: Two plans, or three, and a second's work in all.
SMALL = Question("nvlink3", 16)
STEPS = [2**10, 2**20, 2**30]

#: Where it does not matter what is found.
TINY, FEW = Question("hccs", 16), ("ring", "tree")


def time_us(question: Question, **changes: object) -> float:
    found = answer(replace(question, **changes)).best.time_us  # type: ignore[arg-type]
    assert found is not None
    return found


def by_hand(question: Question) -> dict[str, float]:
    """Microseconds that each algorithm takes alone, with its default parameters, those left out that do not fit."""
    found = {}
    for name in ("auto", *COLLECTIVES[question.collective]):
        try:
            found[name] = time_us(question, algorithm=name)
        except StudyError:
            assert name != "auto"
    return found


def us(result: Result) -> float:
    assert result.time_us is not None
    return result.time_us


def timeless(row: Row) -> Row:
    """A row without what differs from run to run: how long simulations took."""
    tried = tuple(replace(result, wall_s=0.0) for result in row.tuned.tried)
    return replace(row, tuned=Tuned(tried[0], tried, replace(row.tuned.naive, wall_s=0.0)))


@pytest.fixture(scope="module")
def small() -> Table:
    return tune(SMALL, STEPS)


@pytest.fixture(scope="module")
def mesh() -> Table:
    return tune(Question("hccs", 64), [2**16, 2**24, 2**30])


# -- nobody does better by hand ------------------------------------------------------------------------------


def assert_no_worse(question: Question, steps: list[int]) -> None:
    for row in tune(question, steps).rows:
        times = by_hand(replace(question, size=row.tuned.bytes))
        assert len(times) >= min(6, len(COLLECTIVES[question.collective]))
        assert us(row.tuned.best) <= min(times.values()), times
        assert row.tuned.best.bound_us <= us(row.tuned.best) * (1 + 1e-9)


@pytest.mark.parametrize(("fabric", "cards"), [*((fabric, 8) for fabric in available()), ("hccs", 64), ("nvlink3", 64)])
def test_no_algorithm_is_faster_by_hand(fabric: str, cards: int) -> None:
    assert_no_worse(Question(fabric, cards), SIZES)


@pytest.mark.parametrize("collective", [name for name in COLLECTIVES if name != "all-reduce"])
def test_nor_of_any_other_collective(collective: str) -> None:
    assert_no_worse(replace(SMALL, collective=collective), [2**16, 2**28])


@pytest.mark.parametrize("protocol", ["LL", "LL128", "^Simple"])
def test_nor_with_a_protocol_in_which_a_library_lacks_some(protocol: str) -> None:
    assert_no_worse(replace(SMALL, protocol=protocol), [2**14, 2**24])


def test_nor_where_ranks_are_shuffled() -> None:
    assert_no_worse(Question("hccs", 24, placement="shuffle:5"), [2**14, 2**24])


def scattered(cards: int) -> nx.Graph:
    """Servers of four on a switch each, one trunk between them, ranks dealt out in turn."""
    graph = nx.Graph()
    for card in range(cards):
        graph.add_node(card, kind="card", node=card // 4, rank=card // 4 + card % 4 * (cards // 4))
        graph.add_edge(card, f"s{card // 4}", bandwidth="50GB/s", latency="1us")
    for node in range(cards // 4):
        graph.add_node(f"s{node}", kind="switch")
        graph.add_edge(f"s{node}", "root", bandwidth="50GB/s", latency="1us")
    graph.add_node("root", kind="switch")
    return graph


def test_nor_on_a_graph() -> None:
    question = Question(None, None, graph=scattered(12))
    assert_no_worse(question, [2**12, 2**24])
    for row in tune(question, [2**12, 2**24]).rows:
        assert time_us(row.question) == row.tuned.best.time_us


@pytest.mark.parametrize(
    ("fabric", "cards", "size"), [("hccs", 64, "1M"), ("nvlink4", 8, "64M"), ("nvlink3", 64, "1M")]
)
def test_pieces_and_channels_are_searched(fabric: str, cards: int, size: str) -> None:
    question = Question(fabric, cards, parse_size(size))
    best = tune(question, [parse_size(size)]).rows[0].tuned.best
    assert us(best) < min(by_hand(question).values()) * (1 - GAIN)


@pytest.mark.parametrize("size", STEPS)
def test_no_plan_next_to_the_best_is_better(small: Table, size: int) -> None:
    (row,) = (row for row in small.rows if row.tuned.bytes == size)
    case, found = row.tuned.best.case, us(row.tuned.best)
    piece = COLLECTIVES[case.collective][case.algorithm].piece
    assert case.pieces > 1 or size == STEPS[0]
    for pieces in {2 * case.pieces, max(1, case.pieces // 2)}:
        if size / case.domain / pieces >= 4096:
            # Nothing is followed for less than GAIN, and of two that differ by less the simpler one is the plan.
            assert time_us(row.question, **{piece: pieces}) > found * (1 - 2 * GAIN)
    if case.channels > 1:
        assert time_us(row.question, rings=case.channels // 2) > found * (1 - 2 * GAIN)


@pytest.mark.parametrize(("cards", "times"), [(64, 2), (1024, 4)])
def test_shuffled_ranks_are_put_in_order_again(cards: int, times: int) -> None:
    # Everybody to everybody has a million rows on a thousand cards and could not win there.
    size, among = 2**24, tuple(name for name in ALGORITHMS if name not in ("one-shot", "two-shot"))
    (ordered,) = tune(Question("hccs", cards), [size], among=among).rows
    question = Question("hccs", cards, placement="shuffle:1")
    orders = tables.orders_of(question, Track(cluster(question)))
    assert len(orders) > 1  # or the next line takes an hour
    (row,) = tune(question, [size], among=among).rows
    assert us(row.tuned.best) <= us(ordered.tuned.best) * 1.02
    own = [r for r in row.tuned.tried if r.case.fingerprint == row.tuned.naive.case.fingerprint]
    assert row.tuned.naive in own
    assert {r.case.algorithm for r in own} >= {"ring", "tree", "nhr", "hierarchical-halving-doubling"}
    # What is not simulated takes at least as long as its busiest link. Some do not go by ranks at all.
    left = [r.time_us or r.floor_us for r in own if not ALGORITHMS[r.case.algorithm].looks]
    assert min(left) > times * us(row.tuned.best)
    assert time_us(row.question) == row.tuned.best.time_us


# -- what a row says -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("placement", "among"), [(None, ()), ("shuffle:2", ()), (None, ("tree",))])
def test_the_question_of_a_row_asks_for_its_plan(placement: str | None, among: tuple[str, ...]) -> None:
    table = tune(replace(SMALL, placement=placement), STEPS, among=among)
    for row in table.rows:
        found = answer(row.question)
        assert [r.time_us for r in found.candidates] == [row.tuned.best.time_us]
        assert found.best.case == row.tuned.best.case
        assert row.low <= row.tuned.bytes <= row.high
    # A tree has room for eight channels here, and a short vector goes over fewer.
    assert not among or {row.tuned.best.case.channels for row in table.rows} > {8}


def test_gain_and_bound(mesh: Table) -> None:
    for row in mesh.rows:
        best, naive = row.tuned.best, row.tuned.naive
        assert us(naive) == time_us(Question("hccs", 64, best.case.bytes, algorithm="ring", rings=1))
        assert row.tuned.gain == us(naive) / us(best) >= 1
        assert best.reached == best.bound_us / us(best)
        assert best.bound_us == answer(Question("hccs", 64, best.case.bytes)).best.bound_us


def test_what_was_tried(mesh: Table) -> None:
    for row in mesh.rows:
        tried = row.tuned.tried
        assert tried[0] is row.tuned.best
        assert {r.case.algorithm for r in tried} == set(ALGORITHMS) - {"in-switch"}
        assert len({r.case.id() for r in tried}) == len(tried)
        timed = [us(r) for r in tried if r.time_us is not None]
        assert timed[1:] == sorted(timed[1:])
        assert [r.time_us is None for r in tried] == [False] * len(timed) + [True] * (len(tried) - len(timed))
        assert us(row.tuned.best) <= min(timed) * (1 + GAIN)
        # Whatever was left out could not have won.
        assert min((r.floor_us for r in tried[len(timed) :]), default=np.inf) > min(timed)


def test_the_same_question_has_the_same_answer(small: Table) -> None:
    again = tune(SMALL, STEPS)
    assert [timeless(row) for row in again.rows] == [timeless(row) for row in small.rows]


def test_what_a_plan_decides_is_not_asked(small: Table) -> None:
    asked = replace(SMALL, size="3K", algorithm="tree", rings=2, slices=3, chunks=5)
    assert [timeless(row) for row in tune(asked, STEPS).rows] == [timeless(row) for row in small.rows]


# -- from which size to which --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "steps"),
    [
        (SMALL, STEPS),
        (replace(SMALL, dtype="double"), sizes(1001, 10**8, 100, "double")),
        (Question("hccs", 64), sizes(2**16, 2**30, 16, "float")),
        (Question("hccs", 16, placement="shuffle:1"), [2**12, 2**22, 2**29]),
    ],
)  # fmt: skip
def test_rows_meet_where_plans_are_equally_fast(question: Question, steps: list[int]) -> None:
    rows = tune(question, steps).rows
    assert [row.tuned.bytes for row in rows] == steps
    assert (rows[0].low, rows[-1].high) == (steps[0], steps[-1])
    changes = 0
    for small, large in pairwise(rows):
        assert small.high + 1 == large.low
        assert small.tuned.bytes < large.low <= large.tuned.bytes
        assert large.low % {"float": 4, "double": 8}[question.dtype] == 0
        if tables.way(small.tuned.best.case) == tables.way(large.tuned.best.case):
            assert large.low == large.tuned.bytes
            continue
        changes += 1
        # At the ends a plan may be the simpler of two that take nearly as long.
        at, below = large.low, max(small.tuned.bytes, round(large.low / CLOSE) // 8 * 8)
        slack = 1 + GAIN * (at == large.tuned.bytes)
        assert time_us(large.question, size=at) <= time_us(small.question, size=at) * slack
        slack = 1 + GAIN * (below == small.tuned.bytes)
        assert time_us(small.question, size=below) <= time_us(large.question, size=below) * slack
    assert changes


def test_sizes_are_those_of_nccl_tests() -> None:
    assert sizes(2**16, 2**20, 4, "float") == [2**16, 2**18, 2**20]
    assert sizes(2**16, 2**20 - 1, 4, "float") == [2**16, 2**18]
    assert sizes(8, 8, 2, "float") == [8]
    assert sizes(8, 9, 2, "float") == [8]


@pytest.mark.parametrize(("low", "high", "factor"), [(1, 1000, 1.1), (1000, 10**7, 3), (7, 10**12, 1.7), (3, 3**30, 3)])
@pytest.mark.parametrize(("dtype", "width"), [("int8", 1), ("half", 2), ("float", 4), ("double", 8)])
def test_sizes_are_whole_elements(low: int, high: int, factor: float, dtype: str, width: int) -> None:
    found = sizes(low, high, factor, dtype) if factor > 1.1 else sizes(low, high, 1.13, dtype)
    assert found == sorted(set(found))
    assert not any(size % width for size in found)
    assert width <= found[0] <= max(low, width)
    assert high / (factor * (1 + 0.03)) - width < found[-1] <= high
    step = factor if factor > 1.1 else 1.13
    for before, after in pairwise(found):
        assert after / step - width <= before + width
        assert before * step - width <= after + width * step


@pytest.mark.parametrize(
    ("low", "high", "factor", "words"),
    [
        (8, 4, 2, "begin = 8, end = 4"), (0, 4, 2, "begin = 0"), (-4, 4, 2, "begin = -4"),
        (8, 64, 1, "factor = 1: larger than 1"), (8, 64, 0.5, "factor = 0.5"), (8, 64, float("nan"), "factor = nan"),
        (8, 64, float("inf"), "factor = inf"), (8, 2**30, 1.01, rf"at most {MOST_SIZES}"),
    ],
)  # fmt: skip
def test_no_such_sizes(low: int, high: int, factor: float, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        sizes(low, high, factor, "float")


# -- a choice of algorithms ----------------------------------------------------------------------------------


def test_only_those_that_were_named() -> None:
    (row,) = tune(SMALL, [2**20], among=("tree", "nhr")).rows
    assert {r.case.algorithm for r in row.tuned.tried} == {"tree", "nhr"}
    assert row.tuned.naive.case.algorithm == "ring"
    hand = [time_us(SMALL, size=2**20, algorithm=name) for name in ("tree", "nhr")]
    assert us(row.tuned.best) <= min(hand)
    (turned,) = tune(SMALL, [2**20], among=("nhr", "tree")).rows
    assert turned.tuned.best.case == row.tuned.best.case


def test_those_that_do_not_fit_are_left_out() -> None:
    (row,) = tune(Question("hccs", 16), [2**20], among=("in-switch", "tree")).rows
    assert {r.case.algorithm for r in row.tuned.tried} == {"tree"}


@pytest.mark.parametrize(
    ("among", "words"),
    [
        (("ring", "rign"), r"algorithms = rign: one of ring, tree, .*in-switch"), (("",), "algorithms = : one of"),
        (("in-switch",), "algorithms = in-switch: none of them can be laid"),
    ],
)  # fmt: skip
def test_a_choice_that_is_none(among: tuple[str, ...], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        tune(Question("hccs", 16), [2**20], among=among)


# -- answers that are kept -----------------------------------------------------------------------------------


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes that had to be searched."""
    found: list[int] = []

    def search(orders: Any, size: int, among: tuple[str, ...] = ()) -> Tuned:
        found.append(size)
        return real(orders, size, among)

    real = tables.search
    monkeypatch.setattr(tables, "search", search)
    return found


@pytest.fixture
def no_simulation(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a simulation was asked for")

    return lambda: monkeypatch.setattr("ringsim.race.run", refuse)


def test_a_kept_answer_costs_nothing(tmp_path: Path, searched: list[int], no_simulation: Callable[[], None]) -> None:
    kept = Store(tmp_path)
    first = tune(SMALL, STEPS, store=kept)
    reasons = [why(first, row, kept) for row in first.rows]
    assert searched == STEPS
    no_simulation()
    again = tune(SMALL, STEPS, store=Store(tmp_path))
    assert again.rows == first.rows  # to the last digit, and how long it took at the time as well
    assert [why(again, row, Store(tmp_path)) for row in again.rows] == reasons
    assert searched == STEPS


def test_another_list_of_sizes_takes_what_is_there(tmp_path: Path, searched: list[int]) -> None:
    tune(SMALL, STEPS[:2], store=Store(tmp_path))
    found = tune(SMALL, STEPS, store=Store(tmp_path))
    assert searched == STEPS
    tune(SMALL, STEPS[1:2], store=Store(tmp_path))
    assert searched == STEPS
    assert [timeless(row) for row in found.rows] == [timeless(row) for row in tune(SMALL, STEPS).rows]


def test_nothing_is_kept_nowhere(searched: list[int]) -> None:
    for _ in range(2):
        tune(TINY, [4096], among=FEW, store=NOWHERE)
    assert searched == [4096, 4096]


@pytest.mark.parametrize(
    "content", [b"", None, b"\xff\xfe\x00", b"[]", b"null", b'{"inputs": 1, "answer": 2}', b"[" * 100_000], ids=range(7)
)  # fmt: skip
def test_what_cannot_be_read_is_missing(tmp_path: Path, searched: list[int], content: bytes | None) -> None:
    steps = [2**12, 2**28]
    first = tune(TINY, steps, among=FEW, store=Store(tmp_path))
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(files) == 3  # two plans, and where one takes over
    for path, whole in files.items():
        path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    found = tune(TINY, steps, among=FEW, store=Store(tmp_path))
    assert searched == 2 * steps
    assert [timeless(row) for row in found.rows] == [timeless(row) for row in first.rows]
    assert tune(TINY, steps, among=FEW, store=Store(tmp_path)).rows == found.rows
    assert searched == 2 * steps  # what was missing has been written again
    assert set(tmp_path.iterdir()) == set(files)


def test_somebody_elses_answer_is_not_taken(tmp_path: Path) -> None:
    """A file that lies where another belongs says so itself."""
    kept = Store(tmp_path)
    kept.put({"a": 1}, "one")
    (path,) = tmp_path.iterdir()
    first = path.read_bytes()
    kept.put({"a": 2}, "two")
    (other,) = set(tmp_path.iterdir()) - {path}
    other.write_bytes(first)
    assert (kept.get({"a": 1}), kept.get({"a": 2}), kept.get({"a": 3})) == ("one", None, None)


def _file(path: Path) -> Path:
    path.write_text("no folder")
    return path


def _closed(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o500)
    return path


@pytest.mark.parametrize(
    "place",
    [
        _file, lambda path: _file(path) / "below", lambda _: Path("/dev/null/cache"),
        pytest.param(_closed, marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")),
    ],
    ids=["a file", "below a file", "below a device", "read only"],
)  # fmt: skip
def test_a_folder_that_cannot_be_written(tmp_path: Path, searched: list[int], place: Callable[[Path], Path]) -> None:
    store = Store(place(tmp_path / "cache"))
    for _ in range(2):
        tune(TINY, [4096], among=FEW, store=store)
    assert searched == [4096, 4096]


@pytest.mark.parametrize(
    "changes",
    [
        {"changes": ("nic.bandwidth=30GB/s",)}, {"seed": 1}, {"placement": "shuffle:1"}, {"protocol": "hccl"},
        {"cards": 24}, {"domain": 4}, {"network": "roce-400g"}, {"dtype": "half"}, {"collective": "reduce-scatter"},
        {"jump": False}, {"fabric": "hccs-910c"},
    ],
    ids=str,
)  # fmt: skip
def test_another_question_is_another_answer(tmp_path: Path, searched: list[int], changes: dict[str, Any]) -> None:
    few = FEW if "collective" not in changes else ("ring",)
    tune(TINY, [4096], among=few, store=Store(tmp_path))
    (other,) = tune(replace(TINY, **changes), [4096], among=few, store=Store(tmp_path)).rows
    assert searched == [4096, 4096]
    (fresh,) = tune(replace(TINY, **changes), [4096], among=few).rows
    assert timeless(other) == timeless(fresh)


def test_so_is_another_choice_and_another_program(
    tmp_path: Path, searched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for among in (("ring",), FEW, ("nhr",)):
        tune(TINY, [4096], among=among, store=Store(tmp_path))
    assert len(searched) == 3
    monkeypatch.setattr(storing, "program", lambda: "another")
    tune(TINY, [4096], among=FEW, store=Store(tmp_path))
    assert len(searched) == 4


def test_a_file_whose_numbers_have_changed_is_another_question(tmp_path: Path, searched: list[int]) -> None:
    own, shipped = tmp_path / "mine.toml", Path(__file__).parents[1] / "topologies/hccs.toml"
    text = shipped.read_text("utf-8")
    times = []
    for startup in ("10us", "11us", "10us"):
        own.write_text(text.replace('startup = ["10us"', f'startup = ["{startup}"'), "utf-8")
        (row,) = tune(Question(str(own), 16), [4096], among=FEW, store=Store(tmp_path / "cache")).rows
        times.append(us(row.tuned.best))
    assert searched == [4096, 4096]
    assert times[0] == times[2] == pytest.approx(times[1] - 1)


def test_changes_are_told_as_they_are_written(tmp_path: Path) -> None:
    """The same numbers, once from a file and once from --set: what was changed is not the other's."""
    own, shipped = tmp_path / "hccs.toml", Path(__file__).parents[1] / "topologies/hccs.toml"
    own.write_text(shipped.read_text("utf-8").replace('startup = ["10us"', 'startup = ["11us"'), "utf-8")
    plain = Question(str(own), 16)
    found = []
    for question in (plain, replace(plain, fabric="hccs", changes=("protocol.hccl.startup=11us",))):
        (row,) = tune(question, [4096], among=FEW, store=Store(tmp_path / "cache")).rows
        assert row.tuned.best.case == answer(row.question).best.case
        found.append(row.tuned.best)
    assert found[0].case.changed != found[1].case.changed
    assert found[0].case.fingerprint == found[1].case.fingerprint


# -- why -----------------------------------------------------------------------------------------------------


def reasons(table: Table) -> Iterator[tuple[str, str]]:
    """What is said about the plan of each row, and about one ring."""
    for row in table.rows:
        plan, _, naive = why(table, row, NOWHERE).partition("; ")
        yield plan, naive


@pytest.mark.parametrize(("fabric", "cards"), [("hccs", 8), ("hccs", 64), ("nvlink4", 8), ("uneven", 14)])
def test_small_vectors_wait_and_large_ones_send(fabric: str, cards: int) -> None:
    table = tune(Question("hccs" if fabric == "uneven" else fabric, cards), [2**10, 2**30])
    (small, waits), (large, uses) = reasons(table)
    assert "latency" in small
    assert re.search(rf"\b{2 * (cards - 1)}\b", waits), waits  # a ring adds in p − 1 steps and copies in as many
    assert re.match(r"(scale-up|NIC)[\w ]* are busy \d\d\.\d% of the time", large), large
    assert "latency" not in large
    assert uses.startswith("one ring uses ")


def test_the_latency_of_one_step_is_the_data_sheets() -> None:
    """One-shot in a node: 10 µs to start, 2.5 µs of software and 0.5 µs on the lane, whatever the size."""
    table = tune(Question("hccs", 8), [2**16], among=("one-shot",))
    ((said, _),) = reasons(table)
    (row,) = table.rows
    assert "1 message" in said
    assert f"{(10 + 2.5 + 0.5) / us(row.tuned.best):.1%}" in said


def test_one_ring_uses_a_lane_of_each_card(mesh: Table) -> None:
    """Eight nodes: seven lanes inside each, one NIC out of it and one into it; 64 cards with seven lanes and two ports."""
    *_, (_, uses) = reasons(mesh)
    assert uses == f"one ring uses {8 * 7} of {64 * 7} scale-up lanes and {8 + 8} of {64 * 2} NIC ports"
    alone = tune(Question("hccs", 8), [2**30])
    ((_, uses),) = reasons(alone)
    assert uses == "one ring uses 8 of 56 scale-up lanes"


def test_messages_of_a_plan_are_counted() -> None:
    """Halving and doubling on 64 cards: log2 64 messages one after the other to add, and as many to copy."""
    table = tune(Question("hccs", 64), [2**10], among=("halving-doubling",))
    ((said, _),) = reasons(table)
    assert re.search(r"\b12 messages", said), said


#: Nothing to gain: a vector of one element.
SHORT_RING = Question("hccs", 2)


def test_nothing_is_made_up_where_the_plan_is_what_it_is_compared_with() -> None:
    for question, name in ((SHORT_RING, "ring"), (replace(SMALL, collective="all-to-all"), "direct")):
        table = tune(question, [4], among=(name,))
        (row,) = table.rows
        assert row.tuned.best.case == row.tuned.naive.case
        assert row.tuned.gain == 1
        said = why(table, row, NOWHERE)
        assert name in said
        assert "messages" not in said
        assert name == "ring" or "ring" not in said


def test_ranks_that_are_moved_are_mentioned() -> None:
    table = tune(Question("hccs", 32, placement="round-robin"), [2**26])
    (row,) = table.rows
    assert row.tuned.best.case.fingerprint != row.tuned.naive.case.fingerprint
    assert "order" in why(table, row, NOWHERE)
    straight = tune(Question("hccs", 32), [2**26])
    assert "order" not in why(straight, straight.rows[0], NOWHERE)


def test_where_order_does_not_matter_ranks_stay_where_they_are() -> None:
    """In one node all cards are alike."""
    for row in tune(Question("nvlink4", 8, placement="shuffle:3"), [2**18, 2**22, 2**30]).rows:
        assert row.question.placement == "shuffle:3"


# -- the command line ----------------------------------------------------------------------------------------

COMMAND = ["tune", "--fabric", "nvlink3", "--cards", "16"]
SHORT = [*COMMAND, "-b", "1K", "-e", "1G", "-f", "1024"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RINGSIM_CACHE", str(tmp_path / "cache"))
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "cache"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line that has to succeed and return its standard output."""

    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(args)
        out, err = capsys.readouterr()
        assert stop.value.code == 0, err
        assert all(line.startswith("ringsim: compiling") for line in err.splitlines())
        return str(out)

    return run


def test_the_table(say: Callable[..., str], small: Table) -> None:
    text = say(*SHORT)
    assert text.splitlines()[0].startswith("all-reduce of 1KiB to 1GiB on 16 cards of nvlink3")
    assert "NVIDIA A100" in text
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if {"from", "below", "plan", "gain"} <= set(line.split()))
    for row, line in zip(small.rows, lines[start + 2 :], strict=False):
        case = row.tuned.best.case
        for word in (
            case.algorithm, f"×{case.channels}", case.protocol, f"{row.tuned.best.time_us:.2f}",
            f"{row.tuned.best.reached:.1%}", f"{row.tuned.gain:.1f}×",
        ):  # fmt: skip
            assert word in line, line
        assert f"  {why(small, row, NOWHERE)}" in text
    assert "1GiB" in lines[start + 4]
    assert f"reached {min(row.tuned.best.reached or 0 for row in small.rows):.1%} to " in lines[-1]


def test_quiet_is_the_table_alone(say: Callable[..., str]) -> None:
    text = say(*SHORT)
    quiet = say(*SHORT, "--quiet")
    assert quiet.split()[:3] == ["from", "below", "plan"]
    assert text.endswith(quiet)
    assert len(text) > len(quiet)


def test_json_is_for_programs(say: Callable[..., str], small: Table) -> None:
    document = json.loads(say(*SHORT, "--json"))
    assert set(document) == {"schema", "ringsim_version", "rows"}
    assert (document["schema"], document["ringsim_version"]) == (1, ringsim.__version__)
    assert [row["min_bytes"] for row in document["rows"]] == [row.low for row in small.rows]
    assert [row["max_bytes"] for row in document["rows"]] == [row.high for row in small.rows]
    for found, row in zip(document["rows"], small.rows, strict=True):
        assert {"min_bytes", "max_bytes", "plan", "naive", "gain", "why", "command", "tried"} <= set(found)
        assert found["plan"]["result"]["time_us"] == row.tuned.best.time_us
        assert found["plan"]["case"]["algorithm"] == row.tuned.best.case.algorithm
        assert found["naive"]["result"]["time_us"] == row.tuned.naive.time_us
        assert (found["gain"], found["tried"]) == (row.tuned.gain, len(row.tuned.tried))
        assert found["why"] == why(small, row, NOWHERE)


@pytest.mark.parametrize(
    "more", [(), ("--placement", "shuffle:2"), ("--dtype", "half", "--set", "nic.bandwidth=30GB/s", "--seed", "3")]
)
def test_its_commands_give_the_times_that_it_promises(say: Callable[..., str], more: tuple[str, ...]) -> None:
    for row in json.loads(say(*COMMAND, "-b", "4K", "-e", "1G", "-f", str(2**18), "--json", *more))["rows"]:
        program, *words = shlex.split(row["command"])
        assert program == "ringsim"
        found = json.loads(say(*words, "--json"))
        assert found["result"]["time_us"] == row["plan"]["result"]["time_us"]
        assert found["case"]["bytes"] == row["plan"]["case"]["bytes"]
        assert "candidates" not in found


def test_output_goes_to_a_file(say: Callable[..., str], tmp_path: Path) -> None:
    table, target = say(*SHORT), tmp_path / "plans.json"
    document = say(*SHORT, "--json")
    assert say(*SHORT, "--output", str(target)) == table
    assert target.read_text("utf-8") == document
    target.unlink()
    assert say(*SHORT, "--json", "--output", str(target)) == ""
    assert target.read_text("utf-8") == document


def test_only_named_algorithms(say: Callable[..., str]) -> None:
    document = json.loads(say(*SHORT, "--json", "--algorithms", "ring, tree"))
    assert {row["plan"]["case"]["algorithm"] for row in document["rows"]} <= {"ring", "tree"}


def test_answers_are_kept_where_the_variable_says(say: Callable[..., str], cache: Path, searched: list[int]) -> None:
    few = [*SHORT, "--json", "--algorithms", "ring,tree"]
    first = say(*few)
    assert searched == STEPS
    assert say(*few) == first
    assert searched == STEPS
    assert list(cache.rglob("*.json"))
    assert not list(cache.parent.glob("home/**/*.json"))


def test_no_cache_neither_reads_nor_writes(say: Callable[..., str], cache: Path, searched: list[int]) -> None:
    for _ in range(2):
        say(*SHORT, "--no-cache", "--algorithms", "ring,tree")
    assert searched == 2 * STEPS
    assert not list(cache.parent.rglob("*.json"))


def test_a_cache_that_is_a_file(say: Callable[..., str], cache: Path) -> None:
    cache.write_text("no folder")
    assert "one ring" in say(*SHORT, "--algorithms", "ring,tree")
    assert cache.read_text() == "no folder"


def test_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RINGSIM_CACHE")
    monkeypatch.setattr(storing.platformdirs, "user_cache_path", lambda *_: tmp_path / "user")
    Store.usual().put({"a": 1}, 2)
    assert Store.usual().get({"a": 1}) == 2
    assert [path.parent for path in (tmp_path / "user").rglob("*.json")] == [tmp_path / "user" / "tuned"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["tune"], 2, "--fabric"), (["tune", "--fabric", "hccs"], 2, "--cards"),
        ([*COMMAND, "--fabric", "hcss"], 2, "did you mean 'hccs'?"), ([*COMMAND, "--cards", "1"], 2, "cards = 1"),
        ([*COMMAND, "--fabric", "no/such.toml"], 3, "no/such.toml"), ([*COMMAND, "--set", "x=1"], 2, "unknown key"),
        (["tune", "--graph", "no/such.json"], 3, "no/such.json"), ([*COMMAND, "--placement", "nowhere"], 2, "nowhere"),
        ([*COMMAND, "-b", "1M", "-e", "1K"], 2, "begin = 1048576, end = 1024"), ([*COMMAND, "-b", "12Q"], 2, "12Q"),
        ([*COMMAND, "-b", "0"], 2, "0"), ([*COMMAND, "-f", "1"], 2, "factor = 1: larger than 1"),
        ([*COMMAND, "-f", "two"], 2, "factor = two: not a number"), ([*COMMAND, "-f", "1.001"], 2, "at most 64"),
        ([*COMMAND, "--algorithms", "ring,tre"], 2, "algorithms = tre: one of ring, tree,"),
        ([*COMMAND, "--algorithms", ","], 2, "algorithms = "), ([*COMMAND, "--protocol", "LL1"], 2, "protocol = LL1"),
        (["tune", "--fabric", "hccs", "--cards", "16", "--algorithms", "in-switch"], 2, "none of them can be laid"),
        ([*COMMAND, "--dtype", "int3"], 2, "dtype = int3"), ([*COMMAND, "--collective", "gossip"], 2, "gossip"),
        ([*COMMAND, "--collective", "broadcast", "--algorithms", "nhr"], 2, "algorithms = nhr: one of"),
        ([*COMMAND, "--output", "no/such/folder.json"], 2, "output = no/such/folder.json"),
        ([*COMMAND, "--output", ""], 2, "output = (empty)"), ([*COMMAND, "--size", "1M"], 2, "--size"),
        ([*COMMAND, "--algorithm", "ring"], 2, "--algorithm"), ([*COMMAND, "--domain", "0"], 2, "domain = 0"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    args: list[str], code: int, words: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(args)
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (code, "", 1), err
    assert err.startswith("ringsim: error: ")
    assert words in err
    assert not cache.exists()
