"""The engine for programs that share links: one event loop over rows that are waiting to start or being sent.

Why it is right. Between two events all rates are constant, so the next event is the earliest "has left" among rows that
are sending and "may start" among rows whose inputs are known; an indexed heap holds one key per row. When a firing
leaves, its delivery time is known at once, so deliveries are no events: they are written down and looked up by the rows
that wait for them. All events of one instant are handled before rates are worked out again, and then only for rows
that are linked, through tight links and active rows, to one that came or went: nobody else's rate can have changed.

Steady state. The loop is a deterministic machine whose future depends only on its state relative to now: bytes to go,
rates, keys, deliveries still under way. If that is what it was at an earlier moment, with every row that moved having
fired P times since, the same will happen again, until some row reaches a firing at which its rules change.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringsim.engines.compiled.contention import Contention
from ringsim.engines.compiled.kernel import SAME, Floats, Ints, Rows, Times, kernel
from ringsim.program import ProgramError

#: Events this close together, relative to the time since the start, are one instant: some hundred roundings.
INSTANT = 2e-14

#: Deliveries that may be under way at once per row, to begin with; doubled for as long as a run needs more.
UNDER_WAY = 16

#: Firings between two looks at the clock.
PAUSE = 1_000_000

IDLE, WAITING, SENDING = 0, 1, 2


class Shared(NamedTuple):
    """Tight links: route of each row over them, ``[rows + 1]`` and ``[hops]``; the row of a hop; capacity ``[links]``."""

    offsets: Ints
    link: Ints
    row: Ints
    bandwidth: Floats
    cap: Floats
    bytes: Floats


class Users(NamedTuple):
    """For each row the rows that wait for it: ``row[offsets[u]:offsets[u + 1]]``."""

    offsets: Ints
    row: Ints


class Machine(NamedTuple):
    """The state. Per row unless said otherwise.

    ``phase`` idle, waiting or sending; ``fired`` firings that have left; ``key`` time of the row's next event;
    ``rate``, ``to_go`` (bytes), ``since`` (when to_go was true) of a row on tight links; ``arrival[q mod depth, row]``
    recent deliveries. ``heap`` and ``slot`` are the indexed heap and its inverse. ``head``, ``next``, ``previous`` chain
    the active hops of each link. ``clock`` is [now]; ``tally`` [heap size, simulated, jumped, events, overflow, stuck].
    """

    phase: Ints
    fired: Ints
    key: Floats
    rate: Floats
    to_go: Floats
    since: Floats
    arrival: Floats
    heap: Ints
    slot: Ints
    head: Ints
    next: Ints
    previous: Ints
    clock: Floats
    tally: Ints


class Scratch(NamedTuple):
    """Work space of one sharing: touched links and rows, their marks, and what is left of each link."""

    links: Ints
    link_mark: Ints
    rows: Ints
    row_mark: Ints
    free: Floats
    rising: Ints
    size: Ints


def simulate(
    rows: Rows, contention: Contention, message: Floats, times: Times, *,
    jump: bool, progress: Callable[[int], None] | None,
) -> tuple[int, int, int]:  # fmt: skip
    """Run to the end; returns firings simulated, firings jumped and events."""
    n, links = len(rows.count), len(contention.bandwidth)
    hop_row = np.repeat(np.arange(n), np.diff(contention.offsets))
    shared = Shared(
        contention.offsets, contention.links, hop_row, contention.bandwidth, contention.rate, message
    )  # fmt: skip
    users = _users(rows)
    depth = UNDER_WAY
    while True:
        machine = Machine(
            np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n),
            np.zeros((depth, n)), np.zeros(n, np.int64), np.full(n, -1), np.full(links, -1),
            np.full(len(hop_row), -1), np.full(len(hop_row), -1), np.zeros(1), np.zeros(6, np.int64),
        )  # fmt: skip
        scratch = Scratch(
            np.zeros(links, np.int64), np.zeros(links, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64),
            np.zeros(links), np.zeros(links, np.int64), np.zeros(2, np.int64),
        )  # fmt: skip
        memory = (machine.fired.copy(), machine.key.copy(), machine.to_go.copy(), machine.arrival.copy())
        while not run(rows, shared, users, times, machine, scratch, memory, jump, PAUSE):
            if progress:
                progress(int(machine.tally[1] + machine.tally[2]))
        if not machine.tally[4]:
            break
        depth *= 2
        for column in times:
            column[:] = 0.0
    stuck = np.flatnonzero(machine.fired < rows.count)
    if len(stuck):
        raise ProgramError(f"row {stuck[0]} waits for ever: the dependencies of {len(stuck)} rows form a circle")
    return int(machine.tally[1]), int(machine.tally[2]), int(machine.tally[3])


def _users(rows: Rows) -> Users:
    """Turn dependencies round. A row that waits for its predecessor on the connection waits for it too."""
    n = len(rows.count)
    waiting = np.repeat(np.arange(n), np.diff(rows.dep_offsets))
    chained = np.flatnonzero(rows.after >= 0)
    on = np.concatenate([rows.dep_row, rows.after[chained]])
    waiting = np.concatenate([waiting, chained])
    pairs = np.unique(np.stack([on, waiting], axis=1), axis=0)
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(pairs[:, 0], minlength=n), out=offsets[1:])
    return Users(offsets, np.ascontiguousarray(pairs[:, 1]))


# -- the heap ----------------------------------------------------------------------------------------------


@kernel
def _before(machine: Machine, a: int, b: int) -> bool:
    return machine.key[a] < machine.key[b] or (machine.key[a] == machine.key[b] and a < b)


@kernel
def _rise(machine: Machine, place: int) -> None:
    heap, slot = machine.heap, machine.slot
    row = heap[place]
    while place > 0:
        parent = (place - 1) >> 2
        if not _before(machine, row, heap[parent]):
            break
        heap[place] = heap[parent]
        slot[heap[place]] = place
        place = parent
    heap[place] = row
    slot[row] = place


@kernel
def _sink(machine: Machine, place: int) -> None:
    heap, slot, size = machine.heap, machine.slot, machine.tally[0]
    row = heap[place]
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        least = child
        for other in range(child + 1, min(child + 4, size)):
            if _before(machine, heap[other], heap[least]):
                least = other
        if not _before(machine, heap[least], row):
            break
        heap[place] = heap[least]
        slot[heap[place]] = place
        place = least
    heap[place] = row
    slot[row] = place


@kernel
def _schedule(machine: Machine, row: int, key: float) -> None:
    """Give `row` an event at `key`, or move the one it has."""
    place = machine.slot[row]
    if place < 0:
        place = machine.tally[0]
        machine.tally[0] += 1
        machine.heap[place] = row
        machine.key[row] = key
        _rise(machine, place)
    elif key < machine.key[row]:
        machine.key[row] = key
        _rise(machine, place)
    else:
        machine.key[row] = key
        _sink(machine, place)


@kernel
def _unschedule_first(machine: Machine) -> int:
    """Take the earliest row off the heap."""
    heap = machine.heap
    row = heap[0]
    machine.slot[row] = -1
    machine.tally[0] -= 1
    if machine.tally[0] > 0:
        heap[0] = heap[machine.tally[0]]
        _sink(machine, 0)
    return row


# -- starting and leaving ------------------------------------------------------------------------------------


@kernel
def _ready(rows: Rows, times: Times, machine: Machine, v: int) -> float:
    """When the next firing of `v` may begin, or −1 while that is not known."""
    q = machine.fired[v]
    t = times.left[v]
    if q == 0 and rows.after[v] >= 0:
        w = rows.after[v]
        if machine.fired[w] < rows.count[w]:
            return -1.0
        t = times.left[w]
    depth = len(machine.arrival)
    for d in range(rows.dep_offsets[v], rows.dep_offsets[v + 1]):
        wanted, u = q - rows.dep_lag[d], rows.dep_row[d]
        if wanted >= 0:
            wanted = min(wanted, rows.count[u] - 1)
            if machine.fired[u] <= wanted:
                return -1.0
            if machine.fired[u] - wanted <= depth:  # otherwise it arrived long ago
                t = max(t, machine.arrival[wanted % depth, u])
    return t + rows.overhead[v]


@kernel
def _try(rows: Rows, shared: Shared, times: Times, machine: Machine, scratch: Scratch, v: int) -> None:
    """Begin the next firing of an idle row if everything it waits for is known."""
    if machine.phase[v] != IDLE or machine.fired[v] >= rows.count[v]:
        return
    t = _ready(rows, times, machine, v)
    if t < 0.0:
        return
    if shared.offsets[v] == shared.offsets[v + 1]:
        if machine.fired[v] == 0:
            times.start[v] = t
        machine.phase[v] = SENDING
        _schedule(machine, v, t + rows.duration[v])
    elif t > machine.clock[0] * (1 + INSTANT):
        machine.phase[v] = WAITING
        _schedule(machine, v, t)
    else:
        _join(shared, times, machine, scratch, v, t)


@kernel
def _join(shared: Shared, times: Times, machine: Machine, scratch: Scratch, v: int, t: float) -> None:
    """Put `v` on its tight links; its rate follows when the instant is over."""
    if machine.fired[v] == 0:
        times.start[v] = t
    machine.phase[v] = SENDING
    machine.to_go[v], machine.rate[v], machine.since[v] = shared.bytes[v], 0.0, t
    for hop in range(shared.offsets[v], shared.offsets[v + 1]):
        link = shared.link[hop]
        after = machine.head[link]
        machine.next[hop], machine.previous[hop] = after, -1
        if after >= 0:
            machine.previous[after] = hop
        machine.head[link] = hop
        _touch(scratch, link)


@kernel
def _part(shared: Shared, machine: Machine, scratch: Scratch, v: int) -> None:
    """Take `v` off its tight links."""
    for hop in range(shared.offsets[v], shared.offsets[v + 1]):
        link, before, after = shared.link[hop], machine.previous[hop], machine.next[hop]
        if before >= 0:
            machine.next[before] = after
        else:
            machine.head[link] = after
        if after >= 0:
            machine.previous[after] = before
        _touch(scratch, link)


@kernel
def _touch(scratch: Scratch, link: int) -> None:
    if scratch.link_mark[link] == 0:
        scratch.link_mark[link] = 1
        scratch.links[scratch.size[0]] = link
        scratch.size[0] += 1


@kernel
def _leave(rows: Rows, shared: Shared, times: Times, machine: Machine, scratch: Scratch, v: int) -> None:
    """Write down that the firing under way has left, and when it will have arrived."""
    t, q, depth = machine.key[v], machine.fired[v], len(machine.arrival)
    if shared.offsets[v] < shared.offsets[v + 1]:
        _part(shared, machine, scratch, v)
    machine.phase[v] = IDLE
    times.left[v] = t
    t += rows.latency[v]
    if q < rows.reduces[v]:
        t += rows.work[v]
    if machine.arrival[q % depth, v] > machine.clock[0]:
        machine.tally[4] = 1  # overwriting a delivery that is still under way: more depth is needed
    machine.arrival[q % depth, v] = t
    times.finish[v] = max(times.finish[v], t)
    machine.fired[v] = q + 1
    machine.tally[1] += 1


# -- sharing ---------------------------------------------------------------------------------------------------


@kernel
def _share(shared: Shared, machine: Machine, scratch: Scratch) -> None:
    """Work out the max-min rates of everyone who is linked to a touched link, and move their ends."""
    now = machine.clock[0]
    done = 0
    while done < scratch.size[0]:  # links grow while they are walked
        hop = machine.head[scratch.links[done]]
        done += 1
        while hop >= 0:
            v = shared.row[hop]
            if scratch.row_mark[v] == 0:
                scratch.row_mark[v] = 1
                scratch.rows[scratch.size[1]] = v
                scratch.size[1] += 1
                for h in range(shared.offsets[v], shared.offsets[v + 1]):
                    _touch(scratch, shared.link[h])
            hop = machine.next[hop]
    for i in range(scratch.size[0]):
        link = scratch.links[i]
        scratch.free[link], scratch.rising[link] = shared.bandwidth[link], 0
    for i in range(scratch.size[1]):
        v = scratch.rows[i]
        for h in range(shared.offsets[v], shared.offsets[v + 1]):
            scratch.rising[shared.link[h]] += 1
    left = scratch.size[1]
    while left > 0:
        level = np.inf
        for i in range(scratch.size[0]):
            link = scratch.links[i]
            if scratch.rising[link] > 0:
                level = min(level, scratch.free[link] / scratch.rising[link])
        for i in range(left):
            level = min(level, shared.cap[scratch.rows[i]])
        # Whoever has met its limit is moved behind `left` and given its rate; roundings of one level are one level.
        full = level * (1 + 1e-14)
        i = 0
        frozen = left
        while i < left:
            v = scratch.rows[i]
            met = shared.cap[v] <= full
            for h in range(shared.offsets[v], shared.offsets[v + 1]):
                link = shared.link[h]
                met = met or scratch.free[link] <= full * scratch.rising[link]
            if met:
                left -= 1
                scratch.rows[i], scratch.rows[left] = scratch.rows[left], v
            else:
                i += 1
        for i in range(left, frozen):
            v = scratch.rows[i]
            rate = min(level, shared.cap[v])
            for h in range(shared.offsets[v], shared.offsets[v + 1]):
                link = shared.link[h]
                scratch.free[link] -= rate
                scratch.rising[link] -= 1
            if rate != machine.rate[v]:
                machine.to_go[v] = max(0.0, machine.to_go[v] - machine.rate[v] * (now - machine.since[v]))
                machine.rate[v], machine.since[v] = rate, now
                _schedule(machine, v, now + machine.to_go[v] / rate)
    for i in range(scratch.size[0]):
        scratch.link_mark[scratch.links[i]] = 0
    for i in range(scratch.size[1]):
        scratch.row_mark[scratch.rows[i]] = 0
    scratch.size[0] = scratch.size[1] = 0


# -- the loop --------------------------------------------------------------------------------------------------


@kernel
def run(
    rows: Rows, shared: Shared, users: Users, times: Times, machine: Machine, scratch: Scratch,
    memory: tuple[Ints, Floats, Floats, Floats], jump: bool, pause: int,
) -> bool:  # fmt: skip
    """Handle instants until nothing is left to happen, or until `pause` firings have left; True at the end.

    Kernels see the same arrays from call to call, so a pause changes nothing.
    """
    tally = machine.tally
    quota = tally[1] + pause
    if tally[3] == 0:
        for v in range(len(rows.count)):
            _try(rows, shared, times, machine, scratch, v)
        if scratch.size[0] > 0:
            _share(shared, machine, scratch)
    gone = np.empty(len(rows.count), np.int64)
    leader, saved_at, saved_fired, wait = -1, -1.0, 0, 1
    while tally[0] > 0 and tally[4] == 0 and tally[1] < quota:
        now = machine.key[machine.heap[0]]
        machine.clock[0] = now
        tally[3] += 1
        led = False
        while tally[0] > 0 and machine.key[machine.heap[0]] <= now * (1 + INSTANT):
            left = 0
            while tally[0] > 0 and machine.key[machine.heap[0]] <= now * (1 + INSTANT):
                v = _unschedule_first(machine)
                if machine.phase[v] == WAITING:
                    _join(shared, times, machine, scratch, v, machine.key[v])
                else:
                    _leave(rows, shared, times, machine, scratch, v)
                    gone[left] = v
                    left += 1
            for i in range(left):
                v = gone[i]
                led = led or v == leader
                _try(rows, shared, times, machine, scratch, v)
                for e in range(users.offsets[v], users.offsets[v + 1]):
                    _try(rows, shared, times, machine, scratch, users.row[e])
        if scratch.size[0] > 0:
            _share(shared, machine, scratch)
        if not jump:
            continue
        if leader < 0 or machine.fired[leader] >= rows.count[leader]:
            leader, most = -1, 2
            for v in range(len(rows.count)):
                if rows.count[v] - machine.fired[v] > most and machine.phase[v] == SENDING:
                    leader, most = v, rows.count[v] - machine.fired[v]
            saved_at, wait = -1.0, 1
            if leader < 0:
                jump = False  # nothing long enough is left to repeat
        elif led:
            if saved_at >= 0.0:
                period = machine.fired[leader] - saved_fired
                if _same(rows, machine, memory, saved_at, period):
                    times_over = _room(rows, machine, memory, period)
                    if times_over > 0:
                        _carry(rows, times, machine, memory, times_over, now - saved_at, period)
                        saved_at = -1.0
            if saved_at < 0.0 or machine.fired[leader] - saved_fired >= wait:
                wait = 1 if saved_at < 0.0 else 2 * wait
                saved_at, saved_fired = machine.clock[0], machine.fired[leader]
                memory[0][:] = machine.fired
                memory[1][:] = machine.key
                for v in range(len(rows.count)):
                    memory[2][v] = _still_to_go(machine, v)
                memory[3][:] = machine.arrival
    return tally[0] == 0 or tally[4] != 0


# -- the steady state ------------------------------------------------------------------------------------------


@kernel
def _still_to_go(machine: Machine, v: int) -> float:
    return machine.to_go[v] - machine.rate[v] * (machine.clock[0] - machine.since[v])


@kernel
def _same(
    rows: Rows, machine: Machine, memory: tuple[Ints, Floats, Floats, Floats], saved_at: float, period: int
) -> bool:
    """Whether everything relative to now is as it was at the saved moment, moved rows being `period` firings on."""
    now, depth = machine.clock[0], len(machine.arrival)
    allowed = SAME * (now - saved_at)
    for v in range(len(rows.count)):
        moved = machine.fired[v] - memory[0][v]
        if moved != 0 and moved != period:
            return False
        if moved == 0:
            if machine.phase[v] != IDLE:
                return False
            continue
        # A row that was idle then had no event: its key was in the past, and so it must be now.
        then, here = max(memory[1][v] - saved_at, 0.0), max(machine.key[v] - now, 0.0)
        if abs(then - here) > allowed:
            return False
        if machine.phase[v] == SENDING and machine.rate[v] > 0.0:
            if abs(_still_to_go(machine, v) - memory[2][v]) > machine.rate[v] * allowed:
                return False
        for j in range(1, min(depth, memory[0][v]) + 1):
            here = max(machine.arrival[(machine.fired[v] - j) % depth, v] - now, 0.0)
            then = max(memory[3][(memory[0][v] - j) % depth, v] - saved_at, 0.0)
            if abs(then - here) > allowed:
                return False
    return True


@kernel
def _room(rows: Rows, machine: Machine, memory: tuple[Ints, Floats, Floats, Floats], period: int) -> int:
    """How many whole periods fit in before some row's rules change."""
    most = np.int64(2**62)
    for v in range(len(rows.count)):
        q = machine.fired[v]
        if q >= rows.count[v]:
            continue
        moves = q != memory[0][v]
        if moves:
            most = min(most, (rows.count[v] - q - 1) // period)
            if rows.work[v] > 0.0 and q < rows.reduces[v]:
                most = min(most, (rows.reduces[v] - q - 1) // period)
        for d in range(rows.dep_offsets[v], rows.dep_offsets[v + 1]):
            u, lag = rows.dep_row[d], rows.dep_lag[d]
            if moves:
                for turn in (lag, rows.count[u] + lag):
                    if q < turn:
                        most = min(most, (turn - q - 1) // period)
            elif machine.fired[u] != memory[0][u] and machine.fired[u] <= q - lag:
                most = min(most, (q - lag - machine.fired[u]) // period)
    return most


@kernel
def _carry(
    rows: Rows, times: Times, machine: Machine, memory: tuple[Ints, Floats, Floats, Floats],
    periods: int, shift: float, period: int,
) -> None:  # fmt: skip
    """Repeat the last period `periods` times at once."""
    by, skip, depth = periods * shift, periods * period, len(machine.arrival)
    recent = np.empty(depth)
    for v in range(len(rows.count)):
        if machine.fired[v] == memory[0][v]:
            continue
        for j in range(1, depth + 1):
            recent[j - 1] = machine.arrival[(machine.fired[v] - j) % depth, v]
        machine.fired[v] += skip
        for j in range(1, depth + 1):
            machine.arrival[(machine.fired[v] - j) % depth, v] = recent[j - 1] + by
        times.finish[v] = max(times.finish[v], recent[0] + by)
        times.left[v] += by
        machine.since[v] += by
        machine.tally[2] += skip
    # All waiting and sending rows have moved, so the heap keeps its order.
    for place in range(machine.tally[0]):
        machine.key[machine.heap[place]] += by
    machine.clock[0] += by
