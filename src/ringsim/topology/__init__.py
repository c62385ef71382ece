"""The cluster as a graph: laid out from a data sheet, or read from a file of vertices and edges.

`build` makes one of a fabric (`cluster`), `from_graph` and `load_graph` make one of any graph (`graphs`); both
are a `Topology` (`base`), and nobody above asks which. Networks between nodes are in `networks`, one file each.
"""

from ringsim.topology.base import Topology
from ringsim.topology.building import build
from ringsim.topology.check import Finding, findings
from ringsim.topology.cluster import Cluster
from ringsim.topology.files import load_graph
from ringsim.topology.graphs import GraphTopology
from ringsim.topology.kinds import (
    CARD_NIC,
    CORE_SPINE,
    DOWN,
    LANE,
    LEAF_LEAF,
    LEAF_NIC,
    LEAF_SPINE,
    LINK,
    LINK_KINDS,
    MOST_CARDS,
    NIC_CARD,
    NIC_LEAF,
    SPINE_CORE,
    SPINE_LEAF,
    UP,
    VERTEX_KINDS,
    TopologyError,
)
from ringsim.topology.networks import NETWORKS
from ringsim.topology.placement import placed
from ringsim.topology.reading import from_graph

__all__ = [
    "CARD_NIC", "CORE_SPINE", "DOWN", "LANE", "LEAF_LEAF", "LEAF_NIC", "LEAF_SPINE", "LINK", "LINK_KINDS", "MOST_CARDS",
    "NETWORKS", "NIC_CARD", "NIC_LEAF", "SPINE_CORE", "SPINE_LEAF", "UP", "VERTEX_KINDS", "Cluster", "Finding",
    "GraphTopology", "Topology", "TopologyError", "build", "findings", "from_graph", "load_graph", "placed",
]  # fmt: skip
