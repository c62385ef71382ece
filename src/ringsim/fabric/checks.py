"""Checks of several values together: each may be right by itself and the machine still impossible.

Here a figure that counts both directions, or bits for bytes, is caught before anything is simulated with it. It
needs the values of many keys at once, which is why it is not part of reading any one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ringsim.fabric.errors import CHANGED, FabricError, complain, show
from ringsim.fabric.keys import FABRIC_KEYS, NETWORK_KEYS, NETWORK_USES, Kind, Value, is_override
from ringsim.fabric.reading import Entry, count, current, form, number, sides, text
from ringsim.units import format_rate


def check_complete(entries: Mapping[str, Entry], kinds: Mapping[str, Kind], origin: str, net_origin: str) -> None:
    """Check that every required key is there."""
    for key, kind in kinds.items():
        if kind.default is None and key not in entries and not is_override(key):
            where = net_origin if key in NETWORK_KEYS else origin
            raise complain(where, key, "(missing)", "this key is required", f"write {form(key, kind)}")


def check_datasheet(values: Mapping[str, Value], entries: Mapping[str, Entry]) -> None:
    """Compare what a file states twice, once as the vendor prints it and once as the model uses it."""
    lanes, lane = count(values, "domain.lanes"), number(values, "domain.lane_bandwidth")
    how = f"2 directions x {lanes} lanes x {format_rate(lane)}"
    _check_twice(values, entries, "domain.datasheet_bandwidth", 2 * lanes * lane, how)
    how = f"nic.bandwidth = {show(entries['nic.bandwidth'].raw)}"
    _check_twice(values, entries, "nic.line_rate", number(values, "nic.bandwidth"), how)


def _check_twice(values: Mapping[str, Value], entries: Mapping[str, Entry], key: str, model: float, how: str) -> None:
    """Compare one vendor's figure with the model's, and guess from the factor what went wrong."""
    vendor = number(values, key)
    if math.isclose(vendor, model, rel_tol=0.01):
        return
    factor = max(vendor, model) / min(vendor, model)
    hints = {
        2: "one direction or both?",
        8: "bits or bytes?",
        4: "one direction or both? bits or bytes?",  # 8 / 2
        16: "one direction or both? bits or bytes?",
    }
    hint = next((words for size, words in hints.items() if math.isclose(factor, size, rel_tol=0.01)), "")
    wrong = f"does not agree with {how} = {format_rate(model)}, off by a factor of {factor:.4g}"
    what = "both directions together" if key.startswith("domain.") else "one direction"
    right = f"{hint} {key.rpartition('.')[2]} is what the vendor prints, {what}".strip()
    raise complain(entries[key].origin, key, entries[key].raw, wrong, right)


def check_domain(values: Mapping[str, Value], entries: Mapping[str, Entry]) -> None:
    """Check that kind, size, shape and lanes describe a machine that can exist."""

    def fail(key: str, wrong: str, right: str) -> FabricError:
        # After a change the file itself is right: blame the change that made the whole impossible.
        involved = [entries[name].origin for name in values if name.startswith("domain.")]
        origin = CHANGED if CHANGED in involved else entries["domain.kind"].origin
        return complain(origin, key, current(key, entries, FABRIC_KEYS), wrong, right)

    kind, size = text(values, "domain.kind"), count(values, "domain.size")
    lanes, shape = count(values, "domain.lanes"), sides(values, "domain.shape")
    if kind != "switch" and size < 2:
        raise fail("domain.size", f"a {kind} needs at least two cards", "write 2 or more")
    if kind == "torus":
        if not shape:
            raise fail("domain.shape", "a torus needs its sides", "write for example [4, 4]")
        if math.prod(shape) != size:
            product = " x ".join(map(str, shape))
            wrong = f"{product} = {math.prod(shape)} cards, but domain.size = {size}"
            raise fail("domain.shape", wrong, "make them agree")
    elif shape and not (kind == "ring" and shape == (size,)):
        raise fail("domain.shape", f"a {kind} has no sides", "leave it out, or change it to none")
    needed, reason = {
        "switch": (lanes, ""),
        "full-mesh": (size - 1, f"a full mesh of {size} has one lane to each of the {size - 1} other cards"),
        "ring": (2, "a card in a ring has two neighbours"),
        "torus": (2 * len(shape), f"a card in a torus of {len(shape)} sides has {2 * len(shape)} neighbours"),
    }[kind]
    if lanes != needed:
        raise fail("domain.lanes", reason, f"domain.lanes must be {needed}")
    server = values.get("domain.server")
    if isinstance(server, int) and server > size:
        right = f"write {size} or less, or leave it out"
        raise fail("domain.server", f"a chassis with more cards than its domain, which holds {size}", right)


def check_network(values: Mapping[str, Value], entries: Mapping[str, Entry]) -> dict[str, Value]:
    """Check that a network is told what its kind needs and nothing that it has no use for.

    Returns
    -------
    dict
        The values without those that belong to the kind from which a change led away.
    """
    kind, origin = text(values, "network.kind"), entries["network.kind"].origin
    needed, welcome = NETWORK_USES[kind]
    article = f"a {kind} network"
    special = {key for uses in NETWORK_USES.values() for keys in uses for key in keys}
    kept = dict(values)
    for last in sorted(special):
        key = f"network.{last}"
        if last in needed and key not in values:
            right = f"change {key} too" if origin == CHANGED else f"write {form(key, NETWORK_KEYS[key])}"
            raise complain(origin, key, "(missing)", f"{article} needs it", right)
        if last not in (*needed, *welcome) and key in values:
            if origin == CHANGED and entries[key].origin != CHANGED:
                del kept[key]
                continue
            right = "leave it out; it has " + ", ".join((*needed, *welcome))
            raise complain(entries[key].origin, key, entries[key].raw, f"{article} has no such thing", right)
    if kind == "dragonfly":
        ports = {name: count(values, f"network.{name}") for name in needed}
        used, radix = sum(ports.values()) - 1, count(values, "network.radix")
        if used > radix:
            wrong = (
                f"a switch of the dragonfly has {ports['nics_per_switch']} NICs, {ports['group_switches'] - 1} links to "
                f"its group and {ports['global_links']} to other groups, {used} ports in all"
            )
            raise complain(entries["network.radix"].origin, "network.radix", radix, wrong, f"write {used} or more")
    if kind == "dual-plane" and count(values, "network.planes") < 2:
        raise complain(
            entries["network.planes"].origin, "network.planes", entries["network.planes"].raw,
            "that is no dual plane", "write 2 or more, or kind = \"rail-leaf-spine\"",
        )  # fmt: skip
    return kept
