"""What of a step's gradients matters to codecs: tails, spread, and what workers have in common.

Measured on real training (benchmarks/gradient_statistics.py) and on `sample`, which is to look the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

#: The share of elements whose indices are compared, and the numbers of workers for which they are put together.
TOP = 0.01
WORKERS = (2, 4, 8, 16, 32)

#: Deviations from the middle at which a normal distribution has its 99th percentile.
_P99 = 2.326


@dataclass(frozen=True)
class Statistics:
    """Of the gradients of several workers at one step.

    Attributes
    ----------
    signal : float
        Energy of what workers have in common, as a part of that of one worker's noise; no bias from the number of
        workers, so it can come out below 0.
    between : float
        Deviation of the logarithm of the tensors' root mean squares, each tensor counting with its elements.
    within : float
        The same of coordinates inside a tensor, judged by the upper half, which top-k chooses from: the 99th percentile
        of a coordinate's root mean square over workers, above the median, in deviations of a normal distribution.
    top : float
        Part of the energy of the first worker's gradient that its largest 1 % hold.
    kurtosis : float
        3 for a normal distribution.
    unions : tuple of float
        How many times as many indices the top 1 % of so many workers have together as those of one, for `WORKERS`.
    """

    signal: float
    between: float
    within: float
    top: float
    kurtosis: float
    unions: tuple[float, ...]


def measure(tensors: Sequence[Floats]) -> Statistics:
    """Look at the gradients of one step.

    Parameters
    ----------
    tensors : sequence of array, shapes ``[workers, ...]``
        At least two workers.
    """
    flat = [tensor.reshape(len(tensor), -1).astype(np.float64) for tensor in tensors]
    whole = np.concatenate(flat, axis=1)
    noise = whole.var(axis=0, ddof=1)
    common = whole.mean(axis=0) ** 2 - noise / len(whole)
    first = np.sort(np.abs(whole[0]))
    return Statistics(
        signal=float(common.sum() / noise.sum()),
        between=_between(flat),
        within=_within(flat),
        top=float(np.sum(first[-_top(len(first)) :] ** 2) / np.sum(first**2)),
        kurtosis=float(np.mean(whole**4) / np.mean(whole**2) ** 2),
        unions=unions(whole),
    )


def unions(whole: Floats) -> tuple[float, ...]:
    """Indices of the top 1 % of 2, 4, 8, … workers together, in multiples of one worker's.

    Parameters
    ----------
    whole : array, shape ``[workers, n]``

    Returns
    -------
    tuple of float
        As many of `WORKERS` as there are workers for.
    """
    k = _top(whole.shape[1])
    top = np.argpartition(np.abs(whole), -k, axis=1)[:, -k:]
    return tuple(len(np.unique(top[:workers])) / k for workers in WORKERS if workers <= len(whole))


def _top(n: int) -> int:
    return max(1, round(TOP * n))


def _between(flat: Sequence[Floats]) -> float:
    sizes = [tensor.shape[1] for tensor in flat]
    logs = np.log([np.sqrt(np.mean(tensor**2)) for tensor in flat])
    mean = np.average(logs, weights=sizes)
    return float(np.sqrt(np.average((logs - mean) ** 2, weights=sizes)))


def _within(flat: Sequence[Floats]) -> float:
    """Of tensors that have a 99th percentile, each counting with its elements."""
    large = [tensor for tensor in flat if tensor.shape[1] >= 1 / TOP]
    sizes = [tensor.shape[1] for tensor in large]
    scales = [np.sqrt(np.mean(tensor**2, axis=0)) for tensor in large]
    logs = [np.log(np.quantile(scale, 0.99) / np.median(scale)) / _P99 for scale in scales]
    return float(np.average(logs, weights=sizes))
