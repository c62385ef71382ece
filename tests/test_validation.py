"""Validation: the data is whole, errors are counted as they should be, and what is published is what comes out today."""

import importlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from click.testing import CliRunner

from ringsim.cli.validate import validate
from ringsim.fabric import FabricError
from ringsim.fabric import load as load_fabric
from ringsim.fabric.errors import FileError
from ringsim.fabric.launch import UNKNOWN, launched, launches
from ringsim.study import run
from ringsim.validation import (
    Point,
    System,
    by_band,
    curve,
    headlines,
    judged,
    leave_one_out,
    load,
    missed,
    overall,
    simulate,
    spreads,
)  # fmt: skip
from ringsim.validation.leaving import SMALL
from ringsim.validation.page import document, page, reached
from ringsim.validation.simulating import extra_of
from ringsim.validation.systems import data

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
SYSTEMS = {system.name: system for system in load()}
MIB = 1024**2
SCRIPTS = {"accuracy", "accuracy_page", "accuracy_reasons", "accuracy_missed", "sweep", "plots"}


@pytest.fixture(scope="module")
def script():
    before = set(sys.modules)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("accuracy")
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in (set(sys.modules) - before) & SCRIPTS:
            del sys.modules[name]


def point(size: int, measured: float | None, simulated: float, cards: int = 8) -> Point:
    return Point("toy", "row", cards, 1, size, measured, simulated, "ring", "LL")


# --- the data -------------------------------------------------------------------------------------------------


def test_every_row_is_used_once_and_has_a_source():
    rows = [row for system in SYSTEMS.values() for row in system.measurements]
    assert len({row.id for row in rows}) == len(rows) == 1463
    assert all(row.source and row.confidence for row in rows)
    assert not [row.id for row in rows if row.confidence.startswith("low")]


def test_the_rows_add_up():
    """Time, size and bus bandwidth of a row say the same, so none of them was copied wrongly."""
    import csv

    with (data() / "measured.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["time_us"] and row["busbw_GBs"]:
                p = int(row["cards"])
                rate = 2 * (p - 1) / p * int(row["bytes"]) / float(row["time_us"]) / 1e3
                # Logs print two decimals; MI325X rows print times without any.
                assert rate == pytest.approx(float(row["busbw_GBs"]), rel=0.01, abs=0.006), row["id"]


def test_a_bandwidth_without_a_size_becomes_a_time_at_the_assumed_one():
    eight = next(row for row in SYSTEMS["910b-limu"].measurements if row.cards == 8)
    assert eight.derived
    assert eight.bytes == 1024 * MIB
    assert 2 * 7 / 8 * eight.bytes / eight.time_us / 1e3 == pytest.approx(126)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('launch = "threads"', 'launch = "thread"', "did you mean 'threads'"),
        ('fit = ["above"]', 'fit = ["abowe"]', "did you mean 'above'"),
        ('fit = ["above"]', 'fit = "above"', "not a list of texts"),
        ('clusters = ["2x1"]', 'clusters = ["4x1"]', "measured.csv has rows of 2x1"),
        ('clusters = ["2x1"]', 'clusters = ["2"]', "write cards x nodes"),
        ('algorithms = ["auto"]', 'algorithms = "auto"', "not a list of texts"),
        ('fabric = "nvlink3"', 'fabrik = "nvlink3"', "did you mean 'fabric'"),
        ('library = "NCCL"\n', "", "library is missing"),
        ("schema = 1", "schema = 2", "this ringsim reads schema 1"),
        ("[system.toy]", "[system.tov]", "did you mean 'tov'"),
        ("schema = 1", "schema = ", "a TOML file is needed"),
    ],
)
def test_what_is_wrong_in_the_files_is_named(tmp_path, old, new, says):
    text = """schema = 1
[system.toy]
title = "t"
hardware = "A100"
fabric = "nvlink3"
clusters = ["2x1"]
launch = "threads"
library = "NCCL"
version = "2"
algorithms = ["auto"]
confidence = "high"
fit = ["above"]
"""
    rows = "system,id,cards,nodes,bytes,time_us,busbw_GBs,source,confidence\ntoy,a,2,1,{},{},,here,high\n"
    (tmp_path / "measured.csv").write_text(rows.format(8, 9.5), encoding="utf-8")
    (tmp_path / "systems.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path)[0].measurements[0].time_us == 9.5
    (tmp_path / "systems.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(FileError, match=says):
        load(tmp_path)
    (tmp_path / "systems.toml").write_text(text, encoding="utf-8")
    for size, time, wrong in ((8, 0, "above 0"), ("x", 1, "above 0"), ("", 1, "assumes no size")):
        (tmp_path / "measured.csv").write_text(rows.format(size, time), encoding="utf-8")
        with pytest.raises(FileError, match=wrong):
            load(tmp_path)
    (tmp_path / "measured.csv").unlink()
    with pytest.raises(FileError, match=r"measured\.csv"):
        load(tmp_path)


# --- counting -------------------------------------------------------------------------------------------------


def test_errors_are_medians_of_bands_that_hold_their_ends():
    found = by_band([
        point(8, 10.0, 12.0), point(64 * 1024, 10.0, 9.0), point(64 * 1024, 10.0, 5.0),
        point(64 * 1024 + 1, 10.0, 10.0), point(16 * MIB, 10.0, 20.0), point(16 * MIB + 1, 100.0, 97.0),
        point(1024, None, 1.0),
    ])  # fmt: skip
    assert [(one.band.name, one.points) for one in found] == [("to 64KiB", 3), ("to 16MiB", 2), ("above", 1)]
    small, middle, large = found
    assert (small.median, small.worst, small.bias) == pytest.approx((0.2, 0.5, -0.1))
    assert small.worst_at.simulated_us == 5.0
    assert (middle.median, middle.worst, middle.bias) == pytest.approx((0.5, 1.0, 0.5))
    assert large.reached()
    assert not middle.reached(2)
    # A system counts once: two with one band each, medians 3 % and 50 %.
    other = by_band([point(32 * MIB, 10.0, 15.0)] * 9)
    assert [one.median for one in overall([found, other])] == pytest.approx([0.2, 0.5, 0.265])


def test_equal_machines_are_compared_and_no_others():
    one = SYSTEMS["a100x8-aic"]
    row = one.measurements[0]

    def system(name: str, times: list[tuple[int, float]], **changes: object) -> System:
        rows = tuple(replace(row, bytes=size, time_us=time) for size, time in times)
        return replace(one, name=name, measurements=rows, **changes)

    a = system("a", [(8, 10.0), (1024, 10.0), (MIB, 50.0)])
    b = system("b", [(8, 20.0), (1024, 40.0), (1024, 20.0), (2 * MIB, 50.0)])
    for stranger in ({"fabric": "nvlink4"}, {"library": "custom"}, {"algorithms": ("ring",)}, {"clusters": ((8, 2),)}):
        assert spreads([a, system("c", [(8, 10.0)], **stranger)]) == ()
    (found,) = spreads([a, b, system("other network", [(8, 15.0)], network="ib-ndr")])
    assert (found.systems, found.sizes) == (("a", "b", "other network"), 2)
    assert found.ratio == pytest.approx(2.5)  # the median of 2
    assert 3
    best = 2 * 10 * 25 / (10 + 25)  # what errs as much with 10 as with 25
    assert found.floor == pytest.approx(best / 10 - 1) == pytest.approx(1 - best / 25)


def test_the_fastest_of_what_the_library_has_counts():
    system = SYSTEMS["h200-nvls"]
    whole = replace(system, algorithms=("ring", "in-switch"))
    assert {point.algorithm for point in simulate(system)} == {"in-switch"}
    for forced, free in zip(simulate(system), simulate(whole), strict=True):
        assert free.simulated_us <= forced.simulated_us
    # What a cluster has no room for is passed over, unless nothing else is asked for.
    a100 = SYSTEMS["a100x2-aic"]
    assert simulate(replace(a100, algorithms=("in-switch", "auto"))) == simulate(a100)
    with pytest.raises(ValueError, match="in-switch"):
        simulate(replace(a100, algorithms=("in-switch",)))


# --- launch modes ---------------------------------------------------------------------------------------------


def fitted_on(system: System) -> float:
    """What a launch mode would have to add for this system's small messages, in microseconds."""
    bare = [p for p in simulate(replace(system, launch=UNKNOWN)) if p.bytes <= SMALL]
    return median((p.measured_us or 0.0) - p.simulated_us for p in bare)


def test_each_launch_constant_is_what_its_system_shows():
    """Fitted means fitted: the number is today's fit on the system that its source names, which is not judged there."""
    named = {}
    for mode in launches().modes.values():
        for extra in mode.extras.values():
            if found := re.match(r"fitted on ([\w-]+)", extra.source):
                named[found[1]] = mode.name, extra
    assert len(named) == 6
    for name, (mode, extra) in named.items():
        system = SYSTEMS[name]
        assert (system.launch, system.fit) == (mode, ("to 64KiB",))
        ((cards, nodes),) = system.clusters
        assert nodes == 1
        assert extra.of(cards) * 1e6 == pytest.approx(fitted_on(system), rel=0.02, abs=0.05), name


def test_a_kernel_with_its_dispatch_is_the_kernel_and_what_its_collector_added():
    modes = launches()
    both, kernel = modes.extra("serving", "HCCL"), modes.extra("kernel", "HCCL")
    assert both.time == pytest.approx(kernel.time + 7.7e-6)
    assert "7.7us" in both.source


def test_other_fitted_constants_are_what_their_systems_show():
    p5 = SYSTEMS["h100x16-p5"]
    assert p5.fit == ("to 64KiB",)
    off = median(p.measured_us / p.simulated_us for p in simulate(p5) if p.bytes <= SMALL)
    assert off == pytest.approx(1, abs=0.005)
    nodes = SYSTEMS["mi325x32-aac"]
    assert nodes.fit == ("above",)
    assert median(p.measured_us / p.simulated_us for p in simulate(nodes)) == pytest.approx(1, abs=0.005)


def test_a_launch_mode_starts_every_protocol_later_and_changes_nothing_else():
    sheet = load_fabric("nvlink4")
    late = launched(sheet, "threads", 8)
    extra = 8 * launches().extra("threads", "NCCL").time
    for name, own in sheet.protocols.items():
        assert late.protocols[name].base == replace(own.base, startup=own.base.startup + extra)
        for algorithm, one in own.overrides.items():
            assert late.protocol(name, algorithm) == replace(one, startup=one.startup + extra)
    assert replace(late, protocols=sheet.protocols, changed=()) == sheet
    assert late.changed == (("launch", "not stated", f"threads of NCCL: start-up +{extra * 1e6:.4g}us"),)
    assert late.fingerprint() != sheet.fingerprint()
    before, after = (run(one, 8, size=8, dtype="uint8") for one in (sheet, late))
    assert after.time_us == pytest.approx(before.time_us + extra * 1e6)
    assert after.bound_us == pytest.approx(before.bound_us + extra * 1e6)


def test_kernels_start_sooner_but_not_before_the_call():
    sheet = load_fabric("nvlink4")
    soon = launched(sheet, "cuda-graph", 8, "kernels")
    assert soon.protocol("LL").startup == pytest.approx(sheet.protocol("LL").startup - 2.7e-6)
    assert sheet.protocol("Simple", "in-switch").startup == soon.protocol("Simple", "in-switch").startup == 0


def test_what_is_not_known_of_a_launch_is_said():
    with pytest.raises(FabricError, match="did you mean 'threads'"):
        launched(load_fabric("nvlink3"), "thread", 8)
    with pytest.raises(
        FabricError, match="nothing is known of NCCL launched so; known of it: process-per-card, threads"
    ):
        launched(load_fabric("nvlink3"), "kernel", 8)
    with pytest.raises(
        FabricError, match="nothing is known of HCCL launched so; known of it: process-per-card, kernel"
    ):
        launched(load_fabric("hccs"), "threads", 8)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("schema = 1", "schema = 2", "schema = 2: not a form of file that is known here"),
        ('once = ["2us", "here"]', 'once = ["2", "here"]', "mode.m.L.once = 2: a time needs a unit"),
        ('once = ["2us", "here"]', 'once = "2us"', "must be a time and its source"),
        ('once = ["2us", "here"]', 'twice = ["2us", "here"]', "has to hold once or each"),
        ("L = {", "K = {", "no such library; available: L"),
        ('protocols = ["p"]', "protocols = 3", "not a list of texts"),
        ('title = "so"', "title = 3", "mode.m.title = 3: not a text"),
        ("[mode.m]", "[node.m]", r"write \[mode.NAME\]"),
    ],
)
def test_what_is_wrong_with_launch_modes_is_named(tmp_path, old, new, says):
    text = """schema = 1
[library.L]
protocols = ["p"]
[mode.m]
title = "so"
L = { once = ["2us", "here"] }
"""
    path = tmp_path / "modes.toml"
    path.write_text(text.replace('"2us"', '"-2us"'), encoding="utf-8")
    assert launches(path).extra("m", "L").of(8) == -2e-6
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(FabricError, match=says) as wrong:
        launches(path)
    assert str(path) in str(wrong.value)


def test_a_system_of_unknown_launch_gets_nothing():
    unknown = next(system for system in SYSTEMS.values() if system.launch == UNKNOWN)
    assert extra_of(unknown) is None
    a100 = SYSTEMS["a100x8-aic"]
    late, bare = simulate(a100)[0], simulate(replace(a100, launch=UNKNOWN))[0]
    extra = extra_of(a100)
    assert extra is not None
    assert late.simulated_us == pytest.approx(bare.simulated_us + extra.of(8) * 1e6)


# --- what counts ----------------------------------------------------------------------------------------------


def test_bands_on_which_a_constant_was_fitted_do_not_count():
    system = replace(SYSTEMS["a100x8-aic"], fit=("to 16MiB",))
    points = [point(8, 10.0, 12.0), point(MIB, 10.0, 30.0), point(32 * MIB, 100.0, 96.0)]
    assert [one.band.name for one in judged(system, points)] == ["to 64KiB", "above"]
    assert reached([system], {system.name: points})
    assert not reached([replace(system, fit=())], {system.name: points})


def test_kernels_of_others_are_shown_apart_and_hide_nothing():
    library = replace(SYSTEMS["a100x8-aic"], fit=())
    custom = replace(SYSTEMS["a100x8-vllm"], fit=())
    errors = {library.name: by_band([point(8, 10.0, 11.0)]), custom.name: by_band([point(8, 10.0, 19.0)])}
    first, second = headlines([library, custom], errors)
    assert first[1] == [errors[library.name]]
    assert second[1] == [errors[library.name], errors[custom.name]]
    assert missed(first[1]) == []
    assert [one.median for one in missed(second[1])] == pytest.approx([0.5])
    assert [title for title, _ in headlines([custom], errors)] == [second[0]]
    # A single system above twice the target is a miss, whatever the median.
    many = [by_band([point(8, 10.0, 11.0)])] * 5 + [by_band([point(8, 10.0, 14.1)])]
    assert overall(many)[0].reached()
    assert [one.band.name for one in missed(many)] == ["to 64KiB"]


def test_leaving_out_uses_the_others_alone():
    """Two systems of a mode with excesses of 2 and 4 us; a third of two nodes, which does not count."""
    base = SYSTEMS["a100x8-aic"]
    (bare,) = {p.simulated_us for p in simulate(replace(base, launch=UNKNOWN)) if p.bytes == 512}
    row = replace(base.measurements[0], bytes=512)
    one, two = (
        replace(base, name=name, measurements=(replace(row, time_us=bare + 8 * each),))
        for name, each in (("one", 2.0), ("two", 4.0))
    )
    far = replace(base, name="far", clusters=((8, 2),), network="ib-ndr", measurements=(replace(row, nodes=2),))
    first, second = leave_one_out([one, two, far])
    assert (first.system, second.system) == ("one", "two")
    assert (first.all_of, first.without, second.without) == pytest.approx((3, 4, 2))
    assert first.error_all == pytest.approx(8 / (bare + 16))
    assert first.error_without == pytest.approx(16 / (bare + 16))
    assert first.ratio == pytest.approx(2)
    assert first.shipped == pytest.approx(launches().extra("threads", "NCCL").time * 1e6)


def test_an_efficiency_is_found_again_from_times_that_it_gives():
    base = replace(SYSTEMS["mi325x16-aac"], changes=("nic.efficiency=0.8",))
    times = {p.id: p.simulated_us for p in simulate(base)}
    rows = tuple(replace(row, time_us=times[row.id]) for row in base.measurements)
    one, two = (replace(SYSTEMS["mi325x16-aac"], name=name, measurements=rows) for name in ("one", "two"))
    for left in leave_one_out([one, two]):
        assert left.all_of == left.without == pytest.approx(0.8, rel=1e-3)
        assert left.error_all < 1e-3
        assert left.shipped == 0.875


# --- what is published ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a100x64-abci", "910cx16"])
def test_the_table_is_what_ringsim_says_today(script, name):
    table = script.read(script.TABLE)[name]
    today = [*simulate(SYSTEMS[name]), *curve(SYSTEMS[name])]
    assert len(table) == len(today)
    for was, now in zip(table, today, strict=True):
        assert (was.id, was.cards, was.bytes, was.algorithm, was.protocol) == (
            now.id, now.cards, now.bytes, now.algorithm, now.protocol,
        )  # fmt: skip
        assert was.simulated_us == pytest.approx(now.simulated_us, rel=1e-5)
        assert (was.measured_us is None) == (now.measured_us is None)
        assert (was.measured_us or 0.0) == pytest.approx(now.measured_us or 0.0, rel=1e-5)


def test_the_table_has_every_measurement(script):
    table = script.read(script.TABLE)
    assert list(table) == list(SYSTEMS)
    for name, system in SYSTEMS.items():
        assert [p.id for p in table[name] if p.measured_us is not None] == [row.id for row in system.measurements]


def test_the_page_is_the_table_in_words(script):
    written = script.text(tuple(SYSTEMS.values()), script.read(script.TABLE), script.read_left(script.LEFT_OUT))
    assert script.PAGE.read_text("utf-8") == written
    assert {path.stem for path in script.PICTURES.glob("*.png")} == set(SYSTEMS)


def test_the_readme_quotes_the_page(script):
    words = " ".join((BENCHMARKS.parent / "README.md").read_text("utf-8").split())
    quoted = re.search(r"median error of time is (\S+) % up to 64 KiB, (\S+) % up to 16 MiB and (\S+) % above", words)
    assert quoted
    page = script.PAGE.read_text("utf-8")
    medians = re.findall(r"^\| NCCL, RCCL and HCCL \| [^|]+ \| \d+ \| ([\d.]+)% ", page, re.MULTILINE)
    for said, found in zip(quoted.groups(), medians, strict=True):
        assert float(said) == pytest.approx(float(found), abs=0.51 if "." not in said else 0.05)


def test_what_leaving_out_gave_is_what_it_gives_today(script):
    names = ("mi325x16-aac", "mi325x32-aac", "910cx2", "910cx4")
    found = {(left.constant, left.system): left for left in script.read_left(script.LEFT_OUT)}
    today = leave_one_out([SYSTEMS[name] for name in names])
    assert len(today) == 4
    for left in today:
        was = found[left.constant, left.system]
        for field in ("shipped", "all_of", "without", "error_shipped", "error_all", "error_without"):
            assert getattr(was, field) == pytest.approx(getattr(left, field), rel=1e-5, abs=1e-6), (left.system, field)


def test_every_miss_is_on_the_page(script):
    systems, points = tuple(SYSTEMS.values()), script.read(script.TABLE)
    text = script.PAGE.read_text("utf-8")
    section = " ".join(text[text.index("## What is missed") : text.index("## Each system")].split())
    for system in systems:
        for one in judged(system, [p for p in points[system.name] if p.measured_us is not None]):
            wanted = f"{system.name} {one.median:.0%}"
            assert one.reached() or wanted in section, (system.name, one.band.name)
            assert one.reached(2) or f"**{wanted}**" in section, (system.name, one.band.name)


def test_what_is_not_used_is_listed_by_series():
    readme = (BENCHMARKS / "validation" / "README.md").read_text("utf-8")
    cells = [line.split("|") for line in readme.splitlines() if line.startswith("| ")]
    counts = [int(cell[2]) for cell in cells if cell[2].strip().isdigit()]
    assert sum(counts) + 1463 == 1554


# --- the command ----------------------------------------------------------------------------------------------


def test_the_command_shows_one_system_point_by_point(tmp_path):
    target = tmp_path / "one.json"
    done = CliRunner().invoke(validate, ["--system", "a800", "--output", str(target)])
    assert done.exit_code == 0, done.output
    assert "issues/210" in done.output
    assert "where none may be: reached" in done.output
    bad = CliRunner().invoke(validate, ["--system", "v100x8-abci"])
    assert "not reached" in bad.output
    shown = json.loads(target.read_text("utf-8"))
    (system,) = shown["systems"]
    assert len(system["points"]) == 6
    assert system["points"][0]["error"] == pytest.approx(
        system["points"][0]["simulated_us"] / system["points"][0]["measured_us"] - 1
    )
    assert f"{system['errors'][0]['median']:.1%}" in done.output
    quiet = CliRunner().invoke(validate, ["--system", "a800", "--quiet", "--json"])
    assert json.loads(quiet.output) == shown


def test_the_command_refuses_an_unknown_system():
    done = CliRunner().invoke(validate, ["--system", "a100x8-abcd"])
    assert done.exit_code != 0
    assert "a100x8-abcd" in done.output
    assert "did you mean 'a100x8-abci'" in done.output


def test_what_was_fitted_on_is_not_counted():
    systems = (SYSTEMS["mi300x2"],)
    points = {"mi300x2": simulate(systems[0])}
    assert document(systems, points)["overall"] == []
    assert document(systems, points)["systems"][0]["fit"] == ["above"]
    text = "\n".join(line.text for line in page(systems, points))
    assert "not counted" in text
    assert "nothing to judge" in text
    assert reached(systems, points)


@pytest.mark.parametrize(
    ("system", "code"), [("h100-ring", 0), ("h200x2-roce", 1), ("mi300x2", 0), ("h100x8-mscclpp", 1)]
)
def test_the_exit_code_says_whether_targets_are_reached_where_that_is_asked(system, code, capsys):
    from ringsim.cli import main

    for strict, wanted in ((("--assert",), code), ((), 0)):
        with pytest.raises(SystemExit) as ended:
            main(["validate", "--system", system, *strict, "--quiet", "--json"])
        assert ended.value.code == wanted
        found = json.loads(capsys.readouterr().out)
        assert all(one["reached"] for one in found["overall"]) == (code == 0)
