"""A pool of rows that share links: one event loop over rows that are waiting to start or being sent.

Between two events all rates are constant, so the next event is the earliest "has left" among rows that are sending and
"may start" among rows whose inputs are known; a tournament holds one time per row. All events of one instant are handled
before rates are worked out again, and then only as far around the rows that came or went as rates do change (`sharing`).

Rows that wait for another pool stand in a queue of their own, by the earliest time at which they could begin. What lies
before that is safe to be worked out.
"""

import numpy as np

from ringsim.engines.compiled.inputs import deliver, outlook, ready
from ringsim.engines.compiled.kernel import Floats, Ints, Places, inner
from ringsim.engines.compiled.sharing import join, part, share
from ringsim.engines.compiled.steady import look
from ringsim.engines.compiled.tables import IDLE, INSTANT, POOL, SENDING, WAITING, Table, bare
from ringsim.engines.compiled.tournament import first, schedule


@inner
def carry_shared(
    R: Table, L: Table, H: Table, D: Table, users: Ints, P: Table, p: int, arrival: Floats,
    touched: Places, included: Places, gone: Ints, memory: tuple[Ints, Ints, Floats, Floats, Floats],
    jump: bool, safe: float, pause: int,
) -> None:  # fmt: skip
    """Carry pool `p` on as far as what others have delivered goes and up to `safe` in any case, or for `pause` firings."""
    clock, queue = bare(P[p].at, (1,), POOL), bare(P[p].queue, (P[p].queue_length,), np.float64)
    quota = clock[0].simulated + pause
    if clock[0].begun == 0:
        clock[0].begun = 1
        for v in range(clock[0].row, clock[0].row_end):
            begin(R, L, H, D, P, queue, clock, arrival, touched, v)
    while True:
        if clock[0].touched > 0:
            share(R, L, H, queue, clock, touched, included)
        if jump and clock[0].events > 0:
            look(R, D, queue, clock, arrival, *memory)
        limit = held_until(R, D, P, queue, clock, arrival)
        t = queue[1]
        if t == np.inf or (t > limit and t > safe) or clock[0].overflow != 0 or clock[0].simulated >= quota:
            break
        instant(R, L, H, D, users, P, queue, clock, arrival, touched, gone)
    clock[0].next = t
    clock[0].horizon = max(clock[0].horizon, min(t, limit))


@inner
def begin(
    R: Table, L: Table, H: Table, D: Table, P: Table, queue: Floats, clock: Table, arrival: Floats,
    touched: Places, v: int,
) -> None:  # fmt: skip
    """Begin the next firing of an idle row if everything it waits for is known."""
    if R[v].phase != IDLE or R[v].fired >= R[v].count:
        return
    t = ready(R, D, arrival, v)
    if t < 0.0:
        if R[v].reads:
            t = outlook(R, D, P, arrival, v)
            if t < np.inf:
                schedule(waiting(clock), v - clock[0].row, t)
        return
    if R[v].hop < R[v].hop_end and t <= clock[0].now * (1 + INSTANT):
        send(R, L, H, clock, touched, v, t)
    else:
        line_up(R, queue, clock, v, t)


@inner
def line_up(R: Table, queue: Floats, clock: Table, v: int, t: float) -> None:
    """Queue an idle row that may begin at `t`; where no tight link holds it back, for the time when it will have left."""
    if R[v].hop == R[v].hop_end:
        if R[v].fired == 0:
            R[v].start = t
        R[v].phase = SENDING
        R[v].key = t + R[v].duration
    else:
        R[v].phase = WAITING
        R[v].key = t
    schedule(queue, v - clock[0].row, R[v].key)


@inner
def send(R: Table, L: Table, H: Table, clock: Table, touched: Places, v: int, t: float) -> None:
    """Start to send over tight links."""
    if R[v].fired == 0:
        R[v].start = t
    R[v].phase = SENDING
    R[v].to_go = R[v].bytes
    R[v].rate = 0.0
    R[v].since = t
    join(R, L, H, clock, touched, v)


@inner
def leave(R: Table, L: Table, H: Table, clock: Table, arrival: Floats, touched: Places, v: int) -> None:
    """Write down that the firing under way has left, and when it will have arrived."""
    if arrival[v, R[v].fired % arrival.shape[1]] > clock[0].now:
        clock[0].overflow = 1  # a delivery that is still under way would be forgotten: start again with more depth
    part(R, L, H, clock, touched, v)
    deliver(R, arrival, v)
    clock[0].simulated += 1


@inner
def instant(
    R: Table, L: Table, H: Table, D: Table, users: Ints, P: Table, queue: Floats, clock: Table, arrival: Floats,
    touched: Places, gone: Ints,
) -> None:  # fmt: skip
    """Handle everything that happens at the time of the earliest event."""
    clock[0].now = queue[1]
    clock[0].events += 1
    end = clock[0].now * (1 + INSTANT)
    while queue[1] <= end:
        left = 0
        while queue[1] <= end:
            v = clock[0].row + first(queue)
            schedule(queue, v - clock[0].row, np.inf)
            if R[v].phase == WAITING:
                send(R, L, H, clock, touched, v, R[v].key)
            else:
                leave(R, L, H, clock, arrival, touched, v)
                gone[left] = v
                left += 1
        for i in range(left):
            v = gone[i]
            begin(R, L, H, D, P, queue, clock, arrival, touched, v)
            for e in range(R[v].user, R[v].user_end):
                begin(R, L, H, D, P, queue, clock, arrival, touched, users[e])


@inner
def waiting(clock: Table) -> Floats:
    """View the queue of a pool's rows that wait for other pools."""
    return bare(clock[0].waits, (clock[0].queue_length,), np.float64)


@inner
def held_until(R: Table, D: Table, P: Table, queue: Floats, clock: Table, arrival: Floats) -> float:
    """Let rows whose deliveries have come wait for their time; return when others may be wanted at the earliest.

    Only what may come before the next event is looked at.
    """
    waits = waiting(clock)
    while waits[1] < queue[1]:
        v, key = clock[0].row + first(waits), waits[1]
        if not notice(R, D, queue, clock, arrival, v):
            later = outlook(R, D, P, arrival, v)
            if later <= key:
                return key
            schedule(waits, v - clock[0].row, later)
    return waits[1]


@inner
def notice(R: Table, D: Table, queue: Floats, clock: Table, arrival: Floats, v: int) -> bool:
    """Queue a row that waited for other pools if all its deliveries are known by now."""
    t = ready(R, D, arrival, v)
    if t < 0.0:
        return False
    schedule(waiting(clock), v - clock[0].row, np.inf)
    line_up(R, queue, clock, v, t)
    return True


@inner
def notice_all(R: Table, D: Table, P: Table, p: int, arrival: Floats) -> None:
    """Find the next event of pool `p`, looking also behind rows that still have to wait for other pools."""
    clock, queue = bare(P[p].at, (1,), POOL), bare(P[p].queue, (P[p].queue_length,), np.float64)
    if waiting(clock)[1] < np.inf:
        for v in range(clock[0].row, clock[0].row_end):
            if R[v].reads and R[v].phase == IDLE and R[v].fired < R[v].count:
                notice(R, D, queue, clock, arrival, v)
        clock[0].next = queue[1]
