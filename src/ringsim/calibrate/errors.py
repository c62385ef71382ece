"""How far simulated times are from measured ones, by size: the words in which a calibration is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringsim.bands import BANDS, band_of
from ringsim.calibrate.points import Point
from ringsim.calibrate.simulating import Floats

#: A size that is off by more than this fits badly.
BAD = 0.10


@dataclass(frozen=True)
class Errors:
    """Errors of some points.

    Attributes
    ----------
    band : str
    points : int
    median, worst : float
        Of the absolute error, as a part of the measured time.
    bias : float
        Median of the signed error; positive where simulation is slower.
    worst_bytes : int
        Size at which it is worst.
    """

    band: str
    points: int
    median: float
    worst: float
    bias: float
    worst_bytes: int


def off(points: Sequence[Point], times: Floats) -> Floats:
    """Signed errors as parts of the measured time, shape ``[points]``."""
    return np.asarray(times / np.array([point.time_us for point in points]) - 1)


def by_band(points: Sequence[Point], times: Floats) -> tuple[Errors, ...]:
    """Sum up the errors of each band that has points, and those of all."""
    error, sizes = off(points, times), np.array([point.bytes for point in points])
    found = list[Errors]()
    for band in BANDS:
        here = np.array([band_of(point.bytes) is band for point in points])
        if here.any():
            found.append(_summed(band.name, error[here], sizes[here]))
    return (*found, _summed("all", error, sizes))


def _summed(band: str, error: Floats, sizes: "np.typing.NDArray[np.int64]") -> Errors:
    worst = int(np.abs(error).argmax())
    return Errors(
        band, len(error), float(np.median(np.abs(error))), float(np.abs(error[worst])), float(np.median(error)),
        int(sizes[worst]),
    )  # fmt: skip
