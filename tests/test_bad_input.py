"""Everything a person can get wrong at the command line, one row each: what is typed, and what they are told.

Each row holds the same promise: an exit code that says whose mistake it was (2 the command line, 3 a file),
one message that says what would be right, nothing on standard output, no traceback.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ringsim.cli import main

SHIPPED = (Path(__file__).parents[1] / "topologies" / "hccs.toml").read_text("utf-8")

USAGE, BAD_FILE = 2, 3


def run(*more: str, fabric: str = "hccs", cards: str = "16") -> list[str]:
    return ["run", "--fabric", fabric, "--cards", cards, *more]


def failure(capsys: pytest.CaptureFixture[str], args: Sequence[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(args)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ringsim: error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert isinstance(stop.value.code, int)
    return stop.value.code, err


COMMAND_LINES: dict[str, tuple[list[str], str]] = {
    "no such command": (["rnu"], "ringsim --help"),
    "no such option": (run("--ring", "4"), "--rings"),
    "stray argument": (run("hccs"), "ringsim run --help"),
    "fabric missing": (["run", "--cards", "16"], "hccs, hccs-910c, infinity-fabric"),
    "fabric misspelt": (run(fabric="hcss"), "did you mean 'hccs'?"),
    "fabric unknown": (run(fabric="abacus"), "available: hccs"),
    "fabric empty": (run(fabric=""), "available: hccs"),
    "fabric with escape codes": (run(fabric="h\x1b[31m\nccs"), r"h\x1b[31m\nccs"),
    "cards missing": (["run", "--fabric", "hccs"], "between 2 and 20,000,000 cards"),
    "cards 0": (run(cards="0"), "cards = 0: all-reduce needs between 2 and 20,000,000"),
    "cards 1": (run(cards="1"), "between 2 and 20,000,000"),
    "cards -3": (run(cards="-3"), "cards = -3: all-reduce needs between 2"),
    "cards 1.5": (run(cards="1.5"), "cards = 1.5: not a whole number; all-reduce needs between 2"),
    "cards 10^12": (run(cards="1000000000000"), "between 2 and 20,000,000"),
    "cards 10^5000": (run(cards="1" + "0" * 5000), "out of range; all-reduce needs between 2"),
    "cards abc": (run(cards="abc"), "not a whole number; all-reduce needs between 2"),
    "cards 1_000": (run(cards="1_000"), "cards = 1_000: not a whole number"),
    "cards empty": (run(cards=""), "cards = (empty): not a whole number"),
    "size 0": (run("--size", "0"), "size = 0: a size must be larger than zero"),
    "size -1": (run("--size", "-1"), "a size must be larger than zero"),
    "size 12Q": (run("--size", "12Q"), "size = 12Q: unknown unit 'Q'; write bytes such as 8, 64M or 1G"),
    "size in bits": (run("--size", "1Gb"), "sizes are in bytes"),
    "size NaN": (run("--size", "NaN"), "must be finite; write bytes such as"),
    "size 1e999": (run("--size", "1e999"), "larger than 2^63 - 1 bytes"),
    "size empty": (run("--size", ""), "write bytes such as"),
    "size half an element": (run("--size", "10"), "not a whole number of float elements of 4 bytes"),
    "dtype unknown": (run("--dtype", "float32"), "one of int8, uint8"),
    "algorithm unknown": (run("--algorithm", "rign"), "algorithm = rign: "),
    "protocol unknown": (run("--protocol", "LL"), "protocol = LL: "),
    "engine unknown": (run("--engine", "fast"), "one of compiled, reference"),
    "rings 0": (run("--rings", "0"), "room for 1 to 8"),
    "rings 99": (run("--rings", "99"), "room for 1 to 8"),
    "rings -1": (run("--rings", "-1"), "room for 1 to 8"),
    "rings many": (run("--rings", "many"), "rings = many: not a whole number; write a number such as 8"),
    "slices 0": (run("--slices", "0"), "slices = 0: between 1 and 1,000,000"),
    "chunks 0": (run("--chunks", "0"), "chunks = 0: between 1 and 1,000,000"),
    "seed x": (run("--seed", "x"), "seed = x: not a whole number; write a number such as 7"),
    "domain 0": (run("--domain", "0"), "holds at least 1 card"),
    "domain -1": (run("--domain", "-1"), "holds at least 1 card"),
    "domain al": (run("--domain", "al"), "a number of cards, or 'all'"),
    "domain 9 on a mesh of 8": (run("--domain", "9"), "joins at most 8 cards"),
    "domain all on a mesh of 8": (run("--domain", "all"), "`--set domain.kind=switch`"),
    "network misspelt": (run("--network", "ib-hrd"), "did you mean 'ib-hdr'?"),
    "set without =": (run("--set", "nic.bandwidth"), "write KEY=VALUE"),
    "set empty": (run("--set", ""), "write KEY=VALUE"),
    "set misspelt": (run("--set", "nic.bandwith=50GB/s"), "did you mean nic.bandwidth?"),
    "set a title": (run("--set", "title=Mine"), "copy the file and edit it"),
    "set bits for bytes": (run("--set", "nic.bandwidth=200Gb"), "the '/s' is missing"),
    "set without unit": (run("--set", "nic.bandwidth=25"), "bits or bytes?"),
    "set zero": (run("--set", "nic.bandwidth=0GB/s"), "a rate must be larger than zero"),
    "set negative": (run("--set", "nic.bandwidth=-25GB/s"), "a rate must be larger than zero"),
    "set next to nothing": (run("--set", "nic.bandwidth=1e-300B/s", "--json"), "a bandwidth or an efficiency of nearly"),
    "set for ever": (run("--set", "nic.latency=1e308s", "--json"), "an enormous latency"),
    "set no lane to speak of": (run("--set", "domain.lane_bandwidth=1e-307B/s"), "longer than a number can say"),
    "set NaN": (run("--set", "nic.bandwidth=nan"), "a rate must be finite"),
    "set inf": (run("--set", "nic.bandwidth=inf"), "a rate must be finite"),
    "set efficiency 1.2": (run("--set", "nic.efficiency=1.2"), "at most 1"),
    "set unknown kind": (run("--set", "domain.kind=star"), "available: full-mesh, ring, switch, torus"),
    "set unmatched lanes": (run("--set", "domain.lanes=6"), "domain.lanes must be 7"),
    "output is a directory": (run("--output", "."), "output = .: cannot be written"),
    "output empty": (run("--output", ""), "output = (empty): the name of the file is missing; name a file"),
    "picture in no directory": (run("--picture", "no/such/x.svg"), "picture = no/such/x.svg: cannot be written"),
    "output below a file": (run("--output", f"{__file__}/out.json"), "name a file in a directory"),
    "output in no directory": (run("--output", "no/such/place/out.json"), "name a file in a directory"),
    "output with NUL": (run("--output", "a\0b"), "name a file in a directory"),
    "show misspelt": (["topo", "show", "nvlnk4"], "did you mean 'nvlink4'?"),
    "show nothing": (["topo", "show"], "ringsim topo show --help"),
    "show cards 1": (["topo", "show", "hccs", "--cards", "1"], "between 2 and 20,000,000"),
    "show domain 9": (["topo", "show", "hccs", "--cards", "16", "--domain", "9"], "at most 8 cards"),
    "show domain alone": (["topo", "show", "hccs", "--domain", "4"], "give --cards as well"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_command_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    args, right = COMMAND_LINES[name]
    code, message = failure(capsys, args)
    assert code == USAGE
    assert right in message


def replaced(*pairs: str) -> Callable[[], bytes]:
    """Make a copy of a shipped file, with each second text in place of the first one before it."""

    def make() -> bytes:
        text = SHIPPED
        for old, new in zip(pairs[::2], pairs[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        return text.encode()

    return make


LANE = 'lane_bandwidth = ["28GB/s"'
MESH, EIGHT = 'kind = "full-mesh"', "size = [8,"

FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "write schema = 1"),
    "not TOML": (lambda: b"\x89PNG\r\n", "save the file as UTF-8"),
    "not UTF-8": (lambda: SHIPPED.replace("Huawei", "Huäwei").encode("latin-1"), "line 1: not UTF-8"),
    "truncated": (lambda: SHIPPED.encode()[:700], "repair the TOML there"),
    "schema of the future": (replaced("schema = 1", "schema = 2"), "write schema = 1"),
    "unknown table": (lambda: SHIPPED.encode() + b"\n[cooling]\nfans = 4\n", "cooling"),
    "misspelt key": (replaced("lane_bandwidth =", "lane_bandwith ="), "did you mean domain.lane_bandwidth?"),
    "missing key": (replaced("step_network =", "# step_network ="), "write step_network = [value,"),
    "bandwidth zero": (replaced(LANE, 'lane_bandwidth = ["0GB/s"'), "larger than zero"),
    "bandwidth negative": (replaced(LANE, 'lane_bandwidth = ["-28GB/s"'), "larger than zero"),
    "bandwidth NaN": (replaced(LANE, "lane_bandwidth = [nan"), 'write a rate such as "25GB/s"'),
    "bandwidth inf": (replaced(LANE, "lane_bandwidth = [inf"), 'write a rate such as "25GB/s"'),
    "bandwidth without unit": (replaced(LANE, "lane_bandwidth = [28"), 'write a rate such as "25GB/s"'),
    "both directions read as one": (replaced(LANE, 'lane_bandwidth = ["56GB/s"'), "one direction or both?"),
    "bits read as bytes": (replaced(LANE, 'lane_bandwidth = ["28Gb/s"'), "bits or bytes?"),
    "no source": (replaced("latency = [", 'latency = "0.5us" # ['), '"where it comes from"'),
    "no mesh lanes": (replaced("lanes = [7,", "lanes = [6,", '["392GB/s"', '["336GB/s"'), "must be 7"),
    "torus of other size": (replaced(MESH, 'kind = "torus"\nshape = [[4, 4], "x"]'), "make them agree"),
    "torus without sides": (replaced(MESH, 'kind = "torus"'), "a torus needs its sides"),
    "domain of no cards": (replaced(EIGHT, "size = [0,"), "write a whole number, 1 or larger"),
    "unknown kind": (replaced(MESH, 'kind = "star"'), "available: full-mesh, ring, switch, torus"),
    "unknown network": (replaced("roce-200g", "roce-200q"), "did you mean 'roce-200g'?"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, right = FILES[name]
    path = tmp_path / "mine.toml"
    path.write_bytes(make())
    code, message = failure(capsys, run(fabric=str(path)))
    assert code == BAD_FILE
    assert right in message
    assert str(path) in message


@pytest.mark.parametrize("option", ["--fabric", "--network"])
def test_no_file(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, right in (
        (tmp_path, "this is a directory"),
        (tmp_path / "no.toml", "name an existing TOML file"),
    ):
        code, message = failure(capsys, ["run", "--fabric", "hccs", "--cards", "16", option, str(path)])
        assert code == BAD_FILE
        assert right in message


def test_a_good_file_with_a_bad_change_is_the_command_line_s_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SHIPPED, "utf-8")
    assert failure(capsys, run("--set", "nic.latency=1", fabric=str(path)))[0] == USAGE
    path.write_text("schema = 1", "utf-8")
    assert failure(capsys, run("--set", "nic.latency=1", fabric=str(path)))[0] == BAD_FILE


def test_output_is_checked_before_anything_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ringsim.study.answer", lambda *_, **__: pytest.fail("simulated"))
    assert failure(capsys, run("--output", str(tmp_path)))[0] == USAGE


def test_the_check_leaves_files_as_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("precious")
    for target in old, new:
        failure(capsys, run("--rings", "0", "--output", str(target)))
    assert old.read_text() == "precious"
    assert not new.exists()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt, 130, "interrupted\n"),
        (MemoryError, 2, "ringsim: error: not enough memory for a cluster of this size; ask for fewer cards"),
    ],
)
def test_stopped(
    error: type[BaseException], code: int, message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def stop(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ringsim.study.answer", stop)
    with pytest.raises(SystemExit) as exit:
        main(run())
    out, err = capsys.readouterr()
    assert (exit.value.code, out) == (code, "")
    assert message in err


def test_a_mistake_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("ringsim.study.answer", stop)
    with pytest.raises(ValueError, match="a bug"):
        main(run())


# -- real processes ----------------------------------------------------------------------------------------

PROGRAM = [sys.executable, "-c", "from ringsim.cli import main; main()"]


@pytest.mark.parametrize(
    ("args", "code", "right"),
    [
        (run(fabric="hcss"), USAGE, "did you mean 'hccs'?"),
        (run(fabric="no/such.toml"), BAD_FILE, "name an existing TOML file"),
        (run("--set", "x=1"), USAGE, "unknown key"),
    ],
)
def test_process(args: list[str], code: int, right: str) -> None:
    done = subprocess.run([*PROGRAM, *args], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert right in done.stderr


@pytest.mark.parametrize(
    "args", [["topo", "list"], ["topo", "show", "hccs", "--json"], ["--help"], run("--size", "4K", "--quiet")]
)
def test_closed_pipe(args: list[str]) -> None:
    with subprocess.Popen([*PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([*PROGRAM, "topo", "list"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == USAGE
    assert done.stderr.startswith(b"ringsim: error: cannot write the output: ")
    assert done.stderr.count(b"\n") == 1
