"""What a benchmark measured, and under which circumstances; and the checks that any log has to pass."""

import math
from dataclasses import dataclass, replace

from ringsim.fabric.errors import FileError

#: Bytes of an element, by the names of nccl-tests, rccl-tests and hccl_test.
WIDTHS = {
    "int8": 1, "uint8": 1, "char": 1, "f8e4m3": 1, "f8e5m2": 1, "fp8_e4m3": 1, "fp8_e5m2": 1, "half": 2, "bfloat16": 2,
    "int32": 4, "int": 4, "uint32": 4, "float": 4, "int64": 8, "uint64": 8, "double": 8,
    "int16": 2, "uint16": 2, "fp16": 2, "bfp16": 2, "fp32": 4, "fp64": 8,
}  # fmt: skip

#: By so much time × bandwidth may miss the bytes beyond what rounding in print explains.
SLACK = 0.01

#: From this bandwidth on, GB/s, two decimals say the ratio of bus to algorithm bandwidth well enough.
TELLING = 1.0


class PerfLogError(FileError):
    """A log that cannot be used; the message names file and line."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes
    ----------
    bytes : int
        Of the vector on each rank.
    count : int or None
        Elements, where it says so.
    dtype : str
        In the words of the benchmark; empty where it does not say.
    time_us : float
    algbw, busbw : float
        GB/s; `busbw` is NaN where it is not printed.
    in_place : bool
    wrong : int or None
        Elements that were not what they should be; None where nobody looked. hccl_test only says whether there are any.
    line : int
        Where it stands, from 1 on.
    rounding : tuple of float
        By how much time (us) and algorithm bandwidth (GB/s) may be off for the decimals that are printed.
    """

    bytes: int
    count: int | None
    dtype: str
    time_us: float
    algbw: float
    busbw: float
    in_place: bool
    wrong: int | None
    line: int
    rounding: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Header:
    """What a log says about the run; None or empty where it does not.

    Attributes
    ----------
    tool : str
        ``nccl-tests``, ``rccl-tests`` or ``hccl_test``.
    program : str
        Such as ``all_reduce_perf``.
    version : str
        Of the library.
    ranks, nodes : int or None
    devices : tuple of str
        Names of the accelerators, each once.
    threads, gpus : int or None
        Threads of a process, and cards of a thread.
    launch : str
        ``process per card``, ``thread per card`` or ``one thread for N cards``: it moves the time of small messages.
    graph : bool
        Whether the calls were replayed as a CUDA or HIP graph.
    """

    tool: str
    program: str = ""
    version: str = ""
    ranks: int | None = None
    nodes: int | None = None
    devices: tuple[str, ...] = ()
    threads: int | None = None
    gpus: int | None = None
    launch: str = ""
    graph: bool = False


@dataclass(frozen=True)
class PerfLog:
    """A log.

    Attributes
    ----------
    path : str
    header : Header
    rows : tuple of Row
        In the order of the log.
    left_out : tuple of str
        Remarks on rows that are there in part only.
    """

    path: str
    header: Header
    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()


def launched(processes: int, ranks: int, gpus: int | None) -> str:
    """Say in words how `ranks` cards were driven by so many processes of so many cards a thread."""
    if processes >= ranks:
        return "process per card"
    each = gpus or 1
    return "thread per card" if each == 1 else f"one thread for {each} cards"


def checked(log: PerfLog) -> PerfLog:
    """Return the log, with its ranks from the ratio of bandwidths where the header has none, if it is in order.

    Raises
    ------
    PerfLogError
        If it has no row, is of another collective than all-reduce, or a row contradicts itself or the header.
    """
    if not log.rows:
        cut = f" ({log.left_out[0]})" if log.left_out else ""
        raise PerfLogError(
            f"{log.path}: has no row of a benchmark{cut}; give the whole output of all_reduce_perf or hccl_test"
        )
    program = log.header.program
    if program and "allreduce" not in program.casefold().replace("_", ""):
        raise PerfLogError(f"{log.path}: is the log of {program}; give one of all-reduce")
    ranks = log.header.ranks or _ranks(log.rows)
    if ranks == 1:
        raise PerfLogError(f"{log.path}: ran on one rank, so nothing was reduced; is the benchmark built with MPI=1?")
    for row in log.rows:
        _check(log.path, row, ranks)
    return replace(log, header=replace(log.header, ranks=ranks))


def _ranks(rows: tuple[Row, ...]) -> int | None:
    """Solve busbw / algbw = 2 (n − 1) / n for n where the bandwidths are large enough to tell."""
    row = max(rows, key=lambda row: row.algbw if math.isfinite(row.busbw) else 0.0)
    if row.algbw < TELLING or not math.isfinite(row.busbw):
        return None
    missing = 2 - row.busbw / row.algbw
    if missing <= 0:
        return None
    ranks, off = 2 / missing, 2 * row.rounding[1] / row.algbw
    # How far n moves when the ratio moves by its rounding: n²/2 of it.
    return round(ranks) if ranks * ranks / 2 * off < 0.4 else None


def _check(path: str, row: Row, ranks: int | None) -> None:
    """Hold a row against itself."""
    where = f"{path}: line {row.line}"
    width = WIDTHS.get(row.dtype)
    if width and row.count is not None and row.count * width != row.bytes:
        raise PerfLogError(
            f"{where}: {row.count} elements of {row.dtype} are {row.count * width} bytes and not {row.bytes}; "
            "give the log of an all-reduce, where size is that of one rank"
        )
    if not (math.isfinite(row.time_us) and row.time_us > 0 and math.isfinite(row.algbw) and row.algbw >= 0):
        raise PerfLogError(f"{where}: time {row.time_us:g} us, {row.algbw:g} GB/s: no measurement; remove the row")
    moved = row.algbw * row.time_us * 1e3
    off = (row.rounding[1] * row.time_us + row.rounding[0] * row.algbw) * 1e3
    if abs(moved - row.bytes) > SLACK * row.bytes + off:
        raise PerfLogError(
            f"{where}: {row.time_us:g} us at {row.algbw:g} GB/s are {moved:,.0f} bytes and not {row.bytes:,}; "
            "are the columns what they seem (time in us, GB of 10^9 bytes, no time of the CPU)?"
        )
    if ranks and math.isfinite(row.busbw) and row.algbw >= TELLING:
        factor = 2 * (ranks - 1) / ranks
        if abs(row.busbw / row.algbw - factor) > 0.02 * factor + 4 * row.rounding[1] / row.algbw:
            raise PerfLogError(
                f"{where}: busbw / algbw = {row.busbw / row.algbw:.4g}, and an all-reduce of {ranks} ranks has "
                f"{factor:.4g}; is it the log of another collective, or of another number of ranks?"
            )
