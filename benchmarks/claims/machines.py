"""How long machines take for what is simulated: the page about accuracy, turned round to judge a claim by it."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import quantiles
from typing import NamedTuple

from claims.questions import FAST
from claims.words import percent, table
from ringsim.validation import BANDS, Band, Point, System, headlines, judged, overall

#: Measured and simulated points by system, as `accuracy.read` has them.
Points = Mapping[str, Sequence[Point]]


class Machines(NamedTuple):
    """How long machines of several nodes take, as a multiple of what is simulated of them: quartiles over systems."""

    systems: int
    low: float
    middle: float
    high: float


def machines(systems: Sequence[System], points: Points) -> dict[Band, Machines]:
    """By band of sizes, for systems that ran a library on several nodes and on whose rows nothing was fitted there."""
    found: dict[Band, list[float]] = {band: [] for band in BANDS}
    for system in systems:
        if not system.custom:
            for one in judged(system, [point for point in points[system.name] if point.nodes > 1]):
                found[one.band].append(1 / (1 + one.bias))
    # Quartiles of fewer than four would be made up.
    return {
        band: Machines(len(own), *quantiles(own, n=4, method="inclusive"))
        for band, own in found.items()
        if len(own) > 3
    }


def trust(systems: Sequence[System], points: Points, off: Mapping[Band, Machines]) -> Iterator[str]:
    """Write how far to trust the page."""
    yield "## How far to trust these figures"
    yield (
        "From [the page about accuracy](accuracy.md): errors of simulated time, as a part of the measured time, "
        "medians over systems that ran a library; with a minus simulation is too fast. Beside it, how long machines of "
        "several nodes take for one second that is simulated of them, quartiles over systems."
    )
    errors = {system.name: judged(system, points[system.name]) for system in systems}
    _, counted = headlines(systems, errors)[0]
    rows = []
    for one in overall(counted):
        own = off.get(one.band)
        several = ("–",) * 3
        if own is not None:
            several = f"{own.systems}", f"{own.low:.2f} to {own.high:.2f}", f"{own.middle:.2f}"
        rows.append((one.band.name, percent(one.median), f"{one.bias:+.1%}", *several))
    yield table("sizes | error: | bias: | systems of several nodes: | quartiles: | median:", rows)
    most = dict.fromkeys(("any", FAST), 0)
    for system in systems:
        cards = max((point.cards for point in points[system.name] if point.measured_us is not None), default=0)
        most["any"] = max(most["any"], cards)
        if system.fabric == FAST:
            most[FAST] = max(most[FAST], cards)
    yield (
        f"The largest machine measured has {most['any']:,} cards, the largest of A100 {most[FAST]:,}; beyond it is the "
        "same law with more nodes. Nothing is noisy here: no other jobs, nothing lost, and everybody starts at once. "
        "[What the model leaves out](design.md#what-is-not-in-the-model) makes clusters slower, rarely faster."
    )
