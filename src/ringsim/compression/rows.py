"""Rows that are added to a program: a card's memory is one more link, and encoding is sending through it.

So what encodes and decodes at the same time shares the memory like connections share a cable, and engines need not
know what a codec is.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ringsim.program import Program
from ringsim.schedule import Ints, dependencies

Floats = NDArray[np.float64]


class Rows:
    """Rows behind those of a program, and waits between any of them, in the order in which they were added.

    Parameters
    ----------
    program : Program
    cards : int
    bandwidth : float
        Of a card's memory, bytes/s.
    """

    def __init__(self, program: Program, cards: int, bandwidth: float) -> None:
        self.program, self.cards = program, cards
        # A card of which nobody says how fast its memory is: what goes through it takes no time.
        self.bandwidth = bandwidth if math.isfinite(bandwidth) else 1.0
        self.free = not math.isfinite(bandwidth)
        self.rows = program.rows
        self._card, self._bytes, self._count, self._latency = ([np.zeros(0, t)] for t in (int, float, int, float))
        waits = np.repeat(np.arange(program.rows), np.diff(program.dep_offsets))
        self._waits: list[tuple[Ints, Ints, Ints]] = [(waits, program.dep_row, program.dep_lag)]

    def work(self, card: Ints, bytes: Floats | float, count: Ints | int = 1, latency: float = 0.0) -> Ints:
        """Add rows that pass `bytes` through the memory of a card each time, and return their numbers, shape of `card`."""
        card, bytes, count = np.broadcast_arrays(card, np.asarray(bytes, np.float64), count)
        self._card.append(card.ravel())
        self._bytes.append(bytes.ravel() * (not self.free))
        self._count.append(count.ravel())
        self._latency.append(np.full(card.size, latency))
        numbers = self.rows + np.arange(card.size)
        self.rows += card.size
        return numbers.reshape(card.shape)

    def wait(self, rows: Ints, on: Ints, lag: Ints | int = 0) -> None:
        """Let firing *q* of `rows` wait for firing ``q − lag`` of `on`; they broadcast, and −1 stands for nobody."""
        rows, on, lag = (a.ravel() for a in np.broadcast_arrays(rows, on, lag))
        real = (rows >= 0) & (on >= 0)
        self._waits.append((rows[real], on[real], lag[real]))

    def wait_alike(self, rows: Ints, like: Ints, ahead: Ints | int = 0) -> None:
        """Let firing *q* of `rows` wait for whatever firing ``q + ahead`` of `like` waits for so far; shape ``[n]`` all."""
        waiting, on, lag = (np.concatenate(part) for part in zip(*self._waits, strict=True))
        order = np.argsort(waiting, kind="stable")
        begin = np.searchsorted(waiting[order], like)
        many = np.searchsorted(waiting[order], like, "right") - begin
        which = np.repeat(np.arange(len(rows)), many)
        index = order[np.arange(len(which)) - np.repeat(np.cumsum(many) - many - begin, many)]
        self._waits.append((rows[which], on[index], lag[index] - np.broadcast_to(ahead, rows.shape)[which]))

    def finished(self) -> Program:
        """The program with all of it."""
        old, n = self.program, self.rows - self.program.rows
        card, bytes, count, latency = (
            np.concatenate(part) for part in (self._card, self._bytes, self._count, self._latency)
        )
        links, moves = len(old.bandwidth), bytes > 0
        offsets = np.concatenate([old.route_offsets, old.route_offsets[-1] + np.cumsum(moves)])
        padding = np.zeros(old.rows) if old.padding is None else old.padding
        dep_offsets, dep_row, dep_lag = dependencies(
            self.rows, *(np.concatenate(part) for part in zip(*self._waits, strict=True))
        )
        return replace(
            old,
            bandwidth=np.concatenate([old.bandwidth, np.full(self.cards, self.bandwidth)]),
            route_offsets=offsets,
            route_links=np.concatenate([old.route_links, (links + card[moves]).astype(np.int32)]),
            bytes=np.concatenate([old.bytes, bytes]),
            count=np.concatenate([old.count, count]),
            reduces=np.concatenate([old.reduces, np.zeros(n, np.int64)]),
            latency=np.concatenate([old.latency, latency]),
            work=np.concatenate([old.work, np.zeros(n)]),
            overhead=np.concatenate([old.overhead, np.zeros(n)]),
            cap=np.concatenate([old.cap, np.full(n, self.bandwidth)]),
            after=np.concatenate([old.after, np.full(n, -1)]),
            dep_offsets=dep_offsets,
            dep_row=dep_row,
            dep_lag=dep_lag,
            padding=np.concatenate([padding, bytes]),  # it leaves nobody
            closing=None if old.closing is None else np.concatenate([old.closing, np.zeros(n)]),
            memory=links,
        )
