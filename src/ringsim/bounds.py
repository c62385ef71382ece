"""What no algorithm can beat on a given cluster, so that a result can say how far from the limit it is.

Cuts. Divide the cards into *k* groups, anything that is wired included on the side of its group. What a group needs
from outside has to come in over the links that enter it, and what others need of it has to leave. And for some
collectives all groups together have to send more than each of them alone must:

* the sum of each byte of an all-reduce has to be assembled somewhere from *k* groups and brought back to all of them, no
  fewer than 2(k−1) crossings between groups, like calls in one-way gossip (with k = cards that is the familiar
  2(p−1)/p · S/B of R. Rabenseifner, 2004);
* a reduce-scatter only assembles it, an all-gather only brings it, broadcast and reduce do that from and to one root: k−1.

Switches that add or multiply what passes through them are a further place where sums are made: a group then sends its
part once and gets the sum once, whatever the number of groups. So where `in_switch` is asked for and such a switch stands
outside all groups, only the first argument counts.

Latency. Everyone needs something of everyone (of the root; to the root), so news from the farthest card has to arrive.
"""

import numpy as np

from ringsim.topology import Topology
from ringsim.topology.kinds import Floats, Ints

#: Collectives that have a bound.
COLLECTIVES = ("all-reduce", "reduce-scatter", "all-gather", "broadcast", "reduce", "all-to-all")


def lower_bound(
    topology: Topology,
    payload: float,
    startup: float,
    collective: str = "all-reduce",
    *,
    in_switch: bool = False,
    root: int = 0,
) -> float:
    """Seconds that a collective takes at least, at the links' effective rates.

    Parameters
    ----------
    topology : Topology
    payload : float
        Bytes as nccl-tests counts them: the vector on each rank; of reduce-scatter, all-gather and all-to-all the vector
        of all blocks, of which every rank has, gets or sends one for each rank.
    startup : float
        Seconds that pass before anything moves.
    collective : str
        One of `COLLECTIVES`.
    in_switch : bool
        Whether switches that can reduce (as the fabric says) may do so.
    root : int
        Of broadcast and reduce.

    Raises
    ------
    ValueError
        If there is no such collective or root.
    """
    if collective not in COLLECTIVES:
        raise ValueError(f"collective = {collective}: one of {', '.join(COLLECTIVES)}")
    if not 0 <= root < topology.cards:
        raise ValueError(f"root = {root}: a rank from 0 to {topology.cards - 1}")
    source, target = {"broadcast": (root, None), "reduce": (None, root)}.get(collective, (None, None))
    news = topology.nearest_news(source, target)
    return startup + max(news, payload * _slowest_cut(topology, collective, root, in_switch=in_switch))


def _slowest_cut(topology: Topology, collective: str, root: int, *, in_switch: bool) -> float:
    """Seconds for each byte of payload at the slowest cut."""
    source, target = topology.ends()
    adders = _adders(topology) if in_switch else np.zeros(0, np.int64)
    found = 0.0
    for _, drawn in topology.areas():
        cards = np.bincount(drawn[0][: topology.cards])
        out, into, outside = _capacities(topology, drawn, len(cards), source, target, adders)
        # A part of the hardware that holds no card asks for nothing.
        some = cards > 0
        home = int(np.cumsum(some)[drawn[0][root]]) - 1
        found = max(found, _per_byte(collective, out[some], into[some], cards[some], home, outside=outside))
    return found


def _adders(topology: Topology) -> Ints:
    """Vertices that can add what passes through them."""
    _, switch, nic, leaf, *_, total = topology.vertices
    found = [np.arange(switch, nic)] if topology.scale_up_reduces else []
    found += [np.arange(leaf, total)] if topology.network_reduces else []
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _capacities(
    topology: Topology, drawn: list[Ints], groups: int, source: Ints, target: Ints, adders: Ints
) -> tuple[Floats, Floats, bool]:
    """Rates out of and into each group, wherever the line around it is drawn best, and whether an adder is outside."""
    ways_out: list[Floats] = []
    ways_in: list[Floats] = []
    outside = False
    for label in drawn:
        leaving, entering = label[source], label[target]
        crossing = leaving != entering
        for ends, ways in ((leaving, ways_out), (entering, ways_in)):
            counts = crossing & (ends >= 0) & (ends < groups)
            through = np.bincount(ends[counts], weights=topology.bandwidth[counts], minlength=groups)
            ways.append(through.astype(np.float64))
        outside |= bool((label[adders] < 0).any())
    return np.minimum.reduce(ways_out), np.minimum.reduce(ways_in), outside


def _per_byte(collective: str, out: Floats, into: Floats, cards: Ints, root: int, *, outside: bool) -> float:
    """Seconds for each byte of payload.

    Parameters
    ----------
    out, into : float arrays, shape ``[groups]``, bytes/s
    cards : int array, shape ``[groups]``
    root : int
        Group of the root.
    outside : bool
        Whether a switch that adds stands outside all groups.
    """
    own = cards / cards.sum()  # a group's part of the blocks
    k, others = len(cards), 1 - own
    everything = np.ones(k)
    from_root = (np.arange(k) == root).astype(float)
    # What each group must send and receive, and what all must send together, in vectors.
    sends, gets, together = {
        "all-reduce": (everything, everything, 2 * (k - 1)),
        "reduce-scatter": (others, own, k - 1),
        "all-gather": (own, others, k - 1),
        "broadcast": (from_root, 1 - from_root, k - 1),
        "reduce": (1 - from_root, from_root, k - 1),
        "all-to-all": (cards * others, cards * others, 0),
    }[collective]
    alone = max(float((sends / out).max()), float((gets / into).max()))
    return alone if outside else max(alone, together / float(out.sum()), together / float(into.sum()))
