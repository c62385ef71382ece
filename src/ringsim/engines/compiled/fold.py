"""Let one row stand for all rows that must do the same at the same time.

Eight trees on eight rails of identical nodes are one tree eight times. Colour refinement finds such symmetry without
knowing about rails: rows start with a colour for their costs, links with one for their bandwidth, and a colour is split
whenever two of its members differ in the colours they depend on, the colours of their links, or the colours of the rows
they share a link with. When nothing splits any more the partition is equitable. Then all rows of a colour have equal
times: at every event their situations are the same, and a max-min share is unique, so it cannot treat them differently.

Colours are 64-bit hashes. That no two situations collided is not assumed but checked at the end, member by member.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringsim.engines.compiled.contention import Contention
from ringsim.engines.compiled.kernel import Floats, Ints, Rows, inner, kernel

Colours = NDArray[np.uint64]

#: Not worth it if fewer than this many rows fall together on average.
LEAST_GAIN = 1.5


@dataclass(frozen=True, eq=False)
class Folded:
    """A smaller program, and the class of each original row in it, shape ``[original rows]``.

    ``weight`` says for each tight hop how many rows of the class are on each link of the link's class.
    """

    rows: Rows
    contention: Contention
    message: Floats
    weight: Ints
    class_of: Ints


def unfolded(rows: Rows, contention: Contention, message: Floats) -> Folded:
    """Every row stands for itself."""
    n = len(rows.firings)
    return Folded(rows, contention, message, np.ones(len(contention.links), np.int64), np.arange(n))


def fold(rows: Rows, contention: Contention, message: Floats) -> Folded:
    """Find the coarsest classes of equal rows; what comes back is `unfolded` where there is little to gain."""
    n, waiting = len(rows.firings), np.repeat(np.arange(len(rows.firings)), np.diff(rows.dep_offsets))
    hop_row = np.repeat(np.arange(n), np.diff(contention.offsets))
    costs = (
        rows.firings, rows.reduces, message, contention.rate, rows.latency, rows.work, rows.overhead,
        np.diff(contention.offsets), rows.after < 0,
    )  # fmt: skip
    row, link = _scramble(*costs), _scramble(contention.bandwidth)
    steps, link_rows = 1, _grouped(contention.links, hop_row, len(contention.bandwidth))
    while True:
        for _ in range(steps):
            row, link = _refine(rows, contention.offsets, contention.links, link_rows, row, link)
        classes = _distinct(row) + _distinct(link)
        if classes * LEAST_GAIN > n + len(link):
            return unfolded(rows, contention, message)
        row, link = _refine(rows, contention.offsets, contention.links, link_rows, row, link)
        if _distinct(row) + _distinct(link) == classes:
            break
        steps *= 2
    nearby = np.full(n, len(link))
    nearby[hop_row[::-1]] = contention.links[::-1]
    first, row_class = _numbered(row, nearby)
    first_link, link_class = _numbered(link, np.arange(len(link)))
    after = np.where(rows.after < 0, -1, row_class[rows.after])
    alike = [
        np.array_equal(column, column[first][row_class])
        for column in (*costs, after)
    ] + [
        np.array_equal(contention.bandwidth, contention.bandwidth[first_link][link_class]),
        _same_lists(row_class, first, rows.dep_offsets, row_class[rows.dep_row], rows.dep_lag),
        _same_lists(row_class, first, contention.offsets, link_class[contention.links]),
        _same_lists(link_class, first_link, link_rows[0], row_class[link_rows[1]]),
    ]  # fmt: skip
    if not all(alike):
        return unfolded(rows, contention, message)
    return _quotient(rows, contention, message, row_class, first, link_class, first_link, waiting, hop_row)


def _quotient(
    rows: Rows, contention: Contention, message: Floats,
    row_class: Ints, first: Ints, link_class: Ints, first_link: Ints, waiting: Ints, hop_row: Ints,
) -> Folded:  # fmt: skip
    """Build the program of one row per class."""
    n = len(first)
    chosen = np.zeros(len(row_class), bool)
    chosen[first] = True
    # Inputs and tight links of each representative, by class, each once.
    inputs = np.stack([row_class[waiting], row_class[rows.dep_row], rows.dep_lag])[:, chosen[waiting]]
    inputs = np.unique(inputs, axis=1)
    hops = np.unique(np.stack([row_class[hop_row], link_class[contention.links]])[:, chosen[hop_row]], axis=1)
    # How many rows of class c are on one link of class l, counted on the link that stands for it.
    shown = np.zeros(len(link_class), bool)
    shown[first_link] = True
    on = shown[contention.links]
    pairs, count = np.unique(
        np.stack([row_class[hop_row[on]], link_class[contention.links[on]]]), axis=1, return_counts=True
    )
    assert np.array_equal(pairs, hops)
    after = rows.after[first]
    folded = Rows(
        firings=rows.firings[first], reduces=rows.reduces[first], duration=rows.duration[first],
        latency=rows.latency[first], work=rows.work[first], overhead=rows.overhead[first],
        after=np.where(after < 0, -1, row_class[after]),
        dep_offsets=_offsets(inputs[0], n),
        dep_row=np.ascontiguousarray(inputs[1]),
        dep_lag=np.ascontiguousarray(inputs[2]),
    )  # fmt: skip
    smaller = replace(
        contention,
        rate=contention.rate[first],
        offsets=_offsets(hops[0], n),
        links=np.ascontiguousarray(hops[1]),
        bandwidth=contention.bandwidth[first_link],
    )
    return Folded(folded, smaller, message[first], count, row_class)


def _numbered(colour: Colours, place: Ints) -> tuple[Ints, Ints]:
    """First member of each class and class of each member; classes are numbered by the place of their first member.

    Rows that meet on a link should lie together in memory: the event loop is bound by how far apart they are.
    """
    _, first, inverse = np.unique(colour, return_index=True, return_inverse=True)
    order = np.argsort(place[first], kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return first[order], number[inverse]


def _offsets(owner: Ints, n: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))])


def _grouped(key: Ints, value: Ints, n: int) -> tuple[Ints, Ints]:
    """Values by key, as offsets and a flat array."""
    return _offsets(key, n), value[np.argsort(key, kind="stable")]


def _same_lists(owner_class: Ints, first: Ints, offsets: Ints, *values: Ints) -> bool:
    """Whether every owner's list of values is, in some order, that of the first of its class."""
    length = np.diff(offsets)
    if not np.array_equal(length, length[first][owner_class]):
        return False
    owner = np.repeat(np.arange(len(length)), length)
    order = np.lexsort((*values, owner))
    place = np.arange(len(owner)) - np.repeat(offsets[:-1], length)
    twin = offsets[:-1][first][owner_class][owner] + place
    return all(np.array_equal(value[order], value[order][twin]) for value in values)


def _scramble(*columns: NDArray[Any]) -> Colours:
    """One colour for each combination of values; the check at the end looks at the values themselves."""
    colour = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        bits = np.ascontiguousarray(column, np.float64).view(np.uint64)
        with np.errstate(over="ignore"):
            colour = (colour ^ bits ^ (bits >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
            colour ^= colour >> np.uint64(32)
    return colour


@inner
def _mix(colour: int, salt: int) -> Any:
    """Scramble a 64-bit number (the finaliser of MurmurHash3, A. Appleby, public domain)."""
    z = np.uint64(colour) + np.uint64(salt) * np.uint64(0xD6E8FEB86659FD93)
    z = (z ^ (z >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    z = (z ^ (z >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return z ^ (z >> np.uint64(33))


@kernel
def _refine(
    rows: Rows, hop_offsets: Ints, hop_links: Ints, link_rows: tuple[Ints, Ints], row: Colours, link: Colours
) -> tuple[Colours, Colours]:
    """Split colours by what their members see around them."""
    new_row, new_link = np.empty_like(row), np.empty_like(link)
    offsets, members = link_rows
    for j in range(len(link)):
        z = _mix(link[j], 1)
        for h in range(offsets[j], offsets[j + 1]):
            z += _mix(row[members[h]], 2)
        new_link[j] = z
    dep_offsets, dep_row, dep_lag, after = rows.dep_offsets, rows.dep_row, rows.dep_lag, rows.after
    for v in range(len(row)):
        z = _mix(row[v], 3)
        for h in range(hop_offsets[v], hop_offsets[v + 1]):
            z += _mix(link[hop_links[h]], 4)
        for d in range(dep_offsets[v], dep_offsets[v + 1]):
            z += _mix(row[dep_row[d]], 6 + dep_lag[d])
        if after[v] >= 0:
            z += _mix(row[after[v]], 5)
        new_row[v] = z
    return new_row, new_link


@kernel
def _distinct(colour: Colours) -> int:
    """Count colours, by a hash table: they are hashes already. 0 marks a free place, so a colour 0 is not counted."""
    size = 1
    while size < 2 * len(colour):
        size *= 2
    seen, found = np.zeros(size, np.uint64), 0
    for z in colour:
        place = np.int64(z & np.uint64(size - 1))
        while seen[place] != 0 and seen[place] != z:
            place = (place + 1) & (size - 1)
        if seen[place] != z:
            seen[place] = z
            found += 1
    return found
