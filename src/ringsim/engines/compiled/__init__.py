"""The fast engine: what is never shared is swept, what is shared goes through an event loop, both compiled by Numba.

It stands on its own code: nothing of the reference engine is used here, and the tests compare the two.
"""

from collections.abc import Callable

import numpy as np

from ringsim.engines.compiled import contention, fluid, sweep
from ringsim.engines.compiled.kernel import compiling_s, is_compiled, new_times, rows_of
from ringsim.program import Program
from ringsim.trace import Trace

#: Firings between two looks at the clock, so that progress can be shown and Ctrl-C works.
PAUSE = 20_000_000


def simulate(
    program: Program, *, jump: bool = True,
    progress: Callable[[int], None] | None = None, notice: Callable[[str], None] | None = None,
) -> Trace:  # fmt: skip
    """Run a program to its end.

    Parameters
    ----------
    program : Program
    jump : bool
        Carry a steady state over whole periods instead of working out every firing. The result is the same to 1e-9.
    progress : callable or None
        Called now and then with the number of firings done so far.
    notice : callable or None
        Called with a sentence when a loop has to be compiled first.

    Raises
    ------
    ProgramError
        If rows wait for each other for ever.
    """
    shared = contention.find(program)
    rows = rows_of(program, shared)
    times = new_times(program.rows)
    planned = None if len(shared.bandwidth) else sweep.plan(rows)
    if notice and not is_compiled(fluid.run if planned is None else sweep.run):
        notice("compiling the engine, once per installation; this takes some seconds")
    began = compiling_s()
    if planned is None:
        simulated, jumped, events = fluid.simulate(rows, shared, program.bytes, times, jump=jump, progress=progress)
    else:
        order, history = planned
        arrived, state = np.zeros((history, program.rows)), sweep.new_state(history)
        saved = np.zeros(program.rows if jump else 0), np.zeros((history, program.rows if jump else 0))
        while not sweep.run(rows, order, times, arrived, *saved, state, jump, PAUSE):
            if progress:
                progress(int(state[2] + state[3]))
        simulated, jumped, events = int(state[2]), int(state[3]), int(state[0])
    base, finish = program.startup, program.finished(times.finish)
    return Trace(times.start + base, times.left + base, finish + base, simulated, jumped, events, compiling_s() - began)
