"""The definition of what a simulated number means, in plain SimPy: one process per row, no cleverness.

Slow on purpose. When the law of time grows it grows here first, and the compiled engine has to agree to 1e-9.
"""

from collections.abc import Callable, Generator
from math import inf
from typing import Any

import numpy as np
import simpy

from ringsim.program import Program, ProgramError
from ringsim.trace import Trace

#: Firings between two reports of progress.
PAUSE = 2_000

Process = Generator[simpy.Event, Any, None]


def max_min(routes: dict[int, list[int]], caps: dict[int, float], bandwidth: list[float]) -> dict[int, float]:
    """Share links max-min fairly (progressive filling): rate in bytes/s of each active row.

    All rates rise together; a row stops rising when it meets its cap or when one of its links is full.
    """
    rates: dict[int, float] = {}
    while len(rates) < len(routes):
        free: dict[int, float] = {}
        rising: dict[int, int] = {}
        for row, route in routes.items():
            for link in route:
                free[link] = free.get(link, bandwidth[link]) - rates.get(row, 0.0)
                rising[link] = rising.get(link, 0) + (row not in rates)
        limit = {
            row: min([caps[row], *(free[link] / rising[link] for link in route)])
            for row, route in routes.items()
            if row not in rates
        }
        level = min(limit.values())
        rates |= {row: level for row in limit if limit[row] <= level}
    return rates


class Wire:
    """All rows that are being sent, and the one clock that knows which of them ends next."""

    def __init__(self, env: simpy.Environment, program: Program) -> None:
        self.env, self.program = env, program
        self.bandwidth = program.bandwidth.tolist()
        self.left: dict[int, float] = {}  # bytes still to go
        self.rates: dict[int, float] = {}
        self.done: dict[int, simpy.Event] = {}
        self.since, self.version, self.stale = 0.0, 0, False

    def send(self, row: int) -> simpy.Event:
        """Start a firing of `row` now; the event fires when its last byte has left."""
        self._catch_up()
        self.left[row], self.done[row] = float(self.program.bytes[row]), self.env.event()
        self._share_soon()
        return self.done[row]

    def _share_soon(self) -> None:
        # Rates do not matter until time passes, so whatever else joins or leaves at this instant comes first.
        self.version += 1
        if not self.stale:
            self.stale = True
            self.env.timeout(0.0).callbacks.append(lambda _: self._share())

    def _catch_up(self) -> None:
        for row, rate in self.rates.items():
            self.left[row] -= rate * (self.env.now - self.since)
        self.since = self.env.now

    def _share(self) -> None:
        self.stale = False
        program, offsets = self.program, self.program.route_offsets
        routes = {v: program.route_links[offsets[v] : offsets[v + 1]].tolist() for v in self.left}
        self.rates = max_min(routes, {v: float(program.cap[v]) for v in self.left}, self.bandwidth)
        if self.left:
            self.env.process(self._until_next(self.version))

    def _until_next(self, version: int) -> Process:
        wait = {v: max(0.0, self.left[v]) / self.rates[v] for v in self.left}
        soonest = min(wait.values())
        yield self.env.timeout(soonest)
        if version == self.version:  # otherwise someone joined and this is no longer the end of anything
            self._catch_up()
            for row in sorted(v for v in wait if wait[v] <= soonest):
                del self.left[row], self.rates[row]
                self.done.pop(row).succeed()
            self._share_soon()


def simulate(program: Program, *, progress: Callable[[int], None] | None = None) -> Trace:
    """Run a program firing by firing.

    Raises
    ------
    ProgramError
        If rows wait for each other for ever.
    """
    env = simpy.Environment()
    wire = Wire(env, program)
    count = program.count.tolist()
    delivered = [[env.event() for _ in range(n)] for n in count]
    gone = [env.event() for _ in count]
    sent = [0]
    start, left, finish = np.full(len(count), inf), np.zeros(len(count)), np.zeros(len(count))

    def deliver(row: int, firing: int) -> Process:
        work = program.work[row] if firing < program.reduces[row] else 0.0
        yield env.timeout(float(program.latency[row] + work))
        finish[row] = max(finish[row], env.now)
        delivered[row][firing].succeed()

    def send(row: int) -> Process:
        dependencies = range(program.dep_offsets[row], program.dep_offsets[row + 1])
        if program.after[row] >= 0:
            yield gone[program.after[row]]
        for firing in range(count[row]):
            for d in dependencies:
                other, wanted = int(program.dep_row[d]), firing - int(program.dep_lag[d])
                if wanted >= 0:
                    yield delivered[other][min(wanted, count[other] - 1)]
            yield env.timeout(float(program.overhead[row]))
            start[row] = min(start[row], env.now)
            yield wire.send(row)
            left[row] = env.now
            sent[0] += 1
            if progress and sent[0] % PAUSE == 0:
                progress(sent[0])
            env.process(deliver(row, firing))
        gone[row].succeed()

    for row in range(program.rows):
        env.process(send(row))
    env.run()
    stuck = [row for row in range(program.rows) if not gone[row].triggered]
    if stuck:
        raise ProgramError(f"row {stuck[0]} waits for ever: the dependencies of {len(stuck)} rows form a circle")
    total = program.transfers
    base = program.startup
    if program.closing is not None:
        finish = finish + program.closing
    return Trace(start + base, left + base, finish + base, simulated=total, jumped=0, events=2 * total)
