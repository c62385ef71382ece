"""Algorithms by name, ours or from a file: whoever asks for one need not know which it is.

A schedule that somebody else wrote, or that our tuner exported, is timed like any of ours: ``--algorithm mine.xml``.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from ringsim.collectives import COLLECTIVES, Algorithm, CollectiveError
from ringsim.fabric import Fabric, Protocol
from ringsim.formats import load_schedule_file
from ringsim.schedule import EVERYONE, Ints, Schedule
from ringsim.schedule_file import ScheduleFileError
from ringsim.topology import Topology
from ringsim.values import ValuesError, prove

#: Who contributes to a block and who ends with it, by collective: every rank, one rank, or for each block another.
EVERY, ONE, EACH = "every", "one", "each"
KINDS = {
    "all-reduce": (EVERY, EVERY), "reduce-scatter": (EVERY, EACH), "all-gather": (EACH, EVERY),
    "broadcast": (ONE, EVERY), "reduce": (EVERY, ONE), "all-to-all": (EACH, EACH),
}  # fmt: skip

#: Schedules with at most so many sends are proved before they are timed.
FEW_SENDS = 100_000

#: What algorithms are called that gather codes and let everybody add them: an all-gather's name behind this.
GATHER = "gather-"

#: Endings of files that hold a schedule.
FILES = (".json", ".xml")


def is_file(name: str) -> bool:
    """Whether the name of an algorithm is that of a file."""
    return name.lower().endswith(FILES)


def find(collective: str, name: str) -> Algorithm:
    """Return the algorithm of that name.

    Parameters
    ----------
    collective : str
        A key of `COLLECTIVES`.
    name : str
        One of its algorithms, `GATHER` and one of an all-gather, or the path of a JSON schedule or an MSCCL XML file.

    Raises
    ------
    ScheduleFileError
        If the file holds no schedule, or one that is short enough to be proved and wrong.
    KeyError
        If there is no such algorithm.
    """
    if is_file(name):
        return _of_file(name, _digest(name), collective)
    if name.startswith(GATHER):
        return COLLECTIVES["all-gather"][name.removeprefix(GATHER)]
    return COLLECTIVES[collective][name]


def constants(sheet: Fabric, protocol: str, name: str) -> Protocol:
    """Return a protocol's constants for an algorithm, whatever moves in it.

    Raises
    ------
    FabricError
        If the fabric has no such protocol.
    """
    return sheet.protocol(protocol, name.removeprefix(GATHER))


def content(name: str) -> str:
    """SHA-256, in hex, of what a file says; empty for algorithms of ours."""
    return _digest(name) if is_file(name) else ""


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""  # whoever loads it says what is wrong


@lru_cache(maxsize=4)
def _of_file(path: str, digest: str, collective: str) -> Algorithm:
    schedule = load_schedule_file(path)
    kinds = _kind(schedule.begins), _kind(schedule.ends)
    if not path.lower().endswith(".xml") and float((schedule.span * schedule.count).sum()) <= FEW_SENDS:
        try:
            prove(schedule, patience=0.0)
        except ValuesError as error:
            raise ScheduleFileError(f"{path}: {error}; `ringsim verify` says more") from None

    def build(topology: Topology, channels: int, pieces: int) -> Schedule:
        if topology.cards != schedule.ranks:
            raise CollectiveError(f"it is for {schedule.ranks} ranks, and there are {topology.cards} cards")
        if kinds != KINDS[collective]:
            raise CollectiveError(f"it is no {collective}, as its begins and ends say; give its --collective")
        if schedule.places > topology.vertices[-1]:
            raise CollectiveError(f"it ends at vertex {schedule.places - 1}, and there are {topology.vertices[-1]}")
        return schedule

    return Algorithm(build, _one, lambda *_: schedule.rows, _one, "chunks", about=path)


def _kind(who: Ints) -> str:
    if (who == EVERYONE).all():
        return EVERY
    return ONE if len(np.unique(who)) == 1 else EACH


def _one(*_: object) -> int:
    return 1
