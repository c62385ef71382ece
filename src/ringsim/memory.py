"""Say before it starts that a run does not fit into memory, rather than be killed in the middle of it."""

from collections.abc import Iterable

import numpy as np

from ringsim.catalogue import find
from ringsim.collectives import CollectiveError
from ringsim.question import Question, StudyError
from ringsim.schedule import Schedule
from ringsim.topology import GraphTopology, Topology

#: Bytes for each link and each row at the peak, measured with a million cards (`benchmarks/speed`), rounded up. With a
#: codec there are up to four rows more for each, which share memories, so that there is nothing to sweep.
LINK_BYTES = 60
ROW_BYTES = {"sweep": 400, "events": 1_000, "coded": 2_000}

#: Bytes for each transfer in the reference engine, which keeps an event for every one of them; and with a codec the
#: transfers for each of the schedule's, measured on rings, which have most.
TRANSFER_BYTES, CODED_TRANSFERS = 900, 2.5

#: Bytes for each firing of a sum that grows, which becomes a row, and for each unit that a firing moves, whose
#: contributors are counted; measured with rings and halving-doubling on up to 2,048 cards, rounded up.
FIRING_BYTES, MOVE_BYTES = 400, 50

#: Bytes for each link on the way of a row beyond the usual number, which only graphs have.
HOP_BYTES, USUAL_HOPS = 90, 8

#: Rows times cards from which it is worth asking how long the ways of a graph are.
LONG = 10_000_000

#: Runs that need less are not worth asking the machine.
SMALL = 1 << 30


class TooLargeError(StudyError):
    """A run that does not fit into memory."""


def estimate(question: Question, topology: Topology, names: Iterable[str]) -> float:
    """Bytes that the largest candidate among the algorithms `names` will need at its peak, roughly."""
    most = 0.0
    for name in names:
        algorithm = find(question.collective, name)
        try:
            rows = algorithm.rows(topology, question.rings or algorithm.channels(topology))
        except CollectiveError:
            continue  # that is said when it is laid
        coded = question.codec() is not None
        need = float(rows * ROW_BYTES["coded" if coded else "sweep" if name == "ring" else "events"])
        if rows * topology.cards > LONG and isinstance(topology, GraphTopology):
            need += rows * max(0.0, _hops(topology) - USUAL_HOPS) * HOP_BYTES
        if question.engine == "reference":
            firings = 2 * topology.cards * (question.slices or 1) if name == "ring" else question.chunks or 100
            need += rows * firings * TRANSFER_BYTES * (CODED_TRANSFERS if coded else 1)
        most = max(most, need)
    return most + topology.links * LINK_BYTES


def _hops(topology: GraphTopology) -> float:
    """Links on the way from one card to another, on average over a few."""
    source = np.repeat(np.arange(min(topology.cards, 16)), 64)
    target = np.arange(len(source)) * 7919 % topology.cards
    apart = source != target
    offsets, _ = topology.routes(source[apart], target[apart], 0 * source[apart])
    return float(np.diff(offsets).mean())


def check(question: Question, topology: Topology, names: Iterable[str]) -> None:
    """Refuse algorithms that do not fit.

    Raises
    ------
    TooLargeError
        Saying how much would be needed, how much there is and what needs less.
    """
    need = estimate(question, topology, names)
    _refuse(need, topology.cards, "fewer cards, `--algorithm ring` or `--rings 1` need less")


def check_growing(schedule: Schedule) -> None:
    """Refuse to add up sparse codes along a schedule where following how they grow does not fit.

    Raises
    ------
    TooLargeError
        As `check` does.
    """
    moves = float((schedule.span * schedule.count)[~schedule.joins].sum())
    need = schedule.transfers * FIRING_BYTES + moves * MOVE_BYTES
    _refuse(need, schedule.ranks, "fewer cards or rings need less, and `--algorithm gather-ring` adds nothing up")


def _refuse(need: float, cards: int, less: str) -> None:
    if need < SMALL:
        return
    import psutil

    free = psutil.virtual_memory().available
    if need > free:
        raise TooLargeError(
            f"cards = {cards}: needs about {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; {less}"
        )
