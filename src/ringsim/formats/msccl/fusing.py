"""Receive and send on in one step, where a gpu does nothing else with what comes: rings, chains, a tree's inner nodes.

One thread block then has both ends. What it sends follows what it receives one by one, after those with which it
begins by itself; what comes last it keeps.
"""

import numpy as np

from ringsim.formats.msccl.meeting import Aside
from ringsim.formats.msccl.runs import Runs
from ringsim.schedule import Ints


def fuse(found: Runs, apart: Aside, waiting: Ints, awaited: Ints) -> Ints:
    """Find what is sent on as it comes.

    Parameters
    ----------
    found : Runs
    apart : Aside
    waiting, awaited : int arrays, shape ``[waits]``
        Steps that wait for each other: of *N* runs *n* is sent by step *n* and received by step *N + n*.

    Returns
    -------
    onward : int array, shape ``[runs]``
        The run as which each is sent on, −1 where it is not.
    """
    total = len(found)
    onward = np.full(total, -1)
    asked = np.bincount(awaited, minlength=2 * total)[total : 2 * total]
    holds = np.zeros(2 * total, bool)
    holds[waiting[waiting < 2 * total]] = True
    whole = ~found.packed
    free = (asked == 1) & ~holds[total:] & ~apart.here & whole

    pairs = np.flatnonzero((waiting < total) & (awaited >= total) & (awaited < 2 * total))
    out, come = waiting[pairs], awaited[pairs] - total
    channel = found.schedule.channel[found.row]
    same = (
        free[come] & whole[out] & (channel[come] == channel[out])
        & (found.start[come] == found.start[out]) & (found.count[come] == found.count[out])
    )  # fmt: skip
    out, come = out[same], come[same]
    begins, size = _connections(found)
    used = set[int]()
    key = found.connection[come] * found.schedule.rows + found.connection[out]
    order = np.lexsort((come, key))
    for group in np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(order) else []:
        one, other = come[group], out[group]
        u, v = int(found.connection[one[0]]), int(found.connection[other[0]])
        nth, sent = one - begins[u], other - begins[v]
        own = int(sent[0] - nth[0])
        follow = int(size[v]) - own
        if (
            own >= 0 and 0 < follow <= size[u] and len(nth) == follow
            and (nth == np.arange(follow)).all() and (sent == nth + own).all() and not {u, ~v} & used
        ):  # fmt: skip
            onward[one] = other
            used |= {u, ~v}
    return onward


def _connections(found: Runs) -> tuple[Ints, Ints]:
    """First run on each connection, and how many, by the connection's first row."""
    rows = found.schedule.rows
    return np.searchsorted(found.connection, np.arange(rows)), np.bincount(found.connection, minlength=rows)
