"""What all PyTorch versions of codecs have, and those that write every element in fewer bits; see `codec_cost_torch.py`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ringsim.codecs import CodecError
from ringsim.codecs.blocks import Int
from ringsim.codecs.packing import Packing, Trits
from ringsim.codecs.stochastic import Qsgd

#: The parts of a code, each without the first axis of messages.
Parts = tuple[Tensor, ...]

#: A function and what it is called with.
Call = tuple[Callable[..., Any], tuple[Any, ...]]

FLOATS = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}
SMALLEST, LARGEST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max


@dataclass(eq=False)
class Version(ABC):
    """A codec in PyTorch.

    Attributes
    ----------
    codec : Codec
        Whose parameters it has.
    n : int
        Elements of the vector.
    """

    codec: Any
    n: int

    @abstractmethod
    def encode(self, x: Tensor) -> Parts:
        """Encode a float32 vector, shape ``[n]``."""

    @abstractmethod
    def decode(self, *parts: Tensor) -> Tensor:
        """What a code stands for, shape ``[n]``."""

    def add(self, total: Tensor, *parts: Tensor) -> Tensor:
        """Add what a code stands for to a sum, in place."""
        return total.add_(self.decode(*parts))

    def calls(self, x: Tensor) -> dict[str, Call]:
        """What there is to be timed, by the names that `ringsim.codecs.Cost` has."""
        parts, total = self.encode(x), torch.zeros_like(x)
        return {
            "encode": (self.encode, (x,)),
            "decode": (self.decode, parts),
            "add": (self.add, (total, *parts)),
        }


# -- quantisers --------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Blockwise(Version):
    """A scale for each block, and numbers of a few bits."""

    def __post_init__(self) -> None:
        """Refuse what cannot be packed."""
        base(self.codec.packing)

    @abstractmethod
    def scale(self, blocks: Tensor) -> Tensor:
        """Scale of each block, shape ``[blocks]``."""

    @abstractmethod
    def quantise(self, blocks: Tensor, scale: Tensor) -> Tensor:
        """Bytes, one for each element; `scale` has shape ``[blocks, 1]``."""

    @abstractmethod
    def dequantise(self, numbers: Tensor, scale: Tensor) -> Tensor:
        """What numbers stand for."""

    @property
    def width(self) -> int:
        """Elements of a block."""
        return self.codec.width(self.n)

    def sizes(self, scale: Tensor) -> Tensor | int:
        """Elements that each block really has."""
        if self.n % self.width == 0:
            return self.width
        starts = torch.arange(0, self.n, self.width, device=scale.device)
        return (self.n - starts).clamp(max=self.width)

    def encode(self, x: Tensor) -> Parts:
        """Cut, scale, round, pack."""
        blocks = padded(x, self.width).view(-1, self.width)
        scale = self.scale(blocks)
        numbers = self.quantise(blocks, scale[:, None]).view(-1)[: self.n]
        return pack(numbers, self.codec.packing), scale

    def decode(self, *parts: Tensor) -> Tensor:
        """Unpack and multiply."""
        packed, scale = parts
        numbers = padded(unpack(packed, self.codec.packing, self.n), self.width).view(-1, self.width)
        return self.dequantise(numbers, scale[:, None]).view(-1)[: self.n]


@dataclass(eq=False)
class Scaled(Blockwise):
    """A block's largest magnitude becomes the largest number."""

    def __post_init__(self) -> None:
        """Find that number, and the largest scale with which it does not overflow."""
        super().__post_init__()
        self.levels = self.codec.levels if isinstance(self.codec, Int) else torch.finfo(FLOATS[self.codec.format]).max
        self.highest = torch.tensor(LARGEST / self.levels).nextafter(torch.tensor(0.0)).item()

    def scale(self, blocks: Tensor) -> Tensor:
        """What one step is worth."""
        return (top(blocks) / self.levels).clamp(max=self.highest)


class Whole(Scaled):
    """Whole numbers of 8 or 4 bits."""

    def quantise(self, blocks: Tensor, scale: Tensor) -> Tensor:
        """Round to nearest."""
        numbers = (blocks * inverse(scale)).round().to(torch.int8).view(torch.uint8)
        return numbers if self.codec.bits == 8 else numbers & 15

    def dequantise(self, numbers: Tensor, scale: Tensor) -> Tensor:
        """Bring the sign back, and multiply."""
        if self.codec.bits == 4:
            numbers = (numbers ^ 8) - 8
        return numbers.view(torch.int8) * scale


class Floating(Scaled):
    """8-bit floating point."""

    def quantise(self, blocks: Tensor, scale: Tensor) -> Tensor:
        """Round to nearest."""
        return (blocks * inverse(scale)).to(FLOATS[self.codec.format]).view(torch.uint8)

    def dequantise(self, numbers: Tensor, scale: Tensor) -> Tensor:
        """From the format, times the scale."""
        return numbers.view(FLOATS[self.codec.format]).float() * scale


@dataclass(eq=False)
class Chance(Blockwise):
    """Rounded up or down by chance: QSGD and TernGrad.

    Attributes
    ----------
    dice : callable
        Makes numbers in [0, 1) of the shape of a tensor; a test brings ringsim's own.
    """

    dice: Callable[[Tensor], Tensor] = torch.rand_like

    def scale(self, blocks: Tensor) -> Tensor:
        """Euclidean norm, or the largest magnitude within 2.5 σ."""
        norm = torch.linalg.vector_norm(blocks, dim=1, dtype=torch.float64)
        if isinstance(self.codec, Qsgd):
            return norm.clamp(max=LARGEST).float()
        deviation = (norm.square() / self.sizes(norm)).sqrt()
        return torch.minimum(top(blocks), 2.5 * deviation).float()

    def quantise(self, blocks: Tensor, scale: Tensor) -> Tensor:
        """Add something between 0 and 1 and round down."""
        s = self.codec.numbers
        numbers = ((blocks * inverse(scale)).clamp(-1, 1) * s + self.dice(blocks)).floor().clamp(max=s)
        return (numbers + s).to(torch.uint8)

    def dequantise(self, numbers: Tensor, scale: Tensor) -> Tensor:
        """Numbers begin at −s."""
        s = self.codec.numbers
        return (numbers.float() - s) / s * scale


class OneBit(Blockwise):
    """Signs and their mean magnitude."""

    def scale(self, blocks: Tensor) -> Tensor:
        """Mean magnitude."""
        total = torch.linalg.vector_norm(blocks, ord=1, dim=1, dtype=torch.float64)
        return (total / self.sizes(total)).float()

    def quantise(self, blocks: Tensor, scale: Tensor) -> Tensor:
        """A bit that is set where the number is negative."""
        return (blocks < 0).view(torch.uint8)

    def dequantise(self, numbers: Tensor, scale: Tensor) -> Tensor:
        """Plus or minus the scale."""
        return (1 - 2 * numbers.view(torch.int8)) * scale


def top(blocks: Tensor) -> Tensor:
    """The largest magnitude of each block."""
    return torch.maximum(blocks.amax(1).abs(), blocks.amin(1).abs())


def inverse(scale: Tensor) -> Tensor:
    """One over each scale, zero where it has no inverse."""
    return torch.where(scale >= SMALLEST, 1 / scale, 0)


# -- bits --------------------------------------------------------------------------------------------------------


def padded(x: Tensor, multiple: int) -> Tensor:
    """Add zeros until the length is a multiple."""
    short = -len(x) % multiple
    return torch.nn.functional.pad(x, (0, short)) if short else x


def base(packing: Packing) -> tuple[int, int]:
    """Numbers in a byte, and what a place counts more than the one before."""
    if isinstance(packing, Trits):
        return 5, 3
    if 8 % packing.bits:
        raise CodecError(
            f"numbers of {packing.bits} bits: the PyTorch versions have 1, 2, 4 and 8, so qsgd:7 or qsgd:127"
        )
    return 8 // packing.bits, 2**packing.bits


def pack(numbers: Tensor, packing: Packing) -> Tensor:
    """The first number of a byte counts least."""
    count, factor = base(packing)
    if count == 1:
        return numbers
    columns = padded(numbers, count).view(-1, count)
    packed = columns[:, count - 1]
    for place in reversed(range(count - 1)):
        packed = packed * factor + columns[:, place]
    return packed


def unpack(packed: Tensor, packing: Packing, n: int) -> Tensor:
    """Back to `n` numbers."""
    count, factor = base(packing)
    if count == 1:
        return packed
    places = torch.arange(count, dtype=torch.uint8, device=packed.device)
    if isinstance(packing, Trits):
        numbers = packed[:, None] // factor**places % factor
    else:
        numbers = (packed[:, None] >> places * packing.bits) & (factor - 1)
    return numbers.view(-1)[:n]
