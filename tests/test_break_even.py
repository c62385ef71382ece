"""Does it pay: the crossing, what is left out on the way to it, the table, and the command."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ringsim import fabric as fabrics
from ringsim import fidelity
from ringsim.break_even import DEFAULT, GOOD, LEAST, MOST, Entrant, Row, Table, crossing, faster, picture, ways, weigh
from ringsim.break_even.document import document
from ringsim.break_even.page import page
from ringsim.break_even.says import sentences
from ringsim.candidates import Layouts, pinned
from ringsim.cli import main
from ringsim.codecs import parse
from ringsim.fidelity import Fidelity
from ringsim.question import Question, StudyError
from ringsim.race import Track
from ringsim.result import Case, Result
from ringsim.study import answer, cluster
from ringsim.topology import Topology

SMALL = Question("hccs", 16, "16M")


def us(result: Result | None) -> float:
    assert result is not None
    assert result.time_us is not None
    return result.time_us


def candidates(question: Question) -> Iterator[Result]:
    """What libraries try, and what adds in switches."""
    yield from answer(question).candidates
    with suppress(StudyError):
        yield from answer(replace(question, algorithm="in-switch")).candidates


def best_us(question: Question) -> float:
    """The fastest of them."""
    return min(us(one) for one in candidates(question) if one.time_us is not None)


def plain_us(question: Question, specs: Iterable[str]) -> float:
    """Without compression: the fastest of them, in as many pieces as they have, or as these codecs have."""
    cases = [one.case for spec in specs for one in candidates(replace(question, compress=spec))]
    alike = [pinned(question, case) for case in cases if not case.algorithm.startswith("gather-")]
    return min(best_us(question), *(us(answer(one).best) for one in alike))


def text(table: Table) -> str:
    return "\n".join(line.text for line in page(table))


@pytest.fixture(scope="module")
def small() -> Table:
    return weigh(SMALL, ("fp16", "int8", "topk:0.01", "identity", "powersgd:4"))


# -- the crossing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", [0.02, 0.3, 0.999, 1.0, 1.001, 1.7, 3.17, 4.0, 15.99, 63.0])
@pytest.mark.parametrize(
    "shape", [math.log, lambda x: x - 1, lambda x: 1 - 1 / x, lambda x: -1 if x < 1 else 1e-9, lambda x: min(0, x - 1)]
)
def test_the_crossing_is_found(root: float, shape: Callable[[float], float]) -> None:
    looks = list[float]()

    def lead(factor: float) -> float:
        looks.append(factor)
        return shape(factor / root)

    assert crossing(lead) == pytest.approx(root, rel=0.0101)
    assert len(looks) < 50
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("stays", [0.05, 0.2, 0.5])
def test_smooth_crossings_take_few_looks(kept: float, stays: float) -> None:
    """Times are sums of what becomes faster and what stays: a codec's are b/f + c, those of none a/f."""
    looks = list[float]()

    def lead(factor: float) -> float:
        looks.append(factor)
        return factor * (kept / factor + stays - 1 / factor)

    assert crossing(lead) == pytest.approx((1 - kept) / stays, rel=0.01)
    assert len(looks) <= 6


def test_where_there_is_no_crossing() -> None:
    assert crossing(lambda _: -1.0) == math.inf
    assert crossing(lambda _: 0.0) == 0.0
    assert crossing(lambda factor: math.log(factor / (MOST * 1.1))) == math.inf
    assert crossing(lambda factor: math.log(factor / (LEAST / 1.1))) == 0.0


# -- links that become faster --------------------------------------------------------------------------------


def test_faster_is_what_set_would_do() -> None:
    sheet = faster(fabrics.load("hccs"), 2)
    changes = ("domain.lane_bandwidth=56GB/s", "nic.bandwidth=50GB/s", "nic.host_bandwidth=54.4GB/s")
    assert sheet.fingerprint() == fabrics.load("hccs", changes=changes).fingerprint()
    assert [f"{key}={new}" for key, _, new in sheet.changed] == list(changes)
    assert faster(fabrics.load("hccs"), 1).fingerprint() == fabrics.load("hccs").fingerprint()


def test_all_links_become_faster_and_nothing_else() -> None:
    before = cluster(SMALL)
    after = replace(before, fabric=faster(before.fabric, 3.0))  # type: ignore[call-arg]
    assert after.bandwidth == pytest.approx(3 * before.bandwidth)
    assert (after.latency == before.latency).all()
    assert after.fabric.card == before.fabric.card
    assert after.fabric.protocols == before.fabric.protocols


@pytest.mark.parametrize("fabric", ["hccs", "nvlink3"])
@pytest.mark.parametrize("compress", ["none", "int8", "topk:0.01"])
def test_what_is_left_out_could_not_have_won(fabric: str, compress: str) -> None:
    question = Question(fabric, 16, "4M", algorithm="all", compress=compress)
    here, layouts, tracks = cluster(question), Layouts(), dict[float, Track]()

    def track(factor: float) -> Track:
        if factor not in tracks:
            tracks[factor] = Track(replace(here, fabric=faster(here.fabric, factor)), layouts=layouts)  # type: ignore[call-arg]
        return tracks[factor]

    entrant = Entrant(ways(question, track), track)
    for factor in (4.0, 0.25, 40.0, 2.0):
        best = answer(replace(question, fabric=faster(here.fabric, factor))).best
        assert entrant.least_us(factor) == pytest.approx(us(best), rel=1e-12), factor


def test_a_limit_is_no_time_that_is_taken_for_one() -> None:
    here = cluster(SMALL)

    def track(factor: float) -> Track:
        return Track(replace(here, fabric=faster(here.fabric, factor)))  # type: ignore[call-arg]

    entrant = Entrant(ways(replace(SMALL, compress="int8"), track), track)
    lower = entrant.least_us(8.0, limit_us=1.0)
    assert lower > 1.0
    true = entrant.least_us(8.0)
    assert true >= lower
    assert entrant.least_us(8.0, limit_us=1.0) == true


# -- break-even by hand --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", [4, 8])
@pytest.mark.parametrize("codec", ["error_feedback(fp16)", "error_feedback(bf16)"])
def test_break_even_of_a_ring_by_hand(cards: int, codec: str) -> None:
    """One ring of p: 2(p−1) steps of S/p. With error feedback all is encoded before, and all decoded behind.

    Half of the bytes are left, so a step is shorter by S/2p over f times the lane's rate; what is encoded and decoded
    passes the memory: two passes more over the vector than the cast, whose passes are its own.
    """
    question = Question("hccs", cards, "64M", algorithm="ring", rings=1, slices=1)
    (row,) = weigh(question, (codec,)).rows
    sheet = fabrics.load("hccs")
    lane, memory = sheet.domain.lane_bandwidth * sheet.domain.efficiency, sheet.card.memory_bandwidth
    cast = parse("fp16").cost
    assert (cast.encode, cast.decode) == ((1, 1), (1, 1))
    size, code = 2**26, 2**25
    coding = (3 * size + code + size + code) / memory
    saved = 2 * (cards - 1) * (size - code) / cards / lane
    assert row.factor == pytest.approx(saved / coding, rel=0.01)
    steps = 2 * (cards - 1) * (2.5e-6 + 0.5e-6 + code / cards / lane)
    assert us(row.best) == pytest.approx((10e-6 + steps + coding) * 1e6, rel=1e-9)


def test_a_dearer_memory_brings_it_down_in_proportion() -> None:
    """In that ring, half the memory bandwidth is half the factor."""
    question = Question("hccs", 8, "64M", algorithm="ring", rings=1, slices=1)
    half = fabrics.load("hccs").card.memory_bandwidth / 2
    slow = replace(question, changes=(f"card.memory_bandwidth={half!r}B/s",))
    one, two = (weigh(asked, ("error_feedback(fp16)",)).rows[0].factor for asked in (question, slow))
    assert two == pytest.approx(one / 2, rel=0.02)


def test_what_costs_nothing_and_saves_half_always_pays_and_what_saves_nothing_never() -> None:
    free = replace(SMALL, changes=("card.memory_bandwidth=1e6TB/s",))
    half, same = weigh(free, ("fp16", "identity")).rows
    assert half.factor == math.inf
    assert same.factor == 0.0
    assert us(same.best) == us(answer(free).best)


@pytest.mark.parametrize("question", [SMALL, Question("nvlink3", 16, "4M"), Question("hccs", 8, "256K", dtype="half")])
def test_it_pays_below_and_not_above(question: Question) -> None:
    table = weigh(question, ("fp16", "int8", "topk:0.01", "powersgd:4"))
    sheet = table.topology.fabric
    for row in table.rows:
        if not 0 < row.factor < math.inf:
            continue
        for side, pays in ((0.97, True), (1.03, False)):
            there = replace(question, fabric=faster(sheet, row.factor * side))
            none, with_it = (
                plain_us(there, (row.spec for row in table.rows)),
                best_us(replace(there, compress=row.spec)),
            )
            assert (with_it < none) is pays, (row.spec, row.factor, side)


# -- the table -----------------------------------------------------------------------------------------------


def test_rows_are_what_a_run_says(small: Table) -> None:
    assert us(small.none) == us(answer(SMALL).best)
    for row in small.rows:
        best = answer(replace(SMALL, compress=row.spec)).best
        assert us(row.best) == us(best)
        assert row.best is not None
        assert (row.best.error, row.best.agree, row.best.ratio) == (best.error, best.agree, best.ratio)
        assert small.gain(row.best) == us(small.none) / us(best)
        assert (row.factor > 1) is (us(best) < us(small.none))


def test_the_fastest_and_the_fastest_that_is_true(small: Table) -> None:
    rows = {row.spec: row for row in small.rows}
    times = {spec: us(row.best) for spec, row in rows.items()}
    fastest, true = small.fastest(), small.fastest(GOOD)
    assert fastest is not None
    assert times[fastest.spec] == min(times.values())
    assert true is not None
    assert true.spec == min(("fp16", "int8"), key=times.__getitem__)


def test_of_equals_the_truest_is_best() -> None:
    table = weigh(SMALL, ("fp8", "int8"))
    first, second = table.rows
    assert us(first.best) == us(second.best)
    found = table.fastest(GOOD)
    assert found is not None
    errors = {row.spec: row.best.error for row in table.rows if row.best and row.best.error}
    assert errors[found.spec] == min(errors.values())


def test_a_codec_that_is_named_in_two_ways_has_one_row() -> None:
    table = weigh(Question("hccs", 4, "64K"), ("int8", "fp16", "int8:256", "int8"))
    assert [row.spec for row in table.rows] == ["int8", "fp16"]


def test_the_default_codecs_are_one_of_each_kind() -> None:
    assert len(DEFAULT) == len(set(DEFAULT)) == 10
    assert {parse(spec).combine for spec in DEFAULT} == {"linear", "quantiser", "sparsifier"}


def test_it_is_told_how_far_it_is() -> None:
    told = list[tuple[int, int, str]]()
    weigh(Question("hccs", 4, "64K"), ("fp16", "int8"), steps=lambda *step: told.append(step))
    assert told == [(0, 4, "none"), (0, 4, "fp16"), (1, 4, "int8"), (2, 4, "fp16"), (3, 4, "int8")]


def test_what_no_algorithm_carries_is_refused_and_the_others_are_weighed() -> None:
    question = Question("nvlink4", 16, "16M", algorithm="in-switch")
    table = weigh(question, ("int8", "fp16"))
    refused, carried = table.rows
    assert refused.best is None
    assert "a switch adds numbers and cannot decode" in refused.refused
    assert us(carried.best) < us(table.none)
    lines = text(table).splitlines()
    assert sum("cannot decode" in line for line in lines) == 1
    assert next(line for line in lines if line.startswith("int8 ")).split()[1:] == ["-"] * 7
    assert document(table)["codecs"][0] == {"compress": "int8", "refused": refused.refused}
    with pytest.raises(StudyError, match="cannot decode"):
        weigh(question, ("int8",))


@pytest.mark.parametrize(
    ("question", "codecs", "words"),
    [
        (SMALL, (), "compress = none: name codecs"), (SMALL, ("none",), "compress = none: name codecs"),
        (SMALL, ("int8", "int9"), "compress = int9: "), (replace(SMALL, dtype="int32"), ("int8",), "dtype = int32: "),
        (replace(SMALL, graph="mesh.graphml", fabric=None, cards=None), ("int8",), "name a fabric"),
        (replace(SMALL, algorithm="gather-ring"), ("int8",), "there are no codes to gather"),
    ],
)  # fmt: skip
def test_a_question_that_is_none(question: Question, codecs: tuple[str, ...], words: str) -> None:
    with pytest.raises(StudyError, match=re.escape(words)):
        weigh(question, codecs)


def test_placement_and_domain_stay() -> None:
    question = replace(SMALL, placement="shuffle:3", domain=4)
    table = weigh(question, ("int8",))
    assert us(table.none) == us(answer(question).best)
    there = replace(question, fabric=faster(table.topology.fabric, table.rows[0].factor * 0.97))
    assert us(answer(replace(there, compress="int8")).best) < us(answer(there).best)


# -- codecs with schedules -----------------------------------------------------------------------------------


def errors(monkeypatch: pytest.MonkeyPatch, known: dict[str, float | None]) -> list[tuple[str, str]]:
    """Let errors be those of the algorithm; what is measured is noted."""
    asked = list[tuple[str, str]]()

    def measure(case: Case, topology: Topology, *, seed: int = 0) -> Fidelity | None:
        asked.append((case.compress, case.algorithm))
        error = known[case.algorithm]
        return None if error is None else Fidelity(error, True, topology.cards, 512)

    monkeypatch.setattr(fidelity, "measure", measure)
    return asked


def times(question: Question, spec: str) -> dict[str, float]:
    """Each algorithm's fastest way, microseconds, by itself."""
    names = ("ring", "tree", "gather-ring")
    asked = {name: replace(question, compress=spec, algorithm=name) for name in names}
    return {name: us(answer(one).best) for name, one in asked.items()}


def test_the_true_pair_is_the_fastest_of_the_true_ones_and_not_the_true_one_of_the_fastest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    took = times(SMALL, "int8")
    first, second, _ = sorted(took, key=took.__getitem__)
    assert took[second] < us(answer(SMALL).best)
    errors(monkeypatch, dict.fromkeys(took, 0.01) | {first: 0.2})
    table = weigh(SMALL, ("int8",))
    assert [row.spec for row in table.rows] == ["int8", "int8"]
    assert [row.best and row.best.case.algorithm for row in table.rows] == [first, second]
    fastest, true = table.fastest(), table.fastest(GOOD)
    assert (fastest, true) == table.rows
    assert us(table.rows[1].best) == took[second]
    assert sentences(table)["error <5%"].startswith(f"int8 by {second} ×")
    assert sentences(table)["fastest"].startswith(f"int8 by {first} ×")
    assert "a codec twice: " in text(table)
    assert document(table)["fastest_with_that_error"] == {"compress": "int8", "algorithm": second}


def test_a_true_pair_s_factor_is_that_of_true_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    question = replace(SMALL, compress="int8")
    took = times(SMALL, "int8")
    first, second, third = sorted(took, key=took.__getitem__)
    errors(monkeypatch, {first: 0.2, second: 0.01, third: 0.2})
    row = weigh(SMALL, ("int8",)).rows[1]
    sheet = fabrics.load("hccs")
    for side, pays in ((0.97, True), (1.03, False)):
        there = replace(question, fabric=faster(sheet, row.factor * side))
        none = us(answer(replace(there, compress="none")).best)
        assert (us(answer(replace(there, algorithm=second)).best) < none) is pays


def test_only_what_could_win_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = errors(monkeypatch, {"ring": 0.01, "tree": 0.01, "gather-ring": 0.01})
    weigh(SMALL, ("int8",))
    assert len(asked) == len(set(asked)) == 1
    large = replace(SMALL, size="256M")
    slow = times(large, "int8")["gather-ring"]
    asked = errors(monkeypatch, {"ring": 0.9, "tree": 0.9, "gather-ring": 0.9})
    table = weigh(large, ("int8", "topk:0.01"))
    assert len(asked) == len(set(asked))
    assert slow > us(table.none)
    assert ("int8:256", "gather-ring") not in asked


def test_errors_that_nobody_knows_are_not_small(monkeypatch: pytest.MonkeyPatch) -> None:
    errors(monkeypatch, {"ring": None, "tree": None, "gather-ring": None})
    table = weigh(SMALL, ("int8",))
    assert table.fastest(GOOD) is None
    assert table.fastest() is not None
    assert "an error that was not measured" in sentences(table)["fastest"]


def test_sums_that_overflow_are_not_small_and_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    errors(monkeypatch, {"ring": math.inf, "tree": math.inf, "gather-ring": math.inf})
    table = weigh(SMALL, ("fp16",))
    assert table.fastest(GOOD) is None
    json.dumps(document(table), allow_nan=False)
    assert " overflow " in text(table)
    assert "sums that overflow" in sentences(table)["fastest"]


# -- what it is compared with --------------------------------------------------------------------------------

IN_SWITCH = Question("nvlink4", 8, "16M")


def test_no_compression_may_add_in_switches_where_these_can() -> None:
    table = weigh(IN_SWITCH, ("int8", "fp16"))
    alone = us(answer(replace(IN_SWITCH, algorithm="in-switch")).best)
    assert alone < us(answer(IN_SWITCH).best)
    assert us(table.none) == alone
    quantised, cast = table.rows
    assert us(quantised.best) == us(answer(replace(IN_SWITCH, compress="int8")).best)
    assert us(cast.best) == us(answer(replace(IN_SWITCH, algorithm="in-switch", compress="fp16")).best)
    assert "the fastest of auto, in-switch" in text(table)
    assert "without compression in-switch ×1 is the fastest" in " ".join(text(table).split())


@pytest.mark.parametrize(
    "question",
    [
        replace(IN_SWITCH, algorithm="ring"), replace(IN_SWITCH, slices=2), replace(IN_SWITCH, rings=2),
        replace(IN_SWITCH, changes=("domain.reduces=false",)),
    ],
)  # fmt: skip
def test_switches_stay_out_where_the_question_has_no_room_for_them(question: Question) -> None:
    assert us(weigh(question, ("fp16",)).none) == us(answer(question).best)


def test_no_codec_wins_by_its_pieces_alone() -> None:
    """Of a code fewer pieces are made, which is better where links are fast, and as good for the vector itself."""
    free = replace(SMALL, algorithm="tree", changes=("card.memory_bandwidth=1e6TB/s",))
    fast = replace(free, fabric=faster(cluster(free).fabric, 64.0), changes=())
    half = weigh(free, ("fp16",), factors=(64.0,)).rows[0]
    assert half.best
    assert half.best.case.pieces < answer(free).best.case.pieces
    alike = us(answer(replace(fast, chunks=half.best.case.pieces)).best)
    assert alike < us(answer(fast).best)
    assert half.gains == ((64.0, pytest.approx(alike / us(answer(replace(fast, compress="fp16")).best))),)


# -- what limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "limit"),
    [
        (Question("hccs", 8, "64M", changes=("card.memory_bandwidth=1GB/s",)), "card memory"),
        (Question("hccs", 8, "64M", changes=("card.memory_bandwidth=1e6TB/s",)), "scale-up lanes"),
        (Question("nvlink4", 8, "64M", changes=("card.memory_bandwidth=1e6TB/s",)), "scale-up links"),
        (Question("hccs", 32, "64M", changes=("card.memory_bandwidth=1e6TB/s", "nic.bandwidth=1GB/s")), "NIC ports"),
        (Question("hccs", 32, "64M", changes=("card.memory_bandwidth=1e6TB/s", "nic.host_bandwidth=1GB/s")), "host links"),
        (Question("hccs", 8, "1K"), "latency"),
    ],
)  # fmt: skip
def test_what_limits_is_what_was_made_slow(question: Question, limit: str) -> None:
    table = weigh(question, ("int8",))
    lines = text(table).splitlines()
    heading = next(line for line in lines if line.startswith("codec "))
    row = next(line for line in lines if line.startswith("int8 "))
    at = heading.index("limited")
    assert row[at : at + len(limit)] == limit


def test_the_cost_of_encoding_is_said_to_be_a_roofline_s(small: Table) -> None:
    assert text(small).count("passes over card memory, a fused kernel at the roofline") == 1


# -- error feedback ------------------------------------------------------------------------------------------


def test_the_error_of_a_codec_with_a_memory_is_that_of_one_step() -> None:
    table = weigh(SMALL, ("error_feedback(topk:0.01)", "int8"))
    lines = text(table).splitlines()
    fed, plain = (next(line for line in lines if line.startswith(spec)) for spec in ("error_feedback", "int8 "))
    assert "%*" in fed
    assert "*" not in plain
    assert "* one step; error feedback sends the rest later" in lines
    only = sentences(replace(table, rows=table.rows[:1]))
    assert "(one step; error feedback sends the rest later)" in only["fastest"]
    assert [one["one_step"] for one in document(table)["codecs"]] == [True, False]


def test_users_of_sparsifiers_signs_and_factors_feed_errors_back() -> None:
    for kind in ("sign", "topk", "randomk", "powersgd", "chain"):
        assert any(spec.startswith(f"error_feedback({kind}") for spec in DEFAULT)
        assert not any(spec.startswith(kind) for spec in DEFAULT)


# -- width ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["auto", "all"])
def test_everything_fits_a_terminal_of_120_columns(algorithm: str) -> None:
    table = weigh(Question("nvlink4", 16, "16M", algorithm=algorithm))
    assert max(len(line.text) for line in page(table)) <= 120


def test_what_is_left_out_for_its_width_is_said(small: Table) -> None:
    assert "for want of room" not in text(small)
    row = replace(small.rows[0], spec="error_feedback(chain(threshold:3.00000000000000001,fp8:e4m3:0000000000256))")
    lines = text(replace(small, rows=(row,))).splitlines()
    heading = next(line for line in lines if line.startswith("codec "))
    assert "ratio" not in heading
    assert "for want of room without ratio" in " ".join(lines)


def test_sizes_that_values_decide_are_said_to_be() -> None:
    table = weigh(SMALL, ("threshold:3", "fp16"))
    (note,) = [line for line in text(table).splitlines() if "the values decide" in line]
    assert note.startswith("threshold:3: ")


# -- on a page -----------------------------------------------------------------------------------------------


def test_the_page_has_what_the_table_holds(small: Table) -> None:
    lines = text(small).splitlines()
    start = next(i for i, line in enumerate(lines) if {"codec", "ratio", "speed-up"} <= set(line.split())) + 2
    shown = [line.split()[0] for line in lines[start : start + 6]]
    assert shown == ["none", *(row.spec for row in sorted(small.rows, key=lambda row: us(row.best)))]
    for row in small.rows:
        line = lines[start + shown.index(row.spec)]
        assert row.best is not None
        assert f"{us(row.best):.2f}" in line
        if 0 < row.factor < math.inf:
            assert f" {row.factor:.3g}×" in line
    assert "never" in lines[start + shown.index("identity")]
    assert "1×: 392 GB/s of links a card, both directions, 25 GB/s a NIC, as data sheets have it" in lines


def test_headlines_are_the_vendors_figures() -> None:
    table = weigh(Question("nvlink3", 8, "16M"), ("int8",))
    found = document(table)["codecs"][0]
    assert found["links_GBps"] == pytest.approx(600 * found["factor"])
    # Eight cards of one node use no NIC.
    assert "1×: 600 GB/s of links a card, both directions, as data sheets have it" in text(table)


def test_sentences_name_the_best_and_why(small: Table) -> None:
    found = sentences(small)
    fastest, true = small.fastest(), small.fastest(GOOD)
    assert fastest
    assert true
    assert true.best
    assert list(found) == ["error <5%", "fastest", "why"]
    for said, row in (("fastest", fastest), ("error <5%", true)):
        best = row.best
        assert best
        by = f"{row.spec} by {best.case.algorithm} ×{best.case.channels}"
        assert found[said].startswith(
            f"{by}, {small.gain(best):.3g} times as fast as no compression, with an error of "
        )
    assert f"with {true.spec} " in found["why"]


def test_sentences_where_nothing_pays() -> None:
    table = weigh(SMALL, ("identity", "powersgd:4"))
    rows = tuple(replace(row, factor=0.0) for row in table.rows if row.spec == "identity")
    found = sentences(replace(table, rows=rows))
    assert found["fastest"] == "none of 1 codec is faster than no compression"
    assert "latency" in sentences(weigh(Question("hccs", 16, 64), ("identity",)))["why"]


def test_sentences_where_no_fast_one_is_true(small: Table) -> None:
    rows = tuple(row for row in small.rows if row.spec == "topk:0.01")
    found = sentences(replace(small, rows=rows))
    assert found["error <5%"] == "no codec of which that is known is faster than no compression"
    assert "with topk:0.01 " in found["why"]


def test_gathering_is_explained() -> None:
    table = weigh(Question("hccs", 8, "1M"), ("int8",))
    best = table.rows[0].best
    assert best
    assert best.case.algorithm.startswith("gather-")
    assert "each rank gets all codes" in text(table)
    assert "each rank gets all codes" not in text(weigh(Question("hccs", 8, "1M"), ("fp16",)))


def test_json_has_every_row(small: Table) -> None:
    found = json.loads(json.dumps(document(small), allow_nan=False))
    assert found["factors"] == {"least": LEAST, "most": MOST}
    assert found["none"]["result"]["time_us"] == us(small.none)
    for row, one in zip(small.rows, found["codecs"], strict=True):
        assert one["compress"] == row.spec
        assert one["result"]["time_us"] == us(row.best)
        assert one["pays"] == ("never" if row.factor == 0 else "always" if row.factor == math.inf else "below")
        assert one["factor"] == (row.factor if one["pays"] == "below" else None)
    fastest = small.fastest()
    assert fastest
    assert found["fastest"] == {"compress": fastest.spec, "algorithm": fastest.best and fastest.best.case.algorithm}
    assert found["says"] == sentences(small)


def test_keys_are_explained(small: Table) -> None:
    shown = (Path(__file__).parents[1] / "docs" / "compression.md").read_text("utf-8")
    section = shown[shown.index("`ringsim break-even` (schema 2)") :]
    section = section[: section.index("\n\n`ringsim codecs`")]
    found = document(small)
    assert f"(schema {found['schema']})" in section
    keys = (set(found) | {key for row in found["codecs"] for key in row}) - {"schema", "ringsim_version"}
    assert {key for key in keys if f"`{key}`" not in section} == set()


def test_infinity_is_no_number_in_json(small: Table) -> None:
    one = document(replace(small, rows=(Row("fp16", small.rows[0].best, math.inf),)))["codecs"][0]
    assert (one["pays"], one["factor"]) == ("always", None)
    json.dumps(one, allow_nan=False)


# -- the command line ----------------------------------------------------------------------------------------

COMMAND = ["break-even", "--fabric", "hccs", "--cards", "16", "--size", "16M"]
TWO = [*COMMAND, "--compress", "fp16", "--compress", "int8"]


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


def test_the_command_prints_the_page(say: Callable[..., str], small: Table) -> None:
    table = replace(small, rows=small.rows[:2])
    printed = say(*TWO)
    assert printed.splitlines() == text(table).splitlines()
    quiet = say(*TWO, "--quiet")
    assert quiet.split()[:2] == ["codec", "algorithm"]
    assert printed.endswith(quiet)


def test_the_command_s_json(say: Callable[..., str], tmp_path: Path) -> None:
    printed = say(*TWO, "--json")
    found = json.loads(printed)
    assert [one["compress"] for one in found["codecs"]] == ["fp16", "int8"]
    target = tmp_path / "found.json"
    assert say(*TWO, "--json", "--output", str(target)) == ""
    again = json.loads(target.read_text())
    assert [one["factor"] for one in again["codecs"]] == [one["factor"] for one in found["codecs"]]


def test_the_default_codecs_and_a_model(say: Callable[..., str]) -> None:
    found = json.loads(say("break-even", "--fabric", "hccs", "--cards", "4", "--size", "4M", "--json"))
    assert [one["compress"] for one in found["codecs"]] == list(DEFAULT)
    more = ("--model", "resnet-50", "--compress", "int8", "--json")
    one = json.loads(say("break-even", "--fabric", "hccs", "--cards", "4", *more))["codecs"][0]
    assert one["case"]["model"] == "resnet-50"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--compress", "int9"], 2, "there is no codec 'int9'"),
        (["--compress", "none"], 2, "compress = none: name codecs to compare"),
        (["--algorithm", "rign"], 2, "rign"), (["--dtype", "int32"], 2, "dtype = int32"),
        (["--model", "gpt-5"], 2, "model = gpt-5"), (["--set", "nic.bandwidht=1GB/s"], 2, "nic.bandwidht"),
        (["--output", "/no/such/folder/x.json"], 2, "cannot be written"), (["--graph", "x"], 2, "no such option"),
        (["--fabric", "hcsc"], 2, "hccs"), (["--fabric", "nowhere.toml"], 3, "nowhere.toml"),
        (["--rings", "99"], 2, "rings = 99"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], args: list[str], code: int, words: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*COMMAND, *args])
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (code, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert err.startswith("ringsim: error: ")


def test_help_begins_with_an_example(say: Callable[..., str]) -> None:
    assert say("break-even", "--help").startswith("Example: ringsim break-even --fabric hccs --cards 1024")


# -- the picture ---------------------------------------------------------------------------------------------


def test_speed_ups_at_other_bandwidths_are_those_of_runs() -> None:
    table = weigh(SMALL, ("int8",), factors=(0.5, 1.0, 8.0))
    sheet = table.topology.fabric
    for factor, gain in table.rows[0].gains:
        there = replace(SMALL, fabric=faster(sheet, factor))
        assert gain == pytest.approx(plain_us(there, ["int8"]) / us(answer(replace(there, compress="int8")).best))


def test_lines_come_down_to_one_where_the_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    drawn = list[Figure]()
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    table = weigh(SMALL, ("fp16", "int8", "topk:0.01"), factors=picture.FACTORS)
    picture.draw(table, tmp_path / "it.png")
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "log"
    lines = {line.get_label(): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    assert set(lines) == {row.spec for row in table.rows}
    for row in table.rows:
        points = dict(zip(*(map(float, one) for one in lines[row.spec].get_data()), strict=True))
        if row.factor < math.inf:
            assert points.pop(row.factor) == 1
        assert points == pytest.approx(dict(row.gains))
        assert (lines[row.spec].get_linestyle() == "-") is (row.spec != "topk:0.01")
    marks = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"]
    assert sorted(marks) == sorted(row.factor for row in table.rows if row.factor < math.inf)
    assert marks


def test_the_command_draws(say: Callable[..., str], tmp_path: Path) -> None:
    for name, begins in (("it.png", b"\x89PNG"), ("it.svg", b"<?xml")):
        say(*COMMAND, "--compress", "fp16", "--picture", str(tmp_path / name))
        assert (tmp_path / name).read_bytes().startswith(begins)


def test_a_picture_that_cannot_be_drawn_is_refused_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("ringsim.break_even.weigh", never)
    for name, words in (("it.bmp", "end its name in .svg or .png"), ("it.png", "pip install 'ringsim[plot]'")):
        if name == "it.png":
            monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(SystemExit) as stop:
            main([*COMMAND, "--picture", str(tmp_path / name)])
        err = capsys.readouterr().err
        assert stop.value.code == 2
        assert words in err
        assert len(err.splitlines()) == 1
