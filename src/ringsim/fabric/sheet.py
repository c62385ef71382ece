"""The nouns of a data sheet: frozen, in SI, and checked before they are made.

All that the rest of the simulator sees of a fabric. Nothing here reads a file, so that a sheet can be asked, hashed
and handed on without a thought for how it was written down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from math import inf

from ringsim.fabric.errors import complain, suggest
from ringsim.fabric.keys import ALGORITHMS
from ringsim.fabric.protocols import Protocol, ProtocolSet


@dataclass(frozen=True)
class Card:
    """An accelerator.

    Parameters
    ----------
    name : str
        What people call it.
    fp16_tflops : float
        Dense peak in half precision, 10^12 operations per second.
    memory : int
        Bytes.
    memory_bandwidth : float
        What a copy or an elementwise kernel reaches, bytes per second; a codec's passes are priced by it.
    watts : float or None
        Power of one card, W.
    price_usd : float or None
        Price of one card, US dollars.
    """

    name: str
    fp16_tflops: float
    memory: int
    memory_bandwidth: float
    watts: float | None = None
    price_usd: float | None = None


@dataclass(frozen=True)
class Domain:
    """The cards of one node and the fast links between them.

    Parameters
    ----------
    kind : str
        ``switch`` (all cards on one non-blocking switch), ``full-mesh`` (one lane to every other card),
        ``ring`` or ``torus``.
    size : int
        Cards in a node.
    shape : tuple of int
        The sides of a torus; empty otherwise (a ring may repeat its size).
    lanes : int
        Links of one card.
    lane_bandwidth : float
        Data sheet, one link, one direction, bytes per second.
    efficiency : float
        The part of it that payload can reach, 0 < efficiency <= 1.
    latency : float
        Seconds for one hop from card to card; behind a switch that is the whole way through it.
    server : int or None
        Cards that share a chassis, where a scale-up switch joins several; None for all of them.
    reduces : bool
        Whether the switch adds what passes through it (NVLink SHARP).
    """

    kind: str
    size: int
    shape: tuple[int, ...]
    lanes: int
    lane_bandwidth: float
    efficiency: float
    latency: float
    server: int | None = None
    reduces: bool = False

    @property
    def card_bandwidth(self) -> float:
        """All lanes of one card together, one direction, after efficiency, bytes per second."""
        return self.lanes * self.lane_bandwidth * self.efficiency

    @property
    def datasheet_bandwidth(self) -> float:
        """What the vendor prints: all lanes, both directions, before efficiency, bytes per second."""
        return 2 * self.lanes * self.lane_bandwidth


@dataclass(frozen=True)
class Nic:
    """The network card that each accelerator has for itself.

    Parameters
    ----------
    bandwidth : float
        Data sheet, one direction, bytes per second.
    efficiency : float
        The part of it that payload can reach, 0 < efficiency <= 1.
    host_bandwidth : float
        Between card and NIC (PCIe), one direction, bytes per second.
    latency : float
        Seconds on each of the two sides of a message.
    """

    bandwidth: float
    efficiency: float
    host_bandwidth: float
    latency: float


@dataclass(frozen=True)
class Network:
    """The network between nodes.

    Parameters
    ----------
    name, title : str
        Short and long name.
    kind : str
        ``rail-leaf-spine`` (the i-th NIC of every node meets on the same leaves), ``leaf-spine`` (NICs
        fill one leaf after the other, in order of rank), ``fat-tree`` (leaf, spine and core), ``dual-plane``
        (rails, and every NIC has a port in each of several separate networks), ``torus`` (of nodes) or ``dragonfly``.
    radix : int
        Ports of a switch.
    oversubscription : float or None
        Capacity below a leaf divided by capacity above it; 1 is non-blocking. None, like every value below that
        may be None, where the kind of network has no such thing.
    switch_latency : float
        Seconds through one switch.
    routing : str
        ``spread`` (adaptive or planned, traffic evenly over equal paths) or ``hash`` (a connection keeps one path).
    spine_radix : int or None
        Ports of a spine of a fat tree, if not `radix`.
    spine_oversubscription : float or None
        Capacity below a spine divided by capacity above it.
    wiring : str or None
        ``rails`` or ``plain``: which NICs of a fat tree share a leaf.
    planes : int or None
        Ports of a NIC, each in a network of its own.
    shape : tuple of int
        Nodes along each side of a torus; empty for as even a box of three sides as the nodes allow.
    links : int or None
        Cables between neighbours of a torus, each as fast as a NIC.
    nics_per_switch, group_switches, global_links : int or None
        Of a dragonfly: NICs on a switch, switches in a group, cables from a switch to other groups.
    groups : int or None
        Groups of a dragonfly that are wired; None for as many as the cards fill.
    reduces : bool
        Whether switches add what passes through them (InfiniBand SHARP).
    """

    name: str
    title: str
    kind: str
    radix: int
    oversubscription: float | None
    switch_latency: float
    routing: str
    spine_radix: int | None = None
    spine_oversubscription: float | None = None
    wiring: str | None = None
    planes: int | None = None
    shape: tuple[int, ...] = ()
    links: int | None = None
    nics_per_switch: int | None = None
    group_switches: int | None = None
    global_links: int | None = None
    groups: int | None = None
    reduces: bool = False


@dataclass(frozen=True)
class Fabric:
    """A cluster's data sheet.

    Parameters
    ----------
    name, title : str
        Short and long name.
    path : str
        The file it came from.
    card, domain, nic, network
        See there.
    protocols : mapping
        From name to `ProtocolSet`, in the order of the file.
    changed : tuple of (key, old, new)
        What was changed after loading, as text.
    sources : mapping
        From dotted key (``"nic.bandwidth"``) to where its number comes from.
    """

    name: str
    title: str
    path: str
    card: Card
    domain: Domain
    nic: Nic
    network: Network
    protocols: Mapping[str, ProtocolSet] = field(hash=False)
    changed: tuple[tuple[str, str, str], ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)

    def protocol(self, name: str, algorithm: str = "") -> Protocol:
        """Return the constants of a protocol for an algorithm.

        Parameters
        ----------
        name : str
            One of `protocols`.
        algorithm : str
            Any of `ringsim.fabric.keys.ALGORITHMS` may have constants of its own; the others get the general ones.

        Raises
        ------
        FabricError
            If this fabric has no such protocol.
        """
        if name not in self.protocols:
            right = suggest(name, self.protocols)
            raise complain(self.path, "protocol", name, f"{self.name} has no such protocol", right)
        return self.protocols[name].of(algorithm)

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of everything that can change a simulated time.

        Names, titles, sources and the place of the file are left out: a copy of a file under another name
        is the same fabric, and results computed on one hold for the other. So is what a switch could do but a case does
        not name (``reduces``), and what nobody states: a key that is new in the form of the files leaves the
        fingerprints of older files as they are.
        """
        lines = []
        for part in (self.card, self.domain, self.nic, self.network):
            lines += _lines(type(part).__name__, part)
        for name, family in self.protocols.items():
            for algorithm in ("", *ALGORITHMS):
                if algorithm in ("", "ring", "tree") or algorithm in family.overrides:
                    lines += _lines(f"{name}/{algorithm}", family.of(algorithm))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


#: Keys that have no line in a fingerprint where nothing is stated, and what says nothing.
_SILENT = {"Domain.server"} | {f"Network.{item.name}" for item in fields(Network) if item.default is not MISSING}
_SILENT |= {"Protocol.message_gap", "Protocol.slice_overhead", "Protocol.channels", "Protocol.copy_bandwidth"}
_NOTHING: tuple[object, ...] = (None, (), 0.0, inf)


def _lines(prefix: str, part: Card | Domain | Nic | Network | Protocol) -> list[str]:
    """Write a part canonically, for hashing."""
    # repr of a float is the shortest text that gives the same float: the same on every machine.
    return [
        f"{prefix}.{item.name}={getattr(part, item.name)!r}"
        for item in fields(part)
        if item.name not in ("name", "title", "reduces")
        and (f"{type(part).__name__}.{item.name}" not in _SILENT or getattr(part, item.name) not in _NOTHING)
    ]
