"""An indexed four-way heap of rows by the time of their next event; equal times go by row number."""

from ringsim.engines.compiled.kernel import Ints, kernel
from ringsim.engines.compiled.tables import Table


@kernel
def before(R: Table, a: int, b: int) -> bool:
    """Whether row `a` comes before row `b`."""
    return R[a].key < R[b].key or (R[a].key == R[b].key and a < b)


@kernel
def rise(R: Table, heap: Ints, place: int) -> None:
    """Move the row at `place` up to where it belongs."""
    row = heap[place]
    while place > 0:
        parent = (place - 1) >> 2
        if not before(R, row, heap[parent]):
            break
        heap[place] = heap[parent]
        R[heap[place]].slot = place
        place = parent
    heap[place] = row
    R[row].slot = place


@kernel
def sink(R: Table, heap: Ints, size: int, place: int) -> None:
    """Move the row at `place` down to where it belongs."""
    row = heap[place]
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        least = child
        for other in range(child + 1, min(child + 4, size)):
            if before(R, heap[other], heap[least]):
                least = other
        if not before(R, heap[least], row):
            break
        heap[place] = heap[least]
        R[heap[place]].slot = place
        place = least
    heap[place] = row
    R[row].slot = place


@kernel
def schedule(R: Table, heap: Ints, clock: Table, row: int, key: float) -> None:
    """Give `row` an event at `key`, or move the one it has."""
    place = R[row].slot
    if place < 0:
        place = clock[0].size
        clock[0].size += 1
        heap[place] = row
        R[row].key = key
        rise(R, heap, place)
    elif key < R[row].key:
        R[row].key = key
        rise(R, heap, place)
    else:
        R[row].key = key
        sink(R, heap, clock[0].size, place)


@kernel
def take_first(R: Table, heap: Ints, clock: Table) -> int:
    """Take the earliest row off the heap."""
    row = heap[0]
    R[row].slot = -1
    clock[0].size -= 1
    if clock[0].size > 0:
        heap[0] = heap[clock[0].size]
        sink(R, heap, clock[0].size, 0)
    return row
