"""The benchmark of the tuner: it runs, goes on where it stopped, tells who won, and its table is whole."""

import csv
import importlib
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringsim import study
from ringsim.collectives import ALGORITHMS
from ringsim.fabric import available
from ringsim.study import Question, StudyError, answer

FOLDER = Path(__file__).parents[1] / "benchmarks"
WHO = ("one ring", "by hand", "tuned")
TINY = ["--fabrics", "hccs,nvlink3", "--cards", "2,4", "--sizes", "4K,1M"]


@pytest.fixture(scope="module")
def script():
    """Load it as Python does when it is run: with its own folder first on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("tuned")
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before & {"tuned", "sweep", "plots"}:
            del sys.modules[name]


def invoke(script, *arguments):
    return CliRunner().invoke(script.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def tiny(script, tmp_path_factory):
    """Run it once on tiny clusters; the folder, and what it printed."""
    folder = tmp_path_factory.mktemp("results")
    result = invoke(script, *TINY, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result.output


@pytest.fixture
def copy(tiny, tmp_path):
    """Copy those results for a test to spoil."""
    for path in tiny[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def no_simulation(script, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a simulation was asked for")

    monkeypatch.setattr(study, "answer", refuse)
    monkeypatch.setattr(script, "tune", refuse)


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def points(rows):
    """Rows by fabric, cards and size, and then by who chose; each but once."""
    found = {}
    for row in rows:
        point = found.setdefault((row["fabric"], int(row["cards"]), int(row["bytes"])), {})
        assert row["series"] not in point
        point[row["series"]] = row
    return found


def test_everybody_chooses_at_every_point(tiny):
    folder, printed = tiny
    found = points(read(folder / "tuned.csv"))
    assert set(found) == {(f, p, size) for f in ("hccs", "nvlink3") for p in (2, 4) for size in (2**12, 2**20)}
    assert all(set(rows) == set(WHO) for rows in found.values())
    assert (folder / "tuned.png").read_bytes().startswith(b"\x89PNG")
    assert "24 cases, 24 of them simulated now" in printed
    assert "faster by hand: none" in printed


@pytest.mark.parametrize("point", [("hccs", 4, 2**20), ("nvlink3", 4, 2**12)])
def test_they_choose_as_they_are_said_to(tiny, point):
    rows = points(read(tiny[0] / "tuned.csv"))[point]
    question = Question(*point)
    naive = answer(Question(*point, algorithm="ring", rings=1)).best
    assert float(rows["one ring"]["time_us"]) == naive.time_us
    assert rows["one ring"]["channels"] == "1"
    times = {}
    for name in ALGORITHMS:
        try:
            times[name] = answer(Question(*point, algorithm=name)).best.time_us
        except StudyError:
            continue
    assert len(times) > 10
    assert float(rows["by hand"]["time_us"]) == min(times.values()) == times[rows["by hand"]["algorithm"]]
    assert float(rows["tuned"]["time_us"]) <= min(times.values())
    assert float(rows["tuned"]["bound_us"]) <= float(rows["tuned"]["time_us"]) * (1 + 1e-9)
    assert all(0 < float(row["wall_s"]) < 60 for row in rows.values())
    assert question.payload()[0] == int(rows["tuned"]["bytes"])


def test_what_is_printed_is_what_the_table_holds(tiny):
    folder, printed = tiny
    found = points(read(folder / "tuned.csv"))
    lines = [line for line in printed.splitlines() if line.startswith(("| hccs", "| nvlink3"))]
    assert len(lines) == len(found)
    for (fabric, cards, _), rows in found.items():
        times = {who: float(row["time_us"]) for who, row in rows.items()}
        cells = [f"| {fabric} | {cards} |", *(f"| {time:,.1f} µs |" for time in times.values())]
        cells.append(f"| {times['one ring'] / times['tuned']:.1f}× |")
        assert any(all(cell in line for cell in cells) for line in lines), cells
    for cards in (2, 4):
        least = min((float(found[f, cards, 2**20]["tuned"]["reached"]), f) for f in ("hccs", "nvlink3"))
        assert f"least reached at 1MiB on {cards} cards: {least[0]:.1%}, {least[1]}" in printed


def test_a_second_run_simulates_nothing(script, copy, no_simulation):
    before = (copy / "tuned.csv").read_bytes()
    result = invoke(script, *TINY, "--out", copy)
    assert result.exit_code == 0, result.output
    assert "24 cases, 0 of them simulated now" in result.output
    assert (copy / "tuned.csv").read_bytes() == before


def test_the_picture_needs_only_the_table(script, copy, no_simulation):
    before = (copy / "tuned.png").read_bytes()
    (copy / "tuned.png").unlink()
    result = invoke(script, "--plot-only", "--out", copy)
    assert result.exit_code == 0, result.output
    assert (copy / "tuned.png").read_bytes() == before


def test_more_points_are_added_to_those_that_are_there(script, copy):
    result = invoke(script, "--fabrics", "hccs", "--cards", "2,3", "--sizes", "4K", "--out", copy)
    assert "27 cases, 3 of them simulated now" in result.output
    assert ("hccs", 3, 2**12) in points(read(copy / "tuned.csv"))
    assert "least reached at 1MiB on 4 cards" in result.output


def test_a_line_cut_short_is_simulated_again(script, copy):
    path = copy / "tuned.csv"
    whole = read(path)
    path.write_bytes(path.read_bytes()[:-40])
    assert "24 cases, 1 of them simulated now" in invoke(script, *TINY, "--out", copy).output
    again = read(path)
    for row in whole + again:
        del row["wall_s"]
    assert again == whole


def test_every_choice_is_on_disk_before_the_next(script, tmp_path, monkeypatch):
    tune, asked = script.tune, []

    def interrupted(*arguments):
        asked.append(arguments)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return tune(*arguments)

    monkeypatch.setattr(script, "tune", interrupted)
    result = invoke(script, *TINY, "--out", tmp_path)
    assert result.exit_code == 130
    assert "keeps its 5 cases" in result.output
    assert [row["series"] for row in read(tmp_path / "tuned.csv")] == [*WHO, *WHO[:2]]


def test_who_is_faster_by_hand_is_named(script, copy):
    path = copy / "tuned.csv"
    rows = read(path)
    for row in rows:
        if (row["fabric"], row["cards"], row["bytes"], row["series"]) == ("hccs", "4", "4096", "by hand"):
            row["time_us"] = "1e-3"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    assert "faster by hand: hccs 4 4KiB\n" in invoke(script, "--plot-only", "--out", copy).output


def test_help_begins_with_an_example(script):
    assert invoke(script, "--help").output.split("\n\n")[1].strip().startswith("Example: python benchmarks/tuned.py")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fabrics", "hccs,hcss"), "hcss: one of hccs, "), (("--cards", "1"), "1: a number of cards, 2 or more"),
        (("--cards", "8,x"), "x: a number of cards"), (("--sizes", "1M,12Q"), "12Q"),
    ],
)  # fmt: skip
def test_errors_are_sentences(script, tmp_path, arguments, words):
    result = invoke(script, *arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert words in result.output
    assert not list(tmp_path.iterdir())


# --- the table that is shown ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown():
    """Points at which all three chose: the table may be growing."""
    found = points(read(FOLDER / "results" / "tuned.csv"))
    return {point: rows for point, rows in found.items() if set(rows) == set(WHO)}


@pytest.mark.parametrize("cards", [8, 64, 1024])
def test_the_table_is_whole(script, shown, cards):
    found = {point: rows for point, rows in shown.items() if point[1] == cards}
    if cards == 1024 and len(found) < len(available()) * len(script.SIZES):
        pytest.skip("the largest clusters are not in the table yet")
    assert set(found) == {(fabric, cards, size) for fabric in available() for size in script.SIZES}


def test_nobody_is_faster_by_hand(shown):
    for point, rows in shown.items():
        naive, hand, best = (float(rows[who]["time_us"]) for who in WHO)
        assert best <= hand, point
        assert best <= naive, point
        assert float(rows["tuned"]["bound_us"]) <= best * (1 + 1e-9), point


@pytest.mark.parametrize("fabric", ["hccs", "nvlink3"])
def test_a_thousand_cards_come_near_the_bound(shown, fabric):
    rows = shown.get((fabric, 1024, 2**30))
    if rows is None:
        pytest.skip("the largest clusters are not in the table yet")
    assert float(rows["tuned"]["reached"]) >= 0.9
