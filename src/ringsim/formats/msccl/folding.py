"""Messages one after the other as rows that repeat: a ring's connection is one row again, whatever wrote the file.

A row's units follow a formula (`Schedule`), and so do its waits: firing *q* waits for firing *q − lag*. As many messages as
fit both go into one row, then the next begins.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ringsim.formats.msccl.formula import Formula, Shape, formula
from ringsim.formats.msccl.walk import Data
from ringsim.schedule import COLUMNS, Ints, Schedule, dependencies
from ringsim.values.waits import Bools


class Chain(NamedTuple):
    """What happens in one order: messages of a connection, or joins at a rank, where source and target are the same.

    Attributes
    ----------
    source, target, channel : int
    unit : int array, shape ``[messages]``
        First unit of each.
    shape : int array, shape ``[messages]``
        Its units relative to the first, as an index into a list of shapes.
    adds : bool array, shape ``[messages]``
        Whether they are added.
    taken_by, taken_at : int arrays, shape ``[messages]``
        The chain of joins that takes what is parked, and which join of it; −1 for what is not parked.
    """

    source: int
    target: int
    channel: int
    unit: Ints
    shape: Ints
    adds: Bools
    taken_by: Ints
    taken_at: Ints

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def joins(self) -> bool:
        """Whether nothing moves."""
        return self.source == self.target


class Wait(NamedTuple):
    """Number `at` of chain `chain` waits for number `on_at` of chain `on`; shape ``[waits]``."""

    chain: Ints
    at: Ints
    on: Ints
    on_at: Ints


class _Asked(NamedTuple):
    """What one chain waits for of another: at which of its own, for which, both ascending; and the last there is."""

    on: int
    at: list[int]
    on_at: list[int]
    last: int

    def lag(self, low: int, high: int) -> int | None:
        """The lag with which a row of `low` to `high` waits; None where it does not."""
        here = range(bisect_left(self.at, low), bisect_left(self.at, high))
        return min((self.at[i] - self.on_at[i] for i in here), default=None)

    def fits(self, low: int, high: int) -> bool:
        """Whether with that lag these wait for what they have to, and for no more than is known by then anyway."""
        lag = self.lag(low, high)
        if lag is None:
            return True
        first, end = bisect_left(self.at, low), bisect_left(self.at, high)
        known = self.on_at[first - 1] if first else -1
        for i in range(first, end + 1):
            # Up to the next wait, or to the end, all wait for what is known from the one before.
            until = self.at[i] if i < end else high
            if until > low and min(until - 1 - lag, self.last) > known and until - 1 - lag >= 0:
                return False
            known = self.on_at[i] if i < end else known
        return True


def _asked(chains: list[Chain], wait: Wait) -> list[list[_Asked]]:
    """Sort waits by the chain that waits, without those that are known already."""
    found: list[list[_Asked]] = [[] for _ in chains]
    order = np.lexsort((wait.on_at, wait.at, wait.on, wait.chain))
    chain, at, on, on_at = (column[order] for column in wait)
    opens = np.flatnonzero((np.diff(chain, prepend=-1) != 0) | (np.diff(on, prepend=-1) != 0))
    for low, high in pairwise([*opens.tolist(), len(order)]):
        where, what = at[low:high], np.maximum.accumulate(on_at[low:high])
        last = np.append(where[1:] != where[:-1], True)  # the most that is asked for at once
        where, what = where[last], what[last]
        new = np.diff(what, prepend=-1) > 0
        other = int(on[low])
        found[int(chain[low])].append(_Asked(other, where[new].tolist(), what[new].tolist(), len(chains[other]) - 1))
    return found


def fold(
    chains: list[Chain], shapes: list[Shape], wait: Wait, data: Data, ranks: int, channels: int
) -> Schedule:  # fmt: skip
    """Make a schedule of chains.

    Parameters
    ----------
    chains : list of Chain
    shapes : list of Shape
        Each is fit for a row of its own: `formula` has one for it.
    wait : Wait
    data : Data
    ranks, channels : int
    """
    asked = _asked(chains, wait)
    begins: list[list[int]] = [[] for _ in chains]
    columns: dict[str, list[int]] = {name: [] for name in COLUMNS}
    first_row = [0] * len(chains)

    def add(**said: int) -> None:
        for name, column in columns.items():
            column.append(said.get(name, 1 if name in ("modulus", "inner", "span", "pitch", "count") else 0))

    # Joins first: what is parked has to know which row of them takes it.
    order = sorted(range(len(chains)), key=lambda c: not chains[c].joins)
    for c in order:
        chain = chains[c]
        first_row[c] = len(columns["source"])
        for low, high, found in _segments(chain, shapes, asked[c], begins, data.units):
            begins[c].append(low)
            add(
                source=chain.source, target=chain.target, channel=chain.channel, count=high - low,
                reduces=int(chain.adds[low:high].sum()), **found._asdict(), span=len(shapes[chain.shape[low]]),
                parked=int(chain.taken_by[low] >= 0),
            )  # fmt: skip
    taken = _taken(chains, begins, first_row)
    waits, flags = list(taken.values()), dict[int, int]()
    for row, other, lag in _waits(chains, asked, begins, first_row):
        if other in taken and columns["source"][row] == columns["target"][row] == columns["target"][other]:
            # A join takes what is parked at its rank when it waits for it. Any other wait is for a flag at the source.
            if (row, other, lag) != taken[other]:
                if other not in flags:
                    flags[other] = len(columns["source"])
                    source, many = columns["source"][other], columns["count"][other]
                    add(source=source, target=source, count=many)
                    waits.append((flags[other], other, 0))
                waits.append((row, flags[other], lag))
        else:
            waits.append((row, other, lag))
    offsets, dep_row, dep_lag = dependencies(len(columns["source"]), *np.array(waits, np.int64).reshape(-1, 3).T)
    arrays = {name: np.array(column, bool if name == "parked" else np.int64) for name, column in columns.items()}
    return Schedule(
        ranks=ranks, units=data.units, parts=data.parts, channels=channels, begins=data.begins, ends=data.ends,
        **arrays, dep_offsets=offsets, dep_row=dep_row, dep_lag=dep_lag,
    )  # fmt: skip


def _segments(
    chain: Chain, shapes: list[Shape], asked: list[_Asked], begins: list[list[int]], units: int
) -> Iterable[tuple[int, int, Formula]]:
    """Cut a chain into rows."""
    size = len(chain)
    parked = chain.taken_by >= 0
    row_of = np.zeros(size, np.int64)  # of the join that takes
    for c in np.unique(chain.taken_by[parked]).tolist():
        here = chain.taken_by == c
        row_of[here] = np.searchsorted(begins[c], chain.taken_at[here], side="right")
    breaks = np.zeros(size, bool)
    for column in (chain.shape, chain.taken_by, row_of, np.where(parked, chain.taken_at - np.arange(size), 0)):
        breaks[1:] |= column[1:] != column[:-1]
    breaks[1:] |= chain.adds[1:] & ~chain.adds[:-1]
    bounds = [*np.flatnonzero(breaks).tolist(), size]

    def fit(low: int, high: int) -> Formula | None:
        if not all(some.fits(low, high) for some in asked):
            return None
        return formula(chain.unit[low:high], shapes[chain.shape[low]], units)

    low = 0
    for bound in bounds:
        while low < bound:
            high = _longest(fit, low, bound)
            found = fit(low, high)
            assert found  # a single one always fits
            yield low, high, found
            low = high


def _longest(fit: Callable[[int, int], Formula | None], low: int, bound: int) -> int:
    """The longest run from `low` on that fits; whatever is shorter than one that fits, fits."""
    if fit(low, bound):
        return bound
    good, step = low + 1, 1
    while good + step < bound and fit(low, good + step):
        good, step = good + step, 2 * step
    bad = min(good + step, bound)
    while good + 1 < bad:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fit(low, middle) else (good, middle)
    return good


def _waits(
    chains: list[Chain], asked: list[list[_Asked]], begins: list[list[int]], first_row: list[int]
) -> list[tuple[int, int, int]]:
    """Waits of rows for rows: (row, on, lag)."""
    waits = list[tuple[int, int, int]]()
    for c, chain in enumerate(chains):
        for nth, (low, high) in enumerate(pairwise([*begins[c], len(chain)])):
            row = first_row[c] + nth
            for some in asked[c]:
                lag = some.lag(low, high)
                if lag is None:
                    continue
                needs = max(low - lag, 0), min(high - 1 - lag, some.last)
                first, last = (bisect_right(begins[some.on], need) - 1 for need in needs)
                for other in range(first, last + 1):
                    if first_row[some.on] + other != row or not chain.joins:  # a join fires in order anyway
                        waits.append((row, first_row[some.on] + other, lag + begins[some.on][other] - low))
    return waits


def _taken(chains: list[Chain], begins: list[list[int]], first_row: list[int]) -> dict[int, tuple[int, int, int]]:
    """For each row that is parked how it is taken: (row of joins, row, lag)."""
    taken = {}
    for c, chain in enumerate(chains):
        for nth, low in enumerate(begins[c]):
            by, at = int(chain.taken_by[low]), int(chain.taken_at[low])
            if by >= 0:
                which = bisect_right(begins[by], at) - 1
                taken[first_row[c] + nth] = first_row[by] + which, first_row[c] + nth, at - begins[by][which]
    return taken
