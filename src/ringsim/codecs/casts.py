"""Codes that are the vector in another number format: half the bytes, and whoever adds need not decode."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ringsim.codecs.codec import Code, Codec, Cost, Floats, Passes, Rounds, Shape, State, Summed, elements
from ringsim.codecs.tiles import TILE, check, tiles

LARGEST_FP16 = np.float32(65504)
LARGEST_BF16 = np.array(0x7F7F, np.uint16).view(ml_dtypes.bfloat16).astype(np.float32)[()]


def saturated(x: Floats, largest: np.float32) -> Floats:
    """Cut finite numbers down to the largest, and leave NaN and infinities."""
    return np.where(np.isfinite(x), np.clip(x, -largest, largest), x)


class Cast(Codec):
    """Each element on its own in another format, rounded to nearest and to even where two are as near.

    A finite number beyond the format's largest becomes that largest, not infinity: a single overflow would otherwise
    reach every rank. Infinities and NaN stay what they are, because loss scaling looks for them. A sum of codes may
    still overflow; divide by the number of ranks before, as frameworks do.
    """

    combine = "linear"
    #: Read once, write once, on either side. To add into a float32 sum is to read that as well.
    cost = Cost(encode=Passes(1, 1), decode=Passes(1, 1), add=Passes(2, 1))

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The format."""

    @abstractmethod
    def cast(self, x: Floats, out: NDArray[Any], scratch: NDArray[np.uint32]) -> None:
        """Fill a tile of the code; `scratch` has room for two of its size, shape ``[2, ...]``."""

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Cast."""
        check(x, self.spec, finite=False)
        code = np.empty(x.shape, self.dtype)
        # Asked for once: what each tile gives back the system may take away, and a tile's pages cost more than its work.
        scratch = np.empty((2, min(x.size, TILE)), np.uint32)
        for tile in tiles(*x.shape):
            piece, out = x[tile.rows, tile.columns], code[tile.rows, tile.columns]
            self.cast(piece, out, scratch[:, : piece.size].reshape(2, *piece.shape))
        return Code(x.shape[1], (code,)), state.after()

    def decode(self, code: Code) -> Floats:
        """Cast back, exactly."""
        return code.parts[0].astype(np.float32)

    def wire_bytes(self, shape: Shape) -> int:
        """Bytes of the vector in this format."""
        return elements(shape) * self.dtype.itemsize

    def sum_rounds(self, x: Floats, state: State) -> Rounds:
        """One round: the code itself is summed."""
        code, state = self.encode(x, state)
        total = yield code.parts[0]
        return Summed(self.decode(Code(code.n, (total,))), self.decode(code), state)


@dataclass(frozen=True)
class Identity(Cast):
    """The vector itself, at no cost: what every other codec is held against, and must time like no codec at all."""

    spec = "identity"
    cost = Cost()
    dtype = np.dtype(np.float32)

    def round_bytes(self, shape: Shape, width: int = 4) -> tuple[int, ...]:
        """The vector in its own type."""
        return (width * elements(shape),)

    def cast(self, x: Floats, out: NDArray[Any], scratch: NDArray[np.uint32]) -> None:
        """Copy."""
        out[...] = x


@dataclass(frozen=True)
class Fp16(Cast):
    """IEEE half precision, as PyTorch's ``fp16_compress_hook`` sends it.

    P. Micikevicius et al., "Mixed Precision Training", 2018, arXiv:1710.03740 is where gradients in half precision come
    from, and why they need scaling. Bound: an error of 2**-11 of the number from 6.1e-5 to 65504, and of 2**-25 below.
    """

    spec = "fp16"
    dtype = np.dtype(np.float16)

    def cast(self, x: Floats, out: NDArray[Any], scratch: NDArray[np.uint32]) -> None:
        """Let the processor round, by adding a power of two of which the last place is the half's last place.

        NumPy casts to half precision one number at a time, which takes longer than these steps.
        """
        bits = np.ascontiguousarray(x).view(np.uint32)
        magnitude, power = scratch
        np.bitwise_and(bits, np.uint32(0x7FFFFFFF), out=magnitude)
        if magnitude.max() > LARGEST_FP16.view(np.uint32):
            out[...] = saturated(x, LARGEST_FP16)
            return
        # 2**13 times the number's own power of two; numbers below 2**-14 share the last place of the smallest halves.
        np.bitwise_and(magnitude, np.uint32(0x7F800000), out=power)
        np.maximum(power, np.uint32((127 - 14) << 23), out=power)
        power += np.uint32(13 << 23)
        rounded = magnitude.view(np.float32)
        rounded += power.view(np.float32)
        # Its lowest bits are now the mantissa with its leading one, its exponent is the half's and a constant more.
        np.bitwise_and(magnitude, np.uint32(0xFFF), out=power)
        magnitude >>= np.uint32(13)
        magnitude += power
        magnitude -= np.uint32((127 - 14 + 13) << 10)
        sign = np.right_shift(bits, np.uint32(16), out=power)
        sign &= np.uint32(0x8000)
        magnitude |= sign
        out.view(np.uint16)[...] = magnitude


@dataclass(frozen=True)
class Bf16(Cast):
    """The upper half of a float32, rounded: its whole range with 8 bits of precision.

    D. Kalamkar et al., "A Study of BFLOAT16 for Deep Learning Training", 2019, arXiv:1905.12322. Bound: an error of
    2**-8 of the number (half a unit in the last place of 2**-7), over the whole range of normal float32.
    """

    spec = "bf16"
    dtype = np.dtype(ml_dtypes.bfloat16)

    def cast(self, x: Floats, out: NDArray[Any], scratch: NDArray[np.uint32]) -> None:
        """Add half a unit of the last place that stays and cut the rest off: the bits are those of the format."""
        if not (x.max() <= LARGEST_BF16 and x.min() >= -LARGEST_BF16):
            # Rare, so it may be slow: the library rounds what is NaN or infinite.
            out[...] = saturated(x, LARGEST_BF16).astype(self.dtype)
            return
        bits = np.ascontiguousarray(x).view(np.uint32)
        rounded = np.right_shift(bits, np.uint32(16), out=scratch[0])
        # A tie goes to the even one: half a unit less one, and one more where the last place is odd.
        rounded &= np.uint32(1)
        rounded += np.uint32(0x7FFF)
        rounded += bits
        rounded >>= np.uint32(16)
        out.view(np.uint16)[...] = rounded
