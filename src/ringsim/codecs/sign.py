"""One bit for each element."""

from dataclasses import dataclass

import numpy as np

from ringsim.codecs.blockwise import Blocks, Blockwise
from ringsim.codecs.codec import Floats
from ringsim.codecs.packing import Bits, Bytes


@dataclass(frozen=True)
class Sign(Blockwise):
    """The sign of each element times the block's mean magnitude.

    F. Seide, H. Fu, J. Droppo, G. Li, D. Yu, "1-Bit Stochastic Gradient Descent and its Application to Data-Parallel
    Distributed Training of Speech DNNs", 2014 (not on arXiv); J. Bernstein, Y.-X. Wang, K. Azizzadenesheli,
    A. Anandkumar, "signSGD: Compressed Optimisation for Non-Convex Problems", 2018, arXiv:1802.04434 (majority vote);
    S. P. Karimireddy, Q. Rebjock, S. Stich, M. Jaggi, "Error Feedback Fixes SignSGD and other Gradient Compression
    Schemes", 2019, arXiv:1901.09847 (the scale, and why it needs error feedback).

    Formula: ``sign(x) · ‖x‖₁/d``, a zero counting as positive. Bound, exact: the squared error of a block of d elements
    is ‖x‖² − ‖x‖₁²/d, which is (1 − 2/π) ‖x‖² = 0.363 ‖x‖² for normally distributed ones.

    Adding decoded codes and taking the sign again is a majority vote, each rank's vote weighing as much as its scale.

    Parameters
    ----------
    block : int
        Elements that share a scale.
    """

    block: int = 2048
    packing = Bits(1)

    @property
    def spec(self) -> str:
        """Such as ``sign:2048``."""
        return f"sign:{self.block}"

    def width(self, n: int) -> int:
        """Elements of a block."""
        return min(self.block, max(1, n))

    def scale(self, tile: Blocks) -> Floats:
        """Mean magnitude of the elements that there are."""
        total = np.abs(tile.values).sum(axis=2, dtype=np.float64)
        mean: Floats = (total / tile.sizes).astype(np.float32)
        return mean

    def quantise(self, values: Floats, scale: Floats, rng: np.random.Generator) -> Bytes:
        """A bit that is set where the number is negative."""
        return (values < 0).view(np.uint8)

    def dequantise(self, numbers: Bytes, scale: Floats) -> Floats:
        """Plus or minus the scale."""
        return np.where(numbers, -scale, scale)
