"""The cluster as a graph, laid out by construction so that a million cards need no search.

A fabric file says what one node and one switch look like; this module repeats them. Every vertex and every
directed link has a number that arithmetic can find, so a route is computed rather than searched, for all rows
of a schedule at once, and no Python object exists per card. The NetworkX graph of the same cluster is there for
whoever wants to look, draw or check (`Topology.graph`): the tests prove every route against it.

Ranks fill nodes in order: rank ``r`` is card ``r % group`` of node ``r // group``. With more than one node each
card has a NIC of its own. In a rail-optimised network NIC *i* of every node plugs into a leaf of rail *i*, a leaf
serves as many nodes as it has down ports, and every leaf has one cable to every spine. A spine wider than the
radix stands for a further non-blocking tier: nothing is lost in it but its switch latency is counted once.

Where the network spreads traffic (adaptive routing, packet spraying, planned paths) the cables from a leaf to all spines
act as one trunk and are one link here. Where it hashes, each cable is a link and each connection keeps to one of them.
"""

from dataclasses import dataclass
from functools import cached_property
from math import floor
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ringsim.fabric import Fabric
from ringsim.lanes import Lanes, Mesh, NoLanes, Torus

if TYPE_CHECKING:
    import networkx as nx

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: What a link joins. The order is the order of the link numbers.
LINK_KINDS = (
    "card→switch", "switch→card", "lane", "card→nic", "nic→card", "nic→leaf", "leaf→nic", "leaf→spine", "spine→leaf",
)  # fmt: skip
UP, DOWN, LANE, CARD_NIC, NIC_CARD, NIC_LEAF, LEAF_NIC, LEAF_SPINE, SPINE_LEAF = range(9)

#: Cards beyond this need more memory for the link arrays than any machine this is meant for has.
MOST_CARDS = 20_000_000


class TopologyError(ValueError):
    """The cluster asked for cannot be built from this fabric; the message says what can."""


@dataclass(frozen=True, eq=False)
class Topology:
    """A cluster: directed links in arrays, and the arithmetic that routes over them.

    Attributes
    ----------
    fabric : Fabric
        The data sheet it was built from.
    cards, group, nodes : int
        Ranks, ranks per scale-up domain (the last node may hold fewer), scale-up domains.
    seed : int
        Seeds the choice of spine where the network hashes flows (ECMP).
    """

    fabric: Fabric
    cards: int
    group: int
    seed: int = 0

    # -- sizes ---------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> int:
        """Scale-up domains, the last one perhaps smaller."""
        return -(-self.cards // self.group)

    @property
    def last_group(self) -> int:
        """Cards in the last node."""
        return self.cards - (self.nodes - 1) * self.group

    @cached_property
    def ports(self) -> tuple[int, int]:
        """Down and up ports of a leaf switch: the radix divided so that down / up is at most the oversubscription."""
        network = self.fabric.network
        up = max(1, floor(network.radix / (1 + network.oversubscription)))
        return max(1, min(network.radix - up, floor(up * network.oversubscription))), up

    @property
    def railed(self) -> bool:
        """Whether NIC *i* of every node shares a leaf with NIC *i* of its neighbours."""
        return self.fabric.network.kind == "rail-leaf-spine"

    @property
    def pods(self) -> int:
        """Sets of leaves that serve the same nodes (rails), or plain leaves."""
        down, _ = self.ports
        return -(-(self.nodes if self.railed else self.cards) // down)

    @property
    def leaves(self) -> int:
        """Leaf switches; none where one node holds every card."""
        return 0 if self.nodes == 1 else self.pods * (self.group if self.railed else 1)

    @property
    def spines(self) -> int:
        """Spine switches; none where one leaf serves everyone."""
        return self.ports[1] if self.leaves > 1 else 0

    @property
    def trunks(self) -> int:
        """Separate ways up from a leaf: its cables where flows are hashed onto them, one where they are spread."""
        return min(self.spines, 1) if self.fabric.network.routing == "spread" else self.spines

    @property
    def switches(self) -> int:
        """Scale-up switches (NVSwitch and its kin), one per node."""
        return self.nodes if self.fabric.domain.kind == "switch" else 0

    @cached_property
    def vertices(self) -> tuple[int, ...]:
        """First vertex number of cards, scale-up switches, NICs, leaves, spines (one behind trunks), and the total."""
        nics = self.cards if self.nodes > 1 else 0
        return tuple(np.cumsum([0, self.cards, self.switches, nics, self.leaves, self.trunks]).tolist())

    @property
    def shape(self) -> tuple[int, ...]:
        """Cards along each dimension of a ring or torus node."""
        domain = self.fabric.domain
        return domain.shape if len(domain.shape) > 1 else (self.group,)

    @cached_property
    def lanes(self) -> Lanes:
        """Lanes inside the nodes."""
        if self.switches:
            return NoLanes()
        if self.fabric.domain.kind == "full-mesh":
            return Mesh(self.cards, self.group)
        return Torus(self.cards, self.group, self.shape)

    # -- links ---------------------------------------------------------------------------------------------

    @cached_property
    def first_link(self) -> tuple[int, ...]:
        """First link number of each of `LINK_KINDS`, and the total."""
        switched = self.cards if self.switches else 0
        lanes = self.lanes.count
        nics = self.cards if self.nodes > 1 else 0
        trunks = self.leaves * self.trunks
        return tuple(np.cumsum([0, switched, switched, lanes, nics, nics, nics, nics, trunks, trunks]).tolist())

    @property
    def links(self) -> int:
        """Directed links."""
        return self.first_link[-1]

    def count(self, kind: int) -> int:
        """Directed links of one kind (an index into `LINK_KINDS`)."""
        return self.first_link[kind + 1] - self.first_link[kind]

    @cached_property
    def kind(self) -> NDArray[np.int8]:
        """Kind of each link, shape ``[links]``, an index into `LINK_KINDS`."""
        return np.repeat(np.arange(len(LINK_KINDS), dtype=np.int8), np.diff(self.first_link))

    def _per_kind(self) -> tuple[Floats, Floats]:
        """Bandwidth in bytes/s and latency in seconds of each kind of link, shape ``[kinds]`` each."""
        domain, nic, network = self.fabric.domain, self.fabric.nic, self.fabric.network
        wire = nic.bandwidth * nic.efficiency
        trunk = wire * (self.spines // max(1, self.trunks))
        lane = domain.lane_bandwidth * domain.efficiency
        # A switch's latency lies on the link that enters it, a NIC's on the link between it and its card.
        return (
            np.array([domain.card_bandwidth] * 2 + [lane] + [nic.host_bandwidth] * 2 + [wire] * 2 + [trunk] * 2),
            np.array(
                [domain.latency, 0.0, domain.latency, nic.latency, nic.latency]
                + [network.switch_latency, 0.0, network.switch_latency, network.switch_latency]
            ),
        )

    @cached_property
    def bandwidth(self) -> Floats:
        """Effective rate of each link in bytes/s, shape ``[links]``."""
        return np.repeat(self._per_kind()[0], np.diff(self.first_link))

    @cached_property
    def latency(self) -> Floats:
        """Latency of each link in seconds, shape ``[links]``."""
        return np.repeat(self._per_kind()[1], np.diff(self.first_link))

    # -- routes --------------------------------------------------------------------------------------------

    def leaf(self, card: Ints) -> Ints:
        """Leaf switch of each card's NIC, shape like `card`."""
        down, _ = self.ports
        if not self.railed:
            return card // down
        return (card // self.group // down) * self.group + card % self.group

    def routes(self, source: Ints, target: Ints, channel: Ints) -> tuple[Ints, NDArray[np.int32]]:
        """Route every (source, target, channel), all at once.

        Parameters
        ----------
        source, target, channel : int arrays, shape ``[rows]``
            Ranks, and the channel, which only a hashing network looks at.

        Returns
        -------
        offsets : int64 array, shape ``[rows + 1]``
        links : int32 array, shape ``[offsets[-1]]``
            Row ``i`` takes ``links[offsets[i]:offsets[i + 1]]``, in order.
        """
        source, target, channel = (np.asarray(a, np.int64) for a in (source, target, channel))
        same = source // self.group == target // self.group
        columns = [np.where(same & (column >= 0), column, -1) for column in self._inside(source, target)]
        if not same.all():
            columns += [np.where(same, -1, column) for column in self._across(source, target, channel)]
        hops = np.stack(columns, axis=1)
        kept = hops >= 0
        offsets = np.zeros(len(source) + 1, np.int64)
        np.cumsum(kept.sum(axis=1), out=offsets[1:])
        return offsets, hops[kept].astype(np.int32)

    def _inside(self, source: Ints, target: Ints) -> list[Ints]:
        """Columns of links between cards of one node; what stands where the nodes differ is not looked at."""
        first = self.first_link
        ways = [first[UP] + source, first[DOWN] + target] if self.switches else []
        return ways + [np.where(lane < 0, -1, first[LANE] + lane) for lane in self.lanes.route(source, target)]

    def _across(self, source: Ints, target: Ints, channel: Ints) -> list[Ints]:
        """Columns of links between cards of different nodes."""
        first = self.first_link
        out_leaf, in_leaf = self.leaf(source), self.leaf(target)
        columns = [first[CARD_NIC] + source, first[NIC_LEAF] + source]
        if self.spines:
            spine = _hash(self.seed, source, target, channel) % self.trunks
            change = out_leaf != in_leaf
            columns.append(np.where(change, first[LEAF_SPINE] + out_leaf * self.trunks + spine, -1))
            columns.append(np.where(change, first[SPINE_LEAF] + in_leaf * self.trunks + spine, -1))
        return [*columns, first[LEAF_NIC] + target, first[NIC_CARD] + target]

    # -- for people ----------------------------------------------------------------------------------------

    def ends(self) -> tuple[Ints, Ints]:
        """Source and target vertex of every link, shape ``[links]`` each."""
        _, switch, nic, leaf, spine, _ = self.vertices
        everyone = np.arange(self.cards)
        node_switch = switch + everyone // self.group if self.switches else everyone[:0]
        if self.switches:
            pairs = [(everyone, node_switch), (node_switch, everyone)]
        else:
            pairs = [(everyone[:0],) * 2] * 2
        pairs.append(self.lanes.ends())
        if self.nodes > 1:
            nics, leaves = nic + everyone, leaf + self.leaf(everyone)
            trunk_leaf = leaf + np.repeat(np.arange(self.leaves), self.trunks)
            trunk_spine = spine + np.tile(np.arange(self.trunks), self.leaves)
            pairs += [(everyone, nics), (nics, everyone), (nics, leaves), (leaves, nics)]
            pairs += [(trunk_leaf, trunk_spine), (trunk_spine, trunk_leaf)]
        return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])

    def graph(self) -> "nx.DiGraph[int]":
        """Build the same cluster as a NetworkX graph.

        Vertices are numbered cards first (so rank is vertex) and carry ``kind``; edges carry ``kind``,
        ``bandwidth`` (bytes/s), ``latency`` (s) and ``link``, the link's number here.
        """
        import networkx as nx

        graph: nx.DiGraph[int] = nx.DiGraph()
        for kind, low, high in zip(
            ("card", "switch", "nic", "leaf", "spine"), self.vertices, self.vertices[1:], strict=False
        ):
            graph.add_nodes_from(range(low, high), kind=kind)
        source, target = self.ends()
        columns: list[list[Any]] = [
            source.tolist(), target.tolist(), self.kind.tolist(), self.bandwidth.tolist(), self.latency.tolist(),
        ]  # fmt: skip
        graph.add_edges_from(
            (a, b, {"kind": LINK_KINDS[k], "bandwidth": w, "latency": t, "link": i})
            for i, (a, b, k, w, t) in enumerate(zip(*columns, strict=True))
        )
        return graph


def build(fabric: Fabric, cards: int, *, domain: int | str | None = None, seed: int = 0) -> Topology:
    """Lay out `cards` cards of a fabric.

    Parameters
    ----------
    fabric : Fabric
    cards : int
        At least 2.
    domain : int, "all" or None
        Cards per scale-up domain instead of the fabric's; ``"all"`` puts every card in one.
    seed : int
        For networks that hash flows onto spines.

    Raises
    ------
    TopologyError
        If this fabric's domain cannot hold that many cards.
    """
    cards = _whole("cards", cards)
    if not 2 <= cards <= MOST_CARDS:
        raise TopologyError(f"cards = {cards}: all-reduce needs between 2 and {MOST_CARDS:,} cards")
    if isinstance(domain, str) and domain != "all":
        raise TopologyError(f"domain = {domain}: a number of cards, or 'all' for one domain that holds every card")
    sheet = fabric.domain
    group = sheet.size if domain is None else cards if isinstance(domain, str) else _whole("domain", domain)
    if group < 1:
        raise TopologyError(f"domain = {group}: a scale-up domain holds at least 1 card")
    group = min(group, cards)
    instead = "`--set domain.kind=switch` gives the idealised switch that could"
    if sheet.kind == "full-mesh" and group > sheet.lanes + 1:
        raise TopologyError(
            f"domain = {group}: a full mesh with {sheet.lanes} lanes a card joins at most {sheet.lanes + 1} cards; "
            f"{instead}"
        )
    if sheet.kind in ("ring", "torus") and len(sheet.shape) > 1 and (group != sheet.size or cards % group):
        raise TopologyError(
            f"cards = {cards}, domain = {group}: a torus of {'x'.join(map(str, sheet.shape))} is whole or nothing; "
            f"ask for a multiple of {sheet.size} cards"
        )
    return Topology(fabric, cards, group, seed)


def _whole(name: str, value: int) -> int:
    """Read a whole number, NumPy's included."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise TopologyError(f"{name} = {value}: a whole number of cards")


def _hash(seed: int, source: Ints, target: Ints, channel: Ints) -> Ints:
    """Mix a flow's identity into a non-negative number (splitmix64, S. Vigna, public domain), like ECMP does."""
    with np.errstate(over="ignore"):
        z = np.full(len(source), np.uint64(seed % 2**64))
        for part in (source, target, channel):
            z = (z ^ part.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
    return (z >> np.uint64(1)).astype(np.int64)
