"""``ringsim verify``: verdicts, what they say, and exit codes: 0 right, 1 wrong, 2 the command line, 3 the file."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ringsim.cli import main
from ringsim.schedule_file import load_schedule

DOCS = Path(__file__).parents[1] / "docs/schedule.md"
RING = ["--algorithm", "ring", "--fabric", "hccs", "--cards", "8"]


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run `ringsim verify` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> Said:
        with pytest.raises(SystemExit) as stop:
            main(["verify", *args])
        assert isinstance(stop.value.code, int)
        return Said(stop.value.code, *capsys.readouterr())

    return run


def steady(text: str) -> str:
    return re.sub(r"checked in [\d.]+m?s", "checked in …", text)


def test_right(say: Any) -> None:
    code, out, err = say(*RING, "--rings", "1", "--slices", "2")
    assert (code, err) == (0, "")
    assert steady(out).splitlines() == [
        "all-reduce by ring ×1, 2 slices, on 8 cards of hccs",
        "schedule  8 rows, 224 firings, 16 units",
        "values    right: each of 8 ranks ends with what it should, each contribution once",
        "timing    any: waits order all 320 pairs that disagree",
        "buffers   8 slots for each connection never stand still; 3 slots are enough",
        "right",
        "checked in …",
    ]


def test_buffers_too_small_are_a_verdict(say: Any) -> None:
    code, out, _ = say(*RING, "--rings", "1", "--slices", "2", "--depth", "2")
    assert code == 1
    assert "buffers   2 slots for each connection stand still; 3 slots would do" in out
    assert re.search(r"WRONG: row 0 \(.*\) never reaches firing 2: it waits in a circle for a slot until row 1", out)


def test_every_option_reaches_the_schedule(say: Any) -> None:
    args = ["--algorithm", "hierarchical-ring", "--collective", "all-gather", "--fabric", "hccs", "--cards", "16"]
    _, out, _ = say(*args, "--chunks", "3", "--domain", "4", "--network", "ib-ndr", "--save", "s.json")
    assert out.startswith("all-gather by hierarchical-ring ×1, 3 chunks, on 16 cards of hccs\n")
    found = load_schedule("s.json")
    assert (found.ranks, found.units) == (16, 48)
    assert sorted(set(found.begins.tolist())) == list(range(16))


def test_save_and_verify_again(say: Any) -> None:
    said = say(*RING, "--save", "ring.json")
    again = say("ring.json")
    assert again.code == said.code == 0
    assert steady(again.out).splitlines()[1:] == steady(said.out).splitlines()[1:]
    assert again.out.startswith("ring.json\n")


def test_what_the_page_shows_is_what_is_said(say: Any, tmp_path: Path) -> None:
    text = DOCS.read_text("utf-8")
    example = re.search(r"```json\n(.*?)```", text, re.S)
    assert example
    document = json.loads(example[1])
    for shown in re.findall(r"```text\n(.*?)```", text, re.S):
        (tmp_path / "star.json").write_text(json.dumps(document), "utf-8")
        assert steady(say("star.json").out) == steady(shown)
        document["rows"][3]["waits"].pop()
    assert say("star.json").code == 1


def test_json(say: Any) -> None:
    code, out, err = say(*RING, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found.pop("wall_s") > 0
    assert found == {
        "schedule": "all-reduce by ring ×7, 1 slice, on 8 cards of hccs", "ranks": 8, "units": 56, "rows": 56,
        "firings": 784, "right": True, "wrong": None, "values": True, "any_timing": True, "pairs": 1120,
        "fifo_depth": 8, "fifo_deadlock": False, "fifo_smallest": 2,
    }  # fmt: skip
    code, out, _ = say(*RING, "--json", "--depth", "1")
    found = json.loads(out)
    assert (code, found["right"], found["fifo_deadlock"], found["fifo_smallest"]) == (1, False, True, 2)
    assert "waits in a circle" in found["wrong"]


def test_wrong_values_in_json(say: Any, tmp_path: Path) -> None:
    say(*RING, "--save", "ring.json")
    document = json.loads((tmp_path / "ring.json").read_text("utf-8"))
    document["rows"][3]["reduces"] -= 1
    (tmp_path / "ring.json").write_text(json.dumps(document), "utf-8")
    code, out, _ = say("ring.json", "--json")
    found = json.loads(out)
    assert code == 1
    assert (found["right"], found["values"], found["any_timing"], found["fifo_deadlock"]) == (False, False, None, None)
    assert re.match(
        r"rank \d, unit \d+: the contribution of rank \d is missing in what row 3 .* copies$", found["wrong"]
    )


def test_what_is_left_out_is_said(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_module(), "ORDER_S", 1e-6)
    code, out, _ = say(*RING)
    assert code == 0
    assert "timing    not checked: would take more than 30 seconds; --all-timings does it" in out
    assert json.loads(say(*RING, "--json").out)["any_timing"] is None
    assert "timing    any: waits order all" in say(*RING, "--all-timings").out


def test_a_long_one_says_so_and_one_that_is_too_long_is_refused(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_module(), "MOVE_S", 0.3)
    code, _, err = say(*RING)
    assert (code, err) == (0, "ringsim: going through 784 sends of a unit\n")
    monkeypatch.setattr(verify_module(), "MOST_S", 200)
    code, out, err = say(*RING)
    assert (code, out) == (2, "")
    assert "ring: 784 sends of a unit would take some 4 minutes to go through; fewer cards" in err


def verify_module() -> Any:
    import importlib

    return importlib.import_module("ringsim.cli.verify")


USAGE: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "name a schedule file, or give --algorithm, --fabric, --cards; see `ringsim verify --help`"),
    "no cards": (["--algorithm", "ring", "--fabric", "hccs"], "give --cards"),
    "both": (["s.json", "--cards", "8"], "--cards: a file says it all"),
    "a file to save": (["s.json", "--save", "t.json"], "--save: a file says it all"),
    "algorithm misspelt": (["--algorithm", "rign", "--fabric", "hccs", "--cards", "8"], "did you mean 'ring'?"),
    "algorithm auto": (
        ["--algorithm", "auto", "--fabric", "hccs", "--cards", "8"],
        "algorithm = auto: name one: ring, ",
    ),
    "collective unknown": ([*RING, "--collective", "gather"], "collective = gather: one of all-reduce"),
    "cards 1": ([*RING[:-1], "1"], "cards = 1: "),
    "rings 99": ([*RING, "--rings", "99"], "room for 1 to 7"),
    "chunks of a ring": ([*RING, "--chunks", "3"], "chunks = 3: ring has no chunks"),
    "depth 0": ([*RING, "--depth", "0"], "depth = 0: at least 1; NCCL has 8"),
    "depth x": ([*RING, "--depth", "x"], "depth = x: not a whole number; write a number such as 8"),
    "far too many": ([*RING[:-1], "100000"], "159,998,400,000 sends of a unit would take some 2,"),
    "save nowhere": ([*RING, "--save", "no/such/place.json"], "save = no/such/place.json: cannot be written"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(name: str, say: Any) -> None:
    args, right = USAGE[name]
    code, out, err = say(*args)
    assert (code, out) == (2, "")
    assert right in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("row", [{"count": 10**7}, {"count": 10**8, "span": 10**6, "modulus": 10**6}])
def test_a_file_that_asks_for_a_lifetime_is_refused(row: dict[str, int], say: Any, tmp_path: Path) -> None:
    document = {"schema": 1, "ranks": 2, "units": 10**6, "rows": [{"source": 0, "target": 1} | row]}
    (tmp_path / "s.json").write_text(json.dumps(document))
    code, out, err = say("s.json")
    assert (code, out) == (2, "")
    assert "minutes to go through" in err


def test_bad_file(say: Any, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(
        '{"schema": 1, "ranks": 2, "units": 1, "rows": [{"source": 0, "target": 1, "count": 0}]}'
    )
    for path, right in (("s.json", "s.json: row 0: count is below 1"), ("no.json", "no.json: No such file")):
        code, out, err = say(path)
        assert (code, out) == (3, "")
        assert right in err


def test_help_begins_with_an_example(say: Any) -> None:
    code, out, _ = say("--help")
    assert code == 0
    assert out.startswith("Example: ringsim verify --algorithm ring --fabric hccs --cards 16")
