"""What happens when an MSCCL algorithm runs, step by step, as a schedule that `ringsim.values` can prove.

A send and its receive are two events: the sender reads, and some time later the receiver, when its block gets there,
adds or stores. Between them the message lies in the connection's buffer. A schedule can say that with vertices that are
no ranks:

    gpu —s→ buffer (parked until the receiving step begins) —→ gpu

A step that adds reads first and stores later, so two blocks that add to one chunk at once lose a sum; that is found.
Scratch has vertices of its own, and so has the output where it is not the input. Slots of buffers are slots of connections.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ringsim.formats.msccl.algo import ADDS, RECEIVES, SENDS, STORES, Algo, MscclError
from ringsim.formats.msccl.rows import Rows, schedule
from ringsim.formats.msccl.walk import Place, Walk, walk
from ringsim.schedule import EVERYONE, Schedule
from ringsim.values import ValuesError


@dataclass(frozen=True, eq=False)
class Story:
    """An algorithm as a schedule of everything that happens.

    Attributes
    ----------
    schedule : Schedule
        Ranks, and behind them buffers; each row fires once.
    where : list of Place
        The step that each row belongs to.
    vertices : list of str
        What the vertices behind the ranks are.
    """

    schedule: Schedule
    where: list[Place]
    vertices: list[str]

    def explain(self, text: str) -> str:
        """Say what `ringsim.values` found wrong in words of gpus, blocks and steps."""
        ranks = self.schedule.ranks
        text = re.sub(r"row (\d+) \([^)]*\)( firing 0)?", lambda found: str(self.where[int(found[1])]), text)
        text = re.sub(r"switch (\d+)", lambda found: self.vertices[int(found[1]) - ranks], text)
        return re.sub(r"\brank (\d+)", r"gpu \1", text)


def stories(algo: Algo) -> list[Story]:
    """What happens in place, out of place, or both, as the algorithm may be used.

    Raises
    ------
    MscclError
        If ringsim cannot say it.
    ValuesError
        If it never ends, or moves a chunk where another belongs.
    """
    found = walk(algo)
    modes = [apart for apart, may in ((False, algo.in_place), (True, algo.out_of_place)) if may]
    return [_tell(found, apart) for apart in modes or [algo.collective != "allreduce"]]


def _tell(found: Walk, apart: bool) -> Story:
    """List everything that happens; `apart` is whether output and input are."""
    data = found.data
    if found.algo.collective == "alltoall" and not apart:
        raise MscclError(
            "an all-to-all in place puts chunks where others have yet to be sent; ringsim proves it out of place"
        )
    teller = _Teller(found, apart)
    over = list[list[int]]()  # rows by which each step is over
    for i, step in enumerate(found.steps):
        before = sorted({row for other in (found.before[i], found.awaited[i]) if other >= 0 for row in over[other]})
        over.append(before if step.kind == "nop" else teller.step(i, before))
    if apart:
        _hand_over(found, teller.rows, over)
    return Story(schedule(teller.rows, data), teller.rows.where, teller.rows.names)


class _Teller:
    """Says what each step does, in rows."""

    def __init__(self, found: Walk, apart: bool) -> None:
        self.found, self.rows = found, Rows(len(found.algo.gpus), found.data.units)
        self._blocks = [{block.id: block for block in gpu.blocks} for gpu in found.algo.gpus]
        self._spots = _Spots(found, self.rows, apart)
        self._sent = dict[int, list[int]]()

    def step(self, i: int, before: list[int]) -> list[int]:
        """Add the rows of a step that waits for those `before`; return those by which it is over."""
        step, place, units = self.found.steps[i], self.found.places[i], self.found.units[i]
        block, rows, register = self._blocks[place.gpu][place.block], self.rows, -1
        own, there, after = self._spots.source(i), self._spots.target(i), before
        if step.kind in RECEIVES:
            register = self._buffer(block.receive, place.gpu, block.channel)
            after = rows.join(place, register, [*self._sent[self.found.sender[i]], *before])
        elif step.kind == "re":
            register = rows.vertex(f"what tb {block.id} of gpu {place.gpu} adds", "adds", place.gpu, block.id)
            after = self._move(place, _ends(own, register, units), after)
            own = there
        if step.kind in ADDS:
            after = self._move(place, _ends(own, register, units), after, adds=True)
        come = [register] * len(units)
        if step.kind in STORES:
            origin = own if step.kind == "cpy" else come
            after = self._move(
                place, [end for end in zip(origin, there, units, strict=True) if end[0] != end[1]], after
            )
        if step.kind not in SENDS:
            # Whoever waits for it must not keep a slot: only what is sent takes one.
            return rows.gate(place, after)
        origin = own if step.kind == "s" else there if step.kind in STORES else come
        # One vertex from which all leaves, so that it leaves in order and takes the connection's slots.
        hand = rows.vertex(f"what tb {block.id} of gpu {place.gpu} sends", "sends", place.gpu, block.id)
        after = self._move(place, _ends(origin, hand, units), after)
        buffer = self._buffer(place.gpu, block.send, block.channel)
        self._sent[i] = rows.move(place, _ends([hand] * len(units), buffer, units), after, parked=True)
        return self._sent[i]

    def _buffer(self, source: int, target: int, channel: int) -> int:
        name = f"what gpu {source} sends gpu {target} on channel {channel}"
        return self.rows.vertex(name, "sent", source, target, channel)

    def _move(
        self, place: Place, ends: Iterable[tuple[int, int, int]], after: list[int], *, adds: bool = False
    ) -> list[int]:  # fmt: skip
        """Add rows, and where they are several a gate behind them; where there are none it is what was before."""
        found = self.rows.move(place, ends, after, adds=adds)
        return self.rows.gate(place, found) if len(found) > 1 else found or after


def _ends(sources: Sequence[int], target: int, units: Sequence[int]) -> Iterable[tuple[int, int, int]]:
    return ((source, target, unit) for source, unit in zip(sources, units, strict=True))


class _Spots:
    """Vertices in which the chunks of buffers are."""

    def __init__(self, found: Walk, rows: Rows, apart: bool) -> None:
        self.found, self.rows, self.apart = found, rows, apart
        self._scratch = dict[tuple[int, int], tuple[int, int]]()  # which unit, and the how many-th chunk with that unit
        self._many = dict[tuple[int, int], int]()
        self._written = set[tuple[int, int]]()

    def source(self, i: int) -> list[int]:
        """What a step reads, for each chunk."""
        step, place = self.found.steps[i], self.found.places[i]
        if step.kind in ("r", "rcs"):
            return []
        if step.source == "o" and self.apart:
            for chunk in range(step.source_offset, step.source_offset + step.size):
                self._read(place, chunk)
        return self._at(i, step.source, step.source_offset)

    def target(self, i: int) -> list[int]:
        """What a step writes, for each chunk."""
        step, place = self.found.steps[i], self.found.places[i]
        if step.kind not in STORES:
            return []
        chunks = range(step.target_offset, step.target_offset + step.size)
        if step.target == "o" and self.apart:
            for chunk in chunks:
                if step.kind == "re":
                    self._read(place, chunk)
                self._written.add((place.gpu, chunk))
        if step.target == "s":
            for chunk, unit in zip(chunks, self.found.units[i], strict=True):
                self._put(place, chunk, unit)
        return self._at(i, step.target, step.target_offset)

    def _read(self, place: Place, chunk: int) -> None:
        if (place.gpu, chunk) not in self._written:
            raise ValuesError(f"{place} reads chunk {chunk} of an output into which nothing has been put")

    def _put(self, place: Place, chunk: int, unit: int) -> None:
        key = place.gpu, chunk
        if key not in self._scratch:
            nth = self._many.get((place.gpu, unit), 0)
            self._many[place.gpu, unit] = nth + 1
            self._scratch[key] = unit, nth
        elif self._scratch[key][0] != unit:
            raise MscclError(
                f"{place} puts unit {unit} into scratch chunk {chunk}, where unit {self._scratch[key][0]} was before; "
                "ringsim proves files that use each scratch chunk for one"
            )

    def _at(self, i: int, buffer: str, offset: int) -> list[int]:
        place, step = self.found.places[i], self.found.steps[i]
        if buffer == "s":
            return [
                self.rows.vertex(
                    f"scratch of gpu {place.gpu}", "scratch", place.gpu, self._scratch[place.gpu, chunk][1]
                )
                for chunk in range(offset, offset + step.size)
            ]
        if buffer == "o" and self.apart:
            return [self.rows.vertex(f"output of gpu {place.gpu}", "output", place.gpu)] * step.size
        return [place.gpu] * step.size


def _hand_over(found: Walk, rows: Rows, over: list[list[int]]) -> None:
    """Take the outputs to where results are looked for, once a gpu is through."""
    data, last = found.data, dict[int, set[int]]()
    for place, ends in zip(found.places, over, strict=True):
        last.setdefault(place.gpu, set()).update(ends)
    for gpu, before in last.items():
        output = rows.vertex(f"output of gpu {gpu}", "output", gpu)
        units = np.flatnonzero((data.ends == gpu) | (data.ends == EVERYONE)).tolist()
        through = rows.join(Place(gpu, -1, -1), gpu, sorted(before))
        rows.move(Place(gpu, -1, -1), _ends([output] * len(units), gpu, units), through)
