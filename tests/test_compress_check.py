"""``ringsim codecs``, ``ringsim compress-check`` and ``ringsim run --compress`` as people use them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringsim.cli import main
from ringsim.codecs import CODECS
from ringsim.fidelity import Fidelity


def say(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(words)
    shown = capsys.readouterr()
    return int(end.value.code or 0), shown.out, shown.err


def test_every_codec_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = say(capsys, "codecs")
    assert code == 0
    for entry in CODECS.values():
        assert entry.usage in out
    listed = json.loads(say(capsys, "codecs", "--json")[1])["codecs"]
    assert [one["name"] for one in listed] == list(CODECS)
    int8 = next(one for one in listed if one["name"] == "int8")
    assert int8["ratio"] == pytest.approx(256 / 65)
    assert int8["combine"] == "quantiser"


def test_a_check_shows_bytes_error_and_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = say(capsys, "compress-check", "--codec", "int8", "--cards", "12")
    assert code == 0
    assert "1,048,576 float32 become 1,064,960 bytes, as declared: 3.938 : 1" in out
    assert [line.split()[0] for line in out.splitlines() if line.endswith("%")] == ["2", "4", "8", "12"]
    assert out.endswith("all ranks agree bit for bit\n")


def test_a_check_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = say(
        capsys, "compress-check", "--codec", "topk:0.01", "--cards", "8", "--algorithm", "tree", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert found["agree"] is True
    assert found["wire"]["declared_bytes"] == found["wire"]["produced_bytes"] == 8 * 10_486
    assert [(one["cards"], one["algorithm"]) for one in found["sums"]] == [(2, "tree"), (4, "tree"), (8, "tree")]


def test_ones_own_gradients(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "g.npy"
    np.save(path, np.random.default_rng(0).standard_normal((4, 5000)))
    code, out, _ = say(capsys, "compress-check", "--codec", "fp16", "--cards", "4", "--gradients", str(path))
    assert code == 0
    assert "5,000 float32 become 10,000 bytes" in out
    assert "sampled" not in out


def test_ranks_that_disagree_are_a_verdict(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringsim.fidelity.through", lambda *_, **__: Fidelity(0.1, False, 4, 100))
    code, out, _ = say(capsys, "compress-check", "--codec", "int8", "--cards", "4")
    assert code == 1
    assert "RANKS DISAGREE" in out


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_text("no"), "write one with numpy.save"),
        (lambda path: np.save(path, np.zeros((3, 10))), r"\(3, 10\); floats of shape \(4, n\)"),
        (lambda path: np.save(path, np.zeros((4, 10), int)), "gradients are floats"),
        (lambda path: np.save(path, np.full((4, 10), np.nan)), "no finite numbers"),
        (lambda path: None, "No such file"),
    ],
)
def test_files_that_hold_no_gradients(
    write: Any, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "g.npy"
    write(path)
    code, out, err = say(capsys, "compress-check", "--codec", "fp16", "--cards", "4", "--gradients", str(path))
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert re.search(said, err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compress-check", "--codec", "int9", "--cards", "4"), "there is no codec 'int9'"),
        (("compress-check", "--codec", "none", "--cards", "4"), "there is nothing to check"),
        (
            ("compress-check", "--codec", "fp16", "--cards", "4", "--algorithm", "gather-ring"),
            "fp16 permits ring, tree",
        ),
        (("compress-check", "--codec", "fp16", "--cards", "1"), "cards = 1"),
        (("run", "--fabric", "hccs", "--cards", "8", "--compress", "topk:2"), "no density"),
        (
            ("run", "--fabric", "hccs", "--cards", "8", "--compress", "int8", "--collective", "reduce"),
            "for an all-reduce",
        ),
        (("run", "--fabric", "hccs", "--cards", "8", "--model", "gpt-9"), "model = gpt-9"),
        (("run", "--fabric", "hccs", "--cards", "8", "--model", "resnet-50", "--size", "1M"), "leave --size out"),
    ],
)
def test_what_is_refused_is_said_in_a_line(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = say(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_run_says_what_the_codec_does(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = say(capsys, "run", "--fabric", "hccs", "--cards", "16", "--size", "4M", "--compress", "int8")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert "3.938 bytes become one" in lines["codec"]
    assert "1.056TB/s" in lines["memory"]
    assert "all ranks agree bit for bit" in lines["error"]
    asked = ("run", "--fabric", "hccs", "--cards", "16", "--size", "4M", "--compress", "int8", "--json")
    found = json.loads(say(capsys, *asked)[1])
    assert found["case"]["compress"] == "int8:256"
    assert found["result"]["ratio"] == pytest.approx(256 / 65)
    assert found["result"]["agree"] is True


def test_sums_that_overflow_are_a_verdict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "g.npy"
    np.save(path, np.full((8, 100), 6e4))
    words = ("compress-check", "--codec", "fp16", "--cards", "8", "--gradients", str(path))
    code, out, err = say(capsys, *words)
    assert (code, err) == (1, "")
    assert "OVERFLOW" in out
    code, out, _ = say(capsys, *words, "--json")
    assert code == 1
    assert {one["error"] for one in json.loads(out)["sums"]} == {None}


def test_gradients_whose_sum_is_no_float_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "g.npy"
    np.save(path, np.full((8, 100), 1e38))
    code, out, err = say(capsys, "compress-check", "--codec", "int8", "--cards", "8", "--gradients", str(path))
    assert (code, out) == (3, "")
    assert "beyond float32" in err


def test_a_warm_up_is_over_when_a_codec_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = say(capsys, "compress-check", "--codec", "chain(dgc:0.001:1000,int8)", "--cards", "4")
    assert code == 0
    assert "as declared" in out
