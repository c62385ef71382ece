"""A question has one answer: which candidates are looked at, which are left out and why, and what is written down.

Leaving a candidate out is a claim that it is slower, so every one that is left out is asked for by itself.
"""

import ast
import dataclasses
import inspect
import json
import subprocess
import sys
from dataclasses import fields, replace
from math import inf
from typing import Any

import pytest

import ringsim
from ringsim import fabric, race
from ringsim.collectives import ALGORITHMS
from ringsim.fabric import FabricError
from ringsim.result import SCHEMA, Case, Result, to_json
from ringsim.study import DTYPES, Answer, Question, StudyError, answer
from ringsim.topology import LINK_KINDS, TopologyError

ROUNDING = 1e-9

#: Enough variety for every reason to leave something out: latency, bandwidth, channels, protocols, algorithms.
QUESTIONS = [
    Question("nvlink3", 8, "1K"),
    Question("nvlink3", 8, "512M"),
    Question("nvlink3", 64, "64M"),
    Question("nvlink3", 20, "8M"),
    Question("nvlink3", 16, "256M", domain="all"),
    Question("hccs", 8, "256M"),
    Question("hccs", 64, "1G"),
    Question("hccs", 17, "4M"),
]


def ask(case: Case, question: Question) -> Result:
    """Ask for one candidate by itself."""
    pieces = {ALGORITHMS[case.algorithm].piece: case.pieces}
    alone = replace(question, algorithm=case.algorithm, protocol=case.protocol, rings=case.channels, **pieces)
    found = answer(alone)
    assert len(found.candidates) == 1
    return found.best


# -- candidates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q.fabric}-{q.cards}-{q.size}")
def test_candidates_are_looked_at_in_the_order_of_their_floors_and_the_best_is_the_fastest(question: Question) -> None:
    found = answer(question)
    floors = [candidate.floor_us for candidate in found.candidates]
    assert floors == sorted(floors)
    times = [c.time_us for c in found.candidates if c.time_us is not None]
    assert found.best.time_us == min(times)
    assert found.best in found.candidates
    assert found.candidates[0].time_us is not None
    # Each combination of algorithm, protocol and one or all channels, once.
    expected = {
        (name, protocol, channels)
        for name, algorithm in ALGORITHMS.items()
        if algorithm.auto
        for protocol in found.fabric.protocols
        for channels in {1, algorithm.channels(found.topology)}
    }
    looked_at = [(c.case.algorithm, c.case.protocol, c.case.channels) for c in found.candidates]
    assert len(looked_at) == len(set(looked_at))
    assert set(looked_at) == expected


def test_all_is_everything_that_fits_and_the_best_of_it_is_no_slower() -> None:
    question = Question("hccs", 16, "1M")
    few, every = answer(question), answer(replace(question, algorithm="all"))
    fitting = {name for name in ALGORITHMS if fits(question, name)}
    assert {c.case.algorithm for c in every.candidates} == fitting
    assert "in-switch" not in fitting
    assert every.best.time_us is not None
    assert few.best.time_us is not None
    assert every.best.time_us <= few.best.time_us
    assert every.best.time_us == min(ask(c.case, question).time_us or inf for c in every.candidates)


def fits(question: Question, name: str) -> bool:
    try:
        return bool(answer(replace(question, algorithm=name)).candidates)
    except StudyError:
        return False


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q.fabric}-{q.cards}-{q.size}")
def test_what_is_left_out_really_is_slower(question: Question) -> None:
    found = answer(question)
    assert found.best.time_us is not None
    for candidate in found.candidates:
        alone = ask(candidate.case, question)
        assert alone.case == candidate.case
        assert alone.case.id() == candidate.case.id()
        assert alone.floor_us == candidate.floor_us
        assert alone.time_us is not None
        assert alone.time_us >= alone.floor_us * (1 - ROUNDING)
        if candidate.time_us is None:
            assert candidate.floor_us > found.best.time_us
            assert alone.time_us > found.best.time_us
            assert candidate.transfers_simulated == candidate.transfers_jumped == candidate.events == 0
            assert candidate.algbw_GBps is candidate.busbw_GBps is candidate.reached is None
        else:
            assert alone.time_us == candidate.time_us


def test_something_is_left_out_and_something_is_not() -> None:
    """Otherwise the test above has seen nothing."""
    results = [candidate for question in QUESTIONS for candidate in answer(question).candidates]
    left_out = sum(candidate.time_us is None for candidate in results)
    assert 10 < left_out < len(results) - 10


def test_what_is_fixed_is_kept() -> None:
    found = answer(Question("nvlink3", 8, "1M", algorithm="tree", protocol="LL", rings=3, chunks=5))
    assert [(c.case.algorithm, c.case.protocol, c.case.channels, c.case.pieces) for c in found.candidates] == [
        ("tree", "LL", 3, 5)
    ]
    assert {c.case.protocol for c in answer(Question("nvlink3", 8, "1M", protocol="LL")).candidates} == {"LL"}
    assert {c.case.channels for c in answer(Question("nvlink3", 8, "1M", rings=2)).candidates} == {2}
    ring = answer(Question("nvlink3", 8, "1M", algorithm="ring"))
    assert {c.case.channels for c in ring.candidates} == {8}, "an algorithm that is named gets all channels"
    assert {c.case.protocol for c in ring.candidates} == set(ring.fabric.protocols)
    # Pieces of one algorithm say nothing about the other's.
    both = answer(Question("nvlink3", 8, "1M", slices=7)).candidates
    assert {c.case.pieces for c in both if c.case.algorithm == "ring"} == {7}
    assert 7 not in {c.case.pieces for c in both if c.case.algorithm == "tree"}


def test_engines_give_one_answer() -> None:
    ours = answer(Question("nvlink3", 8, "1M", algorithm="ring", protocol="Simple")).best
    slow = answer(Question("nvlink3", 8, "1M", algorithm="ring", protocol="Simple", engine="reference")).best
    plain = answer(Question("nvlink3", 8, "1M", algorithm="ring", protocol="Simple", jump=False)).best
    assert ours.time_us == pytest.approx(slow.time_us, rel=ROUNDING)
    assert ours.time_us == pytest.approx(plain.time_us, rel=ROUNDING)
    assert slow.transfers_simulated == plain.transfers_simulated == ours.transfers
    assert (ours.case.jump, slow.case.jump, plain.case.jump) == (True, False, False)


def test_what_is_counted_adds_up() -> None:
    for question in QUESTIONS:
        for found in answer(question).candidates:
            done = found.transfers_simulated + found.transfers_jumped + found.transfers_folded
            assert done == (0 if found.time_us is None else found.transfers)
            assert found.busiest in LINK_KINDS
            assert found.bottleneck == (found.busiest if found.busy >= race.MOSTLY_BUSY else "latency")
            assert 0 < found.busy <= 1 + ROUNDING
            assert (found.wall_s > 0) == (found.time_us is not None)


def test_what_limits_a_run() -> None:
    """A gigabyte on a mesh fills its lanes, over nodes its NICs; eight bytes fill nothing."""
    assert answer(Question("hccs", 8, "1G")).best.bottleneck == "lane"
    assert answer(Question("nvlink3", 8, "1G")).best.bottleneck in ("card→switch", "switch→card")
    assert answer(Question("nvlink3", 128, "1G")).best.bottleneck in ("nic→leaf", "leaf→nic")
    assert answer(Question("nvlink3", 128, 8)).best.bottleneck == "latency"


# -- a fabric of one's own ---------------------------------------------------------------------------------------


def test_a_fabric_that_is_already_loaded_is_taken_as_it_is() -> None:
    sheet = fabric.load("hccs", changes=("nic.bandwidth=50GB/s",))
    mine = answer(Question(sheet, 16, "1M")).best
    named = answer(Question("hccs", 16, "1M", changes=("nic.bandwidth=50GB/s",))).best
    assert mine.case == named.case
    assert mine.time_us == named.time_us
    assert mine.case.changed == ("nic.bandwidth=50GB/s (was 25GB/s)",)
    assert answer(Question(sheet, 16, "1M")).fabric is sheet


@pytest.mark.parametrize("options", [{"network": "ib-hdr"}, {"changes": ("nic.bandwidth=50GB/s",)}])
def test_a_loaded_fabric_is_not_changed_behind_one_s_back(options: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match="network and changes apply to a fabric that is loaded by name"):
        answer(Question(fabric.load("hccs"), 16, "1M", **options))


# -- cases and their names ------------------------------------------------------------------------------------------

CASE = Case(
    fabric="f", network="n", fingerprint="00", cards=16, domain=8, nodes=2, collective="all-reduce", algorithm="ring",
    protocol="p", channels=2, pieces=1, bytes=64, count=16, dtype="float", engine="compiled", jump=True, seed=0,
)  # fmt: skip


def test_the_same_inputs_have_the_same_id_in_every_process() -> None:
    assert CASE.id() == replace(CASE).id()
    code = f"from ringsim.result import Case; print({CASE!r}.id())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == CASE.id()
    assert len(CASE.id()) == 16
    int(CASE.id(), 16)


@pytest.mark.parametrize("name", [f.name for f in fields(Case)])
def test_every_field_that_counts_changes_the_id(name: str) -> None:
    old = getattr(CASE, name)
    new: Any = ("a=1 (was 2)",) if name == "changed" else not old if isinstance(old, bool) else old + type(old)(1)
    # A copy of a file under another name is the same fabric.
    only_a_name = name in ("fabric", "network", "placement", "changed")
    assert (replace(CASE, **{name: new}).id() == CASE.id()) == only_a_name


def test_another_version_is_another_id(monkeypatch: pytest.MonkeyPatch) -> None:
    before = CASE.id()
    monkeypatch.setattr("ringsim.result.__version__", "99")
    assert CASE.id() != before


@pytest.mark.parametrize("change", [
    {"cards": 24}, {"size": "2M"}, {"domain": 4}, {"network": "ib-ndr"}, {"seed": 1}, {"jump": False}, {"dtype": "half"},
    {"engine": "reference"}, {"rings": 1}, {"slices": 5}, {"protocol": "LL"}, {"changes": ("card.memory=1GB",)},
    {"changes": ("nic.latency=1us",)}, {"algorithm": "tree"}, {"fabric": "nvlink4"},
])  # fmt: skip
def test_every_question_that_differs_is_another_case(change: dict[str, Any]) -> None:
    base = {"fabric": "nvlink3", "cards": 16, "size": "1M", "algorithm": "ring", "protocol": "Simple"}
    assert answer(Question(**base | change)).best.case.id() != answer(Question(**base)).best.case.id()


def test_a_case_says_what_was_asked() -> None:
    found = answer(Question("hccs", 20, "1M", algorithm="ring", dtype="bfloat16", seed=3, domain=4)).best.case
    sheet = fabric.load("hccs")
    assert found == Case(
        fabric="hccs", network="roce-200g", fingerprint=sheet.fingerprint(), cards=20, domain=4, nodes=5,
        collective="all-reduce", algorithm="ring", protocol="hccl", channels=4, pieces=1, bytes=2**20, count=2**19,
        dtype="bfloat16", engine="compiled", jump=True, seed=3, changed=(),
    )  # fmt: skip


# -- results ------------------------------------------------------------------------------------------------------


def test_bandwidths_are_those_of_nccl_tests() -> None:
    """Algbw = S/t; busbw = algbw · 2(p−1)/p. A gigabyte in 10 ms on 8 cards: 100 GB/s and 175 GB/s."""
    result = dummy(cards=8, bytes=10**9, time_us=10_000.0)
    assert result.algbw_GBps == pytest.approx(100)
    assert result.busbw_GBps == pytest.approx(175)
    assert result.reached == pytest.approx(0.25)
    assert dummy(cards=2, bytes=10**9, time_us=10_000.0).busbw_GBps == pytest.approx(100)


def test_what_was_not_simulated_has_no_bandwidth() -> None:
    result = dummy(time_us=None)
    assert result.algbw_GBps is result.busbw_GBps is result.reached is None
    assert json.loads(json.dumps(result.row()))["time_us"] is None


def dummy(*, time_us: float | None, **case: Any) -> Result:
    given = {f.name: 1 for f in fields(Result)} | {
        "case": replace(CASE, **case), "time_us": time_us, "bound_us": 2500.0, "bottleneck": "lane", "busiest": "lane",
    }  # fmt: skip
    return Result(**given)


@pytest.mark.parametrize("question", [QUESTIONS[0], QUESTIONS[5], replace(QUESTIONS[6], changes=("nic.latency=1us",))])
def test_a_row_is_flat_and_survives_json(question: Question) -> None:
    for found in answer(question).candidates:
        row = found.row()
        assert json.loads(json.dumps(row, allow_nan=False)) == row
        assert all(value is None or type(value) in (str, int, float, bool) for value in row.values()), row
        assert row["id"] == found.case.id()
        assert set(row) > {f.name for f in fields(Case)} | {f.name for f in fields(Result)} - {"case"}
        assert row["algbw_GBps"] == found.algbw_GBps
        assert row["changed"] == " ".join(found.case.changed)
        assert list(row) == list(answer(QUESTIONS[0]).best.row()), "every row has the same columns in the same order"


def test_names_of_outputs_carry_their_units() -> None:
    """Every output that is a float has a unit at the end of its name, or is a part of one or named `bytes`."""
    outputs = answer(QUESTIONS[0]).best.outputs()
    bare = {name for name, value in outputs.items() if isinstance(value, float)}
    assert {name for name in bare if name.rpartition("_")[2] not in ("us", "s", "GBps", "bytes")} == {
        "busy",
        "reached",
        "ratio",
    }


def test_json_lists_candidates_only_where_there_are_several() -> None:
    found = answer(QUESTIONS[0])
    document = to_json(found.best, found.candidates)
    assert document["schema"] == SCHEMA
    assert document["ringsim_version"] == ringsim.__version__
    assert document["case"]["id"] == found.best.case.id()
    assert document["result"]["time_us"] == found.best.time_us
    assert [c["case"]["id"] for c in document["candidates"]] == [c.case.id() for c in found.candidates]
    assert "candidates" not in to_json(found.best, (found.best,))
    assert json.loads(json.dumps(document, allow_nan=False))["result"] == document["result"]


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float8"}, "dtype = float8: one of int8, uint8,"),
        ({"dtype": "half", "size": 3}, "size = 3: not a whole number of half elements of 2 bytes"),
        ({"dtype": "double", "size": "1GB", "cards": 3}, None),
        ({"dtype": "double", "size": 12}, "size = 12: not a whole number of double elements of 8 bytes"),
        ({"size": 0}, "size = 0: a size must be larger than zero"),
        ({"size": -4}, "size = -4: a size must be larger than zero"),
        ({"size": "1.5"}, "size = 1.5: not a whole number of bytes"),
        ({"size": "1Gb"}, "size = 1Gb: 'Gb' is bits"),
        ({"size": "lots"}, "size = lots: "),
        ({"size": ""}, "size = (empty): "),
        ({"algorithm": "star"}, "algorithm = star: "),
        ({"protocol": "LL"}, "protocol = LL: "),
        ({"engine": "fast"}, "engine = fast: one of compiled, reference"),
        ({"rings": 0}, "rings = 0: hccs with 8 cards has room for 1 to 8 that do not get in each other's way"),
        (
            {"rings": 9, "algorithm": "tree"},
            "rings = 9: hccs with 8 cards has room for 1 to 8 that do not get in each other's way",
        ),
        ({"rings": -1}, "rings = -1: "),
        ({"rings": 2, "algorithm": "two-shot"}, "rings = 2: two-shot has one channel; leave --rings out"),
        ({"slices": 2, "algorithm": "tree"}, "slices = 2: tree has no slices; it is cut into chunks"),
        ({"chunks": 2, "algorithm": "ring"}, "chunks = 2: ring has no chunks; it is cut into slices"),
        ({"slices": 0, "algorithm": "ring"}, "slices = 0: between 1 and 1,000,000"),
        ({"chunks": 1_000_001, "algorithm": "tree"}, "chunks = 1000001: between 1 and 1,000,000"),
    ],
)
def test_what_cannot_be_answered_is_refused(options: dict[str, Any], message: str | None) -> None:
    question = Question(**{"fabric": "hccs", "cards": 8, "size": "1M"} | options)
    if message is None:
        assert answer(question).best.case.count == 125_000_000
        return
    with pytest.raises(StudyError) as error:
        answer(question)
    assert str(error.value).startswith(message)


def test_what_is_wrong_with_the_fabric_or_the_cluster_keeps_its_own_error() -> None:
    with pytest.raises(FabricError):
        answer(Question("nvlink33", 8))
    with pytest.raises(TopologyError):
        answer(Question("hccs", 1))
    with pytest.raises(TopologyError):
        answer(Question("hccs", 9, domain="all"))


def test_elements_are_counted_by_their_width() -> None:
    width = {1: "int8 uint8 f8e4m3 f8e5m2", 2: "half bfloat16", 4: "int32 uint32 float", 8: "int64 uint64 double"}
    assert {name: w for w, names in width.items() for name in names.split()} == DTYPES
    for dtype, bytes in DTYPES.items():
        found = answer(Question("hccs", 2, 4096, algorithm="ring", dtype=dtype)).best
        assert found.case.count * bytes == found.case.bytes == 4096


# -- the front door ------------------------------------------------------------------------------------------------


def test_three_lines_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """The example at the top of the package, as it stands there."""
    lines = [line.strip()[4:] for line in (ringsim.__doc__ or "").splitlines() if line.strip().startswith(">>>")]
    assert len(lines) == 3
    exec("\n".join(lines), {})
    words = capsys.readouterr().out.split()
    assert [words[1], words[3]] == ["us,", "GB/s"]
    assert float(words[0]) > 0


def test_run_is_the_best_answer_and_knows_every_field() -> None:
    result = ringsim.run("hccs", cards=16, size="1M", algorithm="ring", rings=3, slices=2)
    assert (result.case.channels, result.case.pieces) == (3, 2)
    assert dataclasses.replace(result, wall_s=0) == dataclasses.replace(
        answer(Question("hccs", 16, "1M", algorithm="ring", rings=3, slices=2)).best, wall_s=0
    )
    with pytest.raises(TypeError, match="flavour"):
        ringsim.run("hccs", 16, flavour="sweet")
    assert list(inspect.signature(Answer).parameters) == ["best", "candidates", "topology", "spent", "remarks"]


def test_every_name_that_is_promised_is_there() -> None:
    assert sorted(ringsim.__all__) == list(ringsim.__all__)
    for name in ringsim.__all__:
        assert getattr(ringsim, name).__name__ == name
    scope: dict[str, Any] = {}
    exec("from ringsim import *", scope)
    assert set(ringsim.__all__) <= set(scope)
    with pytest.raises(AttributeError, match="module 'ringsim' has no attribute 'nothing'"):
        ringsim.nothing  # noqa: B018


def test_type_checkers_see_the_names_that_are_loaded_late() -> None:
    tree = ast.parse(inspect.getsource(ringsim))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == {name: f"ringsim.{module}" for name, module in ringsim._WHERE.items()}
    assert sorted(seen) == list(ringsim.__all__)


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import ringsim", set()),
        ("import ringsim; ringsim.load('hccs'); ringsim.available()", set()),
        ("from ringsim import UnitError, Case, Result", set()),
        ("import ringsim; ringsim.build(ringsim.load('hccs'), 1024).links", {"numpy"}),
        ("import ringsim; ringsim.build(ringsim.load('hccs'), 8).graph()", {"numpy", "networkx"}),
        ("from ringsim import answer", {"numpy"}),
        ("import ringsim; ringsim.run('hccs', 2, size=8, engine='reference')", {"numpy", "simpy"}),
        ("import ringsim; ringsim.run('hccs', 2, size=8)", {"numpy", "numba"}),
    ],
)
def test_nothing_is_loaded_before_it_is_needed(code: str, loaded: set[str]) -> None:
    heavy = {"numpy", "numba", "networkx", "simpy", "click", "matplotlib"}
    look = f"{code}; import sys; print(*({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", look], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == loaded


def test_the_floor_counts_what_keeps_a_channel_busy() -> None:
    """Two cards, four slices of 1 us and 3.375 us busy each, and 0.5 us of copying: all but the last 25 ns of link."""
    result = ringsim.run("nvlink3", 2, size=960_000, algorithm="ring", protocol="Simple", slices=2)
    assert result.floor_us == pytest.approx(8.4 + 4 * 4.375 + 0.5, rel=1e-9)
    assert result.time_us == pytest.approx(result.floor_us + 0.025, rel=1e-9)


@pytest.mark.parametrize(
    ("fabric", "chunk", "slices"),
    [("nvlink3", 32 << 10, 1), ("nvlink3", (32 << 10) + 1, 2), ("nvlink3", 8, 1), ("nvlink4-h800", 32 << 10, 1)],
)
def test_slices_of_a_ring_are_no_smaller_than_the_library_s(fabric: str, chunk: int, slices: int) -> None:
    """A chunk is what one of NCCL's 24 channels, 16 on H800, carries of one of eight parts."""
    channels = 16 if fabric == "nvlink4-h800" else 24
    result = ringsim.run(fabric, 8, size=8 * channels * chunk, algorithm="ring", protocol="Simple")
    assert result.case.pieces == slices


@pytest.mark.parametrize("codec", ["bf16", "int8", "topk:0.01"])
def test_with_a_codec_decoding_is_the_copy_out(codec: str) -> None:
    question = Question("nvlink4", 8, size="16M", algorithm="ring", protocol="Simple")
    assert answer(question).program().closing is not None
    program = answer(replace(question, compress=codec)).program()
    assert program.closing is None
    assert program.overhead.any()
