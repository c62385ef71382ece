"""Rows of a schedule while they are being listed, each for one thing that happens once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ringsim.formats.msccl.formula import Formula, pieces
from ringsim.formats.msccl.walk import Data, Place
from ringsim.schedule import Schedule, dependencies


class Row(NamedTuple):
    """Units that one vertex hands another, once; with itself, a join."""

    source: int
    target: int
    carries: Formula
    span: int
    adds: bool = False
    parked: bool = False


@dataclass
class Rows:
    """Rows while they are being listed."""

    ranks: int
    units: int
    columns: list[Row] = field(default_factory=list)
    where: list[Place] = field(default_factory=list)
    waits: list[tuple[int, int]] = field(default_factory=list)
    vertices: dict[tuple[object, ...], int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def vertex(self, name: str, *key: object) -> int:
        """The vertex with this key."""
        if key not in self.vertices:
            self.vertices[key] = self.ranks + len(self.names)
            self.names.append(name)
        return self.vertices[key]

    def move(
        self, place: Place, ends: Iterable[tuple[int, int, int]], after: Sequence[int], *, adds: bool = False,
        parked: bool = False,
    ) -> list[int]:  # fmt: skip
        """Add rows for (source vertex, target vertex, unit): one for all units between two vertices, where it can be."""
        rows = list[int]()
        for (source, target), run in groupby(ends, key=lambda end: end[:2]):
            for _, shape, found in pieces([end[2] for end in run], self.units):
                rows.append(self._add(place, Row(source, target, found, len(shape), adds, parked), after))
        return rows

    def gate(self, place: Place, after: Sequence[int]) -> list[int]:
        """Add a join where nothing arrives: whoever waits for it keeps no slot from anybody."""
        return self.join(place, self.vertex("nowhere", "nowhere"), after)

    def join(self, place: Place, vertex: int, after: Sequence[int]) -> list[int]:
        """Add a join."""
        return [self._add(place, Row(vertex, vertex, Formula(0, 0, 0, 1, 1, 1), 1), after)]

    def _add(self, place: Place, row: Row, after: Sequence[int]) -> int:
        number = len(self.columns)
        self.columns.append(row)
        self.where.append(place)
        self.waits += [(number, other) for other in after]
        return number


def schedule(rows: Rows, data: Data) -> Schedule:
    """Finish; nothing at all is a join that waits for nothing."""
    listed = rows.columns or [Row(0, 0, Formula(0, 0, 0, 1, 1, 1), 1)]
    source, target, carries, span, adds, parked = (np.array(column) for column in zip(*listed, strict=True))
    waiting, on = np.array(rows.waits, np.int64).reshape(-1, 2).T
    many = len(source)
    offsets, dep_row, dep_lag = dependencies(many, waiting, on, np.zeros(len(on), np.int64))
    return Schedule(
        ranks=rows.ranks, units=data.units, parts=data.parts, channels=1, begins=data.begins, ends=data.ends,
        source=source, target=target, channel=np.zeros(many, np.int64), count=np.ones(many, np.int64),
        reduces=adds.astype(np.int64), **dict(zip(Formula._fields, carries.T, strict=True)), span=span, parked=parked,
        dep_offsets=offsets, dep_row=dep_row, dep_lag=dep_lag,
    )  # fmt: skip
