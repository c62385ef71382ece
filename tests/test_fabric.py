"""A fabric file is typed in by hand, so each way of getting one wrong has a row here, with its message.

The second half is about the shipped files: that they say what the vendors print, that every number has a
source, and that step costs and link latencies add up to the constants of NCCL that they come from.
"""

import contextlib
import dataclasses
import math
import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ringsim import fabric
from ringsim.collectives import COLLECTIVES
from ringsim.fabric import Domain, FabricError, Protocol, available, load, loading, networks
from ringsim.fabric.keys import ALGORITHMS, NETWORK_USES, known_keys
from ringsim.units import parse_number, parse_rate, parse_time

GOOD = """\
schema = 1
name = "toy"
title = "A toy cluster"

[card]
name = "Toy 1"
fp16_tflops = [100, "toy sheet"]
memory = ["64GiB", "toy sheet"]
memory_bandwidth = ["1TB/s", "toy sheet"]
watts = [300, "toy sheet"]

[domain]
kind = "switch"
size = [8, "toy sheet"]
lanes = [4, "toy sheet"]
lane_bandwidth = ["25GB/s", "toy sheet"]
datasheet_bandwidth = ["200GB/s", "toy sheet"]
efficiency = ["20/25", "toy measurement"]
latency = ["0.1us", "toy measurement"]

[nic]
line_rate = ["200Gb/s", "toy sheet"]
bandwidth = ["25GB/s", "toy sheet"]
efficiency = [0.9, "toy measurement"]
host_bandwidth = ["27GB/s", "toy sheet"]
latency = ["0.2us", "toy measurement"]

[network]
name = "toynet"
title = "A toy network"
kind = "rail-leaf-spine"
radix = [64, "toy sheet"]
oversubscription = [1, "toy sheet"]
switch_latency = ["0.3us", "toy sheet"]
routing = "spread"

[protocol.Plain]
startup = ["5us", "toy measurement"]
step_scale_up = ["1us", "toy measurement"]
step_network = ["2us", "toy measurement"]
wire = [1, "toy measurement"]
slices = [2, "toy measurement"]
share = "max-min"

[protocol.Plain.tree]
startup = ["6us", "toy measurement"]

[protocol.Fast]
startup = ["3us", "toy measurement"]
step_scale_up = ["0.5us", "toy measurement"]
step_network = ["1us", "toy measurement"]
wire = ["128/120", "toy measurement"]
slices = [1, "toy measurement"]
share = "reserved"
channel_cap = ["20GB/s", "toy measurement"]
send_overhead = ["0.1us", "toy measurement"]
reduce_bandwidth = ["inf", "toy measurement"]
"""


@pytest.fixture
def write(tmp_path):
    """Write a text, or the good file with replacements, and return its path."""

    def write(*replacements: tuple[str, str], text: str = GOOD, name: str = "toy.toml") -> str:
        for old, new in replacements:
            assert text.count(old) >= 1, old
            text = text.replace(old, new, 1)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def message(call, *arguments, **options) -> str:
    with pytest.raises(FabricError) as caught:
        call(*arguments, **options)
    return str(caught.value)


# --- a good file --------------------------------------------------------------------------------------


def test_a_good_file_arrives_in_si(write):
    path = write()
    toy = load(path)
    assert (toy.name, toy.title, toy.path) == ("toy", "A toy cluster", path)
    assert toy.card == fabric.Card("Toy 1", 100.0, 64 * 2**30, 1e12, 300.0, None)
    assert toy.domain == Domain("switch", 8, (), 4, 25e9, 0.8, 1e-7)
    assert toy.domain.card_bandwidth == 4 * 25e9 * 0.8
    assert toy.domain.datasheet_bandwidth == 200e9
    assert toy.nic == fabric.Nic(25e9, 0.9, 27e9, 2e-7)
    assert toy.network == fabric.Network("toynet", "A toy network", "rail-leaf-spine", 64, 1.0, 3e-7, "spread")
    assert list(toy.protocols) == ["Plain", "Fast"]
    assert toy.changed == ()
    assert toy.sources["domain.efficiency"] == "toy measurement"
    assert toy.sources["protocol.Plain.tree.startup"] == "toy measurement"


def test_protocol_defaults_and_overrides(write):
    toy = load(write())
    plain = Protocol("Plain", 5e-6, 1e-6, 2e-6, 1.0, 2, "max-min")
    assert toy.protocol("Plain", "ring") == plain
    assert toy.protocol("Plain") == plain
    assert toy.protocol("Plain", "mesh") == plain
    assert toy.protocol("Plain", "tree") == dataclasses.replace(plain, startup=6e-6)
    fast = Protocol("Fast", 3e-6, 5e-7, 1e-6, 128 / 120, 1, "reserved", channel_cap=20e9, send_overhead=1e-7)
    assert toy.protocol("Fast", "tree") == fast


@pytest.mark.parametrize(
    ("name", "part"),
    [("plain", "did you mean 'Plain'?"), ("Fats", "did you mean 'Fast'?"), ("zzz", "available: Fast, Plain")],
)
def test_unknown_protocol(write, name, part):
    said = message(load(write()).protocol, name, "ring")
    assert f"protocol = {name}: " in said
    assert part in said


def test_everything_is_frozen(write):
    toy = load(write())
    for part in (toy, toy.card, toy.domain, toy.nic, toy.network, toy.protocol("Plain")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            part.name = "other"


def test_a_fabric_can_be_a_key_and_can_travel(write):
    toy = load(write())
    assert {toy: 1}[load(write())] == 1
    again = pickle.loads(pickle.dumps(toy))
    assert again == toy
    assert again.fingerprint() == toy.fingerprint()


@pytest.mark.parametrize(
    "edits",
    [
        [("[4, ", '["4", ')],
        [('["20/25",', "[0.8,")],
        [("[0.9,", '["0.9",')],
        [("[0.9,", "[1,")],
        [("[1, ", "[1.0, ")],
        [("[300, ", "[300.5, ")],
        [('"25GB/s"', '"200Gb/s"')],
        [('["200Gb/s"', '["25GB/s"')],
        [('latency = ["0.1us"', 'latency = ["0s"')],
        [('channel_cap = ["20GB/s"', "channel_cap = [inf")],
        [('watts = [300, "toy sheet"]\n', "")],
        [('watts = [300, "toy sheet"]\n', 'price_usd = [1e4, "toy sheet"]\n')],
        [("[8, ", "[1, ")],
        # A little rounding in a data sheet is no disagreement.
        [('"200GB/s"', '"201GB/s"')],
    ],
)
def test_other_spellings_are_fine(write, edits):
    load(write(*edits))


@pytest.mark.parametrize(
    ("kind", "size", "shape", "lanes", "sheet"),
    [
        ("switch", 1, None, 4, 200),
        ("full-mesh", 5, None, 4, 200),
        ("full-mesh", 2, None, 1, 50),
        ("ring", 8, None, 2, 100),
        ("ring", 8, [8], 2, 100),
        ("torus", 16, [4, 4], 4, 200),
        ("torus", 24, [2, 3, 4], 6, 300),
    ],
)
def test_domains(write, kind, size, shape, lanes, sheet):
    given = f'shape = [{shape}, "toy sheet"]\n' if shape else ""
    path = write(
        ('"switch"', f'"{kind}"'),
        ("size = [8,", f"{given}size = [{size},"),
        ("lanes = [4,", f"lanes = [{lanes},"),
        ('"200GB/s"', f'"{sheet}GB/s"'),
    )
    domain = load(path).domain
    assert domain.shape == tuple(shape or ())
    assert domain.card_bandwidth == pytest.approx(lanes * 20e9)
    assert domain.datasheet_bandwidth == pytest.approx(sheet * 1e9)


# --- bad files ----------------------------------------------------------------------------------------

BAD = [
    # (what is replaced, by what, key = value in the message, more of the message)
    # sources
    ('[100, "toy sheet"]', "100", "card.fp16_tflops = 100", "has no source; write fp16_tflops = [value, "),
    ('[100, "toy sheet"]', "[100]", "card.fp16_tflops = [100]", "has no source"),
    ('[100, "toy sheet"]', '[100, ""]', "card.fp16_tflops = 100", "source is empty"),
    ('[100, "toy sheet"]', '[100, "  "]', "card.fp16_tflops = 100", "source is empty"),
    ('[100, "toy sheet"]', "[100, 5]", "card.fp16_tflops = [100, 5]", "source must be a text"),
    ('[100, "toy sheet"]', '[100, "a", "b"]', "card.fp16_tflops = [100, a, b]", "two things"),
    ('["25GB/s", "toy sheet"]', '"25GB/s"', "domain.lane_bandwidth = 25GB/s", "has no source"),
    ('"switch"', '["switch", "toy sheet"]', "domain.kind = [switch, toy sheet]", "without a source"),
    ('"Toy 1"', '["Toy 1", "x"]', "card.name = [Toy 1, x]", "without a source"),
    # numbers
    ("[100,", "[true,", "card.fp16_tflops = true", "not a number"),
    ("[100,", "[nan,", "card.fp16_tflops = nan", "finite"),
    ("[100,", "[inf,", "card.fp16_tflops = inf", "finite"),
    ("[100,", "[0,", "card.fp16_tflops = 0", "larger than 0"),
    ("[100,", "[-100,", "card.fp16_tflops = -100", "larger than 0"),
    ("[100,", '["fast",', "card.fp16_tflops = fast", "does not start with a number"),
    ("[100,", "[[1],", "card.fp16_tflops = [1]", "not a number"),
    ("[100,", "[1979-05-27,", "card.fp16_tflops = 1979-05-27", "not a number"),
    ("[100,", f"[1{'0' * 400},", "card.fp16_tflops = 1000", "finite"),
    ("[300,", "[0,", "card.watts = 0", "larger than 0"),
    ('["20/25"', "[0", "domain.efficiency = 0", "larger than 0 and at most 1"),
    ('["20/25"', "[1.01", "domain.efficiency = 1.01", "larger than 0 and at most 1"),
    ('["20/25"', '["25/20"', "domain.efficiency = 25/20", "larger than 0 and at most 1"),
    ('["20/25"', '["20/0"', "domain.efficiency = 20/0", "division by zero"),
    ('["20/25"', '["80%"', "domain.efficiency = 80%", "'%' follows"),
    ("[0.9,", "[true,", "nic.efficiency = true", "not a number"),
    ("[0.9,", "[-0.9,", "nic.efficiency = -0.9", "larger than 0"),
    ("oversubscription = [1,", "oversubscription = [0.5,", "network.oversubscription = 0.5", "1 or larger"),
    ("wire = [1,", "wire = [0.5,", "protocol.Plain.wire = 0.5", "1 or larger"),
    ("wire = [1,", "wire = [nan,", "protocol.Plain.wire = nan", "finite"),
    # counts
    ("size = [8,", "size = [8.0,", "domain.size = 8.0", "not a whole number"),
    ("size = [8,", "size = [true,", "domain.size = true", "not a whole number"),
    ("size = [8,", "size = [0,", "domain.size = 0", "too small"),
    ("size = [8,", "size = [-8,", "domain.size = -8", "too small"),
    ("size = [8,", "size = [10000000000,", "domain.size = 10000000000", "too large"),
    ("size = [8,", 'size = ["eight",', "domain.size = eight", "not a whole number"),
    ("lanes = [4,", "lanes = [nan,", "domain.lanes = nan", "not a whole number"),
    ("lanes = [4,", "lanes = [inf,", "domain.lanes = inf", "not a whole number"),
    ("radix = [64,", "radix = [1,", "network.radix = 1", "2 or larger"),
    ("slices = [2,", "slices = [0,", "protocol.Plain.slices = 0", "1 or larger"),
    # quantities with a unit
    ('["64GiB"', "[64", "card.memory = 64", "without a unit"),
    ('["64GiB"', '["64Q"', "card.memory = 64Q", "unknown unit"),
    ('["64GiB"', '["64Gb"', "card.memory = 64Gb", "bits"),
    ('["64GiB"', '["0GB"', "card.memory = 0GB", "larger than zero"),
    ('["1TB/s"', "[true", "card.memory_bandwidth = true", "yes or no"),
    ('["1TB/s"', '["1TB"', "card.memory_bandwidth = 1TB", "'/s' is missing"),
    ('["1TB/s"', "[[]", "card.memory_bandwidth = []", "not a text"),
    ('lane_bandwidth = ["25GB/s"', "lane_bandwidth = [25", "domain.lane_bandwidth = 25", "without a unit"),
    ('lane_bandwidth = ["25GB/s"', 'lane_bandwidth = ["25"', "domain.lane_bandwidth = 25", "bits or bytes"),
    ('lane_bandwidth = ["25GB/s"', "lane_bandwidth = [nan", "domain.lane_bandwidth = nan", "without a unit"),
    ('lane_bandwidth = ["25GB/s"', 'lane_bandwidth = ["nan"', "domain.lane_bandwidth = nan", "finite"),
    ('lane_bandwidth = ["25GB/s"', 'lane_bandwidth = ["inf"', "domain.lane_bandwidth = inf", "finite"),
    ('lane_bandwidth = ["25GB/s"', 'lane_bandwidth = [""', 'domain.lane_bandwidth = ""', "not a rate"),
    ('["0.1us"', "[0.1", "domain.latency = 0.1", "without a unit"),
    ('["0.1us"', "[0", "domain.latency = 0", "without a unit"),
    ('["0.1us"', '["-0.1us"', "domain.latency = -0.1us", "negative"),
    ('["0.2us"', '["0.2m"', "nic.latency = 0.2m", "unknown unit"),
    ('["27GB/s"', '["-27GB/s"', "nic.host_bandwidth = -27GB/s", "larger than zero"),
    ('["5us"', '["nan"', "protocol.Plain.startup = nan", "finite"),
    ('["6us"', '["6"', "protocol.Plain.tree.startup = 6", "needs a unit"),
    ('["20GB/s"', '["0GB/s"', "protocol.Fast.channel_cap = 0GB/s", "larger than zero"),
    ('["20GB/s"', "[true", "protocol.Fast.channel_cap = true", "yes or no"),
    ('["20GB/s"', "[-inf", "protocol.Fast.channel_cap = -inf", "without a unit"),
    # kinds and names
    ('"switch"', '"swich"', "domain.kind = swich", "did you mean 'switch'?"),
    ('"switch"', '"star"', "domain.kind = star", "full-mesh, ring, switch, torus"),
    ('"switch"', "1", "domain.kind = 1", "not a text"),
    ('"rail-leaf-spine"', '"rail"', "network.kind = rail", "leaf-spine"),
    ('"spread"', '"ecmp"', "network.routing = ecmp", "hash, spread"),
    ('"max-min"', '"maxmin"', "protocol.Plain.share = maxmin", "did you mean 'max-min'?"),
    ('"A toy cluster"', '""', 'title = ""', "empty"),
    ('"A toy cluster"', "7", "title = 7", "not a text"),
    # the whole file
    ("schema = 1\n", "", "schema = (missing)", "write schema = 1"),
    ("schema = 1", "schema = 2", "schema = 2", "write schema = 1"),
    ("schema = 1", "schema = true", "schema = true", "write schema = 1"),
    ('name = "toy"\n', "", "name = (missing)", "required"),
    ('lanes = [4, "toy sheet"]\n', "", "domain.lanes = (missing)", "write lanes = [value, "),
    ('datasheet_bandwidth = ["200GB/s", "toy sheet"]\n', "", "domain.datasheet_bandwidth = (missing)", ""),
    ('line_rate = ["200Gb/s", "toy sheet"]\n', "", "nic.line_rate = (missing)", "required"),
    ('routing = "spread"\n', "", "network.routing = (missing)", 'write routing = "..."'),
    ('step_network = ["2us", "toy measurement"]\n', "", "protocol.Plain.step_network = (missing)", ""),
    # unknown keys
    ("watts", "wats", "card.wats = [300, toy sheet]", "did you mean card.watts?"),
    ("lane_bandwidth", "lanes_bandwidth", "domain.lanes_bandwidth", "did you mean domain.lane_bandwidth?"),
    ("[nic]", "[nics]", "nics = {...}", "did you mean nic?"),
    ("[domain]", "[domains]", "domains = {...}", "did you mean domain?"),
    (
        "[protocol.Plain.tree]",
        "[protocol.Plain.tre]",
        "protocol.Plain.tre",
        "did you mean protocol.Plain.tree?",
    ),
    ("startup", "start_up", "protocol.Plain.start_up", "did you mean protocol.Plain.startup?"),
    ("[card]", "colour = 1\n[card]", "colour = 1", "unknown key"),
    ("watts", "zzz", "card.zzz", "known here: card.fp16_tflops"),
    ("[card]", '[card]\nname.first = "x"', None, "TOML"),
    ('name = "Toy 1"', 'name.first = "Toy 1"', "card.name = {...}", "a table where a value should be"),
    ("[protocol.Fast]", '[protocol."a.b"]', "protocol = a.b", "letters, digits"),
    # tables
    ("[card]", "card = 1\n[other]", "card = 1", "must be a table"),
    ("[card]", "protocol = 1\n[card]", None, "TOML"),
]


@pytest.mark.parametrize(("old", "new", "where", "what"), BAD)
def test_bad_files(write, old, new, where, what):
    path = write((old, new))
    said = message(load, path)
    assert said.startswith(f"{path}: ")
    if where is not None:
        assert said.startswith(f"{path}: {where}")
        # FILE: key = value: what is wrong; what would be right
        assert re.fullmatch(r".+?: \S+ = .*?: .+; .+", said)
    assert what in said
    assert "\n" not in said


def test_no_protocol(write):
    path = write(text=GOOD[: GOOD.index("[protocol.Plain]")])
    assert f"{path}: protocol = (missing): " in message(load, path)
    path = write(text="protocol = {}\n" + GOOD[: GOOD.index("[protocol.Plain]")])
    assert "at least one protocol" in message(load, path)
    path = write(text="protocol = {LL = 1}\n" + GOOD[: GOOD.index("[protocol.Plain]")])
    assert "protocol.LL = 1: must be a table" in message(load, path)


@pytest.mark.parametrize(
    ("edits", "where", "what"),
    [
        ([('"200GB/s"', '"100GB/s"')], "domain.datasheet_bandwidth = 100GB/s", "one direction or both?"),
        ([('"200GB/s"', '"400GB/s"')], "domain.datasheet_bandwidth = 400GB/s", "one direction or both?"),
        ([('"200GB/s"', '"200Gb/s"')], "domain.datasheet_bandwidth = 200Gb/s", "bits or bytes?"),
        ([('"200GB/s"', '"1600GB/s"')], "domain.datasheet_bandwidth = 1600GB/s", "bits or bytes?"),
        ([('"25GB/s"', '"25Gb/s"')], "domain.datasheet_bandwidth = 200GB/s", "bits or bytes?"),
        ([('"25GB/s"', '"50GB/s"')], "domain.datasheet_bandwidth = 200GB/s", "one direction or both?"),
        ([('"200GB/s"', '"100Gb/s"')], "domain.datasheet_bandwidth = 100Gb/s", "both? bits or bytes?"),
        ([("lanes = [4,", "lanes = [5,")], "domain.datasheet_bandwidth = 200GB/s", "2 directions x 5 lanes"),
        ([('"200GB/s"', '"204GB/s"')], "domain.datasheet_bandwidth = 204GB/s", "factor of 1.02"),
        ([('"200Gb/s"', '"200GB/s"')], "nic.line_rate = 200GB/s", "bits or bytes?"),
        ([('"200Gb/s"', '"25Gb/s"')], "nic.line_rate = 25Gb/s", "bits or bytes?"),
        ([('"200Gb/s"', '"400Gb/s"')], "nic.line_rate = 400Gb/s", "one direction or both?"),
        (
            [('\nbandwidth = ["25GB/s"', '\nbandwidth = ["25Gb/s"')],
            "nic.line_rate = 200Gb/s",
            "bits or bytes?",
        ),
        ([('\nbandwidth = ["25GB/s"', '\nbandwidth = ["12.5GB/s"')], "nic.line_rate = 200Gb/s", "direction"),
        ([('"200Gb/s"', '"300Gb/s"')], "nic.line_rate = 300Gb/s", "factor of 1.5"),
    ],
)
def test_unit_mistakes_are_caught_by_the_second_figure(write, edits, where, what):
    path = write(*edits)
    said = message(load, path)
    assert said.startswith(f"{path}: {where}: does not agree with ")
    assert what in said


def test_no_hint_where_the_factor_means_nothing(write):
    said = message(load, write(('"200Gb/s"', '"300Gb/s"')))
    assert "bits or bytes" not in said
    assert "direction or both" not in said


@pytest.mark.parametrize(
    ("edits", "where", "what"),
    [
        ([('"switch"', '"full-mesh"')], "domain.lanes = 4", "domain.lanes must be 7"),
        ([('"switch"', '"ring"')], "domain.lanes = 4", "domain.lanes must be 2"),
        ([('"switch"', '"torus"')], "domain.shape = (none)", "needs its sides"),
        ([('"switch"', '"torus"\nshape = [[2, 3], "x"]')], "domain.shape = [2, 3]", "2 x 3 = 6 cards"),
        ([('"switch"', '"torus"\nshape = [[2, 2, 2], "x"]')], "domain.lanes = 4", "domain.lanes must be 6"),
        ([('"switch"', '"torus"\nshape = [[8, 1], "x"]')], "domain.shape = [8, 1]", "side 1"),
        ([('"switch"', '"torus"\nshape = [[8.0], "x"]')], "domain.shape = [8.0]", "side 8.0"),
        ([('"switch"', '"torus"\nshape = [[true, 8], "x"]')], "domain.shape = [true, 8]", "side true"),
        ([('"switch"', '"torus"\nshape = [8, "x"]')], "domain.shape = 8", "not a list"),
        ([('"switch"', '"torus"\nshape = [2, 4]')], "domain.shape = [2, 4]", "source must be a text"),
        ([('"switch"', '"switch"\nshape = [[2, 4], "x"]')], "domain.shape = [2, 4]", "switch has no sides"),
        ([('"switch"', '"ring"'), ("size = [8,", "size = [1,")], "domain.size = 1", "at least two cards"),
        (
            [('"switch"', '"full-mesh"'), ("size = [8,", "size = [1,")],
            "domain.size = 1",
            "at least two cards",
        ),
    ],
)
def test_impossible_domains(write, edits, where, what):
    path = write(*edits)
    said = message(load, path)
    assert said.startswith(f"{path}: {where}: ")
    assert what in said


# --- files that cannot be read ------------------------------------------------------------------------


def test_truncated_at_every_place_is_refused_with_file_and_line(write):
    # Up to the end of the last key that a fabric cannot do without; the rest of the file is optional.
    enough = GOOD.index('"max-min"') + len('"max-min"')
    for length in range(enough):
        path = write(text=GOOD[:length])
        said = message(load, path)
        assert said.startswith(f"{path}: ")
        found = re.match(re.escape(path) + r": line (\d+): ", said)
        if found:
            assert int(found[1]) == GOOD[:length].count("\n") + 1
    assert load(write(text=GOOD[:enough])).name == "toy"


def test_truncated_where_the_rest_is_optional(write):
    for length in range(GOOD.index("[protocol.Plain.tree]"), len(GOOD)):
        path = write(text=GOOD[:length])
        # Either a fabric or a proper complaint, and nothing else.
        with contextlib.suppress(FabricError):
            assert load(path).name == "toy"


def test_truncated_file_says_where(write):
    cut = GOOD.index('"toy measurement"', GOOD.index("efficiency")) + 5
    path = write(text=GOOD[:cut])
    said = message(load, path)
    assert said.startswith(f"{path}: line {GOOD[:cut].count(chr(10)) + 1}: ")


def test_toml_error_in_the_middle_says_where(write):
    path = write(("[card]", "[card"))
    assert message(load, path).startswith(f"{path}: line {GOOD[: GOOD.index('[card]')].count(chr(10)) + 1}: ")


def test_key_given_twice(write):
    assert "repair the TOML" in message(load, write(("[domain]", "[card]")))


def test_missing_file(tmp_path):
    path = str(tmp_path / "none.toml")
    assert message(load, path) == f"{path}: there is no such file; name an existing TOML file"


def test_directory(tmp_path):
    assert "this is a directory" in message(load, str(tmp_path))
    (tmp_path / "sub.toml").mkdir()
    assert "this is a directory" in message(load, str(tmp_path / "sub.toml"))
    assert "this is a directory" in message(load, ".")


def test_not_utf8(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes(b'schema = 1\nname = "caf\xe9"\n')
    assert message(load, str(path)).startswith(f"{path}: line 2: not UTF-8")
    path.write_bytes(b"\x7fELF\x02\x00\xff\xfe")
    assert message(load, str(path)).startswith(f"{path}: line 1: ")


def test_empty_file(write):
    assert "schema = (missing)" in message(load, write(text=""))


def test_nul_in_the_name():
    assert "cannot be read" in message(load, "a\0b.toml")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(write):
    path = write()
    Path(path).chmod(0)
    assert "cannot be read" in message(load, path)


def test_unreadable_file_whoever_runs_this(write, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    path = write()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert message(load, path) == f"{path}: cannot be read: Permission denied; name a readable TOML file"


def test_bom_and_windows_lines_are_fine(tmp_path):
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(str(path)).name == "toy"


def test_deeply_nested_file_is_refused(write):
    assert ": " in message(load, write(text="a = " + "[" * 100_000))


# --- names and networks -------------------------------------------------------------------------------


def test_unknown_name_suggests_and_lists():
    said = message(load, "hcss")
    assert "fabric = hcss: there is no fabric of this name; did you mean 'hccs'?" in said
    for name in available():
        assert name in said
    assert "path of a TOML file" in said
    assert 'fabric = ""' in message(load, "")
    assert "did you mean" not in message(load, "qqqqqq")


def test_unknown_network_suggests_and_lists():
    said = message(load, "hccs", network="ib-hrd")
    assert "network = ib-hrd" in said
    assert "did you mean 'ib-hdr'?" in said
    for name in networks():
        assert name in said


def test_network_by_name():
    ours = load("nvlink3", network="ib-ndr")
    assert ours.network.name == "ib-ndr"
    assert ours.nic == load("nvlink4").nic
    assert ours.domain == load("nvlink3").domain
    assert ours.fingerprint() != load("nvlink3").fingerprint()


def test_network_in_place_of_an_inline_one(write):
    toy = load(write(), network="ib-hdr")
    assert toy.network.name == "ib-hdr"
    assert "assumed" not in toy.sources["nic.bandwidth"]
    assert toy.domain.lanes == 4


START, END = GOOD.index("[nic]"), GOOD.index("[protocol.Plain]")
NETWORK = "schema = 1\n" + GOOD[START:END]
WITHOUT = GOOD[:START] + GOOD[END:]


def test_network_file_beside_the_fabric_file(write, tmp_path):
    path = write(text=WITHOUT.replace("\n[card]", 'network = "nets/mine.toml"\n[card]', 1))
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.toml").write_text(NETWORK)
    assert load(path).network.name == "toynet"
    # The same fabric, whether its network is written inside or beside.
    assert load(path).fingerprint() == load(write(name="inline.toml")).fingerprint()


@pytest.mark.parametrize("name", ["mine", "mine.toml"])
def test_network_file_beside_by_name(write, tmp_path, name):
    path = write(text=WITHOUT.replace("\n[card]", f'network = "{name}"\n[card]', 1))
    (tmp_path / "mine.toml").write_text(NETWORK)
    assert load(path).network.name == "toynet"


def test_fabric_and_network_of_the_same_name(write):
    path = write(text=WITHOUT.replace("\n[card]", 'network = "ib-hdr"\n[card]', 1), name="ib-hdr.toml")
    assert load(path).network.name == "ib-hdr"


def test_shipped_network_from_ones_own_file(write):
    path = write(text=WITHOUT.replace("\n[card]", 'network = "roce-400g"\n[card]', 1))
    assert load(path).network.routing == "spread"


def test_errors_in_a_network_file_name_that_file(write, tmp_path):
    path = write(text=WITHOUT.replace("\n[card]", 'network = "mine"\n[card]', 1))
    beside = tmp_path / "mine.toml"
    for old, new, part in [
        ("[0.9,", "[9,", "nic.efficiency = 9: "),
        ('routing = "spread"\n', "", "network.routing = (missing): "),
        ("schema = 1", "schema = 3", "schema = 3: "),
        ("radix", "radixx", "network.radixx = [64, toy sheet]: unknown key; did you mean network.radix?"),
        ('"200Gb/s"', '"200GB/s"', "nic.line_rate = 200GB/s: "),
        ("[nic]", "[card]\n[nic]", "card = {...}: unknown key"),
    ]:
        beside.write_text(NETWORK.replace(old, new, 1))
        assert message(load, path).startswith(f"{beside}: {part}")
        assert message(load, "hccs", network=str(beside)).startswith(f"{beside}: {part}")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('network = "ib-hrd"', "did you mean 'ib-hdr'?"),
        ('network = ""', "not the name of a network"),
        ("network = 5", "not the name of a network"),
        ("network = []", "not the name of a network"),
        ("", "network = (missing): a fabric needs a network"),
    ],
)
def test_bad_reference_to_a_network(write, line, part):
    path = write(text=WITHOUT.replace("\n[card]", f"{line}\n[card]", 1))
    said = message(load, path)
    assert said.startswith(f"{path}: network = ")
    assert part in said


def test_nic_beside_a_named_network(write):
    end = GOOD.index("[network]")
    path = write(text=(GOOD[:end] + GOOD[END:]).replace("\n[card]", 'network = "ib-hdr"\n[card]', 1))
    assert "nic = {...}: network = ib-hdr brings its own [nic]" in message(load, path)


def test_nic_without_network_and_network_without_nic(write):
    middle = GOOD.index("[network]")
    assert "network.name = (missing)" in message(load, write(text=GOOD[:middle] + GOOD[END:]))
    assert "nic.line_rate = (missing)" in message(load, write(text=GOOD[:START] + GOOD[middle:]))


def test_relative_path_is_a_path(write, tmp_path, monkeypatch):
    write()
    monkeypatch.chdir(tmp_path)
    assert load("toy.toml").name == "toy"
    assert load("./toy.toml").path == "toy.toml"
    assert message(load, "./hccs").startswith("hccs: there is no such file")


# --- changes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "read", "value"),
    [
        ("card.fp16_tflops=200", lambda f: f.card.fp16_tflops, 200.0),
        ("card.memory=80GB", lambda f: f.card.memory, 80 * 10**9),
        ("card.price_usd=12000", lambda f: f.card.price_usd, 12000.0),
        ("domain.size=16", lambda f: f.domain.size, 16),
        ("domain.lanes=18", lambda f: f.domain.lanes, 18),
        ("domain.lane_bandwidth=50GB/s", lambda f: f.domain.lane_bandwidth, 50e9),
        ("domain.efficiency=18.3/28", lambda f: f.domain.efficiency, 18.3 / 28),
        ("domain.latency = 0us", lambda f: f.domain.latency, 0.0),
        ("nic.bandwidth=50GB/s", lambda f: f.nic.bandwidth, 50e9),
        ("nic.bandwidth=400Gb/s", lambda f: f.nic.bandwidth, 50e9),
        ("network.oversubscription=7", lambda f: f.network.oversubscription, 7.0),
        ("network.kind=leaf-spine", lambda f: f.network.kind, "leaf-spine"),
        ("network.routing=hash", lambda f: f.network.routing, "hash"),
        ("network.radix=32", lambda f: f.network.radix, 32),
        ("protocol.Plain.slices=4", lambda f: f.protocol("Plain").slices, 4),
        ("protocol.Plain.wire=128/120", lambda f: f.protocol("Plain").wire, 128 / 120),
        ("protocol.Plain.share=reserved", lambda f: f.protocol("Plain").share, "reserved"),
        ("protocol.Plain.channel_cap=inf", lambda f: f.protocol("Plain").channel_cap, math.inf),
        ("protocol.Plain.channel_cap=20GB/s", lambda f: f.protocol("Plain", "tree").channel_cap, 20e9),
        ("protocol.Plain.ring.step_network=5us", lambda f: f.protocol("Plain", "ring").step_network, 5e-6),
        ("protocol.Plain.ring.step_network=5us", lambda f: f.protocol("Plain", "tree").step_network, 2e-6),
        ("protocol.Plain.ring.step_network=5us", lambda f: f.protocol("Plain").step_network, 2e-6),
        ("protocol.Plain.step_network=5us", lambda f: f.protocol("Plain", "tree").step_network, 5e-6),
        # The tree keeps what it says for itself.
        ("protocol.Plain.startup=9us", lambda f: f.protocol("Plain", "tree").startup, 6e-6),
    ],
)
def test_changes(write, change, read, value):
    path = write()
    toy = load(path, changes=[change])
    assert read(toy) == value
    assert [entry[0] for entry in toy.changed] == [change.partition("=")[0].strip()]
    key = toy.changed[0][0]
    assert toy.sources.get(key, "changed by the user") == "changed by the user"
    assert load(path).changed == ()


def test_changes_are_recorded_as_written(write):
    toy = load(
        write(),
        changes=[
            "nic.bandwidth=50GB/s",
            "nic.bandwidth=400Gb/s",
            "domain.kind=ring",
            "domain.lanes=2",
            "card.price_usd=1e4",
            "protocol.Plain.ring.step_network=5us",
            "protocol.Plain.tree.startup=7us",
            "protocol.Plain.channel_cap=20GB/s",
        ],
    )
    assert toy.changed == (
        ("nic.bandwidth", "25GB/s", "50GB/s"),
        ("nic.bandwidth", "50GB/s", "400Gb/s"),
        ("domain.kind", "switch", "ring"),
        ("domain.lanes", "4", "2"),
        ("card.price_usd", "(none)", "1e4"),
        ("protocol.Plain.ring.step_network", "2us", "5us"),
        ("protocol.Plain.tree.startup", "6us", "7us"),
        ("protocol.Plain.channel_cap", "inf", "20GB/s"),
    )


def test_changes_skip_the_vendors_figures_only(write):
    # Twice the NIC would be a unit mistake in a file; here it is a question.
    assert load(write(), changes=["nic.bandwidth=50GB/s"]).nic.bandwidth == 50e9
    # The file itself is still checked.
    path = write(('"200Gb/s"', '"400Gb/s"'))
    assert message(load, path, changes=["nic.bandwidth=50GB/s"]).startswith(f"{path}: nic.line_rate")


def test_changes_are_judged_together():
    assert load("hccs", changes=["domain.size=4", "domain.lanes=3"]).domain.size == 4
    assert load("hccs", changes=["domain.lanes=3", "domain.size=4"]).domain.size == 4
    torus = load("hccs", changes=["domain.kind=torus", "domain.shape=4x2", "domain.lanes=4"]).domain
    assert torus.shape == (4, 2)
    back = ["domain.kind=torus", "domain.shape=4x2", "domain.kind=switch", "domain.shape=none"]
    assert load("hccs", changes=back).domain.shape == ()
    assert load("hccs", changes=["domain.kind=switch"]).domain.kind == "switch"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("nic.bandwith=50GB/s", "nic.bandwith = 50GB/s: unknown key; did you mean nic.bandwidth?"),
        ("bandwidth=50GB/s", "unknown key; "),
        ("domain.kinds=ring", "did you mean domain.kind?"),
        ("protocol.hcl.startup=1us", "did you mean protocol.hccl.startup?"),
        ("protocol.hccl.rings.startup=1us", "did you mean protocol.hccl.ring.startup?"),
        ("protocol.hccl.mesh.startup=1us", "unknown key"),
        ("zzz=1", "unknown key; known here: "),
        ("nic.bandwidth", "incomplete; write KEY=VALUE"),
        ("nic.bandwidth=", "incomplete"),
        ("=50GB/s", "incomplete"),
        ("", "incomplete"),
        ("nic.bandwidth=50", "nic.bandwidth = 50: a rate needs a unit"),
        ("nic.bandwidth=50GB", "'/s' is missing"),
        ("nic.bandwidth=0GB/s", "larger than zero"),
        ("nic.bandwidth=nan", "finite"),
        ("nic.efficiency=1.5", "at most 1"),
        ("nic.efficiency=true", "does not start with a number"),
        ("nic.latency=-1us", "negative"),
        ("domain.size=8.5", "not a whole number"),
        ("domain.size=0", "too small"),
        ("domain.size=16", "domain.lanes = 7: a full mesh of 16 has one lane to each of the 15 other cards"),
        ("domain.lanes=6", "domain.lanes must be 7"),
        ("domain.kind=ring", "domain.lanes must be 2"),
        ("domain.kind=torus", "needs its sides"),
        ("domain.shape=4xtwo", "domain.shape = 4xtwo: the side two"),
        ("domain.shape=4x2", "full-mesh has no sides"),
        ("domain.kind=mesh", "did you mean 'full-mesh'?"),
        ("network.routing=adaptive", "hash, spread"),
        ("network=ib-ndr", "a network is many values"),
        ("name=other", "cannot be changed; copy the file"),
        ("card.name=other", "cannot be changed"),
        ("network.title=other", "cannot be changed"),
        ("schema=1", "unknown key"),
        ("domain.datasheet_bandwidth=600GB/s", "change domain.lanes or domain.lane_bandwidth"),
        ("nic.line_rate=400Gb/s", "change nic.bandwidth"),
    ],
)
def test_bad_changes(change, part):
    said = message(load, "hccs", changes=[change])
    assert said.startswith("--set: ")
    assert part in said
    assert re.fullmatch(r"--set: .+? = .*?: .+; .+", said)


def test_a_suggestion_never_names_what_cannot_be_changed():
    assert "datasheet_bandwidth" not in message(load, "hccs", changes=["domain.datasheet_bandwith=1GB/s"])


# --- the fingerprint ----------------------------------------------------------------------------------


def test_fingerprint_ignores_names_titles_sources_and_place(write):
    first = load(write()).fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", first)
    path = write(
        ('"toy"', '"other"'),
        ('"A toy cluster"', '"Another"'),
        ('"Toy 1"', '"Card"'),
        ('"toynet"', '"net"'),
        ("toy sheet", "another sheet"),
        # The same number in other words.
        ('["200Gb/s"', '["25GB/s"'),
        ('["20/25"', "[0.8"),
        name="other.toml",
    )
    assert load(path).fingerprint() == first


def test_fingerprint_sees_every_number_and_kind(write):
    path = write()
    changes = [
        "card.fp16_tflops=101",
        "card.memory=65GiB",
        "card.memory_bandwidth=2TB/s",
        "card.watts=301",
        "card.price_usd=1",
        "domain.kind=ring",
        "domain.size=9",
        "domain.lanes=5",
        "domain.lane_bandwidth=26GB/s",
        "domain.efficiency=0.7",
        "domain.latency=0.11us",
        "domain.server=4",
        "nic.bandwidth=26GB/s",
        "nic.efficiency=0.91",
        "nic.host_bandwidth=28GB/s",
        "nic.latency=0.21us",
        "network.kind=leaf-spine",
        "network.radix=66",
        "network.oversubscription=1.5",
        "network.switch_latency=0.31us",
        "network.routing=hash",
    ]
    for name in ("Plain", "Plain.ring", "Plain.tree", "Fast"):
        changes += [
            f"protocol.{name}.startup=50us",
            f"protocol.{name}.step_scale_up=50us",
            f"protocol.{name}.step_network=50us",
            f"protocol.{name}.wire=3",
            f"protocol.{name}.slices=9",
            f"protocol.{name}.share={'max-min' if name == 'Fast' else 'reserved'}",
            f"protocol.{name}.channel_cap=50GB/s",
            f"protocol.{name}.limit_scale_up=50GB/s",
            f"protocol.{name}.limit_network=50GB/s",
            f"protocol.{name}.send_overhead=50us",
            f"protocol.{name}.slice_overhead=50us",
            f"protocol.{name}.copy_bandwidth=50GB/s",
            f"protocol.{name}.channels=12",
            f"protocol.{name}.message_gap=50us",
            f"protocol.{name}.reduce_bandwidth=50GB/s",
        ]
    changeable = {key for key, kind in known_keys(("Plain", "Fast")).items() if not kind.fixed}
    tested = {change.partition("=")[0] for change in changes}
    others = {key for key in changeable - tested if ".Fast." not in key and not re.search("Plain[.][a-z0-9-]+[.]", key)}
    # What a switch could do is no time, and a network of another kind has a test of its own.
    special = {f"network.{key}" for uses in NETWORK_USES.values() for keys in uses for key in keys} - tested
    assert others == {"domain.shape", "domain.reduces", "network.reduces"} | special
    seen = {load(path).fingerprint()}
    for change in changes:
        extra = ["domain.lanes=2"] if change == "domain.kind=ring" else []
        seen.add(load(path, changes=[change, *extra]).fingerprint())
    assert len(seen) == len(changes) + 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_may_have_constants_of_its_own(write, algorithm):
    ours = load(write(), changes=[f"protocol.Fast.{algorithm}.startup=50us"])
    assert ours.protocol("Fast", algorithm).startup == 50e-6
    assert ours.protocol("Fast").startup == 3e-6
    assert ours.fingerprint() != load(write()).fingerprint()


#: A change to each kind of network, and one more change to every key that it has.
OTHER_NETWORKS = {
    "leaf-spine": ("oversubscription=2", []),
    "fat-tree": (
        "spine_oversubscription=2 wiring=plain",
        ["spine_oversubscription=3", "wiring=rails", "spine_radix=32", "oversubscription=2"],
    ),
    "dual-plane": ("planes=2", ["planes=4"]),
    "torus": ("links=2", ["links=3", "shape=4x4", "shape=2x8"]),
    "dragonfly": (
        "nics_per_switch=4 group_switches=4 global_links=2",
        ["nics_per_switch=5", "group_switches=5", "global_links=3", "groups=5"],
    ),
}


@pytest.mark.parametrize("kind", OTHER_NETWORKS)
def test_networks_of_other_kinds(write, kind):
    base, more = OTHER_NETWORKS[kind]
    start = [f"network.kind={kind}", *(f"network.{change}" for change in base.split())]
    seen = {load(write(), changes=[*start, *(f"network.{change}" for change in changes)]).fingerprint()
            for changes in ([], *([change] for change in more))}  # fmt: skip
    assert len(seen) == len(more) + 1
    assert {key.partition("=")[0] for key in [*base.split(), *more]} <= {k for keys in NETWORK_USES[kind] for k in keys}


#: Replacements that make another network of the good file.
DRAGONFLY = (
    ('"rail-leaf-spine"', '"dragonfly"'),
    ('oversubscription = [1, "toy sheet"]\n', 'nics_per_switch = [4, "toy"]\ngroup_switches = [4, "toy"]\n'
     'global_links = [2, "toy"]\n'),
)  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "where", "what"),
    [
        ([('oversubscription = [1, "toy sheet"]\n', "")], "network.oversubscription = (missing)",
         "a rail-leaf-spine network needs it; write oversubscription = [value, "),
        ([('"rail-leaf-spine"', '"fat-tree"\nspine_oversubscription = [1, "toy"]')], "network.wiring = (missing)",
         'write wiring = "..."'),
        ([('"rail-leaf-spine"', '"fat-tree"\nwiring = "bundles"')], "network.wiring = bundles", "plain, rails"),
        ([('"rail-leaf-spine"', '"torus"\nlinks = [1, "toy"]')], "network.oversubscription = 1",
         "a torus network has no such thing; leave it out; it has links, shape"),
        ([('"rail-leaf-spine"', '"rail-leaf-spine"\nplanes = [2, "toy"]')], "network.planes = 2", "no such thing"),
        ([('"rail-leaf-spine"', '"dual-plane"\nplanes = [1, "toy"]')], "network.planes = 1", "write 2 or more"),
        ([('"rail-leaf-spine"', '"dual-plane"\nplanes = [0, "toy"]')], "network.planes = 0", "too small"),
        ([('"rail-leaf-spine"', '"torus"\nlinks = [1, "toy"]\nshape = [[4, 0], "toy"]')], "network.shape = [4, 0]",
         "the side 0 is too small"),
        ([*DRAGONFLY, ("radix = [64,", "radix = [8,")], "network.radix = 8",
         "4 NICs, 3 links to its group and 2 to other groups, 9 ports in all; write 9 or more"),
        ([('["0.1us", "toy measurement"]', '["0.1us", "x"]\nreduces = [1, "x"]')],
         "domain.reduces = 1", "neither true nor false; write true or false"),
        ([("size = [8, \"toy sheet\"]", "size = [8, \"toy sheet\"]\nserver = [9, \"toy\"]")], "domain.server = 9",
         "a chassis with more cards than its domain, which holds 8; write 8 or less"),
    ],
)  # fmt: skip
def test_networks_are_told_what_they_need_and_nothing_else(write, edits, where, what):
    path = write(*edits)
    said = message(load, path)
    assert said.startswith(f"{path}: {where}")
    assert what in said


def test_a_network_changed_by_hand_forgets_what_it_has_no_use_for(write):
    changes = ["network.kind=torus", "network.links=2"]
    assert load(write(), changes=changes).network.oversubscription is None
    said = message(load, write(), changes=["network.kind=torus"])
    assert said == "--set: network.links = (missing): a torus network needs it; change network.links too"
    said = message(load, write(), changes=[*changes, "network.planes=2"])
    assert said.startswith("--set: network.planes = 2: a torus network has no such thing")


def test_switches_that_reduce(write):
    path = write(('latency = ["0.1us", "toy measurement"]', 'latency = ["0.1us", "x"]\nreduces = [true, "x"]'))
    assert load(path).domain.reduces
    assert not load(path).network.reduces
    assert not load(path, changes=["domain.reduces=false"]).domain.reduces
    assert load(write(), changes=["network.reduces=true"]).network.reduces
    assert load(path).fingerprint() == load(write()).fingerprint(), "no time is changed by it"
    can = {name for name in available() if load(name).domain.reduces}
    assert can == {"nvlink4", "nvlink4-h800", "nvlink5"}
    sharp = {name for name in networks() if load("hccs", network=name).network.reduces}
    assert sharp == {name for name in networks() if name.startswith("ib-")}


@pytest.mark.parametrize(("name", "measured"), [("nvlink4", 270.3), ("nvlink4-h800", 215 * 8 / 14), ("nvlink5", 478.9)])
def test_reduction_in_the_switch_adds_up_to_nccl_s_constants(name, measured):
    """25 us for an all-reduce in a node and 18 us between nodes.

    A card sends its contributions and an eighth of the sum, so what eight cards were measured at counts 9/8 on the wire.
    """
    ours = load(name)
    nvls = ours.protocol("Simple", "in-switch")
    assert nvls.startup == 0.0
    assert 4 * nvls.step_scale_up + 2 * ours.domain.latency == pytest.approx(25e-6, rel=1e-12)
    across = 2 * nvls.step_network + 2 * ours.nic.latency + ours.network.switch_latency
    assert across == pytest.approx(18e-6, rel=1e-12)
    efficiency = 0.74 if name == "nvlink5" else 0.85
    assert nvls.limit_scale_up == pytest.approx(efficiency * ours.domain.card_bandwidth, rel=1e-4)
    assert nvls.limit_scale_up * 8 / 9 == pytest.approx(measured * 1e9, rel=0.04)


def test_super_nodes():
    rack, pod = load("nvlink5").domain, load("hccs-910c").domain
    assert (rack.size, rack.server, rack.kind) == (72, 4, "switch")
    assert (pod.size, pod.server, pod.kind) == (768, 16, "switch")
    assert load("hccs-910c").protocol("hccl") == load("hccs").protocol("hccl")
    limits = [load("nvlink5").protocol("LL", name).limit_scale_up for name in ("ring", "tree")]
    assert limits == [564e9, 282e9], "llMaxBws of Blackwell"


@pytest.mark.parametrize(
    ("value", "part"),
    [("5", "needs a unit"), ("-1us", "-1us"), ("5us/s", "5us/s"), ("5GB/s", "5GB/s"), ("inf", "inf")],
)
def test_a_slice_overhead_is_a_time(value, part):
    said = message(load, "nvlink4", changes=[f"protocol.Simple.slice_overhead={value}"])
    assert "protocol.Simple.slice_overhead" in said
    assert part in said
    assert "\n" not in said


@pytest.mark.parametrize("value", ["5", "-1GB/s", "0GB/s", "5us", "none"])
def test_a_copy_bandwidth_is_a_rate(value):
    said = message(load, "nvlink4", changes=[f"protocol.Simple.copy_bandwidth={value}"])
    assert f"protocol.Simple.copy_bandwidth = {value}: " in said
    assert "\n" not in said


def test_a_thread_block_copies_at_the_same_rate_on_every_nccl_fabric():
    for name in NCCL_LIKE:
        channels = {"nvlink5": 32, "nvlink4-h800": 16}.get(name, 24)
        for protocol in ("Simple", "LL128"):
            constants = load(name).protocol(protocol, "ring")
            assert (constants.channels, constants.copy_bandwidth) == (channels, 40e9)
        assert load(name).protocol("LL", "ring").copy_bandwidth == math.inf


def test_a_slice_overhead_is_of_simple_alone_on_every_nccl_fabric():
    for name in SHIPPED:
        for protocol in load(name).protocols:
            for algorithm in ("ring", "tree"):
                constants = load(name).protocol(protocol, algorithm)
                expected = constants.step_scale_up if protocol == "Simple" else 0.0
                assert constants.slice_overhead == expected


def test_fingerprints_of_older_files_stay(tmp_path):
    """Results are kept by them; a new key that nobody states must not make them worthless."""
    before = [f"protocol.{name}.message_gap=0us" for name in ("LL", "LL128", "Simple")]
    new = ("slice_overhead", "channels", "copy_bandwidth")
    lines = Path(load("nvlink3").path).read_text(encoding="utf-8").splitlines(keepends=True)
    older = tmp_path / "older.toml"
    older.write_text("".join(line for line in lines if not line.startswith(new)), encoding="utf-8")
    assert load("hccs", changes=["protocol.hccl.message_gap=0us"]).fingerprint().startswith("47431698dcc2cd95")
    assert load(str(older), changes=before).fingerprint().startswith("80ad52a58c49")


def test_fingerprint_of_a_change_and_of_a_file_agree(write):
    changed = load(write(), changes=["nic.latency=0.5us"])
    edited = load(write(('["0.2us"', '["0.5us"'), name="edited.toml"))
    assert changed.fingerprint() == edited.fingerprint()


# --- the shipped files --------------------------------------------------------------------------------

SHIPPED = [
    "hccs", "hccs-910c", "infinity-fabric", "nvlink3", "nvlink3-a800", "nvlink4", "nvlink4-h800", "nvlink5",
]  # fmt: skip
SHIPPED_NETWORKS = [
    "efa-p4d", "efa-p5", "efa-p5en", "ib-edr", "ib-hdr", "ib-hdr-dragonfly", "ib-ndr", "ib-xdr", "roce-200g",
    "roce-400g", "roce-400g-dual-plane", "roce-400g-fat-tree", "roce-400g-torus", "tcpxo",
]  # fmt: skip
NCCL_LIKE = [name for name in SHIPPED if not name.startswith("hccs")]


def test_what_is_shipped():
    assert available() == SHIPPED
    assert networks() == SHIPPED_NETWORKS


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("network", [None, *SHIPPED_NETWORKS])
def test_shipped_files_load(name, network):
    ours = load(name, network=network)
    assert ours.name == name
    assert network is None or ours.network.name == network
    assert Path(ours.path).is_file()
    # The bus between card and NIC must not be what limits the network.
    assert ours.nic.host_bandwidth >= ours.nic.bandwidth * ours.nic.efficiency


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_fabrics_are_all_different(name):
    assert sum(load(name).fingerprint() == load(other).fingerprint() for other in SHIPPED) == 1


def numbers(table, prefix=""):
    """Find every number in a raw TOML table, without help from the code under test."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}.")
        elif prefix and not isinstance(value, str):
            yield f"{prefix}{key}", value


@pytest.mark.parametrize("name", [*SHIPPED, *(f"networks/{name}" for name in SHIPPED_NETWORKS)])
def test_every_number_has_a_public_source(name):
    path = Path(load("hccs").path).parent / f"{name}.toml"
    found = dict(numbers(tomllib.loads(path.read_text(encoding="utf-8"))))
    assert len(found) >= 8
    for key, value in found.items():
        assert isinstance(value, list), key
        assert len(value) == 2, key
        assert len(value[1]) > 20, key
        # Something a reader can look up, or an honest word that there is nothing.
        assert re.search(r"github:|https://|arXiv|SimAI|assumed|reported", value[1]), key
    for line in path.read_text(encoding="utf-8").splitlines():
        for written in re.findall(r'"([0-9.]+[KMGT]?i?[Bb]/s|[0-9.]+[num]?s)"', line):
            assert line.count('"') == 4, f"{written} stands without a source: {line}"


@pytest.mark.parametrize("name", SHIPPED)
def test_sources_reach_the_fabric(name):
    ours = load(name)
    for key, kind in known_keys(ours.protocols).items():
        if kind.sourced and kind.default is None and key.count(".") < 3:
            assert ours.sources[key]


@pytest.mark.parametrize(
    ("name", "vendor", "effective", "kind"),
    [
        ("nvlink3", 600, 240.0, "switch"),
        ("hccs", 392, 128.1, "full-mesh"),
        ("nvlink3-a800", 400, 160.0, "switch"),
        ("nvlink4", 900, 370.8, "switch"),
        ("nvlink4-h800", 400, 164.8, "switch"),
        ("infinity-fabric", 896, 333.9, "full-mesh"),
        ("nvlink5", 1800, 721.8, "switch"),
        ("hccs-910c", 392, 195.0, "switch"),
    ],
)
def test_scale_up_figures(name, vendor, effective, kind):
    domain = load(name).domain
    assert domain.datasheet_bandwidth == pytest.approx(vendor * 1e9, rel=1e-12)
    assert domain.card_bandwidth == pytest.approx(effective * 1e9, rel=1e-12)
    assert (domain.kind, domain.size) == (kind, {"nvlink5": 72, "hccs-910c": 768}.get(name, 8))


@pytest.mark.parametrize(
    ("name", "rate", "effective", "radix", "routing", "way"),
    [
        ("ib-hdr", 25, 23.5, 40, "spread", 0.6),
        ("ib-ndr", 50, 48.5, 64, "spread", 0.6),
        ("roce-200g", 25, 20.0, 64, "spread", 1.5),
        ("roce-400g", 50, 40.0, 64, "spread", 1.5),
        ("ib-xdr", 100, 97.0, 144, "spread", 0.6),
    ],
)
def test_network_figures(name, rate, effective, radix, routing, way):
    ours = load("nvlink3", network=name)
    assert ours.nic.bandwidth == rate * 1e9
    assert ours.nic.bandwidth * ours.nic.efficiency == pytest.approx(effective * 1e9, rel=1e-12)
    assert (ours.network.radix, ours.network.routing, ours.network.oversubscription) == (radix, routing, 1.0)
    assert 2 * ours.nic.latency + ours.network.switch_latency == pytest.approx(way * 1e-6, rel=1e-12)


# NCCL 2.30.7, src/graph/tuning.cc, in microseconds: LL, LL128, Simple.
NCCL_BASE = {"ring": (6.6, 14.0, 8.4), "tree": (6.8, 14.0, 8.4)}
NCCL_NVLINK = {"ring": (0.6, 1.9, 3.4), "tree": (0.6, 1.25, 4.0)}
NCCL_NET = {"ring": (2.7, 4.0, 14.0), "tree": (5.0, 8.5, 14.0)}


@pytest.mark.parametrize("name", NCCL_LIKE)
@pytest.mark.parametrize("algorithm", ["ring", "tree"])
@pytest.mark.parametrize(("index", "protocol"), list(enumerate(["LL", "LL128", "Simple"])))
def test_steps_add_up_to_nccls_constants(name, algorithm, index, protocol):
    ours = load(name)
    constants = ours.protocol(protocol, algorithm)
    assert constants.startup == pytest.approx(NCCL_BASE[algorithm][index] * 1e-6, rel=1e-12)
    inside = constants.step_scale_up + ours.domain.latency
    assert inside == pytest.approx(NCCL_NVLINK[algorithm][index] * 1e-6, rel=1e-12)
    across = constants.step_network + 2 * ours.nic.latency + ours.network.switch_latency
    assert across == pytest.approx(NCCL_NET[algorithm][index] * 1e-6, rel=1e-12)


@pytest.mark.parametrize("name", NCCL_LIKE)
def test_nccls_protocols(name):
    ours = load(name)
    assert list(ours.protocols) == ["LL", "LL128", "Simple"]
    for algorithm in ("ring", "tree"):
        found = [ours.protocol(protocol, algorithm) for protocol in ours.protocols]
        assert [one.wire for one in found] == [2.0, pytest.approx(128 / 120), 1.0]
        assert [one.slices for one in found] == [1, 1, 2]
        assert {one.share for one in found} == {"reserved"}
        assert {one.channel_cap for one in found} == {math.inf}
        assert [math.isfinite(one.limit_network) for one in found] == [True, False, False]
        assert [math.isfinite(one.limit_scale_up) for one in found] == [True, False, False]
        assert {one.send_overhead for one in found} == {0.0}


def test_rccl_constants_admit_that_they_are_assumed():
    sources = load("infinity-fabric").sources
    assert all("assumed" in source for key, source in sources.items() if key.startswith("protocol."))
    nvlink3 = {key: source for key, source in load("nvlink3").sources.items() if "LL" in key}
    assert {key for key, source in nvlink3.items() if "assumed" in source} == {"protocol.LL128.channels"}


def test_hccs():
    ours = load("hccs")
    assert ours.network.name == "roce-200g"
    assert list(ours.protocols) == ["hccl"]
    hccl = ours.protocol("hccl", "ring")
    assert hccl == Protocol("hccl", 1e-5, 2.5e-6, 7e-6, 1.0, 1, "max-min", message_gap=1e-6)
    assert hccl == ours.protocol("hccl", "tree")
    assert ours.domain.latency == 5e-7
    # What hccl_test measures on p cards is p/2 times one link.
    assert ours.domain.lane_bandwidth * ours.domain.efficiency == pytest.approx(18.3e9, rel=1e-12)


def test_readme_shows_the_right_numbers():
    folder = Path(load("hccs").path).parent
    readme = (folder / "README.md").read_text(encoding="utf-8")
    rows = {
        cells[0]: cells
        for cells in (
            [cell.strip(" `") for cell in line.strip("|").split("|")]
            for line in readme.splitlines()
            if line.startswith("| `")
        )
    }
    for name in available():
        ours, cells = load(name), rows[name]
        assert cells[1] == ours.card.name
        assert cells[2] == ours.domain.kind
        assert parse_rate(cells[3]) == pytest.approx(ours.domain.datasheet_bandwidth)
        assert parse_rate(cells[4]) == pytest.approx(ours.domain.card_bandwidth)
        assert cells[5] == ours.network.name
    for name in networks():
        ours, cells = load("nvlink3", network=name), rows[name]
        assert parse_rate(cells[1]) == pytest.approx(ours.nic.bandwidth)
        assert parse_rate(cells[2]) == pytest.approx(ours.nic.bandwidth * ours.nic.efficiency)
        assert parse_time(cells[3]) == pytest.approx(2 * ours.nic.latency + ours.network.switch_latency)
        assert parse_number(cells[4]) == ours.network.radix
        assert cells[5] == ours.network.routing
    for key, kind in known_keys(("NAME",)).items():
        if key.count(".") < 3:
            assert f"`{key}`" in readme or f"`{key.replace('protocol.NAME.', '')}`" in readme, key
            assert kind.sourced or key.rpartition(".")[2] in ("name", "title", "kind", "routing", "share", "wiring")


def test_loading_pulls_in_nothing_heavy():
    code = (
        "import sys; from ringsim import fabric; fabric.load('hccs');"
        "print([m for m in ('numpy', 'networkx', 'numba', 'simpy', 'click') if m in sys.modules])"
    )
    folders = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": folders}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_installed_package_finds_its_own_files(tmp_path, monkeypatch):
    home = tmp_path / "site-packages" / "ringsim"
    (home / "topologies" / "networks").mkdir(parents=True)
    (home / "topologies" / "toy.toml").write_text(GOOD)
    monkeypatch.setattr(loading, "__file__", str(home / "fabric" / "loading.py"))
    assert available() == ["toy"]
    assert networks() == []
    assert load("toy").name == "toy"


def test_constants_can_be_stated_for_every_algorithm_there_is_and_for_no_other() -> None:
    assert set(ALGORITHMS) == {name for known in COLLECTIVES.values() for name in known}
