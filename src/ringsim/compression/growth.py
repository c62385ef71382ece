"""Sums of sparse vectors grow from step to step: what a firing carries depends on how many ranks are in it already.

How fast is not a matter of assumption: large elements tend to be large for several ranks, so lists of indices overlap.
The codec is run on sampled gradients and the union of what it keeps is counted.
"""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.codecs import Codec, State
from ringsim.gradients import sample
from ringsim.program import Program
from ringsim.schedule import Ints, Schedule, dependencies
from ringsim.values.events import collect
from ringsim.values.running import Arrived, Block, Moves, run, vertices

Floats = NDArray[np.float64]

#: Elements that are sampled, all ranks together, and the fewest of one.
SAMPLED, FEWEST = 1 << 24, 1 << 13

#: A step long after whatever a codec does differently in the first ones.
SETTLED = 10**6

#: Ranks whose gradients are encoded at once.
TOGETHER = 64


def settled(state: State) -> State:
    """The same long after the first steps."""
    return replace(state, step=SETTLED, inner=tuple(map(settled, state.inner)))


@lru_cache(maxsize=16)
def unions(codec: Codec, ranks: int) -> tuple[float, ...]:
    """Elements that the codes of the first 1, 2, … ranks keep together, as multiples of those of one.

    Parameters
    ----------
    codec : Codec
        A sparsifier.
    ranks : int
    """
    n = max(FEWEST, SAMPLED // max(ranks, 16))
    gradients = sample(n, ranks, 0)
    kept, seen, found = 0, np.zeros(n, bool), list[int]()
    for begin in range(0, ranks, TOGETHER):
        some = gradients[begin : begin + TOGETHER]
        code, _ = codec.encode(some, settled(codec.init(n, messages=len(some))))
        keeps = codec.decode(code) != 0
        kept += int(keeps.sum())
        for one in keeps:
            seen |= one
            found.append(int(seen.sum()))
    # Where nothing is large enough to be kept, sums do not grow.
    return tuple(union / (kept / ranks) if kept else 1.0 for union in found)


class Growth(NamedTuple):
    """How much longer codes are than those of one rank.

    Attributes
    ----------
    begin : int array, shape ``[rows]``
        Where the firings of each of a schedule's rows begin in `times`.
    times : float array
        For each firing; then for each of them what is read and written where it is merged into what is there: both lists
        and their union; then 1, and that of a sum over all ranks.
    """

    begin: Ints
    times: Floats

    @property
    def merging(self) -> Ints:
        """Where it says what merging takes, as `begin`."""
        return self.begin + (len(self.times) - 2) // 2

    @property
    def one(self) -> int:
        """Where it says how long the code of one rank is."""
        return len(self.times) - 2

    @property
    def all(self) -> int:
        """Where it says how long a sum over all ranks is."""
        return len(self.times) - 1


def grown(schedule: Schedule, codec: Codec) -> Growth:
    """Count whose data each firing carries, and look up how long a union of so many is."""
    known = np.array(unions(codec, schedule.ranks))
    sent, there, together = (
        np.interp(of, np.arange(len(known) + 1), [0.0, *known]) for of in _contributors(schedule)
    )  # fmt: skip
    begin = np.cumsum(schedule.count) - schedule.count
    return Growth(begin, np.concatenate([sent, sent + there + together, [1.0, known[-1]]]))


@lru_cache(maxsize=4)
def _contributors(schedule: Schedule) -> Floats:
    """How many ranks' data each firing carries, meets and makes together with it, on average over its units.

    Returns
    -------
    array, shape ``[3, transfers]``
        Of what overwrites, only the first.
    """
    events = collect(schedule)
    room = Block(vertices(schedule), range(schedule.units))
    counts = np.zeros((len(room.vertices) * schedule.units, 1), np.int32)
    counts[: schedule.ranks * schedule.units] = 1
    begin = np.cumsum(schedule.count) - schedule.count
    wire = _Count(begin[events.row] + events.firing, schedule.transfers)
    run(events, room, counts, wire)
    return wire.total / np.maximum(wire.units, 1)


class _Count:
    """Takes note of what leaves with each firing, and of what it meets.

    Parameters
    ----------
    firing : int array, shape ``[events]``
        Number of each event's firing among all.
    firings : int
    """

    def __init__(self, firing: Ints, firings: int) -> None:
        self.firing = firing
        self.units, self.total = np.zeros(firings), np.zeros((3, firings))

    def send(self, flat: NDArray[np.int32], moves: Moves) -> NDArray[np.int32]:
        sent: NDArray[np.int32] = flat[moves.source]
        firing = self.firing[moves.event]
        np.add.at(self.units, firing, 1)
        np.add.at(self.total[0], firing, sent[:, 0])
        return sent

    def land(self, flat: NDArray[np.int32], arrived: Arrived) -> None:
        # Several that come to one place are merged one after the other: each meets those before it.
        adds = np.flatnonzero(arrived.adds)
        order = adds[np.lexsort((arrived.turn[adds], arrived.target[adds]))]
        target, sent = arrived.target[order], arrived.sent[order, 0].astype(np.int64)
        ends = np.flatnonzero(np.diff(target, append=-1))
        reached = np.cumsum(sent)
        behind = np.repeat(reached[ends], np.diff(ends, prepend=-1)) - reached
        together = flat[target, 0] - behind
        firing = self.firing[arrived.event[order]]
        np.add.at(self.total[1], firing, together - sent)
        np.add.at(self.total[2], firing, together)


def varied(program: Program, begin: Ints, times: Floats, fixed: Floats, least: Floats) -> Program:
    """Let firings of a row differ: a row becomes as many as it has stretches of equal firings.

    Parameters
    ----------
    program : Program
        Without the gap between messages.
    begin : int array, shape ``[rows]``
        Where the firings of each row begin in `times`.
    times : float array
        What the bytes of a firing are to be multiplied by.
    fixed : float array, shape ``[rows]``
        Bytes of each firing that stay as they are.
    least : float array, shape ``[rows]``
        Bytes that pass in the gap between messages, which no firing falls below.
    """
    row = np.repeat(np.arange(program.rows), program.count)
    firing = np.arange(len(row)) - np.repeat(np.cumsum(program.count) - program.count, program.count)
    factor = times[begin[row] + firing]
    starts = (firing == 0) | (np.diff(factor, prepend=-1.0) != 0)
    at = np.flatnonzero(starts)
    of, first, count = row[at], firing[at], np.diff(np.append(at, len(row)))
    pieces = np.cumsum(np.bincount(of, minlength=program.rows))
    last = pieces - 1
    after = np.where(first > 0, np.arange(len(at)) - 1, np.where(program.after[of] >= 0, last[program.after[of]], -1))

    bytes, padding, latency = _sizes(program, of, factor[at], fixed[of], least[of])
    hops = np.diff(program.route_offsets)[of]
    offsets = np.concatenate([[0], np.cumsum(hops)])
    index = np.repeat(program.route_offsets[of] - offsets[:-1], hops) + np.arange(offsets[-1])
    dep_offsets, dep_row, dep_lag = _waits(program, of, first, count, pieces, at)
    closing = None
    if program.closing is not None:
        closing = np.zeros(len(at))
        closing[last] = program.closing * factor[at[last]]
    return Program(
        bandwidth=program.bandwidth, route_offsets=offsets, route_links=program.route_links[index],
        bytes=bytes, count=count, reduces=np.clip(program.reduces[of] - first, 0, count), latency=latency,
        work=program.work[of] * factor[at], overhead=program.overhead[of], cap=program.cap[of], after=after,
        dep_offsets=dep_offsets, dep_row=dep_row, dep_lag=dep_lag,
        startup=program.startup, padding=padding, memory=program.memory,
        closing=closing,
    )  # fmt: skip


def _sizes(program: Program, of: Ints, factor: Floats, fixed: Floats, least: Floats) -> tuple[Floats, Floats, Floats]:
    """Bytes of pieces of rows, the part of them that only fills the gap between messages, and their latencies."""
    assert program.padding is not None
    works = program.padding[of] > 0  # what passes through memory leaves nobody
    sent = fixed + (program.bytes[of] - fixed) * factor
    bytes = np.maximum(sent, least)
    filled = bytes - sent
    latency = np.maximum(0.0, program.latency[of] - filled / program.top_rate()[of])
    return bytes, np.where(works, bytes, filled), latency


def _waits(program: Program, of: Ints, first: Ints, count: Ints, pieces: Ints, at: Ints) -> tuple[Ints, Ints, Ints]:
    """Dependencies of pieces: on every piece of a row that theirs overlap with."""
    many = np.diff(program.dep_offsets)[of]
    piece = np.repeat(np.arange(len(of)), many)
    dep = np.repeat(program.dep_offsets[of], many) + np.arange(len(piece)) - np.repeat(np.cumsum(many) - many, many)
    on, lag = program.dep_row[dep], program.dep_lag[dep]
    top = program.count[on] - 1
    low = np.clip(first[piece] - lag, 0, top)
    high = np.minimum(first[piece] + count[piece] - 1 - lag, top)
    real = high >= 0
    piece, on, lag, low, high = (a[real] for a in (piece, on, lag, low, high))
    # Firings of all rows are numbered through, so the piece that holds one is found by bisection.
    origin = np.cumsum(program.count) - program.count
    one = np.searchsorted(at, origin[on] + low, "right") - 1
    two = np.searchsorted(at, origin[on] + high, "right") - 1
    spans = two - one + 1
    which = np.repeat(np.arange(len(one)), spans)
    other = one[which] + np.arange(len(which)) - np.repeat(np.cumsum(spans) - spans, spans)
    shifted = lag[which] - first[piece[which]] + first[other]
    return dependencies(len(of), piece[which], other, shifted)
