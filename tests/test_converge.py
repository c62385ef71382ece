"""The study of convergence: its clock, its table, its files, and what the command says when something is wrong."""

import csv
import importlib
import json
import math
import statistics
import sys
from dataclasses import fields, replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ringsim.cli import main
from ringsim.cli.converge import converge as command
from ringsim.gradients import MODELS, model
from ringsim.question import Question
from ringsim.study import answer
from ringsim.training import TASKS, Epoch, Setup, TrainingError, optimizer, train
from ringsim.training.clock import Load, StepTime, step_seconds
from ringsim.training.converge import converge
from ringsim.training.outcome import TOLERANCE, Run, Study
from ringsim.training.page import document, page, warm_up_hint
from ringsim.training.picture import draw, looks
from ringsim.training.plan import Plan

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


def test_a_clock_without_a_model_is_refused() -> None:
    with pytest.raises(TrainingError, match="model is missing: the clock is that of one of resnet-50"):
        step_seconds(replace(ASKED, model=None), Load())


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (Load(batch=0), "batch = 0: at least 1"),
        (Load(mfu=0), "mfu = 0: a part of the peak"),
        (Load(mfu=1.5), "mfu = 1.5: a part of the peak"),
        (Load(mfu=math.nan), "mfu = nan: a part of the peak"),
        (Load(peak=0), "peak = 0: operations per second"),
        (Load(peak=math.inf), "peak = inf: operations per second"),
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
    assert study.steps == 32
    assert study.epochs_to_target(first) == pytest.approx(2)
    assert study.seconds_to_target(first) == pytest.approx(64 * first.step.seconds)
    assert study.gain(first) == 1
    assert study.seconds_to_target(study.runs[2]) is None
    assert study.gain(study.runs[2]) is None


def test_seconds_are_steps_times_the_step_of_each_codec(study: Study) -> None:
    for run in study.runs:
        assert run.step.all_reduce * 1e6 == answer(replace(ASKED, compress=run.compress)).best.time_us
        assert [run.seconds(epoch.steps) for epoch in run.epochs] == pytest.approx(
            [k * 32 * run.step.seconds for k in range(4)]
        )


def test_steps_of_the_warm_up_take_what_uncompressed_ones_take() -> None:
    plan = replace(PLAN, epochs=2, warm_up=1, codecs=("int8",))
    none, int8 = converge(plan).runs
    assert int8.epochs[1] == none.epochs[1]
    assert int8.seconds(32) == none.seconds(32)
    assert int8.seconds(48) == pytest.approx(32 * none.step.seconds + 16 * int8.step.seconds)


def test_every_piece_of_work_is_told_of() -> None:
    told: list[tuple[int, int, str]] = []
    converge(replace(PLAN, epochs=2, codecs=("int8",)), steps=lambda *step: told.append(step))
    assert [(done, what) for done, _, what in told] == [
        (0, "simulating none"), (1, "simulating int8:256"),
        (2, "training none"), (3, "training none"), (4, "training none"),
        (4, "training int8:256"), (5, "training int8:256"), (6, "training int8:256"),
    ]  # fmt: skip
    assert {total for _, total, _ in told} == {6}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "chess"}, "task = chess: one of digits, ill-conditioned"),
        ({"optimizer": "lion"}, "optimizer = lion: one of sgd, momentum, adam"),
        ({"rate": 0.0}, "rate = 0: a number above 0, such as 1"),
        ({"rate": math.nan}, "rate = nan: a number above 0"),
        ({"rate": math.inf}, "rate = inf: a number above 0"),
        ({"seed": -1}, "seed = -1: 0 or more"),
        ({"workers": 1}, "workers = 1: data-parallel training has at least 2"),
        ({"batch": 600}, "workers = 8: 4096 examples are enough for 6 workers with a batch of 600 each"),
        ({"through": "best"}, "through = best: one of ring"),
        ({"epochs": 0}, "epochs = 0: at least 1"),
        ({"codecs": ("dgc:0.01",)}, "compress = dgc:0.01:0:0.9: it has a momentum of 0.9 of its own"),
        ({"codecs": ("zip",)}, "compress = zip: there is no codec 'zip'"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_any_work(change: dict[str, object], said: str) -> None:
    def never(question: Question, load: Load) -> StepTime:
        raise AssertionError

    with pytest.raises(TrainingError, match=said):
        converge(replace(PLAN, **change), clock=never)  # type: ignore[arg-type]


def test_the_same_codec_twice_is_trained_once() -> None:
    assert list(replace(PLAN, codecs=("int8", "none", "int8:256")).entrants()) == ["none", "int8:256"]


def test_what_cannot_be_simulated_is_said_before_any_training() -> None:
    told: list[str] = []

    def clock(question: Question, load: Load) -> StepTime:
        if question.compress != "none":
            raise TrainingError("no")
        return step_seconds(question, load)

    with pytest.raises(TrainingError):
        converge(PLAN, clock=clock, steps=lambda done, total, what: told.append(what))
    assert not [what for what in told if "training" in what]


def curve(run: Run, *losses: float) -> Run:
    """The same run with these losses after its epochs of 32 steps, the first before any step."""
    return replace(run, epochs=tuple(Epoch(k, 32 * k, loss, None) for k, loss in enumerate(losses)))


def test_between_two_epochs_the_logarithm_of_the_loss_is_straight(study: Study) -> None:
    run = curve(study.runs[0], 1.0, 0.1, 0.2, 0.001)
    assert run.steps_to(0.1) == pytest.approx(32)
    assert run.steps_to(0.1**0.5) == pytest.approx(16)
    assert run.steps_to(0.05) == pytest.approx(64 + 32 * math.log(4) / math.log(200))
    assert run.steps_to(0.0005) is None
    # An optimum that is known from float64 can be reached, and then there is no logarithm.
    assert curve(study.runs[0], 1.0, 0.5, 0.0).steps_to(0.1) == 64
    assert curve(study.runs[0], 1.0, 0.5, math.inf).steps_to(0.1) is None


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        ((1, 0.1, 0.0098), 1.99),
        ((1, 0.1, 0.0102, 0.001), 2.01),
        ((1, 0.08, 0.0064), 1.82),
        ((1, 0.12, 0.0144, 0.001), 2.14),
    ],
)
def test_chance_makes_no_codec_look_better(study: Study, losses: tuple[float, ...], epochs: float) -> None:
    """Whole epochs would tell 1.99 from 2.01 as much as 1 from 3, and a shorter curve within the tolerance is luck."""
    first = curve(study.runs[0], 1, 0.1, 0.01, 0.001)
    own = curve(study.runs[1], *losses)
    found = replace(study, runs=(first, own), target=0.01)
    assert found.epochs_to_target(own) == pytest.approx(epochs, abs=0.005)
    assert found.gain(own) == pytest.approx(first.step.seconds / own.step.seconds)


@pytest.mark.parametrize("factor", [1 / (1 + 1.5 * TOLERANCE), 1 + 1.5 * TOLERANCE])
def test_what_is_more_than_chance_counts(study: Study, factor: float) -> None:
    first = curve(study.runs[0], 1, 0.1, 0.01, 0.001)
    own = curve(study.runs[1], *(0.1 ** (k / factor) for k in range(4)))
    found = replace(study, runs=(first, own), target=0.01)
    assert found.epochs_to_target(own) == pytest.approx(2 * factor)
    assert found.gain(own) == pytest.approx(first.step.seconds / own.step.seconds / factor)


def test_the_tolerance_is_what_seeds_differ_by() -> None:
    """The ratio of two runs that differ in weights and batches alone; one in three of them may be beyond one deviation."""
    task = TASKS["ill-conditioned"](0)
    runs = [train(task, Setup(optimizer("sgd", 1.0), epochs=10, seed=seed)) for seed in range(6)]
    target = sorted(epochs[7].loss for epochs in runs)[3]
    step = step_seconds(ASKED, Load())
    steps = [Run("none", epochs, step, step, 0, 1.0).steps_to(target) for epochs in runs]
    found = [own for own in steps if own is not None]
    assert len(found) == 6
    spread = statistics.stdev(found) / statistics.mean(found) * math.sqrt(2)
    assert TOLERANCE / 4 < spread < 1.5 * TOLERANCE


@pytest.mark.parametrize("rate", [1e6, 20.0])
def test_without_compression_that_learns_nothing_there_is_no_target(rate: float) -> None:
    """No loss of infinity to reach, and no gain over what diverges."""
    found = converge(replace(PLAN, rate=rate))
    assert found.runs[0].diverged
    assert found.target is None
    assert [found.gain(run) for run in found.runs] == [None] * 3
    assert found.steps == 32
    text = "\n".join(line.text for line in page(found))
    assert f"training without compression diverges at a rate of {rate:g}, so there is no loss to reach" in text
    assert "the tuned rate is 1" in text
    assert "32 steps an epoch" in text
    assert "nan" not in text
    assert "inf" not in text
    told = document(found)
    assert told["target_loss"] is None
    json.dumps(told, allow_nan=False)


def test_a_warm_up_is_hinted_at_where_one_bit_fails() -> None:
    plan = replace(PLAN, optimizer="adam", epochs=4, codecs=("error_feedback(sign)", "topk:0.01"))
    cold = "\n".join(line.text for line in page(converge(plan)))
    hint = (
        "1-bit Adam keeps the second moment that its warm-up has seen: try --warm-up {} for error_feedback(sign:2048)"
    )
    assert hint.format(1) in cold
    warm = "\n".join(line.text for line in page(converge(replace(plan, warm_up=3))))
    assert "--warm-up" not in warm


def test_the_hint_names_what_would_help(study: Study) -> None:
    fast = curve(study.runs[0], 1, 0.1, 0.01, 0.001)
    slow = [
        replace(curve(study.runs[1], 1, 0.9, 0.8, 0.7), compress=spec)
        for spec in ("sign:2048", "error_feedback(sign:2048)")
    ]

    def hint(name: str, warm_up: int = 0, epochs: int = 30) -> str | None:
        plan = replace(PLAN, optimizer=name, warm_up=warm_up, epochs=epochs)
        return warm_up_hint(replace(study, plan=plan, runs=(fast, *slow), target=0.01))

    said = "one bit does not say how large a gradient is: try --warm-up 5"
    assert hint("sgd") == f"{said} or error_feedback for sign:2048"
    assert hint("momentum") == f"{said} for sign:2048"
    assert str(hint("adam")).endswith("for sign:2048, error_feedback(sign:2048)")
    assert "--warm-up 10 " in str(hint("adam", warm_up=5))
    assert hint("adam", warm_up=10) is None
    assert hint("adam", epochs=1) is None
    assert warm_up_hint(replace(study, runs=(fast, replace(fast, compress="sign:2048")), target=0.01)) is None


def test_a_codec_that_leaves_everything_as_it_is_is_named() -> None:
    found = converge(replace(PLAN, epochs=2, codecs=("powersgd:2", "int8")))
    none, low, _ = found.runs
    assert low.ratio == 1
    assert [epoch.loss for epoch in low.epochs] == pytest.approx([epoch.loss for epoch in none.epochs], rel=1e-4)
    text = "\n".join(line.text for line in page(found))
    assert "sends these small tensors as they are, so that its loss is that of no compression: powersgd:2\n" in text


# -- what is written ---------------------------------------------------------------------------------------


def test_the_page_says_that_a_small_model_stands_in(study: Study) -> None:
    text = "\n".join(line.text for line in page(study))
    assert "a small model learns, with real codecs; resnet-50, which is not trained, sets the clock" in text
    assert "compute    32 images on each card\n           32 images on each of 256 GPUs: Goyal et al. 2017" in text
    assert "at 40% of 376 TFLOPS" in text
    assert "sgd, rate 1, tuned without compression; seed 0" in text
    assert "not within 3 epochs: topk:0.01\n" in text
    assert "interpolated, within 10% of those of no compression count as the same in the gain" in text
    assert "warm-up" not in text
    assert len(page(study, quiet=True)) == 2 + 3 + 4
    warmed = replace(study, plan=replace(PLAN, warm_up=1))
    assert "warm-up    1 epoch without compression" in [line.text for line in page(warmed)]


def test_where_the_target_is_not_reached_the_table_says_so(study: Study) -> None:
    row = next(line.text for line in page(study, quiet=True) if line.text.startswith("topk"))
    assert row.endswith("not within 3")
    assert " - " not in row.replace("-  ", "", 1)  # accuracy, which this task has none of


def test_the_page_fits_120_columns(study: Study) -> None:
    """With the longest sensible codec, times of the largest model, and every model's source."""
    specs = ("none", "error_feedback(chain(topk:0.01,int8:256))", "error_feedback(powersgd:2)")
    for name in MODELS:
        plan = replace(PLAN, question=Question("hccs", 1024, model=name))
        long = [
            replace(run, compress=spec, step=replace(run.step, compute=9.9, all_reduce=1.2), epochs=run.epochs)
            for run, spec in zip(study.runs, specs, strict=True)
        ]
        lines = page(replace(study, plan=plan, runs=tuple(long)))
        assert max(len(line.text) for line in lines if line.role != "verdict") <= 120


def test_rows_and_document_say_the_same(study: Study) -> None:
    rows, told = study.rows(), document(study)
    assert len(rows) == 3 * 4
    assert [row["loss"] for row in rows] == [epoch["loss"] for run in told["runs"] for epoch in run["epochs"]]
    assert told["parameters"] == model("resnet-50").parameters
    assert told["batch_per_card"] == 32
    assert told["runs"][0]["gain"] == 1
    assert told["tolerance"] == TOLERANCE
    for run in told["runs"]:
        own = [row for row in rows if row["compress"] == run["compress"]]
        for key in ("gain", "epochs_to_target", "seconds_to_target"):
            assert {row[key] for row in own} == {run[key]}
    assert told["runs"][2]["gain"] is None
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
    text = [line.text for line in page(lost)]
    assert any(line.startswith("topk:0.01") and "diverged" in line for line in text)
    assert "diverged, to end above the loss of 0.4893 before the first step: topk:0.01" in text
    worse = replace(lost, runs=(*lost.runs[:2], curve(lost.runs[2], 0.5, 0.7)))
    assert worse.runs[2].diverged
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
    draw(replace(lost, target=None).rows(), again)
    assert again.read_bytes() != (tmp_path / name).read_bytes()


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
    assert told["schema"] == 2
    assert told["fabric"] == "hccs"
    assert [run["compress"] for run in told["runs"]] == ["none", "int8:256"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--compress", "zip"), "compress = zip: there is no codec 'zip'"),
        (("--model", "gpt-5"), "model = gpt-5: one of resnet-50, bert-large, gpt-neox-20b, llama-3-8b"),
        (("--task", "chess"), "task = chess: one of digits, ill-conditioned"),
        (("--workers", "1"), "workers = 1: data-parallel training has at least 2"),
        (("--mfu", "7"), "mfu = 7: a part of the peak"),
        (("--through", "best"), "through = best: one of ring"),
        (("--rate", "nan"), "rate = nan: not a number above 0; write one such as 0.5 or 1e-3"),
        (("--rate", "-1"), "rate = -1: not a number above 0"),
        (("--rate", "0"), "rate = 0: a number above 0, such as 1"),
        (("--seed", "-1"), "seed = -1: 0 or more"),
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


def test_without_matplotlib_a_picture_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("ringsim.training.converge.converge", never)
    with pytest.raises(
        click.ClickException, match=r"pictures need matplotlib: pip install 'ringsim\[plot\]'"
    ) as caught:
        invoke(*ARGUMENTS, "--picture", "loss.png")
    assert caught.value.exit_code == 1  # Click's own; `ringsim.cli.main` makes it 2, as the next test sees
    assert not Path("loss.png").exists()


@pytest.mark.parametrize(
    ("more", "code"), [((), 0), (("--rate", "1e6"), 1), (("--rate", "1e-3"), 0), (("--rate", "nan"), 2)]
)
def test_exit_codes(more: tuple[str, ...], code: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["converge", *ARGUMENTS, *more])
    assert caught.value.code == code
    shown = capfd.readouterr()
    assert "Warning" not in shown.err
    assert ("there is no loss to reach" in shown.out) == (code == 1)


def test_without_matplotlib_the_exit_code_is_that_of_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as caught:
        main(["converge", *ARGUMENTS, "--picture", str(tmp_path / "loss.svg")])
    assert caught.value.code == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_help_says_what_is_written() -> None:
    shown = " ".join(CliRunner().invoke(command, ["--help"]).stdout.split())
    assert "--output FILE Write a table as CSV: loss, accuracy and simulated time after every epoch." in shown


def test_options_and_the_plan_agree_about_what_is_usual() -> None:
    """The command line writes them out to answer --help without importing the plan."""
    usual = {param.name: param.default for param in command.params}
    plan, load = Plan(ASKED), Load()
    for field in fields(Plan):
        if field.name not in ("question", "load", "codecs", "rate"):
            assert usual[field.name] == getattr(plan, field.name), field.name
    assert usual["mfu"] == load.mfu
    assert usual["overlap"] == load.overlap


PAGE = Path(__file__).parents[1] / "docs" / "compression.md"


def test_the_page_lists_every_key_of_the_document(study: Study) -> None:
    listed = PAGE.read_text("utf-8").partition("`converge --json`")[2].partition("\n## ")[0]
    told = document(study)
    keys = {*told, *told["runs"][0], *told["runs"][0]["epochs"][0]}
    assert not {key for key in keys if f"`{key}`" not in listed}
    columns = set(study.rows()[0])
    assert not {key for key in columns if f"`{key}`" not in listed}


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


@pytest.fixture(scope="module")
def shipped() -> list[dict[str, str]]:
    with (FOLDER / "results" / "converge.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def last(rows: list[dict[str, str]], series: str, compress: str, column: str) -> float:
    """Median of the seeds after 30 epochs; infinite where there is nothing."""
    own = [row for row in rows if (row["series"], row["compress"], row["epoch"]) == (series, compress, "30")]
    return statistics.median([float(row[column] or math.inf) for row in own] + [math.inf] * (3 - len(own)))


def test_the_shipped_table_has_today_s_columns(shipped: list[dict[str, str]], study: Study) -> None:
    assert list(shipped[0]) == ["series", *study.rows()[0]]


def test_the_shipped_table_shows_what_is_known(shipped: list[dict[str, str]]) -> None:
    one_bit = "error_feedback(sign:2048)"
    for series in ("digits", "ill-conditioned"):
        none, int8, bare, fed = (last(shipped, series, spec, "loss") for spec in ("none", "int8:256", "topk:0.01", FED))
        assert int8 == pytest.approx(none, rel=0.01)
        assert bare > 5 * none
        assert fed < 1.3 * none
        assert last(shipped, series, "topk:0.01", "gain") == math.inf
    assert last(shipped, "momentum", FED, "loss") > 100
    assert last(shipped, "adam", one_bit, "loss") > 10
    assert last(shipped, "adam, warm-up", one_bit, "loss") < 0.003


def test_the_shipped_table_gives_int8_the_gain_of_a_shorter_step(shipped: list[dict[str, str]]) -> None:
    """Where a codec learns as no compression does, the gain is that of a step, and chance adds nothing."""
    for series in ("digits", "ill-conditioned", "momentum", "adam"):
        shorter = last(shipped, series, "none", "step_us") / last(shipped, series, "int8:256", "step_us")
        assert last(shipped, series, "int8:256", "gain") == pytest.approx(shorter, rel=1e-4)


def test_the_rates_are_the_best_of_the_table() -> None:
    from ringsim.training import RATES

    with (FOLDER / "results" / "converge_rates.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for (task, name), rate in RATES.items():
        own = [row for row in rows if (row["task"], row["optimizer"]) == (task, name)]
        assert float(min(own, key=lambda row: float(row["loss"]))["rate"]) == pytest.approx(rate)
