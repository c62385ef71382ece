"""The parameter sweeps: they run, go on where they stopped, draw from the table, and agree with theory."""

import csv
import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringsim import study

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("algorithms_map", "bandwidth_vs_size", "every_algorithm", "ring_vs_tree", "scaling_vs_cards")


@pytest.fixture(scope="module")
def scripts():
    """Load the scripts as Python does when one is run: with their own folder first on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in (*SCRIPTS, "sweep", "plots")}
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if name in (*SCRIPTS, "sweep", "plots"):
                del sys.modules[name]


@pytest.fixture(scope="module")
def quick(scripts, tmp_path_factory):
    """Run every script once with --quick; folder of each one's table and picture."""
    folder = tmp_path_factory.mktemp("results")
    for name in SCRIPTS:
        result = CliRunner().invoke(scripts[name].main, ["--quick", "--out", str(folder)])
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def copy(quick, tmp_path):
    """Copy those results for a test to spoil."""
    for path in quick.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def no_simulation(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a simulation was asked for")

    monkeypatch.setattr(study, "answer", refuse)


def invoke(scripts, name, *arguments):
    return CliRunner().invoke(scripts[name].main, [str(a) for a in arguments])


@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_fills_a_table_and_draws_it(quick, name):
    with (quick / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 4
    assert len({row["question_id"] for row in rows}) == len(rows)
    assert {"id", "series", "bytes", "cards", "time_us", "busbw_GBps", "bound_us"} <= set(rows[0])
    for row in rows:
        assert float(row["bound_us"]) <= float(row["time_us"]) * (1 + 1e-9)
    assert (quick / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_second_run_simulates_nothing(scripts, copy, no_simulation, name):
    before = (copy / f"{name}.csv").read_bytes()
    result = invoke(scripts, name, "--quick", "--out", copy)
    assert result.exit_code == 0, result.output
    assert ", 0 of them simulated now" in result.output
    assert (copy / f"{name}.csv").read_bytes() == before


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_picture_needs_only_the_table(scripts, copy, no_simulation, name):
    before = (copy / f"{name}.png").read_bytes()
    (copy / f"{name}.png").unlink()
    result = invoke(scripts, name, "--plot-only", "--out", copy)
    assert result.exit_code == 0, result.output
    assert (copy / f"{name}.png").read_bytes() == before


def test_a_line_cut_short_is_simulated_again(scripts, copy):
    path = copy / "bandwidth_vs_size.csv"
    whole = scripts["sweep"].read(path)
    path.write_bytes(path.read_bytes()[:-40])
    result = invoke(scripts, "bandwidth_vs_size", "--quick", "--out", copy)
    assert f"{len(whole)} cases, 1 of them simulated now" in result.output
    again = scripts["sweep"].read(path)
    for row in whole + again:
        del row["wall_s"]
    assert again == whole


def test_a_header_cut_short_is_written_again(scripts, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("question_id,ser")
    table = scripts["sweep"].Table(path)
    assert not table.rows
    question = study.Question("hccs", 8, 8, algorithm="ring")
    row = table.ask("hccs", question)
    assert scripts["sweep"].Table(path).ask("hccs", question)["time_us"] == row["time_us"]


def test_every_row_is_on_disk_before_the_next_is_asked(scripts, tmp_path, monkeypatch):
    answer, asked = study.answer, []

    def interrupted(question):
        asked.append(question)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return answer(question)

    monkeypatch.setattr(study, "answer", interrupted)
    result = invoke(scripts, "scaling_vs_cards", "--quick", "--out", tmp_path)
    assert result.exit_code == 130
    assert "keeps its 2 cases" in result.output
    assert len(scripts["sweep"].read(tmp_path / "scaling_vs_cards.csv")) == 2


def test_rows_of_another_version_or_data_sheet_are_dropped(scripts, copy):
    path = copy / "bandwidth_vs_size.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    rows[0]["version"], rows[1]["fingerprint"] = "0.0.0", "0" * 64
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    result = invoke(scripts, "bandwidth_vs_size", "--quick", "--out", copy)
    assert "2 rows of another version or data sheet dropped" in result.output
    assert f"{len(rows)} cases, 2 of them simulated now" in result.output


def test_a_row_survives_the_rewrite_unchanged(scripts, copy):
    path = copy / "bandwidth_vs_size.csv"
    before = path.read_text().splitlines()
    table = scripts["sweep"].Table(path)
    first = next(iter(table.rows.values()))
    table.rows["stale"] = first | {"version": "0.0.0"}
    table.keep({row["fingerprint"] for row in table.rows.values()})
    assert path.read_text().splitlines() == before


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_begins_with_an_example(scripts, name):
    text = invoke(scripts, name, "--help").output
    assert text.split("\n\n")[1].strip().startswith(f"Example: python benchmarks/{name}.py")


def test_errors_are_sentences(scripts, tmp_path):
    result = invoke(scripts, "bandwidth_vs_size", "--plot-only", "--out", tmp_path)
    assert result.exit_code == 1
    assert "no such table; run without --plot-only" in result.output
    (tmp_path / "ring_vs_tree.csv").write_text("a,b\n1,2\n")
    assert "not a table of this sweep" in invoke(scripts, "ring_vs_tree", "--out", tmp_path).output
    assert invoke(scripts, "bandwidth_vs_size", "--cards", 1).exit_code == 2


def test_other_numbers_of_cards_share_a_table(scripts, copy):
    result = invoke(scripts, "bandwidth_vs_size", "--quick", "--cards", 16, "--out", copy)
    assert result.exit_code == 0, result.output
    rows = scripts["sweep"].read(copy / "bandwidth_vs_size.csv")
    assert {row["cards"] for row in rows} == {16, 1024}
    missing = invoke(scripts, "bandwidth_vs_size", "--plot-only", "--cards", 99, "--out", copy)
    assert "no row with 99 cards" in missing.output


# --- ring against tree ----------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [1, 5, 64])
@pytest.mark.parametrize("cards", [16, 64, 1024])
def test_uniform_times_are_the_derivation_s(scripts, cards, chunks):
    module = scripts["ring_vs_tree"]
    ring, tree, ring_per_byte, tree_per_byte = module.theory(cards, chunks)
    cluster = replace(module.UNIFORM, chunks=chunks)
    for size in (8, 2**20, 2**30):
        for algorithm, start, per_byte in (("ring", ring, ring_per_byte), ("tree", tree, tree_per_byte)):
            best = study.answer(module.ask_about(cluster, cards, algorithm, size)).best
            assert best.time_us == pytest.approx((start + size * per_byte) * 1e6, rel=1e-12)


def test_the_flat_case_of_the_derivation(scripts):
    module = scripts["ring_vs_tree"]
    flat = replace(module.UNIFORM, chunks=7, changes=(*module.UNIFORM.changes, "domain.size=1"))
    _, start, _, per_byte = module.theory(64, 7, size=1)
    best = study.answer(module.ask_about(flat, 64, "tree", 2**20)).best
    assert best.time_us == pytest.approx((start + 2**20 * per_byte) * 1e6, rel=1e-12)


@pytest.mark.parametrize("chunks", [1, 64])
@pytest.mark.parametrize("cards", [16, 128, 1024])
def test_simulated_crossing_is_the_theoretical_one(scripts, cards, chunks):
    module = scripts["ring_vs_tree"]
    cluster = replace(module.UNIFORM, chunks=chunks)

    def ask(algorithm, size):
        return study.answer(module.ask_about(cluster, cards, algorithm, size)).best.outputs()

    # Four powers of ten around it, so that the bisection has to find the place and is not told.
    star = module.theoretical_crossing(cards, chunks)
    low, high = (round(star * factor / 4) * 4 for factor in (0.03, 100))
    assert scripts["sweep"].bisect(ask, low, high) == pytest.approx(star, rel=1e-4)
    for factor, winner, loser in ((0.99, "tree", "ring"), (1.01, "ring", "tree")):
        size = round(star * factor / 4) * 4
        assert ask(winner, size)["time_us"] < ask(loser, size)["time_us"]


def test_no_crossing_is_none(scripts):
    def tree_always(algorithm, size):
        return {"time_us": 1.0 + (algorithm == "ring")}

    assert scripts["sweep"].bisect(tree_always, 8, 2**30) is None


def test_the_table_gives_the_crossing_back(scripts, quick):
    module = scripts["ring_vs_tree"]
    rows = scripts["sweep"].read(quick / "ring_vs_tree.csv")
    ((low, high, zero),) = module.brackets(rows, "uniform, 1 chunk", 16)
    assert low < zero <= high <= 1.011 * low
    assert zero == pytest.approx(module.theoretical_crossing(16, 1), rel=1e-4)
