"""No timing but the waves ends differently: firings that disagree about a unit of a rank are ordered by what they wait for.

Two disagree when one writes what the other reads, or when both write and one is a COPY. Two REDUCEs never do, a sum has
no order: children meet like that at a tree's parent. Overwriting too early is as wrong as reading too early. When a ring
of *p* has sent a chunk on, it overwrites it *p* − 1 firings later, and only the chain of waits all the way round keeps
the two apart. So the order has to be the whole of Lamport's happened-before. It rests on what rows wait for and on one
rule more, that a connection delivers in the order in which it sends.

Most pairs wait for each other directly, and those are looked up. Vector clocks settle the others: for every event how far
each connection must have got, whatever the timing. That is a square, so only the columns are kept that somebody asks
for, a few at a time.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ringsim.schedule import Ints
from ringsim.values.clocks import needed, ordered, serial
from ringsim.values.errors import ValuesError, name, rank
from ringsim.values.events import Events
from ringsim.values.waits import Bools, spread, waiting

READ, REDUCE, COPY = range(3)
_DOES = ("reads it", "adds to it", "overwrites it")

MOST_PAIRS = 1 << 21  # at a time
ACCESS_S = 1e-6  # seconds for each unit that a firing reads or writes, roughly


class Meetings(NamedTuple):
    """Who meets whom: accesses by place, in turns of which each must follow all of the turn before at that place.

    What lies further back than the turn before then follows from that.

    Attributes
    ----------
    place, kind, event : int arrays, shape ``[accesses]``
        Sorted by place and then by event.
    vertex, unit : int arrays, shape ``[places]``
        Rank or switch, and unit, of a place.
    begins : int array, shape ``[turns + 1]``
        First access of each turn, and the number of accesses. A turn is a run of reads, a run of REDUCEs, or one COPY.
    follows : int array
        Turns that are not the first at their place.
    """

    place: Ints
    kind: Ints
    event: Ints
    vertex: Ints
    unit: Ints
    begins: Ints
    follows: Ints

    def size(self, turns: Ints) -> Ints:
        """Accesses in each of the turns."""
        return self.begins[turns + 1] - self.begins[turns]


def check_order(events: Events, patience: float = math.inf) -> int | None:
    """Check that firings that disagree are ordered by what they wait for and not by luck.

    Parameters
    ----------
    events : Events
    patience : float, seconds
        What it may take, roughly; it is known before, so the same question has the same answer everywhere.

    Returns
    -------
    pairs : int or None
        How many had to be ordered; None where it would take longer.

    Raises
    ------
    ValuesError
        The message names rank, unit and both firings.
    """
    schedule = events.schedule
    if not len(events):
        return 0
    if 2 * float((schedule.span * schedule.count).sum()) * ACCESS_S > patience:
        return None
    found, direct, pairs = _meetings(events), _Direct(events), 0
    earlier, later = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    sizes = found.size(found.follows) * found.size(found.follows - 1)
    for part in _parts(sizes):
        turns, pairs = found.follows[part], pairs + int(sizes[part].sum())
        for before, after in _open(events, found, direct, turns):
            # Two firings meet as often as they carry units; once is enough.
            _, once = np.unique(found.event[before] * len(events) + found.event[after], return_index=True)
            earlier.append(before[once])
            later.append(after[once])
    before, after = np.concatenate(earlier), np.concatenate(later)
    sure = ordered(events, direct.serial, found.event[before], found.event[after], patience)
    if sure is None:
        return None
    wrong = np.flatnonzero(~sure)
    if len(wrong):
        first = wrong[np.lexsort((found.event[before[wrong]], found.event[after[wrong]]))[0]]
        _refuse(events, found, int(before[first]), int(after[first]))
    return pairs


def _refuse(events: Events, found: Meetings, *accesses: int) -> None:
    at = found.place[accesses[0]]
    meeting = []
    for access in accesses:
        event = found.event[access]
        firing = name(events.schedule, int(events.row[event]), int(events.firing[event]))
        meeting.append(f"{firing}, which {_DOES[found.kind[access]]},")
    where = rank(events.schedule, int(found.vertex[at]))
    raise ValuesError(f"{where}, unit {found.unit[at]}: {' and '.join(meeting)} meet there and nothing orders them")


def _meetings(events: Events) -> Meetings:
    """Sort everything that is read and written by place and then by wave."""
    schedule, total = events.schedule, len(events)
    moves = np.flatnonzero(~schedule.joins[events.row])
    which, unit = schedule.carried(events.row[moves], events.firing[moves])
    event = moves[which]
    row, writer = events.row[event], events.writer[event]
    writes = np.where(events.firing[event] < schedule.reduces[row], REDUCE, COPY)
    ends = np.concatenate([schedule.source[row], schedule.target[row]]) * schedule.units + np.tile(unit, 2)
    known, place = np.unique(ends, return_inverse=True)
    key = (place * total + np.concatenate([event, writer])) * 3 + np.concatenate([np.full(len(row), READ), writes])
    key.sort()
    at, event, kind = key // 3 // total, key // 3 % total, key % 3
    # Within one firing of a join, what overwrites something has no order either.
    twice = (np.diff(key // 3, prepend=-1) == 0) & (kind == COPY) & schedule.joins[events.row[event]]
    if twice.any():
        first = int(np.argmax(twice))
        vertex, of = divmod(int(known[at[first]]), schedule.units)
        join = name(schedule, int(events.row[event[first]]), int(events.firing[event[first]]))
        raise ValuesError(
            f"{rank(schedule, vertex)}, unit {of}: {join} takes what overwrites something else that it takes, "
            "and nothing orders them"
        )
    once = np.diff(key, prepend=-1) != 0
    at, event, kind = at[once], event[once], kind[once]
    moved = np.diff(at, prepend=-1) != 0
    begins = np.flatnonzero(moved | (np.diff(kind, prepend=-1) != 0) | (kind == COPY))
    bounds, follows = np.append(begins, len(at)), np.flatnonzero(~moved[begins])
    return Meetings(at, kind, event, known // schedule.units, known % schedule.units, bounds, follows)


def _parts(sizes: Ints) -> Iterator[Ints]:
    """Indices of things of these sizes, so many at a time that they fit into memory together."""
    yield from np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(np.cumsum(sizes) // MOST_PAIRS)) + 1)


def _open(events: Events, found: Meetings, direct: "_Direct", turns: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of accesses in `turns` and the turns before them that are not ordered at first sight.

    Where many wait for the same join it is enough that this join waits for those before. Only where it does not each is
    compared with each.
    """
    which, access = spread(found.begins, turns)
    gate = direct.gate(found.event[access])
    # One entry for every gate of a turn.
    key = which * (len(events) + 1) + gate + 1
    gates, member = np.unique(key, return_inverse=True)
    turn, gate = gates // (len(events) + 1), gates % (len(events) + 1) - 1
    closed = gate >= 0
    for part in _parts(found.size(turns[turn] - 1)):
        pair, before = spread(found.begins, turns[turn[part]] - 1)
        known = direct(found.event[before], np.maximum(gate[part], 0)[pair])
        closed[part] &= np.bincount(pair[~known], minlength=len(part)) == 0
    # The others: each of them with each of the turn before.
    rest, of = access[~closed[member]], which[~closed[member]]
    for part in _parts(found.size(turns[of] - 1)):
        pair, before = spread(found.begins, turns[of[part]] - 1)
        after = rest[part][pair]
        known = direct(found.event[before], found.event[after])
        yield before[~known], after[~known]


class _Direct:
    """Whether one event is, or comes before, one that another waits for.

    Calling it with earlier and later events, shape ``[pairs]``, says for which pairs; for the others it does not know.
    """

    def __init__(self, events: Events) -> None:
        self.events, schedule = events, events.schedule
        self.serial = serial(schedule)
        self._key = waiting(schedule) * schedule.rows + self.serial.connection[schedule.dep_row]
        self._order = np.argsort(self._key, kind="stable")
        self._key = self._key[self._order]
        # What a row waits for, joins first.
        waits, first = waiting(schedule), np.full(schedule.rows, -1)
        for some in (np.arange(len(waits)), np.flatnonzero(schedule.joins[schedule.dep_row])):
            first[waits[some]] = some
        self._gate = first

    def gate(self, event: Ints) -> Ints:
        """One of the events that each waits for, −1 where it waits for none."""
        row, firing = self.events.row[event], self.events.firing[event]
        dependency = self._gate[row]
        if not len(self._key):
            return dependency
        need = needed(self.events.schedule, firing, dependency)
        real = (dependency >= 0) & (need >= 0)
        found: Ints = np.where(real, self.events.at(self.events.schedule.dep_row[dependency], np.maximum(need, 0)), -1)
        return found

    def __call__(self, earlier: Ints, later: Ints) -> Bools:
        schedule, (connection, start) = self.events.schedule, self.serial
        row, other = self.events.row[earlier], self.events.row[later]
        number, firing = start[row] + self.events.firing[earlier], self.events.firing[later]
        known: Bools = (connection[row] == connection[other]) & (number <= start[other] + firing)
        key = other * schedule.rows + connection[row]
        low, high = (np.searchsorted(self._key, key, side) for side in ("left", "right"))
        while (some := np.flatnonzero((low < high) & ~known)).size:
            dependency = self._order[low[some]]
            need = needed(schedule, firing[some], dependency)
            known[some] = (need >= 0) & (start[schedule.dep_row[dependency]] + need >= number[some])
            low[some] += 1
        return known
