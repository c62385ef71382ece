"""Times of points on a data sheet with some of its numbers changed: the function that is fitted.

Only constants change from one look to the next, never who sends what to whom, so schedules and routes are laid out once.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ringsim.calibrate.points import Point
from ringsim.candidates import Layouts
from ringsim.fabric import Fabric, load
from ringsim.question import Question
from ringsim.race import Track, fastest, race
from ringsim.result import Result
from ringsim.study import cluster

Floats = NDArray[np.float64]


class Bench:
    """A cluster on which the benchmark can be run again with other constants.

    Parameters
    ----------
    fabric, network : str
        As `ringsim.fabric.load` takes them.
    """

    def __init__(self, fabric: str, network: str | None = None) -> None:
        self.sheet = load(fabric, network=network)
        self._from = fabric, network
        self._layouts: dict[tuple[int, int | None], Layouts] = {}

    def changed(self, changes: Mapping[str, str]) -> Fabric:
        """Return the data sheet with new values of some keys."""
        fabric, network = self._from
        return load(fabric, network=network, changes=[f"{key}={value}" for key, value in changes.items()])

    def nodes(self, cards: int, domain: int | None) -> int:
        """Nodes on which so many cards are."""
        return cluster(Question(self.sheet, cards, domain=domain)).nodes

    def plans(self, points: Sequence[Point], changes: Mapping[str, str]) -> list[Result]:
        """Simulate what the library would choose for each point, were the constants so.

        Returns
        -------
        list of Result
            One for each point; points with the same question share theirs.

        Raises
        ------
        FabricError, TopologyError, StudyError
            As `ringsim.study.cluster` and `ringsim.race.race` do.
        """
        sheet = self.changed(changes)
        tracks: dict[tuple[int, int | None], Track] = {}
        best: dict[tuple[int, int | None, int], Result] = {}
        for cards, domain, size in dict.fromkeys(point.question for point in points):
            # Bytes are a fluid: the type of an element changes nothing, and one of a byte divides every size.
            question = Question(sheet, cards, size, domain=domain, dtype="uint8")
            track = tracks.get((cards, domain))
            if track is None:
                layouts = self._layouts.setdefault((cards, domain), Layouts())
                track = tracks[cards, domain] = Track(cluster(question), layouts=layouts)
            found = fastest(race(question, track))
            assert found is not None  # the first candidate is always simulated
            best[cards, domain, size] = found
        return [best[point.question] for point in points]

    def times(self, points: Sequence[Point], changes: Mapping[str, str]) -> Floats:
        """Return the times alone, in microseconds, shape ``[points]``."""
        return times_of(self.plans(points, changes))


def times_of(plans: Sequence[Result]) -> Floats:
    """Times of plans in microseconds, shape ``[plans]``."""
    return np.array([plan.time_us for plan in plans], np.float64)
