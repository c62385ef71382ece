"""How far the sums of codecs are off, by schedule: measured once for each pair that matters, for it takes a while."""

from ringsim import fidelity
from ringsim.fidelity import Fidelity
from ringsim.result import Case, Result
from ringsim.topology import Topology

#: Relative error of a sum below which nobody has to change how he trains.
GOOD = 0.05


class Truth:
    """Errors of sums: channels, pieces, protocols and links change nothing of them.

    Parameters
    ----------
    topology : Topology
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._known: dict[tuple[str, str], Fidelity | None] = {}

    def of(self, case: Case) -> Fidelity | None:
        """What a case leaves of the sum; None where that would take long to find out."""
        key = case.compress, case.algorithm
        if key not in self._known:
            self._known[key] = fidelity.measure(case, self.topology)
        return self._known[key]

    def holds(self, case: Case) -> bool:
        """Whether the error is known and below `GOOD`."""
        found = self.of(case)
        return found is not None and found.error < GOOD

    def told(self, result: Result) -> Result:
        """Add to a result what its codec does to the sum."""
        return fidelity.told(result, self.of(result.case))


def measured(result: Result, topology: Topology) -> Result:
    """Add to a result what its codec does to the sum, where that can be found out within a moment."""
    return Truth(topology).told(result)
