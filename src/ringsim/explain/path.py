"""What a run's time is made of: its critical path, walked backwards from the last delivery.

Every firing began the moment the last thing it waited for was there: a delivery, or its own sender's being free. Going
from each to that one, from the end to the beginning, gives a chain of firings without a gap between them. Its parts add
up to the time of the run, so each second of it has exactly one reason.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ringsim.engines.compiled.recording import Deliveries
from ringsim.explain.rows import Rows
from ringsim.fabric import Protocol
from ringsim.program import Program, inside_nodes
from ringsim.topology import Topology

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: What time is spent on, in the order in which it passes.
PARTS = (
    "start-up", "sender's overhead", "sending", "gap between messages", "waiting for shared links", "latency of links",
    "software steps", "reducing", "copying out", "encoding and decoding", "waiting for a card's memory",
)  # fmt: skip

#: Times this close together, relative to the later one, are equal: some thousand roundings.
EQUAL = 1e-12


@dataclass(frozen=True, eq=False)
class Path:
    """The critical path in the order of time, shape ``[hops]`` unless said otherwise.

    Attributes
    ----------
    row, firing : int arrays
        Of the program. Joins are among them; they cost nothing. So is what a codec does on cards.
    delivered : bool array
        Whether what came next waited for the delivery, or only for the sender to be free again.
    begin, end : float arrays, seconds
        From when the firing kept the run waiting, and until when.
    parts : float array, shape ``[hops, parts]``, seconds
        What `PARTS` took of it; those of a hop add up to ``end - begin``, which leaves start-up to nobody, except to the
        work between two calls.
    startup : float, seconds
    """

    row: Ints
    firing: Ints
    delivered: NDArray[np.bool_]
    begin: Floats
    end: Floats
    parts: Floats
    startup: float

    @cached_property
    def total(self) -> Floats:
        """Seconds for each of `PARTS`, shape ``[parts]``."""
        found: Floats = self.parts.sum(axis=0)
        found[0] += self.startup
        return found

    def taking(self, *parts: str) -> float:
        """Seconds that some of `PARTS` take together."""
        return float(sum(self.total[PARTS.index(part)] for part in parts))


def critical_path(program: Program, rows: Rows, topology: Topology, protocol: Protocol, times: Deliveries) -> Path:
    """Walk back from the last delivery.

    Parameters
    ----------
    program : Program
    rows : Rows
        What its rows are.
    topology, protocol
        It was priced from.
    times : Deliveries
        Of its run.
    """
    steps = _walk(program, times)[::-1]
    row, firing = (np.array([step[i] for step in steps], np.int64) for i in (0, 1))
    delivered, end = np.array([step[2] for step in steps], bool), np.array([step[3] for step in steps])
    begin = np.concatenate([[program.startup], end[:-1]])
    walked = Path(row, firing, delivered, begin, end, np.zeros((len(row), len(PARTS))), program.startup)
    return replace(walked, parts=_parts(program, rows, topology, protocol, walked))


def _walk(program: Program, times: Deliveries) -> list[tuple[int, int, bool, float]]:
    """(row, firing, whether its delivery counts, until when), latest first."""
    offsets, on, lags = program.dep_offsets, program.dep_row, program.dep_lag
    count, reduces, latency, work = program.count, program.reduces, program.latency, program.work

    def left(row: int, firing: int) -> float:
        adding = work[row] if firing < reduces[row] else 0.0
        return float(times.at(row, firing) - latency[row] - adding)

    row, firing = times.last(program.closing)
    delivered, end = True, float(times.at(row, firing) + _closing(program, row))
    found = []
    while True:
        found.append((row, firing, delivered, end))
        inputs = slice(offsets[row], offsets[row + 1])
        wanted = firing - lags[inputs]
        some = np.flatnonzero(wanted >= 0)
        given = on[inputs][some]
        nth = np.minimum(wanted[some], count[given] - 1)
        when = times.at(given, nth)
        latest = float(when.max(initial=-1.0))
        # Who waits for data rather than for himself comes first where both are there at once, and of inputs the first.
        before = (row, firing - 1) if firing else (int(program.after[row]), -1)
        own = -1.0
        if before[0] >= 0:
            before = before[0], before[1] % int(count[before[0]])
            own = left(*before)
        if max(own, latest) < 0:
            return found
        if latest >= own * (1 - EQUAL):
            which = int((when >= latest * (1 - EQUAL)).argmax())
            row, firing, delivered, end = int(given[which]), int(nth[which]), True, float(when[which])
        else:
            (row, firing), delivered, end = before, False, own


def _closing(program: Program, row: int) -> float:
    """Seconds between the last delivery of a row and its being finished."""
    return 0.0 if program.closing is None else float(program.closing[row])


def _parts(program: Program, rows: Rows, topology: Topology, protocol: Protocol, path: Path) -> Floats:
    """Divide what each hop took, shape ``[hops, parts]``."""
    row, delivered = path.row, path.delivered
    sends, works = rows.sends[row], rows.works[row]
    rate, overhead = program.top_rate()[row], program.overhead[row]
    latency = np.where(delivered, program.latency[row], 0.0)
    work = np.where(delivered & (path.firing < program.reduces[row]), program.work[row], 0.0)
    inside = inside_nodes(rows.schedule, topology)[rows.row[row]]
    closing = np.zeros(len(row))
    closing[-1] = _closing(program, int(row[-1]))
    # What of a step runs while the channel is busy with the slice anyway counts as that.
    software = np.maximum(0.0, protocol.step_scale_up - (overhead - protocol.send_overhead))
    step = np.where(delivered & sends, np.where(inside, software, protocol.step_network), 0.0)
    moving = np.where(sends | works, path.end - path.begin - overhead - latency - work - closing, 0.0)
    waiting = moving - program.bytes[row] / rate
    waiting[waiting <= EQUAL * path.end] = 0.0  # what is left is the rounding of the two times
    shared, gap, hidden = np.where(sends, waiting, 0.0), np.zeros(len(row)), np.zeros(len(row))
    if program.padding is not None:
        # A gap runs while the message is on its way: whoever waits for the message sees only what of the gap is longer.
        pause = np.where(sends, program.padding[row], 0.0) / rate
        hidden = np.where(delivered, np.minimum(pause, _on_the_way(program, topology)[row] + step), 0.0)
        gap = pause - hidden
        # Who sends less than fills a gap shares its card with others that do: what it waits for is their gaps.
        gap, shared = gap + np.where(pause > 0, shared, 0.0), np.where(pause > 0, 0.0, shared)
    parts = {
        # The latency of work is the start-up of the call that follows it.
        "start-up": np.where(works, latency, 0.0), "sender's overhead": overhead,
        "sending": np.where(sends, moving - shared - gap - hidden, 0.0), "gap between messages": gap,
        "waiting for shared links": shared, "latency of links": np.where(works, 0.0, latency + hidden - step),
        "software steps": step, "reducing": work, "copying out": closing,
        "encoding and decoding": np.where(works, moving - waiting, 0.0),
        "waiting for a card's memory": np.where(works, waiting, 0.0),
    }  # fmt: skip
    return np.stack([parts[name] for name in PARTS], axis=1)


def _on_the_way(program: Program, topology: Topology) -> Floats:
    """Latencies of the links that each row takes, added up, shape ``[rows]``."""
    limits = np.zeros(len(program.bandwidth) - topology.links)
    each = np.concatenate([topology.latency, limits])[program.route_links]
    return np.bincount(program.row_of_hop(), weights=each, minlength=program.rows).astype(np.float64)
