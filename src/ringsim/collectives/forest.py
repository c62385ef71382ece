"""All-reduce along a forest: trees through any network, each with its share of the vector, chunks in a pipeline.

A tree takes a byte over a cut of the network once each way. A ring has to come back for every time that it goes over, and
takes nearly two bytes each time: where cables are thin trees get by with half. One tree leaves most links idle, so several
are packed beside each other (`growing`), as for a broadcast by J. Edmonds (1973), and for collectives by G. Wang et al.,
"Blink: fast and generic collectives for distributed ML" (MLSys 2020), and L. Zhao et al., "ForestColl: throughput-optimal
collective communications for heterogeneous network fabrics" (2024).

All trees have equal shares on purpose. Links are shared fairly among the rows that are busy, so a row that meets *n* − 1
others on a link gets at least its *n*-th part; if all rows have as much to send, a chunk never takes longer than on the
fullest link with everybody there. So S bytes in C chunks take at most

    (1 + (depth − 1) / C) · S · seconds + depth · hop

where *seconds* is for each byte on the fullest link, *depth* the number of steps up and down, and *hop* the latency and
the software of one. Unequal shares could fill links a little better, and lose more because they are not done together.
"""

from functools import lru_cache

import numpy as np

from ringsim.collectives.algorithm import SMALLEST_CHUNK
from ringsim.collectives.growing import Forest, grown
from ringsim.collectives.packing import Known, known
from ringsim.collectives.tree import up_and_down
from ringsim.fabric import Protocol
from ringsim.schedule import Schedule
from ringsim.topology import Topology

#: Trees beside each other. More would fill links a little better, and each makes shares smaller and the search longer.
MOST_TREES = 8

#: Bytes of the vector for which the number of trees is chosen.
TYPICAL = 64 * 2**20


@lru_cache(maxsize=64)
def _found(topology: Known) -> tuple[Forest, ...]:
    return tuple(grown(topology.topology, MOST_TREES))


def forests(topology: Topology) -> tuple[Forest, ...]:
    """Forests of 1, 2, … trees.

    Raises
    ------
    CollectiveError
        Where there are more cards than there is time to search for.
    """
    return _found(known(topology, "a forest"))


def trees(topology: Topology) -> int:
    """As many trees as are quickest for `TYPICAL` bytes: the fullest link, and the chunks that fill the trees."""

    def time(forest: Forest) -> float:
        return forest.seconds * (TYPICAL + len(forest.up) * forest.depth * SMALLEST_CHUNK)

    return len(min(forests(topology), key=time).up)


def rows(topology: Topology, channels: int) -> int:
    """Up to the parent and down from the parent, for every card but the root on every tree."""
    return 2 * channels * (topology.cards - 1)


def chunks(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    """Enough to fill the trees sixteen times over, none smaller than `SMALLEST_CHUNK`."""
    deep = forests(topology)[channels - 1].depth
    return max(1, min(16 * deep, int(payload / channels // SMALLEST_CHUNK)))


def forest(topology: Topology, channels: int, chunks: int) -> Schedule:
    """Reduce towards the roots and copy back, chunk after chunk, on every tree at once.

    Parameters
    ----------
    topology : Topology
    channels : int
        Trees, between 1 and `trees`.
    chunks : int
        Pieces of a tree's share, at least 1.

    Raises
    ------
    CollectiveError
        Where there are more cards than there is time to search for.
    """
    found = forests(topology)[channels - 1]
    return up_and_down(found.up, found.down, np.arange(2 * channels).reshape(-1, 2)[:, ::-1], chunks)
