"""What a library's way of moving data costs: the constants of its protocols, for all algorithms or for one.

Apart from the hardware, because the same cards run under several libraries, and the same library has a protocol for
small messages and one for large ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Protocol:
    """How a library moves a message, and what the software costs.

    Parameters
    ----------
    name : str
        As the library calls it.
    startup : float
        Seconds before the first step of a collective.
    step_scale_up, step_network : float
        Software cost in seconds of one step inside a node and between nodes, on top of the latencies of
        the links.
    wire : float
        Bytes on the wire for one byte of payload, at least 1.
    slices : int
        Pieces a chunk is cut into so that sending and reducing overlap.
    share : str
        ``reserved`` (each channel has its own part of a link) or ``max-min`` (fair sharing).
    channel_cap : float
        Most that one connection can carry, bytes per second; infinity for no limit.
    limit_scale_up, limit_network : float
        Most that all channels of a card carry together to another card, inside a node and between nodes, bytes per
        second on the wire; infinity for no limit.
    send_overhead : float
        Seconds for which a card is busy with each message it sends.
    slice_overhead : float
        Seconds for which a channel inside a node is busy with each slice, beside sending it; its step runs meanwhile.
    message_gap : float
        Seconds between two messages that a card sends to other nodes, at least.
    reduce_bandwidth : float
        Rate at which arriving data is added, bytes per second; infinity if it is hidden.
    channels : int or None
        Channels that the library opens in a node, for which those of a schedule stand; None if they are its own.
    copy_bandwidth : float
        Rate at which each of them copies the last chunk out of its buffer, inside a node, bytes per second; infinity if
        it is hidden.
    """

    name: str
    startup: float
    step_scale_up: float
    step_network: float
    wire: float
    slices: int
    share: str
    channel_cap: float = math.inf
    limit_scale_up: float = math.inf
    limit_network: float = math.inf
    send_overhead: float = 0.0
    slice_overhead: float = 0.0
    message_gap: float = 0.0
    reduce_bandwidth: float = math.inf
    channels: int | None = None
    copy_bandwidth: float = math.inf


@dataclass(frozen=True)
class ProtocolSet:
    """One protocol with the constants that some algorithms have of their own.

    Parameters
    ----------
    base : Protocol
        For every algorithm that is not named below.
    overrides : mapping
        From an algorithm's name (one of `ringsim.fabric.keys.ALGORITHMS`) to the complete protocol for it.
    """

    base: Protocol
    # Not part of the hash, because a dict has none; equality still sees it.
    overrides: Mapping[str, Protocol] = field(hash=False)

    def of(self, algorithm: str) -> Protocol:
        """Return the constants for one algorithm."""
        return self.overrides.get(algorithm, self.base)
