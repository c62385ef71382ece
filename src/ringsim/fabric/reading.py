"""Reading fabric files: from TOML, or from one ``KEY=VALUE``, to checked numbers with a source each.

A data sheet typed in by hand is where a study goes wrong without anybody noticing, so this module trusts
nothing: every key must be known, every number must say where it comes from, and none is used before its own
check has passed it.

Everything is held flat, as ``{"nic.bandwidth": Entry(...)}``. A value from a file and a value from the
command line then go through the very same checks, and an error always knows which of them to blame.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ringsim.fabric.errors import CHANGED, FabricError, complain, nearest
from ringsim.fabric.keys import PROTOCOL_NAME, Kind, Value, is_override
from ringsim.units import UnitError


@dataclass(frozen=True)
class Entry:
    """One value with its history: as written, where from, and in which file."""

    raw: object
    source: str
    origin: str


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
        if not PROTOCOL_NAME.fullmatch(name):
            raise complain(origin, "protocol", name, "not a name for a protocol", "use letters, digits, _ and -")
        if not isinstance(table, dict):
            raise complain(origin, f"protocol.{name}", table, "must be a table", f"write [protocol.{name}]")
    return tuple(found)


# --- changes ------------------------------------------------------------------------------------------


def current(key: str, entries: Mapping[str, Entry], kinds: Mapping[str, Kind]) -> object:
    """Return what a key holds, as written, whether stated, inherited or by default."""
    if key not in entries and is_override(key):
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


# --- values by their type -----------------------------------------------------------------------------
# `typed` has already proved what each key holds; these say so to the type checker and to the reader.


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


def maybe_count(values: Mapping[str, Value], key: str) -> int | None:
    """Return a value that is a whole number, or None where nothing is stated."""
    return count(values, key) if key in values else None


def maybe_number(values: Mapping[str, Value], key: str) -> float | None:
    """Return a value that is a quantity, or None where nothing is stated."""
    return number(values, key) if key in values else None


def yes(values: Mapping[str, Value], key: str) -> bool:
    """Return a value that is true or false; nothing stated is false."""
    return values.get(key) is True


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
