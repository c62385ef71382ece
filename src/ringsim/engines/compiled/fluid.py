"""The engine for programs that share links: one event loop over rows that are waiting to start or being sent.

Why it is right. Between two events all rates are constant, so the next event is the earliest "has left" among rows that
are sending and "may start" among rows whose inputs are known; an indexed heap holds one key per row. When a firing
leaves, its delivery time is known at once, so deliveries are no events: they are written down and looked up by the rows
that wait for them. All events of one instant are handled before rates are worked out again, and then only as far
around the rows that came or went as rates do change (`sharing`). A state that repeats is carried on (`steady`).

In the kernels R, L, H, D are the tables of rows, links, hops and inputs (`tables`).
"""

from collections.abc import Callable

import numpy as np

from ringsim.engines.compiled.contention import Contention
from ringsim.engines.compiled.fold import fold, unfolded
from ringsim.engines.compiled.heap import schedule, take_first
from ringsim.engines.compiled.kernel import Floats, Ints, Rows, Times, inner, kernel
from ringsim.engines.compiled.sharing import join, part, share
from ringsim.engines.compiled.steady import carry, remember, room, same
from ringsim.engines.compiled.tables import (
    CLOCK,
    EVENT,
    HOP,
    IDLE,
    INPUT,
    LINK,
    ROW,
    SENDING,
    WAITING,
    Table,
    bare,
    inputs_table,
    links_table,
    rows_table,
    users_of,
)  # fmt: skip
from ringsim.program import ProgramError

#: Events this close together, relative to the time since the start, are one instant: some hundred roundings.
INSTANT = 2e-14

#: Deliveries that may be under way at once per row, to begin with; doubled for as long as a run needs more.
UNDER_WAY = 8

#: Firings between two looks at the clock.
PAUSE = 100_000


def simulate(
    rows: Rows, contention: Contention, message: Floats, times: Times, *,
    jump: bool, progress: Callable[[int], None] | None,
) -> tuple[int, int, int]:  # fmt: skip
    """Run to the end; returns firings simulated, firings jumped and events.

    Parameters
    ----------
    rows, contention : Rows, Contention
    message : float array, shape ``[rows]``
        Bytes of one firing.
    times : Times
        Filled in.
    """
    few = fold(rows, contention, message) if jump else unfolded(rows, contention, message)
    n, depth = len(few.rows.firings), UNDER_WAY
    offsets, users = users_of(few.rows)
    D = inputs_table(few.rows)
    while True:
        R = rows_table(few.rows, few.contention, few.message, offsets)
        L, H = links_table(few.contention, few.weight)
        clock, arrival = np.zeros(1, CLOCK), np.zeros((n, depth))
        heap, included, touched = np.zeros(n, EVENT), np.zeros(n, np.int64), np.zeros(len(L), np.int64)
        memory = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n), np.zeros(n), np.zeros((n, depth))
        while not run(R, L, H, D, users, heap, clock, arrival, touched, included, *memory, jump, PAUSE):
            if progress:
                progress(int(clock[0]["simulated"] + clock[0]["jumped"]))
        if not clock[0]["overflow"]:
            break
        depth *= 2
    stuck = np.flatnonzero(R["fired"] < R["count"])
    if len(stuck):
        row = np.argmax(few.class_of == stuck[0])
        raise ProgramError(f"row {row} waits for ever: the dependencies of {len(stuck)} kinds of rows form a circle")
    for column, name in ((times.start, "start"), (times.left, "left"), (times.finish, "finish")):
        column[:] = R[name][few.class_of]
    return int(clock[0]["simulated"]), int(clock[0]["jumped"]), int(clock[0]["events"])


@inner
def ready(R: Table, D: Table, arrival: Floats, v: int) -> float:
    """When the next firing of `v` may begin, or −1 while that is not known."""
    q, t, depth = R[v].fired, R[v].left, arrival.shape[1]
    if q == 0 and R[v].after >= 0:
        w = R[v].after
        if R[w].fired < R[w].count:
            return -1.0
        t = R[w].left
    for d in range(R[v].input, R[v].input_end):
        u, wanted = D[d].row, q - D[d].lag
        if wanted >= 0:
            wanted = min(wanted, R[u].count - 1)
            if R[u].fired <= wanted:
                return -1.0
            if R[u].fired - wanted <= depth:  # otherwise it arrived long ago
                t = max(t, arrival[u, wanted % depth])
    return t + R[v].overhead


@inner
def begin(
    R: Table, L: Table, H: Table, D: Table, heap: Table, clock: Table, arrival: Floats, touched: Ints, v: int
) -> None:
    """Begin the next firing of an idle row if everything it waits for is known."""
    if R[v].phase != IDLE or R[v].fired >= R[v].count:
        return
    t = ready(R, D, arrival, v)
    if t < 0.0:
        return
    if R[v].hop == R[v].hop_end:
        if R[v].fired == 0:
            R[v].start = t
        R[v].phase = SENDING
        schedule(R, heap, clock, v, t + R[v].duration)
    elif t > clock[0].now * (1 + INSTANT):
        R[v].phase = WAITING
        schedule(R, heap, clock, v, t)
    else:
        send(R, L, H, clock, touched, v, t)


@inner
def send(R: Table, L: Table, H: Table, clock: Table, touched: Ints, v: int, t: float) -> None:
    """Start to send over tight links."""
    if R[v].fired == 0:
        R[v].start = t
    R[v].phase = SENDING
    R[v].to_go = R[v].bytes
    R[v].rate = 0.0
    R[v].since = t
    join(R, L, H, clock, touched, v)


@inner
def leave(R: Table, L: Table, H: Table, clock: Table, arrival: Floats, touched: Ints, v: int) -> None:
    """Write down that the firing under way has left, and when it will have arrived."""
    t, q, depth = R[v].key, R[v].fired, arrival.shape[1]
    part(R, L, H, clock, touched, v)
    R[v].phase = IDLE
    R[v].left = t
    t += R[v].latency
    if q < R[v].reduces:
        t += R[v].work
    if arrival[v, q % depth] > clock[0].now:
        clock[0].overflow = 1  # a delivery that is still under way would be forgotten: start again with more depth
    arrival[v, q % depth] = t
    R[v].finish = max(R[v].finish, t)
    R[v].fired = q + 1
    clock[0].simulated += 1


@inner
def instant(
    R: Table, L: Table, H: Table, D: Table, users: Ints, heap: Table, clock: Table, arrival: Floats,
    touched: Ints, included: Ints, gone: Ints,
) -> None:  # fmt: skip
    """Handle everything that happens at the time of the earliest event."""
    clock[0].now = heap[0].key
    clock[0].events += 1
    end = clock[0].now * (1 + INSTANT)
    while clock[0].queued > 0 and heap[0].key <= end:
        left = 0
        while clock[0].queued > 0 and heap[0].key <= end:
            v = take_first(R, heap, clock)
            if R[v].phase == WAITING:
                send(R, L, H, clock, touched, v, R[v].key)
            else:
                leave(R, L, H, clock, arrival, touched, v)
                gone[left] = v
                left += 1
        for i in range(left):
            v = gone[i]
            begin(R, L, H, D, heap, clock, arrival, touched, v)
            for e in range(R[v].user, R[v].user_end):
                begin(R, L, H, D, heap, clock, arrival, touched, users[e])
    if clock[0].touched > 0:
        share(R, L, H, heap, clock, touched, included)


@kernel
def run(
    R: Table, L: Table, H: Table, D: Table, users: Ints, heap: Table, clock: Table, arrival: Floats,
    touched: Ints, included: Ints, fired: Ints, phases: Ints, keys: Floats, bytes: Floats, arrived: Floats,
    jump: bool, pause: int,
) -> bool:  # fmt: skip
    """Go from instant to instant until nothing is left to happen or `pause` firings have left; True at the end.

    `fired` to `arrived` remember the state of an earlier moment, to compare with.
    """
    i = np.int64
    return _run(
        bare(R.ctypes.data, R.shape, ROW), bare(L.ctypes.data, L.shape, LINK), bare(H.ctypes.data, H.shape, HOP),
        bare(D.ctypes.data, D.shape, INPUT), bare(users.ctypes.data, users.shape, i),
        bare(heap.ctypes.data, heap.shape, EVENT), bare(clock.ctypes.data, clock.shape, CLOCK),
        bare(arrival.ctypes.data, arrival.shape, np.float64), bare(touched.ctypes.data, touched.shape, i),
        bare(included.ctypes.data, included.shape, i), fired, phases, keys, bytes, arrived, jump, pause,
    )  # fmt: skip


@inner
def _run(
    R: Table, L: Table, H: Table, D: Table, users: Ints, heap: Table, clock: Table, arrival: Floats,
    touched: Ints, included: Ints, fired: Ints, phases: Ints, keys: Floats, bytes: Floats, arrived: Floats,
    jump: bool, pause: int,
) -> bool:  # fmt: skip
    """`run` on bare tables."""
    n = len(R)
    gone = np.empty(n, np.int64)
    quota = clock[0].simulated + pause
    if clock[0].events == 0:
        for v in range(n):
            begin(R, L, H, D, heap, clock, arrival, touched, v)
        if clock[0].touched > 0:
            share(R, L, H, heap, clock, touched, included)
        clock[0].leader = -1
    # The state is compared whenever the leader, a row with many firings to go, has fired.
    leader, seen, wait, saved_at = clock[0].leader, clock[0].seen, clock[0].wait, clock[0].saved_at
    while clock[0].queued > 0 and clock[0].overflow == 0 and clock[0].simulated < quota:
        instant(R, L, H, D, users, heap, clock, arrival, touched, included, gone)
        if not jump:
            continue
        if leader < 0 or R[leader].fired == R[leader].count:
            leader, most, saved_at, wait = -1, 2, -1.0, 1
            for v in range(n):
                if R[v].phase == SENDING and R[v].count - R[v].fired > most:
                    leader, most = v, R[v].count - R[v].fired
            if leader < 0:
                jump = False  # nothing long enough is left to repeat
            else:
                seen = R[leader].fired
        elif R[leader].fired != seen:
            seen = R[leader].fired
            if saved_at >= 0.0:
                period = seen - fired[leader]
                if same(R, clock, arrival, fired, phases, keys, bytes, arrived, saved_at, period):
                    periods = room(R, D, clock, arrival, fired, period)
                    if periods > 0:
                        carry(R, heap, clock, arrival, fired, periods, clock[0].now - saved_at, period)
                        seen, saved_at = R[leader].fired, -1.0
            if saved_at < 0.0 or seen - fired[leader] >= wait:
                wait = 1 if saved_at < 0.0 else 2 * wait
                saved_at = clock[0].now
                remember(R, clock, arrival, fired, phases, keys, bytes, arrived)
    clock[0].leader, clock[0].seen, clock[0].wait, clock[0].saved_at = leader, seen, wait, saved_at
    return clock[0].queued == 0 or clock[0].overflow != 0
