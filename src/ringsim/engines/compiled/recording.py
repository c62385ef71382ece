"""When each firing was delivered, all of them: what a run leaves behind for whoever asks why it took so long.

A simulation forgets a delivery once nobody can be waiting for it any more. Here nothing is forgotten, so the run can be
walked backwards from its end. Rows that must behave alike are worked out once and share their times, or a thousand
cards with eight trees would need gigabytes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ringsim.engines.compiled import contention, fluid, sweep
from ringsim.engines.compiled.fold import Folded, fold
from ringsim.engines.compiled.kernel import Floats, Ints, is_compiled, new_times, rows_of
from ringsim.program import Program, ProgramError

#: Bytes that deliveries may take.
MOST_BYTES = 1_000_000_000

#: Firings between two looks at the clock.
PAUSE = 20_000_000


class RecordError(ProgramError):
    """A program with more deliveries than can be kept; the message says how many, and what has fewer."""


@dataclass(frozen=True, eq=False)
class Deliveries:
    """Delivery times of all firings, seconds from the call.

    Attributes
    ----------
    class_of : int array, shape ``[rows]``
        Rows of one class have equal times.
    count, reduces : int arrays, shape ``[classes]``
    place : int array, shape ``[classes]``
        Where the first firing of a class is in `time`; the next ones follow `stride` places apart.
    stride : int
    time : float array
    """

    class_of: Ints
    count: Ints
    reduces: Ints
    place: Ints
    stride: int
    time: Floats

    def at(self, row: Ints | int, firing: Ints | int) -> Floats:
        """Seconds until firings of rows were delivered.

        Parameters
        ----------
        row, firing : int arrays of one shape, or ints
        """
        return np.asarray(self.time[self.place[self.class_of[row]] + np.multiply(firing, self.stride)])

    def last(self, closing: Floats | None = None) -> tuple[int, int]:
        """Row that is finished last and its latest firing, the lowest row among equals.

        Parameters
        ----------
        closing : float array, shape ``[rows]``, seconds, or None
            From a row's last delivery until it is finished.
        """
        classes = np.arange(len(self.count))
        # Deliveries of a row come in order but where it stops reducing: then the last REDUCE may be the latest.
        candidates = np.stack([self.count - 1, np.maximum(self.reduces - 1, 0)])
        when = self.time[self.place + candidates * self.stride]
        which = when.argmax(axis=0)
        finished = when.max(axis=0)[self.class_of]
        row = int((finished if closing is None else finished + closing).argmax())
        c = self.class_of[row]
        return row, int(candidates[which, classes][c])


def deliveries(
    program: Program, *, progress: Callable[[int], None] | None = None, notice: Callable[[str], None] | None = None
) -> Deliveries:
    """Run a program to its end and keep every delivery.

    Parameters
    ----------
    program : Program
    progress : callable or None
        Called now and then with the number of firings done so far; rows that share their times count once.
    notice : callable or None
        Called with a sentence when a loop has to be compiled first.

    Raises
    ------
    RecordError
        If that would take more than `MOST_BYTES`.
    ProgramError
        If rows wait for each other for ever.
    """
    shared = contention.find(program)
    few = fold(rows_of(program, shared), shared, program.bytes)
    count = few.rows.firings
    table = len(count) * int(count.max())
    planned = None if len(few.contention.bandwidth) else sweep.plan(few.rows)
    swept = len(count) * int(planned[0].marks[-1]) if planned else 0
    # Where rows begin in many different rounds a table of rounds is mostly empty, and the event loop's is smaller.
    by_round = planned is not None and (8 * swept <= MOST_BYTES or swept <= table)
    _check(program, swept if by_round else table)
    if notice and not is_compiled(sweep.run if by_round else fluid.run):
        notice("compiling the engine, once per installation; this takes some seconds")
    if planned and by_round:
        plan = planned[0]
        time, place, stride = _sweep(few, plan, progress), plan.offset * len(count) + np.arange(len(count)), len(count)
    else:
        few, _, _, time = fluid.carry_on(few, keep=True, progress=progress)
        place, stride = np.arange(len(count)) * time.shape[1], 1
    time += program.startup
    return Deliveries(few.class_of, few.rows.firings, few.rows.reduces, place, stride, time.ravel())


def _check(program: Program, numbers: int) -> None:
    if 8 * numbers > MOST_BYTES:
        raise RecordError(
            f"to keep when each of {program.transfers:,} transfers was delivered takes {numbers:,} numbers, "
            f"{8 * numbers / 1e9:.3g} GB, and {MOST_BYTES / 1e9:.3g} GB is the most; "
            "fewer cards, rings or chunks show the same"
        )


def _sweep(few: Folded, plan: sweep.Plan, progress: Callable[[int], None] | None) -> Floats:
    """Deliveries by round and class, shape ``[rounds, classes]``."""
    rounds, n = int(plan.marks[-1]), len(few.rows.firings)
    times, arrived, state = new_times(n), np.zeros((rounds, n)), sweep.new_state(rounds)
    unused = np.zeros(0), np.zeros((rounds, 0))
    while not sweep.run(few.rows, plan, times, arrived, *unused, state, False, PAUSE):
        if progress:
            progress(int(state[2]))
    return arrived
