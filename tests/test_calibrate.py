"""Calibration: constants that were put into made-up logs are found again, and a real log is predicted."""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ringsim import fabric as fabrics
from ringsim.calibrate import CONSTANTS, MOST, Calibration, Point, calibrate, fabric_file, guess, points_of
from ringsim.calibrate.calibration import split
from ringsim.calibrate.constants import UNIT, chosen, moved, value_of
from ringsim.calibrate.errors import by_band
from ringsim.calibrate.fitting import fit
from ringsim.calibrate.page import document, page
from ringsim.calibrate.simulating import Bench
from ringsim.calibrate.writing import rewritten
from ringsim.cli import cli, main
from ringsim.cli.calibrate import calibrate as command
from ringsim.formats.perf import Header, PerfLog, PerfLogError, Row, read
from ringsim.question import StudyError

SAMPLE = Path(__file__).parents[2] / "shared/samples/nccl_tests/superbenchmark_8xA100_allreduce.log"
SIZES = [8 << (2 * i) for i in range(15)]

Truth = Mapping[str, float]


def log_of(
    fabric: str,
    cards: int,
    truth: Truth,
    *,
    sizes: Sequence[int] = SIZES,
    spoilt: Truth | None = None,
    ranks: bool = True,
) -> PerfLog:
    """Write the log that a cluster with known constants would give; some sizes may be spoilt by a factor."""
    bench = Bench(fabric)
    points = [Point(0, cards, None, size, 1.0, False) for size in sizes]
    times = bench.times(points, moved(bench.sheet, [CONSTANTS[name] for name in truth], list(truth.values())))
    factors = [(spoilt or {}).get(str(size), 1.0) for size in sizes]
    rows = [
        Row(size, None, "", time * factor, size / (time * factor) * 1e-3, math.nan, False, None, i + 1)
        for i, (size, time, factor) in enumerate(zip(sizes, times, factors, strict=True))
    ]
    return PerfLog("made-up.log", Header("nccl-tests", ranks=cards if ranks else None), tuple(rows))


def as_text(log: PerfLog) -> str:
    """The same as hccl_test prints it."""
    rows = [f"{row.bytes} | {row.time_us:.2f} | {row.algbw:.5f} | success" for row in log.rows]
    return "\n".join(["data_size(Bytes): | aveg_time(us): | alg_bandwidth(GB/s): | check_result:", *rows, ""])


# -- what was put in is found again --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fabric", "cards", "truth", "near", "off"),
    [
        ("nvlink3", [8], {"startup": 0.9, "links": -0.05, "step": 0.3, "limit": -0.5, "bulk": 3.0}, 0.01, 0.001),
        ("nvlink3", [16], {"startup": 0.9, "links": -0.05, "step": 0.3, "nic": -0.1, "step-network": 0.5}, 0.005, 0.001),
        ("hccs", [2, 4, 8], {"startup": 2.0, "links": -0.12, "step": -0.4}, 0.005, 0.001),
        # Where another plan takes over slopes break, and a search may stop there, half a per cent of time away.
        ("hccs", [2, 8, 16], {"startup": -0.4, "links": 0.08, "step": 0.2, "nic": -0.2, "step-network": 0.4}, 0.05, 0.006),
    ],
    ids=["one node", "two nodes", "a mesh, three logs", "one mesh and two"],
)  # fmt: skip
def test_constants_are_found_again(fabric: str, cards: list[int], truth: Truth, near: float, off: float) -> None:
    logs = [log_of(fabric, many, truth) for many in cards]
    bench = Bench(fabric)
    points = points_of(logs, bench.sheet)
    constants = chosen(bench.sheet, several_nodes=max(cards) > 8)
    assert [constant.name for constant in constants] == list(truth)
    found = fit(bench, points, constants)
    for constant, at in zip(constants, found.at, strict=True):
        # 0.01 is one per cent of a factor, and 0.1 us of a time.
        assert at == pytest.approx(truth[constant.name], abs=near), constant.name
    assert by_band(points, bench.times(points, found.changes))[-1].worst < off


def test_measurements_that_went_wrong_do_not_bend_the_rest() -> None:
    truth = {"startup": 2.0, "links": -0.12, "step": -0.4}
    logs = [log_of("hccs", cards, truth, spoilt={"512": 3.0, str(2**27): 0.5}) for cards in (2, 4, 8)]
    bench = Bench("hccs")
    found = fit(bench, points_of(logs, bench.sheet), chosen(bench.sheet, several_nodes=False))
    assert found.at == pytest.approx(tuple(truth.values()), abs=0.06)


def test_what_a_log_does_not_tell_stays_as_it_was() -> None:
    """Small messages know nothing of the bandwidth of links."""
    log = log_of("hccs", 8, {"startup": 2.0}, sizes=[8, 16, 32, 64, 128, 256])
    found = calibrate([log], "hccs", names=["startup", "links"])
    assert found.fit.at[1] == pytest.approx(0, abs=1e-3)
    assert found.fit.at[0] == pytest.approx(2, abs=1e-3)
    log = log_of("hccs", 8, {"startup": 2.0}, sizes=[8, 16, 32, 64])
    found = calibrate([log], "hccs", names=["startup", "step"])
    assert found.fit.alike == (("startup", "step"),)
    assert any("startup and step look alike" in line.text for line in page(found))


# -- constants -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fabric", fabrics.available())
def test_constants_of_every_shipped_fabric(fabric: str) -> None:
    sheet = fabrics.load(fabric)
    for several in (False, True):
        names = [constant.name for constant in chosen(sheet, several_nodes=several)]
        assert {"startup", "links", "step"} <= set(names)
        assert len(names) <= MOST
        assert ("nic" in names) == ("step-network" in names) == several
    for constant in CONSTANTS.values():
        if not constant.moves(sheet):
            continue
        low, high = constant.bounds(sheet)
        assert low < 0 < high
        for at in (max(low, -2.0), min(high, 2.0)):
            changed = moved(sheet, [constant], [at])
            assert set(changed) == set(constant.keys(sheet))
            now = fabrics.load(fabric, changes=[f"{key}={value}" for key, value in changed.items()])
            for key in changed:
                was = value_of(sheet, key)
                right = max(0.0, was + at * UNIT) if constant.adds else was * math.exp(at)
                assert value_of(now, key) == pytest.approx(min(right, 1.0) if "efficiency" in key else right, rel=1e-5)


def test_two_constants_may_move_the_same_number() -> None:
    sheet = fabrics.load("nvlink3")
    changes = moved(sheet, [CONSTANTS["startup"], CONSTANTS["bulk"]], [1.0, 2.0])
    assert changes["protocol.LL.startup"] == "16.6us"
    assert changes["protocol.Simple.startup"] == "38.4us"
    assert changes["protocol.Simple.tree.startup"] == "38.4us"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["start"], "fit = start: there is no constant of this name; did you mean 'startup'"),
        (["nic"], "fit = nic: all logs are of one node"),
        (["limit"], "fit = limit: hccs has nothing of the kind"),
        (["bulk"], "fit = bulk: hccs has nothing of the kind"),
    ],
)
def test_constants_that_cannot_be(names: list[str], said: str) -> None:
    with pytest.raises(StudyError, match=f"^{said}"):
        chosen(fabrics.load("hccs"), several_nodes=False, names=names)


def test_no_more_constants_than_five() -> None:
    with pytest.raises(StudyError, match="7 constants; name 5 at most"):
        chosen(fabrics.load("nvlink3"), several_nodes=True, names=list(CONSTANTS))


# -- points --------------------------------------------------------------------------------------------------


def rows(*sizes: int, wrong: int | None = None) -> tuple[Row, ...]:
    return tuple(Row(size, None, "", 10.0, size / 1e4, math.nan, False, wrong, 1) for size in sizes)


def test_points_are_rows_that_measure_something() -> None:
    sheet = fabrics.load("nvlink3")
    log = PerfLog("x", Header("nccl-tests", ranks=8), rows(0, 8, 16) + rows(32, wrong=3) + rows(64, wrong=0))
    assert [point.bytes for point in points_of([log], sheet)] == [8, 16, 64]
    with pytest.raises(PerfLogError, match="x: no row is left"):
        points_of([PerfLog("x", Header("nccl-tests", ranks=8), rows(0))], sheet)


@pytest.mark.parametrize(
    ("fabric", "ranks", "nodes", "domain"),
    [("nvlink3", 8, 1, None), ("nvlink3", 4, 1, None), ("nvlink3", 16, 2, None), ("nvlink3", 8, 2, 4),
     ("nvlink3", 16, 1, 16), ("nvlink3", 9, 2, None), ("nvlink3", 16, None, None), ("hccs-910c", 32, 2, None)],
)  # fmt: skip
def test_nodes_of_a_log_become_domains(fabric: str, ranks: int, nodes: int | None, domain: int | None) -> None:
    """Unless the domain is of several chassis, of which a log sees each as a host."""
    log = PerfLog("x", Header("nccl-tests", ranks=ranks, nodes=nodes), rows(8))
    assert points_of([log], fabrics.load(fabric))[0].domain == domain


def test_somebody_has_to_say_how_many_cards() -> None:
    sheet = fabrics.load("hccs")
    silent, spoken = PerfLog("x", Header("hccl_test"), rows(8)), PerfLog("y", Header("hccl_test", ranks=8), rows(8))
    assert [point.cards for point in points_of([silent, silent], sheet, [2, 4])] == [2, 4]
    assert [point.cards for point in points_of([silent, spoken], sheet, [8])] == [8, 8]
    for logs, cards, said in (
        ([silent], [], "x: does not say how many ranks"),
        ([spoken], [4], "y: was measured on 8 ranks and not on 4"),
        ([silent] * 3, [2, 4], "2 numbers for 3 logs"),
    ):
        with pytest.raises(StudyError, match=said):
            points_of(logs, sheet, cards)


@pytest.mark.parametrize(
    ("device", "fabric"),
    [("A100-SXM4-40GB", "nvlink3"), ("NVIDIA A800-SXM4-80GB", "nvlink3-a800"), ("AMD Instinct MI300X", "infinity-fabric"),
     ("NVIDIA A100-PCIE-40GB", None), ("Tesla V100", None), ("", None)],
)  # fmt: skip
def test_a_fabric_is_guessed_by_its_card(device: str, fabric: str | None) -> None:
    log = PerfLog("x", Header("nccl-tests", ranks=8, devices=(device,) if device else ()), rows(8))
    assert guess([log]) == fabric


def test_a_fifth_of_the_sizes_is_kept_back() -> None:
    points = [Point(0, 8, None, size, 1.0, place) for size in SIZES for place in (False, True)]
    kept, sizes = split(points, 0, 5)
    assert len(sizes) == 3
    assert {point.bytes for point, back in zip(points, kept, strict=True) if back} == set(sizes)
    assert sum(kept) == 6  # both measurements of each
    assert split(points, 0, 5) == (kept, sizes)
    assert len({split(points, seed, 5)[1] for seed in range(20)}) > 10
    assert split(points[:12], 0, 5) == ([False] * 12, ())
    # Of a second log of the same cluster the same sizes are kept back: they would say what is to be predicted.
    twice = [*points, *(replace(point, log=point.log + 1) for point in points)]
    assert split(twice, 0, 5)[0] == [*kept, *kept]


def test_bands_include_their_ends() -> None:
    sizes = [65536, 65537, 2**24, 2**24 + 1]
    points = [Point(0, 8, None, size, 100.0, False) for size in sizes]
    errors = by_band(points, np.array([110.0, 80.0, 100.0, 90.0]))
    assert [(error.band, error.points) for error in errors] == [
        ("to 64KiB", 1), ("to 16MiB", 2), ("above", 1), ("all", 4)]  # fmt: skip
    assert (errors[1].median, errors[1].worst, errors[1].worst_bytes) == pytest.approx((0.1, 0.2, 65537))
    assert (errors[1].bias, errors[-1].bias) == pytest.approx((-0.1, -0.05))


def test_more_sizes_than_constants_are_needed() -> None:
    log = log_of("hccs", 8, {"startup": 1.0}, sizes=[8, 64, 512])
    with pytest.raises(StudyError, match=r"3 sizes for 3 constants \(startup, links, step\)"):
        calibrate([log], "hccs")


# -- the file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [None, "roce-400g-torus", "ib-hdr-dragonfly"])
@pytest.mark.parametrize("fabric", fabrics.available())
def test_every_shipped_fabric_survives_being_written(tmp_path: Path, fabric: str, network: str | None) -> None:
    sheet = fabrics.load(fabric, network=network)
    file = tmp_path / "again.toml"
    title = 'a "title" of \\ µ \x7f'
    text = rewritten(sheet, {}, network=network, name="again", title=title, source="", remarks=["# again"])
    file.write_text(text, encoding="utf-8")
    again = fabrics.load(str(file))
    assert again.fingerprint() == sheet.fingerprint()
    assert again.sources == sheet.sources
    assert (again.name, again.title) == ("again", title)


@pytest.fixture(scope="module")
def mesh() -> Calibration:
    return calibrate(
        [log_of("hccs", cards, {"startup": 2.0, "links": -0.12, "step": -0.4}) for cards in (2, 8)], "hccs"
    )


def test_the_file_gives_the_times_of_the_report(tmp_path: Path, mesh: Calibration) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(fabric_file(mesh, "mine"), encoding="utf-8")
    sheet = fabrics.load(str(file))
    assert sheet.fingerprint() == mesh.sheet.fingerprint()
    assert np.array_equal(Bench(str(file)).times(mesh.points, {}), mesh.after)
    source = sheet.sources["domain.efficiency"]
    assert source.startswith("fitted by ringsim calibrate to made-up.log, made-up.log, 30 points; was 18.3/28: HCCL")
    assert sheet.sources["domain.lanes"] == mesh.was.sources["domain.lanes"]
    stated = tomllib.loads(file.read_text(encoding="utf-8"))
    assert stated["domain"]["efficiency"][0] == pytest.approx(18.3 / 28 * math.exp(-0.12), rel=2e-3)
    assert stated["network"]["name"] == "roce-200g"


def test_a_calibrated_file_can_be_calibrated(tmp_path: Path, mesh: Calibration) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(fabric_file(mesh, "mine"), encoding="utf-8")
    again = calibrate(mesh.logs, str(file))
    assert again.fit.at == pytest.approx((0.0, 0.0, 0.0), abs=5e-3)


# -- the report ----------------------------------------------------------------------------------------------


def test_the_report(mesh: Calibration) -> None:
    text = "\n".join(line.text for line in page(mesh))
    assert "made-up.log: nccl-tests, 2 ranks" in text
    assert "+20." in text or "+19.9" in text
    assert "fits badly" not in text
    assert mesh.hold_out is not None
    assert f"kept back  {len(mesh.hold_out.sizes)} sizes at random (seed 0)" in text
    assert mesh.hold_out.errors[-1].median < 0.01
    said = json.loads(json.dumps(document(mesh, "mine.toml"), allow_nan=False))
    assert [constant["name"] for constant in said["constants"]] == ["startup", "links", "step"]
    assert said["constants"][0]["keys"]["protocol.hccl.startup"]["was"] == "10us"
    assert said["errors"]["after"][-1]["points"] == len(said["points"]) == 30
    assert said["errors"]["before"][-1]["median"] > 0.1 > said["errors"]["after"][-1]["worst"]
    assert said["points"][0]["before_us"] != said["points"][0]["after_us"]


def test_sizes_that_fit_badly_are_named() -> None:
    log = log_of("hccs", 8, {"startup": 2.0}, sizes=[8, 64, 512, 4096, 2**20, 2**24], spoilt={"512": 2.0})
    found = calibrate([log], "hccs", names=["startup"])
    lines = [line.text for line in page(found)]
    begin = next(i for i, line in enumerate(lines) if line.startswith("fits badly"))
    assert lines[begin + 2].startswith("512B ")
    assert "-49.6%  ring ×7 hccl" in lines[begin + 2]
    assert lines[begin + 3] == ""


# -- the command ---------------------------------------------------------------------------------------------


def run(*args: str) -> int:
    if "calibrate" not in cli.commands:
        cli.add_command(command)
    with pytest.raises(SystemExit) as stop:
        main(["calibrate", *args])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    log = log_of("hccs", 8, {"startup": 2.0}, sizes=[8, 512, 2**20])
    (tmp_path / "mine.log").write_text(as_text(log), encoding="utf-8")
    return tmp_path


QUICK = ("mine.log", "--fabric", "hccs", "--cards", "8", "--fit", "startup")


def test_the_command_writes_a_file_that_can_be_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*QUICK) == 0
    out, err = capsys.readouterr()
    assert "+20.00us" in out
    assert "written to mine.toml; use it with --fabric mine.toml" in err
    assert run(*QUICK, "--json", "--quiet") == 0  # what it wrote itself it may write again
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["file"] == "mine.toml"
    with pytest.raises(SystemExit) as stop:
        main(["run", "--fabric", "mine.toml", "--cards", "8", "--size", "8", "--json"])
    assert stop.value.code == 0
    measured = read(here / "mine.log").rows[0].time_us
    assert json.loads(capsys.readouterr().out)["result"]["time_us"] == pytest.approx(measured, rel=1e-3)


def test_the_command_spares_files_of_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.toml").write_text("precious", encoding="utf-8")
    assert run(*QUICK) == 2
    assert "output = mine.toml: is there already; name a file with --output" in capsys.readouterr().err
    assert (here / "mine.toml").read_text(encoding="utf-8") == "precious"
    assert run(*QUICK, "--output", "other") == 0
    assert "--fabric ./other" in capsys.readouterr().err
    assert fabrics.load("./other").name == "other"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("mine.log", "--cards", "8"), 2, "missing option '--fabric'"),
        (("mine.log", "--fabric", "hccs"), 2, "does not say how many ranks"),
        (("none.log", "--fabric", "hccs"), 3, "none.log: cannot be read"),
        (("bad.log", "--fabric", "hccs"), 3, "bad.log: has no row of a benchmark"),
        (("mine.log", "--fabric", "hcs"), 2, "did you mean 'hccs'"),
        (("mine.log", "--fabric", "hccs", "--cards", "8", "--fit", "x"), 2, "fit = x: there is no constant"),
        (("mine.log", "--fabric", "hccs", "--cards", "8"), 2, "3 sizes for 3 constants"),
        (("mine.log", "--fabric", "hccs", "--cards", "1"), 2, "cards = 1"),
        (("mine.log", "--fabric", "hccs", "--cards", "8", "--output", "no/x.toml"), 2, "output = no/x.toml: cannot be"),
        ((), 2, "missing argument"),
    ],
)  # fmt: skip
def test_what_the_command_refuses(
    here: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], code: int, said: str
) -> None:
    (here / "bad.log").write_text("nothing\n", encoding="utf-8")
    before = sorted(path.name for path in here.iterdir())
    assert run(*args) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in here.iterdir()) == before


@pytest.mark.skipif(not SAMPLE.exists(), reason="no shared samples here")
def test_a_real_log_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """8 A100, one thread for all: NCCL's constants alone are off by half."""
    monkeypatch.chdir(tmp_path)
    assert run(str(SAMPLE), "--json", "--quiet") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fabric"] == "nvlink3"
    assert len(found["constants"]) == 5
    assert found["errors"]["before"][-1]["median"] > 0.4
    for band in found["errors"]["after"]:
        assert band["median"] < 0.05, band
    assert found["hold_out"]["errors"][-1]["median"] < 0.05
    bench = Bench(str(tmp_path / f"{SAMPLE.stem}.toml"))
    points = points_of([read(SAMPLE)], bench.sheet)
    assert by_band(points, bench.times(points, {}))[-1].median < 0.05
