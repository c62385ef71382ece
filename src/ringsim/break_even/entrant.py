"""One codec, or none, on links that become faster: all the ways in which it could be done, and what is known of each.

Most simulations can be left out. Links that are *f* times as fast make nothing more than *f* times as fast, for steps and
memories stay, and links that are slower make nothing faster. So a time at one factor is a bound at all others, and who
cannot win by that is not even priced.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ringsim.candidates import pinned
from ringsim.fabric import Fabric
from ringsim.question import Question
from ringsim.race import Track, race
from ringsim.result import Case, Result
from ringsim.units import format_rate

#: Times of schedules that share links are no more exact than this (docs/design.md).
EXACT = 0.99

#: Where to run at a factor.
Tracks = Callable[[float], Track]


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
    case : Case
        As it was at factor 1.
    known : dict
        Microseconds that it takes, or takes at least, by factor.
    """

    case: Case
    known: dict[float, float] = field(default_factory=dict)

    def least_us(self, factor: float) -> float:
        """What it takes at least with links that are so many times as fast."""
        if factor in self.known:
            return self.known[factor]
        return max(time * min(1.0, at / factor) for at, time in self.known.items()) * EXACT


class Entrant:
    """A codec, or none, by its best way at any factor.

    Parameters
    ----------
    question : Question
        With the codec and the algorithms that may be used.
    tracks : callable
        Returns the track for a factor; they share layouts.

    Attributes
    ----------
    best : Result
        At factor 1.

    Raises
    ------
    StudyError
        If none of the algorithms can do it.
    """

    def __init__(self, question: Question, tracks: Tracks) -> None:
        self.question, self.tracks = question, tracks
        results = race(question, tracks(1.0))
        timed = [result for result in results if result.time_us is not None]
        self.best: Result = min(timed, key=time_us)
        self.ways = [Way(r.case, {1.0: r.floor_us if r.time_us is None else r.time_us}) for r in results]
        self._found = {1.0: time_us(self.best)}

    def least_us(self, factor: float, limit_us: float = math.inf) -> float:
        """Microseconds of the best way at a factor.

        Parameters
        ----------
        factor : float
        limit_us : float
            Nobody wants to know how much slower than this it is: then it may be any time above it that no way beats.
        """
        if factor not in self._found:
            best = math.inf
            for way in sorted(self.ways, key=lambda way: way.least_us(factor)):
                if way.least_us(factor) > min(best, limit_us):
                    break
                best = min(best, self._run(way, factor, min(best, limit_us)))
            if best > limit_us:
                return min(best, *(way.least_us(factor) for way in self.ways))
            self._found[factor] = best
        return self._found[factor]

    def _run(self, way: Way, factor: float, limit_us: float) -> float:
        """Simulate a way unless it is too slow; its time, infinity where that is not known."""
        track = self.tracks(factor)
        (result,) = race(pinned(self.question, way.case), track, limit_us)
        way.known[factor] = result.floor_us if result.time_us is None else result.time_us
        return math.inf if result.time_us is None else result.time_us


def time_us(result: Result) -> float:
    """Time of a result that was simulated."""
    assert result.time_us is not None
    return result.time_us
