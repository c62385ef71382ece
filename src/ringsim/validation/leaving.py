"""Leave one out: each fitted constant once more without each system that shares it, and what that does to its error.

A constant that only fits because of the machine that is judged would not help anybody with another machine. So it is
fitted on all systems that share it, and again on all but one; the error of that one may not more than double. What is
shipped is fitted on a single system and is stricter than either, for every other system was left out from the start.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from ringsim.bands import BANDS, Band
from ringsim.fabric import load as load_fabric
from ringsim.fabric.launch import UNKNOWN
from ringsim.validation.simulating import Point, extra_of, simulate
from ringsim.validation.systems import System

#: Launch modes are fitted on messages up to this size: beyond it bytes begin to count.
SMALL = 4096

#: Where the band of large sizes begins.
_MIDDLE = BANDS[1].end or 0

#: Efficiencies that were fitted here: the key, and the fabric or network that has it.
_EFFICIENCIES = (("domain.efficiency", "infinity-fabric"), ("nic.efficiency", "roce-400g-broadcom"))


@dataclass(frozen=True)
class Constant:
    """A fitted constant and the systems that share it.

    Attributes
    ----------
    name : str
    unit : str
        ``us`` or nothing.
    band : Band
        Where it is judged.
    shipped : float
    systems : tuple of System
    fit : callable
        Its value that suits one system best.
    error : callable
        Median absolute error of a system in `band` under a value.
    """

    name: str
    unit: str
    band: Band
    shipped: float
    systems: tuple[System, ...]
    fit: Callable[[System], float]
    error: Callable[[System, float], float]


@dataclass(frozen=True)
class Left:
    """One constant and one system.

    Attributes
    ----------
    constant, unit, band, system : str
    shipped, all_of, without : float
        The constant as it is, fitted on all systems, and on all but this one.
    error_shipped, error_all, error_without : float
        This system's median absolute error under each of them.
    """

    constant: str
    unit: str
    band: str
    system: str
    shipped: float
    all_of: float
    without: float
    error_shipped: float
    error_all: float
    error_without: float

    @property
    def ratio(self) -> float:
        """How many times the error of the fit on all systems it is without this one."""
        return self.error_without / self.error_all


def leave_one_out(systems: Sequence[System]) -> tuple[Left, ...]:
    """Fit every constant that several systems share without each of them in turn.

    A constant of several systems is the median of what suits each of them best.
    """
    return tuple(left for constant in _constants(systems) for left in _left(constant))


def _left(constant: Constant) -> Iterator[Left]:
    own = {system.name: constant.fit(system) for system in constant.systems}
    together = median(own.values())
    for system in constant.systems:
        without = median(value for name, value in own.items() if name != system.name)
        errors = (constant.error(system, value) for value in (constant.shipped, together, without))
        yield Left(
            constant.name, constant.unit, constant.band.name, system.name, constant.shipped, together, without, *errors
        )


def _constants(systems: Sequence[System]) -> Iterator[Constant]:
    """Every fitted constant that more than one system has."""
    modes: dict[tuple[str, str], list[System]] = {}
    for system in systems:
        # Between nodes the latency of a network, which is known worst, would be taken for the launch.
        alone = all(nodes == 1 for _, nodes in system.clusters)
        if alone and any(row.bytes <= SMALL for row in system.measurements) and (found := extra_of(system)):
            modes.setdefault((system.launch, found.source), []).append(system)
    yield from (_launch(share) for share in modes.values() if len(share) > 1)
    for key, name in _EFFICIENCIES:
        large = [system for system in systems if any(row.bytes > _MIDDLE for row in system.measurements)]
        network = key.startswith("nic")
        share = [
            system
            for system in large
            if _plain(system.network if network else system.fabric) == name
            and (network or all(nodes == 1 for _, nodes in system.clusters))
        ]
        if len(share) > 1:
            yield _efficiency(key, name, share)


def _launch(share: Sequence[System]) -> Constant:
    """What a launch mode adds: found without simulating again, for all plans start later alike."""
    extra = extra_of(share[0])
    assert extra is not None
    band = BANDS[0]
    points = {system.name: simulate(_part(replace(system, launch=UNKNOWN), 0, band.end or 0)) for system in share}

    def unit(cards: int) -> float:
        return float(cards if extra.each else 1)

    def fit(system: System) -> float:
        small = [point for point in points[system.name] if point.bytes <= SMALL]
        return median(((p.measured_us or 0.0) - p.simulated_us) / unit(p.cards) for p in small)

    def error(system: System, value: float) -> float:
        return median(
            abs((p.simulated_us + value * unit(p.cards)) / (p.measured_us or 1.0) - 1) for p in points[system.name]
        )

    library = " of kernels of others" if share[0].custom else f" of {share[0].library}"
    each = " a card" if extra.each else ""
    return Constant(f"launch {share[0].launch}{library}", f"us{each}", band, extra.time * 1e6, tuple(share), fit, error)


def _efficiency(key: str, name: str, share: Sequence[System]) -> Constant:
    """A part of a rate: time goes with its inverse, nearly, so that a second look is enough."""
    band = BANDS[2]
    large = {system.name: _part(system, _MIDDLE, None) for system in share}

    def simulated(system: System, value: float) -> Sequence[Point]:
        one = large[system.name]
        return simulate(replace(one, changes=(*one.changes, f"{key}={value!r}")))

    def fit(system: System) -> float:
        value = shipped
        for _ in range(2):
            value *= median(point.simulated_us / (point.measured_us or 1.0) for point in simulated(system, value))
            value = min(value, 1.0)
        return value

    def error(system: System, value: float) -> float:
        return median(abs(point.error) for point in simulated(system, value))

    sheet = load_fabric(share[0].fabric, network=share[0].network)
    shipped = sheet.nic.efficiency if key.startswith("nic") else sheet.domain.efficiency
    return Constant(f"{key} of {name}", "", band, shipped, tuple(share), fit, error)


def _part(system: System, above: int, to: int | None) -> System:
    """A system with only the rows of some sizes."""
    rows = tuple(row for row in system.measurements if row.bytes > above and (to is None or row.bytes <= to))
    return replace(system, measurements=rows, clusters=tuple(dict.fromkeys((row.cards, row.nodes) for row in rows)))


def _plain(name: str | None) -> str:
    """A fabric's or a network's name without its folder."""
    return (name or "").replace("\\", "/").rpartition("/")[2].removesuffix(".toml")
