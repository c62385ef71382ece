"""A compressed sum on real arrays: the same schedule, but what travels is a code.

How codes become one is the codec's combine rule. *Linear* codes are what the schedule adds. Of a *quantiser* every sum is
encoded again on its way, a code that is only passed on stays as it is, and **whoever sends a code keeps what it stands
for**: otherwise the owner of a sum would go on with other numbers than everybody else. A *sparsifier*'s vectors are added
as they are, which is what merging lists of indices does, or gathered and added in the order of the ranks.
"""

import zlib
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.codecs import Codec, CodecError, Floats, State
from ringsim.schedule import EVERYONE, Ints, Schedule
from ringsim.values.errors import ValuesError
from ringsim.values.events import collect
from ringsim.values.running import Arrived, Block, Moves, Wire, execute, run, vertices
from ringsim.values.waits import Bools

#: Training asks for the same schedule at every step.
_events = lru_cache(maxsize=2)(collect)


class Work(NamedTuple):
    """What ranks did on the way, in elements, shape ``[ranks]`` each.

    Attributes
    ----------
    encoded : array
    added, copied : array
        Decoded on arrival, to be added or to be kept.
    kept : array
        Decoded by who had encoded it, because he goes on with what the others have.
    """

    encoded: Ints
    added: Ints
    copied: Ints
    kept: Ints


def all_reduce(
    schedule: Schedule, vectors: Floats, codec: Codec, state: State, *, units: int | None = None
) -> tuple[Floats, State]:
    """Sum the vectors of all ranks through a codec.

    Parameters
    ----------
    schedule : Schedule
        An all-reduce; but for linear codecs an all-gather will do.
    vectors : float32 array, shape ``[ranks, n]``
    codec : Codec
    state : State
        From ``codec.init(n, messages=ranks)`` or the step before.
    units : int or None
        Run only so many of the schedule's units, which the vectors then fill: a sample of a large sum. None for all.

    Returns
    -------
    sums : float32 array, shape ``[ranks, n]``
        What each rank ends with.
    state : State

    Raises
    ------
    CodecError
        If codes add up and the schedule gathers them.
    """
    cut = Cut(schedule, vectors.shape[1], units)
    gathers = not (schedule.begins == EVERYONE).all()
    if gathers and codec.combine == "linear":
        raise CodecError(f"{codec.spec}: codes that add up are not gathered; run an all-reduce")
    if codec.combine == "linear":
        rounds = codec.sum_rounds(vectors, state)
        payload = next(rounds)
        while True:
            try:
                payload = rounds.send(_sums(cut.of(payload.shape[1]), payload))
            except StopIteration as end:
                return end.value.total, end.value.state
    if gathers or codec.whole or codec.combine == "sparsifier":
        code, state = codec.encode(vectors, state)
        vectors = codec.decode(code)
    if gathers:
        return _gathered(schedule, vectors), state
    if codec.combine == "sparsifier":
        return _sums(cut, vectors), state
    # What a rank has encoded already, as a whole or with what it remembers, is sent as it is.
    sums, _ = _requantised(cut, vectors, codec.hop, state, encoded=codec.whole)
    return sums, replace(state, step=state.step + (not codec.whole))


class Cut(NamedTuple):
    """How vectors of `n` elements fill the first `units` of a schedule, all of them where that is None."""

    schedule: Schedule
    n: int
    units: int | None = None

    @property
    def many(self) -> int:
        """Units that are run."""
        return self.units or self.schedule.units

    def of(self, n: int) -> "Cut":
        """The same for vectors of another length."""
        return self._replace(n=n)

    def run(self, vectors: NDArray[Any], wire: Wire | None) -> NDArray[Any]:
        """Run the schedule on vectors, shape ``[ranks, n]``, the last unit filled up with zeros."""
        room = Block(vertices(self.schedule), range(self.many))
        width = -(-self.n // self.many)
        flat = np.zeros((len(room.vertices), self.many * width), vectors.dtype)
        flat[: len(vectors), : self.n] = vectors
        run(_events(self.schedule), room, flat.reshape(-1, width), wire)
        if isinstance(wire, _Coded):
            wire.settle(flat.reshape(-1, width), self.many)
        return flat[: len(vectors), : self.n]


def _sums(cut: Cut, vectors: NDArray[Any]) -> NDArray[Any]:
    return cut.run(vectors, None)


def _gathered(schedule: Schedule, vectors: Floats) -> Floats:
    """Let everyone have everybody's code, and add in the order of the ranks what has arrived."""
    # Who sent it stands for the code: what does not arrive, or in the wrong place, is seen.
    marks = np.zeros((schedule.ranks, schedule.units, 1), np.int64)
    marks[schedule.begins, np.arange(schedule.units), 0] = schedule.begins + 1
    got = execute(schedule, marks)[:, :, 0] - 1
    if (got != schedule.begins).any():
        rank, unit = (int(i) for i in np.argwhere(got != schedule.begins)[0])
        raise ValuesError(f"rank {rank}, unit {unit}: the code of rank {schedule.begins[unit]} has not arrived")
    total = np.zeros(vectors.shape[1], np.float32)
    for vector in vectors:
        total += vector
    return np.repeat(total[None], schedule.ranks, axis=0)


def work(schedule: Schedule, n: int, codec: Codec) -> Work:
    """Count what ranks encode and decode of vectors of `n` elements that go through a quantiser.

    Parameters
    ----------
    schedule : Schedule
    n : int
    codec : Codec
        A quantiser without memory.
    """
    return _requantised(Cut(schedule, n), np.ones((schedule.ranks, n), np.float32), codec, State(), encoded=False)[1]


def _requantised(cut: Cut, vectors: Floats, codec: Codec, state: State, *, encoded: bool) -> tuple[Floats, Work]:
    """Decode, add and encode wherever something is added; vectors may be what codes stand for already."""
    holders = vertices(cut.schedule)
    wire = _Coded(codec, int(state.rng().integers(2**32)), len(holders) * cut.many)
    wire.coded[: cut.schedule.ranks * cut.many] = encoded
    sums = cut.run(vectors, wire)
    width = -(-cut.n // cut.many)

    def by_rank(units: Ints) -> Ints:
        found: Ints = units.reshape(len(holders), -1).sum(axis=1)[: cut.schedule.ranks] * width
        return found

    return sums, Work(*map(by_rank, (wire.encoded, wire.added, wire.copied, wire.kept)))


class _Coded:
    """Places that hold what a code stands for need not be encoded again.

    Several ranks may have added up the same. They must round it alike even where that is a matter of chance, so there
    chance is drawn from what is rounded.
    """

    def __init__(self, codec: Codec, seed: int, places: int) -> None:
        self.codec, self.state = codec, codec.init(1, seed=seed)
        self.coded: Bools = np.zeros(places, bool)
        self.shared: Bools = np.zeros(places, bool)
        self.encoded, self.added, self.copied, self.kept = np.zeros((4, places), np.int64)

    def send(self, flat: NDArray[Any], moves: Moves) -> NDArray[Any]:
        source = moves.source
        fresh = np.unique(source[~self.coded[source]])
        if len(fresh):
            self.encode(flat, fresh)
            keeps = np.zeros(len(flat), bool)
            keeps[source[~moves.adds | moves.parked]] = True
            self.kept[fresh] += keeps[fresh]
        return flat[source]

    def land(self, flat: NDArray[Any], arrived: Arrived) -> None:
        target, adds = arrived.target, arrived.adds
        self.added += np.bincount(target[adds], minlength=len(self.added))
        self.copied += np.bincount(target[~adds], minlength=len(self.copied))
        self.coded[target[~adds]] = True
        self.coded[target[adds]] = False
        self.shared[target] = arrived.parked

    def settle(self, flat: NDArray[Any], units: int) -> None:
        """Let those who have added a sum up themselves, but have sent it to nobody, go on with its code as well."""
        coded = self.coded.reshape(-1, units)
        left = np.flatnonzero((self.shared.reshape(-1, units) & ~coded & coded.any(axis=0)).ravel())
        if len(left):
            self.encode(flat, left)
            self.kept[left] += 1

    def encode(self, flat: NDArray[Any], places: Ints) -> None:
        """Replace what is there by what its code stands for."""
        alone, shared = places[~self.shared[places]], places[self.shared[places]]
        if len(alone):
            code, self.state = self.codec.encode(flat[alone], self.state)
            flat[alone] = self.codec.decode(code)
        if len(shared):
            values, which = np.unique(flat[shared], axis=0, return_inverse=True)
            for value in values:
                code, _ = self.codec.encode(value[None], State(seed=zlib.crc32(value.tobytes(), self.state.seed)))
                value[:] = self.codec.decode(code)[0]
            flat[shared] = values[which.ravel()]
        self.coded[places] = True
        self.encoded[places] += 1
