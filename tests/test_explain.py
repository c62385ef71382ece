"""Explanations: deliveries against the slow engine, parts that add up, and causes that are known beforehand."""

import itertools
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from laws.clusters import irregular
from laws.programs import by_hand, random_programs
from ringsim import fabric, topology
from ringsim.candidates import pinned
from ringsim.cli import main
from ringsim.collectives import COLLECTIVES
from ringsim.engines import run as run_program
from ringsim.engines.compiled import recording
from ringsim.engines.compiled.recording import Deliveries, RecordError, deliveries
from ringsim.explain import Explanation, explain
from ringsim.explain.cases import CASES
from ringsim.explain.causes import Cause, _ordered
from ringsim.explain.changes import Change, changed, duration, rate
from ringsim.explain.command import command
from ringsim.explain.document import document
from ringsim.explain.evidence import paused
from ringsim.explain.folding import _repetitions, fold
from ringsim.explain.graphs import _medians, drawing, save_graph
from ringsim.explain.links import groups
from ringsim.explain.page import page
from ringsim.explain.path import PARTS
from ringsim.explain.subject import Subject, examine
from ringsim.program import Program, ProgramError
from ringsim.question import Question, StudyError
from ringsim.study import answer
from ringsim.units import parse_rate, parse_time

AGREE = 1e-9


# -- deliveries ----------------------------------------------------------------------------------------------


def unrolled(program: Program) -> tuple[Program, np.ndarray]:
    """The same program with a row for each firing, and the first of each row: then the slow engine tells all of them."""
    first = np.cumsum(program.count) - program.count
    routes, deps, after, reduces, of = [], [], [], [], []
    for v in range(program.rows):
        route = program.route_links[program.route_offsets[v] : program.route_offsets[v + 1]].tolist()
        inputs = range(program.dep_offsets[v], program.dep_offsets[v + 1])
        before = int(program.after[v])
        for q in range(program.count[v]):
            wanted = [(int(program.dep_row[d]), q - int(program.dep_lag[d])) for d in inputs]
            deps.append([(int(first[u] + min(f, program.count[u] - 1)), 0) for u, f in wanted if f >= 0])
            begins = -1 if before < 0 else int(first[before] + program.count[before] - 1)
            after.append(int(first[v]) + q - 1 if q else begins)
            routes.append(route)
            reduces.append(int(q < program.reduces[v]))
            of.append(v)
    columns = {name: getattr(program, name)[of].tolist() for name in ("latency", "work", "overhead", "cap")}
    found = by_hand(
        program.bandwidth.tolist(), routes, program.bytes[of].tolist(), deps=deps, after=after, reduces=reduces,
        **columns,
    )  # fmt: skip
    return found, first


def assert_all_delivered_as_in_the_slow_engine(program: Program, times: Deliveries) -> None:
    apart, first = unrolled(program)
    expected = run_program(apart, "reference").finish
    row = np.repeat(np.arange(program.rows), program.count)
    firing = np.arange(len(row)) - first[row]
    np.testing.assert_allclose(times.at(row, firing), expected, rtol=AGREE, atol=AGREE * expected.max())
    v, q = times.last()
    assert times.at(v, q) == times.at(row, firing).max()
    assert 0 <= q < program.count[v]


@given(random_programs())
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_delivery_is_that_of_the_slow_engine(program: Program) -> None:
    try:
        times = deliveries(program)
    except ProgramError:
        assume(False)
    assert_all_delivered_as_in_the_slow_engine(program, times)


@given(random_programs(), st.integers(2, 3))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_rows_that_are_alike_share_their_times(program: Program, copies: int) -> None:
    """Copies beside each other, with links of their own, behave like the one."""
    try:
        alone = deliveries(program)
    except ProgramError:
        assume(False)
    n, links = program.rows, len(program.bandwidth)
    many = replace(
        program,
        **{
            name: np.tile(getattr(program, name), copies)
            for name in ("bytes", "count", "reduces", "latency", "work", "overhead", "cap", "dep_lag", "bandwidth")
        },
        route_links=np.concatenate([program.route_links + links * i for i in range(copies)]).astype(np.int32),
        route_offsets=np.append(0, [program.route_offsets[1:] + len(program.route_links) * i for i in range(copies)]),
        after=np.concatenate([np.where(program.after < 0, -1, program.after + n * i) for i in range(copies)]),
        dep_row=np.concatenate([program.dep_row + n * i for i in range(copies)]),
        dep_offsets=np.append(0, [program.dep_offsets[1:] + len(program.dep_row) * i for i in range(copies)]),
    )  # fmt: skip
    times = deliveries(many)
    assert len(times.count) <= n
    row = np.repeat(np.arange(n), program.count)
    firing = np.arange(len(row)) - (np.cumsum(program.count) - program.count)[row]
    for i in range(copies):
        np.testing.assert_allclose(times.at(row + n * i, firing), alone.at(row, firing), rtol=AGREE)


SOME = [
    Question("hccs", 8, size="1M"),
    Question("hccs", 64, size="64K", algorithm="tree"),
    Question("hccs", 64, size="16M", algorithm="ring", changes=("network.routing=hash", "network.radix=10")),
    Question("hccs", 24, size="1M", algorithm="hierarchical-ring"),
    Question("hccs", 17, size="1M", algorithm="halving-doubling"),
    Question("nvlink3", 32, size="1M", algorithm="two-shot", protocol="LL"),
    Question("nvlink4", 32, size="64M", algorithm="in-switch"),
    Question("hccs", 32, size="1M", collective="all-to-all"),
    Question("nvlink3", 48, size=8, algorithm="ring", protocol="LL"),
    Question("hccs", 16, size="256K", algorithm="ring", placement="shuffle:3"),
    Question(
        "hccs", 32, size="4M", algorithm="tree",
        changes=("protocol.hccl.send_overhead=1us", "protocol.hccl.reduce_bandwidth=100GB/s"),
    ),
    Question("hccs", 32, size="4K", algorithm="ring", changes=("protocol.hccl.message_gap=12us",)),
    Question("hccs", 32, size="1M", collective="broadcast"),
    Question("hccs", None, graph=irregular(16), size="1M", algorithm="tree"),
    Question(None, None, graph=irregular(9, seed=4), size="1M", algorithm="ring"),
    Question("hccs", 16, size="4M", algorithm="tree", compress="int8"),
    Question("nvlink3", 24, size="1M", algorithm="ring", compress="fp16", protocol="LL"),
    Question("hccs", 16, size="64K", algorithm="nhr", compress="powersgd:2", placement="shuffle:1"),
    Question("hccs", 16, size="4M", algorithm="ring", compress="topk:0.1"),
    Question("hccs", 16, size="4M", algorithm="gather-ring", compress="chain(topk:0.01,int8)"),
    Question("nvlink4", 16, size="4M", algorithm="in-switch", compress="error_feedback(powersgd:2)"),
    Question(None, None, graph=irregular(9, seed=4), size="1M", algorithm="ring", compress="int8"),
]  # fmt: skip


def subject_of(question: Question) -> Subject:
    return examine(question, answer(question))


@pytest.fixture(scope="module")
def subjects() -> list[Subject]:
    return [subject_of(question) for question in SOME]


def test_the_last_delivery_of_each_row_is_that_of_the_run(subjects: list[Subject]) -> None:
    for subject in subjects:
        program, times = subject.program, deliveries(subject.program)
        trace = run_program(program)
        rows = np.arange(program.rows)
        finish = np.maximum(times.at(rows, program.count - 1), times.at(rows, np.maximum(program.reduces - 1, 0)))
        np.testing.assert_allclose(finish, trace.finish, rtol=AGREE)
        assert times.at(*times.last()) == pytest.approx(trace.time, rel=AGREE)
        assert trace.time * 1e6 == pytest.approx(subject.time_us, rel=AGREE)


def test_swept_and_shared_programs_are_among_them_and_both_are_folded(subjects: list[Subject]) -> None:
    kept = [deliveries(subject.program) for subject in subjects]
    assert {times.stride == 1 for times in kept} == {True, False}
    for shared in (True, False):
        assert any(len(times.count) < len(times.class_of) and (times.stride == 1) == shared for times in kept)


def test_where_rounds_are_many_and_firings_few_the_event_loop_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of 40 rows that differ and fire once: 40 numbers, or 40 rounds of 40."""
    program = by_hand(
        [1.0] * 40, [[i] for i in range(40)], [1.0 + i for i in range(40)], after=[-1] * 40,
        deps=[[(i - 1, 0)] if i else [] for i in range(40)],
    )  # fmt: skip
    program = replace(program, dep_lag=program.dep_lag - 1, count=np.full(40, 2))
    swept = deliveries(program)
    assert swept.stride == 40
    monkeypatch.setattr(recording, "MOST_BYTES", 8 * 100)
    looped = deliveries(program)
    assert looped.stride == 1
    rows = np.arange(40)
    for firing in (0, 1):
        np.testing.assert_allclose(looped.at(rows, firing), swept.at(rows, firing), rtol=AGREE)
    assert_all_delivered_as_in_the_slow_engine(program, looped)


def test_a_program_with_too_many_deliveries_is_refused(
    monkeypatch: pytest.MonkeyPatch, subjects: list[Subject]
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 8)
    with pytest.raises(
        RecordError, match=r"to keep when each of [\d,]+ transfers was delivered takes .* numbers.*fewer"
    ):
        deliveries(subjects[1].program)
    with pytest.raises(StudyError, match="tree on 64 cards"):
        explain(SOME[1])


def test_rows_that_wait_for_each_other_are_named_here_too() -> None:
    with pytest.raises(ProgramError, match="waits for ever"):
        deliveries(by_hand([1.0], [[0], [0]], [1.0, 1.0], deps=[[(1, 0)], [(0, 0)]]))


# -- the critical path ------------------------------------------------------------------------------------------


def test_parts_add_up_to_the_time_and_none_is_negative(subjects: list[Subject]) -> None:
    for subject in subjects:
        path = subject.path
        assert path.total.sum() * 1e6 == pytest.approx(subject.time_us, rel=AGREE)
        assert path.parts.min() >= -1e-12 * path.end[-1]
        np.testing.assert_allclose(path.parts.sum(axis=1), path.end - path.begin, atol=1e-12 * path.end[-1])
        calls = 2 if "powersgd" in subject.case.compress else 1
        assert path.total[0] == calls * subject.protocol.startup == calls * path.begin[0]
        assert (path.begin[1:] == path.end[:-1]).all()


def test_every_hop_waits_for_the_one_before_it(subjects: list[Subject]) -> None:
    for subject in subjects:
        program, path = subject.program, subject.path
        hops = list(zip(path.row.tolist(), path.firing.tolist(), path.delivered.tolist(), strict=True))
        for (u, f, delivered), (v, q, _) in itertools.pairwise(hops):
            if delivered:
                inputs = range(program.dep_offsets[v], program.dep_offsets[v + 1])
                wanted = {
                    (int(program.dep_row[d]), min(q - int(program.dep_lag[d]), int(program.count[program.dep_row[d]]) - 1))
                    for d in inputs if q - program.dep_lag[d] >= 0
                }  # fmt: skip
                assert (u, f) in wanted
            elif q:
                assert (u, f) == (v, q - 1)
            else:
                assert (u, f) == (program.after[v], program.count[u] - 1)


def test_no_hop_could_have_begun_earlier(subjects: list[Subject]) -> None:
    """All that a firing waits for is there when the path says that it began, by times that the slow engine agrees to."""
    for subject in subjects:
        program, path, times = subject.program, subject.path, deliveries(subject.program)
        for v, q, begin in zip(path.row.tolist(), path.firing.tolist(), path.begin.tolist(), strict=True):
            latest = program.startup
            for d in range(program.dep_offsets[v], program.dep_offsets[v + 1]):
                u, wanted = int(program.dep_row[d]), q - int(program.dep_lag[d])
                if wanted >= 0:
                    latest = max(latest, float(times.at(u, min(wanted, int(program.count[u]) - 1))))
            if q:
                work = program.work[v] if q - 1 < program.reduces[v] else 0.0
                latest = max(latest, float(times.at(v, q - 1)) - program.latency[v] - work)
            assert begin == pytest.approx(latest, rel=1e-11)


def test_latency_is_that_of_the_links_and_steps_are_those_of_the_protocol(subjects: list[Subject]) -> None:
    for subject in subjects:
        program, path, place, protocol = subject.program, subject.path, subject.topology, subject.protocol
        home = place.node_of_vertex()
        links = steps = 0.0
        for v in path.row[path.delivered].tolist():
            source, target = subject.rows.ends(v)
            if source != target:
                way = program.route_links[program.route_offsets[v] : program.route_offsets[v + 1]]
                links += place.latency[way[way < place.links]].sum()
                steps += protocol.step_scale_up if home[source] == home[target] >= 0 else protocol.step_network
        assert path.taking("latency of links") == pytest.approx(links, rel=AGREE, abs=1e-15)
        assert path.taking("software steps") == pytest.approx(steps, rel=AGREE, abs=1e-15)


def test_a_ring_in_a_mesh_is_what_its_formula_says() -> None:
    parts = dict(
        zip(PARTS, subject_of(Question("hccs", 8, size="7M", algorithm="ring")).path.total.tolist(), strict=True)
    )
    lane = 18.3 / 28 * 28e9
    assert parts.pop("start-up") == 10e-6
    assert parts.pop("latency of links") == pytest.approx(14 * 0.5e-6)
    assert parts.pop("software steps") == pytest.approx(14 * 2.5e-6)
    assert parts.pop("sending") == pytest.approx(14 * 7 * 2**20 / 7 / 8 / lane)
    assert not any(parts.values())


def test_who_shares_a_link_waits_for_it() -> None:
    """Three cards on a switch that all send to both others at once: half the rate, so half of the time is waiting."""
    star = nx.Graph()
    star.add_node("s", kind="switch")
    for card in range(3):
        star.add_node(card, kind="card")
        star.add_edge(card, "s", bandwidth=1e9, latency=1e-6)
    subject = subject_of(Question(None, None, graph=star, size=12_000, collective="all-to-all", algorithm="direct"))
    assert subject.path.taking("sending") == pytest.approx(4_000 / 1e9)
    assert subject.path.taking("waiting for shared links") == pytest.approx(4_000 / 1e9)
    assert subject.path.taking("latency of links") == pytest.approx(2e-6)
    assert subject.path.total.sum() == pytest.approx(10e-6)


def test_overheads_and_reducing_have_parts_of_their_own(subjects: list[Subject]) -> None:
    subject = next(s for s, q in zip(subjects, SOME, strict=True) if "protocol.hccl.send_overhead=1us" in q.changes)
    moves = subject.rows.sends[subject.path.row]
    assert subject.path.taking("sender's overhead") == pytest.approx(1e-6 * moves.sum())
    adds = subject.path.delivered & (subject.path.firing < subject.program.reduces[subject.path.row])
    assert subject.path.taking("reducing") == pytest.approx(subject.program.work[subject.path.row][adds].sum())
    assert subject.path.taking("reducing") > 0


def test_a_channel_that_is_busy_with_slices_is_the_sender_s_overhead() -> None:
    """Two cards, two steps of two slices: the path is all sending and overhead, and the step runs meanwhile."""
    subject = subject_of(Question("nvlink3", 2, size=960_000, algorithm="ring", protocol="Simple", slices=2))
    assert subject.path.taking("sender's overhead") == pytest.approx(4 * 3.375e-6)
    assert subject.path.taking("sending") == pytest.approx(4e-6)
    assert subject.path.taking("software steps") == pytest.approx(0.0, abs=1e-18)
    assert subject.path.taking("copying out") == pytest.approx(480_000 / 960e9)
    assert subject.path.total.sum() == pytest.approx(subject.time_us * 1e-6, rel=1e-9)
    longer = subject_of(replace(subject.question, changes=("protocol.Simple.step_scale_up=9.2us",)))
    assert longer.path.taking("software steps") > 0
    assert longer.path.total.sum() == pytest.approx(longer.time_us * 1e-6, rel=1e-9)


def test_whoever_waits_for_a_message_sees_only_what_the_gap_is_longer_than_its_way() -> None:
    """Two cards in two nodes, two messages each, one after the other; a way takes 8.5us."""

    def parts(gap: str) -> Subject:
        changes = (f"protocol.hccl.message_gap={gap}",)
        return subject_of(Question("hccs", 2, domain=1, size=4096, algorithm="ring", rings=1, changes=changes))

    sending, on_the_way = 2048 / 20e9, 1.5e-6 + 7e-6
    for gap, longer in (("12us", 12e-6 - sending - on_the_way), ("2us", 0.0), ("0us", 0.0)):
        subject = parts(gap)
        assert subject.path.taking("sending") == pytest.approx(2 * sending)
        assert subject.path.taking("latency of links", "software steps") == pytest.approx(2 * on_the_way)
        assert subject.path.taking("gap between messages") == pytest.approx(2 * longer, abs=1e-15)
        assert subject.time_us == pytest.approx(10 + 2e6 * (sending + on_the_way + longer))


def test_whoever_waits_to_send_again_sees_the_whole_gap() -> None:
    """Nine messages behind one another, and only the last one's way counts."""
    changes = ("protocol.hccl.message_gap=12us",)
    question = Question("hccs", 10, domain=1, size=4000, collective="all-gather", algorithm="ring", rings=1, slices=9)
    subject = subject_of(replace(question, changes=changes))
    again = ~subject.path.delivered
    assert again.any()
    gaps = subject.path.parts[again, PARTS.index("gap between messages")]
    np.testing.assert_allclose(gaps, 12e-6 - 4000 / 10 / 9 / 20e9, rtol=1e-9)


# -- folding it ---------------------------------------------------------------------------------------------------


def test_a_folded_path_has_all_hops_and_all_time(subjects: list[Subject]) -> None:
    for subject in subjects:
        blocks = fold(subject)
        hops = sum(block.times * stretch.hops for block in blocks for stretch in block.stretches)
        assert hops == (subject.rows.sends | subject.rows.works)[subject.path.row].sum()
        spent = sum((stretch.parts for block in blocks for stretch in block.stretches), np.zeros(len(PARTS)))
        spent[0] += subject.path.startup
        np.testing.assert_allclose(spent, subject.path.total, rtol=AGREE, atol=1e-18)


def test_what_repeats_is_told_once() -> None:
    a, b, c = (0, 7), (1, 1), (2, 3)
    assert list(_repetitions([a, b, a, b, a, c])) == [(0, 2, 2), (4, 1, 1), (5, 1, 1)]
    assert list(_repetitions([a, b, c])) == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]
    assert list(_repetitions([a, b, c] * 5)) == [(0, 3, 5)]
    assert list(_repetitions([])) == []


def test_two_thousand_hops_take_a_few_lines() -> None:
    blocks = fold(subject_of(Question("hccs", 1024, size=8, algorithm="ring")))
    assert sum(len(block.stretches) for block in blocks) < 40
    assert max(block.times for block in blocks) == 31


# -- links --------------------------------------------------------------------------------------------------------


def test_groups_hold_all_links_that_were_used_and_say_how_busy_they_were(subjects: list[Subject]) -> None:
    for subject in subjects:
        found = list(groups(subject))
        assert sum(group.alike for group in found) == (subject.busy > 0).sum()
        assert [group.busy for group in found] == sorted((group.busy for group in found), reverse=True)
        load = subject.program.load() / subject.program.bandwidth / (subject.time_us / 1e6)
        assert found[0].busy == pytest.approx(load.max(), abs=1e-9)
        assert all(group.alike <= (group.of or group.alike) for group in found)
        if not paused(subject).any():
            for group in found:
                assert group.bytes == pytest.approx(group.busy * group.bandwidth * subject.time_us / 1e6, rel=1e-6)


def test_padding_keeps_links_busy_but_is_no_byte(subjects: list[Subject]) -> None:
    subject = next(s for s, q in zip(subjects, SOME, strict=True) if "protocol.hccl.message_gap=12us" in q.changes)
    port = next(group for group in groups(subject) if group.kind == "nic→leaf")
    assert port.bytes < port.busy * port.bandwidth * subject.time_us / 1e6 / 10
    sent = 2 * 31 * 4096 / 32  # to the next card of the ring, on all channels together or on one of them
    assert port.bytes == pytest.approx(sent / subject.case.channels)


def test_links_have_names_that_people_know() -> None:
    names = {group.kind: group.name for group in groups(subject_of(Question("hccs", 16, size="1M", algorithm="ring")))}
    assert names["lane"] == "card 0 → card 1"
    assert names["nic→leaf"] == "NIC port of card 0 → leaf 0"
    drawn = topology.build(fabric.load("hccs"), 16).graph()
    names = {
        group.kind: group.name
        for group in groups(subject_of(Question(None, None, graph=drawn, size="1M", algorithm="ring")))
    }
    assert names["nic→leaf"].startswith("NIC port of card ")
    assert names["lane"] == "card 0 → card 1"


# -- questions and commands -------------------------------------------------------------------------------------


def told(line: str, tmp_path: Path) -> float:
    """Run a command line and return the time it finds, in microseconds."""
    target = tmp_path / "told.json"
    with pytest.raises(SystemExit) as stop:
        main([*shlex.split(line)[1:], "--json", "--output", str(target)])
    assert stop.value.code == 0
    return float(json.loads(target.read_text())["result"]["time_us"])


def test_the_plan_is_kept_and_asked_for_again_takes_exactly_as_long(subjects: list[Subject]) -> None:
    for subject in subjects:
        again = answer(subject.question)
        assert len(again.candidates) == 1
        assert again.best.time_us == subject.time_us
        assert again.best.case == subject.case


@pytest.mark.parametrize(
    "question",
    [
        Question("hccs", 64, size="64M", dtype="half", chunks=64),
        Question("hccs", 8, size=12_345 * 4, algorithm="ring", rings=2),
        Question("nvlink3", 32, size="64K", protocol="LL", jump=False),
        Question("hccs", 32, size="1M", collective="all-to-all", network="roce-400g", seed=3),
        Question("hccs", 16, size="1M", domain=4, placement="round-robin"),
    ],
)
def test_every_command_gives_exactly_the_time_that_is_claimed(question: Question, tmp_path: Path) -> None:
    found = explain(question)
    for cause in found.causes:
        assert cause.command is not None
        assert told(cause.command, tmp_path) == cause.time_us, cause.change.what
        assert cause.saved == 1 - cause.time_us / found.subject.time_us
    written = command(found.subject.question)
    assert written is not None
    assert told(written, tmp_path) == found.subject.time_us


def test_a_command_says_what_differs_and_nothing_else() -> None:
    assert command(Question("hccs", 8)) == "ringsim run --fabric hccs --cards 8 --size 1GiB"
    line = command(Question(None, None, graph="a b.json", size=10**9 + 4, jump=False, changes=("protocol.x=1us",)))
    assert line == "ringsim run --graph 'a b.json' --size 1000000004 --no-jump --set protocol.x=1us"
    assert command(Question("hccs", 4, placement=[3, 2, 1, 0])) is None
    assert command(Question(None, None, graph=nx.path_graph(3))) is None


def test_what_is_changed_again_is_said_once() -> None:
    question = changed(Question("hccs", 8, changes=("a.b=1", "c.d=2")), {"a.b": "3", "e.f": "4"})
    assert question.changes == ("c.d=2", "a.b=3", "e.f=4")


@given(st.floats(1.0, 1e15), st.floats(1e-12, 1e3))
def test_numbers_are_read_back_nearly_as_they_were(speed: float, seconds: float) -> None:
    assert parse_rate(rate(speed)) == pytest.approx(speed, rel=1e-10)
    assert parse_time(duration(seconds)) == pytest.approx(seconds, rel=1e-10)


def test_a_fabric_that_is_an_object_is_refused() -> None:
    with pytest.raises(StudyError, match="give its name or its file"):
        explain(Question(fabric.load("hccs"), 8))


# -- causes -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def explained() -> dict[str, Explanation]:
    return {name: explain(case()) for name, case in CASES.items()}


FIRST = {
    "oversubscribed": (
        "cables above each leaf from 4:1 to 2:1",
        0.45,
        ["48 ports down and 12 up, 4:1", "99.8%", "29.8%"],
    ),
    "slow-nic": (
        "slow NIC ports as fast as most",
        0.7,
        ["NIC port of card 5", "5GB/s", "its 63 siblings 20GB/s", ">99.9%"],
    ),
    "small-message": ("all latencies and software steps halved", 0.49, ["2,046 messages one after the other", "<0.1%"]),
    "one-ring": ("all 7 channels used", 0.8, ["1 of 7 possible channels", "8 of the 56 scale-up links"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_known_cause_is_named_first(name: str, explained: dict[str, Explanation]) -> None:
    what, least, words = FIRST[name]
    first = explained[name].causes[0]
    assert first.change.what == what
    assert first.saved > least
    assert all(word in first.change.evidence for word in words), first.change.evidence
    rest = [cause.saved for cause in explained[name].causes[1:]]
    assert rest == sorted(rest, reverse=True)
    assert answer(first.question).best.time_us == first.time_us


def test_one_slow_nic_comes_first_even_where_faster_nics_would_save_a_little_more() -> None:
    """Half as slow again: repaired it saves a third, and doubling every NIC a half."""
    drawn = CASES["slow-nic"]()
    for _, _, values in drawn.graph.edges(data=True):
        if values["bandwidth"] == 5e9:
            values["bandwidth"] = 20e9 / 1.5
    found = explain(drawn)
    saved = {cause.change.what: cause.saved for cause in found.causes}
    assert saved["NIC ports twice as fast"] > saved["slow NIC ports as fast as most"] > 0.3
    assert found.causes[0].change.what == "slow NIC ports as fast as most"


def causes(*told: tuple[str, float, set[int], bool]) -> list[Cause]:
    question = Question("hccs", 8)
    return [
        Cause(Change(what, question, "", frozenset(improves), partly), 1.0, saved)
        for what, saved, improves, partly in told
    ]


def test_the_closer_explanation_comes_first_and_the_others_by_what_they_save() -> None:
    told = causes(
        ("latency", 0.1, set(), False), ("a", 0.3, {1}, False), ("b", 0.5, {1, 2}, False), ("slow", 0.2, {1}, True)
    )
    assert [c.change.what for c in _ordered(told)] == ["slow", "b", "a", "latency"]
    told = causes(("a", 0.2, {1}, False), ("b", 0.5, {1, 2}, False), ("latency", 0.4, set(), False))
    assert [c.change.what for c in _ordered(told)] == ["b", "latency", "a"]
    told = causes(("a", -0.2, {1}, False), ("b", -0.1, {1, 2}, False))
    assert [c.change.what for c in _ordered(told)] == ["b", "a"]
    assert _ordered([]) == ()


def whats(question: Question) -> dict[str, float]:
    return {cause.change.what: cause.saved for cause in explain(question).causes}


DRAGONFLY = (
    "network.radix=8", "network.nics_per_switch=2", "network.group_switches=4", "network.global_links=2",
)  # fmt: skip


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            Question("hccs", 256, size="1M", network="roce-400g-fat-tree", domain=2, changes=("network.radix=8",)),
            {"cables above each spine from 7.11:1 to 3.56:1"},
        ),
        (
            Question("hccs", 64, size="1M", network="roce-400g-torus", domain=2),
            {"twice as many cables between neighbours"},
        ),
        (
            Question(
                "nvlink3", 64, size="1M", network="ib-hdr-dragonfly", domain=2, protocol="Simple", changes=DRAGONFLY
            ),
            {"twice as many cables between groups", "twice as many messages a second"},
        ),
        (
            Question("hccs", 64, size="4M", changes=("network.routing=hash", "network.radix=8")),
            {"traffic spread over equal paths"},
        ),
        (Question("nvlink3", 32, size="1M", protocol="LL"), {"the protocol's limits doubled"}),
        (
            Question("hccs", 16, size="4M", changes=("protocol.hccl.reduce_bandwidth=20GB/s",)),
            {"reducing twice as fast"},
        ),
    ],
)
def test_each_kind_of_network_and_library_has_changes_of_its_own(question: Question, expected: set[str]) -> None:
    found = whats(replace(question, algorithm="tree"))
    assert expected <= set(found)
    assert {"scale-up links twice as fast", "all latencies and software steps halved"} <= set(found)


def test_what_is_not_there_is_not_changed() -> None:
    assert set(whats(Question("hccs", 8, size="1M"))) == {
        "scale-up links twice as fast", "all latencies and software steps halved",
    }  # fmt: skip


def test_halving_everything_that_is_no_link_halves_a_run_without_bytes(explained: dict[str, Explanation]) -> None:
    first = explained["small-message"].causes[0]
    assert first.time_us == pytest.approx(explained["small-message"].subject.time_us / 2, rel=1e-6)


def test_a_constant_of_one_algorithm_is_changed_where_that_algorithm_sees_it() -> None:
    found = explain(Question("nvlink3", 64, size=8, algorithm="tree", protocol="LL"))
    first = found.causes[0]
    assert "protocol.LL.tree.step_network=2.2us" in first.question.changes
    assert first.time_us == pytest.approx(found.subject.time_us / 2, rel=1e-3)


# -- graphs ---------------------------------------------------------------------------------------------------------


def directed(cards: int, seed: int) -> nx.MultiDiGraph:
    """Cables beside each other, and switches in front of the cards."""
    found = nx.MultiDiGraph()
    found.add_nodes_from(f"s{s}" for s in range(2))
    nx.set_node_attributes(found, "switch", "kind")
    random = np.random.default_rng(seed)
    for card in range(cards):
        found.add_node(card, kind="card")
        for switch in random.permutation(2).tolist():
            for _ in range(2):
                found.add_edge(f"s{switch}", card, bandwidth=float(random.integers(1, 9)) * 1e9, latency="1us")
                found.add_edge(card, f"s{switch}", bandwidth="8GB/s", latency=1e-6)
    return found


GRAPHS: list[Callable[[], Any]] = [
    lambda: irregular(12),
    lambda: irregular(16, seed=2),
    lambda: directed(8, 1),
    lambda: topology.build(fabric.load("hccs"), 16).graph(),
]


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("algorithm", ["ring", "tree", "two-shot"])
def test_a_copy_with_nothing_changed_takes_exactly_as_long(
    make: Callable[[], Any], algorithm: str, tmp_path: Path
) -> None:
    graph = make()
    drawn = drawing(graph)
    question = Question(None, None, graph=graph, size="1M", algorithm=algorithm, seed=5)
    before = answer(question)
    links = np.arange(before.topology.links)
    for attribute, values in (("bandwidth", before.topology.bandwidth), ("latency", before.topology.latency)):
        same = drawn.with_links(attribute, links, values)
        assert answer(replace(question, graph=same)).best.time_us == before.best.time_us
    save_graph(graph, tmp_path / "kept.json")
    again = answer(replace(question, graph=str(tmp_path / "kept.json")))
    assert again.best.time_us == before.best.time_us
    assert again.topology.fingerprint() == before.topology.fingerprint()


@pytest.mark.parametrize("make", GRAPHS)
def test_links_are_found_again_in_the_graph(make: Callable[[], Any]) -> None:
    graph = make()
    found = topology.from_graph(graph)
    random = np.random.default_rng(1)
    links = random.permutation(found.links)[: found.links // 3]
    better = drawing(graph).with_links("bandwidth", links, found.bandwidth[links] * 4)
    after = topology.from_graph(better)
    faster = after.bandwidth != found.bandwidth
    assert faster[links].all()
    assert (after.bandwidth[faster] == 4 * found.bandwidth[faster]).all()
    if graph.is_directed():
        assert faster.sum() == len(links)
    assert topology.from_graph(graph).fingerprint() == found.fingerprint()


def test_a_vertex_that_json_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="vertex \\(0, 0\\)"):
        save_graph(nx.grid_2d_graph(2, 2), tmp_path / "grid.json")


def test_half_slow_links_are_no_exception() -> None:
    kind = np.zeros(4, np.int8)
    assert _medians(kind, np.array([5.0, 20.0, 5.0, 20.0])).tolist() == [5.0] * 4
    assert _medians(kind, np.array([5.0, 20.0, 20.0, 20.0])).tolist() == [20.0] * 4
    assert _medians(np.array([0, 1, 1, 1], np.int8), np.array([5.0, 20.0, 1.0, 20.0])).tolist() == [
        5.0,
        20.0,
        20.0,
        20.0,
    ]


def test_a_graph_with_a_fabric_has_its_software_halved_too() -> None:
    graph = topology.build(fabric.load("hccs"), 16).graph()
    found = explain(Question("hccs", None, graph=graph, size=8, algorithm="ring"))
    assert found.causes[0].change.what == "all latencies and software steps halved"
    assert found.causes[0].time_us == pytest.approx(found.subject.time_us / 2, rel=1e-3)
    bare = explain(Question(None, None, graph=graph, size=8, algorithm="ring"))
    assert bare.causes[0].change.what == "all latencies halved"


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["explain", *args])
        out, err = capsys.readouterr()
        return (
            int(stop.value.code or 0),
            out,
            "\n".join(e for e in err.splitlines() if not e.startswith("ringsim: compiling")),
        )

    return run


Say = Callable[..., tuple[int, str, str]]


def tables(text: str) -> Iterator[list[str]]:
    for part in text.split("\n\n"):
        yield part.splitlines()


def test_the_page_has_its_parts_in_order_and_they_add_up(say: Say) -> None:
    code, out, err = say("--fabric", "hccs", "--cards", "64", "--size", "64M", "--algorithm", "tree")
    assert (code, err) == (0, "")
    title, parts, links, path, help_, verdict = tables(out)
    assert title[0] == "all-reduce of 64MiB on 64 cards of hccs, 1017.21 us"
    assert title[1].startswith("tree on 8 channels, 80 chunks, hccl")
    times = [float(line.split()[-2]) for line in parts[1:]]
    assert parts[-1].split()[0] == "total"
    assert sum(times[:-1]) == pytest.approx(times[-1], abs=0.02 * len(times))
    assert times[-1] == 1017.21
    assert links[1].startswith("card 0 → card 1")
    assert "448 of 448" in links[1]
    assert len(links) <= 11
    assert path[0].split()[:4] == ["critical", "path", "hops", "op"]
    assert help_[0].split() == ["what", "would", "help", "time", "(us)", "saved"]
    assert help_[1].startswith("all links twice as fast")
    assert help_[3].strip().startswith("ringsim run --fabric hccs --cards 64 --size 64MiB --algorithm tree")
    assert verdict[0].startswith("cause: ")


def test_a_long_path_is_cut_in_the_middle_and_says_how_to_see_it_all(say: Say) -> None:
    args = ("--fabric", "hccs", "--cards", "1024", "--size", "8", "--algorithm", "ring", "--quiet")
    _, out, _ = say(*args)
    path = next(part for part in tables(out) if part[0].startswith("critical path"))
    assert len(path) == 1 + 20 + 1
    note = next(line for line in path if line.startswith("…"))
    everything = note.split("--hops ")[1].split()[0]
    _, out, _ = say(*args, "--hops", everything)
    whole = next(part for part in tables(out) if part[0].startswith("critical path"))
    assert len(whole) == 1 + int(everything)
    assert not any(line.startswith("…") for line in whole)
    assert path[1:11] == whole[1:11]
    assert path[-10:] == whole[-10:]


def test_json_says_the_same_with_units_in_the_names(say: Say, explained: dict[str, Explanation]) -> None:
    code, out, _ = say("--case", "one-ring", "--json")
    assert code == 0
    found = json.loads(out)
    assert found == json.loads(json.dumps(document(explained["one-ring"])))
    assert found["schema"] == 1
    assert found["time_us"] == explained["one-ring"].subject.time_us
    assert [part["part"] for part in found["parts"]] == list(PARTS)
    assert sum(part["time_us"] for part in found["parts"]) == pytest.approx(found["time_us"], rel=AGREE)
    assert sum(part["share"] for part in found["parts"]) == pytest.approx(1)
    assert {"bandwidth_GBps", "bytes", "busy", "alike", "of", "kind", "name"} == set(found["links"][0])
    assert found["causes"][0]["command"].startswith("ringsim run --fabric hccs --cards 8")


def test_the_title_is_left_out_if_that_is_asked(explained: dict[str, Explanation]) -> None:
    loud, quiet = page(explained["one-ring"]), page(explained["one-ring"], quiet=True)
    assert loud[-len(quiet) :] == quiet
    assert loud[0].role == "title"
    assert quiet[0].role == "heading"


def test_a_changed_graph_is_kept_and_its_command_asks_for_it(say: Say, tmp_path: Path) -> None:
    save_graph(CASES["slow-nic"]().graph, tmp_path / "slow.json")
    better, out_file = tmp_path / "better.json", tmp_path / "out.json"
    code, out, err = say(
        "--graph", str(tmp_path / "slow.json"), "--fabric", "hccs", "--algorithm", "ring", "--size", "256M",
        "--save-graph", str(better), "--output", str(out_file),
    )  # fmt: skip
    assert (code, err) == (0, "")
    first = json.loads(out_file.read_text())["causes"][0]
    assert first["change"] == "slow NIC ports as fast as most"
    assert str(better) in first["command"]
    assert first["command"] in out
    assert told(first["command"], tmp_path) == first["time_us"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--cards", "8"), "--fabric"),
        (("--fabric", "hccs"), "--cards"),
        (("--fabric", "hccs", "--cards", "8", "--hops", "1"), "hops = 1: at least 2"),
        (("--fabric", "hccs", "--cards", "8", "--save-graph", "x.json"), "give --graph as well"),
        (("--case", "slow-nic", "--save-graph", "x.graphml"), "name a file that ends in .json"),
        (("--case", "one-ring", "--save-graph", "{tmp}/x.json"), "there is no changed graph"),
        (("--case", "one-ring", "--cards", "8"), "--cards: a prepared case says it all"),
        (("--case", "nothing"), "case = nothing: one of oversubscribed, slow-nic, small-message, one-ring"),
        (("--fabric", "hccs", "--cards", "8", "--rings", "99"), "rings = 99"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_exit_code_2(
    args: tuple[str, ...], message: str, say: Say, tmp_path: Path
) -> None:
    code, out, err = say(*(arg.replace("{tmp}", str(tmp_path)) for arg in args))
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("ringsim: error: ")
    assert len(err.splitlines()) == 1


def test_a_bad_file_is_exit_code_3(say: Say, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    code, _, err = say("--graph", str(tmp_path / "bad.json"))
    assert code == 3
    assert "not node-link JSON" in err


def test_a_run_that_is_too_large_is_refused(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 1_000)
    code, out, err = say("--fabric", "hccs", "--cards", "64", "--algorithm", "tree")
    assert (code, out) == (2, "")
    assert "numbers" in err
    assert "fewer cards, rings or chunks show the same" in err


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_every_algorithm_can_be_explained(collective: str) -> None:
    for name, algorithm in COLLECTIVES[collective].items():
        kind = "nvlink4" if algorithm.adds_in_switch else "hccs"
        question = Question(kind, 16, size="64K", collective=collective, algorithm=name)
        subject = subject_of(question)
        assert subject.path.total.sum() * 1e6 == pytest.approx(subject.time_us, rel=AGREE)
        assert answer(pinned(question, subject.case)).best.time_us == subject.time_us
