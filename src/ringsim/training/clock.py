"""What one step of training a large model takes: computing on a card, and the simulated all-reduce of its gradients."""

import math
from dataclasses import dataclass

from ringsim.gradients import MODELS, Model, model
from ringsim.question import Question
from ringsim.race import Notice, Progress
from ringsim.result import Result
from ringsim.study import answer
from ringsim.training.data import TrainingError
from ringsim.units import format_size

#: Part of a card's peak that large models reach: 38 to 43 % for Llama 3 405B (Dubey et al. 2024, arXiv 2407.21783), 42.2 %
#: for 7B on 512 H100 (github:mosaicml/llm-foundry scripts/train/benchmarking @8c8dd48f). None is published for 910B.
MFU = 0.4


@dataclass(frozen=True)
class Load:
    """What a card computes in a step.

    Attributes
    ----------
    batch : int or None
        Images or tokens; None for what is usual with the model.
    mfu : float
        Part of the card's peak that is reached (model FLOPs utilisation).
    peak : float or None
        Operations per second of the card, 16 bits wide; None for what the fabric's data sheet says.
    overlap : float
        Part of the computing under which an all-reduce can hide.
    """

    batch: int | None = None
    mfu: float = MFU
    peak: float | None = None
    overlap: float = 0.0

    def checked(self) -> "Load":
        """Return the load itself if there is any.

        Raises
        ------
        TrainingError
        """
        if self.batch is not None and self.batch < 1:
            raise TrainingError(f"batch = {self.batch}: at least 1 image or token on each card")
        if not 0 < self.mfu <= 1:
            raise TrainingError(f"mfu = {self.mfu:g}: a part of the peak, above 0 and at most 1")
        if self.peak is not None and not 0 < self.peak < math.inf:
            raise TrainingError(f"peak = {self.peak:g}: operations per second, above 0")
        if not 0 <= self.overlap <= 1:
            raise TrainingError(f"overlap = {self.overlap:g}: a part of the computing, from 0 to 1")
        return self


@dataclass(frozen=True)
class StepTime:
    """Where the time of a step goes, in seconds.

    Attributes
    ----------
    compute, all_reduce : float
    hidden : float
        Of the all-reduce, under the computing.
    peak : float
        Operations per second of the card.
    result : Result
        The all-reduce.
    """

    compute: float
    all_reduce: float
    hidden: float
    peak: float
    result: Result

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.compute + self.all_reduce - self.hidden


def step_seconds(
    question: Question, load: Load, *, progress: Progress | None = None, notice: Notice | None = None
) -> StepTime:
    """Simulate one step: every card computes, then gradients are summed, with the codec of the question.

    Parameters
    ----------
    question : Question
        With a model.
    load : Load
    progress, notice
        As for `answer`.

    Raises
    ------
    TrainingError
        If the load is wrong, or the question has no model.
    StudyError, FabricError, TopologyError
        As `answer` does.
    """
    load.checked()
    if question.model is None:
        raise TrainingError(f"model is missing: the clock is that of one of {', '.join(MODELS)}")
    found = answer(question, progress=progress, notice=notice)
    best, large, card = found.best, model(question.model), found.fabric.card
    if best.case.bytes > card.memory and notice is not None:
        size, room = format_size(best.case.bytes), format_size(card.memory)
        notice(
            f"gradients of {size} do not fit in the {room} of one {card.name}; the clock takes them to be sent in parts"
        )
    assert best.time_us is not None
    peak = card.fp16_tflops * 1e12 if load.peak is None else load.peak
    compute = large.flops * batch(large, load) / (load.mfu * peak)
    all_reduce = best.time_us * 1e-6
    return StepTime(compute, all_reduce, min(all_reduce, load.overlap * compute), peak, best)


def batch(large: Model, load: Load) -> int:
    """Images or tokens of a card in a step."""
    return large.batch if load.batch is None else load.batch
