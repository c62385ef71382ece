"""What a schedule's rows carry, as far as a codec has to know: own data, sums, or codes that are passed on."""

import numpy as np
from numpy.typing import NDArray

from ringsim.schedule import Ints, Schedule

Bools = NDArray[np.bool_]


class Flow:
    """Rows of a schedule, and what comes to their senders before.

    Attributes
    ----------
    moves : bool array, shape ``[rows]``
        Rows that are no joins.
    reduces, copies : int arrays, shape ``[rows]``
        Firings that are added, and that overwrite.
    waiting : int array, shape ``[dependencies]``
        Who waits.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.moves = ~schedule.joins
        self.waiting: Ints = np.repeat(np.arange(schedule.rows), np.diff(schedule.dep_offsets))
        self.copies: Ints = np.where(self.moves, schedule.count - schedule.reduces, 0)
        self.reduces: Ints = np.where(self.moves, schedule.reduces, 0)

    def _brought(self, brings: Ints) -> Bools:
        """Rows that bring something, and joins that wait for one, directly or through joins."""
        found: Bools = brings > 0
        joined = self.schedule.joins[self.waiting]
        on, joins = self.schedule.dep_row[joined], self.waiting[joined]
        while True:
            more = found.copy()
            more[joins[found[on]]] = True
            if (more == found).all():
                return found
            found = more

    def fresh_copies(self) -> Ints:
        """Firings of each row, the first of its copies, that send a sum which nobody has encoded yet, shape ``[rows]``.

        They are those before which no copy has come to the sender: whatever he sends later has its code already.
        """
        schedule, brings = self.schedule, self._brought(self.copies)
        on, fresh = schedule.dep_row, self.copies.copy()
        late = np.flatnonzero(brings[on] & (self.copies[self.waiting] > 0))
        row = self.waiting[late]
        before = schedule.dep_lag[late] + self.reduces[on[late]] - self.reduces[row]
        # A join that waits for a copy may wait for it from its first firing on.
        before = np.where(schedule.joins[on[late]], schedule.dep_lag[late] - self.reduces[row], before)
        np.minimum.at(fresh, row, np.clip(before, 0, self.copies[row]))
        return fresh

    def own(self) -> Bools:
        """Rows that add, and whose first firing waits for nothing that is brought, shape ``[rows]``."""
        schedule = self.schedule
        brings = self._brought(self.reduces + self.copies)[schedule.dep_row]
        return (self.reduces > 0) & ~self._waits(brings & (schedule.joins[schedule.dep_row] | (schedule.dep_lag <= 0)))

    def alone(self) -> Bools:
        """Rows none of whose firings waits for anything that is brought, shape ``[rows]``."""
        return ~self._waits(self._brought(self.reduces + self.copies)[self.schedule.dep_row])

    def _waits(self, dependencies: Bools) -> Bools:
        found = np.zeros(self.schedule.rows, bool)
        found[self.waiting[dependencies]] = True
        return found

    def alike(self, rows: Ints, firings: Ints) -> tuple[Ints, Ints]:
        """Rows that carry the same units from the same rank and wait for the same.

        Returns
        -------
        first : int array, shape ``[groups]``
            Index into `rows` of one of each group.
        group : int array, shape of `rows`
        """
        schedule = self.schedule
        waits = np.zeros(schedule.rows, np.uint64)
        np.add.at(waits, self.waiting, _mixed(schedule.dep_row, schedule.dep_lag))
        columns = (schedule.source, schedule.base, schedule.first, schedule.stride, schedule.modulus, schedule.inner,
                   schedule.span, schedule.pitch)  # fmt: skip
        key = _mixed(*(column[rows] for column in columns), firings, waits[rows].view(np.int64))
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        return first, group


def _mixed(*columns: Ints) -> NDArray[np.uint64]:
    """A 64-bit hash of rows of numbers: the finaliser of SplitMix64 (Steele, Lea, Flood, 2014) after each column."""
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        key = (key + column.astype(np.int64).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key ^= key >> np.uint64(27)
    return key
