"""What the two compiled loops have in common: the columns they read and how they are compiled.

Numba compiles a loop the first time it is called and keeps the machine code in a cache, in the user's cache directory or
nowhere where that cannot be written: then every process compiles for itself.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
import platformdirs
from numba import config, njit
from numba.core import event
from numpy.typing import NDArray

from ringsim.engines.compiled.contention import Contention
from ringsim.program import Program

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Places = NDArray[np.uint32]
Function = TypeVar("Function", bound=Callable[..., Any])

#: How far apart two shifts may be and still be the same, relative to the shift. Rows that really drift apart by less
#: than this each period put a relative error of the same size into the result, far inside the promised 1e-9.
SAME = 1e-11


def _cache_folder() -> str | None:
    """Where machine code of exactly these sources is kept, or None where nothing can be written.

    Numba looks only at the file of the function that is called, so after a change (or an upgrade) in another one it
    would go on with old code; a folder for each state of the sources rules that out. ``NUMBA_CACHE_DIR`` is respected.
    """
    sources = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(source.read_bytes())
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else platformdirs.user_cache_path("ringsim", False)
    folder = base / f"engine-{sources.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


_FOLDER = _cache_folder()


def kernel(function: Function) -> Function:
    """Compile with Numba, cached on disk wherever that is possible; nothing here divides by zero, so nothing checks."""
    if _FOLDER is None:
        return cast("Function", njit(error_model="numpy")(function))
    users, config.CACHE_DIR = config.CACHE_DIR, _FOLDER
    try:
        return cast("Function", njit(cache=True, error_model="numpy")(function))
    finally:
        config.CACHE_DIR = users


def inner(function: Function) -> Function:
    """Compile what only kernels call into the place where it is called.

    A call hands over five numbers for every table, on the stack, which took a third of the time of an event.
    """
    how = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    return cast("Function", njit(**how)(function))


def is_compiled(dispatcher: Any) -> bool:
    """Whether a kernel's machine code is at hand, in this process or in the cache."""
    if dispatcher.signatures:
        return True
    if _FOLDER is None:
        return False
    return any(Path(dispatcher.stats.cache_path).glob(f"*.{dispatcher.py_func.__name__}-*.nbi"))


_compiling = event.TimingListener()
event.register("numba:compile", _compiling)


def compiling_s() -> float:
    """Seconds that Numba has spent on compiling so far, in this process."""
    return float(_compiling.duration) if _compiling.done else 0.0


class Rows(NamedTuple):
    """A program's rows once links that nobody shares are out of the way, shape ``[rows]`` unless said otherwise.

    ``firings`` is the program's count; ``duration`` is the sending time in seconds of a firing that no tight link holds
    back; the rest as in `Program`.
    """

    firings: Ints
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
