"""One codec, or none, on links that become faster: all the ways in which it could be done, and what is known of each.

Most simulations can be left out. Links that are *f* times as fast make nothing more than *f* times as fast, for steps and
memories stay, and links that are slower make nothing faster. So a time at one factor is a bound at all others, and who
cannot win by that is not even priced.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ringsim.candidates import pinned
from ringsim.catalogue import GATHER
from ringsim.fabric import Fabric
from ringsim.question import Question, StudyError
from ringsim.race import Track, race
from ringsim.result import Case, Result
from ringsim.topology import Topology
from ringsim.units import format_rate

#: Times of schedules that share links are no more exact than this (docs/design.md).
EXACT = 0.99

#: What adds in switches, which `auto` leaves out: a library takes it where the hardware has it (NVLS, SHARP).
IN_SWITCH = "in-switch"

#: Where to run at a factor.
Tracks = Callable[[float], Track]

#: Whether a schedule with a codec is good enough.
Holds = Callable[[Case], bool]


def faster(sheet: Fabric, factor: float) -> Fabric:
    """Make all links of a fabric faster, and nothing else: latencies, steps, limits of protocols and cards stay."""
    if factor == 1:
        return sheet
    domain, nic = sheet.domain, sheet.nic
    rates = {
        "domain.lane_bandwidth": domain.lane_bandwidth,
        "nic.bandwidth": nic.bandwidth,
        "nic.host_bandwidth": nic.host_bandwidth,
    }
    changed = tuple((key, format_rate(rate), format_rate(rate * factor)) for key, rate in rates.items())
    return replace(
        sheet,
        domain=replace(domain, lane_bandwidth=domain.lane_bandwidth * factor),
        nic=replace(nic, bandwidth=nic.bandwidth * factor, host_bandwidth=nic.host_bandwidth * factor),
        changed=sheet.changed + changed,
    )


@dataclass
class Way:
    """One algorithm with its channels, pieces and protocol.

    Attributes
    ----------
    question : Question
        Asks for it and nothing else.
    case : Case
        As it was at factor 1.
    results : dict
        What is known of it, by factor; without a time where it was not simulated.
    """

    question: Question
    case: Case
    results: dict[float, Result] = field(default_factory=dict)

    def least_us(self, factor: float) -> float:
        """Microseconds that it takes, or takes at least, with links that are so many times as fast."""
        if factor in self.results:
            return _least(self.results[factor])
        return max(_least(result) * min(1.0, at / factor) for at, result in self.results.items()) * EXACT

    def run(self, factor: float, tracks: Tracks, limit_us: float) -> Result:
        """Simulate it, unless that was done or it takes longer than the limit: then the result has no time."""
        found = self.results.get(factor)
        if found is None or (found.time_us is None and found.floor_us <= limit_us):
            (found,) = race(self.question, tracks(factor), limit_us)
            self.results[factor] = found
        return found


def _least(result: Result) -> float:
    return result.floor_us if result.time_us is None else result.time_us


def asks(question: Question, topology: Topology) -> tuple[Question, ...]:
    """Ask for what a library would choose from: with `auto` also for switches that add, where there are any."""
    adds = topology.scale_up_reduces or topology.network_reduces
    return (question, replace(question, algorithm=IN_SWITCH)) if adds and question.algorithm == "auto" else (question,)


def ways(question: Question, tracks: Tracks) -> list[Way]:
    """Find all ways of a question at factor 1; those that could be the fastest are simulated.

    Raises
    ------
    StudyError
        If none of the algorithms that are asked for can do it.
    """
    track, found, limit = tracks(1.0), list[Way](), math.inf
    for one in asks(question, track.topology):
        try:
            results = race(one, track, limit)
        except StudyError:
            if one is question:
                raise
            continue  # nobody asked for switches by name: pieces, channels or codes may not suit them
        found += [Way(pinned(one, result.case), result.case, {1.0: result}) for result in results]
        limit = min(limit, *(math.inf if result.time_us is None else result.time_us for result in results))
    return found


def cut_alike(question: Question, own: Sequence[Way], others: Iterable[Way], tracks: Tracks) -> list[Way]:
    """Find the ways to do without compression what codecs do, in as many pieces as they have.

    Pieces are made for the bytes that are sent, so a codec has fewer. On links that are faster fewer would suit the vector
    as well, and a codec must not win by that alone.
    """

    def cut(case: Case) -> tuple[str, str, int, int]:
        return case.algorithm, case.protocol, case.channels, case.pieces

    best = min(way.least_us(1.0) for way in own)
    known, found = {cut(way.case) for way in own}, list[Way]()
    for case in (way.case for way in others if not way.case.algorithm.startswith(GATHER)):
        if cut(case) not in known:
            known.add(cut(case))
            one = pinned(question, case)
            (result,) = race(one, tracks(1.0), best)
            found.append(Way(one, result.case, {1.0: result}))
    return found


class Entrant:
    """A codec, or none, by its best way at any factor.

    Parameters
    ----------
    ways : sequence of Way
        Other entrants may have the same ones: what is found out of them is known to all.
    tracks : callable
        Returns the track for a factor.
    holds : callable
        Whether a way may be taken; it is asked only of ways that would win.
    """

    def __init__(self, ways: Sequence[Way], tracks: Tracks, holds: Holds = lambda _: True) -> None:
        self.tracks, self.holds = tracks, holds
        self._ways = list(ways)
        self._best: dict[float, Result] = {}

    def best(self, factor: float = 1.0, limit_us: float = math.inf) -> Result | None:
        """The fastest at a factor; None where none is within the limit."""
        if factor in self._best:
            return self._best[factor]
        found: Result | None = None
        limit = limit_us
        for way in sorted(self._ways, key=lambda way: way.least_us(factor)):
            if way.least_us(factor) > limit:
                break
            result = way.run(factor, self.tracks, limit)
            if result.time_us is None or result.time_us > limit or (found and result.time_us == found.time_us):
                continue
            if self.holds(way.case):
                found, limit = result, result.time_us
            else:
                self._ways.remove(way)
        if found is not None:
            self._best[factor] = found
        return found

    def least_us(self, factor: float, limit_us: float = math.inf) -> float:
        """Microseconds of the best way at a factor.

        Parameters
        ----------
        factor : float
        limit_us : float
            Nobody wants to know how much slower than this it is: then it may be any time above it that no way beats.
        """
        found = self.best(factor, limit_us)
        return min((way.least_us(factor) for way in self._ways), default=math.inf) if found is None else time_us(found)


def time_us(result: Result) -> float:
    """Time of a result that was simulated."""
    assert result.time_us is not None
    return result.time_us
