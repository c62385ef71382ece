"""Divide a program into pools: rows that share links, directly or through others.

What goes on in a pool depends on the others in one way only, by what they deliver to it. So pools need not be worked out
together, event by event: each can be carried on alone for as long as it is known what it is given. That is conservative
simulation of parallel processes (K. M. Chandy, J. Misra, "Distributed Simulation", IEEE TSE 5, 1979; R. E. Bryant, 1977),
here for the sake of the cache and of short queues. A pool that stops says up to when it can do nothing new, its *horizon*,
and together with the time that a firing takes and its latency, that tells its readers how far they may go.
"""

from dataclasses import replace

import numpy as np

from ringsim.engines.compiled.fold import Folded
from ringsim.engines.compiled.kernel import Ints, Rows, kernel
from ringsim.engines.compiled.lone import FEW
from ringsim.engines.compiled.tables import POOL, Table, lined_up
from ringsim.engines.compiled.tournament import length


def divide(few: Folded) -> Ints:
    """Number the pools by their first row, shape ``[rows]``; rows of one connection keep together."""
    n, chained = len(few.rows.firings), np.flatnonzero(few.rows.after >= 0)
    links = few.contention.links
    hop_row = np.repeat(np.arange(n), np.diff(few.contention.offsets))
    one = np.concatenate([hop_row, chained])
    other = np.concatenate([n + links, few.rows.after[chained]])
    root = _roots(n + len(few.contention.bandwidth), one, other)[:n]
    _, first, number = np.unique(root, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


@kernel
def _roots(n: int, one: Ints, other: Ints) -> Ints:
    """Name for each of `n` things the least that it hangs together with by the pairs (one, other)."""
    root = np.arange(n)
    for e in range(len(one)):
        a, b = one[e], other[e]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        root[max(a, b)] = min(a, b)
    for v in range(n):
        root[v] = root[root[v]]
    return root


def arranged(few: Folded, order: Ints) -> Folded:
    """The same program with its rows in another order."""
    rows, contention = few.rows, few.contention
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    inputs, dep_offsets = _moved(rows.dep_offsets, order)
    hops, offsets = _moved(contention.offsets, order)
    columns = ("firings", "reduces", "duration", "latency", "work", "overhead")
    after = rows.after[order]
    return Folded(
        Rows(
            **{name: getattr(rows, name)[order] for name in columns},
            after=np.where(after < 0, -1, place[after]),
            dep_offsets=dep_offsets,
            dep_row=place[rows.dep_row[inputs]],
            dep_lag=rows.dep_lag[inputs],
        ),
        replace(contention, rate=contention.rate[order], offsets=offsets, links=contention.links[hops]),
        few.message[order],
        few.weight[hops],
        place[few.class_of],
    )


def _moved(offsets: Ints, order: Ints) -> tuple[Ints, Ints]:
    """Where the entries of lists are to be taken from when their owners change places, and their new offsets."""
    length = np.diff(offsets)[order]
    new = np.concatenate([[0], np.cumsum(length)])
    return np.arange(new[-1]) + np.repeat(offsets[:-1][order] - new[:-1], length), new


def pools_table(few: Folded, pool: Ints, *, alone: bool) -> tuple[Table, Ints, float]:
    """Lay out the pools: the table, the pools that read each, and the least time that a delivery to another one takes.

    Rows have to be in the order of their pools. With `alone` a pool of few rows on one link is carried on without a queue.
    """
    n, rows, contention = int(pool.max()) + 1, few.rows, few.contention
    P = lined_up(n, POOL)
    P["at"] = P.ctypes.data + np.arange(n) * POOL.itemsize
    P["row"] = np.searchsorted(pool, np.arange(n))
    P["row_end"] = np.append(P["row"][1:], len(pool))
    P["service"] = np.minimum.reduceat(rows.duration, P["row"])
    P["leader"] = -1
    size = P["row_end"] - P["row"]
    owner = np.full(len(contention.bandwidth), -1)
    owner[contention.links] = np.repeat(pool, np.diff(contention.offsets))
    links = np.bincount(owner[owner >= 0], minlength=n)
    P["lone"] = alone & (links <= 1) & (size <= FEW)
    large = np.flatnonzero(P["lone"] == 0)
    P["queue_length"][large] = [length(rows) for rows in size[large].tolist()]
    waiting, across = crossing(rows, pool)
    reads = np.unique(pool[rows.dep_row[across]] * n + pool[waiting[across]])
    offsets = np.searchsorted(reads // n, np.arange(n + 1))
    P["reader"], P["reader_end"] = offsets[:-1], offsets[1:]
    least = rows.latency[rows.dep_row[across]] + rows.overhead[waiting[across]]
    return P, reads % n, float(least.min(initial=np.inf))


def crossing(rows: Rows, pool: Ints) -> tuple[Ints, Ints]:
    """Row that each dependency belongs to, and the dependencies that lead from one pool to another."""
    waiting = np.repeat(np.arange(len(pool)), np.diff(rows.dep_offsets))
    return waiting, np.flatnonzero(pool[waiting] != pool[rows.dep_row])
