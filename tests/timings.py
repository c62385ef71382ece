"""Schedules in any timing, a step at a time, in plain Python that shares nothing with the proof.

The proof says that no timing ends differently; here are timings. A firing leaves (its units are read) and arrives (they are
written, or set aside where the row parks); a join does both at once and takes what was set aside for it. Whoever runs
a schedule chooses which of the possible steps comes next, and with buffers of a finite depth some are not possible.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ringsim.schedule import EVERYONE, Schedule, dependencies

LEAVE, ARRIVE = "leave", "arrive"
POISON = 1 << 20


class Step(NamedTuple):
    """Firing `firing` of row `row` leaves or arrives."""

    row: int
    firing: int
    what: str


Choice = Callable[[list[Step]], Step]


class Timing:
    """A schedule on its way."""

    def __init__(self, schedule: Schedule, depth: int | None = None) -> None:
        self.schedule, self.depth, self.log = schedule, depth, list[Step]()
        rows = range(schedule.rows)
        self.source, self.target, self.count, self.after, self.reduces = (
            getattr(schedule, name).tolist() for name in ("source", "target", "count", "after", "reduces")
        )
        self.joins, self.parked = schedule.joins.tolist(), schedule.parked.tolist()
        offsets, on, lag = (getattr(schedule, name).tolist() for name in ("dep_offsets", "dep_row", "dep_lag"))
        self.waits = [[(on[d], lag[d]) for d in range(offsets[v], offsets[v + 1])] for v in rows]
        self.waiters = [[(v, lag) for v in rows for on, lag in self.waits[v] if on == u] for u in rows]
        self.left, self.arrived = [0] * schedule.rows, [0] * schedule.rows
        self.flying: list[list[dict[int, np.ndarray]]] = [[] for _ in rows]
        self.aside: list[dict[int, dict[int, np.ndarray]]] = [{} for _ in rows]
        self.state: dict[tuple[int, int], np.ndarray] = {}
        for rank in range(schedule.ranks):
            for unit in range(schedule.units):
                begins = schedule.begins[unit] in (EVERYONE, rank)
                self.state[rank, unit] = np.eye(schedule.ranks, dtype=np.int64)[rank] * (1 if begins else POISON)

    def units(self, row: int, firing: int) -> list[int]:
        s = self.schedule
        outer, within = divmod(firing, int(s.inner[row]))
        first, stride, pitch, modulus = (int(c[row]) for c in (s.first, s.stride, s.pitch, s.modulus))
        blocks = [(first + stride * outer + pitch * i) % modulus for i in range(int(s.span[row]))]
        return [int(s.base[row]) + block * int(s.inner[row]) + within for block in blocks]

    def _has_slot(self, row: int) -> bool:
        if self.depth is None or self.joins[row]:
            return True
        before, place = row, self.left[row]
        while (before := self.after[before]) >= 0:
            place += self.count[before]
        place -= self.depth
        if place < 0:
            return True
        chain = [row]
        while self.after[chain[0]] >= 0:
            chain.insert(0, self.after[chain[0]])
        for occupant in chain:
            if place < self.count[occupant]:
                break
            place -= self.count[occupant]
        for waiter, lag in self.waiters[occupant]:
            if self.source[waiter] == self.target[occupant]:
                exactly = [
                    q for q in range(self.count[waiter]) if q >= lag and min(q - lag, self.count[occupant] - 1) == place
                ]
                if exactly and self.left[waiter] <= exactly[0]:
                    return False
        return True

    def possible(self) -> list[Step]:
        found = []
        for row, firing in enumerate(self.left):
            before = self.after[row]
            ready = firing < self.count[row] and (before < 0 or self.left[before] == self.count[before])
            for on, lag in self.waits[row]:
                need = min(firing - lag, self.count[on] - 1)
                ready = ready and (need < 0 or self.arrived[on] > need)
            if ready and self._has_slot(row):
                found.append(Step(row, firing, LEAVE))
            if self.flying[row] and (before < 0 or self.arrived[before] == self.count[before]):
                found.append(Step(row, self.arrived[row], ARRIVE))
        return found

    def do(self, step: Step) -> None:
        self.log.append(step)
        row, firing, what = step
        if self.joins[row]:
            self.left[row] += 1
            self.arrived[row] += 1
            for on, lag in self.waits[row]:
                if self.parked[on] and self.target[on] == self.source[row]:
                    for q in sorted(q for q in self.aside[on] if q <= firing - lag):
                        self._write(on, q, self.aside[on].pop(q))
        elif what == LEAVE:
            self.left[row] += 1
            zero = np.zeros(self.schedule.ranks, np.int64)
            self.flying[row].append({u: self.state.get((self.source[row], u), zero) for u in self.units(row, firing)})
        else:
            self.arrived[row] += 1
            sent = self.flying[row].pop(0)
            if self.parked[row]:
                self.aside[row][firing] = sent
            else:
                self._write(row, firing, sent)

    def _write(self, row: int, firing: int, sent: dict[int, np.ndarray]) -> None:
        for unit, value in sent.items():
            place = self.target[row], unit
            adds = firing < self.reduces[row] and place in self.state
            self.state[place] = self.state[place] + value if adds else value

    def run(self, choose: Choice) -> "Timing":
        """Go on until nothing can."""
        while steps := self.possible():
            self.do(choose(steps))
        return self

    def run_in_waves(self) -> "Timing":
        """Let everything that may leave do so at once, and arrive at once, COPYs first and then by row, joins ahead."""

        def turn(step: Step) -> tuple[bool, bool, int]:
            return not self.joins[step.row], step.firing < self.reduces[step.row], step.row

        while leaving := [step for step in self.possible() if step.what == LEAVE]:
            for step in leaving:
                if not self.joins[step.row]:
                    self.do(step)
            for step in sorted(leaving, key=turn):
                self.do(step if self.joins[step.row] else step._replace(what=ARRIVE))
        return self

    def finished(self) -> bool:
        return self.left == self.count

    def right(self) -> bool:
        """Whether everybody has what he should."""
        s = self.schedule
        for unit in range(s.units):
            total = np.array([s.begins[unit] in (EVERYONE, rank) for rank in range(s.ranks)]).astype(int)
            for rank in range(s.ranks):
                if s.ends[unit] in (EVERYONE, rank) and (self.state[rank, unit] != total).any():
                    return False
        return self.finished() and not any(self.aside)


def at_random(schedule: Schedule, random: np.random.Generator) -> Choice:
    """Some rows far faster than others, and so their wires."""
    haste = random.exponential(size=(schedule.rows, 2)) ** 3 + 1e-12

    def choose(steps: list[Step]) -> Step:
        odds = np.array([haste[step.row, int(step.what == ARRIVE)] for step in steps])
        return steps[random.choice(len(steps), p=odds / odds.sum())]

    return choose


def but_for(held: Step) -> Choice:
    """Everything else first."""
    return lambda steps: next((step for step in steps if step != held), held)


# -- making and breaking schedules ---------------------------------------------------------------------------


def hand(
    ranks: int,
    units: int,
    rows: list[tuple[int, int, int, int, int]],
    waits: list[tuple[int, int, int]],
    *,
    begins: int | list[int] = EVERYONE,
    ends: int | list[int] = EVERYONE,
    parked: tuple[int, ...] = (),
) -> Schedule:
    """Write a schedule by hand: rows (source, target, channel, count, reduces), waits (row, on, lag).

    Firing *q* carries unit *q* mod `units`.
    """
    source, target, channel, count, reduces = np.array(rows, np.int64).reshape(-1, 5).T
    waiting, on, lag = np.array(waits, np.int64).reshape(-1, 3).T
    offsets, dep_row, dep_lag = dependencies(len(rows), waiting, on, lag)
    none = np.zeros(len(rows), np.int64)
    who = {"begins": begins, "ends": ends}
    return Schedule(
        ranks=ranks, units=units, parts=units, channels=1,
        **{name: np.broadcast_to(np.array(one, np.int64), units) for name, one in who.items()},
        source=source, target=target, channel=channel, count=count, reduces=reduces,
        base=none, first=none, stride=none + 1, modulus=none + units, inner=none + 1, span=none + 1, pitch=none + 1,
        parked=np.isin(np.arange(len(rows)), parked), dep_offsets=offsets, dep_row=dep_row, dep_lag=dep_lag,
    )  # fmt: skip


def without(schedule: Schedule, dependency: int) -> Schedule:
    """Take one dependency away."""
    row = np.searchsorted(schedule.dep_offsets, dependency, side="right") - 1
    return replace(
        schedule,
        dep_offsets=schedule.dep_offsets - (np.arange(schedule.rows + 1) > row),
        dep_row=np.delete(schedule.dep_row, dependency),
        dep_lag=np.delete(schedule.dep_lag, dependency),
    )


def altered(schedule: Schedule, column: str, index: int, to: int) -> Schedule:
    """Write another entry into one column."""
    entries = getattr(schedule, column).copy()
    entries[index] = to
    return replace(schedule, **{column: entries})


def changed(schedule: Schedule, column: str, index: int, by: int) -> Schedule:
    """Add `by` to one entry of one column."""
    return altered(schedule, column, index, getattr(schedule, column)[index] + by)
