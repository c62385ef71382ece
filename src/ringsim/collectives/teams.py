"""Stages: what a team of ranks does with its stretch of the vector, so that algorithms can be put together.

A hierarchical all-reduce is three stages after one another, a flat one is a single stage on one team that holds everyone.
Every stage has the same shape: a function (sketch, teams, gate) → done. The *gate* is a join at each rank that says
that chunk *c* of his input is there; *done* lists what chunk *c* of his output waits for. `gate` turns one into the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ringsim.collectives.sketch import Sketch
from ringsim.schedule import Ints


class CollectiveError(ValueError):
    """An algorithm that cannot be laid over this cluster; the message says which can."""


@dataclass(frozen=True)
class Teams:
    """Teams of one size that all do the same, each with ranks, a stretch of the vector and channels of its own.

    Attributes
    ----------
    members : int array, shape ``[teams, size]``
        Ranks in the order in which the algorithm numbers them. Only stages that say so take a rank twice in a team.
    base : int array, shape ``[teams]``
        First unit of the stretch.
    blocks : int
        Blocks of the stretch. Where they are dealt out, member *m* owns the *m*-th of `size` equal runs of them.
    chunks : int
        Chunk *c* of block *b* is unit ``base + b·chunks + c``; chunks go through the stages one behind the other.
    channel : int array, shape ``[teams]``
    """

    members: Ints
    base: Ints
    blocks: int
    chunks: int
    channel: Ints

    @property
    def size(self) -> int:
        """Members of a team."""
        return int(self.members.shape[1])

    @property
    def width(self) -> int:
        """Blocks that each member owns."""
        width, rest = divmod(self.blocks, self.size)
        if rest:
            raise CollectiveError(f"{self.blocks} blocks cannot be dealt out to {self.size} ranks")
        return width

    def columns(self) -> dict[str, Ints | int]:
        """Columns that all rows of a stage share, to broadcast with ``[teams, size]``."""
        return {
            "channel": self.channel[:, None], "base": self.base[:, None],
            "modulus": self.blocks, "inner": self.chunks, "count": self.chunks,
        }  # fmt: skip


class Done(NamedTuple):
    """Chunk *c* is complete at `rank` once firing ``c − lag`` of each `row` that is listed for it is there."""

    rank: Ints
    row: Ints
    lag: Ints


#: A join for each rank, −1 where nothing has to be waited for; None before the first stage.
Gate = Ints | None
Stage = Callable[[Sketch, Teams, Gate], Done]


class Family(NamedTuple):
    """An algorithm as stages.

    Attributes
    ----------
    all_reduce : Stage
    blocks : size of a team → int
        Blocks (or a multiple of them) that the all-reduce of a team of this size divides its stretch into.
    reduce_scatter, all_gather : Stage or None
        For stretches of (a multiple of) as many blocks as members.
    """

    all_reduce: Stage
    blocks: Callable[[int], int]
    reduce_scatter: Stage | None = None
    all_gather: Stage | None = None


def done(rank: Ints, row: Ints, lag: Ints | int = 0) -> Done:
    """Flatten what broadcasts; rows −1 drop out."""
    rank, row, lag = (a.ravel() for a in np.broadcast_arrays(rank, row, lag))
    return Done(rank[row >= 0], row[row >= 0], lag[row >= 0])


def gate(sketch: Sketch, finished: Done, chunks: int, before: Gate = None) -> Ints:
    """Join what each rank has finished; whoever has nothing to finish keeps his gate from `before`."""
    gates = np.full(sketch.ranks, -1) if before is None else before.copy()
    ranks, which = np.unique(finished.rank, return_inverse=True)
    gates[ranks] = sketch.join(ranks, chunks)
    sketch.wait(gates[ranks][which], finished.row, finished.lag)
    return gates


def wait_at(sketch: Sketch, rows: Ints, ranks: Ints, gates: Gate) -> None:
    """Let `rows` wait for the gates of the `ranks` that send them; both broadcast."""
    if gates is not None:
        sketch.wait(rows, gates[ranks])


def both(reduce_scatter: Stage, all_gather: Stage) -> Stage:
    """All-reduce as the two halves, one after the other."""

    def all_reduce(sketch: Sketch, teams: Teams, gates: Gate) -> Done:
        between = gate(sketch, reduce_scatter(sketch, teams, gates), teams.chunks, gates)
        return all_gather(sketch, teams, between)

    return all_reduce


def everyone(ranks: int, blocks: int, chunks: int) -> Teams:
    """One team of all ranks, in order, with the whole vector."""
    return Teams(np.arange(ranks)[None], np.zeros(1, np.int64), blocks, chunks, np.zeros(1, np.int64))
