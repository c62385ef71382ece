"""The engine for programs in which nothing is shared: no heap, no events, just the recurrence itself.

Without sharing a firing is two maxima and a few sums over firings before it, so all that is needed is an order in which
those come first. Rows are given a *round* for each firing, ``offset + q``, such that everything a firing waits for lies
in an earlier round or earlier in the same one. Then one pass over the rounds is the whole simulation, reading and writing
arrays from end to end. It is exact because no decision depends on which of two times is the smaller.

A repeated program does the same thing every round, and two laws say when whole rounds can be skipped:

* **Same shift.** If everything the future depends on (the time each row was last free and the deliveries of the last few
  rounds) is what it was P rounds ago plus one number, the next P rounds repeat the last P plus that number.
* **Delay line.** If every row waits for its one input and never for itself, a delivery is the input's delivery `lag`
  rounds earlier plus a constant. That stays so as long as inputs arrive no faster than a row can send, and since gaps
  between deliveries are only passed along, the smallest gap now is the smallest gap for ever. Then m·lag rounds are one
  lookup: go m inputs back and add the constants on the way. Rings whose hops differ (a slow hop between nodes, a
  slower one between pods) live in this regime when messages are short, and never in the first.

Both hold between *boundaries*, the rounds in which a row starts, ends, stops reducing or meets a new input.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.engines.compiled.kernel import SAME, Rows, Times, inner, kernel

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Most (rounds × rows) of recent deliveries to keep, 1.6 GB.
LONGEST_MEMORY = 200_000_000


class Plan(NamedTuple):
    """The order of a sweep: each row's first round, the rows' order within a round, and the boundaries."""

    offset: Ints
    order: Ints
    marks: Ints


def plan(rows: Rows) -> tuple[Plan, int] | None:
    """Find an order for the sweep and how many recent rounds it must remember.

    Returns
    -------
    (plan, history)
        Or None where there is no such order, or where remembering would cost more than an event queue.
    """
    placed = _rounds(rows)
    if placed is None:
        return None
    offset, order = placed
    waiting = np.repeat(np.arange(len(offset)), np.diff(rows.dep_offsets))
    distance = offset[waiting] - offset[rows.dep_row] + rows.dep_lag
    history = int(distance.max(initial=0)) + 1
    if history * len(offset) > LONGEST_MEMORY:
        return None
    return Plan(offset, order, _boundaries(rows, offset, waiting)), history


def _rounds(rows: Rows) -> tuple[Ints, Ints] | None:
    """Give every row its first round and its place within a round, or None where the rows cannot be ordered."""
    count, after, dep_row, dep_lag = rows.firings, rows.after, rows.dep_row, rows.dep_lag
    offset = np.zeros(len(count), np.int64)
    waiting = np.repeat(np.arange(len(count)), np.diff(rows.dep_offsets))
    chained = np.flatnonzero(after >= 0)
    if len(chained) or (dep_lag < 0).any():
        on = np.concatenate([dep_row, after[chained]])
        waiting = np.concatenate([waiting, chained])
        lag = np.concatenate([dep_lag, 1 - count[after[chained]]])
        for _ in range(len(count) + 1):
            before = offset.copy()
            np.maximum.at(offset, waiting, before[on] - lag)
            if (offset == before).all():
                break
        else:
            return None
    else:
        on, lag = dep_row, dep_lag
    within = offset[waiting] - offset[on] + lag == 0
    if not within.any():
        return offset, np.arange(len(count))
    order, placed = _sort(len(count), waiting[within], on[within])
    return (offset, order) if placed == len(count) else None


@kernel
def _sort(rows: int, waiting: Ints, on: Ints) -> tuple[Ints, int]:
    """Order rows so that every `waiting` comes after its `on` (Kahn, lowest row first among the first)."""
    missing = np.zeros(rows, np.int64)
    start = np.zeros(rows + 1, np.int64)
    for e in range(len(on)):
        missing[waiting[e]] += 1
        start[on[e] + 1] += 1
    for v in range(rows):
        start[v + 1] += start[v]
    fill = start[:-1].copy()
    users = np.empty(len(on), np.int64)
    for e in range(len(on)):
        users[fill[on[e]]] = waiting[e]
        fill[on[e]] += 1
    order = np.empty(rows, np.int64)
    placed = 0
    for v in range(rows):
        if missing[v] == 0:
            order[placed] = v
            placed += 1
    done = 0
    while done < placed:
        v = order[done]
        done += 1
        for e in range(start[v], start[v + 1]):
            w = users[e]
            missing[w] -= 1
            if missing[w] == 0:
                order[placed] = w
                placed += 1
    return order, placed


def _boundaries(rows: Rows, offset: Ints, waiting: Ints) -> Ints:
    """Rounds at which the recurrence changes its form, sorted, ending with the round after the last."""
    turn = (rows.work > 0) & (rows.reduces > 0)
    marks = np.concatenate(
        [
            offset,
            offset + rows.firings,
            (offset + rows.reduces)[turn],
            offset[waiting] + np.maximum(rows.dep_lag, 0),
            offset[waiting] + rows.dep_lag + rows.firings[rows.dep_row],
        ]
    )
    last = int((offset + rows.firings).max())
    return np.unique(marks[(marks > 0) & (marks <= last)])


def new_state(history: int) -> Ints:
    """Before the first round.

    [next round, next boundary, simulated, jumped, start of this stretch, rounds until the next comparison is given up,
    next look for a delay line, round to compare with or −1]
    """
    return np.array([0, 0, 0, 0, 0, 1, history, -1])


@kernel
def run(
    rows: Rows, plan: Plan, times: Times, arrived: Floats, saved_left: Floats, saved_arrived: Floats, state: Ints,
    jump: bool, pause: int,
) -> bool:  # fmt: skip
    """Sweep rounds until the end or until about `pause` firings have been worked out; True at the end.

    Between calls ``state`` holds what `new_state` says, ``arrived[round mod history]`` the deliveries of the recent
    rounds, shape ``[history, rows]``, and the ``saved`` arrays the times of an earlier round to compare with.
    """
    n, history = len(rows.firings), len(arrived)
    offset, left = plan.offset, times.left
    k, mark, simulated, jumped = state[0], state[1], state[2], state[3]
    segment, wait, line, saved_round = state[4], state[5], state[6], state[7]
    quota = simulated + pause
    while mark < len(plan.marks):
        until = plan.marks[mark]
        if k >= until:
            mark += 1
            segment, wait, line, saved_round = k, 1, k + history, -1
            continue
        here = arrived[k % history]
        for i in range(n):
            v = plan.order[i]
            q = k - offset[v]
            if q < 0 or q >= rows.firings[v]:
                continue
            t = left[v]
            if q == 0:
                t = left[rows.after[v]] if rows.after[v] >= 0 else 0.0
            for d in range(rows.dep_offsets[v], rows.dep_offsets[v + 1]):
                wanted = q - rows.dep_lag[d]
                if wanted >= 0:
                    u = rows.dep_row[d]
                    last = wanted >= rows.firings[u]
                    t = max(t, times.final[u] if last else arrived[(offset[u] + wanted) % history, u])
            t += rows.overhead[v]
            if q == 0:
                times.start[v] = t
            t += rows.duration[v]
            left[v] = t
            t += rows.latency[v]
            if q < rows.reduces[v]:
                t += rows.work[v]
            here[v] = t
            times.finish[v] = max(times.finish[v], t)
            if q == rows.firings[v] - 1:
                times.final[v] = t
            simulated += 1
        k += 1
        if jump and segment + history <= k < until:
            if k >= line:
                line = k + max(k - segment, 1)
                lag = _delay_line(rows, plan, times, arrived, k)
                if lag > 0 and k + lag <= until:
                    steps = (until - k) // lag
                    jumped += _follow(rows, plan, times, arrived, k, steps, lag) * steps * lag
                    k += steps * lag
                    saved_round = -1
            if saved_round >= 0 and k < until:
                shift = _shift(rows, plan, times, arrived, k, saved_round, saved_left, saved_arrived)
                periods = (until - k) // (k - saved_round)
                if shift > 0.0 and periods > 0:
                    skip = periods * (k - saved_round)
                    jumped += _advance(rows, plan, times, arrived, k, skip, periods * shift) * skip
                    k += skip
                    saved_round = -1
            if k < until and (saved_round < 0 or k - saved_round >= wait):
                wait = 1 if saved_round < 0 else 2 * wait
                saved_round = k
                # Element by element: a slice would bring the texts of all errors it might raise into the machine code.
                for v in range(n):
                    saved_left[v] = left[v]
                    for j in range(history):
                        saved_arrived[j, v] = arrived[j, v]
        if simulated >= quota:
            break
    state[0], state[1], state[2], state[3] = k, mark, simulated, jumped
    state[4], state[5], state[6], state[7] = segment, wait, line, saved_round
    return mark >= len(plan.marks)


@inner
def _active(rows: Rows, plan: Plan, k: int, v: int) -> bool:
    """Whether row `v` fires both in round k − 1 and in round k."""
    return 0 < k - plan.offset[v] < rows.firings[v]


@inner
def _shift(
    rows: Rows, plan: Plan, times: Times, arrived: Floats, k: int,
    saved_round: int, saved_left: Floats, saved_arrived: Floats,
) -> float:  # fmt: skip
    """Return the one number by which everything is later than at the saved round, or 0 if there is none."""
    shift, history = -1.0, len(arrived)
    for v in range(len(rows.firings)):
        if _active(rows, plan, k, v):
            by = times.left[v] - saved_left[v]
            if shift < 0.0:
                shift = by
            if abs(by - shift) > SAME * shift:
                return 0.0
            for j in range(1, history + 1):
                by = arrived[(k - j) % history, v] - saved_arrived[(saved_round - j) % history, v]
                if abs(by - shift) > SAME * shift:
                    return 0.0
    return max(shift, 0.0)


@inner
def _advance(rows: Rows, plan: Plan, times: Times, arrived: Floats, k: int, skip: int, shift: float) -> int:
    """Move every active row `skip` rounds on and `shift` seconds later; return how many rows are active."""
    history = len(arrived)
    recent = np.empty(history)
    active = 0
    for v in range(len(rows.firings)):
        if _active(rows, plan, k, v):
            active += 1
            times.left[v] += shift
            for j in range(1, history + 1):
                recent[j - 1] = arrived[(k - j) % history, v] + shift
            for j in range(1, history + 1):
                arrived[(k + skip - j) % history, v] = recent[j - 1]
            times.finish[v] = max(times.finish[v], recent[0])
            times.final[v] = recent[0]
    return active


@inner
def _delay_line(rows: Rows, plan: Plan, times: Times, arrived: Floats, k: int) -> int:
    """Return the lag of the delay line that the program has become, or 0."""
    lag, slowest, gap, history = 0, 0.0, np.inf, len(arrived)
    for v in range(len(rows.firings)):
        if not _active(rows, plan, k, v):
            continue
        d = rows.dep_offsets[v]
        if rows.dep_offsets[v + 1] != d + 1:
            return 0
        u = rows.dep_row[d]
        if lag == 0:
            lag = rows.dep_lag[d]
        same = rows.dep_lag[d] == lag and plan.offset[u] == plan.offset[v] and _active(rows, plan, k, u)
        if not same or lag < 1 or history <= lag or k - plan.offset[v] <= lag:
            return 0
        # The firing before this one waited for its input rather than for itself ...
        own = rows.overhead[v] + rows.duration[v]
        if times.left[v] - own > arrived[(k - 1 - lag) % history, u] + SAME * own:
            return 0
        slowest = max(slowest, own)
        for j in range(1, lag + 1):
            gap = min(gap, arrived[(k - j) % history, v] - arrived[(k - j - 1) % history, v])
    # ... and inputs never come faster than the slowest row can send them on.
    return lag if gap >= slowest * (1 - SAME) else 0


@inner
def _follow(rows: Rows, plan: Plan, times: Times, arrived: Floats, k: int, steps: int, lag: int) -> int:
    """Carry the delay line `steps` inputs on, by repeated squaring of "my input"; return how many rows are active."""
    n, history = len(rows.firings), len(arrived)
    source, delay, arrival = np.arange(n), np.zeros(n), np.zeros(n)
    for v in range(n):
        if _active(rows, plan, k, v):
            source[v] = rows.dep_row[rows.dep_offsets[v]]
            arrival[v] = rows.latency[v] + (rows.work[v] if k - plan.offset[v] < rows.reduces[v] else 0.0)
            delay[v] = rows.overhead[v] + rows.duration[v] + arrival[v]
    origin, total = np.arange(n), np.zeros(n)
    remaining = steps
    while remaining > 0:
        if remaining & 1:
            for v in range(n):
                total[v] += delay[origin[v]]
                origin[v] = source[origin[v]]
        remaining >>= 1
        if remaining > 0:
            longer, further = np.empty(n), np.empty(n, np.int64)
            for v in range(n):
                longer[v] = delay[v] + delay[source[v]]
                further[v] = source[source[v]]
            delay, source = longer, further
    before = arrived.copy()
    active = 0
    for v in range(n):
        if _active(rows, plan, k, v):
            active += 1
            for j in range(1, history + 1):
                arrived[(k + steps * lag - j) % history, v] = before[(k - j) % history, origin[v]] + total[v]
            newest = arrived[(k + steps * lag - 1) % history, v]
            times.left[v] = newest - arrival[v]
            times.finish[v] = max(times.finish[v], newest)
            times.final[v] = newest
    return active
