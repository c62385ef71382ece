"""Which firings can go when: wave after wave, in each all that the waves before allow.

That is one timing among many, the one without delay, and it numbers the firings for all checks: an *event* is an index
into it. Whoever is left over waits in a circle, whatever the timing, because every wait is for something that comes once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ringsim.schedule import Ints, Schedule
from ringsim.values.errors import Step, StuckError
from ringsim.values.parked import check_parked, taken
from ringsim.values.waits import Bools, by_awaited, spread, waiting


class Limit(Protocol):
    """Something that holds back firings which dependencies would allow."""

    def free(self, rows: Ints, done: Ints) -> Bools:
        """Which of the rows may fire next, shape of `rows`; `done` says how often every row has."""
        ...

    def holder(self, row: int, done: Ints) -> int:
        """A row that has to fire before `row` may."""
        ...


def waves(schedule: Schedule, limit: Limit | None = None) -> Iterator[tuple[Ints, Ints]]:
    """Fire every row that may, wave after wave, until all are done.

    Yields
    ------
    rows, firing : int arrays, shape ``[rows of the wave]``
        Rows ascend.

    Raises
    ------
    StuckError
        If some never are.
    """
    count, lag, after, waits = schedule.count, schedule.dep_lag, schedule.after, waiting(schedule)
    offsets, awaited = by_awaited(schedule)
    follower = np.full(schedule.rows, -1)
    follower[after[after >= 0]] = np.flatnonzero(after >= 0)
    done, fired = np.zeros(schedule.rows, np.int64), np.zeros(schedule.rows, bool)
    # What the next firing of each row still waits for. Kept up to date, so a wave costs what it changes, not all rows.
    missing = _late(schedule, np.arange(schedule.rows), done) + (after >= 0)
    ready, left = np.flatnonzero(missing == 0), schedule.transfers
    while len(ready):
        free = np.ones(len(ready), bool) if limit is None else limit.free(ready, done)
        rows, held = ready[free], ready[~free]
        if not len(rows):
            break
        firing = done[rows]
        yield rows, firing
        left -= len(rows)
        done[rows] += 1
        more = done[rows] < count[rows]
        again, ended = rows[more], rows[~more]
        missing[again] = _late(schedule, again, done)
        # Whoever has not fired himself misses one thing less where this was the very firing.
        fired[rows] = True
        which, index = spread(offsets, rows)
        dependency = awaited[index]
        other = waits[dependency]
        need = np.minimum(done[other] - lag[dependency], count[rows][which] - 1)
        freed = other[(need == firing[which]) & ~fired[other] & (done[other] < count[other])]
        np.subtract.at(missing, freed, 1)
        fired[rows] = False
        behind = follower[ended]
        behind = behind[behind >= 0]
        missing[behind] -= 1
        touched = np.concatenate([held, again, freed, behind])
        ready = np.unique(touched[missing[touched] == 0])
    if left:
        raise StuckError(schedule, _circle(schedule, done, limit))


def _late(schedule: Schedule, rows: Ints, done: Ints) -> Ints:
    """How many dependencies the next firing of each of the rows waits for, shape of `rows`."""
    which, index = spread(schedule.dep_offsets, rows)
    on = schedule.dep_row[index]
    late = done[on] <= np.minimum(done[rows][which] - schedule.dep_lag[index], schedule.count[on] - 1)
    return np.bincount(which[late], minlength=len(rows))


def _circle(schedule: Schedule, done: Ints, limit: Limit | None) -> tuple[Step, ...]:
    """Whoever is stuck waits for somebody stuck: following them long enough ends in the circle."""
    count, after, on, waits = schedule.count, schedule.after, schedule.dep_row, waiting(schedule)
    late = done[on] <= np.minimum(done[waits] - schedule.dep_lag, count[on] - 1)
    blocker = np.where((after >= 0) & (done[after] < count[after]), after, -1)
    why = np.where(blocker < 0, "slot", "departure")
    blocker[waits[late]], why[waits[late]] = on[late], "arrival"

    def follow(row: int) -> int:
        if blocker[row] < 0:
            assert limit is not None  # nothing else holds back a row that waits for nobody
            blocker[row] = limit.holder(row, done)
        return int(blocker[row])

    row = int(np.argmax(done < count))
    seen: dict[int, int] = {}
    while row not in seen:
        seen[row] = len(seen)
        row = follow(row)
    circle = list(seen)[seen[row] :]
    # Begin with the lowest, so that the same fault is named alike wherever it was found.
    low = circle.index(min(circle))
    return tuple(Step(row, int(done[row]), str(why[row])) for row in circle[low:] + circle[:low])


@dataclass(frozen=True, eq=False)
class Events:
    """The firings of a schedule, wave after wave and by row within a wave; an event is an index into the columns.

    Attributes
    ----------
    schedule : Schedule
    row, firing : int arrays, shape ``[events]``
    bounds : int array, shape ``[waves + 1]``
        Wave *w* are events ``bounds[w]`` up to ``bounds[w + 1]``.
    """

    schedule: Schedule
    row: Ints
    firing: Ints
    bounds: Ints

    def __len__(self) -> int:
        return len(self.row)

    @property
    def waves(self) -> int:
        """How many there are."""
        return len(self.bounds) - 1

    @cached_property
    def wave(self) -> Ints:
        """Wave of each event, shape ``[events]``."""
        return np.repeat(np.arange(self.waves), np.diff(self.bounds))

    @cached_property
    def _number(self) -> tuple[Ints, Ints]:
        """Events by row: where each row's begin, shape ``[rows]``, and the events, shape ``[events]``."""
        begin = np.cumsum(self.schedule.count) - self.schedule.count
        number = np.empty(len(self), np.int64)
        number[begin[self.row] + self.firing] = np.arange(len(self))
        return begin, number

    def at(self, row: Ints, firing: Ints) -> Ints:
        """Event of each of the firings, shape of the arguments."""
        begin, number = self._number
        found: Ints = number[begin[row] + firing]
        return found

    @cached_property
    def writer(self) -> Ints:
        """The event that writes what an event carries, shape ``[events]``: itself, or the join that takes it."""
        writer = np.arange(len(self))
        parks = np.flatnonzero(self.schedule.parked[self.row])
        if len(parks):
            writer[parks] = self.at(*taken(self.schedule, self.row[parks], self.firing[parks]))
        return writer


def collect(schedule: Schedule) -> Events:
    """Go through a schedule.

    Raises
    ------
    ValuesError
        If rows wait for each other in a circle, or something that is parked is never taken or by several.
    """
    check_parked(schedule)
    none = np.zeros(0, np.int64)
    found = [(none, none), *waves(schedule)]
    row, firing = (np.concatenate(part) for part in zip(*found, strict=True))
    return Events(schedule, row, firing, np.cumsum([len(rows) for rows, _ in found]))
