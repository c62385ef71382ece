"""What a row waits for: whether it is known, when it comes, and if that is not known, how soon it could.

Deliveries are no events: when a firing leaves, its delivery time is written down, and whoever waits for it looks there.
"""

import numpy as np

from ringsim.engines.compiled.kernel import Floats, inner
from ringsim.engines.compiled.tables import IDLE, SENDING, WAITING, Table


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
def outlook(R: Table, D: Table, P: Table, arrival: Floats, v: int) -> float:
    """Earliest time at which the next firing of `v` may begin for all that is known of other pools.

    Infinity while something of its own pool is missing: when that comes, this is asked again.
    """
    q, t, pool, depth = R[v].fired, R[v].left, R[v].pool, arrival.shape[1]
    if q == 0 and R[v].after >= 0:
        w = R[v].after  # of the same pool
        if R[w].fired < R[w].count:
            return np.inf
        t = R[w].left
    for d in range(R[v].input, R[v].input_end):
        u, wanted = D[d].row, q - D[d].lag
        if wanted >= 0:
            wanted = min(wanted, R[u].count - 1)
            if R[u].fired > wanted:
                t = max(t, arrival[u, wanted % depth])
            elif R[u].pool == pool:
                return np.inf
            else:
                t = max(t, soonest(R, P, u, wanted))
    return t + R[v].overhead


@inner
def soonest(R: Table, P: Table, u: int, wanted: int) -> float:
    """Earliest time at which firing `wanted` of `u`, which has not left, may be delivered.

    Until its pool's horizon nothing happens that is not written down, so what is being sent keeps its rate; from there on
    it goes at most as fast as if it were alone.
    """
    t = P[R[u].pool].horizon
    if R[u].phase == SENDING and R[u].hop == R[u].hop_end:
        t = max(t, R[u].key)
    elif R[u].phase == SENDING:
        t += max(0.0, R[u].to_go - R[u].rate * (t - R[u].since)) / R[u].cap
    elif R[u].phase == WAITING:
        t = max(t, R[u].key) + R[u].duration
    else:
        t += R[u].duration
    return t + (wanted - R[u].fired) * R[u].duration + R[u].latency


@inner
def deliver(R: Table, arrival: Floats, v: int) -> None:
    """Write down that the firing under way has left, and when it will have arrived."""
    t, q = R[v].key, R[v].fired
    R[v].phase = IDLE
    R[v].left = t
    t += R[v].latency
    if q < R[v].reduces:
        t += R[v].work
    arrival[v, q % arrival.shape[1]] = t
    R[v].finish = max(R[v].finish, t)
    R[v].fired = q + 1
