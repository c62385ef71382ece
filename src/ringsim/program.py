"""A schedule priced on a topology: the one place where alpha, beta and gamma meet.

Engines see nothing but this. Bytes, seconds and bytes per second; no card, no fabric, no algorithm.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringsim.fabric import Protocol
from ringsim.schedule import Schedule
from ringsim.topology import LANE, Topology

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class ProgramError(ValueError):
    """A program that can never finish; the message names a row that waits for ever."""


@dataclass(frozen=True, eq=False)
class Program:
    """Rows with routes and costs, shape ``[rows]`` unless said otherwise.

    Attributes
    ----------
    bandwidth : float array, shape ``[links]``, bytes/s
        Of the topology's links, and behind them of limits that several rows share.
    route_offsets, route_links : int arrays, shapes ``[rows + 1]`` and ``[hops]``
        Row *v* occupies ``route_links[route_offsets[v]:route_offsets[v + 1]]`` while it sends.
    bytes : float array
        Of one firing, on the wire; what is too small for the gap between two messages counts as many as pass in it.
    count, reduces : int arrays
        Firings, and how many of them, the first ones, are reduced on arrival.
    latency : float array, seconds
        From the last byte's leaving to its arrival: the links' latencies and the protocol's step.
    work : float array, seconds
        Reducing one firing into the destination.
    overhead : float array, seconds
        What the sender spends before each firing.
    cap : float array, bytes/s
        The most a row may send at, whatever the links would give it.
    after : int array
        Row on the same connection that must have left before this one begins, −1 for none.
    dep_offsets, dep_row, dep_lag : int arrays
        As in `Schedule`.
    startup : float, seconds
        Before anything moves.
    padding : float array or None
        Part of `bytes` that only keeps the sender busy; None for none.
    closing : float array, seconds, or None
        Between a row's last delivery and its being finished: copying the last chunk out of a buffer. None for nothing.
    memory : int or None
        The first of the links that stand for cards' memories, through which codecs work; None where none does.
    """

    bandwidth: Floats
    route_offsets: Ints
    route_links: NDArray[np.int32]
    bytes: Floats
    count: Ints
    reduces: Ints
    latency: Floats
    work: Floats
    overhead: Floats
    cap: Floats
    after: Ints
    dep_offsets: Ints
    dep_row: Ints
    dep_lag: Ints
    startup: float = 0.0
    padding: Floats | None = None
    closing: Floats | None = None
    memory: int | None = None

    @property
    def rows(self) -> int:
        """Connections that repeat."""
        return len(self.count)

    @property
    def transfers(self) -> int:
        """Firings of all rows together."""
        return int(self.count.sum())

    @property
    def wire_bytes(self) -> float:
        """Bytes that leave a sender, all firings together."""
        sent = self.bytes if self.padding is None else self.bytes - self.padding
        return float((sent * self.count).sum())

    def row_of_hop(self) -> Ints:
        """Row that each entry of `route_links` belongs to, shape ``[hops]``."""
        return np.repeat(np.arange(self.rows), np.diff(self.route_offsets))

    def load(self) -> Floats:
        """Bytes that cross each link, shape ``[links]``."""
        total = (self.bytes * self.count)[self.row_of_hop()]
        return np.bincount(self.route_links, weights=total, minlength=len(self.bandwidth)).astype(np.float64)

    def finished(self, delivered: Floats) -> Floats:
        """When each row is finished, from when its last firing was delivered; seconds, shape ``[rows]`` both."""
        return delivered if self.closing is None else delivered + self.closing

    def top_rate(self) -> Floats:
        """Rate of each row when it is alone, bytes/s: the least of its cap and its links."""
        return _top_rate(self.cap, self.route_offsets, self.route_links, self.bandwidth)


def _top_rate(cap: Floats, offsets: Ints, links: NDArray[np.int32], bandwidth: Floats) -> Floats:
    rate = cap.copy()
    moves = np.flatnonzero(np.diff(offsets))
    if len(moves):
        rate[moves] = np.minimum(rate[moves], np.minimum.reduceat(bandwidth[links], offsets[moves]))
    return rate


#: Links that each row takes: where they begin, shape ``[rows + 1]``, and the links, shape ``[hops]``.
Routes = tuple[Ints, NDArray[np.int32]]


def price(
    schedule: Schedule,
    topology: Topology,
    protocol: Protocol,
    payload: float,
    *,
    allotted: bool = True,
    slices: int = 1,
    routes: Routes | None = None,
) -> Program:
    """Route every row and give it its costs.

    Parameters
    ----------
    schedule : Schedule
    topology : Topology
    protocol : Protocol
        Of one algorithm, with its step costs, wire overhead, caps and way of sharing.
    payload : float
        Bytes of the vector. It may divide unevenly: bytes are a fluid here, as in every alpha-beta formula, so 8 bytes on
        1,024 cards travel as 1,024 chunks of 1/128 byte rather than as padding.
    allotted : bool
        Whether a library that divides scale-up links among its channels does so for this algorithm.
    slices : int
        Firings that make up a chunk.
    routes : Routes or None
        From `route`, where the same schedule is priced more than once.
    """
    joins = schedule.joins
    offsets, links = routes or route(schedule, topology)
    row_of_hop = np.repeat(np.arange(schedule.rows), np.diff(offsets))
    on_the_way = np.bincount(row_of_hop, weights=topology.latency[links], minlength=schedule.rows)
    inside = inside_nodes(schedule, topology)
    # A channel's thread block is busy with a slice for a while, and that is what the slice's software step is spent on.
    channels = inside & (allotted and protocol.share == "reserved")
    busy = np.where(channels, protocol.slice_overhead, 0.0)
    step = np.where(inside, np.maximum(0.0, protocol.step_scale_up - busy), protocol.step_network)

    bandwidth = topology.bandwidth
    limit = np.where(inside, protocol.limit_scale_up, protocol.limit_network)
    if allotted:
        # One connection of each channel leaves a card at a time, so each may have its part of what they carry together.
        limit = limit / schedule.channels
    else:
        bandwidth, offsets, links = _limited(schedule, topology, protocol, inside, offsets, links)
    cap = np.minimum(limit, protocol.channel_cap)
    if allotted and protocol.share == "reserved":
        # The library divided each scale-up link among its channels when it searched its graph: a channel does not
        # speed up because another happens to be idle.
        # Rows of one connection take turns, so they count once.
        sharing = np.bincount(links, weights=(schedule.after < 0)[row_of_hop], minlength=topology.links)
        scale_up = topology.kind[links] <= LANE
        part = topology.bandwidth[links] / sharing[links]
        np.minimum.at(cap, row_of_hop[scale_up], part[scale_up])

    message = np.where(joins, 0.0, payload / schedule.parts * schedule.span)
    # Nothing takes no time at any rate, but no rate at all would be no number.
    cap = np.where(joins, 1.0, cap)
    latency = np.where(joins, 0.0, on_the_way + step)
    sent, padding = message * protocol.wire, None
    if protocol.message_gap:
        rate = _top_rate(cap, offsets, links, bandwidth)
        posts = ~inside & ~joins & (schedule.source < topology.cards)
        padding = np.where(posts, np.maximum(0.0, protocol.message_gap * rate - sent), 0.0)
        # The gap keeps the sender busy; what was sent arrives as soon as it would without it.
        latency = np.maximum(0.0, latency - padding / rate)
        sent = sent + padding
    closing = None
    if math.isfinite(protocol.copy_bandwidth):
        copies = channels & ~joins & (schedule.count > schedule.reduces)
        # Those of the library share what is simulated on fewer.
        together = protocol.copy_bandwidth * (protocol.channels or schedule.channels) / schedule.channels
        closing = np.where(copies, slices * message / together, 0.0)
    return Program(
        bandwidth=bandwidth,
        route_offsets=offsets,
        route_links=links,
        bytes=sent,
        count=schedule.count,
        reduces=schedule.reduces,
        latency=latency,
        work=message / protocol.reduce_bandwidth,
        overhead=np.where(joins, 0.0, protocol.send_overhead + busy),
        cap=cap,
        after=schedule.after,
        dep_offsets=schedule.dep_offsets,
        dep_row=schedule.dep_row,
        dep_lag=schedule.dep_lag,
        startup=protocol.startup,
        padding=padding,
        closing=closing,
    )


def route(schedule: Schedule, topology: Topology) -> Routes:
    """Find the links that each row takes; joins take none."""
    moves = np.flatnonzero(~schedule.joins)
    hops, links = topology.routes(schedule.source[moves], schedule.target[moves], schedule.channel[moves])
    offsets = np.zeros(schedule.rows + 1, np.int64)
    offsets[moves + 1] = np.diff(hops)
    return np.cumsum(offsets), links


def _limited(
    schedule: Schedule,
    topology: Topology,
    protocol: Protocol,
    inside: NDArray[np.bool_],
    offsets: Ints,
    links: NDArray[np.int32],
) -> tuple[Floats, Ints, NDArray[np.int32]]:
    """Let all rows that leave a card share what the protocol carries at most: a link more on the way of each.

    Two for each card, behind those of the topology: one for rows inside the node, one for those to other nodes.
    """
    cards = topology.cards
    limited = np.isfinite(np.where(inside, protocol.limit_scale_up, protocol.limit_network))
    rows = np.flatnonzero(limited & ~schedule.joins & (schedule.source < cards))
    if not len(rows):
        return topology.bandwidth, offsets, links
    more = topology.links + schedule.source[rows] + np.where(inside[rows], 0, cards)
    longer = np.zeros(len(offsets), np.int64)
    longer[rows + 1] = 1
    limits = np.repeat([protocol.limit_scale_up, protocol.limit_network], cards)
    return (
        np.concatenate([topology.bandwidth, np.where(np.isfinite(limits), limits, 1.0)]),
        offsets + np.cumsum(longer),
        np.insert(links, offsets[rows + 1], more.astype(np.int32)),
    )


def inside_nodes(schedule: Schedule, topology: Topology) -> NDArray[np.bool_]:
    """Rows that stay inside a node, between its cards or to and from its switch, shape ``[rows]``."""
    node = topology.node_of_vertex()
    source, target = node[schedule.source], node[schedule.target]
    return np.asarray((source == target) & (source >= 0))
