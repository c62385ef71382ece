"""``ringsim codecs``, ``ringsim compress-check`` and ``ringsim run --compress`` as people use them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringsim.cli import main
from ringsim.codecs import CODECS, CodecError, parse
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


# -- words -----------------------------------------------------------------------------------------------------


def suggestions(text: str) -> list[str]:
    """What a message says should be written; usages with placeholders in capitals are no suggestions."""
    found = re.findall(r"(?:write|such as|did you mean) ([^\s;?]+)", text)
    return [one.removesuffix(",") for one in found if not re.search(r"[A-Z\[]", one)]


def wrong_ones() -> list[str]:
    """Everything in everything else, twice deep, much of which makes no sense; and what people mistype."""
    plain = [
        "identity",
        "fp16",
        "int8",
        "qsgd:7",
        "sign",
        "topk:0.1",
        "threshold:3",
        "dgc:0.1",
        "randomk:0.1",
        "powersgd:4",
    ]
    once = [*plain, *(f"error_feedback({one})" for one in plain), "chain(topk:0.1,int8)"]
    chains = [f"chain({one},{two})" for one in once for two in once] + [f"chain({one},fp16,int8)" for one in once]
    mistyped = ["int9", "INT8", "top-k:0.01", "topk0.01", "topk:2", "powersdg:4", "powersgd", "powersgd:x", "fp8:e3m4"]
    mistyped += [
        "eror_feedback(topk:0.01)",
        "error_feedback(topk:0.01",
        "chain(topk:0.01;int8)",
        "chain",
        "treshold",
        "",
    ]
    return [*chains, *(f"error_feedback({one})" for one in once + chains), *mistyped]


def test_every_suggestion_can_be_written() -> None:
    seen = 0
    for spec in wrong_ones():
        try:
            parse(spec)
        except CodecError as error:
            for right in suggestions(str(error)):
                parse(right)
                seen += 1
    assert seen > 300


@pytest.mark.parametrize(
    ("spec", "right"),
    [
        ("int9", "int8"), ("top-k:0.01", "topk:0.01"), ("TopK:0.5", "topk:0.5"), ("powersdg", "powersgd:4"),
        ("chain(topk:0.1,in8)", "int8"), ("zip", None),
    ],
)  # fmt: skip
def test_the_nearest_codec_is_suggested(spec: str, right: str | None) -> None:
    with pytest.raises(CodecError) as found:
        parse(spec)
    assert (f"did you mean {right}? " in str(found.value)) is (right is not None)


@pytest.mark.parametrize(
    ("spec", "right"),
    [
        ("chain(error_feedback(topk:0.01),int8)", "error_feedback(chain(topk:0.01,int8:256))"),
        ("chain(error_feedback(int8),fp16)", "error_feedback(chain(topk:0.01,int8:256))"),
        ("chain(topk:0.1,error_feedback(fp16))", "error_feedback(chain(topk:0.1,fp16))"),
        ("chain(dgc:0.1,error_feedback(int8))", "chain(dgc:0.1:0:0.9,int8:256)"),
        ("chain(powersgd:4,int8,fp16)", "chain(powersgd:4,fp16)"),
        ("chain(int8,powersgd:4)", "chain(powersgd:4,fp16)"),
        ("chain(topk:0.1,identity)", "chain(topk:0.1,int8)"),
    ],
)
def test_a_chain_that_makes_no_sense_suggests_its_nearest(spec: str, right: str) -> None:
    with pytest.raises(CodecError) as found:
        parse(spec)
    assert suggestions(str(found.value)) == [right]


@pytest.mark.parametrize("spec", ["int9", "topk:2", "chain(topk:0.01)", "error_feedback(identity)", "chain(int8,fp16"])
def test_a_message_says_once_what_was_written(capsys: pytest.CaptureFixture[str], spec: str) -> None:
    for option, words in (
        ("compress", ("run", "--fabric", "hccs", "--compress", spec)),
        ("codec", ("compress-check", "--codec", spec)),
    ):
        code, _, err = say(capsys, *words, "--cards", "4")
        assert code == 2
        assert err.startswith(f"ringsim: error: {option} = {spec}: ")
        assert err.count(f"{spec}:") == 1


@pytest.mark.parametrize("command", ["run", "tune", "explain"])
def test_two_codecs_are_not_silently_one(capsys: pytest.CaptureFixture[str], command: str) -> None:
    words = (command, "--fabric", "hccs", "--cards", "4", "--compress", "int8", "--compress", "fp16")
    code, out, err = say(capsys, *words)
    assert (code, out) == (2, "")
    assert "--compress: given 2 times (int8, fp16)" in err
    assert "ringsim break-even" in err
    assert err.count("\n") == 1


def test_two_codecs_are_not_checked_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = say(capsys, "compress-check", "--codec", "int8", "--codec", "fp16", "--cards", "4")
    assert code == 2
    assert "--codec: given 2 times" in err


def test_what_a_switch_can_add_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", "--fabric", "nvlink4", "--cards", "8", "--size", "1M", "--algorithm", "in-switch", "--compress")
    code, _, err = say(capsys, *words, "int8")
    assert code == 2
    (named,) = re.findall(r"; (\S+), (\S+), (\S+) and (\S+) are sums", err)
    assert "randomk:0.01" in named
    for spec in named:
        assert say(capsys, *words, spec)[0] == 0


# -- bytes that values decide --------------------------------------------------------------------------------


def test_both_commands_say_how_small_a_sampled_gradient_becomes(capsys: pytest.CaptureFixture[str]) -> None:
    out = say(capsys, "codecs")[1]
    (line,) = [line for line in out.splitlines() if line.startswith("threshold:")]
    (ratio,) = re.findall(r"~(\S+)", line)
    checked = say(capsys, "compress-check", "--codec", "threshold:3", "--cards", "2")[1]
    assert f"on one sampled gradient: {ratio} : 1" in checked
    (timed,) = re.findall(r"~ of a sampled gradient.* reckoned with (\S+),", out)
    assert f"{timed} : 1: the values decide" in checked
    assert f"{timed} bytes become one" in say(
        capsys, "run", "--fabric", "hccs", "--cards", "2", "--size", "4M", "--compress", "threshold:3"
    )[1]  # fmt: skip
    found = json.loads(say(capsys, "compress-check", "--codec", "threshold:3", "--cards", "2", "--json")[1])["wire"]
    assert found["declared_bytes"] is None
    assert 4 * found["elements"] / found["timed_bytes"] == pytest.approx(float(timed), rel=1e-3)


def test_sizes_that_follow_from_the_number_of_elements_are_marked_by_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert say(capsys, "codecs")[1].count("~") == 2
    assert "timed as" not in say(capsys, "compress-check", "--codec", "int8", "--cards", "2")[1]
    for one in json.loads(say(capsys, "codecs", "--json")[1])["codecs"]:
        assert one["sized"] is (one["name"] != "threshold")
        assert (one["ratio"] == one["timed_ratio"]) is one["sized"]


@pytest.mark.parametrize(
    ("codec", "fed"), [("error_feedback(topk:0.01)", True), ("dgc:0.01", True), ("topk:0.01", False)]
)
def test_errors_of_one_step_are_said_to_be(capsys: pytest.CaptureFixture[str], codec: str, fed: bool) -> None:
    words = ("compress-check", "--codec", codec, "--cards", "2")
    said = "one step  is what errors are of; error feedback sends the rest later"
    assert (said in say(capsys, *words)[1].splitlines()) is fed
    assert json.loads(say(capsys, *words, "--json")[1])["one_step"] is fed


def test_the_list_of_codecs_fits_a_terminal_of_120_columns(capsys: pytest.CaptureFixture[str]) -> None:
    out = say(capsys, "codecs")[1]
    assert max(map(len, out.splitlines())) <= 120
    flat = " ".join(out.split())
    for one in json.loads(say(capsys, "codecs", "--json")[1])["codecs"]:
        assert one["about"] in flat


@pytest.mark.parametrize(
    ("command", "more", "inside"),
    [("codecs", (), ("codecs",)), ("compress-check", ("--codec", "int8", "--cards", "2"), ("wire", "sums"))],
)
def test_keys_are_explained(
    capsys: pytest.CaptureFixture[str], command: str, more: tuple[str, ...], inside: tuple[str, ...]
) -> None:
    shown = (Path(__file__).parents[1] / "docs" / "compression.md").read_text("utf-8")
    found = json.loads(say(capsys, command, *more, "--json")[1])
    section = shown[shown.index(f"`ringsim {command}` (schema {found['schema']})") :]
    section = section[: section.index("\n\n")]
    keys = set(found) - {"schema", "ringsim_version"}
    for name in inside:
        keys |= set(found[name][0] if isinstance(found[name], list) else found[name])
    assert {key for key in keys if f"`{key}`" not in section} == set()


def test_nothing_summed_is_no_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    """No switch of these cards adds."""
    for more in ((), ("--json",)):
        words = ("compress-check", "--codec", "fp16", "--cards", "8", "--algorithm", "in-switch", *more)
        code, out, err = say(capsys, *words)
        assert (code, out) == (2, "")
        assert err == (
            "ringsim: error: algorithm = in-switch: no place on hccs with 2, 4, 8 cards, or too long to go through; "
            "`ringsim run` says which\n"
        )


def test_the_list_counts_all_that_passes_through_memory_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """PowerSGD works between its rounds as well; codes that add up are added for nothing, as numbers are."""
    listed = {one["name"]: one for one in json.loads(say(capsys, "codecs", "--json")[1])["codecs"]}
    cost, raw = parse("powersgd:4").cost, 4 * 2**20
    between = cost.between.raw + cost.between.code * parse("powersgd:4").wire_bytes(2**20) / raw
    assert listed["powersgd"]["between_passes"] == pytest.approx(between)
    assert between > 1
    assert listed["int8"]["between_passes"] == 0
    assert {one["add_passes"] == 0 for one in listed.values() if one["combine"] == "linear"} == {True}
    assert listed["int8"]["add_passes"] > 2
    (line,) = [line for line in say(capsys, "codecs")[1].splitlines() if line.startswith("powersgd:RANK")]
    assert line.split()[3] == f"{listed['powersgd']['encode_passes'] + between:.2f}"
