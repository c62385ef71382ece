"""What would have helped, found out by trying: every change is simulated, and the one that saves most is the cause."""

from collections.abc import Sequence
from dataclasses import dataclass

from ringsim.explain.changes import Change, changes
from ringsim.explain.command import command
from ringsim.explain.graphs import graph_changes
from ringsim.explain.subject import Subject, timed
from ringsim.fabric import FabricError
from ringsim.question import Question, StudyError
from ringsim.study import Progress
from ringsim.topology import TopologyError

#: A change that improves only a part of what another one does explains the run better if it saves this part as much.
AS_MUCH = 0.5


@dataclass(frozen=True)
class Cause:
    """A change, and what it brought.

    Attributes
    ----------
    change : Change
    time_us : float
        Of the changed run.
    saved : float
        Part of the time that is saved, negative if it takes longer.
    """

    change: Change
    time_us: float
    saved: float

    @property
    def question(self) -> Question:
        """The changed question."""
        return self.change.question

    @property
    def command(self) -> str | None:
        """The command line that gives `time_us`; None where only Python can ask for it."""
        return command(self.change.question)


def causes(subject: Subject, *, progress: Progress | None = None) -> tuple[Cause, ...]:
    """Simulate every change, best first.

    Changes that this cluster has no room for are left out.
    """
    tried = graph_changes(subject) if subject.question.graph is not None else changes(subject)
    found = []
    for change in tried:
        try:
            time_us = timed(change.question, progress=progress).best.time_us
        except (FabricError, TopologyError, StudyError):
            continue
        assert time_us is not None  # the only candidate is simulated
        found.append(Cause(change, time_us, 1 - time_us / subject.time_us))
    return _ordered(found)


def _ordered(found: Sequence[Cause]) -> tuple[Cause, ...]:
    """Sort by what is saved; but one slow NIC comes before the doubling of all NICs, if it explains half as much."""
    ranked = sorted(found, key=lambda cause: -cause.saved)
    if not ranked:
        return ()
    first = ranked[0]
    while first.saved > 0:
        closer = [
            cause for cause in ranked
            if cause.change.within(first.change) and cause.saved >= AS_MUCH * first.saved
        ]  # fmt: skip
        if not closer:
            break
        first = closer[0]
    return (first, *(cause for cause in ranked if cause is not first))
