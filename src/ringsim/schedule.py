"""A schedule: who sends what to whom, how many times, after what. It knows no link and no second.

One *row* is one connection that repeats: a thousand-card ring is a thousand rows of 2·1023 firings, not two million
sends. Everything the engines, the values proof and the exporters need is in the columns below; whoever writes an
algorithm writes a function that fills them.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class ScheduleError(ValueError):
    """A schedule that cannot mean what it says; the message names the row."""


#: In `begins` and `ends`: every rank.
EVERYONE = -1

#: Columns of a schedule with one entry for each row.
COLUMNS = (
    "source", "target", "channel", "count", "reduces",
    "base", "first", "stride", "modulus", "inner", "span", "pitch", "parked",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Schedule:
    """A collective as repeated sends between ranks.

    The data is cut into `units` of equal size. All columns but the dependencies have shape ``[rows]``.

    Attributes
    ----------
    ranks, units : int
    parts : int
        Units that make up the vector of which the size is given: all of them, except in an all-to-all.
    channels : int
        Paths side by side, among which a library divides what it can carry from card to card.
    begins, ends : int arrays, shape ``[units]``
        The rank that contributes to a unit, and the one that must end with the sum of the contributions; `EVERYONE`
        for all of them. This is what makes a collective an all-reduce, an all-gather or a broadcast.
    source, target, channel : int arrays
        The connection. Rows of one connection leave in row order, each when the one before has left entirely. Ends from
        `ranks` on are switches (vertices of the topology) that add and forward. Where source and target are the same the
        row is a *join*: nothing moves, a firing is there as soon as all that it waits for is.
    count : int array
        Firings of each row.
    reduces : int array
        The first `reduces` firings add into the target's units (REDUCE), the others overwrite them (COPY).
    base, first, stride, modulus, inner, span, pitch : int arrays
        Firing *q* carries, for *i* from 0 to span − 1, unit
        ``base + ((first + stride·(q // inner) + pitch·i) mod modulus)·inner + q mod inner``.
    parked : bool array
        The target sets aside what arrives until a join of its own that waits for it fires: whoever sends what he is about
        to add to needs that.
    dep_offsets : int array, shape ``[rows + 1]``
    dep_row, dep_lag : int arrays, shape ``[dependencies]``
        Row *v* depends on rows ``dep_row[dep_offsets[v]:dep_offsets[v + 1]]``: its firing *q* waits until their firing
        ``q − lag`` has been delivered; where that is negative for nothing, where it is beyond the last for the last.
        A lag may be negative: ``1 − count`` of a row waits for all of it.
    """

    ranks: int
    units: int
    parts: int
    channels: int
    begins: Ints
    ends: Ints
    source: Ints
    target: Ints
    channel: Ints
    count: Ints
    reduces: Ints
    base: Ints
    first: Ints
    stride: Ints
    modulus: Ints
    inner: Ints
    span: Ints
    pitch: Ints
    parked: NDArray[np.bool_]
    dep_offsets: Ints
    dep_row: Ints
    dep_lag: Ints

    def __post_init__(self) -> None:
        rows = len(self.source)
        for name in COLUMNS:
            if getattr(self, name).shape != (rows,):
                raise ScheduleError(f"column {name} has shape {getattr(self, name).shape}, source has ({rows},)")
        for bad, what in (
            (self.source < 0, "source is no rank"),
            (self.target < 0, "target is no rank"),
            (self.channel < 0, "channel is below 0"),
            (self.count < 1, "count is below 1"),
            ((self.reduces < 0) | (self.reduces > self.count), "reduces is not within 0..count"),
            ((self.modulus < 1) | (self.inner < 1), "modulus and inner must be at least 1"),
            ((self.span < 1) | (self.span > self.modulus), "span is not within 1..modulus"),
            (self.joins & self.parked, "a join has nothing to park"),
            ((self.base < 0) | (self._last_unit() >= self.units), "units run past the vector"),
        ):
            if bad.any():
                raise ScheduleError(f"row {int(np.argmax(bad))}: {what}")
        for name in ("begins", "ends"):
            who = getattr(self, name)
            if who.shape != (self.units,) or ((who < EVERYONE) | (who >= self.ranks)).any():
                raise ScheduleError(f"{name} must hold a rank, or -1 for every rank, for each of {self.units} units")
        if not 1 <= self.parts <= self.units or self.channels < 1:
            raise ScheduleError("parts must be within 1..units, and channels at least 1")
        if self.dep_offsets.shape != (rows + 1,) or self.dep_row.shape != self.dep_lag.shape:
            raise ScheduleError("dependency columns do not fit together")
        ends = self.dep_offsets[0], self.dep_offsets[-1]
        if ends != (0, len(self.dep_row)) or (np.diff(self.dep_offsets) < 0).any():
            raise ScheduleError("dependency offsets must rise from 0 to the number of dependencies")
        if len(self.dep_row) and (self.dep_row.min() < 0 or self.dep_row.max() >= rows):
            raise ScheduleError("a dependency names a row that does not exist")

    def _last_unit(self) -> Ints:
        """Highest unit that a row could carry if it fired for ever, shape ``[rows]``."""
        # Blocks move in steps of what first, stride and pitch have in common.
        apart = np.maximum(np.gcd(np.gcd(self.stride, self.pitch), self.modulus), 1)
        block = self.modulus - apart + self.first % apart
        last: Ints = self.base + block * self.inner + self.inner - 1
        return last

    @property
    def rows(self) -> int:
        """Connections, each repeated `count` times."""
        return len(self.source)

    @property
    def transfers(self) -> int:
        """Firings of all rows together."""
        return int(self.count.sum())

    def placed(self, cards: Ints) -> "Schedule":
        """Let card ``cards[r]`` do what rank *r* does here; switches stay where they are.

        Parameters
        ----------
        cards : int array, shape ``[ranks]``
            A permutation.
        """
        everyone = np.append(cards, [EVERYONE])  # so that -1 finds itself
        source, target = (
            np.where(end < self.ranks, cards[np.minimum(end, self.ranks - 1)], end)
            for end in (self.source, self.target)
        )
        return replace(self, source=source, target=target, begins=everyone[self.begins], ends=everyone[self.ends])

    @cached_property
    def joins(self) -> NDArray[np.bool_]:
        """Which rows are joins, shape ``[rows]``."""
        return np.asarray(self.source == self.target)

    @cached_property
    def places(self) -> int:
        """Ranks, and switches that take part, counted up to the last that does."""
        return max([self.ranks, *(int(end.max()) + 1 for end in (self.source, self.target) if len(end))])

    @cached_property
    def after(self) -> Ints:
        """Row that must have left before row *v* begins, −1 for none: the row before it on the same connection."""
        order = np.lexsort((np.arange(self.rows), self.channel, self.target, self.source))
        key = np.stack([self.source, self.target, self.channel])[:, order]
        same = (key[:, 1:] == key[:, :-1]).all(axis=0) & (key[0, 1:] != key[1, 1:])
        after = np.full(self.rows, -1, np.int64)
        after[order[1:][same]] = order[:-1][same]
        return after

    def carried(self, row: Ints, firing: Ints) -> tuple[Ints, Ints]:
        """Units that firings carry: for each (firing, unit) the index into the arguments, and the unit.

        Parameters
        ----------
        row, firing : int arrays, shape ``[n]``

        Returns
        -------
        which, unit : int arrays, shape ``[sum of the rows' spans]``
        """
        span = self.span[row]
        which = np.repeat(np.arange(len(row)), span)
        nth = np.arange(len(which)) - np.repeat(np.cumsum(span) - span, span)
        row, firing = row[which], firing[which]
        outer, within = firing // self.inner[row], firing % self.inner[row]
        block = (self.first[row] + self.stride[row] * outer + self.pitch[row] * nth) % self.modulus[row]
        unit: Ints = self.base[row] + block * self.inner[row] + within
        return which, unit


def dependencies(rows: int, waiting: Ints, on: Ints, lag: Ints) -> tuple[Ints, Ints, Ints]:
    """Sort (row *waiting* waits on row *on* with *lag*) triples into the three dependency columns."""
    order = np.argsort(waiting, kind="stable")
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(waiting, minlength=rows), out=offsets[1:])
    return offsets, on[order].astype(np.int64), lag[order].astype(np.int64)
