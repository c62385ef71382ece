"""What came out of training: how soon each codec has the loss that is to be reached, in epochs and in simulated time."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ringsim.training.clock import StepTime
from ringsim.training.plan import Plan
from ringsim.training.train import Epoch

#: Epochs to the target that differ by no more than this part count as the same. Ten runs without compression, from other
#: weights and with other batches, reach the loss of two thirds of 30 epochs after epochs that scatter by 2 to 7 % (one
#: standard deviation; tuned rates), and the ratio of two such runs does by √2 times as much.
TOLERANCE = 0.1


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
    ratio : float
        How many bytes of the small model's gradients become one.
    """

    compress: str
    epochs: tuple[Epoch, ...]
    step: StepTime
    warm: StepTime
    warm_steps: int
    ratio: float

    @property
    def diverged(self) -> bool:
        """Whether its loss ends above the one that it began with."""
        return not self.epochs[-1].loss <= self.epochs[0].loss

    def seconds(self, steps: float) -> float:
        """Simulated time of so many steps from the start."""
        warm = min(steps, self.warm_steps)
        return warm * self.warm.seconds + (steps - warm) * self.step.seconds

    def steps_to(self, loss: float) -> float | None:
        """Steps until the loss is no more than this for the first time, None if it never is.

        The loss is known after whole epochs; between two of them its logarithm is taken to follow a straight line.
        """
        for before, after in pairwise(self.epochs):
            if after.loss <= loss:
                fall = math.log(before.loss / after.loss) if after.loss > 0 else math.inf
                part = math.log(before.loss / loss) / fall if math.isfinite(fall) else 1.0
                return before.steps + part * (after.steps - before.steps)
        return None


@dataclass(frozen=True)
class Study:
    """What came out.

    Attributes
    ----------
    plan : Plan
    runs : tuple of Run
        The first is without compression.
    steps : int
        Of an epoch.
    target : float or None
        Loss to reach; None where training without compression does not learn.
    """

    plan: Plan
    runs: tuple[Run, ...]
    steps: int
    target: float | None

    def epochs_to_target(self, run: Run) -> float | None:
        """Epochs until a run has the target, None if it never has; see `Run.steps_to`."""
        steps = self._steps(run)
        return None if steps is None else steps / self.steps

    def seconds_to_target(self, run: Run) -> float | None:
        """Simulated time until a run has the target, None if it never has."""
        steps = self._steps(run)
        return None if steps is None else run.seconds(steps)

    def gain(self, run: Run) -> float | None:
        """How many times as soon as without compression a run has the target.

        Epochs that differ by no more than `TOLERANCE` from those without compression count as the same: what is left is the
        time of a step.
        """
        first, own = self._steps(self.runs[0]), self._steps(run)
        if first is None or own is None:
            return None
        counted = first if abs(own / first - 1) <= TOLERANCE else own
        return self.runs[0].seconds(first) / run.seconds(counted)

    def _steps(self, run: Run) -> float | None:
        return None if self.target is None else run.steps_to(self.target)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each run and epoch, for CSV; a run that has ended early has an infinite loss, other gaps are None."""
        plan, case = self.plan, self.runs[0].step.result.case
        same = {
            "task": plan.task, "optimizer": plan.optimizer, "rate": plan.learning_rate(), "workers": plan.workers,
            "batch": plan.batch, "warm_up": plan.warm_up, "through": plan.through, "seed": plan.seed,
            "fabric": case.fabric, "cards": case.cards, "model": plan.question.model,
        }  # fmt: skip
        return [
            same
            | {
                "compress": run.compress, "epoch": epoch.epoch, "steps": epoch.steps, "loss": epoch.loss,
                "accuracy": epoch.accuracy, "compute_us": run.step.compute * 1e6,
                "all_reduce_us": run.step.all_reduce * 1e6, "step_us": run.step.seconds * 1e6,
                "time_s": run.seconds(epoch.steps), "target_loss": self.target,
                "epochs_to_target": self.epochs_to_target(run), "seconds_to_target": self.seconds_to_target(run),
                "gain": self.gain(run),
            }
            for run in self.runs
            for epoch in run.epochs
        ]  # fmt: skip
