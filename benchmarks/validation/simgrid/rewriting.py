"""The same program, said differently: a row for each firing, and SimGrid's own way with latency.

Engines report a row's first start and last arrival. With a row for each firing they report every one of them, so that
every single flow can be held against SimGrid's.

CM02 differs from ringsim's law twice where links have latencies: a flow pays the latency first and sends then, and links
are shared in proportion to one over the latency of a flow's route (long ways get less, as with TCP). Both can be said in
the words of a program: latency that is paid first is what the sender spends before a firing, and a flow that gets *k*
parts is *k* flows side by side with a *k*-th of the bytes each. A program rewritten like that has to agree with SimGrid,
and what it changes is the whole difference between the two.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ringsim.program import Program

Ints = NDArray[np.int64]

#: Columns with one entry for each row.
COLUMNS = ("bytes", "count", "reduces", "latency", "work", "overhead", "cap", "after")


def unrolled(program: Program) -> Program:
    """Return the program with a row for each firing, in the order of rows and then of firings."""
    last = np.cumsum(program.count) - 1
    row = np.repeat(np.arange(program.rows), program.count)
    firing = np.arange(len(row)) - (last - program.count + 1)[row]
    many = picked(program, row)
    # Whom a firing follows on its connection: the one before it, or the last one of the row before.
    before = np.where(many.after >= 0, last[many.after], -1)
    waiting = np.repeat(np.arange(len(row)), np.diff(many.dep_offsets))
    wanted = firing[waiting] - many.dep_lag
    needed = wanted >= 0
    on = many.dep_row[needed]
    return replace(
        many,
        count=np.ones(len(row), np.int64),
        reduces=(firing < many.reduces).astype(np.int64),
        after=np.where(firing > 0, np.arange(len(row)) - 1, before),
        dep_offsets=np.searchsorted(waiting[needed], np.arange(len(row) + 1)),
        dep_row=last[on] - program.count[on] + 1 + np.minimum(wanted[needed], program.count[on] - 1),
        dep_lag=np.zeros(len(on), np.int64),
    )


def as_cm02(program: Program, whole: float) -> tuple[Program, Ints]:
    """Say in ringsim's words what CM02 does with flows whose latencies are those of their links.

    Parameters
    ----------
    program : Program
    whole : float, seconds
        Latency of a flow that gets one part. Those of all rows are this one divided by a small whole number, and joins
        have none.

    Returns
    -------
    program : Program
    row : int array, shape ``[rows]``
        The row of it that stands for each row; beside it may be others like it.

    Raises
    ------
    ValueError
        If a latency is another fraction of the whole.
    """
    share = np.ones(program.rows)
    np.divide(whole, program.latency, out=share, where=program.latency > 0)
    parts = np.rint(share).astype(np.int64)
    wrong = np.abs(share - parts) > 1e-9
    if wrong.any():
        v = int(np.argmax(wrong))
        raise ValueError(f"row {v}: latency {program.latency[v]:g} s is not {whole:g} s divided by a whole number")
    first = np.cumsum(parts) - parts
    row = np.repeat(np.arange(program.rows), parts)
    many = picked(program, row)
    beside = np.arange(len(row)) - first[row]
    return replace(
        many,
        bytes=many.bytes / parts[row],
        latency=np.zeros(len(row)),
        overhead=many.overhead + many.latency,
        # Rows of one connection have one route, so one latency and as many parts.
        after=np.where(many.after >= 0, first[many.after] + beside, -1),
        dep_row=first[many.dep_row],
    ), first


def picked(program: Program, row: Ints) -> Program:
    """Take rows, some of them several times; whom they follow and wait for keeps its old number."""
    route, hops = _ranges(program.route_offsets, row)
    deps, needs = _ranges(program.dep_offsets, row)
    return replace(
        program,
        **{name: getattr(program, name)[row] for name in COLUMNS},
        route_offsets=route,
        route_links=program.route_links[hops],
        dep_offsets=deps,
        dep_row=program.dep_row[needs],
        dep_lag=program.dep_lag[needs],
    )


def _ranges(offsets: Ints, row: Ints) -> tuple[Ints, Ints]:
    """New offsets of the picked rows' entries, and where those entries were."""
    long = np.diff(offsets)[row]
    ends = np.concatenate([[0], np.cumsum(long)])
    return ends, np.arange(ends[-1]) + np.repeat(offsets[row] - ends[:-1], long)
