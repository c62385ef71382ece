"""Rounding up or down by chance, so that the mean of many codes is the vector itself: QSGD and TernGrad.

Their randomness is that of the state: seed and step. Ranks need seeds of their own, or, encoded together as messages,
draw one after the other; else their errors would be alike and would not average out.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from ringsim.codecs.blockwise import COST, Blocks, Blockwise, inverse, top
from ringsim.codecs.codec import Cost, Floats, Passes
from ringsim.codecs.packing import Bits, Bytes, Packing, Trits
from ringsim.codecs.tiles import LARGEST


class Stochastic(Blockwise):
    """``x`` lies between two of the numbers −s to s, times scale / s, and goes to either with the odds of its place."""

    @property
    @abstractmethod
    def numbers(self) -> int:
        """The largest number s."""

    def quantise(self, values: Floats, scale: Floats, rng: np.random.Generator) -> Bytes:
        """Add something between 0 and 1 and round down."""
        s = np.float32(self.numbers)
        # The largest magnitude divided by itself may come out a rounding above one: hence both limits.
        y = np.clip(values * inverse(scale), np.float32(-1), np.float32(1)) * s
        y += rng.random(y.shape, np.float32)
        np.floor(y, out=y)
        np.minimum(y, s, out=y)
        y += s
        numbers: Bytes = y.astype(np.uint8)
        return numbers

    def dequantise(self, numbers: Bytes, scale: Floats) -> Floats:
        """Numbers begin at −s."""
        s = np.float32(self.numbers)
        values: Floats = (numbers.astype(np.float32) - s) / s * scale
        return values


@dataclass(frozen=True)
class Qsgd(Stochastic):
    """Stochastic rounding to s levels of each bucket's Euclidean norm.

    D. Alistarh, D. Grubic, J. Li, R. Tomioka, M. Vojnović, "QSGD: Communication-Efficient SGD via Gradient
    Quantization and Encoding", 2017, arXiv:1610.02132.

    Formula: ``x = ‖x‖ · sign · l/s``, l rounded by chance. Bounds: unbiased; in each element an error of ‖x‖/s; the
    expected squared error of a bucket of d elements is at most min(d/s², √d/s) · ‖x‖².

    The paper codes l by Elias' variable lengths, since small ones are frequent. Here each takes the same
    ⌈log2(2s+1)⌉ bits, sign included, so that a kernel knows where each element lies and sizes do not depend on values.
    With s = √d, where the paper's code takes at most 2.8 bits an element, that is 6 bits for d = 512.

    Parameters
    ----------
    levels : int
        s, 1 to 127. 7 fill 4 bits, 127 fill 8.
    bucket : int
        Elements that share a norm: 512 in the paper's 4-bit runs.
    """

    levels: int
    bucket: int = 512

    @property
    def spec(self) -> str:
        """Such as ``qsgd:7:512``."""
        return f"qsgd:{self.levels}:{self.bucket}"

    @property
    def numbers(self) -> int:
        """The largest number."""
        return self.levels

    @property
    def packing(self) -> Bits:
        """The 2s + 1 numbers side by side."""
        return Bits((2 * self.levels).bit_length())

    def width(self, n: int) -> int:
        """Elements of a bucket."""
        return min(self.bucket, max(1, n))

    def scale(self, tile: Blocks) -> Floats:
        """Euclidean norm."""
        wide = tile.values.astype(np.float64)
        norm: Floats = np.minimum(np.sqrt(np.einsum("rbi,rbi->rb", wide, wide)), LARGEST).astype(np.float32)
        return norm


@dataclass(frozen=True)
class TernGrad(Stochastic):
    """−1, 0 or 1, by chance, times the largest magnitude after clipping at 2.5 σ.

    W. Wen, C. Xu, F. Yan, C. Wu, Y. Wang, Y. Chen, H. Li, "TernGrad: Ternary Gradients to Reduce Communication in
    Distributed Deep Learning", 2017, arXiv:1705.07878.

    Formula: ``s · sign(x) · b``, P(b = 1) = |x|/s, s = max|x| of x clipped to ±2.5 σ. Bounds: unbiased about the clipped
    vector, with variance |x|(s − |x|) in each element; an error of s at most, and of |x| − s in what was clipped.

    σ is taken about zero: a constant vector then stays what it is, where a deviation about its mean would clip it away.
    Five numbers go into a byte: 1.6 bits each, where the paper counts log2(3) = 1.58. It shares s among ranks, so that
    sums need few levels; here sums are encoded again.

    Parameters
    ----------
    bucket : int or None
        Elements that share s; None is the whole vector, as in the paper, where it is a layer.
    """

    bucket: int | None = None
    numbers = 1

    @property
    def spec(self) -> str:
        """``terngrad`` or ``terngrad:2048``."""
        return "terngrad" if self.bucket is None else f"terngrad:{self.bucket}"

    @property
    def cost(self) -> Cost:
        """With one scale for the vector, σ and maximum are found in a pass of their own, before that which encodes."""
        return replace(COST, encode=Passes(2, 1)) if self.bucket is None else COST

    @property
    def pieces(self) -> bool:
        """Not with one scale for the vector."""
        return self.bucket is not None

    @property
    def packing(self) -> Packing:
        """Five to a byte."""
        return Trits()

    def width(self, n: int) -> int:
        """Elements of a bucket."""
        return self.bucket or max(1, n)

    def scale(self, tile: Blocks) -> Floats:
        """The largest magnitude, 2.5 σ at most."""
        wide = tile.values.astype(np.float64)
        deviation = np.sqrt(np.einsum("rbi,rbi->rb", wide, wide) / tile.sizes)
        limit: Floats = np.minimum(top(tile), 2.5 * deviation).astype(np.float32)
        return limit
