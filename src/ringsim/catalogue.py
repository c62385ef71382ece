"""Algorithms by name, ours or from a file: whoever asks for one need not know which it is.

A schedule that somebody else wrote, or that our tuner exported, is timed like any of ours: ``--algorithm mine.xml``.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

from ringsim.collectives import COLLECTIVES, Algorithm, CollectiveError
from ringsim.formats import load_schedule_file
from ringsim.schedule import EVERYONE, Schedule
from ringsim.topology import Topology

#: Collectives to which every rank contributes, and those from which every rank gets everything.
FROM_ALL, TO_ALL = ("all-reduce", "reduce-scatter", "reduce"), ("all-reduce", "all-gather", "broadcast")

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
        One of its algorithms, or the path of a JSON schedule or an MSCCL XML file.

    Raises
    ------
    ScheduleFileError
        If the file holds no schedule.
    KeyError
        If there is no such algorithm.
    """
    return _of_file(name, _digest(name), collective) if is_file(name) else COLLECTIVES[collective][name]


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
    every = (schedule.begins == EVERYONE).all(), (schedule.ends == EVERYONE).all()

    def build(topology: Topology, channels: int, pieces: int) -> Schedule:
        if topology.cards != schedule.ranks:
            raise CollectiveError(f"it is for {schedule.ranks} ranks, and there are {topology.cards} cards")
        if every != (collective in FROM_ALL, collective in TO_ALL):
            raise CollectiveError(f"it is no {collective}, as its begins and ends say; give its --collective")
        if schedule.places > topology.vertices[-1]:
            raise CollectiveError(f"it ends at vertex {schedule.places - 1}, and there are {topology.vertices[-1]}")
        return schedule

    return Algorithm(build, _one, lambda *_: schedule.rows, _one, "chunks", about=path)


def _one(*_: object) -> int:
    return 1
