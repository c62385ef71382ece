"""Gradients as different workers see them at one step, made up from what was measured in real training.

A gradient is ``scale × (common + noise)``. Coordinates have scales of their own, heavy-tailed and the same for every
worker: what is large for one worker tends to be large for the others, and that is why the indices of several workers'
top-k overlap. The common part is the same for all of them, the noise is each worker's own: its batch.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ringsim.gradients.models import GradientError

#: Energy of what all workers have in common, as a part of that of one worker's noise; deviations of the logarithm of
#: scales between tensors and between the coordinates of one. Medians of the rows ``sgd`` in
#: benchmarks/results/gradient_statistics.csv: 32 workers with 16 digits each.
SIGNAL, BETWEEN, WITHIN = 0.23, 0.25, 0.49

#: A gradient is so many tensors of equal size, if it has as many elements.
TENSORS = 64

#: Root of the mean square of a coordinate.
SIZE = 1e-3


def tensors(n: int) -> NDArray[np.int64]:
    """Where tensors begin in a gradient of `n` elements."""
    return np.arange(0, n, -(-n // TENSORS))


def sample(n: int, ranks: int, seed: int = 0) -> NDArray[np.float32]:
    """Draw the gradients of one step: float32, about a thousandth each.

    Parameters
    ----------
    n : int
        Elements of the gradient.
    ranks : int
        Workers. The first of them see the same gradients, however many follow.
    seed : int

    Returns
    -------
    array, shape ``[ranks, n]``

    Raises
    ------
    GradientError
        If there are no elements or no workers.
    """
    if n < 1 or ranks < 1:
        raise GradientError(f"{n} elements on {ranks} ranks: at least one of each")
    shared = np.random.default_rng([seed, 0])
    begins = tensors(n)
    scale = np.repeat(BETWEEN * shared.standard_normal(len(begins), np.float32), np.diff(begins, append=n))
    scale += WITHIN * shared.standard_normal(n, np.float32)
    np.exp(scale, out=scale)
    scale *= SIZE / math.exp(BETWEEN**2 + WITHIN**2)
    common = scale * shared.standard_normal(n, np.float32) * np.float32(math.sqrt(SIGNAL / (1 + SIGNAL)))
    scale *= np.float32(math.sqrt(1 / (1 + SIGNAL)))
    out = np.empty((ranks, n), np.float32)
    for rank in range(ranks):
        np.random.default_rng([seed, 1 + rank]).standard_normal(out=out[rank], dtype=np.float32)
        out[rank] *= scale
        out[rank] += common
    return out
