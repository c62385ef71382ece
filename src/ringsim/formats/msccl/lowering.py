"""A schedule as an MSCCL algorithm: a thread block for each end of each connection, and steps that wait for each other.

Every wait of the schedule becomes a step that waits for a step of its own gpu. Where a firing waits for what reached its
*target* (a handshake), the step that receives it waits. Joins of a schedule do nothing, and in MSCCL nothing can be waited
for that does nothing, so whoever waits for a join waits for all that it waits for.

Blocks have one channel and at most one gpu on either side, so each row's connection keeps blocks of its own and none
waits for another but as the schedule says. A firing is one message. That is why times stay what they were.
"""

import numpy as np

from ringsim.formats.msccl.algo import Algo, MscclError
from ringsim.formats.msccl.fusing import fuse
from ringsim.formats.msccl.meeting import accesses, aside
from ringsim.formats.msccl.numbering import gpus
from ringsim.formats.msccl.plan import Deps, Order, Plan
from ringsim.formats.msccl.runs import all_waits, runs, without_joins
from ringsim.schedule import Ints, Schedule
from ringsim.values.waits import spread


def lower(schedule: Schedule, name: str, protocol: str, sizes: tuple[int, int]) -> Algo:
    """Write a schedule as blocks and steps.

    Parameters
    ----------
    schedule : Schedule
    name, protocol : str
    sizes : tuple of int
        Bytes for which it is meant, the least and the most.

    Raises
    ------
    MscclError
        If MSCCL cannot say it.
    ValuesError
        If rows wait in a circle.
    """
    found = runs(schedule)
    seen = accesses(found)
    plan = Plan(found, aside(seen))
    deps = _dependencies(plan)
    onward = fuse(found, plan.apart, *deps)
    order = _order(plan, onward)
    passed = np.flatnonzero(onward >= 0)
    forgets = np.array([bool(found.adds[run]) and seen.forgotten(int(onward[run])) for run in passed], bool)
    return Algo(
        name=name, protocol=protocol, collective=found.collective,
        channels=int(schedule.channel.max(initial=0)) + 1, chunks=schedule.units, in_place=True, out_of_place=False,
        min_bytes=sizes[0], max_bytes=sizes[1],
        gpus=gpus(plan, onward, passed[forgets], order, _needed(deps, plan, onward, order)),
    )  # fmt: skip


def _dependencies(plan: Plan) -> Deps:
    """What each step waits for, in words of steps."""
    found, apart = plan.found, plan.apart
    schedule, events = found.schedule, found.events
    joins = schedule.joins[events.row]
    parked = apart.run[schedule.parked[found.row[apart.run]]]
    takes = np.zeros(len(events), bool)
    takes[found.writer[parked]] = True
    waiter, event = without_joins(all_waits(events), events, joins & ~takes)

    # The step by which an event is over at its target, and that with which it begins.
    over, begins = np.full(len(events), -1), np.full(len(events), -1)
    last = found.last[~joins]
    loose = apart.here[last] & ~schedule.parked[events.row[~joins]]
    over[~joins] = np.where(loose, plan.added(last), plan.received(found.first[~joins]))
    over[found.writer[parked]] = plan.added(parked)  # the last of each, as they are listed in order
    begins[~joins] = plan.begun(found.first[~joins])
    begins[found.writer[parked][::-1]] = plan.added(parked)[::-1]
    source, target = schedule.source[events.row], schedule.target[events.row]

    def over_at(gpu: Ints) -> Ints:
        sent = np.where((source[event] == gpu) & ~joins[event], found.first[event], -1)
        return np.where(target[event] == gpu, over[event], sent)

    here, there = over_at(source[waiter]), over_at(target[waiter])
    # What reaches the target has to be there first: that the sender has sent it is not enough.
    sends = plan.sends(here)
    shake = ~joins[waiter] & (there >= 0) & ((here < 0) | (target[event] == target[waiter]) & sends)
    lost = np.flatnonzero((here < 0) & ~shake)
    if len(lost):
        row, other = (int(events.row[which[lost[0]]]) for which in (waiter, event))
        raise MscclError(
            f"row {row} waits for row {other}, which neither end of it sends or is sent; MSCCL has no such wait"
        )
    # A connection delivers in order, but what is set aside on it is added later.
    since = _aside_before(plan)
    further = np.where((target[event] == source[waiter]) & plan.receives(here), since[found.first[event]], -1)
    packs = np.flatnonzero(found.packed)
    first_of = found.first[found.event]
    return Deps.of(
        (begins[waiter], here),
        (begins[waiter], further),
        (np.where(shake, plan.received(found.first[waiter]), -1), there),
        (plan.added(apart.run), plan.received(first_of[apart.run])),
        (plan.added(found.first[apart.after]), plan.added(found.last[apart.before])),
        (first_of[packs], plan.gathered(packs)),
    )


def _aside_before(plan: Plan) -> Ints:
    """The step that adds what was last set aside on a connection up to each run, −1 where nothing was."""
    found, apart = plan.found, plan.apart
    loose = apart.here & ~found.schedule.parked[found.row]
    last = np.maximum.accumulate(np.where(loose, np.arange(len(found)), -1))
    same = (last >= 0) & (found.connection[last] == found.connection)
    return np.where(same, plan.added(last), -1)


def _order(plan: Plan, onward: Ints) -> Order:
    """Put steps into blocks, and into their order there."""
    found, local = plan.found, plan.apart.run
    many, rows = len(found), found.schedule.rows
    run = np.arange(many)
    sends, receives = found.connection, rows + found.connection
    parked = found.schedule.parked[found.row[local]]
    adds = 2 * rows + np.where(parked, found.events.row[found.writer[local]], found.connection[local])
    gathers = 3 * rows + found.connection[plan.packs]
    # A fused block is the one that sends. What its other end keeps comes last.
    moved = np.full(2 * rows, -1)
    passed = np.flatnonzero(onward >= 0)
    moved[receives[passed]] = sends[onward[passed]]
    late = moved[receives] >= 0
    key = np.concatenate([sends, np.where(late, moved[receives], receives), adds, gathers])
    turn = np.concatenate([run, run + many * late, np.arange(len(local)), np.arange(len(plan.packs))])
    # A message has one step at each end, at its first run.
    whole = found.first[found.event] == run
    stand = np.concatenate([whole, whole & (onward < 0), np.ones(len(local) + len(plan.packs), bool)])
    stands = np.flatnonzero(stand)
    stands = stands[np.lexsort((turn[stands], key[stands], plan.gpu[stands]))]
    opens = np.diff(key[stands], prepend=-1) != 0
    block, place = np.full(len(key), -1), np.full(len(key), -1)
    block[stands] = np.cumsum(opens) - 1
    place[stands] = np.arange(len(stands)) - np.flatnonzero(opens)[block[stands]]
    return Order(block, place)


def _needed(deps: Deps, plan: Plan, onward: Ints, order: Order) -> Deps:
    """Leave out waits that the order in the blocks implies, and those of one step for itself."""
    waiting, awaited = deps.waiting, deps.awaited.copy()
    came, receives = plan.receives(awaited), plan.receives(waiting)
    passed = np.flatnonzero(came)
    passed = passed[onward[awaited[passed] - len(plan.found)] >= 0]
    awaited[passed] = onward[awaited[passed] - len(plan.found)]
    block, other, place, at = order.block[waiting], order.block[awaited], order.place[waiting], order.place[awaited]
    # A block that waits for its own last send, or receive, waits until it has arrived: a handshake.
    shakes = (receives & came) | (plan.sends(waiting) & ~came)
    kept = np.flatnonzero(((block != other) | shakes) & (waiting != awaited))
    # Whoever has waited for a later step of a block need not wait for an earlier one.
    kept = kept[np.lexsort((-at[kept], place[kept], came[kept], other[kept], receives[kept], block[kept]))]
    group = np.stack([block, receives, other, came])[:, kept]
    opens = np.concatenate([[True], (group[:, 1:] != group[:, :-1]).any(axis=0)])[: len(kept)]
    reach = at[kept] + np.cumsum(opens) * (order.place.max(initial=0) + 2)
    before = np.concatenate([[-1], np.maximum.accumulate(reach)])[: len(kept)]
    return _shortest(Deps(waiting, awaited).only(kept[opens | (reach > before)]), len(order.block))


def _shortest(deps: Deps, steps: int) -> Deps:
    """Leave out waits for what others that are waited for wait for themselves."""
    order = np.argsort(deps.waiting, kind="stable")
    offsets = np.searchsorted(deps.waiting[order], np.arange(steps + 1))
    which, index = spread(offsets, deps.awaited)
    implied = deps.waiting[which] * steps + deps.awaited[order][index]
    return deps.only(~np.isin(deps.waiting * steps + deps.awaited, implied))
