"""Fabric: the data sheet of a cluster, the one thing that the simulator believes without proof.

A fabric says what the hardware and its communication library can do: the card, the links inside a node
(the scale-up *domain*), the NIC, the network between nodes, and the constants of each protocol. It is data
in a TOML file, not code, so that a new machine needs no programmer and so that every number can carry
where it comes from. It knows nothing of graphs, collectives or time.

Vendors print "600 GB/s" and mean both directions, and "200G" and mean bits. A file therefore states the
important figures twice, once as the model uses them and once as the vendor prints them, and a
disagreement is an error that names the likely mistake. Inside everything is SI and one direction.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from ringsim import fabricfile
from ringsim.fabricfile import Entry, FabricError, Value, complain, count, number, sides, text

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

SCHEMA = 1


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
    """

    kind: str
    size: int
    shape: tuple[int, ...]
    lanes: int
    lane_bandwidth: float
    efficiency: float
    latency: float

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
        ``rail-leaf-spine`` (the i-th NIC of every node meets on the same leaves) or ``leaf-spine`` (NICs
        fill one leaf after the other, in order of rank).
    radix : int
        Ports of a switch.
    oversubscription : float
        Capacity below a leaf divided by capacity above it; 1 is non-blocking.
    switch_latency : float
        Seconds through one switch.
    routing : str
        ``spread`` (adaptive, traffic evenly over the spines) or ``hash`` (a connection keeps one path).
    """

    name: str
    title: str
    kind: str
    radix: int
    oversubscription: float
    switch_latency: float
    routing: str


@dataclass(frozen=True)
class Protocol:
    """How a library moves a message, and what the software costs.

    Parameters
    ----------
    name : str
        As the library calls it.
    startup : float
        Seconds before the first step of a collective.
    step_scale_up, step_network : float
        Software cost in seconds of one step inside a node and between nodes, on top of the latencies of
        the links.
    wire : float
        Bytes on the wire for one byte of payload, at least 1.
    slices : int
        Pieces a chunk is cut into so that sending and reducing overlap.
    share : str
        ``reserved`` (each channel has its own part of a link) or ``max-min`` (fair sharing).
    channel_cap : float
        Most that one connection can carry, bytes per second; infinity for no limit.
    limit_scale_up, limit_network : float
        Most that all channels of a card carry together to another card, inside a node and between nodes, bytes per
        second on the wire; infinity for no limit.
    send_overhead : float
        Seconds for which a card is busy with each message it sends.
    reduce_bandwidth : float
        Rate at which arriving data is added, bytes per second; infinity if it is hidden.
    """

    name: str
    startup: float
    step_scale_up: float
    step_network: float
    wire: float
    slices: int
    share: str
    channel_cap: float = math.inf
    limit_scale_up: float = math.inf
    limit_network: float = math.inf
    send_overhead: float = 0.0
    reduce_bandwidth: float = math.inf


@dataclass(frozen=True)
class ProtocolSet:
    """One protocol with the constants that some algorithms have of their own.

    Parameters
    ----------
    base : Protocol
        For every algorithm that is not named below.
    overrides : mapping
        From ``"ring"`` or ``"tree"`` to the complete protocol for it.
    """

    base: Protocol
    # Not part of the hash, because a dict has none; equality still sees it.
    overrides: Mapping[str, Protocol] = field(hash=False)

    def of(self, algorithm: str) -> Protocol:
        """Return the constants for one algorithm."""
        return self.overrides.get(algorithm, self.base)


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
            ``"ring"`` and ``"tree"`` may have constants of their own; any other gets the general ones.

        Raises
        ------
        FabricError
            If this fabric has no such protocol.
        """
        if name not in self.protocols:
            right = fabricfile.suggest(name, self.protocols)
            raise complain(self.path, "protocol", name, f"{self.name} has no such protocol", right)
        return self.protocols[name].of(algorithm)

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of everything that can change a simulated time.

        Names, titles, sources and the place of the file are left out: a copy of a file under another name
        is the same fabric, and results computed on one hold for the other.
        """
        lines = []
        for part in (self.card, self.domain, self.nic, self.network):
            lines += _lines(type(part).__name__, part)
        for name, family in self.protocols.items():
            for algorithm in ("", *fabricfile.ALGORITHMS):
                lines += _lines(f"{name}/{algorithm}", family.of(algorithm))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _lines(prefix: str, part: Card | Domain | Nic | Network | Protocol) -> list[str]:
    """Write a part canonically, for hashing."""
    # repr of a float is the shortest text that gives the same float: the same on every machine.
    return [
        f"{prefix}.{item.name}={getattr(part, item.name)!r}"
        for item in fields(part)
        if item.name not in ("name", "title")
    ]


# --- where files are ----------------------------------------------------------------------------------


def _data() -> Path:
    """Find the shipped files: inside an installed package, or beside ``src`` in a working copy."""
    inside = Path(__file__).parent / "topologies"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "topologies"


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml") if path.is_file())


def available() -> list[str]:
    """List the names of the shipped fabrics."""
    return _names(_data())


def networks() -> list[str]:
    """List the names of the shipped networks."""
    return _names(_data() / "networks")


def _is_path(name: str) -> bool:
    separators = {"/", os.sep, os.altsep or "/"}
    return name in (".", "..") or name.endswith(".toml") or any(separator in name for separator in separators)


def _find(name: str, folder: Path, what: str) -> Path:
    """Find a shipped file by its name."""
    known = _names(folder)
    if name not in known:
        right = f"{fabricfile.suggest(name, known)}; or give the path of a TOML file"
        raise complain(str(folder), what, name, f"there is no {what} of this name", right)
    return folder / f"{name}.toml"


# --- loading ------------------------------------------------------------------------------------------


def load(name_or_path: str, *, network: str | None = None, changes: Sequence[str] = ()) -> Fabric:
    """Load a fabric.

    Parameters
    ----------
    name_or_path : str
        A shipped fabric's name (see `available`), or a path: anything with a path separator in it, or
        ending in ``.toml``.
    network : str or None
        Name or path of a network to use in place of the fabric's own.
    changes : sequence of str
        ``KEY=VALUE``, such as ``"nic.bandwidth=50GB/s"``, ``"domain.kind=switch"`` or
        ``"protocol.hccl.ring.step_network=5us"``; applied in order. Each value is checked as in a file,
        and so is the whole, but the vendor's figures are no longer compared: they describe another machine.

    Returns
    -------
    Fabric
        Checked, in SI.

    Raises
    ------
    FabricError
        If anything is wrong with the files or the changes, as
        ``FILE: key = value: what is wrong; what would be right``.
    """
    path = Path(name_or_path) if _is_path(name_or_path) else _find(name_or_path, _data(), "fabric")
    origin = str(path)
    tables = fabricfile.read(path)
    _check_schema(tables, origin)

    net_tables, net_origin = _network_part(tables, path, network)
    names = fabricfile.protocol_names(tables, origin)
    kinds = fabricfile.known_keys(names)
    own_kinds, net_kinds = (
        fabricfile.known_keys(names, network=False),
        fabricfile.known_keys((), fabric=False),
    )
    entries = fabricfile.flatten(tables, origin, own_kinds, ("schema", "nic", "network"))
    entries |= fabricfile.flatten(net_tables, net_origin, net_kinds, ("schema",))
    fabricfile.check_complete(entries, kinds, origin, net_origin)
    values = fabricfile.typed(entries, kinds)
    fabricfile.check_datasheet(values, entries)
    # Checked as a whole before the changes too: a mistake in the file must not be blamed on a change.
    fabricfile.check_domain(values, entries)

    changed = []
    for change in changes:
        key, entry = fabricfile.read_change(change, kinds)
        old = fabricfile.show(fabricfile.current(key, entries, kinds))
        entries[key] = entry
        values |= fabricfile.typed({key: entry}, kinds)
        changed.append((key, old, str(entry.raw)))
    # Once after all of them, because some only make sense together: another size needs other lanes.
    fabricfile.check_domain(values, entries)
    return _build(values, entries, names, origin, tuple(changed))


def _check_schema(tables: dict[str, object], origin: str) -> None:
    schema = tables.pop("schema", "(missing)")
    if schema != SCHEMA or isinstance(schema, bool):
        raise complain(origin, "schema", schema, "not a form of file that is known here", f"write schema = {SCHEMA}")


def _network_part(tables: dict[str, object], fabric: Path, instead: str | None) -> tuple[dict[str, object], str]:
    """Take the network out of a fabric's tables, or from the file that is named there or by the caller.

    Returns
    -------
    tables, origin
        The tables [nic] and [network], and the file they are from.
    """
    origin = str(fabric)
    own, nic = tables.pop("network", None), tables.pop("nic", None)
    if isinstance(own, str) and nic is not None:
        wrong = f"network = {own} brings its own [nic]"
        raise complain(origin, "nic", nic, wrong, "remove [nic], or write the table [network] here as well")
    if instead is not None:
        named = Path(instead) if _is_path(instead) else _find(instead, _data() / "networks", "network")
    elif own is None and nic is None:
        right = 'write a name such as network = "ib-hdr", or the tables [nic] and [network]'
        raise complain(origin, "network", "(missing)", "a fabric needs a network", right)
    elif own is None or isinstance(own, dict):
        given = {"nic": nic, "network": own}
        return {key: table for key, table in given.items() if table is not None}, origin
    else:
        named = _referenced(own, fabric)
    found = fabricfile.read(named)
    _check_schema(found, str(named))
    return found, str(named)


def _referenced(name: object, fabric: Path) -> Path:
    """Find the network that a fabric file names: beside that file, else among the shipped ones."""
    if not isinstance(name, str) or not name.strip():
        right = 'write a name such as network = "ib-hdr", or the path of a file'
        raise complain(str(fabric), "network", name, "not the name of a network", right)
    beside = fabric.parent / (name if _is_path(name) else f"{name}.toml")
    # The fabric's own file does not count: a fabric and its network may well have the same name.
    if beside.is_file() and not beside.samefile(fabric):
        return beside
    shipped = name.removesuffix(".toml")
    if shipped in networks():
        return _data() / "networks" / f"{shipped}.toml"
    wrong = f"there is neither a file {beside} nor a shipped network of this name"
    raise complain(str(fabric), "network", name, wrong, fabricfile.suggest(shipped, networks()))


# --- from checked values to the data sheet ------------------------------------------------------------


def _build(
    values: Mapping[str, Value],
    entries: Mapping[str, Entry],
    names: tuple[str, ...],
    path: str,
    changed: tuple[tuple[str, str, str], ...],
) -> Fabric:
    """Put checked values into their places."""
    return Fabric(
        name=text(values, "name"),
        title=text(values, "title"),
        path=path,
        card=Card(
            name=text(values, "card.name"),
            fp16_tflops=number(values, "card.fp16_tflops"),
            memory=count(values, "card.memory"),
            memory_bandwidth=number(values, "card.memory_bandwidth"),
            watts=number(values, "card.watts") if "card.watts" in values else None,
            price_usd=number(values, "card.price_usd") if "card.price_usd" in values else None,
        ),
        domain=Domain(
            kind=text(values, "domain.kind"),
            size=count(values, "domain.size"),
            shape=sides(values, "domain.shape"),
            lanes=count(values, "domain.lanes"),
            lane_bandwidth=number(values, "domain.lane_bandwidth"),
            efficiency=number(values, "domain.efficiency"),
            latency=number(values, "domain.latency"),
        ),
        nic=Nic(
            bandwidth=number(values, "nic.bandwidth"),
            efficiency=number(values, "nic.efficiency"),
            host_bandwidth=number(values, "nic.host_bandwidth"),
            latency=number(values, "nic.latency"),
        ),
        network=Network(
            name=text(values, "network.name"),
            title=text(values, "network.title"),
            kind=text(values, "network.kind"),
            radix=count(values, "network.radix"),
            oversubscription=number(values, "network.oversubscription"),
            switch_latency=number(values, "network.switch_latency"),
            routing=text(values, "network.routing"),
        ),
        protocols={name: _protocol_set(values, name) for name in names},
        changed=changed,
        sources={key: entry.source for key, entry in entries.items() if entry.source},
    )


def _protocol_set(values: Mapping[str, Value], name: str) -> ProtocolSet:
    """Resolve a protocol's overrides, so that nobody has to look in two places later."""
    keys = fabricfile.protocol_keys()
    base = {key: kind.parse(kind.default) for key, kind in keys.items() if kind.default is not None}
    base |= {key: values[f"protocol.{name}.{key}"] for key in keys if f"protocol.{name}.{key}" in values}
    overrides = {}
    for algorithm in fabricfile.ALGORITHMS:
        prefix = f"protocol.{name}.{algorithm}."
        own = {key: values[prefix + key] for key in keys if prefix + key in values}
        if own:
            overrides[algorithm] = _protocol(name, base | own)
    return ProtocolSet(_protocol(name, base), overrides)


def _protocol(name: str, values: Mapping[str, Value]) -> Protocol:
    return Protocol(
        name=name,
        startup=number(values, "startup"),
        step_scale_up=number(values, "step_scale_up"),
        step_network=number(values, "step_network"),
        wire=number(values, "wire"),
        slices=count(values, "slices"),
        share=text(values, "share"),
        channel_cap=number(values, "channel_cap"),
        limit_scale_up=number(values, "limit_scale_up"),
        limit_network=number(values, "limit_network"),
        send_overhead=number(values, "send_overhead"),
        reduce_bandwidth=number(values, "reduce_bandwidth"),
    )
