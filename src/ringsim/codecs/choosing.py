"""The largest of many numbers, exactly and fast, and how numbers go back to where they were."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ringsim.codecs.codec import Floats
from ringsim.codecs.tiles import TILE, tiles

Indices = NDArray[np.int32]
Magnitudes = NDArray[np.uint32]


def kept(density: float, n: int) -> int:
    """How many of `n` elements a density keeps: its decimal share, rounded up, and at least one if there is any."""
    return math.ceil(Fraction(str(density)) * n)


def largest(x: Floats, k: int) -> Indices:
    """Indices of the `k` largest magnitudes of each message, rising; of equal ones the lowest indices.

    Parameters
    ----------
    x : array, shape ``[messages, n]``, without NaN
    k : int

    Returns
    -------
    array, shape ``[messages, k]``
    """
    messages, n = x.shape
    if k == n:
        return np.tile(np.arange(n, dtype=np.int32), (messages, 1))
    if n <= TILE:
        return _select(_magnitude(x), k)
    indices = np.empty((messages, k), np.int32)
    for row, out in zip(x, indices, strict=True):
        candidates = _candidates(row, k)
        out[:] = candidates[_select(_magnitude(row[candidates])[None], k)[0]]
    return indices


def _magnitude(x: Floats) -> Magnitudes:
    """The bits without the sign: they rise as the magnitude does, and whole numbers compare faster."""
    return np.ascontiguousarray(x).view(np.uint32) & np.uint32(0x7FFFFFFF)


def _select(magnitude: Magnitudes, k: int) -> Indices:
    """`largest`, of magnitudes."""
    messages, n = magnitude.shape
    if k == 0:
        return np.empty((messages, 0), np.int32)
    least = np.partition(magnitude, n - k, axis=1)[:, n - k, None]
    chosen = magnitude > least
    ties = magnitude == least
    wanted = k - chosen.sum(axis=1, keepdims=True)
    many = ties.sum(axis=1, keepdims=True) > wanted
    if many.any():  # which is rare, and counting them takes longer than all the rest
        some = many[:, 0]
        ties[some] &= np.cumsum(ties[some], axis=1) <= wanted[some]
    chosen |= ties
    return np.nonzero(chosen)[1].astype(np.int32).reshape(messages, k)


def _candidates(row: Floats, k: int) -> NDArray[np.int64]:
    """Indices of at least `k` elements with all the largest among them, found in two passes.

    A histogram over the upper half of the bits, exponent and seven of the mantissa, tells in which bin the k-th largest
    magnitude is; only what is in it or above need be compared exactly. That is few unless all are nearly equal.
    """
    counts = np.zeros(2**15, np.int64)
    for tile in tiles(1, len(row)):
        counts += np.bincount(_magnitude(row[tile.columns]) >> np.uint32(16), minlength=2**15)
    above = np.cumsum(counts[::-1])
    cut = 2**15 - 1 - int(np.searchsorted(above, k))
    floor = np.uint32(cut << 16)
    found = [
        np.flatnonzero(_magnitude(row[tile.columns]) >= floor) + tile.start
        for tile in tiles(1, len(row))
    ]  # fmt: skip
    return np.concatenate(found)


def scatter(n: int, indices: NDArray[np.integer], values: Floats) -> Floats:
    """Vectors of `n` with values where indices say and zeros elsewhere."""
    x = np.zeros((len(values), n), np.float32)
    np.put_along_axis(x, indices, values, axis=1)
    return x
