"""Fabric: the data sheet of a cluster, the one thing that the simulator believes without proof.

A fabric says what the hardware and its communication library can do: the card, the links inside a node
(the scale-up *domain*), the NIC, the network between nodes, and the constants of each protocol. It is data
in a TOML file, not code, so that a new machine needs no programmer and so that every number can carry
where it comes from. It knows nothing of graphs, collectives or time.

Vendors print "600 GB/s" and mean both directions, and "200G" and mean bits. A file therefore states the
important figures twice, once as the model uses them and once as the vendor prints them, and a
disagreement is an error that names the likely mistake. Inside everything is SI and one direction.

Files, from the foundations up: `errors` words every complaint, `keys` says which keys there are and what each may
hold, `reading` takes files apart, `checks` compares values with each other, `protocols` and `sheet` have the nouns,
`loading` puts the two halves together. A number that arrives here has passed all of them.
"""

from ringsim.fabric.errors import FabricError
from ringsim.fabric.loading import available, load, networks
from ringsim.fabric.protocols import Protocol, ProtocolSet
from ringsim.fabric.sheet import Card, Domain, Fabric, Network, Nic

__all__ = [
    "Card",
    "Domain",
    "Fabric",
    "FabricError",
    "Network",
    "Nic",
    "Protocol",
    "ProtocolSet",
    "available",
    "load",
    "networks",
]
