"""What a schedule moves as MSCCL has it: runs of chunks that lie side by side, from one gpu to another.

Chunks are units in another order: so that what one firing carries lies together as far as possible, and so that in an
all-gather or a reduce-scatter the chunks of each rank are where MPI wants them. A firing whose chunks do not lie together
has several runs. It is one message all the same: they are packed into scratch before it goes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ringsim.formats.msccl.algo import MscclError
from ringsim.formats.msccl.files import MOST_STEPS
from ringsim.schedule import EVERYONE, Ints, Schedule
from ringsim.values.clocks import needed, serial
from ringsim.values.events import Events, collect
from ringsim.values.waits import Bools, spread


class Waits(NamedTuple):
    """Event `waiter` waits until event `awaited` has been delivered, shape ``[pairs]``."""

    waiter: Ints
    awaited: Ints


@dataclass(frozen=True, eq=False)
class Runs:
    """Everything that moves, connection after connection and in the order of sending; shape ``[runs]``.

    Attributes
    ----------
    events : Events
        All firings of the schedule.
    collective : str
        In MSCCL's words.
    chunk_of : int array, shape ``[units]``
    event : int array
        The firing that a run is part of.
    start, count : int arrays
        First chunk, and how many.
    connection : int array
        The first row on the connection.
    """

    events: Events
    collective: str
    chunk_of: Ints
    event: Ints
    start: Ints
    count: Ints
    connection: Ints

    def __len__(self) -> int:
        return len(self.event)

    @property
    def schedule(self) -> Schedule:
        """Where they come from."""
        return self.events.schedule

    @property
    def row(self) -> Ints:
        """Row of each."""
        return self.events.row[self.event]

    @cached_property
    def source(self) -> Ints:
        """Gpu that sends each."""
        return self.schedule.source[self.row]

    @cached_property
    def target(self) -> Ints:
        """Gpu that receives each."""
        return self.schedule.target[self.row]

    @cached_property
    def adds(self) -> Bools:
        """Whether each is added to what the target has."""
        found: Bools = self.events.firing[self.event] < self.schedule.reduces[self.row]
        return found

    @cached_property
    def writer(self) -> Ints:
        """The event that writes each: its own, or the join that takes what was parked."""
        return self.events.writer[self.event]

    @cached_property
    def first(self) -> Ints:
        """First run of each event, −1 for joins, shape ``[events]``."""
        found = np.full(len(self.events), -1)
        found[self.event[::-1]] = np.arange(len(self))[::-1]
        return found

    @cached_property
    def last(self) -> Ints:
        """Last run of each event, −1 for joins, shape ``[events]``."""
        found = np.full(len(self.events), -1)
        found[self.event] = np.arange(len(self))
        return found

    @cached_property
    def packed(self) -> Bools:
        """Whether each is one of several of its event."""
        found: Bools = (self.first != self.last)[self.event]
        return found

    @cached_property
    def size(self) -> Ints:
        """Chunks of each event, 0 for joins, shape ``[events]``."""
        return np.bincount(self.event, weights=self.count, minlength=len(self.events)).astype(np.int64)

    @cached_property
    def ends_of_chunk(self) -> Ints:
        """Who must end with each chunk, as in `Schedule.ends`."""
        found = np.empty(self.schedule.units, np.int64)
        found[self.chunk_of] = self.schedule.ends
        return found

    def chunks(self, which: Ints) -> tuple[Ints, Ints]:
        """For each chunk of these runs the index into `which`, and the chunk."""
        count = self.count[which]
        index = np.repeat(np.arange(len(which)), count)
        return index, self.start[which][index] + np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)


def runs(schedule: Schedule) -> Runs:
    """Cut what a schedule moves into runs of chunks.

    Raises
    ------
    MscclError
        If MSCCL cannot say it, or only at too great a length.
    ValuesError
        If rows wait in a circle.
    """
    if schedule.places > schedule.ranks:
        raise MscclError("the schedule adds in switches; MSCCL's steps run on gpus, so name another algorithm")
    collective, owner = _collective(schedule)
    moves = ~schedule.joins
    sends = float((schedule.count[moves].astype(float)).sum())
    if 2 * sends > MOST_STEPS:
        raise _too_long(2 * sends)
    events = collect(schedule)
    chunk_of = _layout(schedule, owner)

    numbers = serial(schedule)
    event = np.flatnonzero(moves[events.row])
    row = events.row[event]
    event = event[np.lexsort((numbers.start[row] + events.firing[event], numbers.connection[row]))]
    which, unit = schedule.carried(events.row[event], events.firing[event])
    chunk = chunk_of[unit]
    begins = np.flatnonzero((np.diff(which, prepend=-1) != 0) | (np.diff(chunk, prepend=-2) != 1))
    if 2 * len(begins) > MOST_STEPS:
        raise _too_long(2 * len(begins))
    event = event[which[begins]]
    return Runs(
        events, collective, chunk_of, event, chunk[begins], np.diff(begins, append=len(chunk)),
        numbers.connection[events.row[event]],
    )  # fmt: skip


def _too_long(steps: float) -> MscclError:
    return MscclError(
        f"the file would have {steps:,.0f} steps, {MOST_STEPS:,} are the most; use fewer cards, rings, slices or chunks"
    )


def _collective(schedule: Schedule) -> tuple[str, Ints | None]:
    """MSCCL's word for what a schedule does, and which rank owns each unit, None where everyone does."""
    everyone = [bool((who == EVERYONE).all()) for who in (schedule.begins, schedule.ends)]
    if all(everyone):
        return "allreduce", None
    owner = schedule.ends if everyone[0] else schedule.begins
    if any(everyone) and (owner >= 0).all():
        each = np.bincount(owner, minlength=schedule.ranks)
        if (each == each[0]).all():
            return ("reducescatter" if everyone[0] else "allgather"), owner
        if (each > 0).all():
            raise MscclError(
                f"ranks own {each.min()} to {each.max()} units; MSCCL gives each the same, so use a cluster of whole nodes"
            )
    raise MscclError("MSCCL files are written for all-reduce, all-gather and reduce-scatter; name one of these")


def _layout(schedule: Schedule, owner: Ints | None) -> Ints:
    """Chunk of each unit: the owner's together, or what firings carry."""
    chunk, unit = np.empty(schedule.units, np.int64), np.arange(schedule.units)
    if owner is not None:
        chunk[np.argsort(owner, kind="stable")] = unit
        return chunk
    # Several blocks in one firing are `inner` units apart: put those of equal rest together.
    many = schedule.span > 1
    inners = np.unique(schedule.inner[many]).tolist()
    if len(inners) == 1 and not schedule.units % inners[0] and not (schedule.base[many] % inners[0]).any():
        rest, block = unit % inners[0], unit // inners[0]
        return np.asarray(rest * (schedule.units // inners[0]) + block)
    return unit


def all_waits(events: Events) -> Waits:
    """What every firing waits for, joins too."""
    schedule = events.schedule
    which, dependency = spread(schedule.dep_offsets, events.row)
    need = needed(schedule, events.firing[which], dependency)
    real = need >= 0
    return Waits(which[real], events.at(schedule.dep_row[dependency[real]], need[real]))


def without_joins(waits: Waits, events: Events, gone: Bools) -> Waits:
    """Waits with the joins that are `gone` replaced by what these wait for, shape ``[events]``.

    A step may wait for several others in MSCCL, but only for steps that do something.
    """
    order = np.argsort(waits.waiter, kind="stable")
    offsets = np.zeros(len(events) + 1, np.int64)
    np.cumsum(np.bincount(waits.waiter, minlength=len(events)), out=offsets[1:])
    behind = waits.awaited[order]
    kept = ~gone[waits.waiter]
    waiter, awaited = waits.waiter[kept], waits.awaited[kept]
    while (joins := gone[awaited]).any():
        which, index = spread(offsets, awaited[joins])
        waiter = np.concatenate([waiter[~joins], waiter[joins][which]])
        awaited = np.concatenate([awaited[~joins], behind[index]])
        key = np.unique(waiter * len(events) + awaited)
        waiter, awaited = np.divmod(key, len(events))
    return Waits(waiter, awaited)
