"""Lanes inside nodes without a switch: which cards they join, and which of them lead from one card to another.

Lanes are numbered from 0 over the whole cluster, node after node; arithmetic finds a number, nothing is searched.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Lanes(Protocol):
    """What a topology asks of the lanes of its nodes."""

    @property
    def count(self) -> int:
        """Directed lanes in the cluster."""
        ...

    def route(self, source: Ints, target: Ints) -> list[Ints]:
        """Lanes on the way between cards of one node, hop by hop, −1 where a way is shorter; shape ``[rows]`` each.

        What stands where source and target are in different nodes is not looked at.
        """
        ...

    def ends(self) -> tuple[Ints, Ints]:
        """Source and target card of every lane, shape ``[count]`` each."""
        ...


@dataclass(frozen=True, eq=False)
class NoLanes:
    """Behind a switch there are none."""

    count: int = 0

    def route(self, source: Ints, target: Ints) -> list[Ints]:
        """Nothing to add to the ways through the switch."""
        return []

    def ends(self) -> tuple[Ints, Ints]:
        """No lane, no ends."""
        return np.zeros(0, np.int64), np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Mesh:
    """A lane from every card of a node to every other; the last node may be smaller.

    Attributes
    ----------
    cards, group : int
        In the cluster and in a node.
    """

    cards: int
    group: int

    @cached_property
    def _blocks(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """(cards of a node, nodes of that size, first card) of the whole nodes and of the last one."""
        whole = (self.cards - 1) // self.group
        return (self.group, whole, 0), (self.cards - whole * self.group, 1, whole * self.group)

    @property
    def count(self) -> int:
        """Directed lanes in the cluster."""
        return sum(size * (size - 1) * nodes for size, nodes, _ in self._blocks)

    def route(self, source: Ints, target: Ints) -> list[Ints]:
        """One hop, always."""
        last, first = self._blocks[1][0], self._blocks[1][2]
        node, a, b = source // self.group, source % self.group, target % self.group
        size = np.where(source >= first, last, self.group)
        return [node * self.group * (self.group - 1) + a * (size - 1) + b - (b > a)]

    def ends(self) -> tuple[Ints, Ints]:
        """Source and target card of every lane."""
        found = []
        for size, nodes, first in self._blocks:
            a, b = np.nonzero(~np.eye(size, dtype=bool))
            start = first + np.arange(nodes)[:, None] * size
            found.append(((start + a).ravel(), (start + b).ravel()))
        return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


@dataclass(frozen=True, eq=False)
class Torus:
    """Lanes to the neighbours along each side of a box whose ends are joined; with one side, a ring.

    Attributes
    ----------
    cards, group : int
        In the cluster and in a node. The last node may be smaller if there is only one side.
    shape : tuple of int
        Cards along each side.
    """

    cards: int
    group: int
    shape: tuple[int, ...]

    def _coordinates(self, card: Ints) -> tuple[list[Ints], list[Ints]]:
        """Coordinates of each card in its node, and the extent of each side there."""
        within = card % self.group
        if len(self.shape) == 1:
            first = (self.cards - 1) // self.group * self.group
            return [within], [np.where(card >= first, self.cards - first, self.group)]
        coordinates = [np.asarray(c, np.int64) for c in np.unravel_index(within, self.shape)]
        return coordinates, [np.full(len(card), extent) for extent in self.shape]

    @cached_property
    def _strides(self) -> Ints:
        """Cards between neighbours along each side."""
        return np.cumprod((1, *self.shape[:0:-1]))[::-1]

    @cached_property
    def _number(self) -> Ints:
        """Number of the lane that (card, side, direction) owns, shape ``[cards·sides·2 + 1]``.

        A side of one card has no lane and one of two cards has one to the other, not two.
        """
        _, extents = self._coordinates(np.arange(self.cards))
        exists = np.stack([[e > 1, e > 2] for e in extents]).transpose(2, 0, 1)
        return np.concatenate([[0], np.cumsum(exists.ravel())])

    @property
    def count(self) -> int:
        """Directed lanes in the cluster."""
        return int(self._number[-1])

    def route(self, source: Ints, target: Ints) -> list[Ints]:
        """Side after side, the shorter way round; at exactly half way round it goes up."""
        target = np.where(source // self.group == target // self.group, target, source)
        here, extents = self._coordinates(source)
        there, _ = self._coordinates(target)
        base, sides = source - source % self.group, len(here)
        columns = []
        for d in range(sides):
            ahead = (there[d] - here[d]) % extents[d]
            up = 2 * ahead <= extents[d]
            steps = np.where(up, ahead, extents[d] - ahead)
            for step in range(int(steps.max(initial=0))):
                move = step < steps
                card = base + sum(here[k] * self._strides[k] for k in range(sides))
                columns.append(np.where(move, self._number[(card * sides + d) * 2 + ~up], -1))
                here[d] = np.where(move, (here[d] + np.where(up, 1, -1)) % extents[d], here[d])
        return columns

    def ends(self) -> tuple[Ints, Ints]:
        """Source and target card of every lane."""
        card = np.arange(self.cards)
        coordinates, extents = self._coordinates(card)
        targets = np.stack(
            [
                [card + ((c + step) % e - c) * stride for step in (1, -1)]
                for c, e, stride in zip(coordinates, extents, self._strides, strict=True)
            ]
        ).transpose(2, 0, 1)
        exists = np.diff(self._number).astype(bool)
        return np.repeat(card, 2 * len(coordinates))[exists], targets.ravel()[exists]
