"""What everybody may ask of a cluster, however it came about.

Pricing, collectives, bounds and pictures use these names and no others, so that a cluster laid out from a data sheet
(`ringsim.topology.cluster`) and one read from a graph (`ringsim.topology.graphs`) serve them alike. Every vertex and
every directed link has a number; cards come first, so rank is vertex.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ringsim.fabric import Fabric
from ringsim.topology.kinds import LINK_KINDS, VERTEX_KINDS, Floats, Ints

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, eq=False)
class Topology(ABC):
    """A cluster: directed links in arrays, and the routes over them.

    Attributes
    ----------
    fabric : Fabric
        The data sheet it was built from; of a graph, the one whose protocols are used.
    cards, group : int
        Ranks, and ranks per node, which is one scale-up domain (the last node may hold fewer).
    seed : int
        Seeds the choice among paths where the network hashes flows (ECMP).
    placement : int array, shape ``[cards]``, or None
        Card of each rank, where rank is not card. Everything else here speaks of cards.
    """

    fabric: Fabric
    cards: int
    group: int
    seed: int = 0
    placement: Ints | None = None

    # -- sizes ---------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> int:
        """Scale-up domains, the last one perhaps smaller."""
        return -(-self.cards // self.group)

    @property
    def last_group(self) -> int:
        """Cards in the last node."""
        return self.cards - (self.nodes - 1) * self.group

    @property
    @abstractmethod
    def server_size(self) -> int:
        """Cards that share a chassis: as many as a node holds or fewer, for a scale-up switch may join many servers."""

    @property
    @abstractmethod
    def scale_up_kind(self) -> str:
        """How the cards of a node are joined: ``switch`` (any to any), ``full-mesh``, ``ring`` or ``torus``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Cards along each side of a node: a torus has several, everything else one."""
        return (self.group,)

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Nodes along each side of the network: a torus of nodes has several, everything else one."""
        return (self.nodes,)

    @property
    @abstractmethod
    def vertices(self) -> tuple[int, ...]:
        """First vertex number of each of `VERTEX_KINDS`, and the total."""

    @property
    @abstractmethod
    def first_link(self) -> tuple[int, ...]:
        """First link number of each of `LINK_KINDS`, and the total."""

    @property
    def switches(self) -> int:
        """Scale-up switches (NVSwitch and its kin)."""
        return self.vertices[2] - self.vertices[1]

    @property
    def leaves(self) -> int:
        """Switches that NICs plug into; none where one node holds every card."""
        return self.vertices[4] - self.vertices[3]

    @property
    def spines(self) -> int:
        """Switches that join leaves, counted as hardware and not as trunks."""
        return self.vertices[5] - self.vertices[4]

    @property
    def cores(self) -> int:
        """Switches that join spines."""
        return self.vertices[6] - self.vertices[5]

    @property
    def ports(self) -> tuple[int, int]:
        """Down and up ports of a leaf; (0, 0) where nothing says so."""
        return (0, 0)

    @property
    def railed(self) -> bool:
        """Whether NIC *i* of every node shares a leaf with NIC *i* of its neighbours."""
        return False

    @property
    def links(self) -> int:
        """Directed links."""
        return self.first_link[-1]

    def count(self, kind: int) -> int:
        """Directed links of one kind (an index into `LINK_KINDS`)."""
        return self.first_link[kind + 1] - self.first_link[kind]

    # -- what the hardware can do --------------------------------------------------------------------------

    @property
    def scale_up_reduces(self) -> bool:
        """Whether the switch inside a node adds what passes through it (NVLink SHARP)."""
        return bool(self.switches) and self.fabric.domain.reduces

    @property
    def network_reduces(self) -> bool:
        """Whether the switches between nodes add what passes through them (InfiniBand SHARP)."""
        return self.leaves > 0 and self.fabric.network.reduces

    # -- links ---------------------------------------------------------------------------------------------

    @cached_property
    def kind(self) -> NDArray[np.int8]:
        """Kind of each link, shape ``[links]``, an index into `LINK_KINDS`; up to `LANE` they are scale-up links."""
        return np.repeat(np.arange(len(LINK_KINDS), dtype=np.int8), np.diff(self.first_link))

    @property
    @abstractmethod
    def bandwidth(self) -> Floats:
        """Effective rate of each link in bytes/s, shape ``[links]``."""

    @property
    @abstractmethod
    def latency(self) -> Floats:
        """Latency of each link in seconds, shape ``[links]``."""

    @abstractmethod
    def ends(self) -> tuple[Ints, Ints]:
        """Source and target vertex of every link, shape ``[links]`` each."""

    # -- routes --------------------------------------------------------------------------------------------

    @abstractmethod
    def routes(self, source: Ints, target: Ints, channel: Ints) -> tuple[Ints, NDArray[np.int32]]:
        """Route every (source, target, channel), all at once.

        Parameters
        ----------
        source, target, channel : int arrays, shape ``[rows]``
            Ranks, or other vertices as `vertices` numbers them, and the channel, which only a choice among equal
            paths looks at.

        Returns
        -------
        offsets : int64 array, shape ``[rows + 1]``
        links : int32 array, shape ``[offsets[-1]]``
            Row ``i`` takes ``links[offsets[i]:offsets[i + 1]]``, in order.

        Raises
        ------
        TopologyError
            Where there is no way, or none that this topology knows.
        """

    def node_of(self, card: Ints) -> Ints:
        """Node of each rank, shape like `card`."""
        return card // self.group

    def switch_of(self, card: Ints) -> Ints:
        """Vertex of the scale-up switch of each rank, shape like `card`; −1 where there is none."""
        return self.vertices[1] + self.node_of(card) if self.switches else np.full_like(card, -1)

    def leaf_of(self, card: Ints) -> Ints:
        """Vertex of the leaf that each rank's NIC plugs into, shape like `card`; −1 where there is none."""
        return np.full_like(card, -1)

    # -- for bounds and checks -----------------------------------------------------------------------------

    @abstractmethod
    def areas(self) -> Iterator[tuple[str, list[Ints]]]:
        """Ways to divide the cards among parts of the hardware: the cuts that may decide how fast anything can be.

        Yields
        ------
        name : str
            What the parts are: ``"card"``, ``"node"``, ``"pod"``, ….
        labels : list of int64 arrays, shape ``[vertices]`` each
            Part of each vertex, −1 for those in none. The arrays of one list divide the cards alike and draw the line
            at different links.
        """

    @abstractmethod
    def nearest_news(self, source: int | None = None, target: int | None = None) -> float:
        """Seconds that news from some card takes to some other at least, whichever way it goes, relays included.

        Parameters
        ----------
        source, target : int or None
            Only news from this rank, or only to that one.
        """

    # -- for people ----------------------------------------------------------------------------------------

    @abstractmethod
    def wiring(self) -> tuple[str, str]:
        """Say how the nodes are joined (``"rails, 2 leaves of 64 ports"``) and what that costs (``"non-blocking"``)."""

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of everything but the number of cards that can change a simulated time."""
        own = self.hardware()
        return own if self.placement is None else digest(np.frombuffer(own.encode(), np.uint8), self.placement)

    def hardware(self) -> str:
        """Return the SHA-256, in hex, of the cluster, wherever its ranks sit."""
        return self.fabric.fingerprint()

    def graph(self) -> "nx.DiGraph[int]":
        """Build the same cluster as a NetworkX graph.

        Vertices are numbered cards first (so rank is vertex) and carry ``kind``, and ``node`` where they are part of
        one; edges carry ``kind``, ``bandwidth`` (bytes/s), ``latency`` (s) and ``link``, the link's number here.
        """
        import networkx as nx

        source, target = self.ends()
        several = len(np.unique(source * self.vertices[-1] + target)) < self.links
        graph: nx.DiGraph[int] = nx.MultiDiGraph() if several else nx.DiGraph()
        for kind, low, high in zip(VERTEX_KINDS, self.vertices, self.vertices[1:], strict=False):
            graph.add_nodes_from(range(low, high), kind=kind)
        node = self.node_of_vertex()
        for vertex in np.nonzero(node >= 0)[0].tolist():
            graph.nodes[vertex]["node"] = int(node[vertex])
        columns: list[list[Any]] = [
            source.tolist(), target.tolist(), self.kind.tolist(), self.bandwidth.tolist(), self.latency.tolist(),
        ]  # fmt: skip
        graph.add_edges_from(
            (a, b, {"kind": LINK_KINDS[k], "bandwidth": w, "latency": t, "link": i})
            for i, (a, b, k, w, t) in enumerate(zip(*columns, strict=True))
        )
        return graph

    @abstractmethod
    def node_of_vertex(self) -> Ints:
        """Node of each vertex, shape ``[vertices]``; −1 for those between nodes."""


def digest(*arrays: np.ndarray) -> str:
    """SHA-256, in hex, of arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
