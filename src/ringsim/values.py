"""Run a schedule on real arrays and prove it: an engine will time a wrong one and never notice.

Firings go in *waves*: every row's next firing that the waves before allow, all reading before any writes.
That is one timing, and a forgiving one: a lockstep ring comes out right with every dependency taken away. So
a proof has two halves. In waves, each rank ends with each contribution exactly once. And no other timing ends
differently, because dependencies order any two firings that disagree about a unit of a rank. Two disagree
when one writes what the other reads, or when both write and one is a COPY. Two REDUCEs never do, a sum has no
order: children meet like that at a tree's parent.

Overwriting too early is as wrong as reading too early. When a ring of *p* has sent a chunk on, it overwrites
it *p* − 1 firings later, and only the chain of waits all the way round keeps the two apart. So the order has
to be the whole of Lamport's happened-before: a vector clock per row. It rests on what rows wait for and on
one rule more, that a connection delivers in the order in which it sends.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringsim.schedule import EVERYONE, Ints, Schedule

#: One wave: the rows that fire, ascending, which of its firings each one is at, and the wave in which it takes effect:
#: the same, unless the row parks, then that of the join which takes it, and −1 where none does.
Wave = tuple[Ints, Ints, Ints]

POISON = 1 << 20  # what a rank holds where it contributes nothing: whoever adds to it is found out
MOST_COUNTED = 128  # ranks; beyond, random fingerprints find the units that are worth counting
MOST_BYTES = 1 << 28  # of vectors at a time: units do not meet, so they can be proved in blocks
READ, REDUCE, COPY = range(3)


class ValuesError(Exception):
    """A schedule that leaves a wrong sum, may leave one, or never ends; the message says where and why."""


def execute(schedule: Schedule, vectors: NDArray[Any]) -> NDArray[Any]:
    """Run a schedule: a REDUCE adds the sender's unit into the receiver's, a COPY overwrites it.

    What several rows add to one unit in one wave is added in row order, so floats repeat bit for bit. Where
    `prove` rejects the schedule, this is what one timing leaves; others may leave something else.

    Parameters
    ----------
    schedule : Schedule
    vectors : array, shape ``[ranks, units, width]``
        What each rank contributes, of any type that adds. Left as it is; the result is of its shape and type.

    Raises
    ------
    ValueError
        If `vectors` has another shape.
    ValuesError
        If rows wait for each other in a circle.
    """
    if vectors.ndim != 3 or vectors.shape[:2] != (schedule.ranks, schedule.units):
        raise ValueError(f"vectors: {vectors.shape} is not [{schedule.ranks}, {schedule.units}, width]")
    state = np.concatenate([vectors, _switches(schedule, vectors)])
    _apply(schedule, _all_waves(schedule), state)
    return state[: schedule.ranks]


def prove(schedule: Schedule, *, order: bool = True) -> None:
    """Check that every rank ends with what it should, each contribution exactly once, whatever the timing.

    Parameters
    ----------
    schedule : Schedule
    order : bool
        Whether to look at other timings than the waves, which takes memory by the square of the rows.

    Raises
    ------
    ValuesError
        If a contribution is missing or counted more than once (names rank, unit and contributor), if nothing
        orders two firings that disagree (names rank, unit and both rows), or if rows wait in a circle.
    """
    waves = _all_waves(schedule)
    counted = schedule.ranks <= MOST_COUNTED
    block = max(1, MOST_BYTES // (schedule.ranks * (4 * schedule.ranks if counted else 16)))
    for low in range(0, schedule.units, block):
        units = range(low, min(low + block, schedule.units))
        for suspects in [units] if counted else _suspects(schedule, waves, units):
            _count(schedule, waves, suspects)
    if waves and order:
        _check_order(schedule, waves)


def _name(schedule: Schedule, row: int) -> str:
    return f"row {row} ({schedule.source[row]} → {schedule.target[row]}, channel {schedule.channel[row]})"


def _switches(schedule: Schedule, vectors: NDArray[Any]) -> NDArray[Any]:
    """Switches that take part, with nothing in them yet, shape ``[switches, units, width]``."""
    return np.zeros((schedule.places - schedule.ranks, *vectors.shape[1:]), vectors.dtype)


def _all_waves(schedule: Schedule) -> list[Wave]:
    """All waves, with the moment at which what is parked takes effect."""
    fired = list(_waves(schedule))
    begin = np.cumsum(np.concatenate([[0], schedule.count]))
    wave_of = np.full(begin[-1] + 1, -1)  # the last for firings that do not exist
    for wave, (rows, firing) in enumerate(fired):
        wave_of[begin[rows] + firing] = wave
    taker, lag = _takers(schedule)

    def effect(wave: int, rows: Ints, firing: Ints) -> Ints:
        join, taking = taker[rows], np.maximum(firing + lag[rows], 0)
        never = (join < 0) | (taking >= schedule.count[join])
        lands: Ints = np.where(never, -1, wave_of[np.where(never, -1, begin[join] + taking)])
        return np.where(schedule.parked[rows], lands, wave)

    return [(rows, firing, effect(wave, rows, firing)) for wave, (rows, firing) in enumerate(fired)]


def _takers(schedule: Schedule) -> tuple[Ints, Ints]:
    """The join at its target that takes what a row parks, and its lag; −1 and 0 for rows that do not park."""
    waiting = np.repeat(np.arange(schedule.rows), np.diff(schedule.dep_offsets))
    on = schedule.dep_row
    takes = schedule.joins[waiting] & schedule.parked[on] & (schedule.source[waiting] == schedule.target[on])
    taker, lag = np.full(schedule.rows, -1), np.zeros(schedule.rows, np.int64)
    taker[on[takes]], lag[on[takes]] = waiting[takes], schedule.dep_lag[takes]
    many = np.bincount(on[takes], minlength=schedule.rows)
    if (many > 1).any():
        raise ValuesError(f"{_name(schedule, int(np.argmax(many)))} parks for {many.max()} joins; one has to take it")
    return taker, lag


def _waves(schedule: Schedule) -> Iterator[tuple[Ints, Ints]]:
    """Fire every row that may, wave after wave, until all are done; raises ValuesError if some never are."""
    count, after, on, lag = schedule.count, schedule.after, schedule.dep_row, schedule.dep_lag
    waiting = np.repeat(np.arange(schedule.rows), np.diff(schedule.dep_offsets))
    done = np.zeros(schedule.rows, np.int64)
    while (left := done < count).any():
        # A need below 0 is none: nothing is done less often than that.
        late = done[on] <= np.minimum(done[waiting] - lag, count[on] - 1)
        behind = (after >= 0) & (done[after] < count[after])
        free = left & ~behind
        free[waiting[late]] = False
        rows = np.flatnonzero(free)
        if not len(rows):
            # Whoever is stuck waits for somebody stuck: following them long enough ends in the circle.
            blocker = after.copy()
            blocker[waiting[late]] = on[late]
            row = int(np.argmax(left))
            for _ in range(schedule.rows):
                row = int(blocker[row])
            one, other = _name(schedule, row), _name(schedule, int(blocker[row]))
            raise ValuesError(f"{one} never reaches firing {done[row]}: it waits in a circle for {other}")
        yield rows, done[rows]
        done[rows] += 1


def _apply(schedule: Schedule, waves: list[Wave], state: NDArray[Any], low: int = 0) -> None:
    """Apply `waves` in place to `state`, shape ``[places, some, width]``: all units, or some from `low` on."""
    places, some, width = state.shape
    flat = state.reshape(places * some, width)
    # What is under way: place, values and row of REDUCEs, by the wave in which they take effect.
    parked: dict[int, list[tuple[Ints, NDArray[Any], Ints]]] = {}
    for wave, (rows, firing, effect) in enumerate(waves):
        moves = ~schedule.joins[rows]
        rows, firing, effect = rows[moves], firing[moves], effect[moves]
        which, unit = schedule.carried(rows, firing)
        unit -= low
        if some < schedule.units:
            inside = (unit >= 0) & (unit < some)
            which, unit = which[inside], unit[inside]
        rows, firing, effect = rows[which], firing[which], effect[which]
        sent = flat[schedule.source[rows] * some + unit]
        place = schedule.target[rows] * some + unit
        adds, now = firing < schedule.reduces[rows], effect == wave
        for later in np.unique(effect[~now]).tolist():
            chosen = effect == later
            parked.setdefault(later, []).append((place[chosen], sent[chosen], np.where(adds, rows, -1)[chosen]))
        copies = now & ~adds
        flat[place[copies]] = sent[copies]
        adds &= now
        arrived = [(place[adds], sent[adds], rows[adds]), *parked.pop(wave, [])]
        place, sent, row = (np.concatenate(part) for part in zip(*arrived, strict=True))
        flat[place[row < 0]] = sent[row < 0]
        order = np.argsort(row, kind="stable")[np.count_nonzero(row < 0) :]
        place, sent = place[order], sent[order]
        while len(place):  # twice or more where several rows add to one place: the lowest row first
            first = np.unique(place, return_index=True)[1]
            flat[place[first]] += sent[first]
            place, sent = np.delete(place, first), np.delete(sent, first, axis=0)


def _count(schedule: Schedule, waves: list[Wave], units: range) -> None:
    """Raise ValuesError unless the right ranks have the right contributions once in these consecutive units."""
    ranks, everyone = schedule.ranks, np.arange(schedule.ranks)
    part = slice(units.start, units.stop)
    begins, ends = (who[part] for who in (schedule.begins, schedule.ends))
    contributes = (begins == everyone[:, None]) | (begins == EVERYONE)
    # Integers might wrap round to a count of one; float32 is exact to 2^24 and never comes back from beyond.
    counts = np.zeros((schedule.places, len(units), ranks), np.float32)
    counts[everyone, :, everyone] = np.where(contributes, 1, POISON)
    with np.errstate(over="ignore"):
        _apply(schedule, waves, counts, units.start)
    wrong = (counts[:ranks] != contributes.T) & ((ends == everyone[:, None]) | (ends == EVERYONE))[:, :, None]
    if wrong.any():
        rank, unit, of = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
        times = counts[rank, unit, of]
        what = f"the contribution of rank {of} " + (f"is counted {times:.0f} times" if times else "is missing")
        if not contributes[of, unit]:
            what = f"something is left of what rank {of} had there before, which is no contribution"
        raise ValuesError(f"rank {rank}, unit {units[unit]}: {what}")


def _suspects(schedule: Schedule, waves: list[Wave], units: range) -> list[range]:
    """Those of the units in which two random 64-bit fingerprints do not add up (mod 2^64) on every rank."""
    ranks, part = schedule.ranks, slice(units.start, units.stop)
    begins, ends = schedule.begins[part], schedule.ends[part]
    everyone = np.arange(ranks)[:, None]
    random = np.random.default_rng(units.start)
    state = random.integers(0, 2**64, (ranks, len(units), 2), np.uint64)
    contributes = (begins == everyone) | (begins == EVERYONE)
    total = np.where(contributes[:, :, None], state, np.uint64(0)).sum(axis=0)
    state = np.concatenate([state, _switches(schedule, state)])
    _apply(schedule, waves, state, units.start)
    wrong = ((state[:ranks] != total).any(axis=2) & ((ends == everyone) | (ends == EVERYONE))).any(axis=0)
    return [units[i : i + 1] for i in np.flatnonzero(wrong).tolist()]


def _check_order(schedule: Schedule, waves: list[Wave]) -> None:
    """Raise ValuesError unless firings that disagree are ordered by what they wait for and not by luck."""
    row, firing, _ = (np.concatenate(part) for part in zip(*waves, strict=True))
    earlier, later, place = _conflicts(schedule, row, firing)
    group, column = _groups(schedule)
    bounds = np.cumsum([0] + [len(rows) for rows, _, _ in waves])
    pairs = np.searchsorted(later, bounds)
    for wave, known in enumerate(_clocks(schedule, waves, column)):
        here = slice(pairs[wave], pairs[wave + 1])
        a, b = earlier[here], later[here]
        ordered = (group[row[a]] == group[row[b]]) & (known[b - bounds[wave], column[row[a]]] > firing[a])
        if not ordered.all():
            worst = int(np.argmin(ordered))
            rank, unit = divmod(int(place[here][worst]), schedule.units)
            one, two = (f"{_name(schedule, int(row[i]))} firing {firing[i]}" for i in (a[worst], b[worst]))
            raise ValuesError(f"rank {rank}, unit {unit}: {one} and {two} meet there and nothing orders them")


def _conflicts(schedule: Schedule, row: Ints, firing: Ints) -> tuple[Ints, Ints, Ints]:
    """Pairs of firings that must be ordered: earlier, later, and ``rank * units + unit`` where they disagree.

    A firing is its index in `row` and `firing`, which go wave after wave; later ones ascend. The accesses
    to a place fall into turns: a run of reads, a run of REDUCEs, one COPY. Each in a turn must follow all
    in the turn before; what lies further back then follows from that. What is parked is written by the join.
    """
    events = len(row)
    writer = _writers(schedule, row, firing)
    moves = np.flatnonzero(~schedule.joins[row])
    which, unit = schedule.carried(row[moves], firing[moves])
    which = moves[which]
    reads = schedule.source[row[which]] * schedule.units + unit, np.full(len(which), READ), which
    kind = np.where(firing[which] < schedule.reduces[row[which]], REDUCE, COPY)
    writes = schedule.target[row[which]] * schedule.units + unit, kind, writer[which]
    place, kind, event = (np.concatenate(part) for part in zip(reads, writes, strict=True))
    place, kind, event = np.unique(np.stack([place, event, kind]), axis=1)[[0, 2, 1]]
    moved = np.diff(place, prepend=-1) != 0
    begins = np.flatnonzero(moved | (np.diff(kind, prepend=-1) != 0) | (kind == COPY))
    size = np.diff(begins, append=len(place))
    # Every turn that does not open its place is paired with the turn before: each access with each.
    turn = np.repeat(np.arange(len(begins)), size)
    follows = np.flatnonzero(~moved[begins][turn])
    before = turn[follows] - 1
    many = size[before]
    nth = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    earlier = event[np.repeat(begins[before], many) + nth]
    later = np.repeat(event[follows], many)
    by_later = np.argsort(later, kind="stable")
    return earlier[by_later], later[by_later], np.repeat(place[follows], many)[by_later]


def _writers(schedule: Schedule, row: Ints, firing: Ints) -> Ints:
    """Which firing writes what a firing carries, as indices: itself, or the join that takes it."""
    begin = np.cumsum(np.concatenate([[0], schedule.count]))
    index = np.empty(begin[-1], np.int64)
    index[begin[row] + firing] = np.arange(len(row))
    taker, lag = _takers(schedule)
    parks = schedule.parked[row]
    join = taker[row[parks]]
    writer = np.arange(len(row))
    # Whatever is never taken would have been missed by the count.
    taking = np.minimum(np.maximum(firing[parks] + lag[row[parks]], 0), schedule.count[join] - 1)
    writer[parks] = index[begin[join] + taking]
    return writer


def _groups(schedule: Schedule) -> tuple[Ints, Ints]:
    """Rows linked by waiting, however indirectly: the group of each row, and its number within the group."""
    everyone = np.arange(schedule.rows)
    a = np.concatenate([np.repeat(everyone, np.diff(schedule.dep_offsets)), everyone])
    b = np.concatenate([schedule.dep_row, np.where(schedule.after < 0, everyone, schedule.after)])
    group, before = everyone, np.full(schedule.rows, -1)
    while (group != before).any():
        low, before = np.minimum(group[a], group[b]), group
        group = before.copy()
        np.minimum.at(group, np.concatenate([before[a], a, b]), np.tile(low, 3))
        group = group[group]
    order = np.argsort(group, kind="stable")
    column = everyone - np.searchsorted(group[order], group[order])
    return group, column[np.argsort(order)]


def _clocks(schedule: Schedule, waves: list[Wave], column: Ints) -> Iterator[NDArray[Any]]:
    """For each wave, ``[rows that fire, columns]``: how often every row must have fired, in any timing."""
    # A row may be ahead of the firing that is waited for, and what it learnt since does not count. So its
    # last few clocks are kept, that of firing q in slot q mod window: as many as anyone gets ahead by.
    window, done = 1, np.zeros(schedule.rows, np.int64)
    for rows, firing, _ in waves:
        for _, on, needed in _needs(schedule, rows, firing):
            window = max(window, int((done[on] - needed).max(initial=1)))
        done[rows] += 1
    clock = np.zeros((window, schedule.rows, column.max() + 1), np.min_scalar_type(int(schedule.count.max())))
    for rows, firing, _ in waves:
        before = np.where(firing > 0, rows, schedule.after[rows])
        known = clock[np.where(firing > 0, firing, schedule.count[before]) % window - 1, before]
        known[before < 0] = 0
        for which, on, needed in _needs(schedule, rows, firing):
            known[which] = np.maximum(known[which], clock[needed % window, on])
        known[np.arange(len(rows)), column[rows]] = firing + 1
        clock[firing % window, rows] = known
        yield known


def _needs(schedule: Schedule, rows: Ints, firing: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """First, second, … dependency of each row that has one: index in `rows`, row waited for, its firing."""
    begin = schedule.dep_offsets[rows]
    degree = schedule.dep_offsets[rows + 1] - begin
    for k in range(int(degree.max())):
        which = np.flatnonzero(degree > k)
        dependency = begin[which] + k
        on = schedule.dep_row[dependency]
        needed = np.minimum(firing[which] - schedule.dep_lag[dependency], schedule.count[on] - 1)
        real = needed >= 0
        yield which[real], on[real], needed[real]
