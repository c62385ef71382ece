"""Find the links that nobody ever has to share: they only set a speed, and a row without others has a fixed duration.

A link is *open* when the rows on it together, each at the most it could ever send, do not fill it. Open links never
bind in the max-min share, so they can be taken out of it without changing any rate, and neither do links in the shadow
of a narrower one that carries the same rows. A row whose links are all open sends each firing in ``bytes / top rate``
seconds whatever else happens. Most programs have no other rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringsim.program import Program

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Room for the rounding of a sum of shares: k rows that reserve 1/k of a link each do fill it exactly.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Contention:
    """What is left to share, shape ``[rows]`` unless said otherwise.

    Attributes
    ----------
    rate : float array, bytes/s
        Of each row where no tight link holds it back.
    offsets, links : int arrays, shapes ``[rows + 1]`` and ``[tight hops]``
        The tight links of each row, numbered from 0.
    bandwidth : float array, shape ``[tight links]``, bytes/s
    """

    rate: Floats
    offsets: Ints
    links: Ints
    bandwidth: Floats


def find(program: Program) -> Contention:
    """Separate tight links from open ones."""
    rate = program.top_rate()
    row, link = program.row_of_hop(), program.route_links.astype(np.int64)
    demand = np.bincount(link, weights=rate[row], minlength=len(program.bandwidth))
    if (program.after >= 0).any():
        # Rows of one connection take turns, and they take the same route: only the fastest of them counts.
        connection = _connections(program.after)
        order = np.lexsort((-rate[row], connection[row], link))
        first = np.ones(len(order), bool)
        first[1:] = (np.diff(link[order]) != 0) | (np.diff(connection[row][order]) != 0)
        kept = order[first]
        demand = np.bincount(link[kept], weights=rate[row[kept]], minlength=len(program.bandwidth))
    tight = (demand > program.bandwidth * (1 + ROUNDING)) & ~_shadowed(program, row, link)
    number = np.cumsum(tight) - 1
    hop = tight[link]
    offsets = np.zeros(program.rows + 1, np.int64)
    np.cumsum(np.bincount(row[hop], minlength=program.rows), out=offsets[1:])
    return Contention(rate, offsets, number[link[hop]], program.bandwidth[tight])


def _shadowed(program: Program, row: Ints, link: Ints) -> NDArray[np.bool_]:
    """Links that carry exactly the rows of a neighbour on their way that is no wider, shape ``[links]``.

    The neighbour fills up first. A NIC's port and the bus to its card are such a pair.
    """
    links = len(program.bandwidth)
    users = np.bincount(link, minlength=links)
    this, next_ = link[:-1], link[1:]
    inner = row[:-1] == row[1:]
    lowest, highest = np.full(links, links), np.full(links, -1)
    np.minimum.at(lowest, this[inner], next_[inner])
    np.maximum.at(highest, this[inner], next_[inner])
    followed = np.bincount(this[inner], minlength=links)
    first = np.flatnonzero((users > 0) & (followed == users) & (lowest == highest))
    second = lowest[first]
    same = users[first] == users[second]
    first, second = first[same], second[same]
    wider = program.bandwidth[first] >= program.bandwidth[second]
    shadowed = np.zeros(links, bool)
    shadowed[np.where(wider, first, second)] = True
    return shadowed


def _connections(after: Ints) -> Ints:
    """First row of the connection that each row belongs to."""
    head = np.where(after >= 0, after, np.arange(len(after)))
    while True:
        further = head[head]
        if (further == head).all():
            return head
        head = further
