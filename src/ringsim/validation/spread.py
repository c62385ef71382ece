"""By how much machines of the same hardware differ among themselves: the floor below which no model can be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from ringsim.bands import BANDS, Band, band_of
from ringsim.validation.systems import System


@dataclass(frozen=True)
class Spread:
    """Systems with the same fabric, network, cluster and library, in one band.

    Attributes
    ----------
    systems : tuple of str
        Names.
    band : Band
    sizes : int
        That at least two of them have.
    ratio : float
        Slowest over fastest, the median of those sizes.
    floor : float
        The error, as a part of the measured time, that one prediction for all of them has at least with one of them, at
        that ratio: (r − 1)/(r + 1).
    """

    systems: tuple[str, ...]
    band: Band
    sizes: int
    ratio: float

    @property
    def floor(self) -> float:
        """See above."""
        return (self.ratio - 1) / (self.ratio + 1)


def spreads(systems: Sequence[System]) -> tuple[Spread, ...]:
    """Compare systems with each other, size by size, wherever only launch modes tell the questions for ringsim apart.

    Where a system has several measurements of a size, their median counts. Algorithms that were forced are compared only
    with the same ones, and sizes only if they are equal to the byte.
    """
    groups: dict[tuple[object, ...], dict[str, dict[int, float]]] = {}
    for system in systems:
        for cluster in system.clusters:
            # With one node there is no network, whatever the file says.
            network = system.network if cluster[1] > 1 else None
            key = (system.fabric, network, system.changes, system.library, system.algorithms, *cluster)
            groups.setdefault(key, {})[system.name] = _times(system, cluster)
    found = []
    for group in groups.values():
        for band in BANDS:
            sizes = {size for times in group.values() for size in times if band_of(size) is band}
            beside = {size: [times[size] for times in group.values() if size in times] for size in sizes}
            ratios = [max(times) / min(times) for times in beside.values() if len(times) > 1]
            if ratios:
                names = tuple(name for name, times in group.items() if any(band_of(size) is band for size in times))
                found.append(Spread(names, band, len(ratios), median(ratios)))
    return tuple(found)


def _times(system: System, cluster: tuple[int, int]) -> dict[int, float]:
    rows: dict[int, list[float]] = {}
    for row in system.measurements:
        if (row.cards, row.nodes) == cluster:
            rows.setdefault(row.bytes, []).append(row.time_us)
    return {size: median(times) for size, times in rows.items()}
