"""Does it pay: the crossing, what is left out on the way to it, the table, and the command."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ringsim import fabric as fabrics
from ringsim.break_even import DEFAULT, GOOD, LEAST, MOST, Entrant, Row, Table, crossing, faster, weigh
from ringsim.break_even.page import document, page, sentences
from ringsim.candidates import Layouts
from ringsim.cli import main
from ringsim.codecs import parse
from ringsim.question import Question, StudyError
from ringsim.race import Track
from ringsim.result import Result
from ringsim.study import answer, cluster

SMALL = Question("hccs", 16, "16M")


def us(result: Result | None) -> float:
    assert result is not None
    assert result.time_us is not None
    return result.time_us


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
        return math.log((kept / factor + stays) / (1 / factor))

    assert crossing(lead) == pytest.approx((1 - kept) / stays, rel=0.01)
    assert len(looks) <= 10


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

    entrant = Entrant(question, track)
    for factor in (4.0, 0.25, 40.0, 2.0):
        best = answer(replace(question, fabric=faster(here.fabric, factor))).best
        assert entrant.least_us(factor) == pytest.approx(us(best), rel=1e-12), factor


def test_a_limit_is_no_time_that_is_taken_for_one() -> None:
    here = cluster(SMALL)
    entrant = Entrant(replace(SMALL, compress="int8"), lambda f: Track(replace(here, fabric=faster(here.fabric, f))))  # type: ignore[call-arg]
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
            none, with_it = (us(answer(replace(there, compress=spec)).best) for spec in ("none", row.spec))
            assert (with_it < none) is pays, (row.spec, row.factor, side)


# -- the table -----------------------------------------------------------------------------------------------


def test_rows_are_what_a_run_says(small: Table) -> None:
    assert us(small.none) == us(answer(SMALL).best)
    for row in small.rows:
        best = answer(replace(SMALL, compress=row.spec)).best
        assert us(row.best) == us(best)
        assert row.best is not None
        assert (row.best.error, row.best.agree, row.best.ratio) == (best.error, True, best.ratio)
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
    table = weigh(SMALL, ("fp8", "int8", "fp8"))
    first, second, _ = table.rows
    assert us(first.best) == us(second.best)
    found = table.fastest(GOOD)
    assert found is not None
    errors = {row.spec: row.best.error for row in table.rows if row.best and row.best.error}
    assert errors[found.spec] == min(errors.values())


def test_the_default_codecs_are_one_of_each_kind() -> None:
    assert len(DEFAULT) == len(set(DEFAULT)) == 10
    assert {parse(spec).combine for spec in DEFAULT} == {"linear", "quantiser", "sparsifier"}


def test_it_is_told_how_far_it_is() -> None:
    told = list[tuple[int, int, str]]()
    weigh(Question("hccs", 4, "64K"), ("fp16", "int8"), steps=lambda *step: told.append(step))
    assert told == [(0, 2, "none"), (0, 2, "fp16"), (1, 2, "int8")]


def test_what_no_algorithm_carries_is_refused_and_the_others_are_weighed() -> None:
    question = Question("nvlink4", 16, "16M", algorithm="in-switch")
    table = weigh(question, ("int8", "fp16"))
    refused, carried = table.rows
    assert refused.best is None
    assert "a switch adds numbers and cannot decode" in refused.refused
    assert us(carried.best) < us(table.none)
    lines = text(table).splitlines()
    assert sum("cannot decode" in line for line in lines) == 1
    assert next(line for line in lines if line.startswith("int8 ")).split()[1:] == ["-"] * 9
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
            assert f"{392 * row.factor:,.4g}" in line
            assert line.endswith(f"{25 * row.factor:,.4g}")
    assert "never" in lines[start + shown.index("identity")]
    assert lines[start].split()[-2:] == ["392", "25"]


def test_headlines_are_the_vendors_figures() -> None:
    table = weigh(Question("nvlink3", 8, "16M"), ("int8",))
    found = document(table)["codecs"][0]
    assert found["links_GBps"] == pytest.approx(600 * found["factor"])
    none = next(line for line in text(table).splitlines() if line.startswith("none"))
    assert none.split()[-2:] == ["600", "-"]  # eight cards of one node use no NIC


def test_header_lines_fit_a_terminal_of_100_columns(small: Table) -> None:
    lines = [line.text for line in page(small)]
    assert all(len(line) <= 100 for line in lines[: lines.index("", 2)])


def test_sentences_name_the_best_and_why(small: Table) -> None:
    found = sentences(small)
    fastest, true = small.fastest(), small.fastest(GOOD)
    assert fastest
    assert true
    assert true.best
    assert list(found) == ["fastest", "error <5%", "why"]
    assert found["fastest"].startswith(f"{fastest.spec}, {small.gain(fastest.best):.3g} times as fast")  # type: ignore[arg-type]
    assert found["error <5%"].startswith(f"{true.spec}, {small.gain(true.best):.3g} times as fast")
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
    assert found["fastest"] == fastest.spec
    assert found["says"] == sentences(small)


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
