"""The words around a picture: what it shows, what joins what, and which link was busiest."""

from ringsim.picture.view import View
from ringsim.topology import CARD_NIC, NIC_CARD, Topology
from ringsim.units import format_rate

#: How the cards of a node are joined.
_INSIDE = {
    "switch": "behind a switch", "full-mesh": "in a full mesh", "ring": "in a ring", "torus": "in a torus",
}  # fmt: skip


def title(topology: Topology) -> str:
    """Say which cluster it is."""
    named = getattr(topology, "names", ())
    return f"{topology.fabric.name}: {topology.cards:,} {'cards of a graph' if named else topology.fabric.card.name}"


def subtitle(topology: Topology) -> str:
    """Counts and rates, in one line."""
    text, cost = topology.wiring()
    if getattr(topology, "names", ()):
        rates = sorted({float(rate) for rate in topology.bandwidth})
        span = format_rate(rates[0]) if len(rates) == 1 else f"{format_rate(rates[0])} to {format_rate(rates[-1])}"
        return f"{text}; {topology.links:,} directed links of {span}"
    domain, nic = topology.fabric.domain, topology.fabric.nic
    if topology.switches:
        inside = f"behind a switch at {format_rate(domain.card_bandwidth)} a card"
    else:
        lane = format_rate(domain.lane_bandwidth * domain.efficiency)
        shape = "×".join(map(str, topology.shape))
        inside = f"{_INSIDE[domain.kind]}{f' of {shape}' if len(topology.shape) > 1 else ''}, {lane} a lane"
    if topology.nodes == 1:
        return f"one node of {topology.cards:,} cards {inside}, each way"
    size = "1 card" if topology.group == 1 else f"{topology.group:,} cards {inside}"
    return f"{topology.nodes:,} nodes of {size}; NICs of {format_rate(nic.bandwidth * nic.efficiency)}; {text}; {cost}"


def vertex(topology: Topology, number: int) -> str:
    """Name a vertex as people know it."""
    name = getattr(topology, "name", None)
    if name is not None:
        return str(name(number))
    for kind, low, high in zip(
        ("card", "switch", "NIC of card", "leaf", "spine", "core"),
        topology.vertices,
        topology.vertices[1:],
        strict=False,
    ):
        if low <= number < high:
            if kind == "leaf" and topology.fabric.network.kind in ("torus", "dragonfly"):
                kind = "router" if topology.fabric.network.kind == "torus" else "switch"
            elif kind == "switch":
                kind = "switch of node"
            if kind == "switch of node" and topology.nodes == 1:
                return "the switch"
            return kind if high - low == 1 and kind in ("spine", "core") else f"{kind} {number - low}"
    return f"vertex {number}"


def link(topology: Topology, number: int) -> str:
    """Name a link by its ends."""
    source, target = topology.ends()
    a, b = int(source[number]), int(target[number])
    if topology.kind[number] in (CARD_NIC, NIC_CARD):
        card, way = (a, "to its NIC") if topology.kind[number] == CARD_NIC else (b, "from its NIC")
        return f"card {card} {way}"
    return f"{vertex(topology, a)} → {vertex(topology, b)}"


def part(load: float) -> str:
    """Write a busy part: ``93 %``."""
    return f"{load:.0%}".replace("%", " %") if load >= 0.0095 else f"{100 * load:.1g} %"


def busiest(view: View) -> str:
    """Say which link was busiest; empty where there was no run."""
    if not view.loaded:
        return ""
    load, number, alike = view.peak
    if number < 0:
        return "no link was used"
    more = "" if alike == 1 else f", and {alike - 1:,} like it"
    return f"busiest: {link(view.topology, number)}, {part(load)} of the run{more}"
