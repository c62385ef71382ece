"""A tournament between rows: who has the earliest event? Equal times go by row number.

Row *i* of a pool stands at leaf ``len / 2 + i``, and above every pair stands the earlier of their times, so that the
winner's is at 1. Rows keep their places, and a comparison without a branch costs less than moving entries of a heap about.
"""

from ringsim.engines.compiled.kernel import Floats, inner


def length(rows: int) -> int:
    """Numbers that a tournament between so many rows needs: twice a power of two."""
    return 2 << (rows - 1).bit_length()


@inner
def schedule(queue: Floats, row: int, key: float) -> None:
    """Give `row` an event at `key`, or move the one it has; infinity takes it away."""
    place = (len(queue) >> 1) + row
    queue[place] = key
    place >>= 1
    while place > 0:
        left, right = queue[2 * place], queue[2 * place + 1]
        earlier = left if left <= right else right
        if queue[place] == earlier:
            break
        queue[place] = earlier
        place >>= 1


@inner
def first(queue: Floats) -> int:
    """Row of the earliest event."""
    key, place, leaves = queue[1], 1, len(queue) >> 1
    while place < leaves:
        place = 2 * place + (queue[2 * place] != key)
    return place - leaves


@inner
def settle(queue: Floats) -> None:
    """Play the whole tournament again."""
    for place in range((len(queue) >> 1) - 1, 0, -1):
        queue[place] = min(queue[2 * place], queue[2 * place + 1])
