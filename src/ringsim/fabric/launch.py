"""How a program drives its cards, as data: launch modes, and what each adds to the start-up of a collective.

The same cards under the same library start a small all-reduce in 17 us or in 35, by nothing but who launches the
kernels. That is neither the hardware's doing nor the protocol's, so it is stated apart from fabric files, once for each
mode and library, in `topologies/launch/modes.toml`. It goes into the start-up of every protocol, though none falls below 0:
what is fastest among protocols and algorithms stays so where that does not happen, and lower bounds, which begin with the
start-up, stay true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ringsim.fabric.errors import FabricError, complain, suggest
from ringsim.fabric.loading import SCHEMA, data_folder
from ringsim.fabric.protocols import Protocol, ProtocolSet
from ringsim.fabric.reading import read
from ringsim.fabric.sheet import Fabric
from ringsim.units import UnitError, format_time, parse_time

#: A mode that adds nothing, for whoever does not know how cards were driven.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Extra:
    """What a mode adds under one library.

    Parameters
    ----------
    time : float
        Seconds; less than 0 where the library's own start-up holds more than this mode has.
    each : bool
        For every card that a process drives, in place of once.
    source : str
        Where the number comes from.
    """

    time: float
    each: bool
    source: str

    def of(self, cards: int) -> float:
        """Seconds for a process that drives so many cards."""
        return self.time * cards if self.each else self.time


@dataclass(frozen=True)
class Launch:
    """A launch mode.

    Parameters
    ----------
    name, title : str
        Short name, and what it means.
    extras : mapping
        `Extra` by library.
    """

    name: str
    title: str
    extras: Mapping[str, Extra] = field(hash=False)


@dataclass(frozen=True)
class Launches:
    """Every mode there is.

    Parameters
    ----------
    path : str
        The file.
    modes : mapping
        `Launch` by name.
    protocols : mapping
        Of each library, by which it is known.
    """

    path: str
    modes: Mapping[str, Launch] = field(hash=False)
    protocols: Mapping[str, tuple[str, ...]] = field(hash=False)

    def library(self, sheet: Fabric) -> str:
        """Tell by its protocols which library a fabric file describes; nothing where it is none of these."""
        return next((name for name, own in self.protocols.items() if set(own) & set(sheet.protocols)), "")

    def mode(self, name: str) -> Launch:
        """Return a mode.

        Raises
        ------
        FabricError
            If there is none of this name.
        """
        if name not in self.modes:
            raise FabricError(f"launch = {name}: there is no such launch mode; {suggest(name, self.modes)}")
        return self.modes[name]

    def extra(self, mode: str, library: str) -> Extra:
        """Return what a mode adds under a library.

        Raises
        ------
        FabricError
            If there is no such mode, or nobody measured the library in it.
        """
        found = self.mode(mode)
        if library not in found.extras:
            known = [name for name, one in self.modes.items() if library in one.extras]
            right = f"known of it: {', '.join(known)}" if known else f"known: {', '.join(found.extras)}"
            raise FabricError(f"launch = {mode}: nothing is known of {library or 'this library'} launched so; {right}")
        return found.extras[library]


def launches(path: Path | None = None) -> Launches:
    """Read the launch modes.

    Parameters
    ----------
    path : Path or None
        Of the file; None for the one that comes with ringsim.

    Raises
    ------
    FabricError
        If the file cannot be read, or a key or value in it is wrong.
    """
    path = path or data_folder() / "launch" / "modes.toml"
    origin, tables = str(path), read(path)
    if tables.get("schema") != SCHEMA:
        wrong = "not a form of file that is known here"
        raise complain(origin, "schema", tables.get("schema", "(missing)"), wrong, f"write schema = {SCHEMA}")
    protocols = {}
    for name, table in _tables(tables, "library", origin).items():
        listed = table.get("protocols")
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            right = "write a list of names of protocols"
            raise complain(origin, f"library.{name}.protocols", listed, "not a list of texts", right)
        protocols[name] = tuple(listed)
    modes = {}
    for name, table in _tables(tables, "mode", origin).items():
        title = table.pop("title", "(missing)")
        if not isinstance(title, str):
            raise complain(origin, f"mode.{name}.title", title, "not a text in quotes", "say what the mode is")
        for library in table:
            if library not in protocols:
                raise complain(origin, f"mode.{name}", library, "no such library", suggest(library, protocols))
        extras = {library: _extra(f"mode.{name}.{library}", written, origin) for library, written in table.items()}
        modes[name] = Launch(name, title, extras)
    return Launches(origin, modes, protocols)


def launched(sheet: Fabric, mode: str, cards: int, library: str = "") -> Fabric:
    """Return a data sheet whose start-up is that of a launch mode.

    Parameters
    ----------
    sheet : Fabric
    mode : str
        One of the modes.
    cards : int
        Of a node, on which a process may drive all of them.
    library : str
        Nothing for the one that the sheet's protocols belong to.

    Returns
    -------
    Fabric
        Start-up changed in every protocol and algorithm, nowhere below 0, and said so in ``changed``.

    Raises
    ------
    FabricError
        If there is no such mode, or nothing is known of the library in it.
    """
    known = launches()
    library = library or known.library(sheet)
    extra = known.extra(mode, library).of(cards)
    protocols = {
        name: ProtocolSet(
            _later(own.base, extra), {algorithm: _later(one, extra) for algorithm, one in own.overrides.items()}
        )
        for name, own in sheet.protocols.items()
    }
    new = f"{mode} of {library}: start-up {'-' if extra < 0 else '+'}{format_time(abs(extra))}"
    return replace(sheet, protocols=protocols, changed=(*sheet.changed, ("launch", "not stated", new)))


def _later(protocol: Protocol, extra: float) -> Protocol:
    # Reduction in the switch has no start-up of its own, and time does not begin before the call.
    return replace(protocol, startup=max(0.0, protocol.startup + extra))


def _tables(tables: Mapping[str, object], key: str, origin: str) -> dict[str, dict[str, object]]:
    """Return the tables below a key, as copies."""
    found = tables.get(key)
    if not isinstance(found, dict) or not found or not all(isinstance(one, dict) for one in found.values()):
        raise complain(origin, key, found or "(missing)", "not tables", f"write [{key}.NAME]")
    return {name: dict(table) for name, table in found.items()}


def _extra(key: str, written: object, origin: str) -> Extra:
    """Read ``{ once = ["2us", "source"] }`` or ``{ each = … }``."""
    right = 'write { once = ["2us", "where it comes from"] }, or each in place of once'
    if not isinstance(written, dict) or len(written) != 1 or not set(written) <= {"once", "each"}:
        raise complain(origin, key, written, "has to hold once or each, and nothing else", right)
    ((how, pair),) = written.items()
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) and one.strip() for one in pair):
        raise complain(origin, f"{key}.{how}", pair, "must be a time and its source", right)
    text = pair[0].strip()
    try:
        time = parse_time(text.removeprefix("-"))
    except UnitError as error:
        raise complain(origin, f"{key}.{how}", text, error.wrong, error.right) from None
    return Extra(-time if text.startswith("-") else time, how == "each", pair[1])
