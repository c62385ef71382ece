"""Finding a fabric's files, and making a `Fabric` of them.

The only place that knows where shipped files lie, how a fabric comes by its network, and in which order files and
changes are checked, so that a mistake is blamed on whoever made it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ringsim.fabric.checks import check_complete, check_datasheet, check_domain, check_network
from ringsim.fabric.errors import complain, show, suggest
from ringsim.fabric.keys import ALGORITHMS, PROTOCOL_KEYS, Value, known_keys
from ringsim.fabric.protocols import Protocol, ProtocolSet
from ringsim.fabric.reading import (
    Entry,
    count,
    current,
    flatten,
    maybe_count,
    maybe_number,
    number,
    protocol_names,
    read,
    read_change,
    sides,
    text,
    typed,
    yes,
)
from ringsim.fabric.sheet import Card, Domain, Fabric, Network, Nic

SCHEMA = 1


# --- where files are ----------------------------------------------------------------------------------


def data_folder() -> Path:
    """Find the shipped files: inside an installed package, or beside ``src`` in a working copy."""
    inside = Path(__file__).parents[1] / "topologies"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "topologies"


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml") if path.is_file())


def available() -> list[str]:
    """List the names of the shipped fabrics."""
    return _names(data_folder())


def networks() -> list[str]:
    """List the names of the shipped networks."""
    return _names(data_folder() / "networks")


def _is_path(name: str) -> bool:
    separators = {"/", os.sep, os.altsep or "/"}
    return name in (".", "..") or name.endswith(".toml") or any(separator in name for separator in separators)


def _find(name: str, folder: Path, what: str) -> Path:
    """Find a shipped file by its name."""
    known = _names(folder)
    if name not in known:
        right = f"{suggest(name, known)}; or give the path of a TOML file"
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
    path = Path(name_or_path) if _is_path(name_or_path) else _find(name_or_path, data_folder(), "fabric")
    origin = str(path)
    tables = read(path)
    _check_schema(tables, origin)

    net_tables, net_origin = network_part(tables, path, network)
    names = protocol_names(tables, origin)
    kinds = known_keys(names)
    own_kinds, net_kinds = (
        known_keys(names, network=False),
        known_keys((), fabric=False),
    )
    entries = flatten(tables, origin, own_kinds, ("schema", "nic", "network"))
    entries |= flatten(net_tables, net_origin, net_kinds, ("schema",))
    check_complete(entries, kinds, origin, net_origin)
    values = typed(entries, kinds)
    check_datasheet(values, entries)
    # Checked as a whole before the changes too: a mistake in the file must not be blamed on a change.
    check_domain(values, entries)
    check_network(values, entries)

    changed = []
    for change in changes:
        key, entry = read_change(change, kinds)
        old = show(current(key, entries, kinds))
        entries[key] = entry
        values |= typed({key: entry}, kinds)
        changed.append((key, old, str(entry.raw)))
    # Once after all of them, because some only make sense together: another size needs other lanes.
    check_domain(values, entries)
    values = check_network(values, entries)
    return _build(values, entries, names, origin, tuple(changed))


def _check_schema(tables: dict[str, object], origin: str) -> None:
    schema = tables.pop("schema", "(missing)")
    if schema != SCHEMA or isinstance(schema, bool):
        raise complain(origin, "schema", schema, "not a form of file that is known here", f"write schema = {SCHEMA}")


def network_part(tables: dict[str, object], fabric: Path, instead: str | None) -> tuple[dict[str, object], str]:
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
        named = Path(instead) if _is_path(instead) else _find(instead, data_folder() / "networks", "network")
    elif own is None and nic is None:
        right = 'write a name such as network = "ib-hdr", or the tables [nic] and [network]'
        raise complain(origin, "network", "(missing)", "a fabric needs a network", right)
    elif own is None or isinstance(own, dict):
        given = {"nic": nic, "network": own}
        return {key: table for key, table in given.items() if table is not None}, origin
    else:
        named = _referenced(own, fabric)
    found = read(named)
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
        return data_folder() / "networks" / f"{shipped}.toml"
    wrong = f"there is neither a file {beside} nor a shipped network of this name"
    raise complain(str(fabric), "network", name, wrong, suggest(shipped, networks()))


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
            watts=maybe_number(values, "card.watts"),
            price_usd=maybe_number(values, "card.price_usd"),
        ),
        domain=Domain(
            kind=text(values, "domain.kind"),
            size=count(values, "domain.size"),
            shape=sides(values, "domain.shape"),
            lanes=count(values, "domain.lanes"),
            lane_bandwidth=number(values, "domain.lane_bandwidth"),
            efficiency=number(values, "domain.efficiency"),
            latency=number(values, "domain.latency"),
            server=maybe_count(values, "domain.server"),
            reduces=yes(values, "domain.reduces"),
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
            oversubscription=maybe_number(values, "network.oversubscription"),
            switch_latency=number(values, "network.switch_latency"),
            routing=text(values, "network.routing"),
            spine_radix=maybe_count(values, "network.spine_radix"),
            spine_oversubscription=maybe_number(values, "network.spine_oversubscription"),
            wiring=text(values, "network.wiring") if "network.wiring" in values else None,
            planes=maybe_count(values, "network.planes"),
            shape=sides(values, "network.shape"),
            links=maybe_count(values, "network.links"),
            nics_per_switch=maybe_count(values, "network.nics_per_switch"),
            group_switches=maybe_count(values, "network.group_switches"),
            global_links=maybe_count(values, "network.global_links"),
            groups=maybe_count(values, "network.groups"),
            reduces=yes(values, "network.reduces"),
        ),
        protocols={name: _protocol_set(values, name) for name in names},
        changed=changed,
        sources={key: entry.source for key, entry in entries.items() if entry.source},
    )


def _protocol_set(values: Mapping[str, Value], name: str) -> ProtocolSet:
    """Resolve a protocol's overrides, so that nobody has to look in two places later."""
    keys = PROTOCOL_KEYS
    base = {key: kind.parse(kind.default) for key, kind in keys.items() if kind.default}
    base |= {key: values[f"protocol.{name}.{key}"] for key in keys if f"protocol.{name}.{key}" in values}
    overrides = {}
    for algorithm in ALGORITHMS:
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
        slice_overhead=number(values, "slice_overhead"),
        message_gap=number(values, "message_gap"),
        reduce_bandwidth=number(values, "reduce_bandwidth"),
        channels=maybe_count(values, "channels"),
        copy_bandwidth=number(values, "copy_bandwidth"),
    )
