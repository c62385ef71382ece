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
from ringsim.calibrate.simulating import Bench, Floats
from ringsim.fabric import Fabric
from ringsim.study import StudyError

#: From this error on, as a logarithm, a point counts by its error rather than by its square.
LARGE = 0.03

#: What a constant costs that is e times what the data sheet says, as if a point were off by so much: it decides where the
#: log does not, and nothing where it does.
RELUCTANCE = 0.01

#: How far a constant is moved to see what that does, in units of the search; and when no better ones are looked for.
NUDGE, CLOSE, MOST_LOOKS = 0.005, 1e-4, 20

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
    changes : mapping
        New values of keys, in the words of a file.
    """

    constants: tuple[Constant, ...]
    at: tuple[float, ...]
    spread: tuple[float, ...]
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
    low, high = np.array([constant.bounds(bench.sheet) for constant in constants]).T
    begin = np.clip(search.begin(), low, high)
    found = least_squares(
        search.residuals, begin, search.slopes, bounds=(low, high), loss="soft_l1", f_scale=LARGE,
        ftol=CLOSE, xtol=CLOSE, max_nfev=MOST_LOOKS,
    )  # fmt: skip
    at = tuple(map(float, found.x))
    return Fit(constants, at, search.spread(found.x), moved(bench.sheet, constants, at))


class _Search:
    """Residuals of the logarithm of time and their slopes, and what is remembered from one to the other."""

    def __init__(
        self, bench: Bench, points: Sequence[Point], constants: tuple[Constant, ...], steps: Steps | None
    ) -> None:
        self._bench, self._points, self._constants, self._steps = bench, points, constants, steps
        self._measured = np.log([point.time_us for point in points])
        self._reluctant = np.array([0.0 if constant.adds else RELUCTANCE for constant in constants])
        self._last: tuple[bytes, Floats] | None = None
        self._looks = 0

    def _sheet(self) -> Fabric:
        return self._bench.sheet

    def _errors(self, at: Floats) -> Floats:
        changes = moved(self._sheet(), self._constants, list(at))
        return np.asarray(np.log(self._bench.times(self._points, changes)) - self._measured)

    def residuals(self, at: Floats) -> Floats:
        """Errors, and behind them the reluctance of each constant, shape ``[points + constants]``."""
        if self._last is None or self._last[0] != at.tobytes():
            self._looks += 1
            if self._steps:
                self._steps(min(self._looks, MOST_LOOKS), MOST_LOOKS)
            self._last = at.tobytes(), np.concatenate([self._errors(at), self._reluctant * at])
        return self._last[1]

    def slopes(self, at: Floats) -> Floats:
        """Change of each residual with each constant, shape ``[points + constants, constants]``."""
        here = self.residuals(at)[: len(self._points)]
        columns = []
        for i, constant in enumerate(self._constants):
            high = constant.bounds(self._sheet())[1]
            nudge = NUDGE if at[i] + NUDGE <= high else -NUDGE
            there = at.copy()
            there[i] += nudge
            columns.append((self._errors(there) - here) / nudge)
        return np.vstack([np.array(columns).T, np.diag(self._reluctant)])

    def begin(self) -> Floats:
        """Where to begin: as the data sheet has it, but with a start-up that makes the smallest messages right."""
        at = np.zeros(len(self._constants))
        for i, constant in enumerate(self._constants):
            if constant.name == "startup":
                least = min(point.bytes for point in self._points)
                small = [point for point in self._points if point.bytes == least]
                off = [point.time_us for point in small] - self._bench.times(small, {})
                at[i] = float(np.median(off)) * 1e-6 / UNIT
        return at

    def spread(self, at: Floats) -> tuple[float, ...]:
        """Standard errors from the slopes and the errors that are left, those of outliers left out of account."""
        many = len(self._points)
        slopes = self.slopes(at)[:many]
        left = 1.4826 * float(np.median(np.abs(self.residuals(at)[:many])))
        told = np.linalg.norm(slopes, axis=0) > 1e-6
        found = np.full(len(at), np.inf)
        inverse = np.linalg.pinv(slopes[:, told].T @ slopes[:, told])
        found[told] = left * np.sqrt(np.maximum(np.diag(inverse), 0.0))
        return tuple(map(float, found))
