"""The speed benchmarks: they run, they compare like with like, and their tables hold what the README quotes.

Nothing here looks at how long anything took: a test that fails on a busy machine teaches people to ignore tests.
"""

import csv
import importlib
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

FOLDER = Path(__file__).parents[1] / "benchmarks" / "speed"
SCRIPTS = ("engines", "scale", "startup", "measure")


@pytest.fixture(scope="module")
def scripts():
    """Load the scripts as Python does when one is run: with their own folder first on the path."""
    before = set(sys.modules)
    sys.path[:0] = [str(FOLDER), str(FOLDER / "peers")]
    try:
        yield {name: importlib.import_module(name) for name in (*SCRIPTS, "simpy_ring", "heapq_ring")}
    finally:
        sys.path.remove(str(FOLDER))
        sys.path.remove(str(FOLDER / "peers"))
        for name in set(sys.modules) - before:
            if name in (*SCRIPTS, "simpy_ring", "heapq_ring"):
                del sys.modules[name]


def invoke(scripts, name, *arguments):
    result = CliRunner().invoke(scripts[name].main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measured(scripts, out="", err="", code=0):
    return scripts["measure"].Measured(1.0, 0.5, 2**20, code, out, err)


# --- peers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["events", "store", "heapq"])
def test_a_peer_ends_when_ringsim_does(scripts, how):
    engines = scripts["engines"]
    program = engines.flat(24)
    numbers = [float(column[0]) for column in (program.bytes, program.top_rate(), program.latency)]
    found = (
        scripts["heapq_ring"].simulate(24, *numbers)
        if how == "heapq"
        else scripts["simpy_ring"].simulate(how, 24, *numbers)
    )
    ours = engines.simulate(program)
    assert found["time_s"] == pytest.approx(ours.time_s, rel=1e-9)
    assert found["messages"] == ours.transfers == 24 * 2 * 23


def test_a_peer_refuses_work_it_would_do_differently(scripts):
    engines = scripts["engines"]
    peer = engines.Peer("any", ["true"])
    with pytest.raises(AssertionError):
        peer.run(engines.jittered(engines.flat(8)), 8)


def test_what_cannot_be_built_is_named(scripts, monkeypatch, tmp_path):
    engines = scripts["engines"]
    monkeypatch.setattr(engines.shutil, "which", lambda _: None)
    monkeypatch.setattr(engines, "_find_bindings", lambda: (None, "not measured: no bindings"))
    notes = {peer.name: peer.note for peer in engines.peers(tmp_path) if peer.command is None}
    assert notes["simgrid, flows"] == "not measured: no C++ compiler"
    assert notes["simgrid, python"] == "not measured: no bindings"


# --- engines --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engines_table(scripts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    invoke(scripts, "engines", "--quick", "--out", folder)
    return folder


def test_engines_fill_their_table(scripts, engines_table):
    rows = table(engines_table / "engines.csv")
    assert tuple(rows[0]) == scripts["engines"].COLUMNS
    assert {row["work"] for row in rows} == {"flat", "jittered", "shared", "slices"}
    assert not any(row["reached"] for row in rows), "small cases say nothing about what is to be reached"
    subjects = {row["subject"]: row for row in rows if row["work"] == "flat"}
    for name in ("simpy, events", "simpy, resource and store", "heapq loop in python"):
        assert float(subjects[name]["off_by"]) < 1e-9
        assert float(subjects[name]["times_slower"]) > 0
        assert subjects[name]["transfers"] == subjects["ringsim"]["transfers"]


def test_every_unmeasured_peer_says_why(engines_table):
    for row in table(engines_table / "engines.csv"):
        assert row["transfers_per_s"] or row["note"].startswith("not measured: ")


def test_the_shared_work_shares_and_the_others_do_not(engines_table):
    for row in table(engines_table / "engines.csv"):
        if row["tight_links"]:
            assert (int(row["tight_links"]) > 0) == (int(row["rings"]) == 8), row


def test_sixteen_slices_are_sixteen_times_the_transfers(engines_table):
    rows = [row for row in table(engines_table / "engines.csv") if row["work"] == "slices"]
    for one, many in zip(rows[::2], rows[1::2], strict=True):
        assert (one["slices"], many["slices"]) == ("1", "16")
        assert int(many["transfers"]) == 16 * int(one["transfers"])
        assert many["times_one"]


def test_the_machine_is_written_down(engines_table):
    (row,) = table(engines_table / "machine.csv")
    assert {"cpu", "cores", "memory_GiB", "python", "numpy", "numba", "ringsim"} <= set(row)


def test_jitter_slows_every_link_by_at_most_a_tenth(scripts):
    engines = scripts["engines"]
    program = engines.flat(64)
    slower = engines.jittered(program).bandwidth / program.bandwidth
    assert (slower > 0.9).all()
    assert (slower <= 1).all()
    assert len(set(slower)) == len(slower)
    assert (engines.jittered(program).bandwidth == engines.jittered(program).bandwidth).all()


def test_verdicts(scripts):
    engines = scripts["engines"]
    rows = [
        dict.fromkeys(engines.COLUMNS, "") | {"work": work, "subject": subject, column: value}
        for work, subject, column, value in (
            ("flat", "ringsim", "transfers_per_s", 9e6),
            ("flat", "ringsim, whole command", "transfers_per_s", 1e6),
            ("flat", "simgrid, flows", "times_slower", 10),
            ("flat", "simpy, events", "times_slower", 99.0),
            ("flat", "heapq loop in python", "times_slower", 3.0),
            ("slices", "ringsim", "times_one", 16.5),
        )
    ]
    engines.judge(rows)
    assert [row["reached"] for row in rows] == [False, "", True, False, "", False]
    assert rows[0]["reach"] == "least 1e+07 transfers_per_s"


# --- scale ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scale_tables(scripts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    invoke(scripts, "scale", "--quick", "--out", folder)
    return folder


def test_scale_fills_its_tables_and_draws(scale_tables):
    rows = table(scale_tables / "scale.csv")
    assert {"work", "cards", "graph_edges", "wall_s", "cpu_s", "peak_MB", "most_s", "most_MB", "reached"} <= set(
        rows[0]
    )
    for row in rows:
        assert (int(row["graph_edges"]) > 0) == ("with graph" in row["work"])
        assert int(row["simulated"]) + int(row["jumped"]) > 0
        # Python with NumPy and Numba does not fit in less, so a smaller figure is another process's.
        assert float(row["peak_MB"]) > 30
    fits = table(scale_tables / "growth_fit.csv")
    assert [(row["work"], row["quantity"]) for row in fits] == [
        ("flat ring", quantity) for quantity in ("wall_s", "cpu_s", "peak_MB")
    ]
    assert (scale_tables / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_needs_only_the_table(scripts, scale_tables, tmp_path, monkeypatch):
    (tmp_path / "growth.csv").write_bytes((scale_tables / "growth.csv").read_bytes())
    monkeypatch.setattr(scripts["scale"], "ask", None)
    invoke(scripts, "scale", "--plot-only", "--out", tmp_path)
    assert (tmp_path / "growth.png").read_bytes() == (scale_tables / "growth.png").read_bytes()


def test_a_straight_line_is_found(scripts):
    start, slope, r2 = scripts["scale"].straight([1, 2, 4, 8], [5, 7, 11, 19])
    assert (start, slope, r2) == pytest.approx((3, 2, 1))
    assert scripts["scale"].straight([1, 2, 3, 4], [1, 4, 9, 16])[2] < 0.99


# --- startup --------------------------------------------------------------------------------------------


def test_startup_fills_its_tables(scripts, monkeypatch, tmp_path):
    run = json.dumps({"time_us": 1.0, "wall_s": 0.3})
    monkeypatch.setattr(scripts["measure"], "process", lambda *_, **__: measured(scripts, run, "compiling the engine"))
    invoke(scripts, "startup", "--quick", "--out", tmp_path)
    rows = table(tmp_path / "startup.csv")
    assert {"command", "wall_s", "loads", "held_against", "ratio", "most_s", "reached"} <= set(rows[0])
    assert [row["held_against"] for row in rows if row["ratio"]] == [
        "import click", "import click", "import numpy, networkx, numba",
    ]  # fmt: skip
    firsts = table(tmp_path / "first_run.csv")
    assert {"loop", "cache", "compile_s", "said_so", "exit_code", "same_result", "reached"} <= set(firsts[0])
    assert [row["cache"] for row in firsts][:2] == ["empty cache", "full cache"]
    assert all(row["same_result"] == "True" for row in firsts)


def test_help_loads_nothing_heavy_and_the_script_would_see_it(scripts):
    startup, measure = scripts["startup"], scripts["measure"]
    assert startup.heavy(measure.ringsim("--help"), {}) == ""
    assert startup.heavy(measure.ringsim("topo", "list"), {}) == ""
    assert startup.heavy(measure.python("-c", "import simpy"), {}) == "simpy"


def test_the_result_is_compared_without_its_wall_time(scripts):
    def printed(wall, time):
        row = {"wall_s": wall, "time_us": time}
        return measured(scripts, json.dumps(row | {"candidates": [row]}))

    result = scripts["startup"].result
    assert result(printed(1, 2)) == result(printed(3, 2)) != result(printed(3, 4))


# --- measuring ------------------------------------------------------------------------------------------


def test_a_process_is_measured_alone(scripts):
    # From a small parent, which is the rule of measure.py; this one may have grown large by now.
    code = """
import json, measure
large, small = (measure.process(measure.python("-c", f"x = bytearray({n}); print({n})")) for n in (200_000_000, 1))
print(json.dumps([large.peak, small.peak, large.out, small.out, small.code]))
"""
    measure = scripts["measure"]
    large, small, *rest = measure.process(measure.python("-c", code), {"PYTHONPATH": str(FOLDER)}).json()
    assert large > 200_000_000 > small
    assert rest == ["200000000\n", "1\n", 0]


def test_a_process_that_fails_is_no_measurement(scripts):
    measure = scripts["measure"]
    failing = measure.python("-c", "raise SystemExit(3)")
    with pytest.raises(scripts["scale"].click.ClickException, match="exit code 3"):
        measure.process(failing)
    assert measure.process(failing, check=False).code == 3


def test_subjects_take_turns(scripts):
    order = []
    given = scripts["measure"].in_turn(2, lambda: order.append("a") or 1, lambda: order.append("b") or 2)
    assert order == ["a", "b", "a", "b"]
    assert given == [[1, 1], [2, 2]]


@pytest.mark.parametrize("name", ["engines", "scale", "startup"])
def test_help_ends_with_an_example(scripts, name):
    assert f"Example: python benchmarks/speed/{name}.py" in invoke(scripts, name, "--help")
