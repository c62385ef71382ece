"""Where encoding and decoding happen in a schedule, row by row.

What a row carries is encoded by its sender and decoded by its receiver, a message at a time, so that it overlaps with
sending as far as the schedule's own pieces allow. A code that is only passed on is not encoded again, several rows that
carry the same at the same time share one encoding, and whoever sends a sum keeps what its code stands for.
"""

from typing import NamedTuple

import numpy as np

from ringsim.codecs import Codec, Passes
from ringsim.compression.flow import Flow
from ringsim.compression.growth import Growth, varied
from ringsim.compression.rows import Floats, Rows
from ringsim.program import Program
from ringsim.schedule import Ints, Schedule

#: A part of the vector that is none.
NOTHING = 1e-9

#: Two lists of indices and values become one: how long the three are is a matter of growth.
MERGE = Passes(code=1)


class Sizes(NamedTuple):
    """Bytes of the whole vector on one rank, as it is and as a code."""

    raw: float
    code: float

    def of(self, passes: Passes) -> float:
        """Bytes that go through a card's memory."""
        return passes.raw * self.raw + passes.code * self.code


class Decoding(NamedTuple):
    """Rows that decode messages: on which ranks, copies of which of the schedule's rows, and the part of each vector."""

    rows: Ints
    rank: Ints
    like: Ints
    done: Floats


class Worker:
    """Adds encoding and decoding to the rows of a schedule.

    Parameters
    ----------
    rows : Rows
        Behind the schedule's own, whose numbers begin at `base`.
    schedule : Schedule
    sizes : Sizes
        Of what the schedule's units are the parts of.
    base : int
        Number of the schedule's first row.
    """

    def __init__(self, rows: Rows, schedule: Schedule, sizes: Sizes, base: int = 0) -> None:
        self.rows, self.schedule, self.sizes, self.base = rows, schedule, sizes, base
        self.flow = Flow(schedule)
        self.part: Floats = schedule.span / schedule.parts
        self.fresh = self.flow.fresh_copies()

    # -- a whole vector at a time ----------------------------------------------------------------------------

    def before(self, passes: Passes, sizes: Sizes, *, latency: float = 0.0) -> Ints:
        """Let every rank work on his whole vector before he sends anything; the rows, shape ``[ranks]``."""
        cards = np.arange(self.schedule.ranks)
        found = self.rows.work(cards, sizes.of(passes), latency=latency)
        sends = np.flatnonzero(self.flow.moves & (self.schedule.source < self.schedule.ranks))
        self.rows.wait(self.base + sends, found[self.schedule.source[sends]])
        return found

    def after(self, found: Ints, ranks: Ints) -> None:
        """Let the row of each rank wait for everything that comes to him; shape ``[n]`` both."""
        row_of = np.full(self.schedule.ranks, -1)
        row_of[ranks] = found
        comes = np.flatnonzero(self.flow.moves & (self.schedule.target < self.schedule.ranks))
        self.rows.wait(row_of[self.schedule.target[comes]], self.base + comes, 1 - self.schedule.count[comes])

    def at_the_end(self, passes: Passes, sizes: Sizes) -> None:
        """Let every rank work on his whole vector once everything has come."""
        cards = np.arange(self.schedule.ranks)
        if sizes.of(passes):
            self.after(self.rows.work(cards, sizes.of(passes)), cards)

    # -- a message at a time ---------------------------------------------------------------------------------

    def add(self, passes: Passes) -> tuple[Ints, Ints]:
        """Let receivers add what comes to be added; whoever waited for that waits until it is."""
        schedule, adding = self.schedule, np.flatnonzero(self.flow.reduces)
        if not self.sizes.of(passes):
            return adding, np.full(len(adding), -1)
        added = np.full(schedule.rows, -1)
        bytes = self.part[adding] * self.sizes.of(passes)
        added[adding] = self.rows.work(schedule.target[adding], bytes, schedule.reduces[adding])
        self.rows.wait(added[adding], self.base + adding)
        self.rows.wait(self.base + self.flow.waiting, added[schedule.dep_row], schedule.dep_lag)
        return adding, added[adding]

    def encode(self, passes: Passes, *, own_too: bool) -> None:
        """Let senders encode what nobody has encoded yet; what they have had from the beginning only if `own_too`."""
        firings = self.flow.reduces + self.fresh
        if not own_too:
            firings = np.where(self.flow.alone(), 0, firings)
        sending = np.flatnonzero(firings)
        if not self.sizes.of(passes) or not len(sending):
            return
        first, group = self.flow.alike(sending, firings[sending])
        lead = sending[first]
        encoded = self.rows.work(self.schedule.source[lead], self.part[lead] * self.sizes.of(passes), firings[lead])
        self.rows.wait_alike(encoded, self.base + lead)
        self.rows.wait(self.base + sending, encoded[group])

    def encode_own(self, passes: Passes) -> None:
        """Let ranks encode their own part of what they send just before they send it, and the rest beside it."""
        schedule = self.schedule
        own = np.flatnonzero(self.flow.own() & (schedule.source < schedule.ranks))
        first, group = self.flow.alike(own, schedule.reduces[own])
        lead = own[first]
        encoded = self.rows.work(schedule.source[lead], self.part[lead] * self.sizes.of(passes), schedule.reduces[lead])
        self.rows.wait(self.base + own, encoded[group])
        parts = self.part[lead] * schedule.reduces[lead]
        self.rest(passes, np.bincount(schedule.source[lead], parts, minlength=schedule.ranks).astype(np.float64))

    def decode(self, passes: Passes, *, once: bool = False) -> "Decoding":
        """Let receivers decode what comes as a copy, and senders of sums what they send.

        Some get the same sum twice, as owners in switches do. With `once` that is no more work than a whole vector.
        """
        schedule, size = self.schedule, self.sizes.of(passes)
        ranks = schedule.ranks
        copying = np.flatnonzero((self.flow.copies > 0) & (schedule.target < ranks))
        keeping = np.flatnonzero((self.fresh > 0) & (schedule.source < ranks))
        first, _ = self.flow.alike(keeping, self.fresh[keeping])
        lead = keeping[first]
        rank = np.concatenate([schedule.target[copying], schedule.source[lead]])
        parts = np.concatenate([(self.part * self.flow.copies)[copying], (self.part * self.fresh)[lead]])
        done = np.bincount(rank, parts, minlength=ranks).astype(np.float64)
        if not size:
            return Decoding(copying[:0], copying[:0], copying[:0], done)
        less = 1 / np.maximum(done, 1.0) if once else np.ones(ranks)
        decoded = self.rows.work(
            schedule.target[copying],
            self.part[copying] * size * less[schedule.target[copying]],
            self.flow.copies[copying],
        )
        self.rows.wait(decoded, self.base + copying, -schedule.reduces[copying])
        kept = self.rows.work(
            schedule.source[lead], self.part[lead] * size * less[schedule.source[lead]], self.fresh[lead]
        )
        self.rows.wait_alike(kept, self.base + lead, schedule.reduces[lead])
        return Decoding(np.concatenate([decoded, kept]), rank, np.concatenate([copying, lead]), done)

    def keep(self, passes: Passes) -> None:
        """Let whoever sends what he will also add to decode it: he adds what the others add."""
        schedule, parks = self.schedule, np.flatnonzero(self.schedule.parked & (self.flow.reduces > 0))
        if not len(parks) or not self.sizes.of(passes):
            return
        first, _ = self.flow.alike(parks, schedule.reduces[parks])
        lead = parks[first]
        kept = self.rows.work(schedule.source[lead], self.part[lead] * self.sizes.of(passes), schedule.reduces[lead])
        self.rows.wait_alike(kept, self.base + lead)

    def rest(self, passes: Passes, done: Floats) -> tuple[Ints, Ints]:
        """Let ranks work on what is left of the vector; rows and ranks."""
        ranks = np.flatnonzero(done < 1 - NOTHING)
        return self.rows.work(ranks, (1 - done[ranks]) * self.sizes.of(passes)), ranks

    def rest_at_the_end(self, passes: Passes, done: Floats) -> Ints:
        """Let them do so once everything has come to them; the rows."""
        if not self.sizes.of(passes):
            return np.zeros(0, np.int64)
        rows, ranks = self.rest(passes, done)
        self.after(rows, ranks)
        return rows


def linear(worker: Worker, codec: Codec) -> None:
    """Encode and decode around sums of codes, piece by piece where the codec can."""
    cost, sizes = codec.cost, worker.sizes
    if codec.whole:
        if sizes.of(cost.encode):
            worker.before(cost.encode, sizes)
        worker.at_the_end(cost.decode, sizes)
        return
    if sizes.of(cost.encode):
        worker.encode_own(cost.encode)
    worker.rest_at_the_end(cost.decode, worker.decode(cost.decode, once=True).done)


def quantiser(worker: Worker, codec: Codec) -> None:
    """Decode, add and encode wherever something is added; pass codes on as they are."""
    cost = codec.hop.cost
    if codec.whole:
        worker.before(codec.cost.encode, worker.sizes)
    worker.add(cost.add)
    worker.encode(cost.encode, own_too=not codec.whole)
    worker.keep(cost.decode)
    done = worker.decode(cost.decode).done
    if done.any():
        # Some have the sum from adding it up themselves; they go on with what its code stands for, like the others.
        worker.rest_at_the_end(cost.encode, done)
        worker.rest_at_the_end(cost.decode, done)


def merged(worker: Worker, codec: Codec, growth: Growth, least: Floats) -> Program:
    """Merge lists of indices wherever something is added: what a firing carries grows with the ranks that are in it.

    The program behind `worker` has no gap between messages; `least` are the bytes that pass in it, shape ``[rows]``.
    """
    schedule, cost, sizes = worker.schedule, codec.cost, worker.sizes
    worker.before(cost.encode, sizes)
    adding, added = worker.add(MERGE)
    decoding = worker.decode(cost.decode)
    rest = worker.rest_at_the_end(cost.decode, decoding.done)
    program = worker.rows.finished()
    # Codes grow; the vector that they are decoded into does not.
    dense = np.zeros(program.rows)
    share = cost.decode.raw * sizes.raw / (sizes.of(cost.decode) or 1.0)
    begin = np.full(program.rows, growth.one)
    begin[: schedule.rows] = growth.begin
    begin[added] = growth.merging[adding]
    begin[decoding.rows] = growth.begin[decoding.like] + schedule.reduces[decoding.like]
    begin[rest] = growth.all
    for rows in (decoding.rows, rest):
        dense[rows] = program.bytes[rows] * share
    gap = np.concatenate([least, np.zeros(program.rows - len(least))])
    return varied(program, begin, growth.times, dense, gap)


def gathered(worker: Worker, codec: Codec, one: Sizes) -> None:
    """Encode `one` vector, and add every code that comes, one's own included, to a sum that begins as zeros."""
    ranks = np.arange(worker.schedule.ranks)
    encoded = worker.before(codec.cost.encode, one)
    zeros = worker.rows.work(ranks, one.raw)
    worker.rows.wait(zeros, encoded)
    decoding = worker.decode(codec.cost.add)
    worker.rows.wait(decoding.rows, zeros[decoding.rank])
