"""The same benchmark in simulation: what ringsim says for each measured point, and for the sizes between them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringsim.candidates import NoPlaceError
from ringsim.fabric import Fabric
from ringsim.fabric import load as load_fabric
from ringsim.fabric.launch import UNKNOWN, Extra, launched, launches
from ringsim.question import Question
from ringsim.race import Track, fastest, race
from ringsim.result import Result
from ringsim.study import cluster
from ringsim.validation.systems import System

#: The library of launch modes that kernels of others are.
KERNELS = "kernels"

#: Called with how many questions are done and how many there are.
Steps = Callable[[int, int], None]


@dataclass(frozen=True)
class Point:
    """A measurement beside its simulation; one of a curve has no measurement.

    Attributes
    ----------
    system, id : str
    cards, nodes, bytes : int
    measured_us : float or None
    simulated_us : float
    algorithm, protocol : str
        Of the plan that was fastest.
    """

    system: str
    id: str
    cards: int
    nodes: int
    bytes: int
    measured_us: float | None
    simulated_us: float
    algorithm: str
    protocol: str

    @property
    def error(self) -> float:
        """Signed error as a part of the measured time; positive where simulation is slower."""
        assert self.measured_us is not None
        return self.simulated_us / self.measured_us - 1


def extra_of(system: System) -> Extra | None:
    """What a system's launch mode adds to the start-up; None where it is not known."""
    if system.launch == UNKNOWN:
        return None
    modes, sheet = launches(), load_fabric(system.fabric, network=system.network)
    return modes.extra(system.launch, KERNELS if system.custom else modes.library(sheet))


def simulate(system: System, steps: Steps | None = None) -> tuple[Point, ...]:
    """Simulate every measurement of a system.

    Raises
    ------
    FabricError, TopologyError, StudyError
        As `ringsim.study.answer` does.
    """
    wanted = [(row.cards, row.nodes, row.bytes) for row in system.measurements]
    best = _best(system, wanted, steps)
    return tuple(
        _point(system, row.id, row.time_us, row.nodes, best[row.cards, row.nodes, row.bytes])
        for row in system.measurements
    )


def curve(system: System, steps: Steps | None = None) -> tuple[Point, ...]:
    """Simulate powers of two between a system's smallest and largest measured size, for each of its clusters."""
    wanted = []
    for cards, nodes in system.clusters:
        sizes = [row.bytes for row in system.measurements if (row.cards, row.nodes) == (cards, nodes)]
        powers = range(math.ceil(math.log2(min(sizes))), math.floor(math.log2(max(sizes))) + 1)
        wanted += [(cards, nodes, size) for size in sorted({min(sizes), *(2**k for k in powers), max(sizes)})]
    best = _best(system, wanted, steps)
    return tuple(_point(system, "", None, key[1], best[key]) for key in wanted)


def _point(system: System, id: str, measured: float | None, nodes: int, best: Result) -> Point:
    assert best.time_us is not None
    return Point(
        system.name, id, best.case.cards, nodes, best.case.bytes, measured, best.time_us, best.case.algorithm,
        best.case.protocol,
    )  # fmt: skip


def _sheet(system: System, cards: int) -> Fabric:
    """The data sheet of a system, with the start-up that its launch mode has on nodes of so many cards."""
    sheet = load_fabric(system.fabric, network=system.network, changes=system.changes)
    if system.launch == UNKNOWN:
        return sheet
    return launched(sheet, system.launch, cards, KERNELS if system.custom else "")


def _best(
    system: System, wanted: Sequence[tuple[int, int, int]], steps: Steps | None
) -> dict[tuple[int, int, int], Result]:
    """Fastest plan for each cards, nodes and bytes; what is asked for twice is simulated once."""
    tracks: dict[tuple[int, int], Track] = {}
    best: dict[tuple[int, int, int], Result] = {}
    keys = list(dict.fromkeys(wanted))
    sheets = {cards // nodes: _sheet(system, cards // nodes) for cards, nodes in system.clusters}
    for done, (cards, nodes, size) in enumerate(keys):
        if steps:
            steps(done, len(keys))
        sheet = sheets[cards // nodes]
        found: list[Result] = []
        refused: NoPlaceError | None = None
        for algorithm in system.algorithms:
            # Bytes are a fluid: the type of an element changes nothing, and one of a byte divides every size.
            question = Question(
                sheet, cards, size, algorithm=algorithm, domain=cards // nodes if nodes > 1 else None, dtype="uint8"
            )
            track = tracks.get((cards, nodes))
            if track is None:
                # Cards of the same system are few, so the clusters asked for before can go.
                tracks = {(cards, nodes): (track := Track(cluster(question)))}
            try:
                found += race(question, track, min((r.time_us or math.inf for r in found), default=math.inf))
            except NoPlaceError as error:
                refused = error
        plan = fastest(found)
        if plan is None:
            assert refused is not None  # whatever is laid out is simulated unless something else is faster
            raise refused
        best[cards, nodes, size] = plan
    return best
