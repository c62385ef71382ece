"""An indexed four-way heap of rows by the time of their next event; equal times go by row number.

The key stands in the heap beside the row, so that the four children that are compared share a cache line.
"""

from ringsim.engines.compiled.kernel import inner
from ringsim.engines.compiled.tables import Table


@inner
def rise(R: Table, heap: Table, place: int, key: float, row: int) -> None:
    """Find the place for (key, row) at `place` or above it."""
    while place > 0:
        parent = (place - 1) >> 2
        above, other = heap[parent].key, heap[parent].row
        if above < key or (above == key and other < row):
            break
        heap[place].key = above
        heap[place].row = other
        R[other].slot = place
        place = parent
    heap[place].key = key
    heap[place].row = row
    R[row].slot = place


@inner
def sink(R: Table, heap: Table, size: int, place: int, key: float, row: int) -> None:
    """Find the place for (key, row) at `place` or below it."""
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        best, least, first = child, heap[child].key, heap[child].row
        for other in range(child + 1, min(child + 4, size)):
            k = heap[other].key
            if k < least or (k == least and heap[other].row < first):
                best, least, first = other, k, heap[other].row
        if key < least or (key == least and row < first):
            break
        heap[place].key = least
        heap[place].row = first
        R[first].slot = place
        place = best
    heap[place].key = key
    heap[place].row = row
    R[row].slot = place


@inner
def schedule(R: Table, heap: Table, clock: Table, row: int, key: float) -> None:
    """Give `row` an event at `key`, or move the one it has."""
    place, old = R[row].slot, R[row].key
    R[row].key = key
    if place < 0:
        clock[0].queued += 1
        rise(R, heap, clock[0].queued - 1, key, row)
    elif key < old:
        rise(R, heap, place, key, row)
    else:
        sink(R, heap, clock[0].queued, place, key, row)


@inner
def take_first(R: Table, heap: Table, clock: Table) -> int:
    """Take the earliest row off the heap."""
    row = heap[0].row
    R[row].slot = -1
    clock[0].queued -= 1
    last = clock[0].queued
    if last > 0:
        sink(R, heap, last, 0, heap[last].key, heap[last].row)
    return int(row)
