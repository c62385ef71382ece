"""Run a schedule on arrays, wave after wave, and count who ends with whose contribution.

Up to `MOST_COUNTED` ranks every contribution is counted in every unit. Beyond, two random 64-bit fingerprints find the
units that are worth counting: a wrong sum has the right two with a chance of 2^-128. Units never meet, so whatever does
not fit into memory is done in blocks of units.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.schedule import EVERYONE, Ints, Schedule
from ringsim.values.blame import Entry, blame
from ringsim.values.errors import ValuesError
from ringsim.values.events import Events, collect
from ringsim.values.waits import Bools

POISON = 1 << 20  # what a rank holds where it contributes nothing: whoever adds to it is found out
MOST_COUNTED = 128  # ranks
MOST_BYTES = 1 << 28  # of vectors at a time, with what is under way between them


#: Places, values, whether they add, and rows of what arrives in one wave.
Arrived = tuple[Ints, NDArray[Any], Bools, Ints]


class Block(NamedTuple):
    """Where vectors are kept that hold some units of every place, one place after the other.

    Attributes
    ----------
    vertices : int array, shape ``[places]``
        Ranks and those switches that take part, ascending.
    units : range
    """

    vertices: Ints
    units: range

    def at(self, vertex: Ints, unit: Ints) -> Ints:
        """Index of units at vertices."""
        found: Ints = np.searchsorted(self.vertices, vertex) * len(self.units) + unit - self.units.start
        return found


class Scattered(NamedTuple):
    """Where only those units of a place are kept that are ever touched: in an all-to-all nearly none are.

    Attributes
    ----------
    keys : int array, shape ``[kept]``
        ``vertex * number of units + unit``, ascending.
    units : range
        All there are.
    """

    keys: Ints
    units: range

    def at(self, vertex: Ints, unit: Ints) -> Ints:
        """Index of units at vertices."""
        found: Ints = np.searchsorted(self.keys, vertex * len(self.units) + unit)
        return found


class Moves(NamedTuple):
    """Units that move in one wave, shape ``[moves]``: by which event, between which places, and how.

    A place is a unit of a rank or switch: an index as a `Block` or `Scattered` gives it.
    """

    event: Ints
    source: Ints
    target: Ints
    adds: Bools


def execute(schedule: Schedule, vectors: NDArray[Any]) -> NDArray[Any]:
    """Run a schedule: a REDUCE adds the sender's unit into the receiver's, a COPY overwrites it.

    What several rows add to one unit in one wave is added in row order, so floats repeat bit for bit. Where
    `prove` rejects the schedule, this is what one timing leaves; others may leave something else.

    Parameters
    ----------
    schedule : Schedule
    vectors : array, shape ``[ranks, units, width]``
        What each rank holds at the beginning, of any type that adds. Left as it is; the result is of its shape and type.

    Raises
    ------
    ValueError
        If `vectors` has another shape.
    ValuesError
        If rows wait for each other in a circle, or something parked is not taken by one join.
    """
    if vectors.ndim != 3 or vectors.shape[:2] != (schedule.ranks, schedule.units):
        raise ValueError(f"vectors: {vectors.shape} is not [{schedule.ranks}, {schedule.units}, width]")
    events = collect(schedule)
    state = _with_switches(schedule, vectors)
    room = Block(_vertices(schedule), range(schedule.units))
    apply(events, room, state.reshape(-1, state.shape[2]))
    return state[: schedule.ranks]


def count(events: Events) -> None:
    """Check that in waves every rank ends with what it should, each contribution exactly once.

    Raises
    ------
    ValuesError
        If a contribution is missing, counted more than once, or mixed with something that is none; the message names
        the rank, the unit, the contributor and the firing with which it went wrong.
    """
    schedule = events.schedule
    counted = schedule.ranks <= MOST_COUNTED
    if not counted and ((schedule.begins != EVERYONE) & (schedule.ends != EVERYONE)).all():
        for suspects in _lone_suspects(events):
            _count(events, suspects)
        return
    # Vectors of all places, what moves in the fullest wave, and what may be parked.
    moving = schedule.span[events.row] * ~schedule.joins[events.row]
    fullest = np.add.reduceat(moving, events.bounds[:-1]).max() if len(events) else 0
    parked = moving[schedule.parked[events.row]].sum()
    each = (len(_vertices(schedule)) + 2 * (fullest + parked) / schedule.units) * (
        4 * schedule.ranks if counted else 16
    )
    block = max(1, int(MOST_BYTES / each))
    for low in range(0, schedule.units, block):
        units = range(low, min(low + block, schedule.units))
        for suspects in [units] if counted else _suspects(events, units):
            _count(events, suspects)


def apply(events: Events, room: Block | Scattered, flat: NDArray[Any]) -> None:
    """Run `events` in place on the vectors in a room, shape ``[places, width]``."""
    parks = bool(events.schedule.parked.any())
    claimed = np.empty(len(flat), np.int64)  # tells quickly whether several rows add to one place in one wave
    later: dict[int, list[Arrived]] = {}  # what is parked, by the wave in which it is taken
    for wave, moves in enumerate(_moves(events, room)):
        arrived = moves.target, flat[moves.source], moves.adds, events.row[moves.event]
        if parks:
            lands = events.wave[events.writer[moves.event]]
            for when in np.unique(lands).tolist():
                here = lands == when
                later.setdefault(when, []).append(
                    (arrived[0][here], arrived[1][here], arrived[2][here], arrived[3][here])
                )
            if wave not in later:
                continue
            taken = later.pop(wave)
            target, sent, adds, row = (np.concatenate([each[i] for each in taken]) for i in range(4))
        else:
            target, sent, adds, row = arrived
        flat[target[~adds]] = sent[~adds]
        target, sent, row = target[adds], sent[adds], row[adds]
        index = np.arange(len(target))
        claimed[target] = index
        if (claimed[target] == index).all():
            flat[target] += sent
        else:
            _add(flat, target, sent, row)


def _add(flat: NDArray[Any], place: Ints, sent: NDArray[Any], row: Ints) -> None:
    """Add `sent` at the places; what several rows add to one place one after the other, the lowest row first."""
    order = np.lexsort((row, place))
    begins = np.flatnonzero(np.diff(place[order], prepend=-1))
    size = np.diff(begins, append=len(place))
    nth = np.arange(len(place)) - np.repeat(begins, size)
    by_turn = order[np.argsort(nth, kind="stable")]
    for low, high in pairwise(np.cumsum([0, *np.bincount(nth)]).tolist()):
        now = by_turn[low:high]
        flat[place[now]] += sent[now]


def _moves(events: Events, room: Block | Scattered) -> Iterator[Moves]:
    """For each wave the units that move, of those that the room is for."""
    schedule, joins = events.schedule, events.schedule.joins
    for begin, end in pairwise(events.bounds.tolist()):
        event = np.arange(begin, end)[~joins[events.row[begin:end]]]
        which, unit = schedule.carried(events.row[event], events.firing[event])
        if len(room.units) < schedule.units:
            inside = (unit >= room.units.start) & (unit < room.units.stop)
            which, unit = which[inside], unit[inside]
        event = event[which]
        row = events.row[event]
        adds = events.firing[event] < schedule.reduces[row]
        yield Moves(event, room.at(schedule.source[row], unit), room.at(schedule.target[row], unit), adds)


def _vertices(schedule: Schedule) -> Ints:
    """Whoever holds vectors: every rank, and the switches that take part, shape ``[places]``."""
    ends = np.unique(np.concatenate([schedule.source, schedule.target]))
    return np.concatenate([np.arange(schedule.ranks), ends[ends >= schedule.ranks]])


def _with_switches(schedule: Schedule, vectors: NDArray[Any]) -> NDArray[Any]:
    """A copy of the vectors with those of the switches behind: nothing is in them yet."""
    switches = len(_vertices(schedule)) - schedule.ranks
    return np.concatenate([vectors, np.zeros((switches, *vectors.shape[1:]), vectors.dtype)])


def _roles(schedule: Schedule, units: range) -> tuple[Bools, Bools]:
    """Who contributes to each of the units and who must end with its sum, shape ``[ranks, units]``."""
    everyone, part = np.arange(schedule.ranks)[:, None], slice(units.start, units.stop)
    begins, ends = ((who[part] == everyone) | (who[part] == EVERYONE) for who in (schedule.begins, schedule.ends))
    return begins, ends


def _count(events: Events, units: range) -> None:
    """Raise ValuesError unless the right ranks have the right contributions once in these consecutive units."""
    schedule = events.schedule
    begins, ends = _roles(schedule, units)
    everyone = np.arange(schedule.ranks)
    # Integers might wrap round to a count of one; float32 is exact to 2^24 and never comes back from beyond.
    counts = np.zeros((len(_vertices(schedule)), len(units), schedule.ranks), np.float32)
    counts[everyone, :, everyone] = np.where(begins, 1, POISON)
    with np.errstate(over="ignore"):
        apply(events, Block(_vertices(schedule), units), counts.reshape(-1, schedule.ranks))
    wrong = (counts[: schedule.ranks] != begins.T) & ends[:, :, None]
    if wrong.any():
        rank, unit, of = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
        starts = 1 if begins[of, unit] else POISON
        history = _history(events, units[unit], of, starts)
        raise ValuesError(
            f"rank {rank}, unit {units[unit]}: " + blame(schedule, history, rank, of, counts[rank, unit, of], starts)
        )


def _suspects(events: Events, units: range) -> list[range]:
    """Those of the units in which two random 64-bit fingerprints do not add up (mod 2^64) on every rank."""
    schedule = events.schedule
    begins, ends = _roles(schedule, units)
    state = np.random.default_rng(units.start).integers(0, 2**64, (schedule.ranks, len(units), 2), np.uint64)
    total = np.stack([np.where(begins, state[:, :, i], np.uint64(0)).sum(axis=0) for i in range(2)], axis=1)
    state = _with_switches(schedule, state)
    apply(events, Block(_vertices(schedule), units), state.reshape(-1, 2))
    wrong = ((state[: schedule.ranks] != total).any(axis=2) & ends).any(axis=0)
    return [units[i : i + 1] for i in np.flatnonzero(wrong).tolist()]


def _lone_suspects(events: Events) -> list[range]:
    """The same for all units at once, where each has one rank that contributes and one that must end with it."""
    schedule, number = events.schedule, events.schedule.units
    units = np.arange(number)
    begins, ends = (who * number + units for who in (schedule.begins, schedule.ends))
    moves = np.flatnonzero(~schedule.joins[events.row])
    which, unit = schedule.carried(events.row[moves], events.firing[moves])
    row = events.row[moves[which]]
    touched = [end[row] * number + unit for end in (schedule.source, schedule.target)]
    room = Scattered(np.unique(np.concatenate([begins, ends, *touched])), range(number))
    state = np.random.default_rng(0).integers(0, 2**64, (len(room.keys), 2), np.uint64)
    state[room.keys >= schedule.ranks * number] = 0  # switches
    total = state[np.searchsorted(room.keys, begins)]
    apply(events, room, state)
    wrong = (state[np.searchsorted(room.keys, ends)] != total).any(axis=1)
    return [range(i, i + 1) for i in np.flatnonzero(wrong).tolist()]


def _history(events: Events, unit: int, of: int, starts: int) -> list[Entry]:
    """Everything that is written to one unit, in the order of the waves, as counts of one contribution."""
    schedule = events.schedule
    vertices = _vertices(schedule).tolist()
    held: dict[int, float] = {of: starts}
    landing: dict[int, list[tuple[int, int, float]]] = {}
    history: list[Entry] = []
    for wave, moves in enumerate(_moves(events, Block(_vertices(schedule), range(unit, unit + 1)))):
        lands = events.wave[events.writer[moves.event]].tolist()
        turn = np.where(moves.adds, events.row[moves.event] + 1, 0).tolist()  # as in `apply`: copies first
        for event, source, when, nth in zip(moves.event.tolist(), moves.source.tolist(), lands, turn, strict=True):
            landing.setdefault(when, []).append((nth, event, held.get(vertices[source], 0.0)))
        for nth, event, sent in sorted(landing.pop(wave, [])):
            row, firing, read = int(events.row[event]), int(events.firing[event]), int(events.wave[event])
            source, target = int(schedule.source[row]), int(schedule.target[row])
            before = held.get(target, 0.0)
            history.append(Entry(wave, read, row, firing, source, target, nth > 0, before, sent))
            held[target] = sent + (before if nth else 0.0)
    return history
