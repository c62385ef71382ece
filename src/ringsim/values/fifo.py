"""Whether receive buffers are deep enough: a schedule that is right with endless buffers may still stand still.

Every connection has `depth` slots at its receiver, as in NCCL. A firing takes a slot when it is sent. The slot is free
once every row of the target that waits for exactly this firing has sent the firing that does: the first one, where
several wait for the last firing of a row. NCCL's fused receive-reduce-send is like that. Where none waits for
exactly this firing it is taken on arrival. Slots are used in turn. So firing *n* of a connection waits, beyond all that
it waits for anyway, until the slot of firing *n* − `depth` is free. Nothing else changes, and whether somebody then
waits in a circle does not depend on the timing.
"""

from dataclasses import dataclass

import numpy as np

from ringsim.schedule import Ints, Schedule
from ringsim.values.errors import StuckError
from ringsim.values.events import waves
from ringsim.values.waits import Bools, by_awaited, spread, waiting


@dataclass(frozen=True)
class Fifo:
    """What became of a schedule with finite buffers.

    Attributes
    ----------
    depth : int
        Slots of each connection that were asked about.
    smallest : int
        Fewest with which nobody waits for ever.
    deadlock : StuckError or None
        Who waits for whom in a circle with `depth` slots; None where nobody does.
    """

    depth: int
    smallest: int
    deadlock: StuckError | None


def fifo(schedule: Schedule, depth: int = 8) -> Fifo:
    """Say whether receive buffers of `depth` slots are enough, and how many are.

    Parameters
    ----------
    schedule : Schedule
    depth : int
        Slots of each connection (source, target, channel), at least 1.

    Raises
    ------
    ValueError
        If `depth` is below 1.
    ValuesError
        If rows wait in a circle without any limit.
    """
    if depth < 1:
        raise ValueError(f"depth = {depth}: at least 1")
    slots = _Slots(schedule)
    deadlock = slots.try_with(depth)
    circle = deadlock and slots.try_with(slots.most)
    if circle:
        raise circle
    # What works with some slots works with more, so halve the range until it is found.
    low, high = (depth, slots.most) if deadlock else (0, min(depth, slots.most))
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if slots.try_with(middle) else (low, middle)
    return Fifo(depth, high, deadlock)


class _Slots:
    """Holds back firings that have no slot; a `Limit` for `waves`."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule, self.depth = schedule, 1
        # Firings numbered connection after connection.
        self._order = np.lexsort((np.arange(schedule.rows), schedule.channel, schedule.target, schedule.source))
        end = np.cumsum(schedule.count[self._order])
        self._start = np.empty(schedule.rows, np.int64)
        self._start[self._order] = end - schedule.count[self._order]
        opens = schedule.after[self._order] < 0
        opening = np.maximum.accumulate(np.where(opens, np.arange(schedule.rows), 0))
        self._opening = np.empty(schedule.rows, np.int64)
        self._opening[self._order] = self._start[self._order][opening]
        used = self._start + schedule.count - self._opening
        #: With as many slots nobody ever waits for one.
        self.most = int(np.where(schedule.joins, 1, used).max(initial=1))
        self._waits = waiting(schedule)
        at_target = schedule.source[self._waits] == schedule.target[schedule.dep_row]
        self._offsets, self._awaited = by_awaited(schedule, at_target & ~schedule.joins[schedule.dep_row])

    def try_with(self, depth: int) -> StuckError | None:
        """Run with so many slots; return what went wrong."""
        self.depth = depth
        try:
            for _ in waves(self.schedule, self):
                pass
        except StuckError as error:
            return error
        return None

    def free(self, rows: Ints, done: Ints) -> Bools:
        """Which of the rows have a slot for their next firing, shape of `rows`."""
        free = np.ones(len(rows), bool)
        wanting, _ = self._holders(rows, done)
        free[wanting] = False
        return free

    def holder(self, row: int, done: Ints) -> int:
        """A row that has to send before `row` gets a slot."""
        _, holder = self._holders(np.array([row]), done)
        return int(holder[0])

    def _holders(self, rows: Ints, done: Ints) -> tuple[Ints, Ints]:
        """For each row without a slot and each row that has yet to free it: index into `rows`, and that row."""
        schedule = self.schedule
        slot = self._start[rows] + done[rows] - self.depth
        taken = np.flatnonzero((slot >= self._opening[rows]) & ~schedule.joins[rows])
        slot = slot[taken]
        ordered = self._start[self._order]
        occupant = self._order[np.searchsorted(ordered, slot, side="right") - 1]
        firing = slot - self._start[occupant]
        which, index = spread(self._offsets, occupant)
        dependency = self._awaited[index]
        waiter, at = self._waits[dependency], firing[which] + schedule.dep_lag[dependency]
        last = firing[which] == schedule.count[occupant][which] - 1
        at = np.where(last, np.maximum(at, 0), at)
        holds = (at >= 0) & (at < schedule.count[waiter]) & (done[waiter] <= at)
        return taken[which[holds]], waiter[holds]
