"""Dependencies as lists: who waits, and for whom.

The columns of a `Schedule` are kept by the row that waits; these are the other ways to go through them.
"""

import numpy as np
from numpy.typing import NDArray

from ringsim.schedule import Ints, Schedule

Bools = NDArray[np.bool_]


def spread(offsets: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Entries of a column that is kept by row: for each the index into `rows`, and that into the column."""
    begin = offsets[rows]
    size = offsets[rows + 1] - begin
    which = np.repeat(np.arange(len(rows)), size)
    return which, np.arange(len(which)) + np.repeat(begin - np.cumsum(size) + size, size)


def waiting(schedule: Schedule) -> Ints:
    """The row that each dependency belongs to, shape ``[dependencies]``."""
    return np.repeat(np.arange(schedule.rows), np.diff(schedule.dep_offsets))


def by_awaited(schedule: Schedule, keep: Bools | None = None) -> tuple[Ints, Ints]:
    """Dependencies sorted by the row that is waited for: offsets of shape ``[rows + 1]``, and their numbers.

    Parameters
    ----------
    schedule : Schedule
    keep : bool array, shape ``[dependencies]``, or None
        Those that count; None for all.
    """
    some = np.arange(len(schedule.dep_row)) if keep is None else np.flatnonzero(keep)
    on = schedule.dep_row[some]
    offsets = np.zeros(schedule.rows + 1, np.int64)
    np.cumsum(np.bincount(on, minlength=schedule.rows), out=offsets[1:])
    return offsets, some[np.argsort(on, kind="stable")]
