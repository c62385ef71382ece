"""Vector clocks: for an event, how far each connection must have got whatever the timing.

All of them are a square of rows, so only columns that somebody asks for are worked out, as many at a time as fit.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.schedule import Ints, Schedule
from ringsim.values.events import Events
from ringsim.values.waits import Bools

MOST_BYTES = 1 << 28  # of clocks at a time
ENTRY_S = 4e-9  # seconds for each entry of an event's clock, roughly


class Serial(NamedTuple):
    """Firings counted along their connections; a join is a connection of its own.

    Attributes
    ----------
    connection, start : int arrays, shape ``[rows]``
        Firing *q* of a row is number ``start + q`` on its connection.
    """

    connection: Ints
    start: Ints


def serial(schedule: Schedule) -> Serial:
    """Count the firings of each connection."""
    connection = np.where(schedule.after < 0, np.arange(schedule.rows), schedule.after)
    start = np.where(schedule.after < 0, 0, schedule.count[schedule.after])
    # From the row before to the one before that, twice as far each time.
    while (connection[connection] != connection).any():
        start, connection = start + start[connection], connection[connection]
    return Serial(connection, start)


def needed(schedule: Schedule, firing: Ints, dependency: Ints) -> Ints:
    """Which firing of the other row a firing waits for by a dependency; negative where for none. All broadcast."""
    last = schedule.count[schedule.dep_row[dependency]] - 1
    found: Ints = np.minimum(firing - schedule.dep_lag[dependency], last)
    return found


def columns(schedule: Schedule, serials: Serial, asked: Ints) -> tuple[Ints, Ints]:
    """Number the connections that are asked for, those of independent parts of a schedule side by side.

    Returns
    -------
    part : int array, shape ``[rows]``
        Rows with the same have something to do with each other, however indirectly.
    column : int array, shape ``[rows]``
        Column of the row's connection, −1 where nobody asks for it.
    """
    part = _parts(schedule)
    order = asked[np.argsort(part[asked], kind="stable")]
    begins = np.searchsorted(part[order], part[order])
    of_connection = np.full(schedule.rows, -1)
    of_connection[order] = np.arange(len(order)) - begins
    return part, of_connection[serials.connection]


def _parts(schedule: Schedule) -> Ints:
    """Rows linked by waiting, however indirectly, have the lowest of their numbers, shape ``[rows]``."""
    everyone = np.arange(schedule.rows)
    a = np.concatenate([np.repeat(everyone, np.diff(schedule.dep_offsets)), everyone])
    b = np.concatenate([schedule.dep_row, np.where(schedule.after < 0, everyone, schedule.after)])
    part, before = everyone, np.full(schedule.rows, -1)
    while (part != before).any():
        low, before = np.minimum(part[a], part[b]), part
        part = before.copy()
        np.minimum.at(part, np.concatenate([before[a], a, b]), np.tile(low, 3))
        part = part[part]
    return part


def ordered(events: Events, serials: Serial, earlier: Ints, later: Ints, patience: float = np.inf) -> Bools | None:
    """Which pairs of events are in this order in any timing.

    Parameters
    ----------
    events : Events
    serials : Serial
    earlier, later : int arrays, shape ``[pairs]``
    patience : float, seconds
        What it may take, roughly.

    Returns
    -------
    bool array, shape ``[pairs]``, or None
        None where it would take longer.
    """
    schedule = events.schedule
    rows = events.row[earlier]
    part, column = columns(schedule, serials, np.unique(serials.connection[rows]))
    wide = int(column.max(initial=-1)) + 1
    if len(events) * wide * ENTRY_S > patience:
        return None
    found: Bools = part[rows] == part[events.row[later]]
    count = serials.start[rows] + events.firing[earlier]
    kind = np.min_scalar_type(int((serials.start + schedule.count).max(initial=0)))
    window = _window(events) if wide else 1
    width = max(1, MOST_BYTES // (window * schedule.rows * kind.itemsize))
    block = column[rows] // width
    order = np.lexsort((later, block))
    for low in range(0, wide, width):
        here = order[slice(*np.searchsorted(block[order], [low // width, low // width + 1]))]
        bounds = np.searchsorted(later[here], events.bounds)
        last = int(np.searchsorted(bounds, len(here)))
        local = np.where((column >= low) & (column < low + width), column - low, -1)
        clock = np.zeros((window, schedule.rows, min(width, wide - low)), kind)
        for wave, known in enumerate(_clocks(events, serials, local, clock)):
            pairs = here[bounds[wave] : bounds[wave + 1]]
            known_of = known[later[pairs] - events.bounds[wave], column[rows[pairs]] - low]
            found[pairs] &= known_of > count[pairs]
            if wave + 1 >= last:
                break
    return found


def _clocks(events: Events, serials: Serial, column: Ints, clock: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """For each wave, ``[events, columns]``: how much of each connection must have been sent, in any timing.

    `clock` is room for the last few clocks of each row, that of firing *q* in slot *q* mod the number of slots.
    """
    schedule, window = events.schedule, len(clock)
    for begin, end in zip(events.bounds[:-1], events.bounds[1:], strict=True):
        row, firing = events.row[begin:end], events.firing[begin:end]
        before = np.where(firing > 0, row, schedule.after[row])
        known = clock[np.where(firing > 0, firing, schedule.count[before]) % window - 1, before]
        known[before < 0] = 0
        for which, on, need in _needs(schedule, row, firing):
            known[which] = np.maximum(known[which], clock[need % window, on])
        own = np.flatnonzero(column[row] >= 0)
        known[own, column[row[own]]] = serials.start[row[own]] + firing[own] + 1
        clock[firing % window, row] = known
        yield known


def _window(events: Events) -> int:
    """How many of its last firings somebody may still ask a row for.

    A row may be ahead of the firing that is waited for, and what it learnt since does not count.
    """
    schedule = events.schedule
    window, done = 1, np.zeros(schedule.rows, np.int64)
    for begin, end in zip(events.bounds[:-1], events.bounds[1:], strict=True):
        row, firing = events.row[begin:end], events.firing[begin:end]
        for _, on, need in _needs(schedule, row, firing):
            window = max(window, int((done[on] - need).max(initial=1)))
        done[row] += 1
    return window


def _needs(schedule: Schedule, row: Ints, firing: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """First, second, … dependency of each event that has one: index into the arguments, row waited for, its firing."""
    begin = schedule.dep_offsets[row]
    degree = schedule.dep_offsets[row + 1] - begin
    for k in range(int(degree.max(initial=0))):
        which = np.flatnonzero(degree > k)
        need = needed(schedule, firing[which], begin[which] + k)
        real = need >= 0
        yield which[real], schedule.dep_row[begin[which] + k][real], need[real]
