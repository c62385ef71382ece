"""Run a schedule on real arrays and prove it: an engine will time a wrong one and never notice.

Firings go in *waves*: every row's next firing that the waves before allow, all reading before any writes.
That is one timing, and a forgiving one: a lockstep ring comes out right with every dependency taken away. So
a proof has two halves. In waves, each rank ends with each contribution exactly once (`counting`). And no other
timing ends differently, because dependencies order any two firings that disagree about a unit of a rank (`order`).

A third question is about room, not about values: whether the receivers' buffers are deep enough (`fifo`).
"""

import math
from typing import NamedTuple

from ringsim.schedule import Schedule
from ringsim.values.counting import count
from ringsim.values.errors import StuckError, ValuesError
from ringsim.values.events import collect
from ringsim.values.fifo import Fifo, fifo
from ringsim.values.order import check_order
from ringsim.values.running import execute

__all__ = ["Fifo", "Proof", "StuckError", "ValuesError", "execute", "fifo", "prove"]


class Proof(NamedTuple):
    """What was found to be right.

    Attributes
    ----------
    firings : int
        How many were gone through.
    pairs : int or None
        Firings that disagree and are ordered; None where the order was not checked.
    """

    firings: int
    pairs: int | None


def prove(schedule: Schedule, *, order: bool = True, patience: float = math.inf) -> Proof:
    """Check that every rank ends with what it should, each contribution exactly once, whatever the timing.

    Parameters
    ----------
    schedule : Schedule
    order : bool
        Whether to look at other timings than the waves.
    patience : float, seconds
        What the other timings may take, roughly; they are left out if it would be more.

    Raises
    ------
    ValuesError
        If a contribution is missing, counted more than once or mixed with what is none (names rank, unit, contributor
        and firing), if nothing orders two firings that disagree (names rank, unit and both firings), if something is
        parked and not taken by exactly one join, or if rows wait in a circle (names them and their firings).
    """
    events = collect(schedule)
    count(events)
    return Proof(len(events), check_order(events, patience) if order else None)
