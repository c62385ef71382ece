"""Explanations of compressed runs: whose memory worked on what and for how long, and what faster memories would bring.

That parts add up, and that no hop could have begun earlier, is checked in test_explain.py for these runs as well.
"""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest

from ringsim import fabric
from ringsim.candidates import choices
from ringsim.cli import main
from ringsim.codecs import parse
from ringsim.explain import Explanation, explain
from ringsim.explain.command import command
from ringsim.explain.document import document
from ringsim.explain.folding import fold
from ringsim.explain.links import groups
from ringsim.explain.page import page
from ringsim.explain.path import PARTS
from ringsim.explain.subject import Subject, examine, timed
from ringsim.question import Question, StudyError
from ringsim.study import answer

MEMORY = fabric.load("hccs").card.memory_bandwidth
CODING, WAITING = "encoding and decoding", "waiting for a card's memory"

#: A codec of every kind, with one that has two rounds, one that remembers and one around another.
CODECS = ["int8", "fp16", "powersgd:2", "topk:0.1", "chain(topk:0.01,int8)", "error_feedback(powersgd:2)", "identity"]


def subject_of(question: Question) -> Subject:
    return examine(question, timed(question))


def ring(size: int, compress: str, **more: Any) -> Question:
    return Question("hccs", 2, size=size, algorithm="ring", rings=1, slices=1, compress=compress, **more)


def sent(subject: Subject) -> float:
    """Bytes of the code of the whole vector."""
    codec = subject.codec
    assert codec is not None
    return float(codec.wire_bytes(subject.case.count))


# -- what is known beforehand ---------------------------------------------------------------------------------


def test_a_ring_of_two_encodes_adds_encodes_and_decodes_half_a_vector_each() -> None:
    size = 2**24
    subject = subject_of(ring(size, "int8"))
    raw, code = size / 2, sent(subject) / 2
    cost = parse("int8").cost
    parts = dict(zip(PARTS, subject.path.total.tolist(), strict=True))
    once = [cost.encode, cost.add, cost.encode, cost.decode]
    assert parts[CODING] == pytest.approx(sum(p.raw * raw + p.code * code for p in once) / MEMORY)
    assert parts[WAITING] == 0  # the other half is decoded while the code of the first is on its way
    assert parts["sending"] == pytest.approx(2 * code / 18.3e9)
    assert parts["start-up"] == 10e-6
    assert [stretch.op for block in fold(subject) for stretch in block.stretches] == [
        "encode", "add", "decode, add", "encode", "copy", "decode",
    ]  # fmt: skip


def test_work_is_told_by_card() -> None:
    stretches = [stretch for block in fold(subject_of(ring(2**24, "int8"))) for stretch in block.stretches]
    for before, after in pairwise(stretches):
        # Whoever encodes sends, and whoever is sent something decodes it.
        if before.over == "memory":
            assert before.first == before.last == after.first.partition(" → ")[0]
        else:
            assert before.first.partition(" → ")[2] == after.first
    assert {stretch.over for stretch in stretches} == {"memory", "lane"}


def test_who_works_at_the_same_time_waits_for_the_memory() -> None:
    """Everybody sends his vector to three others, who add three codes at once: each has a third of the memory."""
    question = Question("hccs", 4, size=2**24, algorithm="one-shot", rings=1, chunks=1, compress="int8")
    subject = subject_of(question)
    code, cost = sent(subject), parse("int8").cost
    add = (cost.add.raw * 2**24 + cost.add.code * code) / MEMORY
    (hop,) = [i for i, row in enumerate(subject.path.row.tolist()) if subject.rows.op(row, 0) == "decode, add"]
    alone, waits = (subject.path.parts[hop, PARTS.index(name)] for name in (CODING, WAITING))
    assert alone == pytest.approx(add)
    assert waits == pytest.approx(2 * add)


def test_the_second_round_starts_up_again() -> None:
    subject = subject_of(ring(2**24, "powersgd:2"))
    assert subject.path.taking("start-up") == 2 * 10e-6
    (between,) = [i for i in range(len(subject.path.row)) if subject.path.parts[i, 0] > 0]
    assert subject.path.parts[between, 0] == 10e-6
    assert subject.rows.works[subject.path.row[between]]
    sends = subject.rows.sends[subject.path.row]
    assert sends.sum() == 4  # two messages a round
    assert sends[:between].sum() == 2


def test_rows_of_a_growing_sum_are_found_again() -> None:
    """Pieces of rows connect what their rows do: their ways begin and end there."""
    subject = subject_of(Question("hccs", 16, size="4M", algorithm="ring", compress="topk:0.1"))
    program, rows, topology = subject.program, subject.rows, subject.topology
    assert (rows.row >= 0).sum() > 5 * subject.schedule.rows
    source, target = topology.ends()
    for row in np.flatnonzero(rows.sends)[::7].tolist():
        way = program.route_links[program.route_offsets[row] : program.route_offsets[row + 1]]
        way = way[way < topology.links]
        assert rows.ends(row) == (source[way[0]], target[way[-1]])
    counted = np.bincount(rows.row[rows.row >= 0], program.count[rows.row >= 0], minlength=subject.schedule.rows)
    assert (counted == subject.schedule.count).all()


@pytest.mark.parametrize("compress", CODECS)
@pytest.mark.parametrize("cards", [2, 12])
def test_every_algorithm_that_a_codec_permits_is_explained(compress: str, cards: int) -> None:
    question, done = Question("hccs", cards, size="256K", compress=compress), 0
    for name in choices(question):
        try:
            subject = subject_of(replace(question, algorithm=name))
        except StudyError:
            continue  # no place for it here
        done += 1
        assert subject.path.total.sum() * 1e6 == pytest.approx(subject.time_us, rel=1e-9)
        assert subject.path.parts.min() >= -1e-12 * subject.path.end[-1]
        hops = subject.rows.works[subject.path.row]
        assert (subject.rows.card[subject.path.row[hops]] < cards).all()
        assert timed(subject.question).best.time_us == subject.time_us
    assert done >= (4 if compress.startswith("chain(topk") else 12)


def test_without_a_codec_rows_are_those_of_the_schedule() -> None:
    subject = subject_of(Question("hccs", 24, size="1M", algorithm="hierarchical-ring"))
    assert (subject.rows.row == np.arange(subject.schedule.rows)).all()
    assert (subject.rows.sends == ~subject.schedule.joins).all()
    assert not subject.rows.works.any()
    assert subject.path.taking(CODING, WAITING) == 0
    assert subject.codec is None
    assert document(Explanation(subject, ()))["codec"] is None


# -- memories among the links ----------------------------------------------------------------------------------


def test_memories_are_among_the_links_with_what_passes_through_them() -> None:
    subject = subject_of(ring(2**24, "int8"))
    (memory,) = [group for group in groups(subject) if group.kind == "memory"]
    assert (memory.name, memory.alike, memory.of, memory.bandwidth) == ("memory of card 0", 2, 2, MEMORY)
    raw, code, cost = 2**24 / 2, sent(subject) / 2, parse("int8").cost
    # What he sends he decodes as well, so that all end with the same.
    passes = [cost.encode, cost.add, cost.encode, cost.decode, cost.decode]
    assert memory.bytes == pytest.approx(sum(p.raw * raw + p.code * code for p in passes))
    assert memory.busy == pytest.approx(memory.bytes / MEMORY / (subject.time_us / 1e6))
    lanes = [group for group in groups(subject) if group.kind == "lane"]
    assert lanes[0].bytes == pytest.approx(2 * code)


def bare() -> nx.Graph:
    found = nx.Graph()
    for card in range(4):
        found.add_edge(card, (card + 1) % 4, bandwidth=1e9, latency=1e-6)
    return found


@pytest.mark.parametrize("compress", ["int8", "powersgd:2", "topk:0.1"])
def test_where_nobody_knows_the_memory_encoding_is_free(compress: str) -> None:
    found = explain(Question(None, None, graph=bare(), size="1M", compress=compress))
    assert found.subject.path.taking(CODING, WAITING) == 0
    assert not found.subject.rows.works.any()
    assert not any(stretch.over == "memory" for block in fold(found.subject) for stretch in block.stretches)
    assert not any(group.kind == "memory" for group in groups(found.subject))
    whats = {cause.change.what: cause for cause in found.causes}
    assert "card memory twice as fast" not in whats
    assert "encoding and decoding are free" in whats["no codec"].change.evidence


# -- what would help -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow_memory() -> Explanation:
    """Cards whose memories are hardly faster than the lane between them."""
    return explain(ring(2**26, "int8", changes=("card.memory_bandwidth=50GB/s",)))


def test_where_memory_is_slow_it_is_the_cause(slow_memory: Explanation) -> None:
    first = slow_memory.causes[0]
    assert first.change.what == "card memory twice as fast"
    assert first.question.changes == ("card.memory_bandwidth=100GB/s",)
    assert first.time_us == answer(ring(2**26, "int8", changes=("card.memory_bandwidth=100GB/s",))).best.time_us
    # Nearly all of it is work, and takes half as long.
    path = slow_memory.subject.path
    assert path.taking(CODING, WAITING) > 0.8 * path.total.sum()
    assert 0.4 < first.saved < 0.5
    assert first.change.evidence.startswith("the busiest memory of a card, at 50GB/s, encodes and decodes ")


def test_doing_without_is_tried_and_is_what_it_is_without(slow_memory: Explanation) -> None:
    (without,) = [cause for cause in slow_memory.causes if cause.change.what == "no codec"]
    assert without.question.compress == "none"
    assert without.time_us == answer(replace(slow_memory.subject.question, compress="none")).best.time_us
    assert without.change.evidence.startswith("int8:256: 3.938 bytes become one; encoding and decoding are ")
    assert without.saved > 0
    fast = explain(ring(2**26, "int8"))
    (without,) = [cause for cause in fast.causes if cause.change.what == "no codec"]
    assert without.saved < 0


def test_without_a_codec_nothing_is_gathered() -> None:
    found = explain(Question("hccs", 8, size="1M", algorithm="gather-ring", compress="topk:0.01"))
    (without,) = [cause for cause in found.causes if cause.change.what == "no codec"]
    assert (without.question.algorithm, without.question.compress) == ("auto", "none")
    assert without.time_us == answer(Question("hccs", 8, size="1M", protocol=found.subject.case.protocol)).best.time_us


def test_limits_of_a_protocol_are_found_for_what_gathers() -> None:
    """NCCL has constants for rings; what gathers around a ring has them too."""
    found = explain(Question("nvlink3", 8, size="16M", algorithm="gather-ring", compress="int8", protocol="LL"))
    assert {"the protocol's limits doubled", "all latencies and software steps halved"} <= {
        cause.change.what for cause in found.causes
    }


# -- commands ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (ring(2**20, "int8"), "--compress int8"),
        (Question("hccs", 8, model="resnet-50", compress="fp16"), "--compress fp16 --model resnet-50"),
        (Question("hccs", 8, "1M", compress="chain(topk:0.01,int8)"), "--compress 'chain(topk:0.01,int8)'"),
    ],
)
def test_a_question_is_written_with_its_codec_and_its_model(question: Question, words: str) -> None:
    line = command(question)
    assert line is not None
    assert words in line
    assert ("--size" in line) == (question.model is None)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line that has to succeed and return its standard output."""

    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(args)
        out, err = capsys.readouterr()
        assert stop.value.code == 0, err
        return str(out)

    return run


@pytest.mark.parametrize(
    "args",
    [
        ("--cards", "16", "--size", "1M", "--compress", "chain(topk:0.01,int8)"),
        ("--cards", "8", "--model", "resnet-50", "--compress", "fp16", "--dtype", "half"),
        ("--cards", "8", "--size", "1M", "--compress", "powersgd:2", "--placement", "shuffle:2"),
    ],
)
def test_every_command_gives_the_time_that_it_promises(say: Callable[..., str], args: tuple[str, ...]) -> None:
    found = json.loads(say("explain", "--fabric", "hccs", *args, "--json"))
    assert len(found["causes"]) > 3
    for cause in found["causes"]:
        again = json.loads(say(*shlex.split(cause["command"])[1:], "--json"))
        assert again["result"]["time_us"] == cause["time_us"], cause["change"]
        assert again["case"]["compress"] == ("" if cause["change"] == "no codec" else found["case"]["compress"])


def test_the_page_and_the_document_name_the_codec(say: Callable[..., str]) -> None:
    args = (
        "explain",
        "--fabric",
        "hccs",
        "--cards",
        "16",
        "--size",
        "16M",
        "--compress",
        "int8",
        "--algorithm",
        "tree",
    )
    text, found = say(*args), json.loads(say(*args, "--json"))
    lines = text.splitlines()
    best = answer(Question("hccs", 16, "16M", compress="int8", algorithm="tree")).best
    assert lines[2].startswith("int8:256: 3.938 bytes become one; encoding and decoding are ")
    assert lines[2].endswith(f"and the sum is off by {best.error:.1%}")
    assert any(line.startswith(CODING) for line in lines)
    assert any(line.startswith("memory of card ") for line in lines)
    keys = ("ratio", "code_bytes", "codec_us", "error", "agree")
    assert found["codec"] == {"spec": "int8:256"} | {key: getattr(best, key) for key in keys}
    assert {part["part"]: part["time_us"] for part in found["parts"]}[CODING] > 0
    assert sum(part["time_us"] for part in found["parts"]) == pytest.approx(found["time_us"], rel=1e-9)
    ops = {stretch["op"] for block in found["critical_path"] for stretch in block["stretches"]}
    assert ops == {"encode", "add", "decode, add", "copy", "decode"}


def test_a_page_of_two_rounds_has_a_column_for_the_second_start() -> None:
    found = explain(ring(2**20, "powersgd:2"))
    text = "\n".join(line.text for line in page(found))
    (head,) = [line for line in text.splitlines() if line.startswith("critical path")]
    assert {"start-up", "coding", "sending"} <= set(head.split())
