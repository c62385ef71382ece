"""Who reads and writes the same chunk of a gpu, and which additions must not happen where they arrive.

A thread block that adds reads a chunk and stores it again, so of two that do so at once one is lost. In a schedule two
REDUCEs may meet: children at a tree's parent, everybody at the owner of a block. Unless waits order them, what comes is set
aside in scratch and added in one order. What the schedule parks is set aside anyway.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ringsim.formats.msccl.runs import Runs, all_waits
from ringsim.schedule import EVERYONE, Ints
from ringsim.values.clocks import ordered, serial
from ringsim.values.waits import Bools

READ, ADD, COPY = range(3)

#: Seconds, roughly, that it may take to find out what is ordered; beyond, everything that meets is set aside.
PATIENCE_S = 60.0


@dataclass(frozen=True, eq=False)
class Aside:
    """What is received into scratch.

    Attributes
    ----------
    message : int array, shape ``[aside]``
        In the order in which each gpu adds them.
    index : int array, shape ``[messages]``
        Place in that list, −1 for what is not set aside.
    before, after : int arrays, shape ``[pairs]``
        Runs of which one is to be added after the other.
    """

    run: Ints
    index: Ints
    before: Ints
    after: Ints

    @property
    def here(self) -> Bools:
        """Which runs are set aside, shape ``[runs]``."""
        found: Bools = self.index >= 0
        return found


@dataclass(frozen=True, eq=False)
class Accesses:
    """Reads and writes by place, in the order of the schedule's waves.

    Attributes
    ----------
    place : int array, shape ``[accesses]``
        ``gpu * units + chunk``, ascending.
    event, kind, run : int arrays
        When, `READ`, `ADD` or `COPY`, and of which run.
    """

    found: Runs
    place: Ints
    event: Ints
    kind: Ints
    run: Ints

    @cached_property
    def read_of(self) -> tuple[Ints, Ints]:
        """Accesses that read for a run: where each run's begin, shape ``[runs + 1]``, and the accesses."""
        reads = np.flatnonzero(self.kind == READ)
        reads = reads[np.argsort(self.run[reads], kind="stable")]
        return np.searchsorted(self.run[reads], np.arange(len(self.found) + 1)), reads

    def forgotten(self, run: int) -> bool:
        """Whether nobody needs what this run read any more: it is overwritten before anyone looks at it."""
        offsets, reads = self.read_of
        at = reads[offsets[run] : offsets[run + 1]]
        behind = np.minimum(at + 1, len(self.place) - 1)
        another = (self.place[behind] == self.place[at]) & (behind > at)
        gpu, chunk = np.divmod(self.place[at], self.found.schedule.units)
        ends = self.found.ends_of_chunk[chunk]
        useless = np.where(another, self.kind[behind] == COPY, (ends != EVERYONE) & (ends != gpu))
        return bool(useless.all())


def _with_it(found: Runs, some: Ints, parked: Bools) -> Bools:
    """Which runs have to be set aside when some are, and those that come packed; shape ``[runs]``.

    All of an event, so that one step says that all is there; and what comes later on the same connection for the same
    chunk, so that it comes later there, too.
    """
    here, before = found.packed & ~parked, -1
    here[some] = True
    index, chunk = found.chunks(np.arange(len(found)))
    order = np.lexsort((index, chunk, found.connection[index]))
    index, chunk = index[order], chunk[order]
    same = np.cumsum((np.diff(chunk, prepend=-1) != 0) | (np.diff(found.connection[index], prepend=-1) != 0))
    while here.sum() != before:
        before = here.sum()
        events = np.zeros(len(found.events), bool)
        events[found.event[here]] = True
        here = events[found.event]
        since = np.maximum.accumulate(np.where(here[index], same, -1))
        here[index[since == same]] = True
        here &= ~parked
    return here


def accesses(found: Runs) -> Accesses:
    """List them."""
    index, chunk = found.chunks(np.arange(len(found)))
    units = found.schedule.units
    place = np.concatenate([found.source[index], found.target[index]]) * units + np.tile(chunk, 2)
    event = np.concatenate([found.event[index], found.writer[index]])
    kind = np.concatenate([np.full(len(index), READ), np.where(found.adds[index], ADD, COPY)])
    run = np.tile(index, 2)
    order = np.lexsort((run, kind, event, place))
    return Accesses(found, place[order], event[order], kind[order], run[order])


def aside(seen: Accesses) -> Aside:
    """Find out what has to be set aside."""
    found, schedule = seen.found, seen.found.schedule
    parked = schedule.parked[found.row]
    # Additions to one place with nothing in between are a series.
    meets = (np.diff(seen.place) == 0) & (seen.kind[1:] == ADD) & (seen.kind[:-1] == ADD)
    series = np.concatenate([[0], np.cumsum(~meets)])
    pairs = np.flatnonzero(meets)
    before, after = seen.run[pairs], seen.run[pairs + 1]
    # Whatever one block adds is in order.
    adder = np.where(parked, schedule.rows + found.events.row[found.writer], found.connection)
    apart = adder[before] != adder[after]
    pairs, before, after = pairs[apart], before[apart], after[apart]
    key, which = np.unique(found.writer[before] * len(found.events) + found.writer[after], return_inverse=True)
    sure = ordered(found.events, serial(schedule), *np.divmod(key, len(found.events)), patience=PATIENCE_S)
    loose = np.ones(len(pairs), bool) if sure is None else ~sure[which]

    some = np.isin(series, series[pairs[loose]]) & (seen.kind == ADD)
    here = parked | _with_it(found, np.unique(seen.run[some]), parked)
    turn = _turns(found)
    run = np.flatnonzero(here)
    run = run[np.lexsort((run, turn[found.writer[run]]))]
    index = np.full(len(found), -1)
    index[run] = np.arange(len(run))
    return Aside(run, index, *_one_by_one(seen, series, index))


def _one_by_one(seen: Accesses, series: Ints, index: Ints) -> tuple[Ints, Ints]:
    """Events that add to one place without an order of their own, each with the next: before, after."""
    found = seen.found
    adds = np.flatnonzero((index[seen.run] >= 0) & (seen.kind == ADD))
    adds = adds[np.lexsort((index[seen.run[adds]], series[adds]))]
    next_to = np.flatnonzero(np.diff(series[adds]) == 0)
    before, after = found.event[seen.run[adds[next_to]]], found.event[seen.run[adds[next_to + 1]]]
    once = np.unique(before * len(found.events) + after)
    before, after = np.divmod(once, len(found.events))
    apart = before != after
    return before[apart], after[apart]


def _turns(found: Runs) -> Ints:
    """An order of the events that respects all waits, shape ``[events]``.

    Those come first behind which most is left to do. So whoever waits for one that was added late would have waited for
    those before it anyway, as far as that can be: adding one by one then costs no time.
    """
    events, number = found.events, serial(found.schedule)
    waits = all_waits(events)
    place = number.start[events.row] + events.firing
    on_row = np.lexsort((place, number.connection[events.row]))
    same = np.diff(number.connection[events.row[on_row]]) == 0
    waiter = np.concatenate([waits.waiter, on_row[1:][same]])
    awaited = np.concatenate([waits.awaited, on_row[:-1][same]])
    weight = np.repeat([1, 0], [len(waits.waiter), int(same.sum())])
    left, asked = np.zeros(len(events), np.int64), np.zeros(len(events), np.int64)
    np.add.at(asked, waits.awaited, 1)
    # Whoever waits is in a later wave.
    order = np.argsort(-events.wave[waiter], kind="stable")
    waiter, awaited, weight = waiter[order], awaited[order], weight[order]
    bounds = np.flatnonzero(np.diff(events.wave[waiter], prepend=-1, append=-1))
    for low, high in pairwise(bounds.tolist()):
        here = slice(low, high)
        np.maximum.at(left, awaited[here], left[waiter[here]] + weight[here])
        free = weight[here] == 0
        np.add.at(asked, awaited[here][free], asked[waiter[here][free]])
    turn = np.empty(len(events), np.int64)
    turn[np.lexsort((np.arange(len(events)), -asked, -left))] = np.arange(len(events))
    return turn
