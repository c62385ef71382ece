"""What an engine found out: when each row began, when it had left, when it had arrived. The rest is derived."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trace:
    """Times in seconds from the moment the collective is called, shape ``[rows]``.

    Attributes
    ----------
    start : float array
        The row's first firing begins to be sent.
    left : float array
        Its last firing has left the sender.
    finish : float array
        The latest of its firings has been delivered (and reduced, or copied out of its buffer).
    simulated, jumped : int
        Firings that were worked out one by one, and firings that the steady state carried over. What is missing to
        all of them are firings of rows for which a row in the same situation stood in.
    events : int
        Times at which the engine stopped to look.
    compile_s : float
        Seconds for which the engine was compiled first.
    """

    start: Floats
    left: Floats
    finish: Floats
    simulated: int
    jumped: int
    events: int
    compile_s: float = 0.0

    @property
    def time(self) -> float:
        """Seconds until the last row is finished."""
        return float(self.finish.max())
