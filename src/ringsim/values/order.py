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

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.schedule import Ints, Schedule
from ringsim.values.events import Bools, Events, ValuesError, name, place, spread

READ, REDUCE, COPY = range(3)
_DOES = ("reads it", "adds to it", "overwrites it")

MOST_CLOCK_BYTES = 1 << 28  # of clocks at a time
MOST_PAIRS = 1 << 21  # at a time


class Meetings(NamedTuple):
    """Who meets whom: accesses by place, in turns of which each must follow all of the turn before at that place.

    Attributes
    ----------
    place, kind, event : int arrays, shape ``[accesses]``
        Sorted by place, then by event. A place is ``vertex * units + unit``.
    begins : int array, shape ``[turns + 1]``
        First access of each turn, and the number of accesses. A turn is a run of reads, a run of REDUCEs, or one COPY.
    follows : int array
        Turns that are not the first at their place.
    """

    place: Ints
    kind: Ints
    event: Ints
    begins: Ints
    follows: Ints


class Serial(NamedTuple):
    """Firings counted along their connections; every join counts as a connection of its own.

    Attributes
    ----------
    connection, start : int arrays, shape ``[rows]``
        Firing *q* of a row is number ``start + q`` on its connection.
    """

    connection: Ints
    start: Ints


def check_order(events: Events, effort: float = np.inf) -> int | None:
    """Check that firings that disagree are ordered by what they wait for and not by luck.

    Parameters
    ----------
    events : Events
    effort : float
        Entries of vector clocks to work out at most.

    Returns
    -------
    pairs : int or None
        How many there were to order; None where `effort` did not suffice.

    Raises
    ------
    ValuesError
        The message names rank, unit and both firings.
    """
    if not len(events):
        return 0
    schedule = events.schedule
    meetings, serial = _meetings(events), _serial(schedule)
    direct, clocks, pairs = _Direct(events, serial), _Clocks(events, serial, effort), 0
    for turns in _blocks(meetings):
        number, earlier, later, where = _pairs(events, meetings, serial, direct, turns)
        pairs += number
        open_ = np.flatnonzero(~direct(earlier, later))
        ordered = clocks(earlier[open_], later[open_])
        if ordered is None:
            return None
        if not ordered.all():
            _refuse(events, meetings, int(earlier[open_[np.argmin(ordered)]]), int(later[open_[np.argmin(ordered)]]), int(where[open_[np.argmin(ordered)]]))
    return pairs
