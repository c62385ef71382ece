"""The event loop's memory: one record per row, link and hop, so that what is used together lies together.

Records rather than a column per field for two reasons that were measured: an event touches a dozen fields of one row,
which are two cache lines here and a dozen there; and Numba counts references for every array it takes out of a tuple,
which cost more than the simulation. For the same reason the kernels see the tables through `bare`.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from ringsim.engines.compiled.contention import Contention
from ringsim.engines.compiled.kernel import Floats, Ints, Rows, inner

Table = NDArray[np.void]

IDLE, WAITING, SENDING = 0, 1, 2


def _dtype(**lines: str) -> np.dtype[np.void]:
    """Fields by type, in the order of use: what one question needs should be one cache line."""
    types = {"f": np.float64, "i": np.int64, "n": np.int32, "u": np.uint32}
    return np.dtype([(name, types[kind[0]]) for kind, names in lines.items() for name in names.split()])


#: First line, for sharing: whether the row takes part in this one, the full link that holds it back (−1: its cap), its
#: tight hops, its rate, the rate being tried, the most it may have, bytes to go, since when, and its next event. Second,
#: for events: what it is doing, firings that have left and all of them, inputs, users and pool, and when the last one had
#: left. Third what is needed once a firing: costs, results, the row before it on its connection, whether it waits for rows
#: of other pools, and for a sharing, what held it back before. Unsigned places spare Numba the question whether they count
#: from the end.
ROW = _dtype(
    n1="marked bottleneck", u1="hop hop_end", f1="rate trial cap to_go since key",
    n2="phase fired count input input_end user user_end pool", f2="left latency overhead bytes",
    f3="work duration start finish", n3="reduces after reads was pad3 pad4 pad5 pad6",
)  # fmt: skip
#: First of the chain of active hops (−1: none), and for a sharing whether the link is touched, whether anything changed on
#: it, rows that take no part, the weight of those that rise, and what is left for them.
LINK = _dtype(n1="head marked moved others rising pad", f1="bandwidth free")
#: One row on one tight link: both ends, its neighbours in the link's chain, and how many rows like it are there.
HOP = _dtype(u="row link", n="next previous weight")
#: One dependency.
INPUT = _dtype(i="row lag")
#: A pool. First its time, its next event, its horizon (before that nothing happens in it that is not written down) and the
#: least that a firing takes; the length of its queue, and what a sharing has collected. Then where it and its queues are in
#: memory, its rows, whether they are few on one link at most, and the pools that read it. Last what its state is compared
#: with.
POOL = _dtype(
    f1="now next horizon service", i1="queue_length touched included simulated",
    i2="at queue waits row row_end lone reader reader_end", i3="listed begun events overflow jumped leader seen wait",
    f4="saved_at", i4="pad1 pad2 pad3 pad4 pad5 pad6 pad7",
)  # fmt: skip

#: Events this close together, relative to the time since the start, are one instant: some hundred roundings.
INSTANT = 2e-14


def lined_up(n: int, kind: np.dtype[np.void]) -> Table:
    """Zeros that begin at a cache line."""
    memory = np.zeros(n * kind.itemsize + 64, np.uint8)
    skip = -memory.ctypes.data % 64
    return memory[skip : skip + n * kind.itemsize].view(kind)


def rows_table(rows: Rows, contention: Contention, message: Floats, users: Ints) -> Table:
    """Lay out the rows, nothing having happened yet; `users` are the offsets into the table of users."""
    table = lined_up(len(rows.firings), ROW)
    table["count"] = rows.firings
    for name in ("reduces", "after", "duration", "latency", "work", "overhead"):
        table[name] = getattr(rows, name)
    for name, offsets in (("hop", contention.offsets), ("input", rows.dep_offsets), ("user", users)):
        table[name], table[name + "_end"] = offsets[:-1], offsets[1:]
    table["cap"], table["bytes"] = contention.rate, message
    table["bottleneck"] = -1
    return table


def links_table(contention: Contention, weight: Ints) -> tuple[Table, Table]:
    """Lay out tight links and hops, nobody being on them."""
    links, hops = np.zeros(len(contention.bandwidth), LINK), np.zeros(len(contention.links), HOP)
    links["bandwidth"], links["head"] = contention.bandwidth, -1
    hops["row"] = np.repeat(np.arange(len(contention.offsets) - 1), np.diff(contention.offsets))
    hops["link"], hops["weight"], hops["next"], hops["previous"] = contention.links, weight, -1, -1
    return links, hops


def inputs_table(rows: Rows) -> Table:
    """Lay out the dependencies."""
    table = np.zeros(len(rows.dep_row), INPUT)
    table["row"], table["lag"] = rows.dep_row, rows.dep_lag
    return table


def users_of(rows: Rows, pool: Ints) -> tuple[Ints, Ints]:
    """Turn the dependencies round: offsets, shape ``[rows + 1]``, and the rows of its pool that wait for each row.

    A row that comes after another on its connection waits for it too.
    """
    n = len(rows.firings)
    waiting = np.repeat(np.arange(n), np.diff(rows.dep_offsets))
    chained = np.flatnonzero(rows.after >= 0)
    on = np.concatenate([rows.dep_row, rows.after[chained]])
    waiting = np.concatenate([waiting, chained])
    inside = pool[waiting] == pool[on]
    waiting, on = waiting[inside], on[inside]
    order = np.lexsort((waiting, on))
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(on, minlength=n), out=offsets[1:])
    return offsets, np.ascontiguousarray(waiting[order])


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """Turn an address into a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(address), generate


@inner
def bare(address: int, shape: Any, kind: Any) -> Any:
    """View a table by its address: an array that owns nothing has no references to count.

    Every call of a function counts references to the arrays it is given, with atomic instructions, unless there is no
    owner; that took two fifths of the time. Whoever calls this keeps the table alive.
    """
    return carray(_pointer(address), shape, kind)
