"""Small whole numbers in as few bytes as they need: real bits, because a ratio that is only counted is easily wrong."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


class Packing(ABC):
    """How numbers become bytes, each row of ``[rows, n]`` on its own.

    Attributes
    ----------
    group : int
        Numbers that fill whole bytes: a row may be cut at its multiples.
    """

    group: int

    @abstractmethod
    def size(self, n: int) -> int:
        """Bytes of `n` numbers."""

    @abstractmethod
    def pack(self, numbers: Bytes) -> Bytes:
        """From ``[rows, n]`` to ``[rows, size(n)]``."""

    @abstractmethod
    def unpack(self, packed: Bytes, n: int) -> Bytes:
        """Back to ``[rows, n]``."""


@dataclass(frozen=True)
class Bits(Packing):
    """Numbers below ``2**bits``, the first in the lowest bits, for 1 to 8 bits."""

    bits: int

    @property
    def group(self) -> int:  # type: ignore[override]
        """Eight numbers of `bits` bits are `bits` bytes."""
        return 1 if self.bits == 8 else 8

    def size(self, n: int) -> int:
        """Bytes of `n` numbers."""
        return -(-n * self.bits // 8)

    def pack(self, numbers: Bytes) -> Bytes:
        """Eight numbers at a time, side by side in a word of 64 bits of which the lowest bytes are kept."""
        if self.bits == 8:
            return numbers
        if self.bits == 1:
            return np.packbits(numbers, axis=1, bitorder="little")
        rows, n = numbers.shape
        eights = _padded(numbers, 8).reshape(rows, -1, 8)
        words = np.zeros(eights.shape[:2], "<u8")
        for place in range(8):
            words |= eights[:, :, place].astype("<u8") << np.uint64(place * self.bits)
        packed = words[:, :, None].view(np.uint8)[:, :, : self.bits]
        return packed.reshape(rows, -1)[:, : self.size(n)]

    def unpack(self, packed: Bytes, n: int) -> Bytes:
        """Back to ``[rows, n]``."""
        if self.bits == 8:
            return packed
        if self.bits == 1:
            return np.unpackbits(packed, axis=1, count=n, bitorder="little")
        rows = len(packed)
        groups = _padded(packed, self.bits).reshape(rows, -1, self.bits)
        wide = np.zeros((*groups.shape[:2], 8), np.uint8)
        wide[:, :, : self.bits] = groups
        words = wide.view("<u8")[:, :, 0]
        numbers = np.empty((*words.shape, 8), np.uint8)
        for place in range(8):
            numbers[:, :, place] = (words >> np.uint64(place * self.bits)) & np.uint64(2**self.bits - 1)
        return numbers.reshape(rows, -1)[:, :n]


@dataclass(frozen=True)
class Trits(Packing):
    """Numbers 0, 1 and 2, five to a byte: 3**5 = 243 of its 256 values, 1.6 bits each where 1.585 are the least."""

    group: int = 5

    def size(self, n: int) -> int:
        """Bytes of `n` numbers."""
        return -(-n // 5)

    def pack(self, numbers: Bytes) -> Bytes:
        """The first of five counts 1, the last 81."""
        rows = len(numbers)
        fives = _padded(numbers, 5).reshape(rows, -1, 5)
        packed = np.zeros(fives.shape[:2], np.uint8)
        for place in reversed(range(5)):
            packed *= np.uint8(3)
            packed += fives[:, :, place]
        return packed

    def unpack(self, packed: Bytes, n: int) -> Bytes:
        """Back to ``[rows, n]``."""
        numbers = (packed[:, :, None] // np.array([1, 3, 9, 27, 81], np.uint8)) % np.uint8(3)
        return numbers.reshape(len(packed), -1)[:, :n]


def _padded(array: Bytes, multiple: int) -> Bytes:
    """Add zeros until the rows' length is a multiple."""
    short = -array.shape[1] % multiple
    return np.pad(array, ((0, 0), (0, short))) if short else array
