"""Networks between nodes, one file for each kind and one line here; `seam` says what each of them answers."""

from ringsim.topology.networks.dragonfly import Dragonfly
from ringsim.topology.networks.dual_plane import DualPlane
from ringsim.topology.networks.fat_tree import FatTree
from ringsim.topology.networks.leaf_spine import LeafSpine
from ringsim.topology.networks.seam import Scaleout
from ringsim.topology.networks.torus import RouterTorus

#: By the name that a fabric file gives in ``network.kind``; what each has to be told is in `ringsim.fabric.keys`.
NETWORKS: dict[str, type[Scaleout]] = {
    "rail-leaf-spine": LeafSpine,
    "leaf-spine": LeafSpine,
    "fat-tree": FatTree,
    "dual-plane": DualPlane,
    "torus": RouterTorus,
    "dragonfly": Dragonfly,
}

__all__ = ["NETWORKS", "Scaleout"]
