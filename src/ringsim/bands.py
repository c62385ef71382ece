"""Three bands of sizes, and how near simulation is meant to be in each."""

from dataclasses import dataclass

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


def band_of(size: int) -> Band:
    """The band that a size belongs to."""
    return next(band for band in BANDS if band.end is None or size <= band.end)
