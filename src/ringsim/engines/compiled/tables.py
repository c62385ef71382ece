"""The event loop's memory: one record per row, link and hop, so that what is used together lies together.

Records rather than a column per field for two reasons that were measured: an event touches a dozen fields of one row,
which are two cache lines here and a dozen there; and Numba counts references for every array it takes out of a tuple,
which cost more than the simulation.
"""

import numpy as np
from numpy.typing import NDArray

from ringsim.engines.compiled.contention import Contention
from ringsim.engines.compiled.kernel import Floats, Ints, Rows

Table = NDArray[np.void]

IDLE, WAITING, SENDING = 0, 1, 2


def _dtype(ints: str, floats: str) -> np.dtype[np.void]:
    return np.dtype(
        [(name, np.float64) for name in floats.split()] + [(name, np.int64) for name in ints.split()]
    )


#: What does not change: costs, and where in the other tables a row's hops, inputs and users stand.
#: What does: phase; firings that have left; time of the next event and place in the heap; on tight links the rate, the
#: full link that holds it back (−1: its cap), the bytes to go and since when; the rate being tried by a new sharing and
#: whether it takes part; first start, last left, latest and last delivery.
ROW = _dtype(
    "count reduces after hop hop_end input input_end user user_end phase fired slot bottleneck marked",
    "cap bytes duration latency work overhead key rate to_go since trial start left finish",
)
#: Capacity; first of the chain of active hops (−1: none); and for a sharing what is left, how many rise, whether touched.
LINK = _dtype("head rising marked", "bandwidth free")
#: One row on one tight link: both ends, its neighbours in the link's chain, and how many rows like it are there.
HOP = _dtype("row link next previous weight", "")
INPUT = _dtype("row lag", "")
#: An entry of the heap.
EVENT = _dtype("row", "key")
#: One record: where the run stands.
CLOCK = _dtype("queued simulated jumped events overflow touched included", "now")


def rows_table(rows: Rows, contention: Contention, message: Floats, users: Ints) -> Table:
    """Lay out the rows, nothing having happened yet; `users` are the offsets into the table of users."""
    table = np.zeros(len(rows.count), ROW)
    for name in ("count", "reduces", "after", "duration", "latency", "work", "overhead"):
        table[name] = getattr(rows, name)
    for name, offsets in (("hop", contention.offsets), ("input", rows.dep_offsets), ("user", users)):
        table[name], table[name + "_end"] = offsets[:-1], offsets[1:]
    table["cap"], table["bytes"] = contention.rate, message
    table["slot"] = table["bottleneck"] = -1
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


def users_of(rows: Rows) -> tuple[Ints, Ints]:
    """Turn the dependencies round: offsets, shape ``[rows + 1]``, and the rows that wait for each row.

    A row that comes after another on its connection waits for it too.
    """
    n = len(rows.count)
    waiting = np.repeat(np.arange(n), np.diff(rows.dep_offsets))
    chained = np.flatnonzero(rows.after >= 0)
    on = np.concatenate([rows.dep_row, rows.after[chained]])
    waiting = np.concatenate([waiting, chained])
    order = np.lexsort((waiting, on))
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(on, minlength=n), out=offsets[1:])
    return offsets, np.ascontiguousarray(waiting[order])
