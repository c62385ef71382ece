"""Which step to blame for a wrong sum: from where it ended back along everything that brought it there."""

from typing import NamedTuple

from ringsim.schedule import Schedule
from ringsim.values.errors import name


class Entry(NamedTuple):
    """One write to one unit: in which wave, when it was read, by which firing, and what of a contribution it moved."""

    wave: int
    read: int
    row: int
    firing: int
    source: int
    target: int
    adds: bool
    before: float
    sent: float


def blame(schedule: Schedule, history: list[Entry], rank: int, of: int, times: float, starts: float) -> str:
    """Say what is wrong at a rank with the contribution of rank `of`, and with which firing it began.

    Parameters
    ----------
    schedule : Schedule
    history : list of Entry
        All writes to the unit, in order.
    rank, of : int
    times : float
        What the rank ended with.
    starts : float
        What rank `of` held at the beginning: 1, or more where it contributes nothing.
    """
    missing = starts == 1 and times == 0
    step = _first(history, rank, missing)
    if step is None:
        if missing:
            return f"the contribution of rank {of} is missing; nothing is ever sent there"
        return f"what rank {of} had there before is still there, and nothing is ever sent there"
    firing = name(schedule, step.row, step.firing)
    if missing:
        how = "; nothing brings it after {}" if step.adds else " in what {} copies"
        return f"the contribution of rank {of} is missing" + how.format(firing)
    if starts == 1:
        return f"the contribution of rank {of} is counted {times:.0f} times since {firing} adds it again"
    if step.target == of:
        return f"{firing} adds to what rank {of} had there before, which is no contribution"
    return f"{firing} brings what rank {of} had there before, which is no contribution"


def _first(history: list[Entry], place: int, missing: bool) -> Entry | None:
    """The earliest write on the way of what is wrong."""
    most = 0.0 if missing else 1.0

    def wrong(value: float) -> bool:
        return value <= most if missing else value > most

    found, before_wave, at = None, None, len(history)
    while True:
        at = next(
            (
                i
                for i in range(at - 1, -1, -1)
                if history[i].target == place and (before_wave is None or history[i].wave < before_wave)
            ),
            -1,
        )
        if at < 0:
            return found
        entry = history[at]
        # A sum that lacks something does not say which of its terms should have brought it, a copy does.
        if wrong(entry.sent) and not (missing and entry.adds):
            found, place, before_wave = entry, entry.source, entry.read
        elif entry.adds and wrong(entry.before):
            found, before_wave = (found or entry) if missing else entry, None
        else:
            return entry
