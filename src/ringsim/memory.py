"""Say before it starts that a run does not fit into memory, rather than be killed in the middle of it."""

from ringsim.collectives import COLLECTIVES
from ringsim.question import Question, StudyError
from ringsim.topology import Topology

#: Bytes for each link and each row at the peak, measured with a million cards (`benchmarks/speed`), rounded up.
LINK_BYTES = 60
ROW_BYTES = {"sweep": 400, "events": 1_000}

#: Bytes for each transfer in the reference engine, which keeps an event for every one of them.
TRANSFER_BYTES = 900

#: Runs that need less are not worth asking the machine.
SMALL = 1 << 30


def estimate(question: Question, topology: Topology) -> float:
    """Bytes that the largest candidate will need at its peak, roughly."""
    most = 0.0
    for name, algorithm in COLLECTIVES[question.collective].items():
        if question.algorithm == name or (question.algorithm == "auto" and algorithm.auto):
            channels = question.rings or algorithm.channels(topology)
            rows = algorithm.rows(topology, channels)
            need = rows * ROW_BYTES["sweep" if name == "ring" else "events"]
            if question.engine == "reference":
                firings = 2 * topology.cards * (question.slices or 1) if name == "ring" else question.chunks or 100
                need += rows * firings * TRANSFER_BYTES
            most = max(most, need)
    return most + topology.links * LINK_BYTES


def check(question: Question, topology: Topology) -> None:
    """Refuse what does not fit.

    Raises
    ------
    StudyError
        Saying how much would be needed, how much there is and what needs less.
    """
    need = estimate(question, topology)
    if need < SMALL:
        return
    import psutil

    free = psutil.virtual_memory().available
    if need > free:
        raise StudyError(
            f"cards = {topology.cards}: needs about {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; "
            "fewer cards, `--algorithm ring` or `--rings 1` need less"
        )
