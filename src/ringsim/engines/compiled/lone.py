"""A pool of few rows that share one link, or none: a lane with the chains that go over it, a row on its own.

With so few it is quickest to look at all of them at every event: no queue, no lists, no notes of what changed.
"""

import numpy as np

from ringsim.engines.compiled.inputs import deliver, outlook, ready
from ringsim.engines.compiled.kernel import Floats, Ints, inner
from ringsim.engines.compiled.sharing import ROUNDING
from ringsim.engines.compiled.tables import IDLE, INSTANT, SENDING, WAITING, Table

#: Rows that are looked at one by one.
FEW = 16


@inner
def carry_lone(
    R: Table, L: Table, H: Table, D: Table, users: Ints, P: Table, p: int, arrival: Floats, safe: float
) -> None:
    """Carry pool `p` on as far as what others have delivered goes, and up to `safe` in any case."""
    first, last = P[p].row, P[p].row_end
    limit, bandwidth = P[p].horizon, np.inf
    for v in range(first, last):
        if R[v].hop < R[v].hop_end:
            bandwidth = L[H[R[v].hop].link].bandwidth
        await_start(R, D, arrival, v)
    while True:
        now = np.inf
        for v in range(first, last):
            if R[v].phase != IDLE and R[v].key < now:
                now = R[v].key
        if now > limit or now == np.inf:
            limit = np.inf
            for v in range(first, last):
                if R[v].phase == IDLE and R[v].fired < R[v].count:
                    limit = min(limit, outlook(R, D, P, arrival, v))
            if now == np.inf or (now > limit and now > safe):
                break
        P[p].now = now
        P[p].events += 1
        end = now * (1 + INSTANT)
        for v in range(first, last):
            if R[v].phase == IDLE or R[v].key > end:
                continue
            if R[v].phase == WAITING:
                if R[v].fired == 0:
                    R[v].start = R[v].key
                R[v].phase = SENDING
                R[v].to_go = R[v].bytes
                R[v].since = R[v].key
                R[v].rate = 0.0
                continue
            deliver(R, arrival, v)
            P[p].simulated += 1
            await_start(R, D, arrival, v)
            if R[v].phase == IDLE:
                limit = -1.0  # somebody waits who did not when it was worked out
            elif R[v].key <= end:
                # Whoever goes on at once changes nobody's rate.
                R[v].phase = SENDING
                R[v].to_go = R[v].bytes
                R[v].since = R[v].key
                R[v].key += R[v].bytes / R[v].rate
            for e in range(R[v].user, R[v].user_end):
                await_start(R, D, arrival, users[e])
        share_one(R, H, first, last, bandwidth, now)
    P[p].next = now
    P[p].horizon = max(P[p].horizon, min(now, limit))


@inner
def await_start(R: Table, D: Table, arrival: Floats, v: int) -> None:
    """Let an idle row wait for its time if that is known."""
    if R[v].phase == IDLE and R[v].fired < R[v].count:
        t = ready(R, D, arrival, v)
        if t >= 0.0:
            R[v].phase = WAITING
            R[v].key = t


@inner
def share_one(R: Table, H: Table, first: int, last: int, bandwidth: float, now: float) -> None:
    """Share one link max-min fairly: who is content with less than an equal part leaves the rest to the others."""
    free, rising = bandwidth, 0
    for v in range(first, last):
        if R[v].phase == SENDING:
            R[v].marked = 1
            if R[v].hop < R[v].hop_end:
                rising += H[R[v].hop].weight
    content = True
    while content:
        content = False
        level = free / rising if rising > 0 else np.inf
        for v in range(first, last):
            if R[v].phase == SENDING and R[v].marked and R[v].cap <= level * (1 + ROUNDING):
                R[v].marked = 0
                R[v].trial = R[v].cap
                if R[v].hop < R[v].hop_end:
                    free -= H[R[v].hop].weight * R[v].cap
                    rising -= H[R[v].hop].weight
                    content = True
    for v in range(first, last):
        if R[v].phase == SENDING:
            rate = level if R[v].marked else R[v].trial
            R[v].marked = 0
            if rate != R[v].rate:
                R[v].to_go = max(0.0, R[v].to_go - R[v].rate * (now - R[v].since))
                R[v].rate = rate
                R[v].since = now
                R[v].key = now + R[v].to_go / rate
