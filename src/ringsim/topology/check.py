"""What is wrong or odd about a cluster, before anybody simulates on it.

A graph that somebody drew or exported is trusted by nobody until it has been looked at: a cable entered in one
direction, a card with half the links of its neighbours, a switch that leads nowhere. Errors keep a collective from
running or make a result meaningless; what is merely odd may be meant.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ringsim.topology.base import Topology
from ringsim.topology.graphs import GraphTopology
from ringsim.topology.kinds import LINK_KINDS, VERTEX_KINDS, Ints
from ringsim.topology.reading import reached
from ringsim.units import format_rate

#: Rates that differ by less than this part are the same.
ALIKE = 1e-6
#: A cut is worth telling from this ratio of what could be sent to what gets through.
THIN = 1.05
#: Findings of one sort that are told one by one; the rest are counted.
MOST = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    severity : str
        ``"error"`` or ``"odd"``.
    where : str
        The vertices or links that it is about.
    text : str
        What is the matter, in a sentence.
    """

    severity: str
    where: str
    text: str


def findings(topology: Topology) -> list[Finding]:
    """Find what is wrong or odd, errors first."""
    found = [finding for look in (_reach, _directions, _dead_ends, _unequal, _thin) for finding in look(topology)]
    return sorted(found, key=lambda finding: finding.severity != "error")


def _name(topology: Topology, vertex: int) -> str:
    if isinstance(topology, GraphTopology):
        return topology.name(vertex)
    kind = int(np.searchsorted(topology.vertices[1:-1], vertex, "right"))
    return f"{VERTEX_KINDS[kind]} {vertex - topology.vertices[kind]}"


def _some(topology: Topology, vertices: Ints) -> str:
    """Name a few vertices; runs of ranks are joined."""
    cards = vertices[vertices < topology.cards]
    if len(cards) == len(vertices) and len(cards) > 1:
        gaps = np.flatnonzero(np.diff(cards) != 1)
        first, last = np.append(cards[0], cards[gaps + 1]), np.append(cards[gaps], cards[-1])
        runs = [f"{a}" if a == b else f"{a}–{b}" for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        more = f" and {len(runs) - MOST} more ranges" if len(runs) > MOST else ""
        return f"cards {', '.join(runs[:MOST])}{more}"
    more = f" and {len(vertices) - MOST} more" if len(vertices) > MOST else ""
    return ", ".join(_name(topology, vertex) for vertex in vertices[:MOST].tolist()) + more


def _reach(topology: Topology) -> Iterator[Finding]:
    """Cards that others cannot reach, or that cannot reach others."""
    if not isinstance(topology, GraphTopology):
        return
    most = max(range(min(topology.cards, 2)), key=lambda card: int(reached(topology, card)[: topology.cards].sum()))
    for forth, words in ((True, "cannot be reached from"), (False, "cannot reach")):
        lost = np.flatnonzero(~reached(topology, most, forth=forth)[: topology.cards])
        if len(lost):
            text = f"{len(lost)} of {topology.cards} cards {words} {topology.name(most)}"
            yield Finding("error", _some(topology, lost), text)


def _directions(topology: Topology) -> Iterator[Finding]:
    """Links without a way back, and pairs whose directions differ."""
    source, target = topology.ends()
    size = topology.vertices[-1]
    there, which = np.unique(source * size + target, return_inverse=True)
    rate = np.bincount(which, weights=topology.bandwidth)
    a, b = np.divmod(there, size)
    place = np.searchsorted(there, b * size + a).clip(max=len(there) - 1)
    paired = there[place] == b * size + a
    lonely = np.flatnonzero(~paired)
    for i in lonely[:MOST].tolist():
        where = f"{_name(topology, int(a[i]))} → {_name(topology, int(b[i]))}"
        yield Finding("odd", where, "a one-way link: nothing leads straight back")
    if len(lonely) > MOST:
        yield Finding("odd", "links", f"{len(lonely) - MOST} more one-way links")
    back = rate[place]
    uneven = np.flatnonzero(paired & (a < b) & (np.abs(rate - back) > ALIKE * np.maximum(rate, back)))
    for i in uneven[:MOST].tolist():
        where = f"{_name(topology, int(a[i]))} ↔ {_name(topology, int(b[i]))}"
        text = f"asymmetric: {format_rate(float(rate[i]))} there, {format_rate(float(back[i]))} back"
        yield Finding("odd", where, text)
    if len(uneven) > MOST:
        yield Finding("odd", "links", f"{len(uneven) - MOST} more asymmetric links")


def _dead_ends(topology: Topology) -> Iterator[Finding]:
    """Switches that pass nothing on: no way in, no way out, or a single neighbour.

    By construction there are some without harm: the switch of a node of one card, rails that a smaller last node lacks.
    """
    if not isinstance(topology, GraphTopology):
        return
    source, target = topology.ends()
    size = topology.vertices[-1]
    pairs = np.unique(np.concatenate([source * size + target, target * size + source]))
    neighbours = np.bincount(pairs // size, minlength=size)
    ways = np.minimum(np.bincount(source, minlength=size), np.bincount(target, minlength=size))
    dead = np.flatnonzero((neighbours < 2) | (ways < 1))
    dead = dead[dead >= topology.cards]
    if len(dead):
        text = "a dead end: no traffic between others can pass through"
        if len(dead) > 1:
            text = f"{len(dead)} dead ends: no traffic between others can pass through them"
        yield Finding("odd", _some(topology, dead), text)


def _unequal(topology: Topology) -> Iterator[Finding]:
    """Cards whose links together are faster or slower than most cards', in all and kind by kind."""
    ends = topology.ends()
    everyone = range(topology.cards)
    for end, way in zip(ends, ("out", "in"), strict=True):
        own = end < topology.cards
        for kind in (-1, *np.unique(topology.kind[own]).tolist()):
            chosen = own & ((topology.kind == kind) | (kind < 0))
            total = np.bincount(end[chosen], weights=topology.bandwidth[chosen], minlength=topology.cards)
            values, counts = np.unique(np.round(total / max(float(total.max()), 1e-300), 6), return_counts=True)
            if len(values) < 2 or (kind >= 0 and not topology.nodes > 1):
                continue
            usual = values[counts.argmax()] * float(total.max())
            others = np.flatnonzero(np.abs(total - usual) > ALIKE * max(usual, float(total.max())))
            if not len(others) or len(others) == len(everyone):
                continue
            what = "bandwidth" if kind < 0 else f"{LINK_KINDS[kind]} bandwidth"
            low, high = float(total[others].min()), float(total[others].max())
            theirs = format_rate(low) if low == high else f"{format_rate(low)} to {format_rate(high)}"
            text = f"{what} {way} is {theirs}, and {format_rate(float(usual))} for {int(counts.max())} other cards"
            yield Finding("odd", _some(topology, others), text)
            if kind < 0:
                break  # the kinds would only say it again


def _thin(topology: Topology) -> Iterator[Finding]:
    """The cut behind which most bandwidth is locked up."""
    source, target = topology.ends()
    node = topology.node_of_vertex()
    inside = node[: topology.cards]
    rate = topology.bandwidth
    worst: tuple[float, str, Finding] | None = None
    able = np.full(topology.nodes, np.inf)
    for name, drawn in topology.areas():
        for label in drawn:
            leaving, entering = label[source], label[target]
            crossing = (leaving != entering) & (leaving >= 0)
            groups = int(label[: topology.cards].max()) + 1
            crossing &= leaving < groups
            out = np.bincount(leaving[crossing], weights=rate[crossing], minlength=groups)
            if name == "node" or (name == "card" and topology.nodes == topology.cards):
                able = np.minimum(able, out)
            elif name != "card":
                own = label[: topology.cards]
                # A node that lies on both sides is counted by its cards.
                share = able[inside] / np.bincount(inside)[inside]
                wanted = np.bincount(own, weights=share, minlength=groups)
                if groups == 2:
                    wanted = np.minimum(wanted, wanted[::-1])
                wanted = np.minimum(wanted, wanted.sum() - wanted) if groups > 2 else wanted
                ratio = np.divide(wanted, out, out=np.full(groups, np.inf), where=out > 0)
                i = int(ratio.argmax())
                if ratio[i] > THIN and np.isfinite(ratio[i]) and (worst is None or ratio[i] > worst[0]):
                    behind = np.flatnonzero(own == i)
                    what = "a cut" if name == "cut" else f"a {name}"
                    text = (
                        f"{what} of {len(behind):,} cards that could send {format_rate(float(wanted[i]))} together lets "
                        f"{format_rate(float(out[i]))} out: oversubscribed {ratio[i]:.3g}:1"
                    )
                    worst = float(ratio[i]), name, Finding("odd", _some(topology, behind), text)
    if worst:
        yield worst[2]
