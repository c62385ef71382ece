"""The cluster of a data sheet, laid out by construction so that a million cards need no search.

A fabric file says what one node and one switch look like; this module repeats them. Every vertex and every
directed link has a number that arithmetic can find, so a route is computed rather than searched, for all rows
of a schedule at once, and no Python object exists per card. The NetworkX graph of the same cluster is there for
whoever wants to look, draw or check (`Topology.graph`): the tests prove every route against it.

Ranks fill nodes in order: rank ``r`` is card ``r % group`` of node ``r // group``. With more than one node each
card has a NIC of its own. What lies inside a node is the business of `lanes`, what lies between them that of
`networks`; here the two are joined, numbered and given rates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ringsim.topology.base import Topology
from ringsim.topology.kinds import (
    CARD_NIC,
    DOWN,
    LANE,
    LEAF_NIC,
    LINK_KINDS,
    NIC_CARD,
    NIC_LEAF,
    UP,
    Floats,
    Ints,
    flow,
)
from ringsim.topology.lanes import Lanes, Mesh, NoLanes, Torus
from ringsim.topology.neighbours import Neighbours
from ringsim.topology.networks import NETWORKS, Scaleout


@dataclass(frozen=True, eq=False)
class Cluster(Topology):
    """A cluster of equal nodes: the arithmetic that lays it out and routes over it."""

    # -- sizes ---------------------------------------------------------------------------------------------

    @property
    def server_size(self) -> int:
        """Cards that share a chassis: a switch that holds every card (``--domain all``) still joins servers."""
        return min(self.group, self.fabric.domain.server or self.fabric.domain.size)

    @property
    def scale_up_kind(self) -> str:
        """How the cards of a node are joined."""
        return self.fabric.domain.kind

    @property
    def shape(self) -> tuple[int, ...]:
        """Cards along each side of a ring or torus node."""
        domain = self.fabric.domain
        return domain.shape if len(domain.shape) > 1 else (self.group,)

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Nodes along each side of the network."""
        return self.network.shape if self.network else (self.nodes,)

    @property
    def switches(self) -> int:
        """Scale-up switches (NVSwitch and its kin), one per node."""
        return self.nodes if self.fabric.domain.kind == "switch" else 0

    @cached_property
    def lanes(self) -> Lanes:
        """Lanes inside the nodes."""
        if self.switches:
            return NoLanes()
        if self.fabric.domain.kind == "full-mesh":
            return Mesh(self.cards, self.group)
        return Torus(self.cards, self.group, self.shape)

    @cached_property
    def network(self) -> Scaleout | None:
        """What joins the nodes; None where one holds every card."""
        sheet = self.fabric.network
        return NETWORKS[sheet.kind](sheet, self.cards, self.group) if self.nodes > 1 else None

    @property
    def _nics(self) -> int:
        return self.cards if self.network else 0

    @cached_property
    def vertices(self) -> tuple[int, ...]:
        """First vertex number of cards, scale-up switches, NICs, leaves, spines, cores, and the total."""
        tiers = self.network.tiers if self.network else (0, 0, 0)
        return tuple(np.cumsum([0, self.cards, self.switches, self._nics, *tiers]).tolist())

    @property
    def leaves(self) -> int:
        """Leaf switches; none where one node holds every card."""
        return self.network.hardware[0] if self.network else 0

    @property
    def spines(self) -> int:
        """Spine switches; none where one leaf serves everyone."""
        return self.network.hardware[1] if self.network else 0

    @property
    def cores(self) -> int:
        """Core switches of a network of three tiers."""
        return self.network.hardware[2] if self.network else 0

    @property
    def ports(self) -> tuple[int, int]:
        """Ports of a leaf towards NICs and towards other switches."""
        return self.network.ports if self.network else (0, 0)

    @property
    def railed(self) -> bool:
        """Whether NIC *i* of every node shares a leaf with NIC *i* of its neighbours."""
        return self.network is not None and self.network.railed

    def leaf_of(self, card: Ints) -> Ints:
        """Vertex of the leaf of each rank's NIC (of its first port), shape like `card`."""
        return self.vertices[3] + self.network.leaf(card) if self.network else np.full_like(card, -1)

    def node_of_vertex(self) -> Ints:
        """Node of each vertex; −1 for switches between nodes."""
        node = np.arange(self.cards) // self.group
        _, _, _, leaf, *_, total = self.vertices
        return np.concatenate([node, np.arange(self.switches), node[: self._nics], np.full(total - leaf, -1)])

    # -- links ---------------------------------------------------------------------------------------------

    @cached_property
    def first_link(self) -> tuple[int, ...]:
        """First link number of each of `LINK_KINDS`, and the total."""
        switched = self.cards if self.switches else 0
        plugs = self._nics * (self.network.plugs if self.network else 0)
        counts = {
            UP: switched, DOWN: switched, LANE: self.lanes.count, CARD_NIC: self._nics, NIC_CARD: self._nics,
            NIC_LEAF: plugs, LEAF_NIC: plugs, **(self.network.counts if self.network else {}),
        }  # fmt: skip
        return tuple(np.cumsum([0, *(counts.get(kind, 0) for kind in range(len(LINK_KINDS)))]).tolist())

    def _per_kind(self) -> tuple[Floats, Floats]:
        """Bandwidth in bytes/s and latency in seconds of each kind of link, shape ``[kinds]`` each."""
        domain, nic, network = self.fabric.domain, self.fabric.nic, self.fabric.network
        wire = nic.bandwidth * nic.efficiency
        rate, wait = np.zeros(len(LINK_KINDS)), np.full(len(LINK_KINDS), network.switch_latency)
        rate[[UP, DOWN]] = domain.card_bandwidth
        rate[LANE] = domain.lane_bandwidth * domain.efficiency
        rate[[CARD_NIC, NIC_CARD]] = nic.host_bandwidth
        # A switch's latency lies on the link that enters it, a NIC's on the link between it and its card.
        wait[[UP, LANE]] = domain.latency
        wait[[CARD_NIC, NIC_CARD]] = nic.latency
        wait[[DOWN, LEAF_NIC]] = 0.0
        if self.network:
            rate[[NIC_LEAF, LEAF_NIC]] = wire * self.network.plug_width
            for trunks in self.network.trunks():
                rate[trunks.kind] = wire * trunks.width
                if trunks.back is not None:
                    rate[trunks.back] = wire * trunks.width
        return rate, wait

    @cached_property
    def bandwidth(self) -> Floats:
        """Effective rate of each link in bytes/s, shape ``[links]``."""
        return np.repeat(self._per_kind()[0], np.diff(self.first_link))

    @cached_property
    def latency(self) -> Floats:
        """Latency of each link in seconds, shape ``[links]``."""
        return np.repeat(self._per_kind()[1], np.diff(self.first_link))

    def ends(self) -> tuple[Ints, Ints]:
        """Source and target vertex of every link, shape ``[links]`` each."""
        _, switch, nic, leaf, *_ = self.vertices
        everyone = np.arange(self.cards)
        pairs: dict[int, tuple[Ints, Ints]] = {LANE: self.lanes.ends()}
        if self.switches:
            pairs[UP] = everyone, switch + everyone // self.group
            pairs[DOWN] = pairs[UP][::-1]
        if self.network:
            pairs[CARD_NIC] = everyone, nic + everyone
            pairs[NIC_CARD] = pairs[CARD_NIC][::-1]
            card, plugged = self.network.plug_ends()
            pairs[NIC_LEAF] = nic + card, leaf + plugged
            pairs[LEAF_NIC] = pairs[NIC_LEAF][::-1]
            for trunks in self.network.trunks():
                pairs[trunks.kind] = leaf + trunks.source, leaf + trunks.target
                if trunks.back is not None:
                    pairs[trunks.back] = pairs[trunks.kind][::-1]
        found = [pairs[kind] for kind in sorted(pairs)]
        return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])

    # -- routes --------------------------------------------------------------------------------------------

    def routes(self, source: Ints, target: Ints, channel: Ints) -> tuple[Ints, NDArray[np.int32]]:
        """Route every (source, target, channel), all at once.

        Ends that are switches lead only to their neighbours: a card's scale-up switch, its leaf (by way of its NIC),
        and along one trunk between switches. That is what a reduction inside the network needs.

        Raises
        ------
        TopologyError
            Where an end is a switch and the other none of its neighbours.
        """
        source, target, channel = (np.asarray(a, np.int64) for a in (source, target, channel))
        relayed = np.maximum(source, target) >= self.cards
        if not relayed.any():
            hops = self._between_cards(source, target, channel)
        else:
            some, others = (self._between_cards, ~relayed), (self._to_neighbours.ways, relayed)
            parts = [(rows, way(source[rows], target[rows], channel[rows])) for way, rows in (some, others)]
            hops = np.full((len(source), max(part.shape[1] for _, part in parts)), -1)
            for rows, part in parts:
                hops[rows, : part.shape[1]] = part
        kept = hops >= 0
        offsets = np.zeros(len(source) + 1, np.int64)
        np.cumsum(kept.sum(axis=1), out=offsets[1:])
        return offsets, hops[kept].astype(np.int32)

    def _between_cards(self, source: Ints, target: Ints, channel: Ints) -> Ints:
        """Links between cards, hop by hop, −1 for none, shape ``[rows, hops]``."""
        same = source // self.group == target // self.group
        columns = [np.where(same & (column >= 0), column, -1) for column in self._inside(source, target)]
        if self.network and not same.all():
            hashed = self.fabric.network.routing == "hash"
            choice = flow(self.seed, source, target, channel) if hashed else source + target + channel
            columns += [
                np.where(same | (column < 0), -1, self.first_link[kind] + column)
                for kind, column in (
                    (CARD_NIC, source), *self.network.route(source, target, choice), (NIC_CARD, target)
                )
            ]  # fmt: skip
        return np.stack(columns, axis=1) if columns else np.empty((len(source), 0), np.int64)

    def _inside(self, source: Ints, target: Ints) -> list[Ints]:
        """Columns of links between cards of one node; what stands where the nodes differ is not looked at."""
        first = self.first_link
        ways = [first[UP] + source, first[DOWN] + target] if self.switches else []
        return ways + [np.where(lane < 0, -1, first[LANE] + lane) for lane in self.lanes.route(source, target)]

    @cached_property
    def _to_neighbours(self) -> Neighbours:
        """Ways that begin or end at a switch."""
        return Neighbours(self)

    # -- for bounds and for people -------------------------------------------------------------------------

    def areas(self) -> Iterator[tuple[str, list[Ints]]]:
        """Cards, nodes, and whatever parts the network has."""
        _, switch, nic, leaf, *_, total = self.vertices
        cards = np.arange(self.cards)

        def labels(own: Ints, inside: Ints | None, nics: bool, beyond: Ints | None = None) -> Ints:
            found = np.full(total, -1)
            found[: self.cards] = own
            if inside is not None:
                found[switch:nic] = inside[: self.switches]
            if nics:
                found[nic:leaf] = own[: self._nics]
            if beyond is not None:
                found[leaf:] = beyond
            return found

        yield "card", [labels(cards, None, nics) for nics in ((False, True) if self.network else (False,))]
        if self.network:
            node = cards // self.group
            nodes = np.arange(self.nodes)
            yield "node", [labels(node, nodes, nics) for nics in (False, True)]
            # The cards of one node among each other and with the rest, which may hold switches that add.
            parts = [
                labels(np.minimum(cards, self.group), np.where(nodes, self.group, -1), nics) for nics in (False, True)
            ]
            for part in parts:
                part[leaf:] = self.group
            parts[0][nic:leaf] = self.group
            yield "card of a node", parts
            for name, own, beyond in self.network.areas():
                first, last = own[nodes * self.group], own[np.minimum((nodes + 1) * self.group, self.cards) - 1]
                inside = np.where(first == last, first, -1)
                yield name, [labels(own, inside, nics=True), labels(own, inside, nics=True, beyond=beyond)]

    def nearest_news(self, source: int | None = None, target: int | None = None) -> float:
        """Seconds that news from some card takes to some other, whichever way it goes.

        Between nodes that is two NICs and the switches between them, on whatever rail; a relay in a third node only
        adds to it. Inside a node it is the way to the card farthest from rank 0; every card has one as far.
        """
        if self.network:
            return 2 * self.fabric.nic.latency + self.network.farthest * self.fabric.network.switch_latency
        others = np.arange(1, min(self.cards, MOST_TARGETS))
        offsets, links = self.routes(np.zeros_like(others), others, np.zeros_like(others))
        row = np.repeat(np.arange(len(others)), np.diff(offsets))
        return float(np.bincount(row, weights=self.latency[links]).max())

    def wiring(self) -> tuple[str, str]:
        """Say how the nodes are joined and what that costs."""
        return self.network.summary() if self.network else ("one scale-up domain holds every card", "not used")


#: Cards of a node that are looked at; on a switch, the only large node, all are equally far.
MOST_TARGETS = 4096
