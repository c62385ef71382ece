"""What the checks of this package raise, and the names by which they call rows, firings and ranks."""

from typing import NamedTuple

from ringsim.schedule import Schedule

#: Steps of a circle that a message spells out.
MOST_NAMED = 6


class ValuesError(Exception):
    """A schedule that leaves a wrong sum, may leave one, or never ends; the message says where and why."""


class Step(NamedTuple):
    """A firing in a circle, and how it waits for the next one: ``"arrival"``, ``"departure"`` or ``"slot"``."""

    row: int
    firing: int
    waits_for: str


class StuckError(ValuesError):
    """Rows that wait for each other for ever.

    Attributes
    ----------
    circle : tuple of Step
        Each waits for the next and the last for the first.
    """

    def __init__(self, schedule: Schedule, circle: tuple[Step, ...]) -> None:
        self.circle = circle
        words = {
            "arrival": "{}", "departure": "{} to leave before it on the connection", "slot": "a slot until {} is sent",
        }  # fmt: skip
        nexts = [*circle[1:], circle[0]]
        parts = [
            words[step.waits_for].format(name(schedule, after.row, after.firing))
            for step, after in zip(circle, nexts, strict=True)
        ]
        if len(parts) > MOST_NAMED:
            parts[MOST_NAMED - 1 : -1] = [f"{len(parts) - MOST_NAMED} more that wait like that"]
        first = circle[0]
        super().__init__(
            f"{name(schedule, first.row)} never reaches firing {first.firing}: it waits in a circle for "
            + ", which waits for ".join(parts)
        )


def name(schedule: Schedule, row: int, firing: int | None = None) -> str:
    """Name a row, or one of its firings, for a message."""
    ends = (rank(schedule, int(end[row])) for end in (schedule.source, schedule.target))
    source, target = (end.removeprefix("rank ") for end in ends)
    what = f"join at {source}" if schedule.joins[row] else f"{source} → {target}, channel {schedule.channel[row]}"
    return f"row {row} ({what})" + ("" if firing is None else f" firing {firing}")


def rank(schedule: Schedule, vertex: int) -> str:
    """Name a rank or switch at the beginning of a message."""
    return f"rank {vertex}" if vertex < schedule.ranks else f"switch {vertex}"
