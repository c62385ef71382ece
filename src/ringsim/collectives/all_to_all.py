"""All-to-all: rank *s* has a block for every rank *d*, S bytes in all, and there is nothing to add.

*Direct* sends all blocks at once and lets the links sort it out; *pairwise* takes turns: in step *k* rank *r* sends to rank
*r + k* and hears from rank *r − k*, so nobody hears from two.
"""

import numpy as np

from ringsim.collectives.sketch import Sketch
from ringsim.schedule import Ints, Schedule
from ringsim.topology import Topology


def _blocks(topology: Topology, chunks: int) -> tuple[Sketch, Ints]:
    """Rows from every rank to the one *k* further on, shape ``[cards − 1, cards]``; unit (s·p + d)·chunks + c is theirs."""
    p = topology.cards
    block = np.repeat(np.arange(p * p), chunks)
    sketch = Sketch(p, p * p * chunks, parts=p * chunks, begins=block // p, ends=block % p)
    source = np.arange(p)
    target = (source + np.arange(1, p)[:, None]) % p
    base = (source * p + target) * chunks
    return sketch, sketch.send(source, target, base=base, modulus=chunks, stride=1, count=chunks)


def direct(topology: Topology, chunks: int) -> Schedule:
    """Everything at once."""
    sketch, _ = _blocks(topology, chunks)
    return sketch.schedule()


def pairwise(topology: Topology, chunks: int) -> Schedule:
    """In turns: a chunk goes when that of the step before is out and the one that comes in is there."""
    sketch, rows = _blocks(topology, chunks)
    if len(rows) > 1:
        steps = np.arange(1, len(rows))[:, None]
        heard = (np.arange(topology.cards) - steps) % topology.cards
        sketch.wait(rows[1:], rows[:-1])
        sketch.wait(rows[1:], rows[steps - 1, heard])
    return sketch.schedule()
