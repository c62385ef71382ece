"""For one run: what its time is made of, and what would help.

`explain` answers a question, times the best candidate again firing by firing, walks its critical path (`path`), and then
tries what could be better (`changes`, `graphs`), one thing at a time (`causes`). Nothing is guessed: a cause is what the
largest saving says, and each saving is the answer to a question that anybody can ask.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from ringsim.explain.causes import Cause, causes
from ringsim.explain.graphs import save_graph
from ringsim.explain.subject import Subject, examine
from ringsim.fabric import Fabric
from ringsim.question import Question, StudyError
from ringsim.study import Notice, Progress, answer

__all__ = ["Cause", "Explanation", "Subject", "explain", "kept"]


@dataclass(frozen=True)
class Explanation:
    """What was found.

    Attributes
    ----------
    subject : Subject
        The run, its program and its critical path.
    causes : tuple of Cause
        Changes that were tried; the first one is the cause.
    """

    subject: Subject
    causes: tuple[Cause, ...]

    @property
    def graph(self) -> int | None:
        """Which of the causes is the first that changes the graph; None where none does."""
        graph = self.subject.question.graph
        return next((i for i, cause in enumerate(self.causes) if cause.question.graph is not graph), None)


def explain(question: Question, *, progress: Progress | None = None, notice: Notice | None = None) -> Explanation:
    """Say what the fastest candidate's time is made of, and what would help.

    Parameters
    ----------
    question : Question
        With the fabric by name or path: its numbers are changed.
    progress, notice : callable or None
        As in `ringsim.study.answer`.

    Raises
    ------
    FabricError, TopologyError, StudyError
        As in `answer`; if the fabric is an object; and if the program is too large for its deliveries to be kept.
    """
    if isinstance(question.fabric, Fabric):
        raise StudyError("fabric: give its name or its file; what would help is found by changing its numbers")
    found = answer(question, progress=progress, notice=notice)
    subject = examine(question, found, progress=progress, notice=notice)
    return Explanation(subject, causes(subject, progress=progress))


def kept(explanation: Explanation, target: str | Path) -> Explanation:
    """Write the changed graph that helps most to a file, and let its cause ask for that file.

    Raises
    ------
    StudyError
        If no cause changes the graph, or it cannot be written.
    """
    which = explanation.graph
    if which is None:
        raise StudyError("save-graph: there is no changed graph; only a cluster that is a graph has one")
    cause = explanation.causes[which]
    try:
        save_graph(cause.question.graph, target)
    except OSError as error:
        raise StudyError(f"save-graph = {target}: cannot be written: {error.strerror or error}") from error
    change = replace(cause.change, question=replace(cause.question, graph=str(target)))
    causes = list(explanation.causes)
    causes[which] = replace(cause, change=change)
    return replace(explanation, causes=tuple(causes))
