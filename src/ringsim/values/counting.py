"""Count who ends with whose contribution.

Up to `MOST_COUNTED` ranks every contribution is counted in every unit. Beyond, two random 64-bit fingerprints find the
units that are worth counting: a wrong sum has the right two with a chance of 2^-128. Units never meet, so whatever does
not fit into memory is done in blocks of units.
"""

from collections.abc import Iterator

import numpy as np

from ringsim.schedule import EVERYONE, Ints
from ringsim.values.blame import POISON, blame
from ringsim.values.errors import ValuesError, rank
from ringsim.values.events import Events
from ringsim.values.running import Block, Room, Scattered, run, vertices
from ringsim.values.waits import Bools

MOST_COUNTED = 128  # ranks
MOST_BYTES = 1 << 28  # of vectors at a time, with what is under way between them


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
    for room in _rooms(events, 4 * schedule.ranks if counted else 16):
        if counted:
            _count(events, room)
        else:
            for unit in _suspects(events, room):
                _count(events, Block(vertices(schedule), range(unit, unit + 1)))


def _rooms(events: Events, width: int) -> Iterator[Room]:
    """Room for all units, a few at a time where vectors are `width` bytes for each unit."""
    schedule = events.schedule
    if ((schedule.begins != EVERYONE) & (schedule.ends != EVERYONE)).all():
        yield _scattered(events)
        return
    # Vectors of everybody, what moves in the fullest wave, and what may be parked.
    moving = schedule.span[events.row] * ~schedule.joins[events.row]
    fullest = np.add.reduceat(moving, events.bounds[:-1]).max() if len(events) else 0
    parked = moving[schedule.parked[events.row]].sum()
    holders = vertices(schedule)
    block = max(1, int(MOST_BYTES / width / (len(holders) + 2 * (fullest + parked) / schedule.units)))
    for low in range(0, schedule.units, block):
        yield Block(holders, range(low, min(low + block, schedule.units)))


def _scattered(events: Events) -> Scattered:
    """Room for whatever moves, begins or ends somewhere."""
    schedule, units = events.schedule, np.arange(events.schedule.units)
    moves = np.flatnonzero(~schedule.joins[events.row])
    which, unit = schedule.carried(events.row[moves], events.firing[moves])
    row = events.row[moves[which]]
    keys = [schedule.begins * len(units) + units, schedule.ends * len(units) + units]
    keys += [end[row] * len(units) + unit for end in (schedule.source, schedule.target)]
    return Scattered(np.unique(np.concatenate(keys)), range(schedule.units))


def _is(who: Ints, vertex: Ints, ranks: int) -> Bools:
    """Whether vertices are among those that `who` names, a rank or everyone; switches never are. They broadcast."""
    found: Bools = ((who == vertex) | (who == EVERYONE)) & (vertex < ranks)
    return found


def _count(events: Events, room: Room) -> None:
    """Raise ValuesError unless the right ranks have the right contributions once."""
    schedule, ranks = events.schedule, np.arange(events.schedule.ranks)
    vertex, unit = room.kept()
    # Integers might wrap round to a count of one; float32 is exact to 2^24 and never comes back from beyond.
    counts = np.zeros((len(vertex), len(ranks)), np.float32)
    own = np.flatnonzero(vertex < len(ranks))
    begins = _is(schedule.begins[unit[own]], vertex[own], len(ranks))
    counts[own, vertex[own]] = np.where(begins, 1, POISON)
    with np.errstate(over="ignore"):
        run(events, room, counts)
    ends = np.flatnonzero(_is(schedule.ends[unit], vertex, len(ranks)))
    wrong = counts[ends] != _is(schedule.begins[unit[ends], None], ranks, len(ranks))
    if wrong.any():
        at, of = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
        at = int(ends[at])
        where, which = int(vertex[at]), int(unit[at])
        what = blame(events, where, which, of, float(counts[at, of]))
        raise ValuesError(f"{rank(schedule, where)}, unit {which}: {what}")


def _suspects(events: Events, room: Room) -> list[int]:
    """Those of the units in which two random 64-bit fingerprints do not add up (mod 2^64) on every rank."""
    schedule, low = events.schedule, room.units.start
    vertex, unit = room.kept()
    state = np.random.default_rng(low).integers(0, 2**64, (len(vertex), 2), np.uint64)
    state[vertex >= schedule.ranks] = 0
    begins = _is(schedule.begins[unit], vertex, schedule.ranks)
    total = np.zeros((len(room.units), 2), np.uint64)
    np.add.at(total, unit[begins] - low, state[begins])
    run(events, room, state)
    ends = np.flatnonzero(_is(schedule.ends[unit], vertex, schedule.ranks))
    wrong = (state[ends] != total[unit[ends] - low]).any(axis=1)
    found: list[int] = np.unique(unit[ends[wrong]]).tolist()
    return found
