"""Data-parallel training with as many real workers as asked for: who computes what, who sends what, who learns what.

Every worker has a share of the examples of its own and sees a batch of it in each step. All start from the same weights
and apply the same mean, so one copy of the weights stands for theirs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringsim.codecs import Codec
from ringsim.training.data import Task, TrainingError
from ringsim.training.net import Tensors
from ringsim.training.optimizers import Optimizer, start
from ringsim.training.reducing import Compressed, plain, schedule

#: A gradient so many times as large as the smallest so far means that the run has diverged.
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
    algorithm : str
        All-reduce among the workers. One-shot encodes every message once; two-shot, or a ring, encodes sums again on their
        way, without a memory of what that loses.
    seed : int
        Of weights, shares, batches and codecs.
    """

    optimizer: Optimizer
    workers: int = 8
    batch: int = 16
    epochs: int = 30
    warm_up: int = 0
    algorithm: str = "one-shot"
    seed: int = 0


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
        One more than there are epochs. A run that diverges ends with the epoch in which it does, its loss infinite.

    Raises
    ------
    TrainingError
        If there are not enough examples for so many workers.
    """
    net, seed = task.net, setup.seed
    shares = _shares(task, setup)
    weights, limit = net.init(seed), np.inf
    memory = start(weights)
    reduce = None if codec is None else Compressed(codec, schedule(setup.workers, setup.algorithm))
    states = reduce.init(net.shapes, seed) if reduce else ()
    epochs = [_evaluated(task, weights, 0, 0)]
    for epoch in range(setup.epochs):
        compressed = reduce is not None and epoch >= setup.warm_up
        for rows in _batches(shares, setup, epoch):
            gradients = net.gradients(weights, task.x[rows], task.y[rows])
            size = max(float(np.abs(g).max()) for g in gradients)
            if not size <= limit:
                return (*epochs, Epoch(epoch + 1, memory.step, math.inf, None))
            limit = min(limit, DIVERGED * size)
            if watch is not None:
                watch(Step(memory.step, weights, gradients))
            messages = setup.optimizer.message(gradients, memory, compressed)
            mean: Tensors
            if reduce is not None and compressed:
                mean, states = reduce(messages, states)
            else:
                mean = plain(messages)
            weights, memory = setup.optimizer.update(weights, mean, memory, compressed)
        epochs.append(_evaluated(task, weights, epoch + 1, memory.step))
        if progress is not None:
            progress(epoch + 1)
    return tuple(epochs)


def steps_per_epoch(task: Task, setup: Setup) -> int:
    """Batches that a worker's share makes."""
    return len(task.x) // setup.workers // setup.batch


def _shares(task: Task, setup: Setup) -> NDArray[np.int64]:
    """Rows of each worker, shape ``[workers, examples]``: the tasks are shuffled already."""
    if setup.workers < 2:
        raise TrainingError(f"workers = {setup.workers}: data-parallel training has at least 2")
    if setup.batch < 1:
        raise TrainingError(f"batch = {setup.batch}: at least 1 example")
    if not 0 <= setup.warm_up <= setup.epochs:
        raise TrainingError(f"warm-up = {setup.warm_up}: between 0 and {setup.epochs} epochs")
    if not steps_per_epoch(task, setup):
        raise TrainingError(
            f"workers = {setup.workers}: {len(task.x)} examples are enough for {len(task.x) // setup.batch} workers "
            f"with a batch of {setup.batch} each"
        )
    each = len(task.x) // setup.workers
    return np.arange(setup.workers * each).reshape(setup.workers, each)


def _batches(shares: NDArray[np.int64], setup: Setup, epoch: int) -> NDArray[np.int64]:
    """Rows of every step of an epoch, shape ``[steps, workers, batch]``, each worker's share in a new order."""
    order = np.random.default_rng([setup.seed, 2, epoch]).permuted(shares, axis=1)
    steps = shares.shape[1] // setup.batch
    used = order[:, : steps * setup.batch].reshape(len(shares), steps, setup.batch)
    return np.swapaxes(used, 0, 1)


def _evaluated(task: Task, weights: Tensors, epoch: int, steps: int) -> Epoch:
    loss, _ = task.net.evaluate(weights, task.x, task.y)
    _, accuracy = task.net.evaluate(weights, task.x_test, task.y_test)
    return Epoch(epoch, steps, loss - task.floor, accuracy)
