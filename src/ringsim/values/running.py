"""Run the waves of a schedule on arrays: all reads of a wave before any write, then COPYs, then sums.

What several rows add to one place in one wave is added in row order. What was parked is added in the order of the
ranks that sent it, the receiver's own part among them: so ranks that each add up the same things end bit for bit alike.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ringsim.schedule import Ints, Schedule
from ringsim.values.events import Events, collect
from ringsim.values.waits import Bools


class Arrived(NamedTuple):
    """What is written in one wave: by which events, where, values, whether they add, in which order, and if from a park."""

    event: Ints
    target: Ints
    sent: NDArray[Any]
    adds: Bools
    turn: Ints
    parked: Bools


class Wire(Protocol):
    """What becomes of values on their way; without one they travel as they are."""

    def send(self, flat: NDArray[Any], moves: "Moves") -> NDArray[Any]:
        """Values that leave their places, shape ``[moves, width]``; may change what is there."""
        ...

    def land(self, flat: NDArray[Any], arrived: Arrived) -> None:
        """Take note of what has been written, and how."""
        ...


class Block(NamedTuple):
    """Where vectors are kept that hold some units of everybody, one rank or switch after the other.

    Attributes
    ----------
    vertices : int array, shape ``[vertices]``
        Ranks and those switches that take part, ascending.
    units : range
    """

    vertices: Ints
    units: range

    def at(self, vertex: Ints, unit: Ints) -> Ints:
        """Index of units at vertices."""
        found: Ints = np.searchsorted(self.vertices, vertex) * len(self.units) + unit - self.units.start
        return found

    def vertex(self, place: Ints) -> Ints:
        """Vertex of each place."""
        return self.vertices[place // len(self.units)]

    def kept(self) -> tuple[Ints, Ints]:
        """Vertex and unit of everything that is kept, in order."""
        units = np.arange(self.units.start, self.units.stop)
        return np.repeat(self.vertices, len(units)), np.tile(units, len(self.vertices))


class Scattered(NamedTuple):
    """Where only those units are kept that somebody touches: in an all-to-all a rank never sees most of them.

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

    def vertex(self, place: Ints) -> Ints:
        """Vertex of each place."""
        found: Ints = self.keys[place] // len(self.units)
        return found

    def kept(self) -> tuple[Ints, Ints]:
        """Vertex and unit of everything that is kept, in order."""
        vertex, unit = np.divmod(self.keys, len(self.units))
        return vertex, unit


Room = Block | Scattered


class Moves(NamedTuple):
    """Units that move in one wave, shape ``[moves]``: by which event, between which places, and how.

    A place is a unit of a rank or switch: an index as a `Block` or `Scattered` gives it. What is `parked` adds later.
    """

    event: Ints
    source: Ints
    target: Ints
    adds: Bools
    parked: Bools


def execute(schedule: Schedule, vectors: NDArray[Any]) -> NDArray[Any]:
    """Run a schedule: a REDUCE adds the sender's unit into the receiver's, a COPY overwrites it.

    What meets at one unit in one wave is added in a fixed order, so floats repeat bit for bit. Where `prove` rejects
    the schedule, this is what one timing leaves; others may leave something else.

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
    events, room = collect(schedule), Block(vertices(schedule), range(schedule.units))
    state = np.zeros((len(room.vertices), *vectors.shape[1:]), vectors.dtype)  # nothing is in switches yet
    state[: schedule.ranks] = vectors
    run(events, room, state.reshape(-1, vectors.shape[2]))
    return state[: schedule.ranks]


@np.errstate(over="ignore", invalid="ignore")  # short floats may overflow: whoever reads the sum sees it
def run(events: Events, room: Room, flat: NDArray[Any], wire: Wire | None = None) -> None:
    """Run `events` in place on the vectors in a room, shape ``[places, width]``."""
    schedule = events.schedule
    parks = bool(schedule.parked.any())
    claimed = np.empty(len(flat), np.int64)  # tells quickly whether several rows add to one place in one wave
    later: dict[int, list[Arrived]] = {}  # what is parked, by the wave in which it is taken
    for wave, moves in enumerate(moves_of(events, room)):
        row = events.row[moves.event]
        sent = flat[moves.source] if wire is None else wire.send(flat, moves)
        arrived = Arrived(
            moves.event, moves.target, sent, moves.adds, np.where(moves.parked, schedule.source[row], row), moves.parked
        )
        if parks:
            lands = events.wave[events.writer[moves.event]]
            for when in np.unique(lands).tolist():
                here = lands == when
                later.setdefault(when, []).append(Arrived(*(part[here] for part in arrived)))
            if wave not in later:
                continue
            arrived = Arrived(*(np.concatenate(part) for part in zip(*later.pop(wave), strict=True)))
        _, target, sent, adds, turn, parked = arrived
        flat[target[~adds]] = sent[~adds]
        target, sent, turn = target[adds], sent[adds], turn[adds]
        if parked.any():
            # The receiver's own part is one of those that are added up, in its turn.
            own = np.unique(arrived.target[parked])
            target, sent = np.concatenate([target, own]), np.concatenate([sent, flat[own]])
            turn = np.concatenate([turn, room.vertex(own)])
            flat[own] = 0
        index = np.arange(len(target))
        claimed[target] = index
        if (claimed[target] == index).all():
            flat[target] += sent
        else:
            _add(flat, target, sent, turn)
        if wire is not None:
            wire.land(flat, arrived)


def _add(flat: NDArray[Any], place: Ints, sent: NDArray[Any], turn: Ints) -> None:
    """Add `sent` at the places; what comes to one place one after the other, the lowest turn first."""
    order = np.lexsort((turn, place))
    begins = np.flatnonzero(np.diff(place[order], prepend=-1))
    size = np.diff(begins, append=len(place))
    nth = np.arange(len(place)) - np.repeat(begins, size)
    by_turn = order[np.argsort(nth, kind="stable")]
    for low, high in pairwise(np.cumsum([0, *np.bincount(nth)]).tolist()):
        now = by_turn[low:high]
        flat[place[now]] += sent[now]


def moves_of(events: Events, room: Room) -> Iterator[Moves]:
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
        source, target = room.at(schedule.source[row], unit), room.at(schedule.target[row], unit)
        yield Moves(event, source, target, adds, adds & schedule.parked[row])


def vertices(schedule: Schedule) -> Ints:
    """Whoever holds vectors: every rank, and the switches that take part, ascending."""
    ends = np.unique(np.concatenate([schedule.source, schedule.target]))
    return np.concatenate([np.arange(schedule.ranks), ends[ends >= schedule.ranks]])
