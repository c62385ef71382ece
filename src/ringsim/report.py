"""An answer in words: what was assumed, what came out, and what limits it.

A simulated time is worth as much as its assumptions, so the header states every one that could move the
result, and the table keeps the columns of nccl-tests, so that a measurement can be laid beside it. Pure
functions from an `Answer` to lines of text; who prints them, where and in which colours is not known here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ringsim import __version__
from ringsim.candidates import MEMORY
from ringsim.catalogue import constants, find
from ringsim.codec_words import codec_facts
from ringsim.collectives import Algorithm
from ringsim.fabric import Protocol
from ringsim.result import Result
from ringsim.study import Answer
from ringsim.topology import GraphTopology, Topology
from ringsim.units import format_rate, format_size, format_time
from ringsim.writing import columns, micro, share

#: Columns that the labels of the header take.
LABEL = 11

#: More rows of a table than anybody reads.
MOST_ROWS = 16

#: What each kind of link is to the person who pays for it.
WORDS = {
    "card→switch": "scale-up links", "switch→card": "scale-up links", "lane": "scale-up lanes",
    "card→nic": "host links", "nic→card": "host links", "nic→leaf": "NIC ports", "leaf→nic": "NIC ports",
    "leaf→spine": "trunks between leaf and spine", "spine→leaf": "trunks between leaf and spine",
    "spine→core": "trunks between spine and core", "core→spine": "trunks between spine and core",
    "leaf→leaf": "cables between switches", "link": "links", MEMORY: "card memories",
}  # fmt: skip


#: What becomes of cables beside each other where traffic is spread, in networks without tiers.
SPREAD = {
    "torus": "the cables between two nodes act as one trunk",
    "dragonfly": "connections take the cables between two groups in turn",
}


@dataclass(frozen=True)
class Line:
    """One line and what it is; a ``label`` line begins with `LABEL` columns of label."""

    text: str
    role: Literal["title", "label", "heading", "row", "best", "note", "verdict", "blank"] = "row"


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Write ``1 node``, ``128 nodes``, ``2 leaves``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


# -- header ------------------------------------------------------------------------------------------------


def header(answer: Answer) -> list[Line]:
    """Say what was simulated and everything that was assumed, one aligned line each."""
    case = answer.best.case
    what = f"{format_size(case.bytes)}" + (f", the gradients of {case.model}" if case.model else "")
    title = (
        f"{case.collective} of {what} ({case.count:,} × {case.dtype}) on {case.cards:,} cards, ringsim {__version__}"
    )
    return [Line(title, "title"), Line("", "blank")] + [
        Line(f"{label:<{LABEL}}{text}", "label") for label, text in _facts(answer)
    ]


def _facts(answer: Answer) -> Iterator[tuple[str, str]]:
    topology, sheet, best = answer.topology, answer.fabric, answer.best
    yield from cluster_facts(topology)
    protocol = constants(sheet, best.case.protocol, best.case.algorithm)
    if best.case.placement:
        minds = "which looks where they are" if _how(best).looks else "which the algorithm takes as they come"
        yield "placement", f"{best.case.placement}: ranks on other cards than their own, {minds}"
    yield "algorithm", _algorithm(answer)
    yield from (("", remark) for remark in answer.remarks)
    yield "protocol", _protocol(protocol, topology.nodes)
    yield from codec_facts(best, sheet.card.memory_bandwidth)
    yield "sharing", _sharing(protocol, _how(best).allotted)
    limits = {"in a node": protocol.limit_scale_up, "between nodes": protocol.limit_network}
    stated = [f"{format_rate(limit)} {where}" for where, limit in limits.items() if math.isfinite(limit)]
    spaced = protocol.message_gap and topology.nodes > 1
    if spaced:
        yield "limits", f"a card sends a message to other nodes every {format_time(protocol.message_gap)} at most"
    if stated:
        every = "all channels of a card together"
        yield "" if spaced else "limits", f"{every}: {', '.join(stated)}, on the wire"
    yield "model", _model(protocol)
    for i, change in enumerate(best.case.changed):
        yield "" if i else "changed", change
    yield "engine", _engine(answer)


def cluster_facts(topology: Topology) -> Iterator[tuple[str, str]]:
    """Labels and texts that say what the hardware is."""
    sheet = topology.fabric
    yield "fabric", f"{sheet.name}: {sheet.title}"
    if isinstance(topology, GraphTopology):
        yield from _drawn(topology)
        return
    yield "cluster", _cluster(topology)
    yield "scale-up", _scale_up(topology)
    if topology.nodes > 1:
        yield from _network(topology)
    else:
        yield "network", "not used: one scale-up domain holds every card"


def _cluster(topology: Topology) -> str:
    nodes, name = topology.nodes, topology.fabric.card.name
    text = f"{counted(nodes, 'node')} of {topology.group:,} {name}"
    if topology.last_group != topology.group:
        text += f", the last of {topology.last_group:,}"
    text += f"; {counted(topology.links, 'directed link')}"
    if topology.group != topology.fabric.domain.size:
        text += f"; the fabric's own domain holds {topology.fabric.domain.size:,}"
    return text


def _effective(rate: float, efficiency: float) -> str:
    """Write the rate that is simulated, and what part it is of the one that is sold."""
    nominal = f"{share(efficiency)} of the nominal {format_rate(rate)}"
    return f"{format_rate(rate * efficiency)} each way, {nominal}"


def _scale_up(topology: Topology) -> str:
    domain = topology.fabric.domain
    if topology.group == 1:
        return "not used: a domain holds one card"
    sides = "×".join(map(str, domain.shape)) + " " if domain.kind == "torus" else ""
    rate = _effective(domain.lane_bandwidth, domain.efficiency)
    used = topology.group - 1 if domain.kind == "full-mesh" else domain.lanes
    lanes = f"{counted(used, 'lane')} a card at {rate}"
    return f"{sides}{domain.kind.replace('-', ' ')}, {lanes}; {format_time(domain.latency)} a hop"


def _network(topology: Topology) -> Iterator[tuple[str, str]]:
    nic, network = topology.fabric.nic, topology.fabric.network
    wires, cost = topology.wiring()
    yield "network", f"{network.name}: {wires}; {cost}; {format_time(network.switch_latency)} a switch"
    if topology.ports != (0, 0) and topology.spines and topology.leaves > network.radix and not topology.cores:
        yield "", "each spine stands for a further non-blocking tier: there are more leaves than it has ports"
    rate = _effective(nic.bandwidth, nic.efficiency)
    yield "nic", f"{rate}; {format_rate(nic.host_bandwidth)} to the card; {format_time(nic.latency)} a side"
    if network.routing == "hash":
        by = f"its ends, its channel and seed {topology.seed}"
        yield "routing", f"hash: a connection keeps one path, chosen by {by}"
    else:
        tiers = "a switch's cables to the tier above act as one trunk (planned or adaptive paths)"
        yield "routing", f"spread: {SPREAD.get(network.kind, tiers)}"


def _drawn(topology: GraphTopology) -> Iterator[tuple[str, str]]:
    wires, routes = topology.wiring()
    rates = sorted({format_rate(rate) for rate in (topology.rate.min(), topology.rate.max())})
    yield "cluster", f"{wires}; {counted(topology.links, 'directed link')} of {' to '.join(rates)}"
    by = f"its ends, its channel and seed {topology.seed}"
    yield "routing", f"{routes}; among equals one path for each connection, chosen by {by}"


def _algorithm(answer: Answer) -> str:
    case = answer.best.case
    each = counted(case.pieces, _how(answer.best).piece.removesuffix("s"))
    text = f"{case.algorithm} on {counted(case.channels, 'channel')}, {each}"
    among = len(answer.candidates)
    return f"{text}: the fastest of {among} candidates" if among > 1 else text


def _protocol(protocol: Protocol, nodes: int) -> str:
    step = f"step {format_time(protocol.step_scale_up)} in a node"
    if nodes > 1:
        step += f", {format_time(protocol.step_network)} between nodes"
    parts = [f"{protocol.name}: start {format_time(protocol.startup)}", step]
    if protocol.send_overhead:
        parts.append(f"{format_time(protocol.send_overhead)} to send a message")
    if protocol.slice_overhead:
        parts.append(f"busy {format_time(protocol.slice_overhead)} per slice")
    if protocol.wire > 1:
        parts.append(f"wire overhead {share(protocol.wire - 1)}")
    elif not protocol.slice_overhead:  # a line has room for one of them
        parts.append("no wire overhead")
    return "; ".join(parts)


def _how(result: Result) -> Algorithm:
    return find(result.case.collective, result.case.algorithm)


def _sharing(protocol: Protocol, allotted: bool) -> str:
    text = "max-min: connections share every link fairly"
    if allotted and protocol.share == "reserved":
        text = "reserved: a channel keeps its part of a scale-up link; other links max-min"
    if math.isfinite(protocol.channel_cap):
        text += f"; at most {format_rate(protocol.channel_cap)} each"
    return text


def _model(protocol: Protocol) -> str:
    free = math.isinf(protocol.reduce_bandwidth)
    reducing = "reducing is free" if free else f"reducing at {format_rate(protocol.reduce_bandwidth)}"
    return f"bytes are a fluid; {reducing}; no back-pressure: a sender never waits for buffers"


def _engine(answer: Answer) -> str:
    best = answer.best
    text = f"{best.case.engine}: {counted(best.transfers, 'transfer')}"
    if best.case.engine == "compiled":
        if best.case.jump:
            skipped = ((best.transfers_jumped, "jumped as steady state"), (best.transfers_folded, "folded by symmetry"))
            parts = [f"{share(part / best.transfers)} {how}" for part, how in skipped if part]
            text += ", " + (_both(parts) or "none jumped or folded")
        else:
            text += ", none jumped or folded (--no-jump)"
    wall = sum(candidate.wall_s for candidate in answer.candidates)
    return f"{text}; computed in {format_time(wall)}"


def _both(parts: list[str]) -> str:
    """Join what was jumped and what was folded; two of them without their reasons, to keep the line short."""
    return parts[0] if len(parts) == 1 else ", ".join(" ".join(part.split()[:2]) for part in parts)


# -- table -------------------------------------------------------------------------------------------------

_HEADS = (
    ("size", "(B)"), ("count", "(elements)"), ("type", ""), ("algorithm", "×channels"), ("protocol", ""),
    ("time", "(us)"), ("algbw", "(GB/s)"), ("busbw", "(GB/s)"), ("bound", "(us)"), ("reached", ""),
)  # fmt: skip
_LEFT = (2, 3, 4)


def table(answer: Answer) -> list[Line]:
    """Lay out one row for each candidate, fastest first, in nccl-tests' columns and units."""
    rows = _shown(answer)
    cells = [*zip(*_HEADS, strict=True), *(_cells(row) for row in rows)]
    lines = columns(cells, _LEFT)
    many = len(rows) > 1
    margin = "  " if many else ""
    out = [Line(margin + line, "heading") for line in lines[:2]]
    for row, line in zip(rows, lines[2:], strict=True):
        best = many and row is answer.best
        out.append(Line(("* " if best else margin) + line, "best" if best else "row"))
    return out


def _shown(answer: Answer) -> list[Result]:
    """Candidates fastest first; where there are more than one reads, the best of each of the fastest algorithms."""
    rows = sorted(answer.candidates, key=lambda r: (r.time_us is None, r.time_us or r.floor_us))
    if len(rows) <= MOST_ROWS:
        return rows
    best: dict[str, Result] = {}
    for row in rows:
        best.setdefault(row.case.algorithm, row)
    return list(best.values())[:MOST_ROWS]


def _cells(result: Result) -> tuple[str, ...]:
    case = result.case
    time, algbw, busbw, reached = f"≥ {micro(result.floor_us / 1e6)}", "-", "-", "-"
    if result.time_us is not None and result.algbw_GBps and result.busbw_GBps and result.reached:
        time, reached = micro(result.time_us / 1e6), share(result.reached)
        algbw, busbw = _giga(result.algbw_GBps), _giga(result.busbw_GBps)
    return (
        str(case.bytes), str(case.count), case.dtype, f"{case.algorithm} ×{case.channels}", case.protocol,
        time, algbw, busbw, micro(result.bound_us / 1e6), reached,
    )  # fmt: skip


def _giga(rate: float) -> str:
    return f"{rate:.2f}" if rate >= 0.01 else f"{rate:.2g}"


def notes(answer: Answer) -> list[Line]:
    """Say what the marks in the table mean."""
    parts = ["* fastest"] if len(answer.candidates) > 1 else []
    if any(candidate.time_us is None for candidate in answer.candidates):
        parts.append("≥ not simulated: its busiest link alone takes longer than the fastest candidate")
    if len(_shown(answer)) < len(answer.candidates):
        parts.append(f"of {len(answer.candidates)} candidates the fastest; --json has all")
    return [Line("; ".join(parts), "note")] if parts else []


# -- verdict -----------------------------------------------------------------------------------------------


def verdict(answer: Answer) -> Line:
    """Say in one line what limits the best candidate."""
    best = answer.best
    kind = WORDS[best.busiest] + (f" ({best.busiest})" if "→" in best.busiest else "")
    does = "working" if best.busiest == MEMORY else "sending"
    if best.bottleneck == "latency":
        text = f"latency: even the busiest of the {kind} is {does} {share(best.busy)} of the time"
    else:
        text = f"{kind}: the busiest is {does} {share(best.busy)} of the time"
    return Line(f"limited by {text}", "verdict")


def page(answer: Answer, *, quiet: bool = False) -> Sequence[Line]:
    """Lay out everything, in the order in which it is read; without the header if `quiet`."""
    above = [] if quiet else [*header(answer), Line("", "blank")]
    return [*above, *table(answer), *notes(answer), Line("", "blank"), verdict(answer)]


# -- profile -----------------------------------------------------------------------------------------------


def spending(spent: Mapping[str, float], total_s: float) -> list[str]:
    """Say where `total_s` seconds went; what is in no named part went into imports and the report."""
    parts = [*spent.items(), ("import and report", total_s - sum(spent.values())), ("total", total_s)]
    return [f"{name:<18}{seconds:9.3f} s {seconds / total_s:7.1%}" for name, seconds in parts]
