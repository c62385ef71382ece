"""The page about the article's claims: its numbers come out again, and its verdicts turn when the numbers do."""

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from ringsim import fabric as fabrics
from ringsim.fabric.keys import PROTOCOL_KEYS
from ringsim.study import Question, answer
from ringsim.units import UnitError
from ringsim.validation import BANDS, Point, load

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
TABLE = FOLDER / "results" / "article_claims.csv"
OURS = ("article_claims", "claims", "accuracy", "compression_tradeoff", "plots", "sweep")


@pytest.fixture(scope="module")
def script():
    """Load everything as Python does when the script is run: with its own folder first on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        main = importlib.import_module("article_claims")
        parts = ("questions", "changes", "machines", "latency", "gradients", "verdict", "computing", "words", "page")
        yield SimpleNamespace(main=main, **{part: importlib.import_module(f"claims.{part}") for part in parts})
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if name.startswith(OURS):
                del sys.modules[name]


def invoke(script, *arguments):
    return CliRunner().invoke(script.main.main, [str(a) for a in arguments])


@pytest.fixture
def copy(tmp_path):
    """Copy the kept table for a test to spoil."""
    (tmp_path / TABLE.name).write_bytes(TABLE.read_bytes())
    return tmp_path


@pytest.fixture
def no_simulation(script, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a simulation was asked for")

    monkeypatch.setattr(script.main.Answers, "_simulated", refuse)


# -- what is kept --------------------------------------------------------------------------------------------


def test_the_page_is_what_the_kept_tables_say(script, copy, no_simulation):
    result = invoke(script, "--plot-only", "--out", copy)
    assert result.exit_code == 0, result.output
    assert ", 0 of them simulated now" in result.output
    kept = (ROOT / "docs" / "article_claims.md").read_text(encoding="utf-8")
    written = (copy / "article_claims.md").read_text(encoding="utf-8")
    assert written == kept, "python benchmarks/article_claims.py --plot-only writes it anew"
    assert (copy / "article_claims.png").read_bytes().startswith(b"\x89PNG")
    assert (FOLDER / "results" / "article_claims.png").exists()


def cheap(script):
    """A few questions that take a moment each, of every kind."""
    q = script.questions
    return [
        q.small(8, "tree"),
        q.small(2**20, "ring"),
        q.small(8, "hierarchical-recursive-doubling", q.SEARCHES["everything"](0.5)),
        q.growing(q.SLOW, 8),
        q.growing(q.FAST, 64, "all"),
        q.step(q.SLOW, q.CARDS, "neither"),
        q.step(q.FAST, q.CARDS, "one ring"),
        q.step(q.SLOW, q.CARDS, "compression"),
        q.step(q.SLOW, q.CARDS, "both", q.CODEC, *q.DOUBTS[q.DEALT]),
        q.step("nvlink4", q.SCALES[1], "neither"),
    ]


@pytest.mark.parametrize("index", [0, 1, 3, 4, 5, 6, 7, 8, 9])
def test_a_kept_row_comes_out_again(script, tmp_path, index):
    question = cheap(script)[index]
    kept = script.main.Table(TABLE).rows[script.main.question_id(question)]
    now = script.main.Answers(script.main.Table(tmp_path / "t.csv"), simulate=True)(question)
    for key in ("time_us", "bound_us", "bytes", "cards", "nodes", "error"):
        assert now[key] == (kept[key] if kept[key] is None else pytest.approx(kept[key], rel=1e-9)), key
    assert (now["algorithm"], now["protocol"]) == (kept["algorithm"], kept["protocol"])


def test_what_is_kept_is_what_is_asked_and_told(script, no_simulation):
    table = script.main.Table(TABLE)
    ask, tell = (script.main.Answers(table, simulate=False) for _ in range(2))
    for question in script.questions.everything():
        ask(question)
    script.main.search(ask)
    script.page.text(tell, load(), script.main.read_accuracy(script.main.ACCURACY))
    for fabric in (script.questions.SLOW, script.questions.FAST):
        for cards in script.questions.GROWING:  # the picture
            tell(script.questions.growing(fabric, cards))
    for cards in script.questions.one_domain_cards():
        tell(script.questions.growing(script.questions.FAST, cards, "all"))
    asked, told = (set(map(script.main.question_id, one.asked)) for one in (ask, tell))
    assert asked == told == set(table.rows)
    for row in table.rows.values():
        assert row["bound_us"] <= row["time_us"] * (1 + 1e-9), row["id"]


def test_rows_that_nobody_asks_for_are_forgotten(script, copy, no_simulation):
    table = script.main.Table(copy / TABLE.name)
    ask = script.main.Answers(table, simulate=False)
    questions = [script.questions.small(8, name) for name in ("tree", "ring")]
    for question in questions:
        ask(question)
    before = len(table.rows)
    ask.forget_the_rest()
    assert table.dropped == before - 2
    again = script.main.Table(copy / TABLE.name)
    assert set(table.rows) == set(map(script.main.question_id, questions))
    assert again.rows == table.rows
    assert [path.name for path in copy.iterdir()] == [TABLE.name]


def test_what_is_missing_is_said(script, copy, tmp_path):
    lines = (copy / TABLE.name).read_bytes().splitlines(keepends=True)
    (copy / TABLE.name).write_bytes(b"".join(lines[:-30]))
    result = invoke(script, "--plot-only", "--out", copy)
    assert result.exit_code == 1
    assert "run without --plot-only" in result.output
    assert "no such table" in invoke(script, "--plot-only", "--out", tmp_path / "empty").output


def test_quick_asks_a_few_and_writes_no_page(script, tmp_path):
    result = invoke(script, "--quick", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "3 cases, 3 of them simulated now" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["article_claims.csv"]


def test_help_begins_with_an_example(script):
    assert invoke(script, "--help").output.split("\n\n")[1].strip().startswith("Example: python benchmarks/article_cl")


# -- what is asked -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nvlink3", "nvlink4", "hccs"])
def test_all_that_waits_is_scaled_and_nothing_else(script, name):
    """Halved constants halve a time that has next to no bytes in it, which proves that none is left out."""
    before, after = fabrics.load(name), fabrics.load(name, changes=script.changes.waiting(name, 0.5, 0.5, 0.5))
    assert after.domain.latency == pytest.approx(before.domain.latency / 2)
    assert after.domain.card_bandwidth == before.domain.card_bandwidth
    for algorithm in ("ring", "tree", "in-switch", "halving-doubling"):
        for protocol in before.protocols:
            old, new = (sheet.protocol(protocol, algorithm) for sheet in (before, after))
            for key in ("startup", *script.changes.STEPS):
                assert getattr(new, key) == pytest.approx(getattr(old, key) / 2), (protocol, algorithm, key)
            for key in ("wire", "slices", *script.changes.LIMITS):
                assert getattr(new, key) == getattr(old, key), (protocol, algorithm, key)
    question = Question(name, 64, 8, algorithm="tree")
    times = [answer(replace(question, changes=script.changes.waiting(name, *[f] * 3))).best.time_us for f in (1, 0.5)]
    assert times[1] == pytest.approx(times[0] / 2, rel=1e-3)
    assert script.changes.waiting(name) == ()


def test_no_constant_of_a_protocol_is_forgotten(script):
    """A time that is new in the form of the files has to be scaled, a rate to be taken away."""

    def holds(kind, text):
        try:
            kind.parse(text)
        except UnitError:
            return False
        return True

    assert {key for key, kind in PROTOCOL_KEYS.items() if holds(kind, "1us")} == {"startup", *script.changes.STEPS}
    assert {key for key, kind in PROTOCOL_KEYS.items() if holds(kind, "1GB/s")} == set(script.changes.LIMITS)


@pytest.mark.parametrize("name", ["nvlink3", "hccs"])
def test_without_limits_bytes_cost_nothing(script, name):
    free = Question(name, 64, 8, algorithm="tree", rings=1, chunks=1, changes=script.changes.unlimited(name))
    for protocol in fabrics.load(name).protocols:
        small, large = (replace(free, size=size, protocol=protocol) for size in (8, "1G"))
        assert answer(large).best.time_us == pytest.approx(answer(small).best.time_us, rel=1e-3), protocol


def test_zero_start_up_is_the_start_up_less(script):
    whole = answer(Question("nvlink3", 64, 8, algorithm="tree", protocol="LL")).best.time_us
    less = answer(
        Question("nvlink3", 64, 8, algorithm="tree", protocol="LL", changes=script.changes.waiting("nvlink3", 0))
    ).best.time_us
    start = fabrics.load("nvlink3").protocol("LL", "tree").startup * 1e6
    assert whole - less == pytest.approx(start)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (((3.0, 20.0),), 0.2),  # of time = a + b factor, the least counts
        (((3.0, 20.0), (5.0, 8.0)), 0.25),
        (((6.9, 1000.0), (0.0, 100.0), (1.0, 7.5)), 0.8),
        (((7.0, 1.0),), None),
        (((2.0, 4.0),), 1.0),
    ],
)
def test_the_factor_is_found(script, lines, expected):
    questions, asked = script.questions, []

    def ask(question):
        asked.append(question)
        f = float(re.search(r"=(.*)", question.changes[0]).group(1)) if question.changes else 1.0
        return {"time_us": min(a + b * f for a, b in lines)}

    found = questions.factor(ask, 8, lambda f: (f"factor={f!r}",))
    if expected is None:
        assert found is None
        return
    f, row = found
    assert f == expected if expected == 1 else f == pytest.approx(expected, rel=0.02)
    assert expected == 1 or row["time_us"] == pytest.approx(questions.TARGET_US, rel=0.005)
    assert len(asked) < 15


def test_every_way_is_asked_at_a_thousand_cards(script):
    q = script.questions
    for fabric in q.FABRICS:
        for way in q.WAYS:
            question = q.step(fabric, q.CARDS, way)
            assert (question.compress == q.CODEC) is (way in ("compression", "both"))
            assert (question.rings == 1) is (way == "one ring")
    assert q.step(q.UNEVEN, q.SCALES[1], "neither") is None
    assert q.step(q.FAST, q.SCALES[2], "compression") is None


# -- what is said --------------------------------------------------------------------------------------------


def made_up(script, times, error=0.01, bound_us=5.0):
    """Answer with made-up times, by way and fabric; of what is not a step of training ``small`` counts."""

    def ask(question):
        way = "small"
        if question.model:
            way = "compression" if question.compress != "none" else "neither"
            if question.rings == 1:
                way = "one ring"
            elif question.algorithm not in ("auto", "tree"):
                way = {"compression": "both", "neither": "topology"}[way]
        us = times.get((way, question.fabric, question.cards), times.get((way, question.fabric), times.get(way)))
        return {
            "time_us": us, "bound_us": bound_us, "reached": bound_us / us, "algorithm": "tree", "protocol": "LL",
            "error": error if question.compress != "none" else None, "bytes": 2**30, "cards": question.cards,
            "nodes": question.cards // 8, "domain": 8, "ratio": 2.0, "count": 2**29,
        }  # fmt: skip

    return ask


MS = 1e3
USUAL = {
    "one ring": 1700 * MS, "neither": 220 * MS, "topology": 200 * MS, "compression": 120 * MS, "both": 110 * MS,
    ("neither", "nvlink3"): 170 * MS, ("both", "nvlink3"): 100 * MS, ("compression", "nvlink3"): 105 * MS,
    ("topology", "nvlink3"): 160 * MS, "small": 20.0,
}  # fmt: skip


def said(script, times, large=None, **more):
    return " ".join(script.verdict.verdict(made_up(script, USUAL | times, **more), large))


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({}, "**Not needed at 1,024 cards and 8,192 tokens a card, but worth having where little overlaps.**"),
        ({"neither": 90 * MS, "topology": 80 * MS, "compression": 70 * MS, "both": 60 * MS},
         "**Not needed at 1,024 cards and 8,192 tokens a card.**"),
        ({"neither": 20_000 * MS}, "**Needed at 1,024 cards"),
        ({}, "the best algorithm gains another 9.1%"),
        ({"topology": 220 * MS}, "no algorithm gains more"),
        ({}, "compression gains more than topology"),
        ({"topology": 100 * MS}, "compression gains no more than topology"),
        ({}, "hccs takes 1.29 times as long with neither, 0.65 times if it alone has both, and 1.10 times if both have "
             "both. So hccs with both overtakes nvlink3 with neither, and where both have both the gap is narrower."),
        ({"both": 180 * MS, "compression": 190 * MS}, "does not reach nvlink3 with neither, and where both have both the "
         "gap is wider."),
        ({("both", "nvlink3"): 130 * MS, ("compression", "nvlink3"): 130 * MS}, "where both have both the gap is closed"),
        ({("neither", "nvlink3"): 230 * MS, ("topology", "nvlink3"): 230 * MS}, "there is no gap to close"),
    ],
)  # fmt: skip
def test_the_second_verdict_follows_the_numbers(script, times, words):
    assert words in said(script, times)


def test_codes_whose_sums_are_wrong_are_called_so(script):
    assert "which is too much" in said(script, {}, error=0.2)
    assert "which is too much" not in said(script, {}, error=0.01)


def test_doubts_are_weighed(script):
    large = script.machines.Machines(9, 1.0, 1.2, 2.0)
    assert "That stands if machines take 2.00 times what is simulated; it also stands" in said(script, {}, large)
    large = large._replace(high=9.0)
    assert "That does not stand if machines take 9.00 times what is simulated; it does not" in said(script, {}, large)


@pytest.mark.parametrize(
    ("way", "ms", "words"),
    [
        ("neither", 100, "so neither is needed"), ("topology", 100, "so topology is needed, and enough"),
        ("compression", 110, "so compression is needed, and enough"), ("both", 100, "so both are needed, and enough"),
        ("both", 800, "so both are needed, and not enough"),
    ],
)  # fmt: skip
def test_what_is_needed_where_tokens_are_few(script, way, ms, words):
    """819 tokens a card on 10,240 cards: the backward pass of hccs takes 175 ms."""
    cards = script.questions.SCALES[1]
    assert script.computing.hidden_seconds("hccs", cards) == pytest.approx(0.1749, rel=0.01)
    times = {(other, "hccs", cards): 900 * MS for other in script.questions.WAYS} | {(way, "hccs", cards): ms * MS}
    assert words in script.verdict._larger(made_up(script, USUAL | times), cards)


def test_a_way_that_was_not_simulated_is_not_called_enough(script):
    cards = script.questions.SCALES[2]
    times = {(way, "hccs", cards): 900 * MS for way in script.questions.WAYS} | {("both", "hccs", cards): 50 * MS}
    text = script.verdict._larger(made_up(script, USUAL | times), cards)
    assert "so both are needed, and enough" in text
    assert "compression" not in text


def test_the_first_verdict_follows_the_numbers(script):
    systems = load()
    points = {system.name: [] for system in systems}

    def first(us, bound_us):
        return " ".join(script.latency._verdict(made_up(script, {"small": us}, bound_us=bound_us), systems, points, {}))

    slow, fast = first(20.0, 9.0), first(6.0, 5.0)
    assert "**Not true at any size.** 8B take 20.0 us at best" in slow
    assert "2.9 times what is claimed" in slow
    assert "alone are more than what is claimed" in slow
    assert "Not even two cards are" in slow
    assert "No published log of A100 is." in slow
    assert "comes near it" in slow
    assert "**True up to 1GiB**" in fast
    assert "leave room for it" in fast
    assert "Up to 30,720 cards are" in fast
    assert "would do it" in fast


def test_measured_machines_are_named(script):
    systems = load()
    two = next(system for system in systems if system.name == "a100x2-aic")
    points = {system.name: [] for system in systems}
    points[two.name] = [
        Point(two.name, "x", 2, 1, 512, 6.5, 9.0, "ring", "LL"),
        Point(two.name, "y", 2, 1, 4096, 1.0, 9.0, "ring", "LL"),
    ]
    text = " ".join(script.latency._verdict(made_up(script, {"small": 20.0}), systems, points, {}))
    assert "The largest published log below 7 us is of 2 A100 on 1 node: 6.50 us." in text


def test_machines_are_quartiles_over_systems_of_several_nodes(script):
    pattern = next(system for system in load() if system.name == "a100x16-abci")
    systems = [replace(pattern, name=f"s{k}", fit=()) for k in range(5)]
    measured = (10.0, 20.0, 30.0, 40.0, 50.0)
    points = {
        system.name: [
            Point(system.name, "x", 16, 2, 8, us, 10.0, "ring", "LL"),
            Point(system.name, "y", 8, 1, 8, 1.0, 10.0, "ring", "LL"),  # on one node: not of this kind
            Point(system.name, "z", 16, 2, 8, None, 10.0, "ring", "LL"),
        ]
        for system, us in zip(systems, measured, strict=True)
    }  # fmt: skip
    found = script.machines.machines(systems, points)
    assert found == {BANDS[0]: pytest.approx((5, 2.0, 3.0, 4.0))}
    assert script.machines.machines(systems[:3], points) == {}
    fitted = [replace(systems[0], fit=(BANDS[0].name,)), replace(systems[1], library="custom"), *systems[2:]]
    assert script.machines.machines(fitted, points) == {}


def test_computing_is_flops_over_what_is_reached_of_the_peak(script):
    seconds = script.computing.compute_seconds("nvlink3", 8192)
    assert seconds == pytest.approx(6 * 8_030_261_248 * 8192 / (0.4 * 312e12))
    row = {"time_us": 0.0, "cards": 1024}
    assert script.computing.exposed("nvlink3", row) == 0
    row["time_us"] = (2 / 3 * seconds + seconds) * 1e6
    assert script.computing.exposed("nvlink3", row) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("us", "text"),
    [(0.0, "0.00 us"), (8e-5, "<0.01 us"), (7.293, "7.29 us"), (29.1007, "29.1 us"), (501.1, "501 us"), (999.6, "1.00 ms"),
     (7841.2, "7.84 ms"), (1_753_565.0, "1.75 s")],
)  # fmt: skip
def test_times_have_three_digits(script, us, text):
    assert script.words.time(us) == text


def test_shares_and_factors(script):
    words = script.words
    assert [words.percent(x) for x in (0.0, 0.0004, 0.0123, 0.34, 0.999, 1.0)] == [
        "0.0%",
        "<0.1%",
        "1.2%",
        "34%",
        ">99%",
        "100%",
    ]
    assert [words.times(x) for x in (1.312, 4.16, 13.4)] == ["1.31 times", "4.2 times", "13 times"]
    assert words.listed("a") == "a"
    assert words.listed("a+b+c") == "a, b and c"
