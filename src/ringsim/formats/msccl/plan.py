"""Steps before they have numbers, and who they wait for.

Of *N* runs, run *n* is sent by step *n*, received by step *N + n*, added (or copied) from scratch by step *2N + its place
among those set aside*, and copied into scratch to be sent, packed with others, by a step behind those.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ringsim.formats.msccl.meeting import Aside
from ringsim.formats.msccl.runs import Runs
from ringsim.schedule import Ints
from ringsim.values.waits import Bools


@dataclass(frozen=True, eq=False)
class Plan:
    """All steps of a schedule.

    Attributes
    ----------
    found : Runs
    apart : Aside
    """

    found: Runs
    apart: Aside

    @cached_property
    def packs(self) -> Ints:
        """Runs that are packed."""
        return np.flatnonzero(self.found.packed)

    @cached_property
    def gpu(self) -> Ints:
        """Where each step is, shape ``[steps]``."""
        found = self.found
        return np.concatenate([found.source, found.target, found.target[self.apart.run], found.source[self.packs]])

    def received(self, run: Ints) -> Ints:
        """Step that receives a run."""
        return len(self.found) + run

    def added(self, run: Ints) -> Ints:
        """Step that adds a run which was set aside; meaningless for others."""
        return 2 * len(self.found) + self.apart.index[run]

    def gathered(self, run: Ints) -> Ints:
        """Step that packs a run; meaningless for others."""
        return 2 * len(self.found) + len(self.apart.run) + np.searchsorted(self.packs, run)

    def begun(self, run: Ints) -> Ints:
        """Step with which a first run sets off: it is packed, or sent."""
        return np.where(self.found.packed[run], self.gathered(run), run)

    def sends(self, step: Ints) -> Bools:
        """Whether these are steps that send."""
        found: Bools = (step >= 0) & (step < len(self.found))
        return found

    def receives(self, step: Ints) -> Bools:
        """Whether these are steps that receive."""
        found: Bools = (step >= len(self.found)) & (step < 2 * len(self.found))
        return found


class Deps(NamedTuple):
    """Steps that wait for steps, shape ``[waits]``."""

    waiting: Ints
    awaited: Ints

    @classmethod
    def of(cls, *pairs: tuple[Ints, Ints]) -> "Deps":
        """All of these that are real: no step is −1."""
        waiting, awaited = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
        real = (waiting >= 0) & (awaited >= 0)
        return cls(waiting[real], awaited[real])

    def only(self, which: Bools | Ints) -> "Deps":
        """Some of them."""
        return Deps(self.waiting[which], self.awaited[which])


class Order(NamedTuple):
    """Where steps stand, shape ``[steps]``.

    Attributes
    ----------
    block : int array
        Blocks are numbered gpu by gpu; −1 for what is part of another step.
    place : int array
        Place in the block.
    """

    block: Ints
    place: Ints
