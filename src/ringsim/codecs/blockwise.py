"""What block quantisers share: cut into blocks, find each block's scale, round, pack; each says only how.

A code is ``(packed, scales)``: whole numbers of a few bits, shape ``[messages, bytes]``, and one float32 for each block,
shape ``[messages, blocks]``.
"""

import math
from abc import abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.codecs.codec import Code, Codec, Cost, Floats, Passes, Shape, State, elements
from ringsim.codecs.packing import Bytes, Packing
from ringsim.codecs.tiles import SMALLEST, all_finite, blocks, check, sizes, tiles

#: A block fits a streaming multiprocessor's own memory: its scale is found and used while the numbers are there, so the
#: vector is read once. To add is to read the code, and to read and write the sum.
COST = Cost(encode=Passes(1, 1), decode=Passes(1, 1), add=Passes(2, 1))


class Blocks(NamedTuple):
    """A tile in blocks.

    Attributes
    ----------
    values : array, shape ``[rows, blocks, block]``
        Zeros behind the end of the vector.
    sizes : array, shape ``[blocks]``
        Elements that there really are.
    """

    values: Floats
    sizes: NDArray[np.int64]


class Blockwise(Codec):
    """A quantiser with one scale for each block."""

    combine = "quantiser"

    @property
    def cost(self) -> Cost:
        """One pass either way."""
        return COST

    @property
    @abstractmethod
    def packing(self) -> Packing:
        """How the numbers are packed."""

    @abstractmethod
    def width(self, n: int) -> int:
        """Elements of a block of a vector of `n`."""

    @abstractmethod
    def scale(self, tile: Blocks) -> Floats:
        """One number for each block, shape ``[rows, blocks]``."""

    @abstractmethod
    def quantise(self, values: Floats, scale: Floats, rng: np.random.Generator) -> Bytes:
        """Numbers that `packing` can pack, of the shape of `values`; `scale` has shape ``[rows, blocks, 1]``."""

    @abstractmethod
    def dequantise(self, numbers: Bytes, scale: Floats) -> Floats:
        """What numbers stand for."""

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Quantise block by block."""
        check(x, self.spec, finite=False)
        (messages, n), rng, pack = x.shape, state.rng(), self.packing
        block = self.width(n)
        packed = np.empty((messages, pack.size(n)), np.uint8)
        scales = np.empty((messages, -(-n // block)), np.float32)
        for tile in tiles(messages, n, math.lcm(block, pack.group)):
            all_finite(x, tile, self.spec)
            cut = Blocks(blocks(x, tile, block), sizes(tile, block))
            scale = self.scale(cut)
            numbers = self.quantise(cut.values, scale[:, :, None], rng).reshape(len(scale), -1)
            first = pack.size(tile.start)
            packed[tile.rows, first : pack.size(tile.stop)] = pack.pack(numbers[:, : tile.stop - tile.start])
            scales[tile.rows, tile.blocks(block)] = scale
        return Code(n, (packed, scales)), state.after()

    def decode(self, code: Code) -> Floats:
        """Numbers times their block's scale."""
        (packed, scales), n, pack = code.parts, code.n, self.packing
        block = self.width(n)
        x = np.empty((len(packed), n), np.float32)
        for tile in tiles(len(packed), n, math.lcm(block, pack.group)):
            piece = packed[tile.rows, pack.size(tile.start) : pack.size(tile.stop)]
            numbers = pack.unpack(piece, tile.stop - tile.start)
            whole = np.pad(numbers, ((0, 0), (0, -numbers.shape[1] % block))).reshape(len(piece), -1, block)
            values = self.dequantise(whole, scales[tile.rows, tile.blocks(block), None])
            x[tile.rows, tile.columns] = values.reshape(len(piece), -1)[:, : tile.stop - tile.start]
        return x

    def wire_bytes(self, shape: Shape) -> int:
        """Packed numbers and four bytes for each block's scale."""
        n = elements(shape)
        return self.packing.size(n) + 4 * -(-n // self.width(n))


def inverse(scale: Floats) -> Floats:
    """One over each scale; zero where it is too small to have an inverse, so that such a block becomes zeros."""
    usable = scale >= SMALLEST
    return np.where(usable, np.float32(1) / np.where(usable, scale, np.float32(1)), np.float32(0))


def top(tile: Blocks) -> Floats:
    """The largest magnitude of each block."""
    rows, count, block = tile.values.shape
    magnitudes = np.abs(tile.values).ravel()
    # Half the time of a maximum over the last axis.
    largest: Floats = np.maximum.reduceat(magnitudes, np.arange(0, len(magnitudes), block)).reshape(rows, count)
    return largest
