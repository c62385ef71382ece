"""The mean of all workers' messages, tensor by tensor, through a real codec and a real schedule."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ringsim import fabric, topology
from ringsim.codecs import Codec, State
from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.schedule import Schedule
from ringsim.training.data import TrainingError
from ringsim.training.net import Tensors
from ringsim.values.coded import all_reduce


@cache
def schedule(workers: int, through: str) -> Schedule:
    """An all-reduce of so many ranks that all see each other.

    Parameters
    ----------
    workers : int
    through : str
        Name of an algorithm.

    Raises
    ------
    TrainingError
        If there is no algorithm of this name, or it cannot do with so many workers.
    """
    known = COLLECTIVES["all-reduce"]
    if through not in known:
        raise TrainingError(f"through = {through}: one of {', '.join(known)}")
    cards = topology.build(fabric.load("hccs"), workers, domain="all")
    try:
        return known[through].build(cards, 1, 1)
    except CollectiveError as error:
        raise TrainingError(f"through = {through}: {error}") from error


@dataclass(frozen=True)
class Compressed:
    """All-reduce through a codec, which keeps a state for each tensor.

    Attributes
    ----------
    codec : Codec
    schedule : Schedule
    """

    codec: Codec
    schedule: Schedule

    @property
    def workers(self) -> int:
        """Ranks of the schedule."""
        return self.schedule.ranks

    def init(self, shapes: Sequence[tuple[int, ...]], seed: int) -> tuple[State, ...]:
        """State of every tensor before the first step.

        Tensors keep their sides: PowerSGD makes a matrix of a bare number of elements, and sends biases and columns as they
        are.
        """
        return tuple(
            self.codec.init(shape, messages=self.workers, seed=seed * len(shapes) + k)
            for k, shape in enumerate(shapes)
        )  # fmt: skip

    def __call__(self, messages: Tensors, states: tuple[State, ...]) -> tuple[Tensors, tuple[State, ...]]:
        """Mean of the messages, as every rank has it.

        Raises
        ------
        AssertionError
            If ranks end with different sums, which would be a mistake of ours.
        """
        means, after = [], []
        for message, state in zip(messages, states, strict=True):
            flat = np.ascontiguousarray(message.reshape(self.workers, -1))
            sums, state = all_reduce(self.schedule, flat, self.codec, state)
            assert (sums == sums[0]).all(), f"{self.codec.spec}: ranks disagree about the sum"
            means.append(sums[0].reshape(message.shape[1:]) / np.float32(self.workers))
            after.append(state)
        return tuple(means), tuple(after)


def ratio(codec: Codec, shapes: Sequence[tuple[int, ...]]) -> float:
    """How many bytes of these tensors become one."""
    return sum(4 * math.prod(shape) for shape in shapes) / sum(codec.wire_bytes(shape) for shape in shapes)


def plain(messages: Tensors) -> Tensors:
    """Mean of the messages, uncompressed."""
    return tuple(message.mean(axis=0) for message in messages)
