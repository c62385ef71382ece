"""Which step to blame for a wrong sum: from where it ended back along everything that brought it there."""

import math
from typing import NamedTuple

import numpy as np

from ringsim.schedule import EVERYONE
from ringsim.values.errors import name
from ringsim.values.events import Events
from ringsim.values.running import Block, moves_of, vertices

POISON = 1 << 20  # what a rank holds where it contributes nothing: whoever adds to it is found out


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


def blame(events: Events, rank: int, unit: int, of: int, times: float) -> str:
    """Say what is wrong with the contribution of rank `of` to a unit of a rank, and with which firing it began.

    Parameters
    ----------
    events : Events
    rank, unit, of : int
    times : float
        How often the contribution is in what the rank ended with.
    """
    contributes = events.schedule.begins[unit] in (EVERYONE, of)
    missing = contributes and times == 0
    step = _first(_history(events, unit, of, 1 if contributes else POISON), rank, missing)
    if step is None:
        if missing:
            return f"the contribution of rank {of} is missing; nothing is ever sent there"
        return f"what rank {of} had there before is still there, and nothing is ever sent there"
    firing = name(events.schedule, step.row, step.firing)
    if missing:
        how = "; nothing brings it after {}" if step.adds else " in what {} copies"
        return f"the contribution of rank {of} is missing" + how.format(firing)
    if contributes:
        return f"the contribution of rank {of} is counted {times:.0f} times since {firing} adds it again"
    does = "adds to" if step.target == of else "brings"
    return f"{firing} {does} what rank {of} had there before, which is no contribution"


def _first(history: list[Entry], place: int, missing: bool) -> Entry | None:
    """The earliest write on the way of what is wrong."""

    def wrong(value: float) -> bool:
        return value == 0 if missing else value > 1

    found, before = None, math.inf
    # Whatever is looked for next is further back, so once through is enough.
    for entry in reversed(history):
        if entry.target != place or entry.wave >= before:
            continue
        # A sum that lacks something does not say which of its terms should have brought it, a copy does.
        if wrong(entry.sent) and not (missing and entry.adds):
            found, place, before = entry, entry.source, entry.read
        elif entry.adds and wrong(entry.before):
            found, before = found if found and missing else entry, math.inf
        else:
            return entry
    return found


def _history(events: Events, unit: int, of: int, starts: int) -> list[Entry]:
    """Everything that is written to one unit, in the order of the waves, as counts of one contribution."""
    schedule = events.schedule
    room = Block(vertices(schedule), range(unit, unit + 1))
    vertex = room.vertices.tolist()
    held: dict[int, float] = {of: starts}
    landing: dict[int, list[tuple[int, int, float]]] = {}
    history: list[Entry] = []
    for wave, moves in enumerate(moves_of(events, room)):
        lands = events.wave[events.writer[moves.event]].tolist()
        turn = np.where(moves.adds, events.row[moves.event] + 1, 0).tolist()  # as in `run`: copies first
        for event, source, when, nth in zip(moves.event.tolist(), moves.source.tolist(), lands, turn, strict=True):
            landing.setdefault(when, []).append((nth, event, held.get(vertex[source], 0.0)))
        for nth, event, sent in sorted(landing.pop(wave, [])):
            row, firing, read = int(events.row[event]), int(events.firing[event]), int(events.wave[event])
            source, target = int(schedule.source[row]), int(schedule.target[row])
            before = held.get(target, 0.0)
            history.append(Entry(wave, read, row, firing, source, target, nth > 0, before, sent))
            held[target] = sent + (before if nth else 0.0)
    return history
