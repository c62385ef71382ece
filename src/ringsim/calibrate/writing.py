"""The fabric file that a calibration gives: what was there, with new numbers where some were found.

It holds its network, so that it may lie anywhere, and every new number says in its source what it was fitted to and what
it was before.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ringsim.calibrate.calibration import Calibration
from ringsim.calibrate.errors import by_band
from ringsim.fabric import Fabric
from ringsim.fabric.errors import show
from ringsim.fabric.loading import SCHEMA, network_part
from ringsim.fabric.reading import read

#: How each file begins that was written here.
MARK = "# Constants fitted by ringsim calibrate"

#: More names of logs than a source can do with.
_MOST_NAMES = 3


def fabric_file(found: Calibration, name: str, network: str | None = None) -> str:
    """Write the text of the fabric file that a calibration gives.

    Parameters
    ----------
    found : Calibration
    name : str
        What the new fabric is called.
    network : str or None
        The one with which the old one was loaded, where that was not its own.

    Raises
    ------
    FabricError
        If the old file cannot be read any more.
    """
    logs, all_of_them = _logs(found), by_band(found.points, found.after)[-1]
    off = f"off by {all_of_them.median:.1%} in the median, {all_of_them.worst:.1%} at most"
    return rewritten(
        found.was, found.fit.changes, network=network, name=name, title=f"{found.was.title}, calibrated",
        source=f"fitted by ringsim calibrate to {logs}, {len(found.points)} points",
        remarks=(f"{MARK} of {found.was.name} to {logs}.", f"# Simulated times of {all_of_them.points} points are {off}."),
    )  # fmt: skip


def rewritten(
    sheet: Fabric, changes: Mapping[str, str], *, network: str | None, name: str, title: str, source: str,
    remarks: Sequence[str],
) -> str:  # fmt: skip
    """Write the file of a data sheet again, with its network in it and new values of some keys.

    Parameters
    ----------
    sheet : Fabric
        As it was loaded.
    changes : mapping
        Keys of numbers that the file states, and their new values as the file has them.
    network : str or None
        The one with which it was loaded, where that was not its own.
    name, title : str
    source : str
        Of the new values; what they were and where that was from comes behind it.
    remarks : sequence of str
        Lines of comment to begin with.
    """
    old = Path(sheet.path)
    tables = read(old)
    # Takes nic and network out of the tables, wherever they are.
    tables |= network_part(tables, old, network)[0]
    for key, value in changes.items():
        _put(tables, key, value, source)
    head = {"schema": SCHEMA, "name": name, "title": title}
    lines = [*remarks, "", *(f"{key} = {_value(value)}" for key, value in head.items())]
    for table in ("card", "domain", "nic", "network", "protocol"):
        lines += _table(table, tables[table])
    return "\n".join(lines) + "\n"


def _logs(found: Calibration) -> str:
    names = [Path(log.path).name for log in found.logs]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return re.sub(r"[^ -~]", "?", ", ".join(names[:_MOST_NAMES])) + more


def _put(tables: dict[str, object], key: str, value: str, source: str) -> None:
    """Replace the pair behind a dotted key."""
    *path, last = key.split(".")
    table: object = tables
    for part in path:
        assert isinstance(table, dict)
        table = table[part]
    assert isinstance(table, dict)
    old, was = table[last]
    table[last] = [float(value) if re.fullmatch(r"[\d.e+-]+", value) else value, f"{source}; was {show(old)}: {was}"]


def _table(name: str, table: object) -> Iterator[str]:
    """Lines of a table, its values first and then the tables in it."""
    assert isinstance(table, Mapping)
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if values:
        yield ""
        yield f"[{name}]"
        yield from (f"{key} = {_value(value)}" for key, value in values.items())
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _table(f"{name}.{key}", value)


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    """Write a text in quotes; JSON escapes like TOML, but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
