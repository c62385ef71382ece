"""Train with and without codecs, with the clock of a large model on a simulated cluster."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ringsim.codecs import CodecError, parse
from ringsim.question import Question
from ringsim.training.clock import Load, StepTime, step_seconds
from ringsim.training.data import TASKS, Task, TrainingError
from ringsim.training.optimizers import NAMES, RATES, optimizer
from ringsim.training.train import Epoch, Setup, train

#: What a step of a question with a load takes.
Clock = Callable[[Question, Load], StepTime]

#: What is compared if nobody says otherwise.
CODECS = (
    "int8",
    "topk:0.01",
    "error_feedback(topk:0.01)",
    "sign",
    "error_feedback(sign)",
    "error_feedback(powersgd:2)",
)

#: The loss to reach is what training without compression has after this part of its epochs.
TARGET = 2 / 3


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
    workers, batch, epochs, warm_up, seed, algorithm
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
    algorithm: str = "one-shot"

    @property
    def specs(self) -> tuple[str, ...]:
        """No compression, then every codec once, parameters written out.

        Raises
        ------
        TrainingError
        """
        try:
            return ("none", *dict.fromkeys(parse(spec).spec for spec in self.codecs if spec != "none"))
        except CodecError as error:
            raise TrainingError(f"compress = {error}") from error

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
        if self.rate is not None and not self.rate > 0:
            raise TrainingError(f"rate = {self.rate:g}: above 0")
        return RATES[self.task, self.optimizer] if self.rate is None else self.rate

    def setup(self, spec: str) -> Setup:
        """How to train with a codec."""
        return Setup(
            optimizer(self.optimizer, self.learning_rate(), spec), self.workers, self.batch, self.epochs,
            self.warm_up, self.algorithm, self.seed,
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One training run and its clock.

    Attributes
    ----------
    compress : str
        Spec of the codec, ``none`` for none.
    epochs : tuple of Epoch
    step, warm : StepTime
        Of a step, and of one in the warm-up.
    warm_steps : int
    """

    compress: str
    epochs: tuple[Epoch, ...]
    step: StepTime
    warm: StepTime
    warm_steps: int

    @property
    def diverged(self) -> bool:
        """Whether it ended because its gradients grew without bound."""
        return not math.isfinite(self.epochs[-1].loss)

    def seconds(self, epoch: Epoch) -> float:
        """Simulated time from the start to the end of an epoch."""
        warm = min(epoch.steps, self.warm_steps)
        return warm * self.warm.seconds + (epoch.steps - warm) * self.step.seconds

    def reaches(self, loss: float) -> Epoch | None:
        """First epoch after which the loss is no more than this."""
        return next((epoch for epoch in self.epochs if epoch.loss <= loss), None)


@dataclass(frozen=True)
class Study:
    """What came out.

    Attributes
    ----------
    plan : Plan
    runs : tuple of Run
        The first is without compression.
    target : float
        Loss to reach.
    target_epoch : int
        After which the first run has it.
    """

    plan: Plan
    runs: tuple[Run, ...]
    target: float
    target_epoch: int

    def seconds_to_target(self, run: Run) -> float | None:
        """Simulated time to the target; None for a run that does not get there."""
        epoch = run.reaches(self.target)
        return None if epoch is None else run.seconds(epoch)

    def gain(self, run: Run) -> float | None:
        """How many times as soon as without compression it is there."""
        own, first = self.seconds_to_target(run), self.seconds_to_target(self.runs[0])
        return first / own if own and first else None

    def rows(self) -> list[dict[str, Any]]:
        """One row for each run and epoch, for CSV."""
        plan = self.plan
        same = {
            "task": plan.task, "optimizer": plan.optimizer, "rate": plan.learning_rate(), "workers": plan.workers,
            "batch": plan.batch, "warm_up": plan.warm_up, "algorithm": plan.algorithm, "seed": plan.seed,
            "fabric": self.runs[0].step.result.case.fabric, "cards": self.runs[0].step.result.case.cards,
            "model": plan.question.model,
        }  # fmt: skip
        return [
            same
            | {
                "compress": run.compress, "epoch": epoch.epoch, "steps": epoch.steps, "loss": epoch.loss,
                "accuracy": epoch.accuracy, "compute_us": run.step.compute * 1e6,
                "all_reduce_us": run.step.all_reduce * 1e6, "step_us": run.step.seconds * 1e6,
                "time_s": run.seconds(epoch), "target_loss": self.target,
            }
            for run in self.runs
            for epoch in run.epochs
        ]  # fmt: skip


def converge(plan: Plan, *, steps: Callable[[int, int, str], None] | None = None, clock: Clock = step_seconds) -> Study:
    """Train without compression and with every codec.

    Parameters
    ----------
    plan : Plan
    steps : callable or None
        Called with pieces of work done, pieces in all, and what is being done.
    clock : callable
        Says what a step takes.

    Raises
    ------
    TrainingError
        The plan is wrong, or scikit-learn is missing.
    StudyError, FabricError, TopologyError
        The question is.
    """
    specs = plan.specs
    setups = {spec: plan.setup(spec) for spec in specs}
    plan.load.checked()
    if plan.epochs < 1:
        raise TrainingError(f"epochs = {plan.epochs}: at least 1")
    task = TASKS[plan.task](plan.seed)
    total, done = len(specs) * (1 + plan.epochs), 0
    runs: list[Run] = []

    def tell(ahead: int, what: str) -> None:
        if steps is not None:
            steps(done + ahead, total, what)

    for spec in specs:
        tell(0, f"simulating {spec}")
        step = clock(replace(plan.question, compress=spec), plan.load)
        epochs = _trained(task, setups[spec], spec, tell)
        warm = 0 if spec == "none" else plan.warm_up * epochs[1].steps
        runs.append(Run(spec, epochs, step, runs[0].step if runs else step, warm))
        done += 1 + plan.epochs
    return Study(plan, tuple(runs), *_target(runs[0].epochs))


def _trained(task: Task, setup: Setup, spec: str, tell: Callable[[int, str], None]) -> tuple[Epoch, ...]:
    codec = None if spec == "none" else parse(spec)
    return train(task, setup, codec, progress=lambda epoch: tell(1 + epoch, f"training {spec}"))


def _target(epochs: Sequence[Epoch]) -> tuple[float, int]:
    """Loss to reach, and after how many epochs the run without compression has it for the first time."""
    wanted = epochs[min(len(epochs) - 1, round(TARGET * (len(epochs) - 1)))].loss
    return wanted, next(epoch.epoch for epoch in epochs if epoch.loss <= wanted)
