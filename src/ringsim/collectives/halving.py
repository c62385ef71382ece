"""Halving and doubling: exchanges with the neighbour, the next but one, the fourth, …, and few steps.

*Halving-doubling* (R. Rabenseifner) swaps halves, quarters, eighths, and goes back: 2·log2(p) steps, no more bytes than a
ring, the largest between neighbours. *Recursive doubling* swaps the whole vector log2(p) times. Where p is no power of
two the ranks beyond it hand their vectors to neighbours first and get the sum in the end.
"""

import numpy as np

from ringsim.collectives import exchange
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import CollectiveError, Done, Family, Gate, Teams
from ringsim.schedule import Ints


def doubling(size: int) -> Ints:
    """Partners at distances 1, 2, 4, …, shape ``[log2 size, size]``."""
    steps = 1 << np.arange(size.bit_length() - 1)
    return np.arange(size) ^ steps[:, None]


def reduce_scatter(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Halves of what is left to the farthest partner first: so each ends with the run that his number says."""
    return exchange.reduce_scatter(_farthest_first(teams))(sketch, teams, gates)


def all_gather(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """The same backwards, the nearest partner first."""
    return exchange.all_gather(_farthest_first(teams))(sketch, teams, gates)


def _farthest_first(teams: Teams) -> Ints:
    if teams.size & (teams.size - 1):
        raise CollectiveError(
            f"{teams.size} ranks cannot halve what each is to end with down to one share; "
            f"use a power of two, such as {exchange.power(teams.size)} or {2 * exchange.power(teams.size)}, or the ring"
        )
    return doubling(teams.size)[::-1]


#: Sources: R. Rabenseifner, "Optimization of collective reduction operations", 2004; R. Thakur, R. Rabenseifner, W. Gropp,
#: "Optimization of collective communication operations in MPICH", 2005. HCCL's H-D_R folds the same way.
HALVING_DOUBLING = Family(
    exchange.folding(lambda size: exchange.in_and_out(doubling(size))), exchange.power, reduce_scatter, all_gather
)
RECURSIVE_DOUBLING = Family(exchange.folding(lambda size: exchange.swap(doubling(size))), lambda size: 1)
