"""Links by the names that people give them: ``card 3 → card 5``, ``NIC port of card 7 → leaf 2``."""

import numpy as np

from ringsim.picture import words
from ringsim.topology import CARD_NIC, LEAF_NIC, NIC_CARD, NIC_LEAF, VERTEX_KINDS, GraphTopology, Topology


def vertex(topology: Topology, number: int) -> str:
    """Name a vertex."""
    if not isinstance(topology, GraphTopology):
        return words.vertex(topology, number)
    place = int(np.searchsorted(topology.vertices[1:-1], number, "right"))
    kind = VERTEX_KINDS[place]
    if kind == "nic":
        card = topology.target[(topology.source == number) & (topology.target < topology.cards)]
        return f"NIC of {topology.name(int(card[0]))}" if len(card) == 1 else f"NIC {topology.names[number]}"
    if kind in ("spine", "core") or (kind == "leaf" and topology.spines):
        return f"{kind} {topology.names[number]}"
    return topology.name(number)


def link(topology: Topology, number: int) -> str:
    """Name a link by its ends."""
    kind = topology.kind[number]
    if kind in (CARD_NIC, NIC_CARD):
        return words.link(topology, number)
    source, target = (vertex(topology, int(end[number])) for end in topology.ends())
    if kind in (NIC_LEAF, LEAF_NIC):
        source, target = (name.replace("NIC of", "NIC port of") for name in (source, target))
    return f"{source} → {target}"
