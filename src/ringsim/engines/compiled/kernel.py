"""What the two compiled loops have in common: the columns they read and how they are compiled.

Numba compiles a loop the first time it is called and keeps the machine code in a cache beside the source file, or in
the user's cache directory where that cannot be written, or nowhere: then every process compiles for itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ringsim.engines.compiled.contention import Contention
from ringsim.program import Program

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])

#: How far apart two shifts may be and still be the same, relative to the shift. Rows that really drift apart by less
#: than this each period put a relative error of the same size into the result, far inside the promised 1e-9.
SAME = 1e-11


def kernel(function: Function) -> Function:
    """Compile with Numba, cached on disk wherever that is possible."""
    try:
        return njit(cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no directory that Numba may write to
        return njit(function)  # type: ignore[no-any-return]


def is_compiled(dispatcher: Any) -> bool:
    """Whether a kernel's machine code is at hand, in this process or newer than its source in the cache."""
    if dispatcher.signatures:
        return True
    source = Path(dispatcher.py_func.__code__.co_filename)
    stem = f"{source.stem}.{dispatcher.py_func.__name__}-*.nbi"
    try:
        folder = Path(dispatcher.stats.cache_path or "")
        return any(index.stat().st_mtime >= source.stat().st_mtime for index in folder.glob(stem))
    except (OSError, AttributeError):
        return False


class Rows(NamedTuple):
    """A program's rows once links that nobody shares are out of the way, shape ``[rows]`` unless said otherwise.

    ``duration`` is the sending time in seconds of a firing that no tight link holds back; the rest as in `Program`.
    """

    count: Ints
    reduces: Ints
    duration: Floats
    latency: Floats
    work: Floats
    overhead: Floats
    after: Ints
    dep_offsets: Ints
    dep_row: Ints
    dep_lag: Ints


def rows_of(program: Program, contention: Contention) -> Rows:
    """Columns for the kernels, contiguous and of the types they were compiled for."""
    ints, floats = np.int64, np.float64
    return Rows(
        np.ascontiguousarray(program.count, ints),
        np.ascontiguousarray(program.reduces, ints),
        np.ascontiguousarray(program.bytes / contention.rate, floats),
        np.ascontiguousarray(program.latency, floats),
        np.ascontiguousarray(program.work, floats),
        np.ascontiguousarray(program.overhead, floats),
        np.ascontiguousarray(program.after, ints),
        np.ascontiguousarray(program.dep_offsets, ints),
        np.ascontiguousarray(program.dep_row, ints),
        np.ascontiguousarray(program.dep_lag, ints),
    )


class Times(NamedTuple):
    """What the kernels write, seconds, shape ``[rows]``: first start, last left, latest delivery, last delivery."""

    start: Floats
    left: Floats
    finish: Floats
    final: Floats


def new_times(rows: int) -> Times:
    """Nothing has happened yet."""
    return Times(np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows))
