"""Robust least squares: the constants with which simulated times come nearest to measured ones.

Errors are those of the logarithm, so a per cent counts the same at every size. The loss is soft_l1: beyond a few per cent
an error counts by its size and no longer by its square, so that a measurement that went wrong does not bend the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from ringsim.calibrate.constants import UNIT, Constant, moved
from ringsim.calibrate.points import Point
from ringsim.calibrate.simulating import Bench, Floats, times_of
from ringsim.question import StudyError
from ringsim.result import Result

#: Where links and NICs reach less than the data sheet says, as a logarithm.
LESS = -0.15

#: From this error on, as a logarithm, a point counts by its error rather than by its square.
LARGE = 0.03

#: What a constant costs that is e times what the data sheet says, as if a point were off by so much: it decides where the
#: log does not, and nothing where it does.
RELUCTANCE = 0.01

#: How far a constant is moved to see what that does, in units of the search; and when no better ones are looked for.
NUDGE, CLOSE = 0.005, 1e-4

#: Part of what the smallest messages lack with which the search begins as start-up. They cannot tell it from steps.
BEGIN = 0.5

#: Looks, of which each needs a simulation of every size and about one more for each constant.
MOST_LOOKS = 20

#: Two constants whose errors are so much correlated look alike to the logs.
ALIKE = 0.97

#: Called with the looks done, and with how many there may be.
Steps = Callable[[int, int], None]


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes
    ----------
    constants : tuple of Constant
    at : tuple of float
        Where each is: a time in units of `UNIT`, or the logarithm of a factor.
    spread : tuple of float
        Standard error of each in the same units, for errors as large as those that are left; infinite where the log says
        nothing about it.
    alike : tuple of (str, str)
        Names of constants that the logs can hardly tell from each other: one may stand for the other.
    changes : mapping
        New values of keys, in the words of a file.
    """

    constants: tuple[Constant, ...]
    at: tuple[float, ...]
    spread: tuple[float, ...]
    alike: tuple[tuple[str, str], ...]
    changes: dict[str, str]


def fit(bench: Bench, points: Sequence[Point], constants: tuple[Constant, ...], steps: Steps | None = None) -> Fit:
    """Find the constants for which simulation and measurement agree best.

    Parameters
    ----------
    bench : Bench
    points : sequence of Point
    constants : tuple of Constant
    steps : callable or None

    Raises
    ------
    StudyError
        If there are no more sizes than constants.
    """
    sizes = len({point.question for point in points})
    if not constants or sizes <= len(constants):
        names = ", ".join(constant.name for constant in constants)
        raise StudyError(
            f"{sizes} sizes for {len(constants)} constants ({names}): there must be more; measure more sizes, or name "
            "fewer constants with --fit"
        )
    search = _Search(bench, points, constants, steps)
    low, high = search.bounds
    found = min(
        (
            least_squares(
                search.residuals, begin, search.slopes, bounds=(low, high), loss="soft_l1", f_scale=LARGE,
                ftol=CLOSE, xtol=CLOSE, max_nfev=MOST_LOOKS,
            )
            for begin in search.begins()
        ),
        key=lambda one: float(one.cost),
    )  # fmt: skip
    at = tuple(map(float, found.x))
    spread, alike = search.told(found.x)
    return Fit(constants, at, spread, alike, moved(bench.sheet, constants, at))


class _Search:
    """Residuals and their slopes, and what is remembered from one to the other."""

    def __init__(
        self, bench: Bench, points: Sequence[Point], constants: tuple[Constant, ...], steps: Steps | None
    ) -> None:
        self._bench, self._points, self._constants, self._steps = bench, points, constants, steps
        self.bounds = np.array([constant.bounds(bench.sheet) for constant in constants]).T
        self._measured = np.log([point.time_us for point in points])
        self._reluctant = np.array([0.0 if constant.adds else RELUCTANCE for constant in constants])
        self._last: tuple[bytes, list[Result]] | None = None
        self._looks = 0

    def begins(self) -> list[Floats]:
        """Where to begin. With several nodes also where everything reaches less: there links may pass for NICs."""
        first = self.begin()
        names = [constant.name for constant in self._constants]
        if not {"links", "nic"} <= set(names):
            return [first]
        low, high = self.bounds
        less = first + np.array([LESS if name in ("links", "nic") else 0.0 for name in names])
        return [first, np.asarray(np.clip(less, low, high))]

    def begin(self) -> Floats:
        """Where to begin: where the data sheet is, but with some of the start-up that the smallest messages lack."""
        at = np.zeros(len(self._constants))
        for i, constant in enumerate(self._constants):
            if constant.name == "startup":
                least = min(point.bytes for point in self._points)
                small = [point for point in self._points if point.bytes == least]
                lacks = np.array([point.time_us for point in small]) - self._bench.times(small, {})
                at[i] = BEGIN * float(np.median(lacks)) * 1e-6 / UNIT
        low, high = self.bounds
        return np.asarray(np.clip(at, low, high))

    def _plans(self, at: Floats) -> list[Result]:
        """What is chosen for each point; the last answer is remembered, because slopes are asked for where it was given."""
        if self._last is None or self._last[0] != at.tobytes():
            plans = self._bench.plans(self._points, moved(self._bench.sheet, self._constants, list(at)))
            self._last = at.tobytes(), plans
        return self._last[1]

    def residuals(self, at: Floats) -> Floats:
        """Errors of the logarithm, and behind them the reluctance of each constant, shape ``[points + constants]``."""
        self._looks += 1
        if self._steps:
            self._steps(min(self._looks, MOST_LOOKS), MOST_LOOKS)
        return np.concatenate([np.log(times_of(self._plans(at))) - self._measured, self._reluctant * at])

    def slopes(self, at: Floats) -> Floats:
        """Change of each residual with each constant, shape ``[points + constants, constants]``."""
        plans = self._plans(at)
        times, columns = times_of(plans), list[Floats]()
        for i, constant in enumerate(self._constants):
            if constant.adds:
                # What is added before the first step is added to the whole.
                protocols = {key.split(".")[1] for key in constant.keys(self._bench.sheet)}
                columns.append(np.array([plan.case.protocol in protocols for plan in plans]) * UNIT * 1e6 / times)
                continue
            there = at.copy()
            there[i] += NUDGE if at[i] + NUDGE <= self.bounds[1][i] else -NUDGE
            changes = moved(self._bench.sheet, self._constants, list(there))
            columns.append(np.log(self._bench.times(self._points, changes) / times) / (there[i] - at[i]))
        return np.vstack([np.array(columns).T, np.diag(self._reluctant)])

    def told(self, at: Floats) -> tuple[tuple[float, ...], tuple[tuple[str, str], ...]]:
        """Standard errors of the constants, outliers left out of account, and pairs of them that look alike."""
        many = len(self._points)
        slopes = self.slopes(at)[:many]
        left = 1.4826 * float(np.median(np.abs(np.log(times_of(self._plans(at))) - self._measured)))
        felt = np.flatnonzero(np.linalg.norm(slopes, axis=0) > 1e-6)
        covariance = np.linalg.pinv(slopes[:, felt].T @ slopes[:, felt])
        deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
        spread = np.full(len(at), np.inf)
        spread[felt] = left * deviation
        names = [self._constants[i].name for i in felt]
        together = np.abs(covariance / np.outer(deviation, deviation)) > ALIKE
        pairs = tuple((names[i], names[j]) for i, j in np.argwhere(np.triu(together, 1)))
        return tuple(map(float, spread)), pairs
