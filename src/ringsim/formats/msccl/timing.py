"""An algorithm as a schedule that can be timed: what is sent when, and nothing of how it is stored.

A message sets off when the steps before it in its block are over, and what these wait for; it is there once it has
travelled. What is received into scratch is parked until the step that adds it. The law of time knows no departure of a
message that something else could wait for, so whoever waits for a step that sends waits for its arrival. And what a
*receiving* step waits for holds back the message: its sender learns that there is no place for it yet, as with HCCL's
notify and MPI's rendezvous.
"""

from collections import defaultdict
from itertools import groupby

import numpy as np

from ringsim.formats.msccl.algo import ADDS, LOCAL, RECEIVES, SENDS, STORES, Algo
from ringsim.formats.msccl.folding import Chain, Wait, fold
from ringsim.formats.msccl.formula import Shape, pieces
from ringsim.formats.msccl.walk import Walk, walk
from ringsim.schedule import Schedule

#: Something that comes in an order: the chain it is in, and its number there.
Item = tuple[int, int]


def to_schedule(algo: Algo, *, handshakes: bool = True) -> Schedule:
    """Turn an algorithm into a schedule with the same messages.

    Parameters
    ----------
    algo : Algo
    handshakes : bool
        Whether what a receiving step waits for (`depid`) holds back the message itself.

    Raises
    ------
    MscclError
        If ringsim has no such collective.
    ValuesError
        If the algorithm never ends, or moves a chunk where another belongs; the message names gpu, block and step.
    """
    found = walk(algo)
    told = _Told(found, handshakes)
    return fold(told.chains(), told.shapes, told.waits(), found.data, len(algo.gpus), algo.channels)


class _Block:
    """A thread block on the way."""

    def __init__(self) -> None:
        self.said: list[Item] = []  # what steps since the last that did something say they wait for
        self.to_send: list[Item] = []  # what the next send waits for, beyond what those before it did
        self.to_join: list[Item] = []  # likewise
        self.joins = -1  # its chain of joins
        self.last_sent: list[Item] = []
        self.open = False  # whether what waits for nothing else may go into the last join


class _Told:
    """Goes through the steps and notes messages, joins and who waits for whom."""

    def __init__(self, found: Walk, handshakes: bool) -> None:
        self.found = found
        self.peers = [{block.id: block for block in gpu.blocks} for gpu in found.algo.gpus]
        self.ends: list[tuple[int, int, int]] = []  # source, target and channel of each chain
        self.messages: list[list[int]] = []  # steps that send them, by chain; of joins whatever
        self.number: dict[tuple[int, int, int], int] = {}
        self.taken: dict[tuple[int, int, int], tuple[int, int, bool]] = {}  # chunk of a message: join, and if it adds
        self.pairs: list[tuple[int, int, int, int]] = []
        self.takes: list[tuple[int, int, tuple[int, int, int]]] = []
        self.shapes: list[Shape] = []
        self._shapes: dict[Shape, int] = {}
        self.first: list[list[int]] = []  # pieces before each message, by chain
        self.piece: dict[tuple[int, int, int], int] = {}
        self._scratch: dict[tuple[int, int], tuple[int, int, int]] = {}
        self._adds = {found.sender[i]: step.kind in ADDS for i, step in enumerate(found.steps)}  # by who sends
        self._go(handshakes)

    def _chain(self, source: int, target: int, channel: int, *, joins: bool = False) -> int:
        key = source, target, -1 - channel if joins else channel
        if key not in self.number:
            self.number[key] = len(self.ends)
            self.ends.append((source, target, 0 if joins else channel))
            self.messages.append([])
        return self.number[key]

    def _go(self, handshakes: bool) -> None:
        found = self.found
        blocks = defaultdict[tuple[int, int], _Block](_Block)
        awaited = set(found.awaited)
        fused = {
            place[:2] for place, step in zip(found.places, found.steps, strict=True) if step.kind in SENDS & RECEIVES
        }
        sent = dict[int, Item]()
        over = list[list[Item]]()
        for i, (place, step) in enumerate(zip(found.places, found.steps, strict=True)):
            block, peers = blocks[place[:2]], self.peers[place.gpu][place.block]
            if found.awaited[i] >= 0:
                block.said += over[found.awaited[i]]
            if step.kind == "nop":
                over.append(list(block.said))
                continue
            said, block.said = block.said, []
            if step.kind in RECEIVES:
                item = sent[found.sender[i]]
                if handshakes and step.kind not in SENDS:
                    self.pairs += [(*item, *other) for other in said]
                    said = []
                said.append(item)
                if step.target == "s" and step.kind in STORES:
                    for k in range(step.size):
                        self._scratch[place.gpu, step.target_offset + k] = *item, k
            block.to_send += said
            block.to_join += said
            if step.kind in SENDS:
                chain = self._chain(place.gpu, peers.send, peers.channel)
                item = sent[i] = chain, len(self.messages[chain])
                self.messages[chain].append(i)
                self.pairs += [(*item, *other) for other in block.to_send]
                block.to_send = []
                block.to_join.append(item)
                block.last_sent = [item]
            elif step.kind in LOCAL:
                item = self._local(block, i)
            over.append([item])
            if step.kind in RECEIVES and step.kind not in SENDS:
                # What came first in the block is over, too. Where messages are sent on as they come nobody means that.
                over[-1] += [] if place[:2] in fused else block.last_sent
                over[-1] += [] if block.joins < 0 else [(block.joins, len(self.messages[block.joins]) - 1)]
            block.open = step.kind in LOCAL and i not in awaited

    def _local(self, block: _Block, i: int) -> Item:
        """Add to the block's last join, or begin another."""
        place, step = self.found.places[i], self.found.steps[i]
        chain = block.joins = self._chain(place.gpu, place.gpu, place.block, joins=True)
        if not block.open or block.to_join:
            self.messages[chain].append(i)
            if len(self.messages[chain]) > 1:
                block.to_join.append((chain, len(self.messages[chain]) - 2))
        item = chain, len(self.messages[chain]) - 1
        self.pairs += [(*item, *other) for other in block.to_join]
        block.to_join = []
        block.to_send.append(item)
        if step.source == "s":
            for chunk in range(step.source_offset, step.source_offset + step.size):
                part = self._scratch.pop((place.gpu, chunk), None)
                if part is not None:
                    self.taken[part] = *item, step.kind in ADDS
                    self.takes.append((*item, part))
        return item

    def chains(self) -> list[Chain]:
        """Connections and joins; a message that is taken in pieces is as many messages, one behind the other."""
        chains = []
        for c, ((source, target, channel), steps) in enumerate(zip(self.ends, self.messages, strict=True)):
            rows, first = list[tuple[int, int, bool, int, int]](), [0]
            for pos, i in enumerate(steps):
                if source == target:
                    rows.append((0, self._shape((0,)), False, -1, -1))
                    first.append(len(rows))
                    continue
                for taker, run in groupby(range(len(self.found.units[i])), key=lambda k: self.taken.get((c, pos, k))):
                    chunks = list(run)
                    by, at, adds = taker or (-1, -1, self._adds[i])
                    for unit, shape, _ in pieces([self.found.units[i][k] for k in chunks], self.found.data.units):
                        rows.append((unit, self._shape(shape), adds, by, at))
                        here, chunks = chunks[: len(shape)], chunks[len(shape) :]
                        self.piece.update(((c, pos, k), len(rows) - 1) for k in here if taker)
                first.append(len(rows))
            self.first.append(first)
            firsts, shapes, added, taken_by, taken_at = (np.array(column) for column in zip(*rows, strict=True))
            chains.append(Chain(source, target, channel, firsts, shapes, added.astype(bool), taken_by, taken_at))
        return chains

    def _shape(self, shape: Shape) -> int:
        if shape not in self._shapes:
            self._shapes[shape] = len(self.shapes)
            self.shapes.append(shape)
        return self._shapes[shape]

    def waits(self) -> Wait:
        """Who waits for whom; whoever waits for a message that is taken in pieces waits for the last."""
        first = self.first
        pairs = [(c, first[c][n], on, first[on][m + 1] - 1) for c, n, on, m in self.pairs]
        pairs += [(c, n, part[0], self.piece[part]) for c, n, part in self.takes]
        return Wait(*np.array(pairs, np.int64).reshape(-1, 4).T)
