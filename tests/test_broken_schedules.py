"""Schedules with one fault each: what is right passes, one small change is refused, and the step at fault is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from ringsim.schedule import EVERYONE, Schedule, dependencies
from ringsim.values import ValuesError, fifo, prove
from timings import altered, changed, hand, without


def waiting_also(schedule: Schedule, row: int, on: int, lag: int) -> Schedule:
    """Add one dependency."""
    waits = np.append(np.repeat(np.arange(schedule.rows), np.diff(schedule.dep_offsets)), row)
    columns = dependencies(schedule.rows, waits, np.append(schedule.dep_row, on), np.append(schedule.dep_lag, lag))
    return replace(schedule, **dict(zip(("dep_offsets", "dep_row", "dep_lag"), columns, strict=True)))


def rewired(schedule: Schedule, dependency: int, on: int) -> Schedule:
    """Let one dependency be on another row."""
    return altered(schedule, "dep_row", dependency, on)


def ring(p: int = 4, *, reduce: bool = True, gather: bool = True) -> Schedule:
    """Row *i* goes from rank *i* to the next; firing *q* carries unit *i* − *q* (and one less for a gather alone)."""
    each, steps = range(p), (reduce + gather) * (p - 1)
    found = hand(
        p, p, [(i, (i + 1) % p, 0, steps, reduce * (p - 1)) for i in each], [(i, (i - 1) % p, 1) for i in each],
        begins=EVERYONE if reduce else list(each), ends=EVERYONE if gather else [(i - 1) % p for i in each],
    )  # fmt: skip
    return replace(found, first=np.arange(p), stride=np.full(p, -1))


def direct() -> Schedule:
    """A reduce-scatter of three ranks in one step: unit *u* ends at rank *u*."""
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    found = hand(3, 3, [(a, b, 0, 1, 1) for a, b in pairs], [], ends=[0, 1, 2])
    return replace(found, first=np.array([b for _, b in pairs]))


def doubling() -> Schedule:
    """Recursive doubling of four ranks: rows 0 to 3 with the neighbour, joins 4 to 7, rows 8 to 11 two away, joins."""
    rows = [(i, i ^ 1, 0, 1, 1) for i in range(4)] + [(i, i, 0, 1, 0) for i in range(4)]
    rows += [(i, i ^ 2, 0, 1, 1) for i in range(4)] + [(i, i, 0, 1, 0) for i in range(4)]
    waits = [(4 + i, on, 0) for i in range(4) for on in (i, i ^ 1)] + [(8 + i, 4 + i, 0) for i in range(4)]
    waits += [(12 + i, 8 + on, 0) for i in range(4) for on in (i, i ^ 2)]
    return hand(4, 1, rows, waits, parked=(0, 1, 2, 3, 8, 9, 10, 11))


def star() -> Schedule:
    """Collect on rank 0 with rows 0 and 1, hand out with rows 2 and 3, which wait for both."""
    rows = [(1, 0, 0, 1, 1), (2, 0, 0, 1, 1), (0, 1, 0, 1, 0), (0, 2, 0, 1, 0)]
    return hand(3, 1, rows, [(down, up, 0) for down in (2, 3) for up in (0, 1)])


def relay() -> Schedule:
    """Three ranks add into switch 3 with rows 0 to 2, two units after one another; rows 3 to 5 bring the sums back."""
    rows = [(r, 3, 0, 2, 2) for r in range(3)] + [(3, r, 0, 2, 0) for r in range(3)]
    return hand(3, 2, rows, [(3 + r, up, 0) for r in range(3) for up in range(3)])


def chain() -> Schedule:
    """Reduce to rank 0: 2 → 1 → 0, two units."""
    return hand(3, 2, [(2, 1, 0, 2, 2), (1, 0, 0, 2, 2)], [(1, 0, 0)], ends=0)


def two_copies() -> Schedule:
    """Broadcast from 0 to 1 twice: row 0 is set aside for join 3, which waits for row 1 as well; row 2 reaches 2."""
    rows = [(0, 1, 0, 1, 0), (0, 1, 1, 1, 0), (0, 2, 0, 1, 0), (1, 1, 0, 1, 0)]
    return hand(3, 1, rows, [(3, 0, 0), (3, 1, 0)], begins=0, parked=(0,))


def two_lanes() -> Schedule:
    """Broadcast nine and nine units from 0 to 1 with rows 0 and 1, on from there to 2 with rows 2 and 3."""
    rows = [(0, 1, 0, 9, 0), (0, 1, 1, 9, 0), (1, 2, 0, 9, 0), (1, 2, 1, 9, 0)]
    found = hand(3, 18, rows, [(1, 0, 1 - 9), (2, 0, 0), (3, 1, 0)], begins=0)
    return replace(found, modulus=np.full(4, 9), base=np.array([0, 9, 0, 9]))


class Fault(NamedTuple):
    """A correct schedule, the one small change, and what is said of it."""

    make: Callable[[], Schedule]
    breaks: Callable[[Schedule], Schedule]
    message: str


FAULTS = {
    "a chunk is lost": Fault(
        ring, lambda s: changed(s, "count", 2, -1),
        "rank 3, unit 1: the contribution of rank 0 is missing; nothing brings it after row 2 (2 → 3, "
        "channel 0) firing 1",
    ),
    "a chunk is never sent": Fault(
        lambda: ring(reduce=False), lambda s: changed(s, "count", 2, -1),
        "rank 3, unit 0: the contribution of rank 0 is missing; nothing is ever sent there",
    ),
    "a contribution is added twice": Fault(
        chain, lambda s: replace(s, count=s.count + [0, 1], reduces=s.reduces + [0, 1]),
        "rank 0, unit 0: the contribution of rank 1 is counted 2 times since row 1 (1 → 0, channel 0) "
        "firing 2 adds it again",
    ),
    "a sum is added where it should be copied": Fault(
        ring, lambda s: changed(s, "reduces", 1, 1),
        "rank 0, unit 2: the contribution of rank 2 is counted 2 times since row 1 (1 → 2, channel 0) "
        "firing 3 adds it again",
    ),
    "a sum is copied where it should be added": Fault(
        ring, lambda s: changed(s, "reduces", 1, -1),
        "rank 0, unit 3: the contribution of rank 2 is missing in what row 1 (1 → 2, channel 0) firing "
        "2 copies",
    ),
    "read before it arrives": Fault(
        star, lambda s: without(s, 3),
        "rank 0, unit 0: row 1 (2 → 0, channel 0) firing 0, which adds to it, and row 3 (0 → 2, channel "
        "0) firing 0, which reads it, meet there and nothing orders them",
    ),
    "read before it arrives, and lockstep hides it": Fault(
        ring, lambda s: without(s, 1),
        "rank 1, unit 0: row 0 (0 → 1, channel 0) firing 0, which adds to it, and row 1 (1 → 2, channel "
        "0) firing 1, which reads it, meet there and nothing orders them",
    ),
    "overwritten before it is read": Fault(
        doubling, lambda s: without(s, 0),
        "rank 0, unit 0: row 0 (0 → 1, channel 0) firing 0, which reads it, and row 4 (join at 0) "
        "firing 0, which adds to it, meet there and nothing orders them",
    ),
    "a lag too long by one": Fault(
        ring, lambda s: changed(s, "dep_lag", 1, 1),
        "rank 1, unit 0: row 0 (0 → 1, channel 0) firing 0, which adds to it, and row 1 (1 → 2, channel "
        "0) firing 1, which reads it, meet there and nothing orders them",
    ),
    "a lag too short by one": Fault(
        ring, lambda s: replace(s, dep_lag=s.dep_lag - 1),
        "row 0 (0 → 1, channel 0) never reaches firing 0: it waits in a circle for row 3 (3 → 0, "
        "channel 0) firing 0, which waits for row 2 (2 → 3, channel 0) firing 0, which waits for row 1 "
        "(1 → 2, channel 0) firing 0, which waits for row 0 (0 → 1, channel 0) firing 0",
    ),
    "two rows wait for each other": Fault(
        star, lambda s: waiting_also(s, 0, 2, 0),
        "row 0 (1 → 0, channel 0) never reaches firing 0: it waits in a circle for row 2 (0 → 1, "
        "channel 0) firing 0, which waits for row 0 (1 → 0, channel 0) firing 0",
    ),
    "a connection's second row is waited for by its first": Fault(
        lambda: hand(2, 1, [(1, 0, 0, 1, 1), (0, 1, 0, 1, 0), (0, 1, 0, 1, 0)], [(1, 0, 0)]),
        lambda s: waiting_also(s, 1, 2, 0),
        "row 1 (0 → 1, channel 0) never reaches firing 0: it waits in a circle for row 2 (0 → 1, "
        "channel 0) firing 0, which waits for row 1 (0 → 1, channel 0) firing 0 to leave before it on "
        "the connection",
    ),
    "nobody takes what is parked": Fault(
        doubling, lambda s: rewired(s, 1, 2),
        "rank 0, unit 0: what row 1 (1 → 0, channel 0) firing 0 parks there is never taken: no join "
        "there waits for it",
    ),
    "two joins take what is parked": Fault(
        doubling, lambda s: waiting_also(s, 12, 1, 0),
        "rank 0, unit 0: what row 1 (1 → 0, channel 0) firing 0 parks there is taken twice, by row 4 "
        "(join at 0) and by row 12 (join at 0)",
    ),
    "a join fires once too few for what is parked": Fault(
        doubling, lambda s: changed(s, "dep_lag", 1, 1),
        "rank 0, unit 0: what row 1 (1 → 0, channel 0) firing 0 parks there is never taken: row 4 (join "
        "at 0) fires too seldom",
    ),
    "adding to what is still being sent": Fault(
        doubling, lambda s: altered(s, "parked", 1, False),
        "rank 0, unit 0: row 0 (0 → 1, channel 0) firing 0, which reads it, and row 1 (1 → 0, channel "
        "0) firing 0, which adds to it, meet there and nothing orders them",
    ),
    "copied before the sum is complete": Fault(
        star, lambda s: rewired(s, 1, 0),
        "rank 0, unit 0: row 1 (2 → 0, channel 0) firing 0, which adds to it, and row 2 (0 → 1, channel "
        "0) firing 0, which reads it, meet there and nothing orders them",
    ),
    "ends at the wrong rank": Fault(
        direct, lambda s: altered(s, "target", 0, 2),
        "rank 1, unit 1: the contribution of rank 0 is missing; nothing brings it after row 5 (2 → 1, "
        "channel 0) firing 0",
    ),
    "the wrong root": Fault(
        chain, lambda s: replace(s, ends=s.ends + 1),
        "rank 1, unit 0: the contribution of rank 0 is missing; nothing brings it after row 0 (2 → 1, "
        "channel 0) firing 0",
    ),
    "garbage is added in an all-gather": Fault(
        lambda: ring(reduce=False), lambda s: changed(s, "reduces", 0, 1),
        "rank 1, unit 0: row 0 (0 → 1, channel 0) firing 0 adds to what rank 1 had there before, which "
        "is no contribution",
    ),
    "garbage is sent on": Fault(
        lambda: ring(reduce=False), lambda s: changed(s, "first", 3, 1),
        "rank 0, unit 0: the contribution of rank 0 is missing in what row 3 (3 → 0, channel 0) firing "
        "0 copies",
    ),
    "units are swapped": Fault(
        direct, lambda s: replace(s, first=s.first[[1, 0, 2, 3, 4, 5]]),
        "rank 1, unit 1: the contribution of rank 0 is missing; nothing brings it after row 5 (2 → 1, "
        "channel 0) firing 0",
    ),
    "two rows lead to the wrong ranks": Fault(
        direct, lambda s: replace(s, target=s.target[[1, 0, 2, 3, 4, 5]]),
        "rank 1, unit 1: the contribution of rank 0 is missing; nothing brings it after row 5 (2 → 1, "
        "channel 0) firing 0",
    ),
    "a join takes two things of which one overwrites the other": Fault(
        two_copies, lambda s: altered(s, "parked", 1, True),
        "rank 1, unit 0: row 3 (join at 1) firing 0 takes what overwrites something else that it takes, and nothing "
        "orders them",
    ),
    "a relay is not emptied to everybody": Fault(
        relay, lambda s: altered(s, "target", 5, 1),
        "rank 2, unit 0: the contribution of rank 0 is missing; nothing is ever sent there",
    ),
    "a relay is emptied too early": Fault(
        relay, lambda s: without(s, 8),
        "rank 2, unit 0: row 2 (2 → switch 3, channel 0) firing 0, which reads it, and row 5 (switch 3 "
        "→ 2, channel 0) firing 0, which overwrites it, meet there and nothing orders them",
    ),
    "a relay is used again with something in it": Fault(
        relay, lambda s: replace(s, stride=s.stride * 0, reduces=np.array([2, 2, 2, 0, 0, 0])),
        "rank 0, unit 0: the contribution of rank 0 is counted 2 times since row 0 (0 → switch 3, "
        "channel 0) firing 1 adds it again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_refused_and_the_step_named(fault: str) -> None:
    make, breaks, message = FAULTS[fault]
    prove(make())
    with pytest.raises(ValuesError) as error:
        prove(breaks(make()))
    assert str(error.value) == message


def test_buffers_that_two_connections_fill_in_opposite_orders() -> None:
    good = two_lanes()
    prove(good)
    assert (fifo(good).smallest, fifo(good).deadlock) == (1, None)
    # Row 2 goes on only when row 3 is through: slots of row 0 are full before row 1 begins.
    bad = waiting_also(good, 2, 3, 1 - 9)
    prove(bad)
    found = fifo(bad)
    assert found.smallest == 9
    assert str(found.deadlock) == (
        "row 0 (0 → 1, channel 0) never reaches firing 8: it waits in a circle for a slot until row 2 "
        "(1 → 2, channel 0) firing 0 is sent, which waits for row 3 (1 → 2, channel 1) firing 0, which "
        "waits for row 1 (0 → 1, channel 1) firing 0, which waits for row 0 (0 → 1, channel 0) firing 8"
    )


def test_a_ring_with_one_slot_stands_still() -> None:
    found = fifo(ring(), 1)
    assert found.smallest == 2
    assert str(found.deadlock) == (
        "row 0 (0 → 1, channel 0) never reaches firing 1: it waits in a circle for a slot until row 1 "
        "(1 → 2, channel 0) firing 1 is sent, which waits for a slot until row 2 (2 → 3, channel 0) "
        "firing 1 is sent, which waits for a slot until row 3 (3 → 0, channel 0) firing 1 is sent, "
        "which waits for a slot until row 0 (0 → 1, channel 0) firing 1 is sent"
    )
