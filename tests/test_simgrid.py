"""The comparison with SimGrid: it agrees where the two mean the same, and the table is what ringsim says today.

Where SimGrid is not installed only the table is looked at.
"""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from laws.programs import by_hand
from ringsim.engines import ENGINES, run

FOLDER = Path(__file__).parents[1] / "benchmarks" / "validation" / "simgrid"
SCRIPTS = ("compare", "peer", "platforms", "rewriting")

#: What was asked for, as a part of a run's time, and what the engines promise each other.
AGREE, SAME = 1e-6, 1e-9


@pytest.fixture(scope="module")
def scripts():
    """Load the scripts as Python does when one is run: with their own folder first on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in SCRIPTS}
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if name in SCRIPTS:
                del sys.modules[name]


@pytest.fixture(scope="module")
def simgrid(scripts, tmp_path_factory):
    """Compile SimGrid's side."""
    try:
        return scripts["peer"].build(tmp_path_factory.mktemp("simgrid"))
    except scripts["peer"].NoSimGridError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def table(scripts):
    return {(row.set, row.seed): row for row in scripts["compare"].read()}


# -- the table -------------------------------------------------------------------------------------------------


def test_the_table_is_whole(scripts, table):
    assert list(table) == list(scripts["compare"].cases())


def test_flows_agree_on_hundreds_of_platforms_with_shared_links(table):
    agreeing = [row for row in table.values() if not row.set.startswith("unequal")]
    assert max(row.worst for row in agreeing) <= AGREE
    assert sum(row.most_rows_on_a_link >= 2 and row.sharing > 1e-3 for row in agreeing) >= 300


def test_the_difference_is_the_two_rules_of_cm02(table):
    """Left alone, every platform differs widely; with the two rules said in ringsim's words none does."""
    assert min(row.worst for row in table.values() if row.set == "unequal") > 1e-2
    assert max(row.worst for row in table.values() if row.set == "unequal, as CM02") <= AGREE


def test_the_table_says_what_ringsim_says_today(scripts, table):
    for name, seed in scripts["compare"].cases(10):
        row, case = table[name, seed], scripts["platforms"].draw(name, seed)
        moves = np.diff(case.flows.route_offsets) > 0
        assert (row.rows, row.links) == (case.flows.rows, len(case.flows.bandwidth))
        assert row.flows == case.flows.count[moves].sum()
        for engine, column in zip(ENGINES, (row.ringsim_s, row.reference_s), strict=True):
            assert run(case.program, engine).time == pytest.approx(column, rel=SAME), (name, seed, engine)


def test_the_page_shows_the_table(scripts):
    compare = scripts["compare"]
    assert compare.summary(compare.read()) in (FOLDER / "README.md").read_text("utf-8")


# -- rewriting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sleeps", "links", "collectives"])
def test_a_row_for_each_firing_changes_no_time(scripts, name):
    for seed in range(0, 60, 5):
        program = scripts["platforms"].draw(name, seed).program
        whole, single = run(program), run(scripts["rewriting"].unrolled(program))
        first = np.cumsum(program.count) - program.count
        tight = {"rtol": 0, "atol": SAME * whole.time}
        np.testing.assert_allclose(single.start[first], whole.start, **tight)
        np.testing.assert_allclose(single.left[first + program.count - 1], whole.left, **tight)
        np.testing.assert_allclose(np.maximum.reduceat(single.finish, first), whole.finish, **tight)


def test_latencies_that_are_no_whole_parts_are_refused(scripts):
    """Two and three halves of parts cannot be said with rows side by side."""
    with pytest.raises(ValueError, match="row 1: latency 2 s is not 3 s divided by a whole number"):
        scripts["rewriting"].as_cm02(by_hand([1], [[0], [0]], [1, 1], latency=[3, 2]), 3)


# -- SimGrid ---------------------------------------------------------------------------------------------------


def test_a_sample_is_run_again(scripts, simgrid, table):
    for name, seed in scripts["compare"].cases(20):
        row = scripts["compare"].compare(simgrid, name, seed)
        assert (row.worst <= AGREE) == (name != "unequal"), (name, seed)
        assert row.simgrid_s == pytest.approx(table[name, seed].simgrid_s, rel=SAME)
        assert row.sharing == pytest.approx(table[name, seed].sharing, rel=AGREE, abs=SAME)


@pytest.mark.parametrize("column", ["bandwidth", "bytes", "overhead", "latency", "work", "cap"])
def test_a_thousandth_more_is_seen(scripts, simgrid, column):
    """The comparison notices a thousandth in one thing that SimGrid is told of."""
    compare, case = scripts["compare"], scripts["platforms"].draw("sleeps", 0)
    flows = replace(case.flows, cap=np.where(case.flows.bytes > 0, 4e8, 1.0))
    case = replace(case, program=flows, flows=flows)
    assert compare.apart(case, scripts["peer"].simulate(simgrid, flows, case.link_latency)) <= AGREE
    other = replace(
        flows, **{column: np.rint(flows.bytes * 1.001) if column == "bytes" else getattr(flows, column) * 1.001}
    )
    assert compare.apart(case, scripts["peer"].simulate(simgrid, other, case.link_latency)) > 1e-5


def test_what_is_compared_is_not_sums_alone(scripts, simgrid):
    """Three flows and a narrow link, as the reference engine's test works them out by hand: all leave at 2."""
    flows = by_hand([9, 2], [[0], [0], [0, 1]], [7, 7, 4])
    assert scripts["peer"].simulate(simgrid, flows, np.zeros(2))[:, 1] == pytest.approx([2, 2, 2])


#: Links of 1,000 into one of 10, latencies of 1 and 3: two flows that meet on the last.
UNEQUAL = {"bandwidth": [1000, 1000, 10], "routes": [[0, 2], [1, 2]], "latency": [1, 3]}


@pytest.mark.parametrize(
    ("bytes", "ringsim", "cm02"),
    [
        # Flow 0 has sent all when flow 1 has paid its latency: they never meet. Here they share until 4.
        ([20, 20], [4 + 1, 4 + 3], [3, 5]),
        # Flow 0 has sent 20 by then and gets three parts of four; flow 1 has 70/3 to go when it is alone. Here flow 1 is
        # done at 6, when flow 0 has 10 to go.
        ([40, 30], [7 + 1, 6 + 3], [3 + 20 / 7.5, 8]),
    ],
)
def test_the_two_rules_by_hand(scripts, simgrid, bytes, ringsim, cm02):
    """CM02 pays latency first, and shares in proportion to one over it; ringsim delivers later and shares alike."""
    program = by_hand(bytes=bytes, **UNEQUAL)
    rewritten, row = scripts["rewriting"].as_cm02(program, 3)
    flows, link_latency = replace(program, latency=np.zeros(2)), np.array([1.0, 3.0, 0.0])
    assert scripts["peer"].simulate(simgrid, flows, link_latency)[:, 2] == pytest.approx(cm02, rel=SAME)
    for engine in ENGINES:
        assert run(program, engine).finish == pytest.approx(ringsim, rel=SAME)
        assert run(rewritten, engine).finish[row] == pytest.approx(cm02, rel=SAME)


def test_the_script_writes_a_table(scripts, simgrid, tmp_path):
    done = CliRunner().invoke(scripts["compare"].main, ["--one-in", "100", "--out", str(tmp_path / "some.csv")])
    assert done.exit_code == 0, done.output
    assert scripts["compare"].summary(scripts["compare"].read(tmp_path / "some.csv")) in done.output


def test_without_a_compiler_it_says_what_to_install(scripts, monkeypatch):
    monkeypatch.setattr(scripts["peer"].shutil, "which", lambda _: None)
    done = CliRunner().invoke(scripts["compare"].main, [])
    assert done.exit_code == 2
    assert "install g++" in done.output


def test_without_simgrid_it_says_what_to_install(scripts, monkeypatch, tmp_path):
    """The linker is asked for a library that nobody has; a program that is wrong is not taken for a missing one."""
    wrong = tmp_path / "flows.cpp"
    monkeypatch.setattr(scripts["peer"], "SOURCE", wrong)
    if not scripts["peer"].shutil.which("g++"):
        pytest.skip("no C++ compiler")
    wrong.write_text("#include <not/simgrid/s4u.hpp>\n")
    with pytest.raises(scripts["peer"].NoSimGridError, match="libsimgrid-dev"):
        scripts["peer"].build(tmp_path)
    wrong.write_text("int main() { return nothing; }\n")
    with pytest.raises(RuntimeError, match=r"flows\.cpp does not compile"):
        scripts["peer"].build(tmp_path)


def test_a_fraction_of_a_byte_is_refused(scripts):
    with pytest.raises(ValueError, match="row 1: SimGrid sends whole bytes only"):
        scripts["peer"].simulate(Path("nowhere"), by_hand([1], [[0], [0]], [1, 1.5]), np.zeros(1))
