"""Data-parallel training with as many real workers as asked for: who computes what, who sends what, who learns what.

Every worker has a share of the examples of its own and sees a batch of it in each step. All start from the same weights
and apply the same mean, so one copy of the weights stands for theirs.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringsim.codecs import Codec
from ringsim.training.data import Task, TrainingError
from ringsim.training.net import Tensors
from ringsim.training.optimizers import Optimizer, start
from ringsim.training.reducing import Compressed, plain, schedule

#: A gradient, or a mean that a codec has made, so many times as large as the smallest gradient so far means that a run has
#: diverged for good: it ends there, before numbers overflow.
DIVERGED = 1e6


@dataclass(frozen=True)
class Setup:
    """How to train.

    Attributes
    ----------
    workers : int
    batch : int
        Examples of each worker in a step.
    epochs : int
    optimizer : Optimizer
    warm_up : int
        First epochs, in which nothing is compressed.
    through : str
        All-reduce among the workers. One-shot encodes every message once; two-shot, or a ring, encodes sums again on their
        way, without a memory of what that loses.
    seed : int
        Of weights, batches and codecs.
    """

    optimizer: Optimizer
    workers: int = 8
    batch: int = 16
    epochs: int = 30
    warm_up: int = 0
    through: str = "one-shot"
    seed: int = 0

    def checked(self) -> "Setup":
        """Return the setup itself if one can train like that.

        Raises
        ------
        TrainingError
        """
        if self.seed < 0:
            raise TrainingError(f"seed = {self.seed}: 0 or more")
        if self.epochs < 1:
            raise TrainingError(f"epochs = {self.epochs}: at least 1")
        if self.workers < 2:
            raise TrainingError(f"workers = {self.workers}: data-parallel training has at least 2")
        if self.batch < 1:
            raise TrainingError(f"batch = {self.batch}: at least 1 example")
        if not 0 <= self.warm_up <= self.epochs:
            raise TrainingError(f"warm-up = {self.warm_up}: between 0 and {self.epochs} epochs")
        return self

    def steps(self, task: Task) -> int:
        """Steps of an epoch: batches that a worker's share makes.

        Raises
        ------
        TrainingError
            If it makes none.
        """
        examples = len(task.x)
        if found := examples // self.workers // self.batch:
            return found
        fitting = examples // self.batch
        if fitting < 2:
            raise TrainingError(f"batch = {self.batch}: {examples} examples are at most {examples // 2} for 2 workers")
        raise TrainingError(
            f"workers = {self.workers}: {examples} examples are enough for {fitting} workers with a batch of "
            f"{self.batch} each"
        )


@dataclass(frozen=True)
class Epoch:
    """What the weights are worth after an epoch; epoch 0 is before the first step.

    Attributes
    ----------
    epoch, steps : int
    loss : float
        On all examples to train on, above the least that there is where that is known.
    accuracy : float or None
        On the examples to test on; None where there are no classes.
    """

    epoch: int
    steps: int
    loss: float
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Step:
    """What happened in a step, for whoever looks on: gradients have shapes ``[workers, ...]``."""

    step: int
    weights: Tensors
    gradients: Tensors


def train(
    task: Task, setup: Setup, codec: Codec | None = None, *,
    progress: Callable[[int], None] | None = None, watch: Callable[[Step], None] | None = None,
) -> tuple[Epoch, ...]:  # fmt: skip
    """Train, and evaluate after every epoch.

    Parameters
    ----------
    task : Task
    setup : Setup
    codec : Codec or None
        None for no compression.
    progress : callable or None
        Called with the number of epochs done.
    watch : callable or None
        Shown every step, before the weights change.

    Returns
    -------
    tuple of Epoch
        One more than there are epochs. A run whose gradients grow without bound ends with the epoch in which they do, its
        loss infinite; no loss is NaN.

    Raises
    ------
    TrainingError
        If the task cannot be trained with this setup, or there is no such all-reduce.
    """
    found: list[Epoch] = []
    setup.checked().steps(task)
    # Where numbers overflow the run has diverged, and its last epoch says so.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for epoch in _epochs(task, setup, codec, watch):
            found.append(epoch)
            if progress is not None and epoch.epoch:
                progress(epoch.epoch)
    return tuple(found)


def _epochs(task: Task, setup: Setup, codec: Codec | None, watch: Callable[[Step], None] | None) -> Iterator[Epoch]:
    """Every epoch as it is done."""
    net, limit = task.net, np.inf
    weights = net.init(setup.seed)
    memory = start(weights)
    reduce = None if codec is None else Compressed(codec, schedule(setup.workers, setup.through))
    states = reduce.init(net.shapes, setup.seed) if reduce else ()
    yield _evaluated(task, weights, 0, 0)
    for epoch in range(1, setup.epochs + 1):
        compressed = reduce is not None and epoch > setup.warm_up
        for rows in _batches(task, setup, epoch):
            gradients = net.gradients(weights, task.x[rows], task.y[rows])
            size = _largest(gradients)
            if not size <= limit:
                yield Epoch(epoch, memory.step, math.inf, None)
                return
            limit = min(limit, DIVERGED * size)
            if watch is not None:
                watch(Step(memory.step, weights, gradients))
            messages = setup.optimizer.message(gradients, memory, compressed)
            mean: Tensors
            if reduce is not None and compressed:
                mean, states = reduce(messages, states)
            else:
                mean = plain(messages)
            if not _largest(mean) <= limit:
                yield Epoch(epoch, memory.step, math.inf, None)
                return
            weights, memory = setup.optimizer.update(weights, mean, memory, compressed)
        done = _evaluated(task, weights, epoch, memory.step)
        yield done
        if not math.isfinite(done.loss):
            return


def _batches(task: Task, setup: Setup, epoch: int) -> NDArray[np.int64]:
    """Rows of every step of an epoch, shape ``[steps, workers, batch]``: each worker's own share, in a new order.

    Shares are consecutive rows, for tasks are shuffled already.
    """
    each, steps = len(task.x) // setup.workers, setup.steps(task)
    shares = np.arange(setup.workers * each).reshape(setup.workers, each)
    order = np.random.default_rng([setup.seed, 2, epoch - 1]).permuted(shares, axis=1)
    return np.swapaxes(order[:, : steps * setup.batch].reshape(setup.workers, steps, setup.batch), 0, 1)


def _largest(tensors: Tensors) -> float:
    """Largest magnitude, NaN where there is any."""
    return float(np.max([np.abs(tensor).max() for tensor in tensors]))


def _evaluated(task: Task, weights: Tensors, epoch: int, steps: int) -> Epoch:
    loss, _ = task.net.evaluate(weights, task.x, task.y)
    if not math.isfinite(loss):
        return Epoch(epoch, steps, math.inf, None)
    _, accuracy = task.net.evaluate(weights, task.x_test, task.y_test)
    return Epoch(epoch, steps, loss - task.floor, accuracy)
