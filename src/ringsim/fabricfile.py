"""Reading fabric files: from TOML, or from one ``KEY=VALUE``, to checked numbers with a source each.

A data sheet typed in by hand is where a study goes wrong without anybody noticing, so this module trusts
nothing: every key must be known, every number must say where it comes from, and every complaint names the
file, the key and the value and says what would be right. It knows the *form* of the files only; what the
numbers mean together is the business of `ringsim.fabric`.

Everything is held flat, as ``{"nic.bandwidth": Entry(...)}``. A value from a file and a value from the
command line then go through the very same checks, and an error always knows which of them to blame.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ringsim.units import UnitError, format_rate, parse_number, parse_rate, parse_size, parse_time

#: Algorithms whose constants a protocol may state separately, because NCCL's own tables do.
ALGORITHMS = ("ring", "tree")

#: What stands in the place of a file name when a ``--set`` is to blame.
CHANGED = "--set"

Value = str | int | float | tuple[int, ...]


class FabricError(Exception):
    """A fabric that cannot be used, as ``FILE: key = value: what is wrong; what would be right``."""


@dataclass(frozen=True)
class Kind:
    """What a key may hold.

    Parameters
    ----------
    parse : callable
        From what TOML (or the command line, as text) gave to the checked SI value; raises `UnitError`.
    sourced : bool
        True for numbers, which come as ``[value, "source"]``; False for names, kinds and titles.
    default : str or None
        What an absent key means; None if the key must be there.
    fixed : str
        Why the key cannot be changed after loading and what to do instead; empty if it can be.
    """

    parse: Callable[[object], Value]
    sourced: bool = True
    default: str | None = None
    fixed: str = ""


@dataclass(frozen=True)
class Entry:
    """One value with its history: as written, where from, and in which file."""

    raw: object
    source: str
    origin: str


def show(value: object) -> str:
    """Write a TOML value on one line, as its author would recognise it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(show(item) for item in value) + "]"
    words = "{...}" if isinstance(value, dict) else str(value) if value != "" else '""'
    return words if len(words) <= 80 else words[:77] + "..."


def complain(origin: str, key: str, value: object, wrong: str, right: str) -> FabricError:
    """Make the one kind of error there is."""
    return FabricError(f"{origin}: {key} = {show(value)}: {wrong}; {right}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, if any is near enough."""
    # Upper and lower case differ in every character for difflib, and nobody means that.
    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def suggest(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, and which there are."""
    words = sorted(known)
    guess = nearest(word, words)
    listed = f"available: {', '.join(words)}"
    return f"did you mean {guess!r}? {listed}" if guess else listed


# --- what a value may be ------------------------------------------------------------------------------


def _text_of(raw: object, right: str) -> str:
    """Demand a text: numbers without a unit mean nothing here, and true is not 1."""
    if isinstance(raw, bool):
        raise UnitError(show(raw), "a yes or no, not a quantity", right)
    if isinstance(raw, (int, float)):
        raise UnitError(show(raw), "a number without a unit", right)
    if not isinstance(raw, str):
        raise UnitError(show(raw), "not a text in quotes", right)
    return raw


def _size(raw: object) -> Value:
    return parse_size(_text_of(raw, 'write a size such as "80GB" or "64GiB"'))


def _rate(raw: object) -> Value:
    return parse_rate(_text_of(raw, 'write a rate such as "25GB/s" or "200Gb/s"'))


def _limit(raw: object) -> Value:
    """Read a rate that may be missing: inf means that nothing limits it."""
    if raw in ("inf", math.inf) and not isinstance(raw, bool):
        return math.inf
    return parse_rate(_text_of(raw, 'write a rate such as "25GB/s", or "inf" for no limit'))


def _time(raw: object) -> Value:
    return parse_time(_text_of(raw, 'write a time such as "1.5us"'))


def _plain(raw: object, right: str) -> float:
    """Read a number that has no unit, written as a number or as a ratio in quotes."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise UnitError(show(raw), "not a number", right)
    if isinstance(raw, str):
        return parse_number(raw)
    try:
        value = float(raw)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise UnitError(show(raw), "must be finite", right)
    return value


def _between(low: float, high: float, right: str, *, low_allowed: bool) -> Callable[[object], Value]:
    def parse(raw: object) -> Value:
        value = _plain(raw, right)
        if value > high or value < low or (value == low and not low_allowed):
            raise UnitError(show(raw), "out of range", right)
        return value

    return parse


_positive = _between(0, math.inf, "must be larger than 0", low_allowed=False)
_at_least_one = _between(1, math.inf, "must be 1 or larger", low_allowed=True)
_efficiency = _between(0, 1, 'must be larger than 0 and at most 1, for example 0.8 or "20.0/25"', low_allowed=False)


def _count(low: int) -> Callable[[object], Value]:
    right = f"write a whole number, {low} or larger"

    def parse(raw: object) -> Value:
        if isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", raw):
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise UnitError(show(raw), "not a whole number", right)
        if raw < low:
            raise UnitError(show(raw), "too small", right)
        if raw > 10**9:
            # Far beyond any machine, and small enough for every product of counts to stay an exact float.
            raise UnitError(show(raw), "too large", f"write a whole number from {low} to 1000000000")
        return raw

    return parse


def _shape(raw: object) -> Value:
    """Read the sides of a torus: [4, 4] in a file, 4x4 on the command line, [] or none for no sides."""
    right = "write the sides, each 2 or larger, as [4, 4] in a file or 4x4 on the command line; none for no sides"
    if isinstance(raw, str):
        raw = [] if raw == "none" else raw.lower().split("x")
    if not isinstance(raw, list):
        raise UnitError(show(raw), "not a list of sides", right)
    sides = []
    for side in raw:
        try:
            value = _count(2)(side)
        except UnitError as error:
            raise UnitError(show(raw), f"the side {show(side)} is {error.wrong}", right) from None
        assert isinstance(value, int)
        sides.append(value)
    return tuple(sides)


def _choice(*words: str) -> Callable[[object], Value]:
    right = "one of " + ", ".join(words)

    def parse(raw: object) -> Value:
        if isinstance(raw, list):
            raise UnitError(show(raw), "kinds and names are plain texts without a source", right)
        if not isinstance(raw, str):
            raise UnitError(show(raw), "not a text in quotes", right)
        if raw not in words:
            raise UnitError(raw, "unknown", suggest(raw, words))
        return raw

    return parse


def _words(raw: object) -> Value:
    right = "write a short text in quotes"
    if isinstance(raw, list):
        raise UnitError(show(raw), "kinds and names are plain texts without a source", right)
    if not isinstance(raw, str):
        raise UnitError(show(raw), "not a text in quotes", right)
    if not raw.strip():
        raise UnitError(raw, "empty", right)
    return raw


# --- which keys there are -----------------------------------------------------------------------------

_COPY = "copy the file and edit it to give it another name"

_FABRIC: dict[str, Kind] = {
    "name": Kind(_words, sourced=False, fixed=_COPY),
    "title": Kind(_words, sourced=False, fixed=_COPY),
    "card.name": Kind(_words, sourced=False, fixed=_COPY),
    "card.fp16_tflops": Kind(_positive),
    "card.memory": Kind(_size),
    "card.memory_bandwidth": Kind(_rate),
    "card.watts": Kind(_positive, default=""),
    "card.price_usd": Kind(_positive, default=""),
    "domain.kind": Kind(_choice("switch", "full-mesh", "ring", "torus"), sourced=False),
    "domain.size": Kind(_count(1)),
    "domain.shape": Kind(_shape, default=""),
    "domain.lanes": Kind(_count(1)),
    "domain.lane_bandwidth": Kind(_rate),
    "domain.datasheet_bandwidth": Kind(
        _rate, fixed="it only checks other keys: change domain.lanes or domain.lane_bandwidth"
    ),
    "domain.efficiency": Kind(_efficiency),
    "domain.latency": Kind(_time),
}

_NETWORK: dict[str, Kind] = {
    "nic.line_rate": Kind(_rate, fixed="it only checks another key: change nic.bandwidth"),
    "nic.bandwidth": Kind(_rate),
    "nic.efficiency": Kind(_efficiency),
    "nic.host_bandwidth": Kind(_rate),
    "nic.latency": Kind(_time),
    "network.name": Kind(_words, sourced=False, fixed=_COPY),
    "network.title": Kind(_words, sourced=False, fixed=_COPY),
    "network.kind": Kind(_choice("rail-leaf-spine", "leaf-spine"), sourced=False),
    # A switch with one port connects nothing, and half its ports go down and half up.
    "network.radix": Kind(_count(2)),
    "network.oversubscription": Kind(_at_least_one),
    "network.switch_latency": Kind(_time),
    "network.routing": Kind(_choice("spread", "hash"), sourced=False),
}

_PROTOCOL: dict[str, Kind] = {
    "startup": Kind(_time),
    "step_scale_up": Kind(_time),
    "step_network": Kind(_time),
    "wire": Kind(_at_least_one),
    "slices": Kind(_count(1)),
    "share": Kind(_choice("reserved", "max-min"), sourced=False),
    "channel_cap": Kind(_limit, default="inf"),
    "limit_scale_up": Kind(_limit, default="inf"),
    "limit_network": Kind(_limit, default="inf"),
    "send_overhead": Kind(_time, default="0us"),
    "reduce_bandwidth": Kind(_limit, default="inf"),
}

_PROTOCOL_NAME = re.compile(r"[A-Za-z0-9_-]+")


def known_keys(protocols: Iterable[str], *, fabric: bool = True, network: bool = True) -> dict[str, Kind]:
    """List every key that may occur, in the order in which files are written.

    Parameters
    ----------
    protocols : iterable of str
        The names of the protocols that the file describes.
    fabric, network : bool
        Whether the keys of a fabric file and those of a network file are wanted.
    """
    keys = dict(_FABRIC) if fabric else {}
    if network:
        keys |= _NETWORK
    if fabric:
        for name in protocols:
            for place in (name, *(f"{name}.{algorithm}" for algorithm in ALGORITHMS)):
                keys |= {f"protocol.{place}.{key}": kind for key, kind in _PROTOCOL.items()}
    return keys


def protocol_keys() -> dict[str, Kind]:
    """List the keys of one protocol, without their tables."""
    return dict(_PROTOCOL)


# --- reading ------------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, object]:
    """Read one TOML file, or say in one line why it cannot be read.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        What tomllib makes of it.

    Raises
    ------
    FabricError
        If there is no such file, it is a directory, cannot be read, is not UTF-8 or is not TOML.
    """
    if path.is_dir():
        raise FabricError(f"{path}: this is a directory; name a TOML file")
    try:
        # A byte order mark is what some editors leave behind, not a mistake of the author's.
        content = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise FabricError(f"{path}: there is no such file; name an existing TOML file") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FabricError(f"{path}: line {line}: not UTF-8 text; save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        # ValueError: a NUL character in the name.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FabricError(f"{path}: cannot be read: {reason}; name a readable TOML file") from None
    try:
        return tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        what = str(error)
        found = re.fullmatch(r"(.*) \((?:at line (\d+), column (\d+)|at end of document)\)", what, re.S)
        line = content.count("\n") + 1
        if found:
            what = found[1]
            if found[2]:
                line = int(found[2])
            else:
                what += " (the file ends too early: is it complete?)"
        raise FabricError(f"{path}: line {line}: {what}; repair the TOML there") from None


def flatten(
    tables: Mapping[str, object], origin: str, kinds: Mapping[str, Kind], elsewhere: Iterable[str] = ()
) -> dict[str, Entry]:
    """Turn nested tables into dotted keys, refusing unknown keys and numbers without a source.

    Parameters
    ----------
    tables : mapping
        What `read` returned, without its keys that are not quantities.
    origin : str
        The file, for errors.
    kinds : mapping
        The keys that are allowed, from `known_keys`.
    elsewhere : iterable of str
        Keys that the caller has taken out already, so that a misspelt one can be recognised.
    """
    groups = {key[: key.rindex(".")] for key in kinds if "." in key}
    groups |= {group[: group.rindex(".")] for group in groups if "." in group}
    entries: dict[str, Entry] = {}
    waiting: list[tuple[str, object]] = list(tables.items())
    while waiting:
        key, raw = waiting.pop(0)
        if key in groups:
            if not isinstance(raw, dict):
                raise complain(origin, key, raw, "must be a table", f"write [{key}] and its keys below it")
            # In front and not behind: errors come in the order of the file.
            waiting[:0] = [(f"{key}.{inner}", value) for inner, value in raw.items()]
        elif key not in kinds:
            raise complain(origin, key, raw, "unknown key", meant(key, {*kinds, *groups, *elsewhere}))
        elif isinstance(raw, dict):
            raise complain(origin, key, raw, "a table where a value should be", f"write {form(key, kinds[key])}")
        elif kinds[key].sourced:
            entries[key] = _sourced(key, raw, origin)
        else:
            entries[key] = Entry(raw, "", origin)
    return entries


def meant(key: str, known: Iterable[str]) -> str:
    """Suggest a key, looking among its neighbours in the same table first."""
    words = sorted(known)
    table = key.rpartition(".")[0]
    beside = [word for word in words if word.rpartition(".")[0] == table]
    for group in (beside, words):
        guess = nearest(key, group)
        # The common "nic." makes every key of [nic] look near; the last part has to look near as well.
        if guess and nearest(key.rpartition(".")[2], [guess.rpartition(".")[2]]):
            return f"did you mean {guess}?"
    return "known here: " + ", ".join(beside or words)


def form(key: str, kind: Kind) -> str:
    """Show how a key is written."""
    last = key.rpartition(".")[2]
    return f'{last} = [value, "where it comes from"]' if kind.sourced else f'{last} = "..."'


def _sourced(key: str, raw: object, origin: str) -> Entry:
    """Take a ``[value, "source"]`` pair apart."""
    right = f'write {key.rpartition(".")[2]} = [value, "where it comes from"]'
    if not isinstance(raw, list):
        raise complain(origin, key, raw, "has no source", right)
    if len(raw) == 1:
        raise complain(origin, key, raw, "has no source", right)
    if len(raw) != 2:
        raise complain(origin, key, raw, "must be a value and its source, two things", right)
    value, source = raw
    if not isinstance(source, str):
        raise complain(origin, key, raw, "the source must be a text in quotes", right)
    if not source.strip():
        raise complain(origin, key, value, "the source is empty", right)
    return Entry(value, source, origin)


def typed(entries: Mapping[str, Entry], kinds: Mapping[str, Kind]) -> dict[str, Value]:
    """Check every value by itself.

    Returns
    -------
    dict
        The SI value of every key that is present.
    """
    values: dict[str, Value] = {}
    for key, entry in entries.items():
        try:
            values[key] = kinds[key].parse(entry.raw)
        except UnitError as error:
            raise complain(entry.origin, key, entry.raw, error.wrong, error.right) from None
    return values


def protocol_names(tables: Mapping[str, object], origin: str) -> tuple[str, ...]:
    """Read which protocols a fabric file describes, in its order."""
    found = tables.get("protocol")
    right = "describe at least one protocol as [protocol.NAME]"
    if found is None:
        raise complain(origin, "protocol", "(missing)", "a fabric needs a protocol", right)
    if not isinstance(found, dict) or not found:
        raise complain(origin, "protocol", found, "must be tables", right)
    for name, table in found.items():
        if not _PROTOCOL_NAME.fullmatch(name):
            raise complain(origin, "protocol", name, "not a name for a protocol", "use letters, digits, _ and -")
        if not isinstance(table, dict):
            raise complain(origin, f"protocol.{name}", table, "must be a table", f"write [protocol.{name}]")
    return tuple(found)


# --- changes ------------------------------------------------------------------------------------------


def _is_override(key: str) -> bool:
    """Tell whether a key belongs to one algorithm of a protocol, where every key is optional."""
    return key.startswith("protocol.") and key.count(".") == 3


def current(key: str, entries: Mapping[str, Entry], kinds: Mapping[str, Kind]) -> object:
    """Return what a key holds, as written, whether stated, inherited or by default."""
    if key not in entries and _is_override(key):
        protocol, name, _algorithm, last = key.split(".")
        key = f"{protocol}.{name}.{last}"
    return entries[key].raw if key in entries else kinds[key].default or "(none)"


def read_change(change: str, kinds: Mapping[str, Kind]) -> tuple[str, Entry]:
    """Take one ``KEY=VALUE`` apart; its value is checked by `typed`, like those of files."""
    key, equals, written = (part.strip() for part in change.partition("="))
    if not equals or not key or not written:
        raise complain(CHANGED, key or "(no key)", written or "(no value)", "incomplete", "write KEY=VALUE")
    if key == "network":
        wrong = "a network is many values"
        raise complain(CHANGED, key, written, wrong, "choose another network as a whole, or change network.KEY")
    kind = kinds.get(key)
    if kind is None:
        settable = {name for name, kind in kinds.items() if not kind.fixed}
        raise complain(CHANGED, key, written, "unknown key", meant(key, settable))
    if kind.fixed:
        raise complain(CHANGED, key, written, "cannot be changed", kind.fixed)
    return key, Entry(written, "changed by the user", CHANGED)


# --- checks of several values together ----------------------------------------------------------------


def check_complete(entries: Mapping[str, Entry], kinds: Mapping[str, Kind], origin: str, net_origin: str) -> None:
    """Check that every required key is there."""
    for key, kind in kinds.items():
        if kind.default is None and key not in entries and not _is_override(key):
            where = net_origin if key in _NETWORK else origin
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
        return complain(origin, key, current(key, entries, _FABRIC), wrong, right)

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


# --- values by their type -----------------------------------------------------------------------------
# `typed` has already proved what each key holds; these four say so to the type checker and to the reader.


def number(values: Mapping[str, Value], key: str) -> float:
    """Return a value that is a quantity."""
    value = values[key]
    assert isinstance(value, (int, float))
    return float(value)


def count(values: Mapping[str, Value], key: str) -> int:
    """Return a value that is a whole number."""
    value = values[key]
    assert isinstance(value, int)
    return value


def text(values: Mapping[str, Value], key: str) -> str:
    """Return a value that is a word."""
    value = values[key]
    assert isinstance(value, str)
    return value


def sides(values: Mapping[str, Value], key: str) -> tuple[int, ...]:
    """Return a value that is a list of sides; an absent one has none."""
    value = values.get(key, ())
    assert isinstance(value, tuple)
    return value
