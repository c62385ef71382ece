"""A schedule: who sends what to whom, how many times, after what. It knows no link and no second.

One *row* is one connection that repeats: a thousand-card ring is a thousand rows of 2·1023 firings, not two million
sends. Everything the engines, the values proof and the exporters need is in the columns below; whoever writes an
algorithm writes a function that fills them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class ScheduleError(ValueError):
    """A schedule that cannot mean what it says; the message names the row."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """A collective as repeated sends between ranks.

    The vector that is reduced is cut into `units` equal units. All columns but the dependencies have shape ``[rows]``.

    Attributes
    ----------
    ranks, units : int
    source, target, channel : int arrays
        The connection. Rows of one connection leave in row order, each when the one before has left entirely.
    count : int array
        Firings of each row.
    reduces : int array
        The first `reduces` firings add into the target's units (REDUCE), the others overwrite them (COPY).
    base, first, stride, modulus, inner : int arrays
        Firing *q* carries unit ``base + ((first + stride·(q // inner)) mod modulus)·inner + q mod inner``.
    dep_offsets : int array, shape ``[rows + 1]``
    dep_row, dep_lag : int arrays, shape ``[dependencies]``
        Row *v* depends on rows ``dep_row[dep_offsets[v]:dep_offsets[v + 1]]``: its firing *q* waits until their firing
        ``q − lag`` has been delivered; where that is negative for nothing, where it is beyond the last for the last.
        A lag may be negative: ``1 − count`` of a row waits for all of it.
    """

    ranks: int
    units: int
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
    dep_offsets: Ints
    dep_row: Ints
    dep_lag: Ints

    def __post_init__(self) -> None:
        rows = len(self.source)
        for name in ("target", "channel", "count", "reduces", "base", "first", "stride", "modulus", "inner"):
            if getattr(self, name).shape != (rows,):
                raise ScheduleError(f"column {name} has shape {getattr(self, name).shape}, source has ({rows},)")
        for bad, what in (
            ((self.source < 0) | (self.source >= self.ranks), "source is no rank"),
            ((self.target < 0) | (self.target >= self.ranks), "target is no rank"),
            (self.source == self.target, "source and target are one rank"),
            (self.count < 1, "count is below 1"),
            ((self.reduces < 0) | (self.reduces > self.count), "reduces is not within 0..count"),
            ((self.modulus < 1) | (self.inner < 1), "modulus and inner must be at least 1"),
            ((self.base < 0) | (self.base + self.modulus * self.inner > self.units), "units run past the vector"),
        ):
            if bad.any():
                raise ScheduleError(f"row {int(np.argmax(bad))}: {what}")
        if self.dep_offsets.shape != (rows + 1,) or self.dep_row.shape != self.dep_lag.shape:
            raise ScheduleError("dependency columns do not fit together")
        ends = self.dep_offsets[0], self.dep_offsets[-1]
        if ends != (0, len(self.dep_row)) or (np.diff(self.dep_offsets) < 0).any():
            raise ScheduleError("dependency offsets must rise from 0 to the number of dependencies")
        if len(self.dep_row) and (self.dep_row.min() < 0 or self.dep_row.max() >= rows):
            raise ScheduleError("a dependency names a row that does not exist")

    @property
    def rows(self) -> int:
        """Connections, each repeated `count` times."""
        return len(self.source)

    @property
    def transfers(self) -> int:
        """Firings of all rows together."""
        return int(self.count.sum())

    @cached_property
    def after(self) -> Ints:
        """Row that must have left before row *v* begins, −1 for none: the row before it on the same connection."""
        order = np.lexsort((np.arange(self.rows), self.channel, self.target, self.source))
        key = np.stack([self.source, self.target, self.channel])[:, order]
        same = (key[:, 1:] == key[:, :-1]).all(axis=0)
        after = np.full(self.rows, -1, np.int64)
        after[order[1:][same]] = order[:-1][same]
        return after

    def unit(self, row: Ints, firing: Ints) -> Ints:
        """Unit that `firing` of `row` carries, shape like the arguments."""
        outer, within = firing // self.inner[row], firing % self.inner[row]
        block = (self.first[row] + self.stride[row] * outer) % self.modulus[row]
        unit: Ints = self.base[row] + block * self.inner[row] + within
        return unit


def dependencies(rows: int, waiting: Ints, on: Ints, lag: Ints) -> tuple[Ints, Ints, Ints]:
    """Sort (row *waiting* waits on row *on* with *lag*) triples into the three dependency columns."""
    order = np.argsort(waiting, kind="stable")
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(waiting, minlength=rows), out=offsets[1:])
    return offsets, on[order].astype(np.int64), lag[order].astype(np.int64)
