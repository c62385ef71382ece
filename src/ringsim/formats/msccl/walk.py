"""A walk through an algorithm, step by step: which send meets which receive, in what order all can happen, and what moves.

Chunks are followed by what they are to become, the *unit*: chunk 3 of anybody's input in an all-reduce is unit 3 wherever
it goes, and in an all-gather chunk 0 of gpu 2's input is the unit that lies behind those of gpus 0 and 1. What adds one
unit to another is wrong on any timing.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ringsim.formats.msccl.algo import ADDS, RECEIVES, SENDS, STORES, Algo, MscclError, Step, name
from ringsim.schedule import EVERYONE, Ints
from ringsim.values import ValuesError


class Place(NamedTuple):
    """Where a step stands: gpu, the block's number, and the step's number."""

    gpu: int
    block: int
    step: int

    def __str__(self) -> str:
        return name(*self) if self.step >= 0 else f"gpu {self.gpu}, when all is over"


class Data(NamedTuple):
    """What an algorithm is about, as in `Schedule`; and which unit a chunk of a gpu's input or output is."""

    units: int
    parts: int
    begins: Ints
    ends: Ints
    unit: Callable[[int, str, int], int]


@dataclass(frozen=True, eq=False)
class Walk:
    """All steps of an algorithm, in an order in which they can happen.

    Attributes
    ----------
    algo : Algo
    data : Data
    places : list of Place
    steps : list of Step
    before : list of int
        The step before it in its block, −1 for the first; as an index, as all that follow.
    awaited : list of int
        The step that it says it waits for, −1 for none.
    sender : list of int
        The step that sends what it receives, −1 where it does not.
    units : list of tuple of int
        Units that it moves, one for each chunk; of a ``nop`` none.
    """

    algo: Algo
    data: Data
    places: list[Place]
    steps: list[Step]
    before: list[int]
    awaited: list[int]
    sender: list[int]
    units: list[tuple[int, ...]]


def walk(algo: Algo) -> Walk:
    """Go through all steps once.

    Raises
    ------
    MscclError
        If ringsim has no such collective.
    ValuesError
        If the algorithm never ends, or moves a chunk where another belongs; the message names gpu, block and step.
    """
    data = data_of(algo)
    places, steps, before, awaited = _flat(algo)
    sender = _matched(algo, places, steps)
    order = _order(places, before, awaited, sender)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    new = [*rank.tolist(), -1]  # the last for −1
    before, awaited, sender = ([new[column[i]] for i in order] for column in (before, awaited, sender))
    found = Walk(algo, data, [places[i] for i in order], [steps[i] for i in order], before, awaited, sender, [])
    found.units.extend(_units(found))
    return found


def data_of(algo: Algo) -> Data:
    """What each chunk is."""
    ranks, chunks = len(algo.gpus), algo.chunks
    everyone = np.full(chunks, EVERYONE)
    each, rest = divmod(chunks, ranks)
    if algo.collective == "allreduce":
        return Data(chunks, chunks, everyone, everyone, lambda gpu, buffer, offset: offset)
    if algo.collective not in ("allgather", "reducescatter", "alltoall"):
        raise MscclError(f"coll = {algo.collective!r}: ringsim reads allreduce, allgather, reducescatter and alltoall")
    if rest:
        raise MscclError(
            f"nchunksperloop = {chunks}: {algo.collective} on {ranks} gpus; a multiple of {ranks} would do"
        )
    owner = np.arange(chunks) // each
    if algo.collective == "allgather":
        return Data(chunks, chunks, owner, everyone, lambda gpu, buffer, offset: offset + gpu * each * (buffer == "i"))
    if algo.collective == "reducescatter":
        return Data(chunks, chunks, everyone, owner, lambda gpu, buffer, offset: offset + gpu * each * (buffer == "o"))

    def unit(gpu: int, buffer: str, offset: int) -> int:
        if buffer == "i":
            return gpu * chunks + offset
        source, chunk = divmod(offset, each)
        return source * chunks + gpu * each + chunk

    whole = np.arange(ranks * chunks)
    return Data(ranks * chunks, chunks, whole // chunks, whole % chunks // each, unit)


def _flat(algo: Algo) -> tuple[list[Place], list[Step], list[int], list[int]]:
    """All steps, gpu by gpu and block by block, with the one before each and the one it waits for."""
    places, steps, before, awaited = list[Place](), list[Step](), list[int](), list[int]()
    for number, gpu in enumerate(algo.gpus):
        begins, here = dict[int, int](), len(steps)
        for block in gpu.blocks:
            begins[block.id] = here
            here += len(block.steps)
        for block in gpu.blocks:
            for s, step in enumerate(block.steps):
                places.append(Place(number, block.id, s))
                before.append(len(steps) - 1 if s else -1)
                awaited.append(begins[step.waits_block] + step.waits_step if step.waits_block >= 0 else -1)
                steps.append(step)
    return places, steps, before, awaited


def _matched(algo: Algo, places: list[Place], steps: list[Step]) -> list[int]:
    """For each step that receives the one that sends: the first to the first, the second to the second, on each channel."""
    peers = [{block.id: block for block in gpu.blocks} for gpu in algo.gpus]
    sent, received = (
        defaultdict[tuple[int, int, int], list[int]](list),
        defaultdict[tuple[int, int, int], list[int]](list),
    )
    for i, (place, step) in enumerate(zip(places, steps, strict=True)):
        block = peers[place.gpu][place.block]
        if step.kind in SENDS:
            sent[place.gpu, block.send, block.channel].append(i)
        if step.kind in RECEIVES:
            received[block.receive, place.gpu, block.channel].append(i)
    sender = [-1] * len(steps)
    for key in sorted({*sent, *received}):
        source, target, channel = key
        out, come = sent[key], received[key]
        if len(out) != len(come):
            raise ValuesError(
                f"gpu {source} sends {len(out)} times to gpu {target} on channel {channel}, "
                f"which receives {len(come)} times"
            )
        for one, other in zip(out, come, strict=True):
            sender[other] = one
            if steps[one].size != steps[other].size:
                raise ValuesError(
                    f"{places[one]} sends {steps[one].size} chunks, and {places[other]} receives {steps[other].size}"
                )
    return sender


def _order(places: list[Place], before: list[int], awaited: list[int], sender: list[int]) -> list[int]:
    """An order in which all steps can happen."""
    behind = defaultdict[int, list[int]](list)
    missing = [0] * len(places)
    for column in (before, awaited, sender):
        for i, other in enumerate(column):
            if other >= 0:
                behind[other].append(i)
                missing[i] += 1
    order = [i for i, many in enumerate(missing) if not many]
    for i in order:  # grows while it is gone through
        for other in behind.get(i, ()):
            missing[other] -= 1
            if not missing[other]:
                order.append(other)
    if len(order) < len(places):
        stuck = {i for i, many in enumerate(missing) if many}
        i, seen = min(stuck), dict[int, None]()
        while i not in seen:
            seen[i] = None
            i = next(other for other in (before[i], awaited[i], sender[i]) if other in stuck)
        circle = list(seen)[list(seen).index(i) :]
        low = circle.index(min(circle))
        named = [str(places[i]) for i in (circle[low:] + circle[:low])[:4]]
        raise ValuesError(
            f"{named[0]} never happens: it waits in a circle for {', which waits for '.join(named[1:] or named)}"
        )
    return order


def _units(found: Walk) -> list[tuple[int, ...]]:
    """Units that each step moves, and a complaint where they are put where others belong."""
    unit = found.data.unit
    scratch = dict[tuple[int, int], int]()
    units = list[tuple[int, ...]]()
    for i, (place, step) in enumerate(zip(found.places, found.steps, strict=True)):
        gpu = place.gpu

        def at(buffer: str, offset: int, gpu: int = gpu, place: Place = place) -> int:
            if buffer != "s":
                which = unit(gpu, buffer, offset)
                if not 0 <= which < found.data.units:
                    raise MscclError(
                        f"{place} uses chunk {offset} of {buffer}; by nchunksperloop there are not so many"
                    )
                return which
            if (gpu, offset) not in scratch:
                raise ValuesError(f"{place} reads scratch chunk {offset}, into which nothing has been put")
            return scratch[gpu, offset]

        here = range(step.source_offset, step.source_offset + step.size)
        if step.kind == "nop":
            units.append(())
            continue
        moved = units[found.sender[i]] if found.sender[i] >= 0 else tuple(at(step.source, chunk) for chunk in here)
        units.append(moved)
        if step.kind in RECEIVES and step.kind in ADDS:
            own = tuple(at(step.source, chunk) for chunk in here)
            if own != moved:
                raise ValuesError(f"{place} adds {_chunks(moved)} to {_chunks(own)}")
        if step.kind in STORES:
            if step.target == "s":
                if step.kind == "re" and any(at("s", step.target_offset + k) != moved[k] for k in range(step.size)):
                    raise ValuesError(f"{place} adds {_chunks(moved)} to what is another chunk")
                scratch.update(((gpu, step.target_offset + k), which) for k, which in enumerate(moved))
            else:
                there = tuple(at(step.target, step.target_offset + k) for k in range(step.size))
                if there != moved:
                    raise ValuesError(f"{place} puts {_chunks(moved)} where {_chunks(there)} belongs")
    return units


def _chunks(units: tuple[int, ...]) -> str:
    """Name units for a message."""
    first, last = units[0], units[-1]
    return f"unit {first}" if len(units) == 1 else f"units {first} to {last}"
