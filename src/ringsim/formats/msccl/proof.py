"""Whether an MSCCL algorithm is right: on any timing, and with buffers of a given depth."""

from math import inf
from typing import NamedTuple

from ringsim import values
from ringsim.formats.msccl.algo import Algo
from ringsim.formats.msccl.story import stories
from ringsim.values import Fifo


class Verdict(NamedTuple):
    """What was found to be right.

    Attributes
    ----------
    firings : int
        Reads and writes that were gone through.
    pairs : int or None
        Those that disagree and are ordered; None where that was not checked.
    fifo : Fifo
        Whether the connections' buffers are deep enough.
    """

    firings: int
    pairs: int | None
    fifo: Fifo


def prove(algo: Algo, *, depth: int = 8, patience: float = inf) -> Verdict:
    """Check that all gpus end with what they should, each contribution exactly once, whatever the timing.

    Parameters
    ----------
    algo : Algo
    depth : int
        Slots of each connection's buffer.
    patience : float, seconds
        What other timings may take, roughly; they are left out if it would be more.

    Raises
    ------
    MscclError
        If ringsim cannot say what the algorithm does.
    ValuesError
        If it is wrong; the message names gpu, block and step.
    """
    found = []
    for story in stories(algo):
        try:
            proof = values.prove(story.schedule, patience=patience)
            found.append(Verdict(*proof, values.fifo(story.schedule, depth)))
        except values.ValuesError as error:
            raise values.ValuesError(story.explain(str(error))) from None
    return max(
        found, key=lambda verdict: (verdict.pairs is None, verdict.fifo.deadlock is not None, verdict.fifo.smallest)
    )
