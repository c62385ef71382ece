"""Errors of time by band of sizes, of one system and of many, and which of them count."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ringsim.bands import BANDS, SINGLE, Band, band_of
from ringsim.validation.simulating import Point
from ringsim.validation.systems import System

#: Titles of what is summed up together.
LIBRARIES, EVERYTHING = "NCCL, RCCL and HCCL", "kernels of others as well"


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


def by_band(points: Iterable[Point]) -> tuple[Errors, ...]:
    """Sum up the errors of points in each band that has any; those without a measurement are left out."""
    measured = [point for point in points if point.measured_us is not None]
    inside = {band: [point for point in measured if band_of(point.bytes) is band] for band in BANDS}
    return tuple(_summed(band, own) for band, own in inside.items() if own)


def judged(system: System, points: Iterable[Point]) -> tuple[Errors, ...]:
    """Sum up the errors of a system in the bands on which no constant was fitted."""
    return tuple(own for own in by_band(points) if own.band.name not in system.fit)


def headlines(
    systems: Sequence[System], errors: Mapping[str, Sequence[Errors]]
) -> tuple[tuple[str, list[Sequence[Errors]]], ...]:
    """What is summed up: the libraries that have constants of their own, and everything.

    Parameters
    ----------
    systems : sequence of System
    errors : mapping
        What `judged` says of each, by its name.

    Returns
    -------
    tuple of (str, list)
        A title and the errors of each system under it, the one that counts first; titles without systems are left out.
    """
    libraries = [errors[system.name] for system in systems if not system.custom and errors[system.name]]
    everything = [errors[system.name] for system in systems if errors[system.name]]
    found = ((LIBRARIES, libraries), (EVERYTHING, everything if len(everything) > len(libraries) else []))
    return tuple((title, own) for title, own in found if own)


def missed(systems: Sequence[Sequence[Errors]]) -> list[Errors]:
    """Bands in which a target is missed: by the median of systems, or by a single one that is above twice the target."""
    return [
        one
        for one in overall(systems)
        if not (one.reached() and all(own.reached(SINGLE) for of in systems for own in of if own.band == one.band))
    ]


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
