"""Arrays in pieces that stay in the cache, and the check of what comes in.

A gradient of a gigabyte that is gone through once for each operation waits for memory each time. Codecs take it
tile by tile instead, each large enough that Python's own time does not show.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.codecs.codec import CodecError, Floats

#: Elements of a tile: a quarter of a megabyte of float32, so that it and what is made of it stay in the second cache.
TILE = 2**16

#: The smallest float32 with all its bits. A scale below it has no inverse: such blocks become zeros.
SMALLEST = np.finfo(np.float32).tiny
LARGEST = np.finfo(np.float32).max


class Tile(NamedTuple):
    """Some messages' elements from `start` to `stop`."""

    rows: slice
    start: int
    stop: int

    @property
    def columns(self) -> slice:
        """The elements as a slice."""
        return slice(self.start, self.stop)

    def blocks(self, size: int) -> slice:
        """The slice of what there is one of for every `size` elements, the last of them perhaps short."""
        return slice(self.start // size, -(-self.stop // size))


def tiles(messages: int, n: int, step: int = 1) -> Iterator[Tile]:
    """Cut ``[messages, n]`` into tiles that begin at multiples of `step`: several short messages, or a part of one."""
    if not messages * n:
        return
    width = max(step, TILE // step * step)
    rows = max(1, TILE // n)
    for row in range(0, messages, rows):
        for start in range(0, n, width):
            yield Tile(slice(row, min(row + rows, messages)), start, min(start + width, n))


def blocks(x: Floats, tile: Tile, block: int) -> Floats:
    """Return a tile as blocks, shape ``[rows, blocks, block]``, zeros where the last is short; maybe a view of `x`."""
    piece = x[tile.rows, tile.columns]
    rows, width = piece.shape
    if short := -width % block:
        padded = np.zeros((rows, width + short), x.dtype)
        padded[:, :width] = piece
        piece = padded
    return piece.reshape(rows, -1, block)


def sizes(tile: Tile, block: int) -> NDArray[np.int64]:
    """Elements of each block of a tile."""
    starts = np.arange(tile.start, tile.stop, block)
    return np.minimum(block, tile.stop - starts)


def check(x: Floats, spec: str, *, finite: bool = True) -> None:
    """Refuse what is no float32 ``[messages, n]``, and, unless it is left to `finite` later, what is not finite.

    Raises
    ------
    CodecError
        Names what came instead, or the message and the element.
    """
    if x.ndim != 2 or x.dtype != np.float32:
        raise CodecError(f"{spec}: takes float32 of shape [messages, n], not {x.dtype} of shape {list(x.shape)}")
    if finite:
        for tile in tiles(*x.shape):
            all_finite(x, tile, spec)


def all_finite(x: Floats, tile: Tile, spec: str) -> None:
    """Refuse NaN and infinities in a tile.

    Casts carry those on. Elsewhere one of them would spoil a whole block, or be left out without a word.

    Raises
    ------
    CodecError
        Names the message and the element.
    """
    piece = x[tile.rows, tile.columns]
    # Both are NaN where anything is, and reading twice from the cache beats an array of answers.
    if not (math.isfinite(piece.max()) and math.isfinite(piece.min())):
        row, column = (int(where[0]) for where in np.nonzero(~np.isfinite(piece)))
        raise CodecError(
            f"{spec}: element {tile.start + column} of message {tile.rows.start + row} is {piece[row, column]}; "
            "only finite numbers can be encoded"
        )


def over(x: Floats, remembered: NDArray[np.float32], spec: str) -> None:
    """Refuse a state that was made for another shape.

    Raises
    ------
    CodecError
        Names both shapes.
    """
    if x.shape != remembered.shape:
        raise CodecError(
            f"{spec}: the state is for {list(remembered.shape)} and the vectors are {list(x.shape)}; "
            "call init with the same shape and number of messages"
        )
