"""A compressed all-reduce as a program: which schedules a codec permits, what they carry, and who encodes when.

An all-reduce with compression is a different collective, not a smaller number (docs/design.md).
"""

from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np

from ringsim.catalogue import GATHER
from ringsim.codecs import FREE, Codec, CodecError, Shape, code_bytes, elements
from ringsim.collectives import COLLECTIVES, Algorithm
from ringsim.compression.growth import grown
from ringsim.compression.rounds import behind
from ringsim.compression.rows import Rows
from ringsim.compression.work import Sizes, Worker, gathered, linear, merged, quantiser
from ringsim.fabric import Protocol
from ringsim.program import Program, Routes, price
from ringsim.schedule import EVERYONE, Schedule
from ringsim.topology import Topology

__all__ = ["compressed", "permitted", "refusal"]

#: Firings of a sum that grows from step to step, each of which becomes a row.
MOST_GROWING = 4_000_000


def refusal(codec: Codec, algorithm: Algorithm, name: str) -> str:
    """Say why a codec's codes cannot ride an algorithm, and what could; nothing where they can."""
    if name.startswith(GATHER):
        if codec.combine == "linear":
            return f"codes of {codec.spec} add up, so nothing needs to be gathered; leave {GATHER!r} away"
        return ""
    if algorithm.adds_in_switch and codec.combine != "linear":
        return (
            f"a switch adds numbers and cannot decode {codec.spec}, a {codec.combine}; fp16, bf16, randomk:0.01 and "
            "powersgd:4 are sums, and any algorithm that adds in cards will do"
        )
    if codec.combine == "sparsifier" and not codec.merges:
        return (
            f"values of {codec.spec} are rounded, and their sums would have to be rounded again on the way; "
            f"{GATHER}ring and the like gather them, and topk alone can be merged"
        )
    return ""


def permitted(codec: Codec) -> tuple[str, ...]:
    """Algorithms, by name, that codes of a codec can ride; those that add come first unless nothing can be added."""
    adding = tuple(name for name, algorithm in COLLECTIVES["all-reduce"].items() if not refusal(codec, algorithm, name))
    if codec.combine == "linear":
        return adding
    gathering = tuple(GATHER + name for name in COLLECTIVES["all-gather"])
    return (*gathering, *adding) if codec.combine == "sparsifier" else (*adding, *gathering)


def compressed(
    schedule: Schedule,
    topology: Topology,
    protocol: Protocol,
    codec: Codec,
    shapes: tuple[Shape, ...],
    raw: float,
    *,
    allotted: bool = True,
    slices: int = 1,
    routes: Routes | None = None,
) -> Program:
    """Price a schedule whose rows carry codes, with the work of encoding and decoding on the cards.

    Parameters
    ----------
    schedule : Schedule
        An all-reduce, or an all-gather of codes.
    topology : Topology
    protocol : Protocol
    codec : Codec
    shapes : tuple of Shape
        Tensors that the vector is made of; each has a code of its own.
    raw : float
        Bytes of the vector.
    allotted, slices, routes
        As for `price`.

    Raises
    ------
    CodecError
        If the sum of a sparsifier's codes grows in too many steps.
    """
    if codec.cost.decode != FREE:
        # What a channel delivers is copied out of its buffer by whoever decodes it.
        protocol = replace(protocol, copy_bandwidth=inf)
    rounds = code_bytes(codec, shapes, round(raw / sum(map(elements, shapes))))
    code = float(sum(rounds))
    gathers = not (schedule.begins == EVERYONE).all()
    ranks = schedule.ranks

    def priced(payload: float, protocol: Protocol = protocol) -> Program:
        return price(schedule, topology, protocol, payload, allotted=allotted, slices=slices, routes=routes)

    memory, one = topology.fabric.card.memory_bandwidth, Sizes(raw, code)
    if gathers:
        rows = Rows(priced(ranks * code), ranks, memory)
        gathered(Worker(rows, schedule, Sizes(ranks * raw, ranks * code)), codec, one)
        return rows.finished()
    if codec.combine == "sparsifier":
        _check_growing(schedule, codec)
        spaced, program = priced(code), priced(code, replace(protocol, message_gap=0.0))
        least = np.zeros(program.rows) if spaced.padding is None else np.where(spaced.padding > 0, spaced.bytes, 0.0)
        return merged(Worker(Rows(program, ranks, memory), schedule, one), codec, grown(schedule, codec), least)
    if len(rounds) > 1:
        return _in_rounds(schedule, [priced(payload) for payload in rounds], codec, one, memory)
    rows = Rows(priced(code), ranks, memory)
    (linear if codec.combine == "linear" else quantiser)(Worker(rows, schedule, one), codec)
    return rows.finished()


def _in_rounds(schedule: Schedule, programs: list[Program], codec: Codec, sizes: Sizes, memory: float) -> Program:
    """One call after the other: each begins at a rank when all of the one before has come to him."""
    whole = programs[0]
    for program in programs[1:]:
        whole = behind(whole, program)
    rows, cost = Rows(whole, schedule.ranks, memory), codec.cost
    workers = [Worker(rows, schedule, sizes, base=i * schedule.rows) for i in range(len(programs))]
    workers[0].before(cost.encode, sizes)
    for one, two in pairwise(workers):
        # A call of its own: it starts up again.
        between = two.before(cost.between, sizes, latency=whole.startup)
        one.after(between, np.arange(schedule.ranks))
    workers[-1].at_the_end(cost.decode, sizes)
    return rows.finished()


def _check_growing(schedule: Schedule, codec: Codec) -> None:
    """Refuse a sum that grows in more steps than there can be rows."""
    if schedule.transfers > MOST_GROWING:
        raise CodecError(
            f"{codec.spec}: its sum grows in {schedule.transfers:,} steps, more than {MOST_GROWING:,}; "
            f"{GATHER}ring gathers codes instead, and fewer rings, chunks or cards make fewer steps"
        )
