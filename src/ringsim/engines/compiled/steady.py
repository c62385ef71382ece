"""Jumping over whole periods of the event loop.

The loop is a deterministic machine whose future depends only on its state relative to now: who waits or sends, until
when, how many bytes are to go, which deliveries are under way. If that is what it was at an earlier moment, with every
row that moved having fired P times since, the same happens again and again, until some row reaches a firing at which
its rules change: its last, its last REDUCE, the first that has an input, or one that lets another row begin.
"""

import numpy as np

from ringsim.engines.compiled.kernel import SAME, Floats, Ints, inner
from ringsim.engines.compiled.tables import IDLE, SENDING, Table
from ringsim.engines.compiled.tournament import settle


@inner
def to_go(R: Table, clock: Table, v: int) -> float:
    """Bytes that row `v` has still to send now."""
    return R[v].to_go - R[v].rate * (clock[0].now - R[v].since)


@inner
def remember(
    R: Table, clock: Table, arrival: Floats,
    fired: Ints, phases: Ints, keys: Floats, bytes: Floats, arrived: Floats,
) -> None:  # fmt: skip
    """Keep the state of this moment."""
    for v in range(len(R)):
        fired[v] = R[v].fired
        phases[v] = R[v].phase
        keys[v] = R[v].key
        bytes[v] = to_go(R, clock, v)
        for j in range(arrival.shape[1]):
            arrived[v, j] = arrival[v, j]


@inner
def same(
    R: Table, clock: Table, arrival: Floats,
    fired: Ints, phases: Ints, keys: Floats, bytes: Floats, arrived: Floats, saved_at: float, period: int,
) -> bool:  # fmt: skip
    """Whether everything relative to now is as it was at `saved_at`, moved rows being `period` firings on."""
    now, depth = clock[0].now, arrival.shape[1]
    allowed = SAME * (now - saved_at)
    for v in range(len(R)):
        moved = R[v].fired - fired[v]
        if moved == 0:
            if R[v].phase != IDLE:
                return False
            continue
        if moved != period or R[v].phase != phases[v]:
            return False
        # An idle row has no event: its key is in the past, and so it must have been then.
        if abs(max(keys[v] - saved_at, 0.0) - max(R[v].key - now, 0.0)) > allowed:
            return False
        sharing = R[v].phase == SENDING and R[v].hop < R[v].hop_end
        if sharing and abs(to_go(R, clock, v) - bytes[v]) > R[v].rate * allowed:
            return False
        for j in range(1, min(depth, fired[v]) + 1):
            here = max(arrival[v, (R[v].fired - j) % depth] - now, 0.0)
            then = max(arrived[v, (fired[v] - j) % depth] - saved_at, 0.0)
            if abs(then - here) > allowed:
                return False
    return True


@inner
def before_turn(most: int, turn: int, q: int, then: int, period: int) -> int:
    """Limit `most` periods so that a row at firing `q`, once at `then`, stays short of firing `turn`, under way or not."""
    if turn <= then:
        return most
    if turn <= q:  # it was passed within the last period, so the next one is different
        return 0
    return min(most, (turn - q - 1) // period)


@inner
def room(R: Table, D: Table, clock: Table, arrival: Floats, fired: Ints, period: int) -> int:
    """How many whole periods fit in before some row's rules change."""
    most, depth = 2**62, arrival.shape[1]
    for v in range(len(R)):
        q, then = R[v].fired, fired[v]
        if q != then:
            most = before_turn(most, R[v].count, q, then, period)
            if R[v].work > 0.0:
                most = before_turn(most, R[v].reduces, q, then, period)
        for d in range(R[v].input, R[v].input_end):
            u, lag = D[d].row, D[d].lag
            if q != then:
                most = before_turn(most, lag, q, then, period)
                most = before_turn(most, R[u].count + lag, q, then, period)
                if R[u].fired == fired[u]:
                    # It stands still: the pace is set by what has arrived; what is under way comes at a time of its own.
                    known = R[u].fired
                    while known > max(0, R[u].fired - depth) and arrival[u, (known - 1) % depth] > clock[0].now:
                        known -= 1
                    if known < R[u].count:
                        most = before_turn(most, known + lag, q, then, period)
            elif q < R[v].count and R[u].fired != fired[u] and R[u].fired <= q - lag:
                most = min(most, (q - lag - R[u].fired) // period)
    return most


@inner
def repeated(recent: Floats, q: int, f: int, period: int, shift: float) -> float:
    """Arrival of firing `f` if every firing from `q` on repeats the one a period earlier; −1 if it was long ago."""
    m = 0 if f < q else (f - q) // period + 1
    origin = f - m * period
    return recent[origin % len(recent)] + m * shift if origin >= max(0, q - len(recent)) else -1.0


@inner
def carry(
    R: Table, queue: Floats, clock: Table, arrival: Floats, fired: Ints, periods: int, shift: float, period: int
) -> None:
    """Repeat the last period, `shift` seconds long, `periods` times at once."""
    by, skip, depth = periods * shift, periods * period, arrival.shape[1]
    recent = np.empty(depth)
    for v in range(len(R)):
        q = R[v].fired
        if q == fired[v]:
            continue
        for j in range(depth):
            recent[j] = arrival[v, j]
        for f in range(max(q, q + skip - depth), q + skip):
            arrival[v, f % depth] = repeated(recent, q, f, period, shift)
        if repeated(recent, q, q + skip - depth - 1, period, shift) > clock[0].now + by:
            clock[0].overflow = 1  # a delivery that is still under way would be forgotten
        R[v].fired = q + skip
        R[v].finish = max(R[v].finish, arrival[v, (q + skip - 1) % depth])
        R[v].left += by
        R[v].since += by
        clock[0].jumped += skip
    leaves = len(queue) >> 1
    for v in range(len(R)):
        if R[v].phase != IDLE:
            R[v].key += by
            queue[leaves + v] = R[v].key
    settle(queue)
    clock[0].now += by


@inner
def look(
    R: Table, D: Table, queue: Floats, clock: Table, arrival: Floats,
    fired: Ints, phases: Ints, keys: Floats, bytes: Floats, arrived: Floats,
) -> None:  # fmt: skip
    """Compare the state whenever the leader, a row with many firings to go, has fired; carry it on if it repeats.

    `fired` to `arrived` remember the state of an earlier moment.
    """
    leader, seen, wait, saved_at = clock[0].leader, clock[0].seen, clock[0].wait, clock[0].saved_at
    if leader < 0 or R[leader].fired == R[leader].count:
        if leader < 0 and clock[0].events < seen:
            return
        leader, most, saved_at, wait = -1, 2, -1.0, 1
        for v in range(len(R)):
            if R[v].phase == SENDING and R[v].count - R[v].fired > most:
                leader, most = v, R[v].count - R[v].fired
        # Where nothing is long enough to repeat, looking again is to cost no more than an event does.
        seen = R[leader].fired if leader >= 0 else clock[0].events + len(R)
    elif R[leader].fired != seen:
        seen = R[leader].fired
        if saved_at >= 0.0:
            period = seen - fired[leader]
            if same(R, clock, arrival, fired, phases, keys, bytes, arrived, saved_at, period):
                periods = room(R, D, clock, arrival, fired, period)
                if periods > 0:
                    carry(R, queue, clock, arrival, fired, periods, clock[0].now - saved_at, period)
                    seen, saved_at = R[leader].fired, -1.0
        if saved_at < 0.0 or seen - fired[leader] >= wait:
            wait = 1 if saved_at < 0.0 else 2 * wait
            saved_at = clock[0].now
            remember(R, clock, arrival, fired, phases, keys, bytes, arrived)
    clock[0].leader, clock[0].seen, clock[0].wait, clock[0].saved_at = leader, seen, wait, saved_at
