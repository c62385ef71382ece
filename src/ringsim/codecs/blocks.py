"""Fewer bits for each element, and a scale for each block: int8, int4 and the two 8-bit floating formats."""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from ringsim.codecs.blockwise import Blocks, Blockwise, inverse, top
from ringsim.codecs.codec import Floats
from ringsim.codecs.packing import Bits, Bytes
from ringsim.codecs.tiles import LARGEST


@dataclass(frozen=True)
class Int(Blockwise):
    """Whole numbers of 8 or 4 bits, symmetric about zero, times the block's largest magnitude.

    For int8 see T. Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2022, arXiv:2110.02861 (blocks,
    though their 8 bits are not evenly spaced); for int4 gradients G. Wang et al., "ZeRO++: Extremely Efficient
    Collective Communication for Giant Model Training", 2023, arXiv:2306.10209.

    Formula: ``q = round(x / s)``, ``s = max|x| / L``, L = 127 or 7. Bound: an error of s/2 in each element, which is
    max|x| / 254 or max|x| / 14 of its block; blocks with no magnitude above L · 1.2e-38 become zeros.

    Parameters
    ----------
    bits : int
        8 or 4.
    block : int
        Elements that share a scale. Small ones follow the data closely, large ones cost fewer bytes.
    """

    bits: int = 8
    block: int = 256

    @property
    def spec(self) -> str:
        """Such as ``int8:256``."""
        return f"int{self.bits}:{self.block}"

    @property
    def levels(self) -> int:
        """The largest number."""
        return (1 << (self.bits - 1)) - 1

    @property
    def packing(self) -> Bits:
        """Two's complement in `bits` bits."""
        return Bits(self.bits)

    def width(self, n: int) -> int:
        """Elements of a block."""
        return min(self.block, max(1, n))

    def scale(self, tile: Blocks) -> Floats:
        """The largest magnitude is the largest number."""
        return _unit(tile, self.levels)

    def quantise(self, values: Floats, scale: Floats, rng: np.random.Generator) -> Bytes:
        """Round to nearest."""
        numbers = values * inverse(scale)
        np.rint(numbers, out=numbers)
        whole = numbers.astype(np.int8).view(np.uint8)
        return whole if self.bits == 8 else whole & np.uint8(15)

    def dequantise(self, numbers: Bytes, scale: Floats) -> Floats:
        """Bring the sign back, and multiply."""
        if self.bits == 4:
            numbers = (numbers ^ np.uint8(8)) - np.uint8(8)
        return numbers.view(np.int8) * scale


_FORMATS: dict[str, np.dtype[Any]] = {
    "e4m3": np.dtype(ml_dtypes.float8_e4m3fn),
    "e5m2": np.dtype(ml_dtypes.float8_e5m2),
}
#: Their largest numbers.
_LARGEST = {"e4m3": 448.0, "e5m2": 57344.0}


@dataclass(frozen=True)
class Fp8(Blockwise):
    """8-bit floating point times a scale that brings the block's largest magnitude to the format's largest number.

    P. Micikevicius et al., "FP8 Formats for Deep Learning", 2022, arXiv:2209.05433; scales for each block as in
    B. Darvish Rouhani et al., "Microscaling Data Formats for Deep Learning", 2023, arXiv:2310.10537 (there powers of two).

    Bound, with s = max|x| / L: E4M3 (L = 448): an error of 2**-4 of the number, or s · 2**-10 if that is more; E5M2
    (L = 57344): 2**-3 of the number, or s · 2**-17. Where int8 spaces numbers evenly, these favour the small ones.

    Parameters
    ----------
    format : str
        ``e4m3`` or ``e5m2``.
    block : int
    """

    format: str = "e4m3"
    block: int = 256
    packing = Bits(8)

    @property
    def spec(self) -> str:
        """Such as ``fp8:e4m3:256``."""
        return f"fp8:{self.format}:{self.block}"

    def width(self, n: int) -> int:
        """Elements of a block."""
        return min(self.block, max(1, n))

    def scale(self, tile: Blocks) -> Floats:
        """The largest magnitude is the format's largest number."""
        return _unit(tile, _LARGEST[self.format])

    def quantise(self, values: Floats, scale: Floats, rng: np.random.Generator) -> Bytes:
        """Round to nearest, as the format does."""
        return (values * inverse(scale)).astype(_FORMATS[self.format]).view(np.uint8)

    def dequantise(self, numbers: Bytes, scale: Floats) -> Floats:
        """From the format, times the scale."""
        return np.multiply(numbers.view(_FORMATS[self.format]).astype(np.float32), scale)


def _unit(tile: Blocks, levels: float) -> Floats:
    """What one step of a block is worth; never so much that the largest number overflows when it is decoded."""
    highest = np.nextafter(np.float32(LARGEST / levels), np.float32(0))
    unit: Floats = np.minimum(top(tile) / np.float32(levels), highest)
    return unit
