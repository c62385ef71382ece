"""The run that is explained, with everything that can be asked of it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ringsim.candidates import Layouts, pinned, program_of
from ringsim.catalogue import GATHER, constants, find
from ringsim.codecs import Codec, parse
from ringsim.collectives import Algorithm
from ringsim.engines.compiled.recording import RecordError, deliveries
from ringsim.explain.path import Path, critical_path
from ringsim.explain.rows import Rows, rows_of
from ringsim.fabric import Fabric, Protocol
from ringsim.program import Program
from ringsim.question import Question, StudyError
from ringsim.race import Timer, Track, fastest, race
from ringsim.result import Case
from ringsim.schedule import Schedule
from ringsim.study import Answer, Notice, Progress, cluster
from ringsim.topology import Topology

Floats = NDArray[np.float64]

#: A link cannot be busy for longer than the run, but sums of floats may say so.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Subject:
    """One candidate of an answer, the fastest, laid out and timed firing by firing.

    Attributes
    ----------
    question : Question
        Asks for exactly this candidate.
    answer : Answer
    schedule : Schedule
    program : Program
    rows : Rows
        What the program's are.
    path : Path
        Its critical path.
    """

    question: Question
    answer: Answer
    schedule: Schedule
    program: Program
    rows: Rows
    path: Path

    @property
    def case(self) -> Case:
        """What was simulated."""
        return self.answer.best.case

    @property
    def topology(self) -> Topology:
        """The cluster."""
        return self.answer.topology

    @property
    def sheet(self) -> Fabric:
        """The data sheet, changes included."""
        return self.answer.fabric

    @property
    def algorithm(self) -> Algorithm:
        """How it was built."""
        return find(self.case.collective, self.case.algorithm)

    @property
    def protocol(self) -> Protocol:
        """The constants that were used."""
        return constants(self.sheet, self.case.protocol, self.case.algorithm)

    @property
    def codec(self) -> Codec | None:
        """What encodes the gradients, None for nothing."""
        return parse(self.case.compress) if self.case.compress else None

    @property
    def time_us(self) -> float:
        """The time that is explained, in microseconds."""
        assert self.answer.best.time_us is not None
        return self.answer.best.time_us

    @cached_property
    def busy(self) -> Floats:
        """Part of the run for which each link is kept busy, shape ``[links]``, limits that rows share behind them."""
        part = self.program.load() / self.program.bandwidth / (self.time_us / 1e6)
        return np.asarray(np.where(part < 1 + ROUNDING, np.minimum(part, 1.0), part))

    @cached_property
    def carried(self) -> Floats:
        """Bytes over each of them."""
        program = self.program
        sent = program.bytes if program.padding is None else program.bytes - program.padding
        return replace(program, bytes=np.where(self.rows.works, program.bytes, sent)).load()


def timed(question: Question, *, progress: Progress | None = None) -> Answer:
    """Answer a question, but for how true the sum is that a codec leaves: that takes a while and changes no time.

    Raises
    ------
    FabricError, TopologyError, StudyError
        As `ringsim.study.answer` does.
    """
    topology, timer = cluster(question), Timer()
    results = race(question, Track(topology, timer, progress=progress))
    best = fastest(results)
    assert best is not None  # the first candidate is always simulated
    return Answer(best, tuple(results), topology, timer.spent)


def examine(
    question: Question, answer: Answer, *, progress: Progress | None = None, notice: Notice | None = None
) -> Subject:
    """Time the best candidate of an answer firing by firing.

    Raises
    ------
    StudyError
        If its deliveries are too many to be kept.
    """
    case, layouts, timer = answer.best.case, Layouts(), Timer()
    program = program_of(case, answer.topology, timer, layouts)
    schedule, _ = layouts.get(case, answer.topology, timer)
    report = (lambda done: progress(case, done, program.transfers)) if progress else None
    try:
        times = deliveries(program, progress=report, notice=notice)
    except RecordError as error:
        raise StudyError(f"{case.algorithm} on {case.cards:,} cards: {error}") from error
    protocol = constants(answer.fabric, case.protocol, case.algorithm)
    rows = rows_of(program, schedule, _rounds(question, case))
    path = critical_path(program, rows, answer.topology, protocol, times)
    kept = pinned(question, case)
    if question.placement == "tour" and answer.topology.placement is not None:
        # On other hardware another tour would be found.
        kept = replace(kept, placement=tuple(answer.topology.placement.tolist()))
    return Subject(kept, answer, schedule, program, rows, path)


def _rounds(question: Question, case: Case) -> int:
    """How often a schedule is gone through."""
    return 1 if case.algorithm.startswith(GATHER) else len(question.code_rounds())
