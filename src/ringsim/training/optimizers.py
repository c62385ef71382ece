"""How weights follow gradients, and what of it a worker sends: the gradient, or the momentum that it leads to."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ringsim.training.data import TrainingError
from ringsim.training.net import Tensors


class Memory(NamedTuple):
    """What an optimiser remembers, the same on every worker.

    Attributes
    ----------
    step : int
        Steps done.
    first, second : Tensors
        Running means of gradients and of their squares.
    counted : int
        Steps that `second` has seen.
    """

    step: int
    first: Tensors
    second: Tensors
    counted: int


def start(weights: Tensors) -> Memory:
    """Remember nothing yet."""
    zeros = tuple(np.zeros_like(w) for w in weights)
    return Memory(0, zeros, zeros, 0)


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent, with momentum (Polyak 1964) if asked for.

    Attributes
    ----------
    rate, momentum : float
    """

    rate: float
    momentum: float = 0.0

    def message(self, gradients: Tensors, memory: Memory, compressed: bool) -> Tensors:
        """What each worker sends: its gradient."""
        del memory, compressed
        return gradients

    def update(self, weights: Tensors, mean: Tensors, memory: Memory, compressed: bool) -> tuple[Tensors, Memory]:
        """Take one step, with the mean of what workers sent."""
        del compressed
        first = tuple(np.float32(self.momentum) * m + g for m, g in zip(memory.first, mean, strict=True))
        weights = tuple(w - np.float32(self.rate) * m for w, m in zip(weights, first, strict=True))
        return weights, memory._replace(step=memory.step + 1, first=first)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), and 1-bit Adam (Tang et al. 2021, arXiv 2102.02888).

    Attributes
    ----------
    rate, beta1, beta2, epsilon : float
    freeze : bool
        1-bit Adam: as soon as messages are compressed the second moment stays as it is, and workers send the momentum
        that their own gradient makes of the common one.
    """

    rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    freeze: bool = False

    def message(self, gradients: Tensors, memory: Memory, compressed: bool) -> Tensors:
        """What each worker sends: its gradient, or its momentum."""
        return self._momentum(memory.first, gradients) if self.freeze and compressed else gradients

    def update(self, weights: Tensors, mean: Tensors, memory: Memory, compressed: bool) -> tuple[Tensors, Memory]:
        """Take one step, with the mean of what workers sent."""
        second, counted = memory.second, memory.counted
        frozen = self.freeze and compressed
        first = mean if frozen else self._momentum(memory.first, mean)
        if not frozen or not counted:  # without a warm-up, the first step is all that the second moment sees
            keep = np.float32(self.beta2)
            square = mean if not frozen else tuple(m / np.float32(1 - self.beta1) for m in mean)
            second = tuple(keep * v + (1 - keep) * g * g for v, g in zip(second, square, strict=True))
            counted += 1
        step = memory.step + 1
        rate = np.float32(self.rate / (1 - self.beta1**step))
        unbias = np.float32(1 / (1 - self.beta2**counted))
        weights = tuple(
            w - rate * m / (np.sqrt(v * unbias) + np.float32(self.epsilon))
            for w, m, v in zip(weights, first, second, strict=True)
        )
        return weights, Memory(step, first, second, counted)

    def _momentum(self, first: Tensors, gradients: Tensors) -> Tensors:
        """Blend gradients, of one or of all workers, into the common momentum."""
        keep = np.float32(self.beta1)
        return tuple(keep * m + (1 - keep) * g for m, g in zip(first, gradients, strict=True))


Optimizer = Sgd | Adam

#: Learning rates. Of powers of two times the first digit, those with the least mean loss of five seeds after 30 epochs
#: without compression; no codec was looked at (benchmarks/converge.py --tune writes the table).
RATES: dict[tuple[str, str], float] = {
    ("digits", "sgd"): 0.5,
    ("digits", "momentum"): 0.4,
    ("digits", "adam"): 0.016,
    ("ill-conditioned", "sgd"): 1.0,
    ("ill-conditioned", "momentum"): 0.8,
    ("ill-conditioned", "adam"): 0.016,
}

#: Codecs in a spec, alone or inside others: DGC's density, warm-up and momentum; signs.
_DGC = re.compile(r"(?:^|[(,])dgc:[^:,)]+:[0-9]+:([0-9.e-]+)")
_SIGN = re.compile(r"(?:^|[(,])sign(?![^:,)])")

NAMES = ("sgd", "momentum", "adam")


def one_bit(codec: str) -> bool:
    """Whether a codec of this spec sends signs."""
    return _SIGN.search(codec) is not None


def optimizer(name: str, rate: float, codec: str = "") -> Optimizer:
    """Return the optimiser of this name, as it goes with a codec.

    With codes of one bit Adam is 1-bit Adam. Where DGC has a momentum of its own, the optimiser leaves its momentum out.

    Parameters
    ----------
    name : str
        ``sgd``, ``momentum`` or ``adam``.
    rate : float
    codec : str
        Its spec, with every parameter written out.

    Raises
    ------
    TrainingError
        If there is no such optimiser, or the codec has a momentum and the optimiser is none that has one.
    """
    if name not in NAMES:
        raise TrainingError(f"optimizer = {name}: one of {', '.join(NAMES)}")
    found = _DGC.search(codec)
    inside = float(found[1]) if found else 0.0
    if inside and name != "momentum":
        raise TrainingError(
            f"compress = {codec}: it has a momentum of {inside:g} of its own, and {name} is not to have one; take the "
            "optimizer momentum, or 0 as its third parameter"
        )
    if name == "adam":
        return Adam(rate, freeze=one_bit(codec))
    return Sgd(rate, momentum=0.9 if name == "momentum" and not inside else 0.0)
