"""The benchmarks of compression: they run, go on where they stopped, and what is kept of them is what comes out."""

import csv
import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringsim.codecs import CODECS, parse
from ringsim.race import Track
from ringsim.study import Question, answer, cluster

FOLDER = Path(__file__).parents[1] / "benchmarks"
RESULTS = FOLDER / "results"
SCRIPTS = ("compression_tradeoff", "compression_gap")
TINY = ("--quick", "--cards", "8")
#: Rows without a time of day in them.
WALL = "wall_s"


@pytest.fixture(scope="module")
def scripts():
    """Load them as Python does when they are run: with their own folder first on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in (*SCRIPTS, "sweep")}
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if name in (*SCRIPTS, "sweep", "plots"):
                del sys.modules[name]


def invoke(scripts, name, *arguments):
    return CliRunner().invoke(scripts[name].main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def tiny(scripts, tmp_path_factory):
    """Run each once on a tiny cluster; the folder, and what they printed."""
    folder, printed = tmp_path_factory.mktemp("results"), {}
    for name in SCRIPTS:
        result = invoke(scripts, name, *TINY, "--out", folder)
        assert result.exit_code == 0, result.output
        printed[name] = result.output
    return folder, printed


@pytest.fixture
def copy(tiny, tmp_path):
    """Copy those results for a test to spoil."""
    for path in tiny[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def no_simulation(scripts, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a simulation was asked for")

    monkeypatch.setattr(scripts["compression_tradeoff"], "best", refuse)


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same(row, other):
    """Whether two rows agree in all but the seconds that they took and the version; times and errors to 12 digits."""
    assert set(row) == set(other)
    for key in set(row) - {WALL, "version"}:
        mine, theirs = ("" if one is None else str(one) for one in (row[key], other[key]))
        if key.endswith(("_us", "error", "busy", "reached", "ratio", "GBps", "bytes")) and mine and theirs:
            assert float(mine) == pytest.approx(float(theirs), rel=1e-9), key
        else:
            assert mine == theirs, key


# -- both ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_table_and_what_is_made_of_it(tiny, name):
    folder, printed = tiny
    rows = read(folder / f"{name}.csv")
    assert len({row["question_id"] for row in rows}) == len(rows)
    assert f"{len(rows)} cases, {len(rows)} of them simulated now" in printed[name]
    for row in rows:
        assert float(row["bound_us"]) <= float(row["time_us"]) * (1 + 1e-9)
        assert (row["error"] == "") is (row["compress"] == "")
        assert row["agree"] == ("True" if row["compress"] else "")
    kept = folder / ("compression_tradeoff.png" if name == "compression_tradeoff" else "compression_gap.md")
    assert kept.stat().st_size > 1000


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_second_run_simulates_nothing(scripts, copy, no_simulation, name):
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.stem == name}
    for more in ((), ("--plot-only",)):
        result = invoke(scripts, name, *TINY, *more, "--out", copy)
        assert result.exit_code == 0, result.output
        assert ", 0 of them simulated now" in result.output
        assert {path.name: path.read_bytes() for path in copy.iterdir() if path.stem == name} == before


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_line_cut_short_is_simulated_again(scripts, copy, name):
    path = copy / f"{name}.csv"
    whole = read(path)
    path.write_bytes(path.read_bytes()[:-40])
    assert ", 1 of them simulated now" in invoke(scripts, name, *TINY, "--out", copy).output
    for row, other in zip(whole, read(path), strict=True):
        same(row, other)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_missing_is_said(scripts, tmp_path, copy, name):
    empty = tmp_path / "empty"
    assert "no such table; run without --plot-only" in invoke(scripts, name, "--plot-only", "--out", empty).output
    result = invoke(scripts, name, "--quick", "--cards", "16", "--plot-only", "--out", copy)
    assert result.exit_code == 1
    assert "run without --plot-only" in result.output


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_begins_with_an_example(scripts, name):
    start = invoke(scripts, name, "--help").output.split("\n\n")[1].strip()
    assert start.startswith(f"Example: python benchmarks/{name}.py")


# -- time against error --------------------------------------------------------------------------------------


def test_every_codec_is_there(scripts):
    specs = scripts["compression_tradeoff"].CODECS
    names = {name for spec in specs for name in spec.replace("(", ",").replace(")", "").replace(":", ",").split(",")}
    assert set(CODECS) - {"identity"} <= names
    assert len({parse(spec).spec for spec in specs}) == len(specs)
    assert len(specs) >= 18


def test_the_best_is_the_fastest_of_those_that_are_asked(scripts):
    script = scripts["compression_tradeoff"]
    for spec in ("none", "int8", "topk:0.01"):
        question = Question("nvlink3", 16, "4M", compress=spec)
        times = {}
        for name in script.ALGORITHMS:
            times[name] = answer(replace(question, algorithm=name)).best
        found = script.best(question, Track(cluster(question)))
        fastest = min(times.values(), key=lambda result: result.time_us)
        assert (found.time_us, found.error) == (fastest.time_us, fastest.error)


def test_an_algorithm_that_there_is_no_room_for_is_left_out(scripts):
    script = scripts["compression_tradeoff"]
    question = Question("hccs", 8, "1M", compress="int8")
    track = Track(cluster(question))
    assert script.best(question, track, ("tree", "swing")).case.algorithm in ("tree", "swing")
    with pytest.raises(script.StudyError, match="in-switch"):
        script.best(question, track, ("in-switch",))


def test_a_way_that_is_true_is_rather_taken_than_a_faster_one(scripts):
    """On one channel of 64 cards in a row a ring encodes 64 times, and its error is more than that of a tree."""
    script = scripts["compression_tradeoff"]
    question = Question("hccs", 64, "64M", compress="int8")
    ring, tree = (answer(replace(question, algorithm=name)).best for name in ("ring", "tree"))
    assert ring.time_us != tree.time_us
    assert tree.error < ring.error
    fast, slow = sorted((ring, tree), key=lambda result: result.time_us)

    def asked(within):
        return script.best(question, Track(cluster(question)), ("ring", "tree"), within)

    assert asked(script.math.inf).time_us == asked(1.0).time_us == fast.time_us
    between = (ring.error + tree.error) / 2
    assert (asked(between).time_us, asked(between).error) == (tree.time_us, tree.error)
    assert asked(1e-6).time_us == fast.time_us
    assert slow.time_us < script.FAR * fast.time_us


# -- the gap -------------------------------------------------------------------------------------------------


def made_up(times):
    """Rows from {codec: (error, time on hccs, time on nvlink3)}."""
    return {
        (spec, fabric): {"compress": "" if spec == "none" else spec, "error": error, "time_us": time}
        for spec, (error, *own) in times.items()
        for fabric, time in zip(("hccs", "nvlink3"), own, strict=True)
    }


@pytest.mark.parametrize(
    ("times", "expected", "words"),
    [
        ({"none": (0, 300, 200), "a": (0.01, 100, 80), "b": (0.9, 1, 1)}, (1.5, 0.5, 1.25, "a", "a"),
         "hccs with a is faster than nvlink3 without compression; where both compress the gap is narrower"),
        ({"none": (0, 300, 200), "a": (0.01, 250, 80)}, (1.5, 1.25, 3.125, "a", "a"),
         "hccs with a stays slower than nvlink3 without compression; where both compress the gap is as wide"),
        ({"none": (0, 300, 200), "a": (0.01, 100, 150), "c": (0.02, 150, 100)}, (1.5, 0.5, 1.0, "a", "c"),
         "where both compress the gap is closed"),
        ({"none": (0, 300, 200), "a": (0.06, 100, 80), "c": (None, 1, 1)}, (1.5, 1.5, 1.5, "none", "none"),
         "no codec with so small an error makes hccs faster; where both compress the gap is as wide"),
        ({"none": (0, 300, 200), "a": (0.04, 100, 80), "c": (0.01, 100, 80)}, (1.5, 0.5, 1.25, "c", "c"), "hccs with c"),
    ],
)  # fmt: skip
def test_gaps_by_hand(scripts, times, expected, words):
    script = scripts["compression_gap"]
    found = script.gap(made_up(times), list(times))
    assert tuple(found) == expected
    assert words in script.verdict(found)


def test_the_answer_counts(scripts):
    script = scripts["compression_gap"]
    gap = script.Gap(1.5, 0.5, 1.25, "a", "a")
    assert script._conclusion([gap, gap._replace(one=1.2, both=1.6)]).startswith(
        "**No.** hccs with compression beats nvlink3 without in 1 of 2 settings. "
        "Where both compress, hccs takes 1.25 to 1.60 times as long; where nobody does, 1.50 to 1.50 times."
    )
    assert "narrower in 1 of 2 and closed in 0" in script._conclusion([gap, gap._replace(both=1.6)])
    assert script._conclusion([gap._replace(both=0.9)]).startswith("**Yes.**")
    assert script._conclusion([gap, gap._replace(both=0.9)]).startswith("**In part.**")


def test_encoding_twice_as_dear_is_half_the_memory(scripts):
    script = scripts["compression_gap"]
    once, twice = (script.Setting("float", "default algorithms", doubled) for doubled in (False, True))
    memories = []
    for setting in (once, twice):
        asked = script.question("hccs", "int8", setting, 8, "resnet-50")
        memories.append(cluster(replace(asked, algorithm="auto")).fabric.card.memory_bandwidth)
    assert memories[1] == memories[0] / 2
    assert script.question("hccs", "none", twice, 8, "resnet-50") == script.question(
        "hccs", "none", once, 8, "resnet-50"
    )


def test_the_answer_has_the_numbers_of_the_table(tiny, scripts):
    folder, _ = tiny
    text = (folder / "compression_gap.md").read_text(encoding="utf-8")
    rows = read(folder / "compression_gap.csv")
    plain = {
        row["fabric"]: float(row["time_us"])
        for row in rows
        if (row["compress"], row["dtype"], row["series"].split(", ")[2]) == ("", "float", "default algorithms")
    }
    line = next(line for line in text.splitlines() if line.startswith("| float32, default algorithms |"))
    assert line.split("|")[2].strip() == f"{plain['hccs'] / plain['nvlink3']:.2f}"
    assert text.index("| setting |") < text.index("## Verdict")
    assert len([line for line in text.splitlines() if line.startswith("| int8 |")]) == 4


# -- what is kept --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "series", "compress"),
    [("compression_tradeoff", "hccs", "int8:256"), ("compression_tradeoff", "nvlink3", ""),
     ("compression_gap", "hccs, float32, default algorithms", "fp16")],
)  # fmt: skip
def test_a_kept_row_comes_out_again(scripts, name, series, compress):
    script, model = scripts[name], "llama-3-8b" if name == "compression_gap" else ""
    key = series, compress, model
    (kept,) = (r for r in read(RESULTS / f"{name}.csv") if (r["series"], r["compress"], r["model"]) == key)
    if name == "compression_gap":
        setting = script.Setting("float", "default algorithms", False)
        question = script.question("hccs", compress, setting, 1024, model)
    else:
        question = Question(
            series, 1024, "1G", compress=compress or "none", algorithm="+".join(script.ALGORITHMS)
        )  # fmt: skip
    best = scripts["compression_tradeoff"].best
    within = script.GOOD if name == "compression_gap" else script.math.inf
    track = Track(cluster(replace(question, algorithm="auto")))
    row = best(question, track, question.algorithm.split("+"), within).row()
    same(kept, {"question_id": kept["question_id"], "series": series, "version": kept["version"]} | row)


def test_kept_questions_are_those_that_are_asked(scripts):
    tradeoff, gap = (scripts[name] for name in SCRIPTS)
    ids = {name: {row["question_id"] for row in read(RESULTS / f"{name}.csv")} for name in SCRIPTS}
    sweep = scripts["sweep"]
    assert ids["compression_tradeoff"] == {
        sweep.question_id(question)
        for model in (None, "llama-3-8b")
        for question in tradeoff.questions(1024, model, quick=False)
    }
    specs = (gap.NONE, *gap.DEFAULT)
    assert ids["compression_gap"] == {
        sweep.question_id(gap.question(fabric, spec, setting, 1024, "llama-3-8b"))
        for setting in gap.settings()
        for spec in specs
        for fabric in (gap.SLOW, gap.FAST)
    }


def test_the_kept_answer_is_what_the_kept_table_says(scripts, tmp_path, no_simulation):
    (tmp_path / "compression_gap.csv").write_bytes((RESULTS / "compression_gap.csv").read_bytes())
    result = invoke(scripts, "compression_gap", "--plot-only", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    kept = (RESULTS / "compression_gap.md").read_text(encoding="utf-8")
    assert (tmp_path / "compression_gap.md").read_text(encoding="utf-8") == kept
    assert kept in result.output
