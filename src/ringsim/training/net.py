"""A network of dense layers and its gradients, written out in NumPy, for all workers at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: One array for each tensor; gradients of several workers have an axis more, in front.
Tensors = tuple[Floats, ...]


@dataclass(frozen=True)
class Net:
    """Dense layers with tanh between them.

    Attributes
    ----------
    sizes : tuple of int
        Inputs, width of each layer, outputs.
    loss : str
        ``cross-entropy`` of a softmax over classes, or half the mean of the ``squares`` of what is missing.
    """

    sizes: tuple[int, ...]
    loss: Literal["cross-entropy", "squares"]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Weights, input side first, and biases, layer after layer."""
        return tuple(
            shape
            for into, out in zip(self.sizes, self.sizes[1:], strict=False)
            for shape in ((into, out), (out,))
        )  # fmt: skip

    def init(self, seed: int) -> Tensors:
        """Weights of variance 1 / inputs (LeCun et al. 1998), biases 0; one layer alone, which is convex, starts at 0."""
        rng = np.random.default_rng([seed, 1])
        deep = len(self.sizes) > 2
        return tuple(
            rng.standard_normal(shape, np.float32) / np.float32(shape[0] ** 0.5)
            if len(shape) == 2 and deep
            else np.zeros(shape, np.float32)
            for shape in self.shapes
        )

    def forward(self, weights: Sequence[Floats], x: Floats) -> list[Floats]:
        """Inputs of every layer, and the last one's outputs, shapes ``[..., examples, width]``."""
        values = [x]
        for k in range(0, len(weights), 2):
            last = k + 2 == len(weights)
            out = values[-1] @ weights[k] + weights[k + 1]
            values.append(out if last else np.tanh(out))
        return values

    def gradients(self, weights: Tensors, x: Floats, y: NDArray[Any]) -> Tensors:
        """Gradient of each worker's mean loss.

        Parameters
        ----------
        weights : Tensors
            The same for all workers.
        x, y : array, shapes ``[workers, examples, inputs]`` and ``[workers, examples]``

        Returns
        -------
        Tensors, shapes ``[workers, ...]``
        """
        values = self.forward(weights, x)
        back = self._error(values[-1], y) / np.float32(y.shape[-1])
        found: list[Floats] = []
        for k in reversed(range(0, len(weights), 2)):
            into = values[k // 2]
            found += [back.sum(axis=-2), np.swapaxes(into, -1, -2) @ back]
            if k:
                back = (back @ weights[k].T) * (1 - into**2)
        return tuple(reversed(found))

    def _error(self, out: Floats, y: NDArray[Any]) -> Floats:
        """Derivative of one example's loss by the outputs."""
        if self.loss == "squares":
            rest: Floats = out - y[..., None]
            return rest
        part: Floats = np.exp(out - out.max(axis=-1, keepdims=True))
        part /= part.sum(axis=-1, keepdims=True)
        one = np.take_along_axis(part, y[..., None], -1) - 1
        np.put_along_axis(part, y[..., None], one, -1)
        return part

    def evaluate(self, weights: Tensors, x: Floats, y: NDArray[Any]) -> tuple[float, float | None]:
        """Mean loss, and the part of examples whose class is right, None where there are no classes."""
        out = self.forward(weights, x)[-1].astype(np.float64)
        if self.loss == "squares":
            return float(np.mean((out[:, 0] - y) ** 2) / 2), None
        out -= out.max(axis=1, keepdims=True)
        right = np.take_along_axis(out, y[:, None], 1)[:, 0]
        loss = float(np.mean(np.log(np.exp(out).sum(axis=1)) - right))
        return loss, float(np.mean(out.argmax(axis=1) == y))
