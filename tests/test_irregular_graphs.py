"""The sweep over irregular graphs: the same graphs every time, rows that go on, and what the table shows."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import networkx as nx
import pytest
from click.testing import CliRunner, Result

from ringsim import study, topology
from ringsim.collectives import ALGORITHMS

FOLDER = Path(__file__).parents[1] / "benchmarks"
TABLE = "irregular_graphs.csv"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Load the script as Python does when it is run: with its own folder first on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("irregular_graphs")
    finally:
        sys.path.remove(str(FOLDER))
        for name in {"irregular_graphs", "sweep", "plots"} & (set(sys.modules) - before):
            del sys.modules[name]


@pytest.fixture(scope="module")
def quick(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    result = invoke(script, "--quick", "--out", folder)
    assert result.exit_code == 0, result.output
    assert "9 cases, 9 of them simulated now" in result.output
    return folder


def invoke(script: ModuleType, *arguments: object) -> Result:
    return CliRunner().invoke(script.main, [str(a) for a in arguments])


def test_there_are_twenty_graphs_and_always_the_same(script: ModuleType) -> None:
    one, other = script.graphs(), script.graphs()
    assert len(one) == 20
    assert {name.rpartition(" ")[0] for name in one} == {make.__name__.replace("_", "-") for make in script.FAMILIES}
    for name, graph in one.items():
        cards = [vertex for vertex, kind in graph.nodes(data="kind") if kind == "card"]
        assert 8 <= len(cards) <= 64, name
        assert nx.is_connected(graph)
        assert nx.utils.graphs_equal(graph, other[name])
    assert len({topology.from_graph(graph).fingerprint() for graph in one.values()}) == 20


def test_a_row_is_what_the_simulations_say(script: ModuleType, quick: Path) -> None:
    name, graph = list(script.graphs().items())[4]
    row = next(row for row in script.Graphs(quick / TABLE).rows.values() if row["bytes"] == 2**20)
    assert row["series"] == name
    best = study.answer(study.Question(None, None, "1M", graph=graph, algorithm="all")).best
    ring = study.answer(study.Question(None, None, "1M", graph=graph, algorithm="ring")).best
    assert (row["time_us"], row["ring_us"], row["bound_us"]) == (best.time_us, ring.time_us, best.bound_us)
    assert (row["algorithm"], row["channels"], row["cards"]) == (
        best.case.algorithm,
        best.case.channels,
        best.case.cards,
    )
    assert row["reached"] == pytest.approx(row["bound_us"] / row["time_us"])
    times = [row[f"{algorithm}_us"] for algorithm in ALGORITHMS]
    assert min(time for time in times if time is not None) == row["time_us"] == row[f"{row['algorithm']}_us"]
    assert (quick / "irregular_graphs.png").read_bytes().startswith(b"\x89PNG")


def test_it_goes_on_where_it_stopped(script: ModuleType, quick: Path, tmp_path: Path) -> None:
    lines = (quick / TABLE).read_text("utf-8").splitlines(keepends=True)
    (tmp_path / TABLE).write_text("".join(lines[:-2]) + lines[-2][:-40], "utf-8")
    result = invoke(script, "--quick", "--out", tmp_path)
    assert "9 cases, 2 of them simulated now" in result.output
    assert sorted((tmp_path / TABLE).read_text("utf-8").splitlines(keepends=True)) == sorted(lines)


def test_a_graph_that_is_no_longer_drawn_leaves_the_table(script: ModuleType, quick: Path, tmp_path: Path) -> None:
    text = (quick / TABLE).read_text("utf-8")
    table = script.Graphs(quick / TABLE)
    row = next(iter(table.rows.values()))
    (tmp_path / TABLE).write_text(text.replace(row["fingerprint"], "0" * 64), "utf-8")
    assert "9 cases, 3 of them simulated now" in invoke(script, "--quick", "--out", tmp_path).output


def test_the_picture_needs_only_the_table(
    script: ModuleType, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / TABLE).write_bytes((quick / TABLE).read_bytes())
    monkeypatch.setattr(study, "answer", None)
    assert invoke(script, "--plot-only", "--out", tmp_path).exit_code == 0
    assert (tmp_path / "irregular_graphs.png").read_bytes() == (quick / "irregular_graphs.png").read_bytes()


def test_errors_are_sentences_and_help_begins_with_an_example(script: ModuleType, tmp_path: Path) -> None:
    result = invoke(script, "--plot-only", "--out", tmp_path)
    assert result.exit_code == 1
    assert "no such table; run without --plot-only" in result.output
    assert "Example: python benchmarks/irregular_graphs.py" in invoke(script, "--help").output


def test_a_gibibyte_comes_near_the_bound_and_never_takes_longer_than_a_plain_ring(script: ModuleType) -> None:
    """What the pages say, from the table that is shipped."""
    rows = [row for row in script.Graphs(FOLDER / "results" / TABLE).rows.values() if row["bytes"] == 2**30]
    assert len(rows) == 20
    assert sorted(row["reached"] for row in rows)[10] >= 0.95
    for row in rows:
        assert row["bound_us"] <= row["time_us"] <= row["ring_us"]
