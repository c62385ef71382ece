"""The benchmark of codecs in PyTorch: their codes are ringsim's, its table says what it should, it refuses wrong codes.

Nothing here looks at how long anything took. What needs PyTorch is skipped where there is none.
"""

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ringsim.codecs import parse

FOLDER = Path(__file__).parents[1] / "benchmarks"
OURS = ("codec_cost", "codec_cost_torch", "codec_cost_blocks", "sweep")
BLOCKS = ("fp8:e4m3:256", "fp8:e5m2:64", "int8:256", "int4:256", "sign:2048")
CHANCE = ("qsgd:1", "qsgd:7", "qsgd:127:64", "terngrad", "terngrad:2048")
SPARSE = ("topk:0.01", "threshold:2.0", "randomk:0.01")
SIZES = (1, 2, 7, 255, 256, 2049, 2**16 + 7, 200_001)


def load(name):
    """Load it as Python does when the script is run: with its own folder first on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))
        for other in set(sys.modules) - before & set(OURS):
            del sys.modules[other]


@pytest.fixture(scope="module")
def script():
    return load("codec_cost")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'ringsim[gpu]'")


@pytest.fixture(scope="module")
def versions(torch):
    return load("codec_cost_torch")


@pytest.fixture
def run(script, torch, monkeypatch, tmp_path):
    """Run the script on a small vector, without touching how this process gets its memory."""
    monkeypatch.setattr(script, "keep_memory", lambda: None)

    def run(*arguments):
        fixed = ["--size", "64K", "--repeats", "3", "--eager-only", "--out", str(tmp_path)]
        return CliRunner().invoke(script.main, [*fixed, *arguments])

    return run


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same_dice(torch, made, codec):
    """Give a version the numbers that ringsim draws from its first state."""
    if hasattr(made, "dice"):
        rng = codec.init(made.n).rng()
        made.dice = lambda blocks: torch.from_numpy(rng.random(tuple(blocks.shape), np.float32))
    if hasattr(made, "choice"):
        made.choice = lambda n, k, device: torch.from_numpy(codec.choice(n, 0, 0)[0])
    return made


def hold_against(torch, versions, spec, x):
    """Both codes of a vector, byte for byte, and what both stand for, bit for bit."""
    codec = parse(spec)
    made = same_dice(torch, versions.version(codec, len(x)), codec)
    code, _ = codec.encode(x[None], codec.init(len(x)))
    parts = made.encode(torch.from_numpy(x))
    assert [p.view(torch.uint8).numpy().tobytes() for p in parts] == [p[0].tobytes() for p in code.parts]
    right = codec.decode(code)[0]
    np.testing.assert_array_equal(made.decode(*parts).numpy(), right)
    total = torch.full((len(x),), 0.5)
    np.testing.assert_array_equal(made.add(total, *parts).numpy(), np.float32(0.5) + right)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("spec", ["fp16", "bf16", *BLOCKS, *CHANCE, *SPARSE])
def test_a_version_makes_ringsims_code(torch, versions, spec, n):
    hold_against(torch, versions, spec, np.random.default_rng(n).standard_normal(n, np.float32))


@pytest.mark.parametrize("spec", ["fp16", "bf16", *BLOCKS, *CHANCE])
def test_so_it_does_where_floats_end(torch, versions, spec):
    x = np.zeros(6 * 2048 + 9, np.float32)
    x[2048:4096] = np.random.default_rng(3).standard_normal(2048) * 1e-38
    x[4096:6144] = np.random.default_rng(4).uniform(-3.4e38, 3.4e38, 2048)
    x[6144:6147] = -0.0, 1e-45, np.finfo(np.float32).max
    if spec in ("fp16", "bf16"):
        x[-3:] = np.inf, -np.inf, 65520
    hold_against(torch, versions, spec, x)


@pytest.mark.parametrize("n", [255, 2049, 2**16 + 7])
def test_powersgd_is_the_same_up_to_the_order_of_sums(torch, versions, n):
    codec, x = parse("powersgd:4"), np.random.default_rng(n).standard_normal(n, np.float32)
    made = versions.version(codec, n)
    code, _ = codec.encode(x[None], codec.init(n))
    parts = made.encode(torch.from_numpy(x))
    assert sum(p.numel() for p in parts) * 4 == code.nbytes
    np.testing.assert_allclose(made.decode(*parts).numpy(), codec.decode(code)[0], rtol=0, atol=1e-5)
    calls = made.calls(torch.from_numpy(x))
    assert list(calls) == ["encode", "between", "decode", "add"]
    again = calls["between"][0](*calls["between"][1])
    assert all(torch.equal(one, other) for one, other in zip(again, parts, strict=True))


@pytest.mark.parametrize("spec", ["fp16", "bf16", *BLOCKS, *CHANCE, "topk:0.01", "randomk:0.01", "powersgd:4"])
def test_everything_stays_on_the_device(torch, versions, spec):
    """With tensors of another device, one without memory: to mix devices is refused there as on a real card."""
    made = versions.version(parse(spec), 2**14 + 3)
    for function, arguments in made.calls(torch.empty(made.n, device="meta")).values():
        given = function(*arguments)
        assert {part.device.type for part in (given if isinstance(given, tuple) else (given,))} == {"meta"}


def test_a_hashed_choice_takes_none_twice_and_leaves_no_region_out(torch, versions):
    indices = versions.spread(2**20, 2**14, torch.device("cpu"))
    assert (indices.diff() > 0).all()
    assert indices[0] >= 0
    assert indices[-1] < 2**20
    counts = torch.bincount(indices // 2**16, minlength=16)
    assert ((counts - 1024).abs() < 5 * 32).all()


def test_the_table_compares_measured_with_reckoned(script, run, tmp_path):
    result = run()
    assert result.exit_code == 0, result.output
    assert "torch.compile is left out: not wanted" in result.output
    found = table(tmp_path / "codec_cost.csv")
    check_rows(script, found)
    for row in found:
        codec, n = parse(row["codec"]), int(row["vector_bytes"]) // 4
        assert n == 2**14
        if not row["codec"].startswith("threshold"):
            assert int(row["code_bytes"]) == codec.wire_bytes(n)
        assert row["compiled_ms"] == ""


def check_rows(script, rows):
    """Every codec and operation once, with figures that follow from one another and from today's costs."""
    operations = {spec: ["encode", "decode", "add"] for spec in script.CODECS}
    operations["powersgd:4"].insert(1, "between")
    wanted = [(parse(spec).spec, operation) for spec, all in operations.items() for operation in all]
    assert [(row["codec"], row["operation"]) for row in rows] == wanted
    for row in rows:
        passes, raw = getattr(parse(row["codec"]).cost, row["operation"]), float(row["vector_bytes"])
        reckoned = passes.raw + passes.code * float(row["code_bytes"]) / raw
        rate = float(row["rate_GBps"]) * 1e9
        assert float(row["reckoned_passes"]) == pytest.approx(reckoned, rel=1e-3)
        assert float(row["reckoned_ms"]) == pytest.approx(reckoned * raw / rate * 1e3, rel=2e-3)
        for how in ("eager", "compiled"):
            if row[f"{how}_ms"]:
                seconds = float(row[f"{how}_ms"]) / 1e3
                assert float(row[f"{how}_GBps"]) == pytest.approx(raw / seconds / 1e9, rel=2e-3)
                assert float(row[f"{how}_passes"]) == pytest.approx(seconds * rate / raw, rel=2e-3)
                assert float(row[f"{how}_ratio"]) == pytest.approx(seconds * rate / raw / reckoned, rel=3e-3)


def test_the_table_that_ships_is_whole_and_of_todays_costs(script):
    rows = table(FOLDER / "results" / "codec_cost.csv")
    assert rows
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in ("hardware", "torch", "threads", "vector_bytes")), []).append(row)
    for group in groups.values():
        check_rows(script, group)


def test_rows_about_other_hardware_stay(script, run, monkeypatch, tmp_path):
    for name in ("a card", "another card", "a card"):
        monkeypatch.setattr(script, "hardware", lambda name=name: name)
        assert run("--codecs", "int8").exit_code == 0
    rows = table(tmp_path / "codec_cost.csv")
    assert [row["hardware"] for row in rows] == ["a card"] * 3 + ["another card"] * 3


def test_a_wrong_code_is_not_timed(script, run, monkeypatch, tmp_path):
    right = script.version

    def wrong(codec, n):
        made = right(codec, n)
        decode = made.decode
        made.decode = lambda *parts: decode(*parts) * 1.01
        return made

    monkeypatch.setattr(script, "version", wrong)
    result = run("--codecs", "int8")
    assert result.exit_code == 1
    assert "Error: int8:256, plain: relative error 0.01" in result.output
    assert not (tmp_path / "codec_cost.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--codecs", "zip"], "there is no codec 'zip'"),
        (["--codecs", "dgc:0.001"], "dgc:0.001:0:0.9: has no PyTorch version"),
        (["--codecs", "qsgd:15"], "numbers of 5 bits"),
        (["--size", "64K1"], "Invalid value for '--size'"),
        (["--size", "1K"], "at least 64K"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(run, arguments, says):
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


def test_without_pytorch_it_says_what_to_install(script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "torch", None)
    result = CliRunner().invoke(script.main, ["--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "PyTorch is missing; install it with: pip install 'ringsim[gpu]'" in result.output
    assert not list(tmp_path.iterdir())
