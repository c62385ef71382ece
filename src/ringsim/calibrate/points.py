"""From logs to points: what was measured, on how many cards, in which nodes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ringsim.fabric import Fabric, available, load
from ringsim.formats.perf import PerfLog, PerfLogError
from ringsim.question import StudyError


@dataclass(frozen=True)
class Point:
    """One measurement and all that a simulation of it has to know.

    Attributes
    ----------
    log : int
        Which of the logs.
    cards : int
    domain : int or None
        Cards of a node where they are not as many as the data sheet says.
    bytes : int
    time_us : float
    in_place : bool
    """

    log: int
    cards: int
    domain: int | None
    bytes: int
    time_us: float
    in_place: bool

    @property
    def question(self) -> tuple[int, int | None, int]:
        """What is simulated for it; other points may share it."""
        return self.cards, self.domain, self.bytes


def points_of(logs: Sequence[PerfLog], sheet: Fabric, cards: Sequence[int] = ()) -> tuple[Point, ...]:
    """Gather the points of all logs; rows of nothing, and those whose sums were wrong, are none.

    Parameters
    ----------
    logs : sequence of PerfLog
    sheet : Fabric
    cards : sequence of int
        Of each log, or one number for all, where they do not say it themselves.

    Raises
    ------
    PerfLogError
        If no row of a log is left.
    StudyError
        If nobody says how many cards a log is of, or somebody says otherwise than the log.
    """
    if len(cards) not in (0, 1, len(logs)):
        raise StudyError(f"cards: {len(cards)} numbers for {len(logs)} logs; give one for all or one for each")
    found = list[Point]()
    for i, log in enumerate(logs):
        said, given = log.header.ranks, cards[min(i, len(cards) - 1)] if cards else None
        if said is None and given is None:
            raise StudyError(f"{log.path}: does not say how many ranks there were; say it with --cards")
        if said is not None and given is not None and said != given:
            raise StudyError(f"{log.path}: was measured on {said} ranks and not on {given}; leave --cards out")
        many = said or given
        assert many is not None
        domain = _domain(log, many, sheet)
        rows = [row for row in log.rows if row.bytes and not row.wrong]
        if not rows:
            raise PerfLogError(f"{log.path}: no row is left: all are of nothing, or their sums were wrong")
        found += [Point(i, many, domain, row.bytes, row.time_us, row.in_place) for row in rows]
    return tuple(found)


def _domain(log: PerfLog, cards: int, sheet: Fabric) -> int | None:
    """Cards of a node, where the log says so and the data sheet otherwise."""
    nodes = log.header.nodes
    # A scale-up domain of several chassis is more than one host.
    if not nodes or cards % nodes or sheet.domain.server is not None:
        return None
    each = cards // nodes
    usual = min(cards, sheet.domain.size)
    return None if each == usual else each


def guess(logs: Sequence[PerfLog]) -> str | None:
    """Name the one shipped fabric whose card the logs name; None if there is none, or more."""
    devices = {device for log in logs for device in log.header.devices}
    if not devices or any("PCI" in device.upper() for device in devices):
        return None
    models = {name: next(filter(re.compile(r"\d").search, load(name).card.name.split()), "") for name in available()}
    fits = [name for name, model in models.items() if all(re.search(rf"\b{model}\b", device) for device in devices)]
    return fits[0] if len(fits) == 1 else None
