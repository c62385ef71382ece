"""A critical path of thousands of hops in a few lines: runs of like hops, and what repeats, are told once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ringsim.explain import naming
from ringsim.explain.evidence import HOST, PORTS, SCALE_UP
from ringsim.explain.subject import Subject
from ringsim.topology import UP

Floats = NDArray[np.float64]

#: Different stretches, one after the other, that may repeat.
LONGEST_PERIOD = 8


@dataclass(frozen=True, eq=False)
class Stretch:
    """Like hops behind one another, in all repetitions together.

    Attributes
    ----------
    first, last : str
        Connections of the first and the last hop, in the first repetition, or the cards that work.
    over : str
        What they were sent over; ``memory`` for work.
    op : str
        ``add`` or ``copy``, as what they bring is; ``encode``, ``decode`` or ``decode, add`` for work.
    delivered : bool
        Whether the next hop waited for the delivery or only for the sender.
    hops : int
        In one repetition.
    parts : float array, shape ``[parts]``, seconds
        What `PARTS` took in all repetitions.
    """

    first: str
    last: str
    over: str
    op: str
    delivered: bool
    hops: int
    parts: Floats


@dataclass(frozen=True, eq=False)
class Block:
    """Stretches that repeat, or one that does not."""

    times: int
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class _Run:
    """Hops `low` to `high` of the path, which are alike."""

    label: int
    low: int
    high: int

    @property
    def token(self) -> tuple[int, int]:
        """What has to be equal in a repetition."""
        return self.label, self.high - self.low


def fold(subject: Subject) -> list[Block]:
    """Tell the critical path of a run, joins left out."""
    path, kinds = subject.path, subject.rows
    hops = np.flatnonzero((kinds.sends | kinds.works)[path.row])
    rows, firings, delivered = path.row[hops].tolist(), path.firing[hops].tolist(), path.delivered[hops].tolist()
    ways = {row: _way(subject, row) for row in set(rows)}
    ops = [kinds.op(row, firing) for row, firing in zip(rows, firings, strict=True)]
    labels: dict[object, int] = {}
    label = [
        labels.setdefault((ways[row], op, arrives), len(labels))
        for row, op, arrives in zip(rows, ops, delivered, strict=True)
    ]
    bounds = [0, *(np.flatnonzero(np.diff(label)) + 1).tolist(), len(label)] if label else [0]
    runs = [_Run(label[low], low, high) for low, high in pairwise(bounds)]

    def stretch(repeated: Sequence[_Run]) -> Stretch:
        one = repeated[0]
        spent = np.concatenate([path.parts[hops[run.low : run.high]] for run in repeated]).sum(axis=0)
        first, last = (_name(subject, rows[hop]) for hop in (one.low, one.high - 1))
        over = _over(ways[rows[one.low]])
        return Stretch(first, last, over, ops[one.low], delivered[one.low], one.high - one.low, spent)

    return [
        Block(times, tuple(stretch(runs[low + i : low + times * period : period]) for i in range(period)))
        for low, period, times in _repetitions([run.token for run in runs])
    ]


def _repetitions(tokens: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Cut a sequence into what repeats: where it begins, how long it is, how often it comes."""
    low = 0
    while low < len(tokens):
        period, times = 1, 1
        for longer in range(2, LONGEST_PERIOD + 1):
            often, one = 1, tokens[low : low + longer]
            while tokens[low + often * longer : low + (often + 1) * longer] == one:
                often += 1
            if often > 1 and often * longer > period * times:
                period, times = longer, often
        yield low, period, times
        low += period * times


def _way(subject: Subject, row: int) -> tuple[int, ...]:
    """Kinds of the links that a row takes."""
    offsets, topology = subject.program.route_offsets, subject.topology
    links = subject.program.route_links[offsets[row] : offsets[row + 1]]
    return tuple(topology.kind[links[links < topology.links]].tolist())


def _over(kinds: tuple[int, ...]) -> str:
    """Say what a message goes over, or where a card works."""
    if not kinds:
        return "memory"
    if set(kinds) <= set(SCALE_UP):
        return "switch" if UP in kinds else "lane" if len(kinds) == 1 else f"{len(kinds)} lanes"
    if set(kinds) & set(PORTS):
        switches = sum(kind not in (*HOST, *SCALE_UP) for kind in kinds) - 1
        return "network, 1 switch" if switches == 1 else f"network, {switches} switches"
    return "1 link" if len(kinds) == 1 else f"{len(kinds)} links"


def _name(subject: Subject, row: int) -> str:
    source, target = subject.rows.ends(row)
    name = naming.vertex(subject.topology, source)
    return name if source == target else f"{name} → {naming.vertex(subject.topology, target)}"
