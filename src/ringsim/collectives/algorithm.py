"""What an algorithm is to those who choose one, and the defaults that several of them share."""

import math
from collections.abc import Callable
from typing import NamedTuple

from ringsim.fabric import Protocol
from ringsim.schedule import Schedule
from ringsim.topology import Topology

#: Pieces of a pipeline: enough to fill it several times over, but none smaller than this many bytes.
SMALLEST_CHUNK = 32 * 1024

#: Chunks that go through the stages of a hierarchy one behind the other.
MOST_CHUNKS = 16


class Algorithm(NamedTuple):
    """How to build a schedule, and what to choose where the user does not.

    Attributes
    ----------
    build : (topology, channels, pieces) → Schedule
        `pieces` are slices of a ring's chunk, or chunks of a share that go through a pipeline.
    channels : topology → int
        The most channels that do not get in each other's way.
    rows : (topology, channels) → int
        Rows that `build` will make, roughly, to know beforehand what they take.
    pieces : (topology, channels, protocol, payload bytes) → int
        The default.
    piece : str
        What the field calls a piece: ``slices`` or ``chunks``.
    allotted : bool
        Whether NCCL knows it and divides scale-up links among its channels.
    auto : bool
        Whether ``auto`` tries it.
    adds_in_switch : bool
        Whether switches do the adding: that has another bound, and constants of its own.
    looks : bool
        Whether it lays itself along the network, so that it does not matter on which card a rank sits.
    about : str
        What it is, for people who choose.
    """

    build: Callable[[Topology, int, int], Schedule]
    channels: Callable[[Topology], int]
    rows: Callable[[Topology, int], int]
    pieces: Callable[[Topology, int, Protocol, float], int]
    piece: str
    allotted: bool = False
    auto: bool = False
    adds_in_switch: bool = False
    looks: bool = False
    about: str = ""


# -- channels, pieces and rows -------------------------------------------------------------------------------


def one(*_: object) -> int:
    """One channel, or one piece."""
    return 1


def slices(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    """As many slices as the protocol cuts a ring's chunk into; one where a channel's part of it has no more than 32 KiB."""
    if protocol.channels is None:
        return protocol.slices
    chunk = payload / topology.cards / protocol.channels
    return max(1, min(protocol.slices, math.ceil(chunk / SMALLEST_CHUNK)))


def chunks(topology: Topology, channels: int, protocol: Protocol, payload: float, most: int = MOST_CHUNKS) -> int:
    """Up to `most` chunks of a card's part."""
    return max(1, min(most, int(payload / topology.group // SMALLEST_CHUNK)))


def overlapping(topology: Topology, channels: int, protocol: Protocol, payload: float) -> int:
    """Several chunks where steps inside nodes and between them work on different ones; in one node they share links."""
    return chunks(topology, channels, protocol, payload) if topology.nodes > 1 else 1


def ring_rows(topology: Topology, channels: int) -> int:
    """A row from each card on every ring."""
    return channels * topology.cards


def pairs(topology: Topology, channels: int) -> int:
    """A row from each card to each, and a join."""
    return topology.cards * topology.cards
