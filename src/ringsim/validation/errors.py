"""Errors of time in three bands of sizes, and how near they are meant to be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ringsim.validation.simulating import Point

#: A single system may be off by so many times the target of all.
SINGLE = 2.0


@dataclass(frozen=True)
class Band:
    """Sizes that are judged together.

    Attributes
    ----------
    name : str
    end : int or None
        Largest size, included.
    target : float
        Median absolute error that is aimed at.
    """

    name: str
    end: int | None
    target: float


#: What decides changes with the size: latency, then everything at once, then bandwidth.
BANDS = (Band("to 64KiB", 64 * 1024, 0.20), Band("to 16MiB", 16 * 1024**2, 0.10), Band("above", None, 0.05))


@dataclass(frozen=True)
class Errors:
    """Errors of some points in one band.

    Attributes
    ----------
    band : Band
    points : int
    median, worst : float
        Of the absolute error, as a part of the measured time.
    bias : float
        Median of the signed error; positive where simulation is slower.
    worst_at : Point
    """

    band: Band
    points: int
    median: float
    worst: float
    bias: float
    worst_at: Point

    def reached(self, times: float = 1.0) -> bool:
        """Whether the median is within so many times the target."""
        return self.median <= times * self.band.target


def band_of(size: int) -> Band:
    """The band that a size belongs to."""
    return next(band for band in BANDS if band.end is None or size <= band.end)


def by_band(points: Iterable[Point]) -> tuple[Errors, ...]:
    """Sum up the errors of points in each band that has any; those without a measurement are left out."""
    measured = [point for point in points if point.measured_us is not None]
    inside = {band: [point for point in measured if band_of(point.bytes) is band] for band in BANDS}
    return tuple(_summed(band, own) for band, own in inside.items() if own)


def overall(systems: Sequence[Sequence[Errors]]) -> tuple[Errors, ...]:
    """Sum up systems, each of which counts once however many points it has.

    Returns
    -------
    tuple of Errors
        Medians over systems of their medians and biases; the worst of all.
    """
    found = []
    for band in BANDS:
        own = [errors for system in systems for errors in system if errors.band == band]
        if own:
            worst = max(own, key=lambda errors: errors.worst)
            found.append(
                Errors(
                    band,
                    sum(errors.points for errors in own),
                    median(errors.median for errors in own),
                    worst.worst,
                    median(errors.bias for errors in own),
                    worst.worst_at,
                )
            )
    return tuple(found)


def _summed(band: Band, points: Sequence[Point]) -> Errors:
    worst = max(points, key=lambda point: abs(point.error))
    return Errors(
        band, len(points), median(abs(point.error) for point in points), abs(worst.error),
        median(point.error for point in points), worst,
    )  # fmt: skip
