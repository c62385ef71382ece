"""A schedule while it is being drawn: rows are added a batch at a time, waits between them as they become known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringsim.schedule import COLUMNS, EVERYONE, Ints, Schedule, dependencies

#: As a lag: wait for all firings of a row.
ALL = None

_USUAL = {
    "channel": 0, "count": 1, "reduces": 0, "base": 0, "first": 0, "stride": 0,
    "modulus": 1, "inner": 1, "span": 1, "pitch": 1, "parked": False,
}  # fmt: skip


class Sketch:
    """Rows and waits, in the order in which they were drawn.

    Parameters
    ----------
    ranks, units : int
        As in `Schedule`.
    parts, channels : int
        As in `Schedule`; `parts` is all units where not given.
    begins, ends : int or int array, shape ``[units]``
        As in `Schedule`; every rank where not given, which is an all-reduce.
    """

    def __init__(
        self,
        ranks: int,
        units: int,
        *,
        parts: int | None = None,
        channels: int = 1,
        begins: Ints | int = EVERYONE,
        ends: Ints | int = EVERYONE,
    ) -> None:
        self.ranks, self.units, self.parts, self.channels = ranks, units, parts or units, channels
        self.begins, self.ends = (np.broadcast_to(np.asarray(who, np.int64), units) for who in (begins, ends))
        self.rows = 0
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
        self._waits: list[tuple[Ints, Ints, Ints]] = []

    def send(self, source: Ints, target: Ints, **columns: Ints | int | bool) -> Ints:
        """Add a row for every (source, target) that differ, and return their numbers.

        Parameters
        ----------
        source, target : int arrays that broadcast together
        **columns
            Other columns of `Schedule`, that broadcast with them; by default one firing of unit 0 on channel 0.

        Returns
        -------
        rows : int array, shape of `source` and `target` broadcast
            −1 where source and target are the same: whoever would send to himself has it already.
        """
        unknown = set(columns) - set(_USUAL)
        if unknown:
            raise TypeError(f"no such column: {', '.join(sorted(unknown))}")
        names = ["source", "target", *_USUAL]
        given = np.broadcast_arrays(source, target, *(np.asarray({**_USUAL, **columns}[name]) for name in _USUAL))
        keep = given[0] != given[1]
        return self._add({name: column[keep] for name, column in zip(names, given, strict=True)}, keep)

    def join(self, rank: Ints, count: int = 1) -> Ints:
        """Add a join of `count` firings at each rank, and return their numbers, shape like `rank`."""
        rank = np.asarray(rank, np.int64)
        columns = {"source": rank, "target": rank} | {name: np.full(rank.shape, v) for name, v in _USUAL.items()}
        return self._add(columns | {"count": np.full(rank.shape, count)}, np.ones(rank.shape, bool))

    def _add(self, columns: dict[str, NDArray[Any]], keep: NDArray[np.bool_]) -> Ints:
        for name, column in columns.items():
            self._columns[name].append(column.ravel())
        numbers = np.full(keep.shape, -1)
        added = int(keep.sum())
        numbers[keep] = self.rows + np.arange(added)
        self.rows += added
        return numbers

    def wait(self, rows: Ints, on: Ints, lag: Ints | int | None = 0) -> None:
        """Let firing *q* of `rows` wait for firing ``q − lag`` of `on`; all three broadcast.

        Where either row is −1 there is nothing to wait for. With lag `ALL` every firing waits for all of them.
        """
        if lag is ALL:
            count = np.concatenate([*self._columns["count"], [0]])  # the last for −1
            lag = 1 - count[np.asarray(on)]
        rows, on, lag = (a.ravel() for a in np.broadcast_arrays(rows, on, lag))
        real = (rows >= 0) & (on >= 0)
        self._waits.append((rows[real], on[real], lag[real]))

    def schedule(self) -> Schedule:
        """Finish."""
        columns = {name: np.concatenate([np.zeros(0, np.int64), *parts]) for name, parts in self._columns.items()}
        columns["parked"] = columns["parked"].astype(bool)
        waits = [np.concatenate([np.zeros(0, np.int64), *part]) for part in zip(*self._waits, strict=True)] or [
            np.zeros(0, np.int64)
        ] * 3
        offsets, dep_row, dep_lag = dependencies(self.rows, *waits)
        return Schedule(
            ranks=self.ranks, units=self.units, parts=self.parts, channels=self.channels,
            begins=self.begins, ends=self.ends, **columns,
            dep_offsets=offsets, dep_row=dep_row, dep_lag=dep_lag,
        )  # fmt: skip
