"""What the rows of a program are: connections of its schedule, or the work of a codec in the memory of a card.

Without a codec rows are those of the schedule. With one they come once for each of its rounds, cut to pieces where their
firings carry different amounts, and the work of the cards lies behind them. Pieces keep their order and their firings, so
counting firings tells which row each piece is of.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ringsim.program import Program
from ringsim.schedule import Ints, Schedule

Bools = NDArray[np.bool_]

#: What a card's memory works on: what a send waits for, what comes to be added, and what nobody waits for.
ENCODE, ADD, DECODE = "encode", "decode, add", "decode"


@dataclass(frozen=True, eq=False)
class Rows:
    """What each row of a program is, shape ``[rows]`` all.

    Attributes
    ----------
    program : Program
    schedule : Schedule
    row : int array
        Of the schedule; −1 for work.
    """

    program: Program
    schedule: Schedule
    row: Ints

    @property
    def sends(self) -> Bools:
        """Rows that send something."""
        return self._known & ~self.schedule.joins[self.row]

    @cached_property
    def works(self) -> Bools:
        """Rows that keep a card busy; where its memory is free, encoding is like a join."""
        return ~self._known & ((self.program.bytes > 0) | (self.program.latency > 0))

    @cached_property
    def card(self) -> Ints:
        """Card that works; −1 where none does."""
        program, found = self.program, np.full(self.program.rows, -1)
        if program.memory is not None:
            passes = np.flatnonzero(~self._known & (np.diff(program.route_offsets) > 0))
            found[passes] = program.route_links[program.route_offsets[passes]] - program.memory
        return found

    def ends(self, row: int) -> tuple[int, int]:
        """Vertices between which a row sends; twice the card that works."""
        of = int(self.row[row])
        if of < 0:
            return int(self.card[row]), int(self.card[row])
        return int(self.schedule.source[of]), int(self.schedule.target[of])

    def op(self, row: int, firing: int) -> str:
        """Say what a firing does: ``add`` or ``copy`` where it arrives, or the work of a card."""
        if self.row[row] >= 0:
            return "add" if firing < self.program.reduces[row] else "copy"
        if not self._awaited[row]:
            return DECODE
        program = self.program
        on = program.dep_row[program.dep_offsets[row] : program.dep_offsets[row + 1]]
        of = np.unique(self.row[on])
        return ADD if len(of) == 1 and of[0] >= 0 and self.schedule.reduces[of[0]] else ENCODE

    @cached_property
    def _known(self) -> Bools:
        return self.row >= 0

    @cached_property
    def _awaited(self) -> Bools:
        found = np.zeros(self.program.rows, bool)
        found[self.program.dep_row] = True
        return found


def rows_of(program: Program, schedule: Schedule, rounds: int = 1) -> Rows:
    """Tell what the rows of a program are.

    Parameters
    ----------
    program : Program
    schedule : Schedule
        It was priced from.
    rounds : int
        How often.
    """
    ends = np.cumsum(np.tile(schedule.count, rounds))
    begins = np.cumsum(program.count) - program.count
    of = np.searchsorted(ends, begins, "right")
    return Rows(program, schedule, np.where(of < len(ends), of % schedule.rows, -1))
