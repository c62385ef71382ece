"""The engine for programs that share links.

Why it is right. Rows that share links, directly or through others, are a *pool*; what goes on in a pool depends on other
pools only by what they deliver to it. When a firing leaves, its delivery time is known at once, so deliveries are no
events: they are written down and looked up by the rows that wait for them. A pool is carried on for as long as nothing
that it is not yet given could come before its next event (`pools`, `inputs`), then its readers are. So every pool goes
through the same instants as it would in one queue of all events. Where all stand still, whoever has the earliest event
of all may go on, for nothing can be delivered earlier.

Within a pool events are handled instant by instant (`shared`; `lone` for the smallest). A program whose rows are few is
one pool: then the whole state can be compared with an earlier one, and one that repeats is carried on (`steady`).

In the kernels R, L, H, D, P are the tables of rows, links, hops, inputs and pools (`tables`).
"""

from collections.abc import Callable

import numpy as np

from ringsim.engines.compiled.contention import Contention
from ringsim.engines.compiled.fold import Folded, fold, unfolded
from ringsim.engines.compiled.kernel import Floats, Ints, Places, Rows, Times, inner, kernel
from ringsim.engines.compiled.lone import carry_lone
from ringsim.engines.compiled.pools import arranged, crossing, divide, pools_table
from ringsim.engines.compiled.shared import carry_shared, notice_all
from ringsim.engines.compiled.tables import (
    HOP,
    INPUT,
    LINK,
    POOL,
    ROW,
    Table,
    bare,
    inputs_table,
    links_table,
    rows_table,
    users_of,
)  # fmt: skip
from ringsim.program import ProgramError

#: Deliveries that may be under way at once per row, to begin with; doubled for as long as a run needs more.
UNDER_WAY = 8

#: Rows up to which a program is one pool: their records fit into a core's cache, and whole periods can be jumped.
FEW = 8192

#: Firings of a row, at most, between which a program with more rows is divided. With fewer, pools cannot run ahead of each
#: other by enough to be worth it. With more, jumping is what counts; and all deliveries are kept, for readers to come.
LEAST, MOST = 16, 1024

#: Deliveries that may be kept, 0.8 GB.
LARGEST = 100_000_000

#: Places in the state of a run; 0 and 1 are where its lists begin.
LISTED, FIRED, VAIN = 2, 4, 5

#: Firings between two looks at the clock: a second at most, where each of them changes the rates of thousands.
PAUSE = 20_000


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
    few, R, P, _ = carry_on(few, jump=jump, progress=progress)
    for column, name in ((times.start, "start"), (times.left, "left"), (times.finish, "finish")):
        column[:] = R[name][few.class_of]
    return int(P["simulated"].sum()), int(P["jumped"].sum()), int(P["events"].sum())


def carry_on(
    few: Folded, *, jump: bool = False, keep: bool = False, progress: Callable[[int], None] | None = None
) -> tuple[Folded, Table, Table, Floats]:
    """Run a folded program to its end.

    Parameters
    ----------
    few : Folded
    jump : bool
        Carry a steady state over whole periods.
    keep : bool
        Make room for all deliveries instead of those that are under way.
    progress : callable or None

    Returns
    -------
    few : Folded
        With its rows in the order of the tables.
    R, P : Table
        Rows and pools at the end.
    arrival : float array, shape ``[rows, depth]``, seconds
        Delivery of firing *q* at ``q % depth``: of the last ones, or of all with `keep`.
    """
    n, most = len(few.rows.firings), int(few.rows.firings.max())
    divided = n > FEW and LEAST <= most <= MOST and n * most <= LARGEST
    pool, depth = np.zeros(n, np.int64), most if divided or keep else UNDER_WAY
    if divided:
        pool = divide(few)
        order = np.argsort(pool, kind="stable")
        few, pool = arranged(few, order), pool[order]
    offsets, users = users_of(few.rows, pool)
    waiting, across = crossing(few.rows, pool)
    D = inputs_table(few.rows)
    while True:
        P, readers, least = pools_table(few, pool, alone=divided)
        R = rows_table(few.rows, few.contention, few.message, offsets)
        R["pool"], R["reads"][waiting[across]] = pool, 1
        L, H = links_table(few.contention, few.weight)
        queues = np.full((2, int(P["queue_length"].sum())), np.inf)
        place = 8 * (np.cumsum(P["queue_length"]) - P["queue_length"])
        P["queue"], P["waits"] = queues[0].ctypes.data + place, queues[1].ctypes.data + place
        arrival = np.zeros((n, depth))
        scratch = np.zeros(len(L), np.uint32), np.zeros(n, np.uint32), np.zeros(n, np.int64)
        m = n if jump and not divided else 0
        memory = np.zeros(m, np.int64), np.zeros(m, np.int64), np.zeros(m), np.zeros(m), np.zeros((m, depth))
        state, lists = np.zeros(6, np.int64), np.zeros((2, len(P)), np.int64)
        safe = np.array([0.0, least])
        while not run(
            R, L, H, D, users, P, readers, arrival, scratch, memory, lists, state, safe, jump and not divided, PAUSE
        ):
            if progress:
                progress(int(state[FIRED] + P["jumped"].sum()))
        if not P["overflow"].any():
            break
        depth *= 2
    stuck = np.flatnonzero(R["fired"] < R["count"])
    if len(stuck):
        row = np.argmax(np.isin(few.class_of, stuck))
        raise ProgramError(f"row {row} waits for ever: the dependencies of {len(stuck)} kinds of rows form a circle")
    return few, R, P, arrival


@kernel
def run(
    R: Table, L: Table, H: Table, D: Table, users: Ints, P: Table, readers: Ints, arrival: Floats,
    scratch: tuple[Places, Places, Ints], memory: tuple[Ints, Ints, Floats, Floats, Floats],
    lists: Ints, state: Ints, safe: Floats, jump: bool, pause: int,
) -> bool:  # fmt: skip
    """Carry pools on until nothing is left to happen or `pause` firings have left; True at the end.

    `lists` are two rings of pools that may have something to do, the small and the large ones; `state` says where each
    begins, how many are on each, how many firings have left so far, and how many more visits were for nothing than not.
    `safe` is the time up to which every pool may go, and the least that a delivery to another one takes. `scratch` is for
    what a sharing collects and for who has left in an instant; `memory` keeps an earlier state to compare with.
    """
    # Tables that own nothing: see `bare`.
    R, L, H = bare(R.ctypes.data, R.shape, ROW), bare(L.ctypes.data, L.shape, LINK), bare(H.ctypes.data, H.shape, HOP)
    D, users = bare(D.ctypes.data, D.shape, INPUT), bare(users.ctypes.data, users.shape, np.int64)
    P, readers = bare(P.ctypes.data, P.shape, POOL), bare(readers.ctypes.data, readers.shape, np.int64)
    arrival = bare(arrival.ctypes.data, arrival.shape, np.float64)
    touched = bare(scratch[0].ctypes.data, scratch[0].shape, np.uint32)
    included = bare(scratch[1].ctypes.data, scratch[1].shape, np.uint32)
    gone = bare(scratch[2].ctypes.data, scratch[2].shape, np.int64)
    quota = state[FIRED] + pause
    while True:
        while state[LISTED] + state[LISTED + 1] > 0:
            # Large pools come last: the more they are given the farther they go.
            large = 1 if state[LISTED] == 0 else 0
            p = lists[large, state[large]]
            state[large] = (state[large] + 1) % len(P)
            state[LISTED + large] -= 1
            P[p].listed = 0
            before, fired, horizon = P[p].events, P[p].simulated, P[p].horizon
            if P[p].lone:
                carry_lone(R, L, H, D, users, P, p, arrival, safe[0])
            else:
                carry_shared(R, L, H, D, users, P, p, arrival, touched, included, gone, memory, jump, safe[0], pause)
            if P[p].overflow:
                return True
            state[FIRED] += P[p].simulated - fired
            moved = P[p].events > before
            state[VAIN] += -1 if moved else 1
            # A later horizon alone is news as well, but rows that wait for each other for ever would pass it on for ever.
            if moved or (P[p].horizon > horizon + P[p].service and state[VAIN] < 4 * len(P)):
                for e in range(P[p].reader, P[p].reader_end):
                    enlist(P, lists, state, readers[e])
            if P[p].simulated - fired >= pause:
                enlist(P, lists, state, p)  # it was stopped, not done
            if state[FIRED] >= quota:
                return False
        soonest = np.inf
        for p in range(len(P)):
            if not P[p].lone:
                notice_all(R, D, P, p, arrival)
            soonest = min(soonest, P[p].next)
        if soonest == np.inf:
            return True
        # Nothing happens before that, and nothing that happens from then on is delivered any sooner than this.
        safe[0] = soonest + safe[1]
        for p in range(len(P)):
            if P[p].next <= safe[0]:
                enlist(P, lists, state, p)


@inner
def enlist(P: Table, lists: Ints, state: Ints, p: int) -> None:
    """Put pool `p` at the end of its list, unless it is on it."""
    if P[p].listed == 0:
        P[p].listed = 1
        large = 0 if P[p].lone else 1
        lists[large, (state[large] + state[LISTED + large]) % len(P)] = p
        state[LISTED + large] += 1
