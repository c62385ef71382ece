"""What is parked at a rank, and the join that takes it: one, exactly, for everything that arrives."""

import numpy as np

from ringsim.schedule import Ints, Schedule
from ringsim.values.errors import ValuesError, name, rank
from ringsim.values.waits import Bools, waiting


def _takes(schedule: Schedule) -> Bools:
    """Dependencies by which a join takes what a row parks at its rank, shape ``[dependencies]``."""
    waits, on = waiting(schedule), schedule.dep_row
    found: Bools = schedule.joins[waits] & schedule.parked[on] & (schedule.source[waits] == schedule.target[on])
    return found


def taken(schedule: Schedule, row: Ints, firing: Ints) -> tuple[Ints, Ints]:
    """Which join takes what firings of rows that park bring, and with which of its firings.

    The first that waits for it or for a later one. A join that names a row twice waits for whichever is later.
    """
    takes = np.flatnonzero(_takes(schedule))
    on, lag = schedule.dep_row[takes], schedule.dep_lag[takes]
    join, least = np.full(schedule.rows, -1), np.full(schedule.rows, np.iinfo(np.int64).max)
    join[on] = waiting(schedule)[takes]
    np.minimum.at(least, on, lag)
    return join[row], np.maximum(firing + least[row], 0)


def check_parked(schedule: Schedule) -> None:
    """Raise ValuesError unless one join takes whatever is parked."""
    parked = np.flatnonzero(schedule.parked)
    if not len(parked):
        return
    takes = np.flatnonzero(_takes(schedule))
    pairs = np.unique(np.stack([schedule.dep_row[takes], waiting(schedule)[takes]]), axis=1)
    many = np.bincount(pairs[0], minlength=schedule.rows)
    if (many > 1).any():
        row = int(np.argmax(many > 1))
        one, two = pairs[1][pairs[0] == row][:2].tolist()
        _refuse(schedule, row, 0, f"is taken twice, by {name(schedule, one)} and by {name(schedule, two)}")
    if (many[parked] < 1).any():
        row = int(parked[np.argmin(many[parked])])
        _refuse(schedule, row, 0, "is never taken: no join there waits for it")
    last = schedule.count[parked] - 1
    join, taking = taken(schedule, parked, last)
    short = taking >= schedule.count[join]
    if short.any():
        i = int(np.argmax(short))
        row, late = int(parked[i]), int(taking[i] - schedule.count[join[i]])
        first = max(int(last[i]) - late, 0)
        _refuse(schedule, row, first, f"is never taken: {name(schedule, int(join[i]))} fires too seldom")


def _refuse(schedule: Schedule, row: int, firing: int, why: str) -> None:
    _, unit = schedule.carried(np.array([row]), np.array([firing]))
    where = rank(schedule, int(schedule.target[row]))
    raise ValuesError(f"{where}, unit {unit[0]}: what {name(schedule, row, firing)} parks there {why}")
