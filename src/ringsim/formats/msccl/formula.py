"""Which units a row carries: `Schedule`'s formula, found from the units of messages that follow each other."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ringsim.schedule import Ints

#: Units of a message relative to the first.
Shape = tuple[int, ...]


class Formula(NamedTuple):
    """Units of a row, as in `Schedule`."""

    base: int
    first: int
    stride: int
    modulus: int
    inner: int
    pitch: int


def pieces(units: Sequence[int], total: int) -> list[tuple[int, Shape, Formula]]:
    """Cut the units of a message so that a row can say each piece: first unit, shape and formula. As a rule that is one."""
    shape = tuple(unit - units[0] for unit in units)
    if shape == tuple(range(len(shape))):
        return [(units[0], shape, Formula(units[0], 0, 0, len(shape), 1, 1))]
    found = formula(np.array(units[:1]), shape, total)
    if found:
        return [(units[0], shape, found)]
    runs = [[unit for _, unit in run] for _, run in groupby(enumerate(units), key=lambda item: item[1] - item[0])]
    return [(run[0], tuple(range(len(run))), Formula(run[0], 0, 0, len(run), 1, 1)) for run in runs]


def formula(unit: Ints, shape: Shape, units: int) -> Formula | None:
    """Find a formula for messages with these first units, all of one shape; None where there is none."""
    if shape != tuple(range(len(shape))):
        return _scattered(unit, shape, units)
    steps, slices = np.diff(unit), [1]
    if len(shape) == 1 and len(steps) and steps[0] == 1:
        broken = np.flatnonzero(steps != 1)
        slices = [int(broken[0]) + 1, 1] if len(broken) else [1]
    for inner in slices:
        blocks, slice_of = unit[::inner], unit[: len(unit) // inner * inner].reshape(-1, inner)
        rest = unit[len(slice_of) * inner :]
        if (slice_of != slice_of[:, :1] + np.arange(inner)).any() or (rest != blocks[-1:] + np.arange(len(rest))).any():
            continue
        found = _round(blocks, inner, len(shape), units)
        if found:
            return found
    return None


def _scattered(unit: Ints, shape: Shape, units: int) -> Formula | None:
    """The same for units that do not follow each other, slice by slice of the same blocks."""
    if (unit != unit[0] + np.arange(len(unit))).any():
        return None
    found = _round(unit[0] + np.array(shape), len(unit), 1, units)
    return found and found._replace(stride=0, pitch=found.stride)


def _round(blocks: Ints, inner: int, span: int, units: int) -> Formula | None:
    """The same for slices of blocks: they stand equally far apart, and may begin again from the other end."""
    low = int(blocks.min())
    if ((blocks - low) % inner).any():
        return None
    place = (blocks - low) // inner
    top = int(place.max()) + span
    steps = np.unique(np.diff(place)).tolist()
    if len(steps) > 2:
        return None
    stride = steps[0] if steps else 0
    modulus = steps[1] - steps[0] if len(steps) == 2 else top
    if len(steps) == 2 and np.diff(place)[0] == steps[1]:
        stride = steps[1]
    # A modulus that reaches past the vector may begin further down.
    down = max(-(-(low + modulus * inner - units) // inner), 0)
    base, first = low - down * inner, int(place[0]) + down
    if base < 0 or top + down > modulus:
        return None
    return Formula(base, first, stride, modulus, inner, 1)
