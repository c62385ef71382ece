"""A fabric laid out flat, as key, value, unit and source, and what a cluster of it is made of."""

import math
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from ringsim import __version__
from ringsim.units import format_rate, format_size, format_time

if TYPE_CHECKING:
    from ringsim.fabric import Fabric, Protocol
    from ringsim.topology import Topology

#: Of the JSON objects that ``ringsim topo`` prints.
SCHEMA = 1

#: What is not in here has no unit.
_UNITS = {"fp16_tflops": "TFLOPS", "memory": "B", "watts": "W", "price_usd": "USD", "line_rate": "B/s"}
_UNITS |= {
    "startup": "s",
    "step_scale_up": "s",
    "step_network": "s",
    "send_overhead": "s",
    "slice_overhead": "s",
    "message_gap": "s",
    "channel_cap": "B/s",
    "limit_scale_up": "B/s",
    "limit_network": "B/s",
}

_FORMS: dict[str, Callable[[Any], str]] = {"B/s": format_rate, "s": format_time, "B": format_size}


class Number(NamedTuple):
    """One entry of a data sheet: `key` is what ``--set`` takes, `source` is empty for names and kinds."""

    key: str
    value: Any
    unit: str
    source: str

    def text(self) -> str:
        """Write the value for people."""
        if self.value == math.inf:
            return "no limit"
        if self.value is None:
            return "not stated"
        if isinstance(self.value, tuple):
            return "×".join(map(str, self.value))
        if not isinstance(self.value, (int, float)):
            return str(self.value)
        if self.unit in _FORMS:
            return _FORMS[self.unit](self.value)
        return f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)


def unit(key: str) -> str:
    """Return the SI unit of a key's last part, empty if it has none."""
    last = key.rpartition(".")[2]
    if last.endswith("bandwidth"):
        return "B/s"
    return "s" if last.endswith("latency") else _UNITS.get(last, "")


def numbers(sheet: "Fabric") -> Iterator[Number]:
    """List every entry of a data sheet, in the order in which files are written."""

    def entry(key: str, value: Any, source: str = "") -> Number:
        return Number(key, value, unit(key), sheet.sources.get(key, source))

    for table in ("card", "domain", "nic", "network"):
        part = getattr(sheet, table)
        if table == "nic":
            yield entry("nic.line_rate", sheet.nic.bandwidth)
        for item in fields(part):
            value = getattr(part, item.name)
            if item.name == "efficiency" and table == "domain":
                yield entry("domain.datasheet_bandwidth", sheet.domain.datasheet_bandwidth)
            if value is not None and value != ():
                yield entry(f"{table}.{item.name}", value)
    for name, family in sheet.protocols.items():
        for key, value in _protocol(family.base):
            yield entry(f"protocol.{name}.{key}", value, "" if key == "share" else "not stated: the default")
        for algorithm, own in family.overrides.items():
            for key, value in _protocol(own):
                place = f"protocol.{name}.{algorithm}.{key}"
                if place in sheet.sources or value != getattr(family.base, key):
                    yield entry(place, value)


def _protocol(protocol: "Protocol") -> Iterator[tuple[str, Any]]:
    for item in fields(protocol):
        if item.name != "name":
            yield item.name, getattr(protocol, item.name)


def effective(sheet: "Fabric") -> dict[str, str]:
    """Say for some tables what their numbers come to."""
    domain, nic = sheet.domain, sheet.nic
    lane = format_rate(domain.lane_bandwidth * domain.efficiency)
    return {
        "domain": f"{lane} a lane, {format_rate(domain.card_bandwidth)} a card, each way, in the simulation",
        "nic": f"{format_rate(nic.bandwidth * nic.efficiency)} each way, in the simulation",
    }


def cluster(topology: "Topology") -> dict[str, Any]:
    """Count what a cluster is made of."""
    from ringsim.topology import LINK_KINDS

    return {
        "cards": topology.cards,
        "nodes": topology.nodes,
        "domain": topology.group,
        "scale_up_switches": topology.switches,
        "leaf_switches": topology.leaves,
        "spine_switches": topology.spines,
        "diameter_links": _diameter(topology),
        "directed_links": topology.links,
        "links": {kind: topology.count(i) for i, kind in enumerate(LINK_KINDS) if topology.count(i)},
    }


def _diameter(topology: "Topology") -> int:
    """Links between the two cards that are farthest apart."""
    if topology.nodes > 1:
        # Through one leaf, or a spine too: where there are two leaves, some two nodes have cards on both.
        return 6 if topology.spines else 4
    kind = topology.fabric.domain.kind
    if kind in ("switch", "full-mesh"):
        return 2 if kind == "switch" else 1
    return sum(side // 2 for side in topology.shape)


def document(sheet: "Fabric", made_of: dict[str, Any] | None) -> dict[str, Any]:
    """Build the object that ``ringsim topo show --json`` prints; an unlimited rate is null."""
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "name": sheet.name,
        "title": sheet.title,
        "path": sheet.path,
        "fingerprint": sheet.fingerprint(),
        "protocols": list(sheet.protocols),
        "values": {
            key: {
                "value": None if value == math.inf else value,
                "unit": unit or None,
                "source": source or None,
            }
            for key, value, unit, source in numbers(sheet)
        },
    }
    if made_of is not None:
        found["cluster"] = made_of
    return found
