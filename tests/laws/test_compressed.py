"""Laws over every codec × algorithm: ranks agree bit for bit, both engines agree, and cards work as much as they must.

How much a card encodes and decodes is found twice: from the rows of a schedule, for its time, and by running the schedule
on arrays and counting.
"""

from dataclasses import replace
from functools import lru_cache
from math import inf

import numpy as np
import pytest

from laws.clusters import cluster
from ringsim import fabric, topology
from ringsim.catalogue import find
from ringsim.codecs import Codec, Cost, Passes, parse
from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.compression import compressed, permitted
from ringsim.engines import run
from ringsim.gradients import sample
from ringsim.program import Program, price
from ringsim.schedule import Schedule
from ringsim.topology import Topology
from ringsim.values.coded import all_reduce, work

AGREE = 1e-9

#: Rows up to which the reference engine is asked: much meets in memories.
FEW_ROWS = 1_000

SPECS = (
    "identity", "fp16", "bf16", "fp8", "fp8:e5m2", "int8", "int4", "qsgd:4", "terngrad", "sign", "topk:0.05", "threshold:2",
    "randomk:0.1", "dgc:0.05", "powersgd:2", "chain(topk:0.05,int8)", "chain(powersgd:2,fp16)", "error_feedback(int8)",
    "error_feedback(topk:0.05)", "error_feedback(sign)", "error_feedback(powersgd:2)",
)  # fmt: skip
CARDS = (*range(2, 18), 64)
USUAL = ("ring", "tree", "hierarchical-ring", "hierarchical-two-shot", "hierarchical-one-shot")


@lru_cache(maxsize=64)
def laid(cards: int, name: str, chunks: int = 1) -> Schedule | None:
    where = topology.build(fabric.load("hccs"), cards, domain=min(4, cards))
    try:
        return find("all-reduce", name).build(where, 1, chunks)
    except CollectiveError:
        return None


def summed(codec: Codec, schedule: Schedule, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    vectors = sample(n, schedule.ranks, seed)
    state = codec.init(n, messages=schedule.ranks, seed=seed)
    before = vectors.copy()
    sums, _ = all_reduce(schedule, vectors, codec, state)
    assert (vectors == before).all(), "what ranks hold is theirs"
    return sums, vectors.sum(axis=0, dtype=np.float64)


@pytest.mark.parametrize("cards", CARDS)
@pytest.mark.parametrize("spec", SPECS)
def test_ranks_end_with_the_same_bits(spec: str, cards: int) -> None:
    codec = parse(spec)
    gathers = () if codec.combine == "linear" else ("gather-ring", "gather-direct")
    for name in (*USUAL, *gathers):
        schedule = laid(cards, name)
        if schedule is None:
            continue
        sums, exact = summed(codec, schedule, 300)
        assert sums.shape == (cards, 300)
        assert (sums == sums[0]).all(), f"{name}: ranks disagree"
        # And it is the sum that they agree on, as far as the codec goes.
        likeness = sums[0] @ exact / np.linalg.norm(sums[0]) / np.linalg.norm(exact)
        assert likeness > 0.05, name
        error = np.linalg.norm(sums[0] - exact) / np.linalg.norm(exact)
        if spec in ("identity", "fp16", "bf16", "int8"):
            assert error < 0.1, name
        if spec != "identity":
            assert error > 1e-5, f"{name}: nothing was encoded"


@pytest.mark.parametrize("cards", [2, 3, 6, 8, 12, 16])
@pytest.mark.parametrize("spec", ["fp16", "int8", "qsgd:4", "error_feedback(sign)", "topk:0.05", "powersgd:2"])
def test_ranks_agree_in_every_algorithm(spec: str, cards: int) -> None:
    codec = parse(spec)
    for name in permitted(codec):
        schedule = laid(cards, name, 2)
        if schedule is not None:
            sums, _ = summed(codec, schedule, 160, seed=cards)
            assert (sums == sums[0]).all(), f"{name}: ranks disagree"


# -- time --------------------------------------------------------------------------------------------------------


def programs(where: Topology, codec: Codec, size: float = 1e5) -> list[tuple[str, Program]]:
    found = []
    for name in permitted(codec):
        how = find("all-reduce", name)
        try:
            schedule = how.build(where, how.channels(where), 2)
        except CollectiveError:
            continue
        protocol = where.fabric.protocol(list(where.fabric.protocols)[-1], name.removeprefix("gather-"))
        found.append(
            (name, compressed(schedule, where, protocol, codec, (int(size / 4),), size, allotted=how.allotted))
        )
    return found


@pytest.mark.parametrize("cards", [2, 3, 5, 8, 16])
@pytest.mark.parametrize("kind", ["mesh", "switch", "narrow", "graph"])
@pytest.mark.parametrize("spec", ["fp16", "int8", "error_feedback(int8)", "topk:0.05", "powersgd:4"])
def test_both_engines_agree(kind: str, cards: int, spec: str) -> None:
    for name, program in programs(cluster(kind, cards), parse(spec)):
        jumped, plain = run(program), run(program, jump=False)
        assert plain.simulated == program.transfers
        expected = run(program, "reference") if program.rows <= FEW_ROWS else plain
        for trace in (jumped, plain):
            np.testing.assert_allclose(
                trace.finish, expected.finish, rtol=AGREE, atol=AGREE * expected.time, err_msg=name
            )


@pytest.mark.parametrize("cards", [2, 8, 24])
@pytest.mark.parametrize("kind", ["mesh", "switch", "narrow"])
def test_a_codec_that_changes_nothing_costs_nothing(kind: str, cards: int) -> None:
    where, codec = cluster(kind, cards), parse("identity")
    for name, program in programs(where, codec):
        how = find("all-reduce", name)
        schedule = how.build(where, how.channels(where), 2)
        # Without a codec the last chunk is copied out of its buffer; with one that is decoding, which costs nothing here.
        protocol = replace(where.fabric.protocol(list(where.fabric.protocols)[-1], name), copy_bandwidth=inf)
        plain = price(schedule, where, protocol, 1e5, allotted=how.allotted)
        assert run(program).time == run(plain).time, name
        assert (
            run(program, "reference" if program.rows <= FEW_ROWS else "compiled").time
            == run(plain, "reference" if program.rows <= FEW_ROWS else "compiled").time
        )


class Counting(Codec):
    """A quantiser whose only cost is one pass over the vector in one place: the load on memories counts how often."""

    spec, combine, cost = "counting", "quantiser", Cost()

    def __init__(self, **passes: Passes) -> None:
        self.cost = Cost(**passes)

    def encode(self, x, state):  # type: ignore[no-untyped-def]
        return parse("int8").encode(x, state)

    def decode(self, code):  # type: ignore[no-untyped-def]
        return parse("int8").decode(code)

    def wire_bytes(self, shape) -> int:  # type: ignore[no-untyped-def]
        return 100


def through_memory(schedule: Schedule, where: Topology, codec: Codec) -> np.ndarray:
    """Vectors that pass through each card's memory."""
    protocol = where.fabric.protocol(next(iter(where.fabric.protocols)))
    program = compressed(schedule, where, protocol, codec, (25,), 100.0)
    return program.load()[-schedule.ranks :] / 100


@pytest.mark.parametrize("cards", [2, 3, 4, 6, 8, 12, 16, 20])
@pytest.mark.parametrize("name", [n for n in COLLECTIVES["all-reduce"] if n != "in-switch"])
def test_cards_work_as_much_as_the_arrays_say(name: str, cards: int) -> None:
    where = topology.build(fabric.load("hccs"), cards, domain=min(4, cards))
    try:
        schedule = find("all-reduce", name).build(where, 1, 2)
    except CollectiveError:
        return
    n = schedule.units
    counted = work(schedule, n, parse("int8"))
    one = Passes(raw=1.0)
    assert through_memory(schedule, where, Counting(add=one)) == pytest.approx(counted.added / n)
    encoded = through_memory(schedule, where, Counting(encode=one)) - counted.encoded / n
    decoded = through_memory(schedule, where, Counting(decode=one)) - (counted.copied + counted.kept) / n
    # Who sends the same sum along two ways encodes it for each (docs/design.md): a part of the vector twice.
    nodes = where.nodes
    twice = (name == "pipeline" and nodes > 1) or (name == "hierarchical-recursive-doubling" and nodes & (nodes - 1))
    part = 1 / where.group if twice else 0.0
    for more in (encoded, decoded):
        assert (more >= -1e-9).all()
        assert (more <= part + 1e-9).all()


@pytest.mark.parametrize("spec", ["qsgd:7", "terngrad", "chain(topk:0.2,qsgd:7)"])
@pytest.mark.parametrize("name", ["ring", "hierarchical-one-shot", "gather-ring"])
def test_chance_is_new_in_every_step(spec: str, name: str) -> None:
    """Sums that are rounded at random are right on average: over many steps the error shrinks as their root does."""
    codec, schedule = parse(spec), laid(8, name)
    assert schedule is not None
    vectors = np.repeat(sample(512, 1, 3), 8, axis=0)
    state = codec.init(512, messages=8, seed=1)
    found = []
    for _ in range(64):
        sums, state = all_reduce(schedule, vectors, codec, state)
        found.append(sums[0].astype(np.float64))
    # What top-k leaves out is no matter of chance, so the mean of very many stands for what is right.
    spread = np.linalg.norm(np.std(found, axis=0))
    halves = np.linalg.norm(np.mean(found[:32], axis=0) - np.mean(found[32:], axis=0))
    assert spread > 0
    assert halves < 0.5 * spread


@pytest.mark.parametrize("spec", ["int8", "sign", "qsgd:7", "terngrad"])
def test_error_feedback_loses_nothing_where_every_code_is_sent_once(spec: str) -> None:
    """In one shot what was sent and what ranks remember is what they wanted."""
    codec = parse(f"error_feedback({spec})")
    where = topology.build(fabric.load("hccs"), 8)
    schedule = find("all-reduce", "one-shot").build(where, 1, 1)
    vectors = sample(512, 8, 0)
    sums, state = all_reduce(schedule, vectors, codec, codec.init(512, messages=8))
    remembered = state.kept["residual"].sum(axis=0, dtype=np.float64)
    wanted = vectors.sum(axis=0, dtype=np.float64)
    assert np.linalg.norm(sums[0] + remembered - wanted) < 1e-5 * np.linalg.norm(wanted)


def test_owners_in_switches_decode_a_vector_once() -> None:
    for name, cards, domain in (("nvlink4", 8, None), ("nvlink4", 16, None), ("nvlink5", 12, 4)):
        where = topology.build(fabric.load(name), cards, domain=domain)
        schedule = find("all-reduce", "in-switch").build(where, 1, 2)
        protocol = where.fabric.protocol("Simple", "in-switch")
        codec = parse("fp16")
        program = compressed(schedule, where, protocol, codec, (1000,), 4000.0)
        assert program.load()[-cards:] == pytest.approx(4000.0 + 2000.0 + 2000.0 + 4000.0), name
