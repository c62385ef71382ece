"""What is learnt: scikit-learn's handwritten digits, and a least-squares problem whose directions differ in steepness.

scikit-learn is needed for the digits, and nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringsim.training.net import Floats, Net


class TrainingError(ValueError):
    """A training run that cannot be done as asked; the message says what would be right."""


@dataclass(frozen=True, eq=False)
class Task:
    """A data set and the network that is to learn it.

    Attributes
    ----------
    name : str
    net : Net
    x, y : array, shapes ``[examples, inputs]`` and ``[examples]``
        To train on.
    x_test, y_test : array
        To test on.
    floor : float
        The least loss on the training set that any weights reach, 0 where nobody knows.
    """

    name: str
    net: Net
    x: Floats
    y: NDArray[np.int64] | Floats
    x_test: Floats
    y_test: NDArray[np.int64] | Floats
    floor: float = 0.0


def digits(seed: int = 0) -> Task:
    """1,797 digits of 8 × 8 pixels (Alpaydin and Kaynak 1998; shipped with scikit-learn), a fifth of them to test on.

    Raises
    ------
    TrainingError
        Without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise TrainingError(
            "the digits come with scikit-learn, which is not installed: pip install 'ringsim[train]', or --task "
            "ill-conditioned, which does without"
        ) from None
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng([seed, 0]).permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    train = len(x) * 4 // 5
    return Task("digits", Net((64, 128, 64, 10), "cross-entropy"), x[:train], y[:train], x[train:], y[train:])


def ill_conditioned(seed: int = 0, inputs: int = 128, examples: int = 4096, condition: float = 1e4) -> Task:
    """Linear regression whose steepest direction is `condition` times as steep as its flattest.

    Each input has a scale of its own, as counts of frequent and of rare words have, and every one of them matters equally
    for the loss. What is to be predicted has noise, so gradients do not vanish at the optimum.
    """
    rng = np.random.default_rng([seed, 0])
    scale = condition ** (-0.5 * np.linspace(0, 1, inputs))
    signs = rng.choice([-1.0, 1.0], inputs)
    x = rng.standard_normal((2 * examples, inputs)) * scale
    y = x @ (signs / scale) / np.sqrt(inputs) + NOISE * rng.standard_normal(2 * examples)
    with_bias = np.concatenate([x[:examples], np.ones((examples, 1))], axis=1)
    rest = y[:examples] - with_bias @ np.linalg.lstsq(with_bias, y[:examples], rcond=None)[0]
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    return Task(
        "ill-conditioned", Net((inputs, 1), "squares"),
        x32[:examples], y32[:examples], x32[examples:], y32[examples:], float(np.mean(rest**2) / 2),
    )  # fmt: skip


#: Deviation of what no weights can predict; what they can has a deviation of 1.
NOISE = 0.1

#: Every task, by name.
TASKS: dict[str, Callable[[int], Task]] = {"digits": digits, "ill-conditioned": ill_conditioned}
