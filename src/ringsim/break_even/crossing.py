"""Where something that pays on slow links stops to pay: the factor at which its lead is lost, on a log scale."""

import math
from collections.abc import Callable

#: Octaves from one look to the next, away from the links that there are, and how many looks.
STRIDE, LOOKS = 2.0, 3

#: Factors between which is looked: from a tenth of a slow cable to more than the next ten years bring.
LEAST, MOST = 2.0 ** (-STRIDE * LOOKS), 2.0 ** (STRIDE * LOOKS)

#: Octaves that are near enough: 1 %.
NEAR = math.log2(1.01)


def crossing(lead: Callable[[float], float]) -> float:
    """Find the factor up to which something pays.

    It is bracketed by strides away from 1, and the bracket is closed by false position with halved ends (M. Dowell,
    P. Jarratt, "A modified regula falsi method", BIT 11, 1971), as if the lead were a straight line in the factor. Where
    that stays on one side, as it does where a lead jumps, strides become longer.

    Parameters
    ----------
    lead : callable
        From a factor to a number below 0 where it pays, such as a difference of times. The nearer to a straight line, the
        sooner it is found; of several crossings one near 1 is.

    Returns
    -------
    float
        Within 1 % of it; infinity where it still pays at `MOST`, 0 where it does not even at `LEAST`.
    """

    def at(octaves: float) -> tuple[float, float]:
        return octaves, lead(math.exp2(octaves))

    near = here = at(0.0)
    stride = STRIDE if here[1] < 0 else -STRIDE
    for look in range(1, LOOKS + 1):
        there = at(look * stride)
        if (there[1] < 0) != (here[1] < 0):
            return math.exp2(_closed(at, *min(near, there), *max(near, there)))
        near = there
    return math.inf if here[1] < 0 else 0.0


def _closed(
    at: Callable[[float], tuple[float, float]], low: float, below: float, high: float, above: float
) -> float:  # fmt: skip
    """Close a bracket until its ends are near each other, and take the middle."""
    streak, last = 0, 0
    while (width := high - low) > NEAR:
        # Less than half of what is near enough away from an end, so that the other end follows at once; more where it does
        # not.
        least = min(0.49 * NEAR * 2**streak, width / 2)
        root = math.log2(math.exp2(low) + (math.exp2(high) - math.exp2(low)) * below / (below - above))
        middle, found = at(min(max(root, low + least), high - least))
        side = -1 if found < 0 else 1
        streak, last, again = (streak + 1 if side == last else 0), side, side == last
        if side < 0:
            low, below, above = middle, found, above / 2 if again else above
        else:
            high, above, below = middle, found, below / 2 if again else below
    return (low + high) / 2
