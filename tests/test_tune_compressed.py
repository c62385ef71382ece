"""The tuner with codecs: only what a codec permits is tried, nobody does better by hand, and plans say what they cost."""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ringsim import fabric, fidelity, memory, topology
from ringsim.candidates import choices
from ringsim.catalogue import GATHER
from ringsim.cli import main
from ringsim.codecs import parse
from ringsim.collectives import COLLECTIVES
from ringsim.compression import permitted
from ringsim.question import Question, StudyError
from ringsim.result import Result
from ringsim.study import answer
from ringsim.tune import export
from ringsim.tune import table as tables
from ringsim.tune.page import page
from ringsim.tune.reason import why
from ringsim.tune.search import Tuned
from ringsim.tune.store import Store
from ringsim.tune.table import Table, tune

NOWHERE = Store(None)
SIZES = [2**14, 2**24]
CODECS = ["int8", "fp16", "powersgd:2", "topk:0.01", "error_feedback(topk:0.05)"]
CLUSTER = Question("hccs", 16)


def us(result: Result) -> float:
    assert result.time_us is not None
    return result.time_us


@pytest.fixture(scope="module", params=CODECS)
def table(request: pytest.FixtureRequest) -> Table:
    return tune(replace(CLUSTER, compress=request.param), SIZES)


# -- what is tried, and what comes of it ----------------------------------------------------------------------


def test_no_algorithm_that_the_codec_permits_is_faster_by_hand(table: Table) -> None:
    for row in table.rows:
        question, times = replace(table.question, size=row.tuned.bytes), {}
        for name in ("auto", *choices(question)):
            try:
                times[name] = us(answer(replace(question, algorithm=name)).best)
            except StudyError:
                assert name != "auto"
        assert len(times) > 12
        assert us(row.tuned.best) <= min(times.values()), times
        assert row.tuned.best.bound_us <= us(row.tuned.best) * (1 + 1e-9)


def test_all_that_is_permitted_is_tried_and_nothing_else(table: Table) -> None:
    codec = table.question.codec()
    assert codec is not None
    for row in table.rows:
        tried = {result.case.algorithm for result in row.tuned.tried}
        assert tried <= set(permitted(codec))
        assert {"ring", "tree", "hierarchical-one-shot"} <= tried
        assert any(name.startswith(GATHER) for name in tried) == (codec.combine != "linear")
        assert {result.case.compress for result in row.tuned.tried} == {codec.spec}


def test_the_question_of_a_row_asks_for_its_plan(table: Table) -> None:
    for row in table.rows:
        found = answer(row.question)
        assert [result.time_us for result in found.candidates] == [row.tuned.best.time_us]
        assert found.best.case == row.tuned.best.case
        assert found.best.code_bytes == row.tuned.best.code_bytes


def test_plans_say_how_true_their_sums_are(table: Table) -> None:
    for row in table.rows:
        best = row.tuned.best
        found = fidelity.measure(best.case, table.topology)
        if "powersgd" in best.case.compress and best.case.count > fidelity.LONGEST:
            assert found is None, "a low rank fits a part of a vector better than all of it"
            assert (best.error, best.error_elements, best.agree) == (None, None, None)
        else:
            assert found is not None
            assert (best.error, best.error_elements, best.agree) == (found.error, found.elements, True)
            assert found.elements == min(best.case.count, fidelity.LONGEST)
        assert best is row.tuned.tried[0]
        # Of one plan for each algorithm and order it is measured, not of all that were tried.
        assert all(result.error is None for result in row.tuned.tried[1:])


@pytest.mark.parametrize(
    ("compress", "name"), [("int8", "ring"), ("fp16", "ring"), ("topk:0.01", "gather-ring"), ("none", "ring")]
)
def test_the_naive_plan_is_one_ring_with_the_same_codec(compress: str, name: str) -> None:
    (row,) = tune(replace(CLUSTER, compress=compress), [2**20], among=("tree",)).rows
    naive = row.tuned.naive.case
    assert (naive.algorithm, naive.channels) == (name, 1)
    assert naive.compress == row.tuned.best.case.compress
    alone = answer(replace(CLUSTER, size=2**20, compress=compress, algorithm=name, rings=1)).best
    assert row.tuned.gain == us(alone) / us(row.tuned.best)


def test_a_codec_of_ratio_one_without_a_cost_changes_no_plan() -> None:
    plain, same = (tune(replace(CLUSTER, compress=compress), SIZES) for compress in ("none", "identity"))
    for one, two in zip(plain.rows, same.rows, strict=True):
        assert us(one.tuned.best) == us(two.tuned.best)
        assert replace(two.tuned.best.case, compress="") == one.tuned.best.case
        assert (one.low, one.high) == (two.low, two.high)
    assert plain.rows[0].tuned.best.error is None
    assert same.rows[0].tuned.best.error == pytest.approx(0, abs=1e-6)


def test_codes_are_cut_into_fewer_pieces_than_vectors() -> None:
    """What is too small to be cut again is the code, not the vector: 16 MiB of a thousandth's top are 32 KiB."""
    (row,) = tune(replace(CLUSTER, compress="topk:0.001"), [2**24], among=("tree",)).rows
    case = row.tuned.best.case
    assert {result.case.pieces for result in row.tuned.tried} <= {1, 2, 4, *_default_pieces(row.question, "tree")}
    assert case.bytes / row.tuned.best.ratio == pytest.approx(row.tuned.best.code_bytes)


def _default_pieces(question: Question, name: str) -> set[int]:
    asked = replace(question, algorithm=name, rings=None, chunks=None, slices=None)
    return {result.case.pieces for rings in (None, 1) for result in answer(replace(asked, rings=rings)).candidates}


@pytest.mark.parametrize(
    ("compress", "name", "words"),
    [
        ("int8", "in-switch", "a switch adds numbers and cannot decode int8:256"),
        ("fp16", "gather-ring", r"one of ring, tree"), ("topk:0.01", "gather-rign", "one of gather-ring"),
        ("none", "gather-ring", "one of ring, tree"),
    ],
)  # fmt: skip
def test_what_codes_cannot_ride_is_refused_by_name(compress: str, name: str, words: str) -> None:
    with pytest.raises(StudyError, match=f"algorithms = {name}: .*{words}"):
        tune(replace(CLUSTER, compress=compress), [2**20], among=(name,))


# -- one size for a model --------------------------------------------------------------------------------------


def test_a_model_has_one_size() -> None:
    question = replace(CLUSTER, model="resnet-50", compress="int8")
    size, _ = question.payload()
    (row,) = tune(question, [size], among=("tree", "ring")).rows
    assert (row.low, row.high, row.tuned.bytes) == (size, size, size)
    assert answer(row.question).best.time_us == row.tuned.best.time_us
    for wrong in ([2**20], [2**20, size]):
        with pytest.raises(StudyError, match=f"model = resnet-50: its gradients have {size:,} bytes"):
            tune(question, wrong)


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


def test_another_codec_is_another_question_and_the_same_one_is_not(tmp_path: Path, searched: list[int]) -> None:
    few, store = ("ring", "tree"), Store(tmp_path)
    found = {}
    for compress in ("none", "int8", "int8:512", "fp16"):
        (row,) = tune(replace(CLUSTER, compress=compress), [4096], among=few, store=store).rows
        found[compress] = row
    assert searched == [4096] * 4
    # Written in another way it is the same codec.
    (again,) = tune(replace(CLUSTER, compress="int8:256"), [4096], among=few, store=Store(tmp_path)).rows
    assert searched == [4096] * 4
    assert again.tuned == found["int8"].tuned
    assert again.tuned.best.error == found["int8"].tuned.best.error
    assert len({us(row.tuned.best) for row in found.values()}) == 4


def test_so_is_another_model(tmp_path: Path, searched: list[int]) -> None:
    """A codec sees the sides of a model's tensors, which a vector of as many elements has not."""
    plain = replace(CLUSTER, compress="int8", model="resnet-50")
    size, _ = plain.payload()
    for question in (plain, replace(plain, model=None), plain):
        tune(question, [size], among=("tree",), store=Store(tmp_path))
    assert searched == [size, size]


def test_a_kept_error_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = replace(CLUSTER, compress="int8")
    first = tune(question, SIZES, among=("tree",), store=Store(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a sum was asked for")

    monkeypatch.setattr(fidelity, "measure", refuse)
    assert tune(question, SIZES, among=("tree",), store=Store(tmp_path)).rows == first.rows


def test_it_is_measured_once_for_each_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = []

    def measure(case: Any, cluster: Any) -> fidelity.Fidelity | None:
        cases.append(case.algorithm)
        return real(case, cluster)

    real = fidelity.measure
    monkeypatch.setattr(fidelity, "measure", measure)
    rows = tune(replace(CLUSTER, compress="int8"), [2**12, 2**20, 2**26], among=("tree",)).rows
    assert cases == ["tree"] * 2, "a short vector is all summed, of long ones the same part"
    assert len({row.tuned.best.error for row in rows}) == 2


def test_what_would_take_long_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "MOST_FIRINGS", 1)
    found = tune(replace(CLUSTER, compress="int8"), [2**20], among=("tree",))
    assert (found.rows[0].tuned.best.error, found.rows[0].tuned.best.agree) == (None, None)
    line = next(line.text for line in page(found, [""]) if "of int8:256" in line.text)
    assert line.split()[-1] == "-"


# -- in words ------------------------------------------------------------------------------------------------


def test_every_line_names_the_codec_and_the_last_column_is_the_error(table: Table) -> None:
    lines = [line.text for line in page(table, [why(table, row, NOWHERE) for row in table.rows])]
    codec = table.question.codec()
    assert codec is not None
    (said,) = [line for line in lines if line.startswith("codec ")]
    assert f"{codec.spec}, a {codec.combine} codec" in said
    plans = [line for line in lines if f" of {codec.spec} " in line]
    assert len(plans) == len(table.rows)
    for row, line in zip(table.rows, plans, strict=True):
        error = row.tuned.best.error
        assert line.split()[-1] in (("-",) if error is None else (f"{error:.1%}", "<0.1%"))


def test_work_that_matters_is_mentioned_in_the_reason() -> None:
    question = replace(CLUSTER, compress="int8", changes=("card.memory_bandwidth=20GB/s",))
    found = tune(question, [2**26], among=("tree",))
    said = why(found, found.rows[0], NOWHERE)
    assert "memor" in said
    assert "encoding and decoding " in said
    fast = tune(replace(CLUSTER, compress="fp16"), [2**12], among=("tree",))
    assert "encoding" not in why(fast, fast.rows[0], NOWHERE)


# -- files for libraries -----------------------------------------------------------------------------------


def test_no_file_can_say_that_codes_are_sent(tmp_path: Path) -> None:
    found = tune(replace(CLUSTER, compress="topk:0.01"), [2**20], among=("tree", "gather-ring"))
    for write, name in ((export.write_nccl, "nccl"), (export.write_hccl, "hccl")):
        with pytest.raises(StudyError, match=f"{name}: its files cannot say that codes of topk:0.01 are sent"):
            write(found, tmp_path / name)
    with pytest.raises(StudyError, match=r"msccl: its files cannot say that codes of topk:0\.01 are sent; leave"):
        list(export.write_msccl(found, tmp_path))
    assert not list(tmp_path.iterdir())


# -- the command line --------------------------------------------------------------------------------------

COMMAND = ["tune", "--fabric", "hccs", "--cards", "16", "--algorithms", "ring,tree"]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line that has to succeed and return its standard output."""

    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(args)
        out, err = capsys.readouterr()
        assert stop.value.code == 0, err
        return str(out)

    return run


def test_json_has_the_codec_the_ratio_and_the_error_and_commands_hold(say: Callable[..., str]) -> None:
    args = [*COMMAND, "-b", "64K", "-e", "16M", "-f", "256", "--compress", "fp16", "--json"]
    for row in json.loads(say(*args))["rows"]:
        case, result = row["plan"]["case"], row["plan"]["result"]
        assert (case["compress"], result["ratio"], result["agree"]) == ("fp16", 2.0, True)
        assert 0 < result["error"] < 1e-3
        assert row["naive"]["case"]["compress"] == "fp16"
        found = json.loads(say(*shlex.split(row["command"])[1:], "--json"))
        assert found["result"]["time_us"] == result["time_us"]
        assert found["case"]["compress"] == "fp16"


def test_a_model_is_tuned_for_its_size(say: Callable[..., str]) -> None:
    text = say(*COMMAND, "--model", "resnet-50", "--compress", "int8")
    assert text.splitlines()[0].startswith("all-reduce of 97.49MiB, the gradients of resnet-50, on 16 cards of hccs")
    (row,) = json.loads(say(*COMMAND, "--model", "resnet-50", "--compress", "int8", "--json"))["rows"]
    assert row["min_bytes"] == row["max_bytes"] == Question("hccs", 16, model="resnet-50").payload()[0]
    found = json.loads(say(*shlex.split(row["command"])[1:], "--json"))
    assert found["result"]["time_us"] == row["plan"]["result"]["time_us"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--compress", "int9"], "compress = int9"), (["--compress", "int8", "--dtype", "int32"], "dtype = int32"),
        (["--compress", "int8", "--collective", "broadcast"], "compress = int8: gradients are compressed"),
        (["--compress", "int8", "--nccl", "f"], "nccl: its files cannot say that codes of int8:256 are sent; leave"),
        (["--compress", "bf16", "--hccl", "f"], "bf16 are sent; ask for --dtype bfloat16 instead"),
        (["--compress", "int8", "--msccl", "."], "msccl: its files cannot"), (["--model", "gpt-0"], "model = gpt-0"),
        (["--model", "resnet-50", "-b", "1M"], "-b: the gradients of a model have one size"),
        (["--model", "resnet-50", "--factor", "2"], "-f: the gradients of a model have one size"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    args: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([*COMMAND, *args])
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1), err
    assert words in err
    assert not list(tmp_path.iterdir())


# -- what does not fit ---------------------------------------------------------------------------------------


def pretend(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    fake = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=free))
    monkeypatch.setitem(sys.modules, "psutil", fake)


@pytest.mark.parametrize("compress", CODECS)
@pytest.mark.parametrize("cards", [8, 64])
def test_rows_with_a_codec_are_at_most_five_times_as_many(compress: str, cards: int) -> None:
    """Five are what is estimated; only sums that grow have more, and those are estimated when they are laid."""
    question = Question("hccs", cards, size="1M", compress=compress)
    codec = parse(compress)
    for name in choices(question):
        if codec.combine == "sparsifier" and not name.startswith(GATHER):
            continue
        try:
            found = answer(replace(question, algorithm=name))
        except StudyError:
            continue
        case, algorithm = found.best.case, choices(question)[name]
        assert found.program().rows <= 5 * algorithm.rows(found.topology, case.channels) + 2 * cards


def test_a_codec_is_estimated_to_need_more() -> None:
    cluster = topology.build(fabric.load("hccs"), 1024)
    plain = Question("hccs", 1024, algorithm="tree")
    for slow in (False, True):
        one = replace(plain, engine="reference") if slow else plain
        need = [memory.estimate(replace(one, compress=c), cluster, ("tree",)) for c in ("none", "int8")]
        assert need[1] > 1.5 * need[0]


def test_what_does_not_fit_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 3e9)
    with pytest.raises(StudyError, match=r"cards = 100000: needs about [\d.]+ GB of memory and 3.0 GB are free; fewer"):
        answer(Question("hccs", 100_000, compress="int8"))


def test_a_sum_that_grows_is_refused_before_it_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On 1,024 cards each hands on half of 16,384 units, then a quarter: 34 million places."""
    pretend(monkeypatch, 1e9)
    question = Question("hccs", 1024, compress="topk:0.01", algorithm="halving-doubling")
    with pytest.raises(StudyError, match=r"halving-doubling: cards = 1024: needs about 1\.[89] GB .*gather-ring"):
        answer(question)
    # Whoever asks for several is given those that fit.
    found = tune(Question("hccs", 128, compress="topk:0.01"), [2**20], among=("halving-doubling", "tree"))
    assert found.rows[0].tuned.best.case.algorithm in COLLECTIVES["all-reduce"]
