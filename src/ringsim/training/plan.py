"""What to train, with which codecs, and whose clock it has."""

import math
from dataclasses import dataclass, field

from ringsim.codecs import Codec, CodecError, parse
from ringsim.question import Question
from ringsim.training.clock import Load
from ringsim.training.data import TASKS, TrainingError
from ringsim.training.optimizers import NAMES, RATES, optimizer
from ringsim.training.train import Setup

#: What is compared if nobody says otherwise.
CODECS = (
    "int8",
    "topk:0.01",
    "error_feedback(topk:0.01)",
    "sign",
    "error_feedback(sign)",
    "error_feedback(powersgd:2)",
)


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Attributes
    ----------
    question : Question
        The cluster and the model whose gradients are summed on it; its codec is not looked at.
    load : Load
    task, optimizer : str
        Keys of `TASKS`, and one of `NAMES`.
    rate : float or None
        Of learning; None for the one that was tuned.
    codecs : tuple of str
        Specs, next to no compression.
    workers, batch, epochs, warm_up, seed, through
        As for `Setup`.
    """

    question: Question
    load: Load = field(default_factory=Load)
    task: str = "digits"
    optimizer: str = "sgd"
    rate: float | None = None
    codecs: tuple[str, ...] = CODECS
    workers: int = 8
    batch: int = 16
    epochs: int = 30
    warm_up: int = 0
    seed: int = 0
    through: str = "one-shot"

    def learning_rate(self) -> float:
        """The one that is given, or the tuned one.

        Raises
        ------
        TrainingError
        """
        if self.task not in TASKS:
            raise TrainingError(f"task = {self.task}: one of {', '.join(TASKS)}")
        if self.optimizer not in NAMES:
            raise TrainingError(f"optimizer = {self.optimizer}: one of {', '.join(NAMES)}")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise TrainingError(f"rate = {self.rate:g}: a number above 0, such as {RATES[self.task, self.optimizer]:g}")
        return RATES[self.task, self.optimizer] if self.rate is None else self.rate

    def entrants(self) -> dict[str, Codec | None]:
        """No compression, then every codec once, by specs with all parameters written out.

        Raises
        ------
        TrainingError
        """
        try:
            codecs = [parse(spec) for spec in self.codecs if spec != "none"]
        except CodecError as error:
            raise TrainingError(f"compress = {error}") from error
        return {"none": None} | {codec.spec: codec for codec in codecs}

    def setup(self, spec: str) -> Setup:
        """How to train with a codec.

        Raises
        ------
        TrainingError
        """
        return Setup(
            optimizer(self.optimizer, self.learning_rate(), spec), self.workers, self.batch, self.epochs,
            self.warm_up, self.through, self.seed,
        )  # fmt: skip
