"""The study of convergence: its clock, its table, its files, and what the command says when something is wrong."""

import csv
import importlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ringsim.cli.converge import converge as command
from ringsim.gradients import model
from ringsim.question import Question
from ringsim.study import answer
from ringsim.training import Epoch, TrainingError
from ringsim.training.clock import Load, StepTime, step_seconds
from ringsim.training.converge import Plan, Run, Study, converge
from ringsim.training.page import document, page
from ringsim.training.picture import draw, looks

ASKED = Question("hccs", 8, model="resnet-50", algorithm="ring", rings=7)
PLAN = Plan(ASKED, task="ill-conditioned", epochs=3, codecs=("int8", "topk:0.01"))
FED = "error_feedback(topk:0.01)"


@pytest.fixture(scope="module")
def study() -> Study:
    return converge(PLAN)


# -- the clock ---------------------------------------------------------------------------------------------


def test_a_step_is_computing_and_the_simulated_all_reduce() -> None:
    found = step_seconds(ASKED, Load())
    assert found.all_reduce * 1e6 == answer(ASKED).best.time_us
    assert found.compute == pytest.approx(24.535e9 * 32 / (0.4 * 376e12), rel=1e-3)
    assert found.seconds == found.compute + found.all_reduce
    assert found.result.case.bytes == 4 * 25_557_032


def test_a_load_of_ones_own_changes_the_computing_alone() -> None:
    usual, own = step_seconds(ASKED, Load()), step_seconds(ASKED, Load(batch=64, mfu=0.2, peak=188e12))
    assert own.compute == pytest.approx(8 * usual.compute)
    assert own.all_reduce == usual.all_reduce


def test_overlap_hides_no_more_than_there_is() -> None:
    found = step_seconds(ASKED, Load(batch=1, overlap=0.5))
    assert found.seconds == pytest.approx(found.all_reduce + 0.5 * found.compute)
    found = step_seconds(ASKED, Load(batch=10_000, overlap=1))
    assert found.seconds == found.compute


def test_int8_makes_the_all_reduce_shorter() -> None:
    asked = replace(ASKED, cards=64)
    assert step_seconds(replace(asked, compress="int8"), Load()).all_reduce < step_seconds(asked, Load()).all_reduce


def test_gradients_too_large_for_a_card_are_remarked_upon() -> None:
    said: list[str] = []
    step_seconds(replace(ASKED, model="gpt-neox-20b"), Load(), notice=said.append)
    assert any("GiB do not fit in the 64GiB of one Ascend 910B" in remark for remark in said), said
    said.clear()
    step_seconds(ASKED, Load(), notice=said.append)
    assert not any("fit" in remark for remark in said)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (Load(batch=0), "batch = 0: at least 1"),
        (Load(mfu=0), "mfu = 0: a part of the peak"),
        (Load(mfu=1.5), "mfu = 1.5: a part of the peak"),
        (Load(peak=0), "peak = 0: operations per second"),
        (Load(overlap=2), "overlap = 2: a part of the computing"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(load: Load, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        step_seconds(ASKED, load)


# -- the study ---------------------------------------------------------------------------------------------


def test_the_first_run_has_no_codec_and_sets_the_target(study: Study) -> None:
    assert [run.compress for run in study.runs] == ["none", "int8:256", "topk:0.01"]
    first = study.runs[0]
    assert study.target == first.epochs[2].loss
    assert study.target_epoch == 2
    assert study.seconds_to_target(first) == pytest.approx(64 * first.step.seconds)
    assert study.gain(first) == 1
    assert study.seconds_to_target(study.runs[2]) is None
    assert study.gain(study.runs[2]) is None


def test_seconds_are_steps_times_the_step_of_each_codec(study: Study) -> None:
    for run in study.runs:
        assert run.step.all_reduce * 1e6 == answer(replace(ASKED, compress=run.compress)).best.time_us
        assert [run.seconds(epoch) for epoch in run.epochs] == pytest.approx(
            [k * 32 * run.step.seconds for k in range(4)]
        )


def test_steps_of_the_warm_up_take_what_uncompressed_ones_take() -> None:
    plan = replace(PLAN, epochs=2, warm_up=1, codecs=("int8",))
    none, int8 = converge(plan).runs
    assert int8.epochs[1] == none.epochs[1]
    assert int8.seconds(int8.epochs[1]) == none.seconds(none.epochs[1])
    assert int8.seconds(int8.epochs[2]) == pytest.approx(32 * (none.step.seconds + int8.step.seconds))


def test_every_piece_of_work_is_told_of() -> None:
    told: list[tuple[int, int, str]] = []
    converge(replace(PLAN, epochs=2, codecs=("int8",)), steps=lambda *step: told.append(step))
    assert [done for done, _, _ in told] == [0, 2, 3, 3, 5, 6]
    assert {total for _, total, _ in told} == {6}
    assert told[0][2] == "simulating none"
    assert told[-1][2] == "training int8:256"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "chess"}, "task = chess: one of digits, ill-conditioned"),
        ({"optimizer": "lion"}, "optimizer = lion: one of sgd, momentum, adam"),
        ({"rate": 0.0}, "rate = 0: above 0"),
        ({"epochs": 0}, "epochs = 0: at least 1"),
        ({"codecs": ("dgc:0.01",)}, "compress = dgc:0.01:0:0.9: it has a momentum of 0.9 of its own"),
        ({"codecs": ("zip",)}, "compress = 'zip': there is no codec 'zip'"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_any_work(change: dict[str, object], said: str) -> None:
    def never(question: Question, load: Load) -> StepTime:
        raise AssertionError

    with pytest.raises(TrainingError, match=said):
        converge(replace(PLAN, **change), clock=never)  # type: ignore[arg-type]


def test_the_same_codec_twice_is_trained_once() -> None:
    assert replace(PLAN, codecs=("int8", "none", "int8:256")).specs == ("none", "int8:256")


# -- what is written ---------------------------------------------------------------------------------------


def test_the_page_says_that_a_small_model_stands_in(study: Study) -> None:
    text = "\n".join(line.text for line in page(study))
    assert "a small model learns, with real codecs; resnet-50, which is not trained, sets the clock" in text
    assert "32 images on each card (32 images on each of 256 GPUs: Goyal et al. 2017" in text
    assert "at 40% of 376 TFLOPS" in text
    assert "sgd, rate 1, tuned without compression; seed 0" in text
    assert "never there: topk:0.01" in text
    assert len(page(study, quiet=True)) == 2 + 3 + 3


def test_rows_and_document_say_the_same(study: Study) -> None:
    rows, told = study.rows(), document(study)
    assert len(rows) == 3 * 4
    assert [row["loss"] for row in rows] == [epoch["loss"] for run in told["runs"] for epoch in run["epochs"]]
    assert told["parameters"] == model("resnet-50").parameters
    assert told["batch_per_card"] == 32
    assert told["runs"][0]["gain"] == 1
    json.dumps(told, allow_nan=False)


@pytest.fixture
def lost(study: Study) -> Study:
    """A study with a run that diverges."""
    run = study.runs[2]
    gone = (*run.epochs[:2], Epoch(2, 40, math.inf, None))
    return replace(study, runs=(*study.runs[:2], replace(run, epochs=gone)))


def test_a_run_that_diverges_is_called_so_and_leaves_no_infinity_in_json(lost: Study) -> None:
    assert isinstance(lost.runs[2], Run)
    assert lost.runs[2].diverged
    assert any("diverged" in line.text for line in page(lost))
    told = document(lost)
    assert told["runs"][2]["epochs"][-1]["loss"] is None
    assert told["runs"][2]["diverged"]
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("name", ["loss.png", "loss.svg"])
def test_pictures_are_drawn_even_of_runs_that_diverge(lost: Study, tmp_path: Path, name: str) -> None:
    draw(lost.rows(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith((b"\x89PNG", b"<?xml"))
    again = tmp_path / f"again{Path(name).suffix}"
    draw(lost.rows(), again)
    assert again.read_bytes() == (tmp_path / name).read_bytes()


def test_a_codec_has_one_colour_with_and_without_error_feedback() -> None:
    found = looks([{"compress": spec} for spec in ("none", "topk:0.01", "int8:256", FED)])
    assert found["topk:0.01"]["color"] == found[FED]["color"] != found["int8:256"]["color"]
    assert found["topk:0.01"]["linestyle"] != found[FED]["linestyle"]


# -- the command -------------------------------------------------------------------------------------------

ARGUMENTS = (
    "--fabric", "hccs", "--cards", "8", "--model", "resnet-50", "--task", "ill-conditioned", "--epochs", "2",
    "--compress", "int8",
)  # fmt: skip


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)
    if isinstance(result.exception, click.ClickException):
        raise result.exception
    assert result.exception is None, result.exception
    return result.stdout


def test_the_command_prints_a_table_and_writes_files(tmp_path: Path) -> None:
    table, picture = tmp_path / "loss.csv", tmp_path / "loss.png"
    out = invoke(*ARGUMENTS, "--output", table, "--picture", picture)
    assert "int8:256" in out
    assert "gain" in out
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["compress"], row["epoch"]) for row in rows] == [
        (spec, str(epoch)) for spec in ("none", "int8:256") for epoch in range(3)
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_json_is_one_object() -> None:
    told = json.loads(invoke(*ARGUMENTS, "--json"))
    assert told["schema"] == 1
    assert told["fabric"] == "hccs"
    assert [run["compress"] for run in told["runs"]] == ["none", "int8:256"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--compress", "zip"), "compress = 'zip': there is no codec 'zip'"),
        (("--model", "gpt-5"), "model = gpt-5: one of resnet-50, bert-large, gpt-neox-20b, llama-3-8b"),
        (("--task", "chess"), "task = chess: one of digits, ill-conditioned"),
        (("--workers", "1"), "workers = 1: data-parallel training has at least 2"),
        (("--mfu", "7"), "mfu = 7: a part of the peak"),
        (("--through", "best"), "algorithm = best: one of ring"),
        (("--epochs", "x"), "epochs = x: not a whole number"),
        (("--picture", "loss.docx"), "docx"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(more: tuple[str, str], said: str) -> None:
    with pytest.raises(click.ClickException) as caught:
        invoke(*ARGUMENTS, *more)
    assert said in caught.value.format_message()
    assert "\n" not in caught.value.format_message()


def test_without_scikit_learn_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(click.ClickException, match=r"pip install 'ringsim\[train\]'"):
        invoke("--fabric", "hccs", "--cards", "8", "--model", "resnet-50")


# -- the benchmark -----------------------------------------------------------------------------------------

FOLDER = Path(__file__).parents[1] / "benchmarks"


def test_the_benchmark_trains_writes_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    try:
        script = importlib.import_module("converge")
        result = CliRunner().invoke(script.main, ["--quick", "--out", str(tmp_path)])
        assert result.exit_code == 0, result.output
        rows = script.table(tmp_path / "converge.csv")
        assert {row["compress"] for row in rows} == {"none", "topk:0.01", FED}
        assert (tmp_path / "converge.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / "converge_clock.png").read_bytes().startswith(b"\x89PNG")
        again = CliRunner().invoke(script.main, ["--plot-only", "--out", str(tmp_path)])
        assert again.exit_code == 0, again.output
    finally:
        for name in set(sys.modules) - before:
            if name in ("converge", "plots", "sweep"):
                del sys.modules[name]


def test_the_rates_are_the_best_of_the_table() -> None:
    from ringsim.training import RATES

    with (FOLDER / "results" / "converge_rates.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for (task, name), rate in RATES.items():
        own = [row for row in rows if (row["task"], row["optimizer"]) == (task, name)]
        assert float(min(own, key=lambda row: float(row["loss"]))["rate"]) == pytest.approx(rate)
