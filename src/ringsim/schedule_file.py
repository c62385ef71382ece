"""Schedules as files: JSON that a person can read, with one row of the schedule on each line.

Whatever somebody else's tool makes can be proved and timed here, and what we make can be taken elsewhere. The format is
described in ``docs/schedule.md``; whoever typed a file in is told the file, the row and the key of what is wrong.
"""

import json
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ringsim.fabric.errors import FileError, show, suggest
from ringsim.schedule import COLUMNS, EVERYONE, Ints, Schedule, ScheduleError, dependencies

SCHEMA = 1

#: What a row need not say. `source` and `target` it has to.
USUAL: dict[str, int | bool] = {
    "channel": 0, "count": 1, "reduces": 0, "base": 0, "first": 0, "stride": 0,
    "modulus": 1, "inner": 1, "span": 1, "pitch": 1, "parked": False,
}  # fmt: skip
KEYS = ("schema", "ranks", "units", "parts", "channels", "begins", "ends", "rows")
ROW_KEYS = ("source", "target", *USUAL, "waits")

#: Numbers beyond are a slip of the keyboard, and sums of those within fit into 64 bits.
MOST = 2**30
#: A rank for each unit is kept in memory, and vectors for each rank.
MOST_UNITS, MOST_RANKS = 100_000_000, 20_000_000


class ScheduleFileError(FileError):
    """A file that holds no schedule, as ``FILE: row 3: key = value: what is wrong; what would be right``."""


def save(schedule: Schedule, path: str | Path) -> None:
    """Write a schedule to a file.

    Parameters
    ----------
    schedule : Schedule
    path : str or Path

    Raises
    ------
    OSError
        If it cannot be written.
    """
    head = {
        "schema": SCHEMA, "ranks": schedule.ranks, "units": schedule.units, "parts": schedule.parts,
        "channels": schedule.channels, "begins": _runs(schedule.begins), "ends": _runs(schedule.ends),
    }  # fmt: skip
    columns = {name: getattr(schedule, name).tolist() for name in COLUMNS}
    offsets, waits = (
        schedule.dep_offsets.tolist(),
        list(zip(*(schedule.dep_row.tolist(), schedule.dep_lag.tolist()), strict=True)),
    )
    with Path(path).open("w", encoding="utf-8") as file:
        file.write("{\n")
        file.writelines(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
        file.write('  "rows": [')
        for row in range(schedule.rows):
            said = {name: column[row] for name, column in columns.items() if column[row] != USUAL.get(name)}
            if offsets[row] < offsets[row + 1]:
                said["waits"] = waits[offsets[row] : offsets[row + 1]]
            file.write(("," if row else "") + "\n    " + json.dumps(said))
        file.write("\n  ]\n}\n")


def load_schedule(path: str | Path) -> Schedule:
    """Read a schedule from a file.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    ScheduleFileError
        If there is no such file or it holds no schedule; the message says where and what would be right.
    """
    origin = str(path)
    document = _read(origin)
    _known(origin, "", document, KEYS)
    if document.get("schema") != SCHEMA:
        _refuse(origin, "", "schema", document.get("schema", "(missing)"), f"write {SCHEMA}, the only one there is")
    ranks = _whole(origin, "", document, "ranks", 1)
    units = _whole(origin, "", document, "units", 1)
    for key, value, most in (("ranks", ranks, MOST_RANKS), ("units", units, MOST_UNITS)):
        if value > most:
            _refuse(origin, "", key, value, f"at most {most:,}")
    begins, ends = (_who(origin, key, document.get(key, "everyone"), units) for key in ("begins", "ends"))
    rows = document.get("rows")
    if not isinstance(rows, list):
        _refuse(origin, "", "rows", "(missing)" if rows is None else rows, "write a list of objects, one for each row")
    columns: dict[str, list[int]] = {name: [] for name in COLUMNS}
    waiting: list[tuple[int, int, int]] = []
    for number, row in enumerate(rows):
        where = f"row {number}: "
        if not isinstance(row, dict):
            _refuse(origin, where, "row", row, 'write an object such as {"source": 0, "target": 1}')
        _known(origin, where, row, ROW_KEYS)
        for name, column in columns.items():
            column.append(_entry(origin, where, row, name))
        waiting += [(number, *wait) for wait in _waits(origin, where, row.get("waits", []), len(rows))]
    waits, on, lag = np.array(waiting, np.int64).reshape(-1, 3).T
    offsets, dep_row, dep_lag = dependencies(len(rows), waits, on, lag)
    arrays = {name: np.array(column, bool if name == "parked" else np.int64) for name, column in columns.items()}
    try:
        return Schedule(
            ranks=ranks,
            units=units,
            parts=_whole(origin, "", {"parts": units} | document, "parts", 1),
            channels=_whole(origin, "", {"channels": 1} | document, "channels", 1),
            begins=begins, ends=ends, **arrays, dep_offsets=offsets, dep_row=dep_row, dep_lag=dep_lag,
        )  # fmt: skip
    except ScheduleError as error:
        raise ScheduleFileError(f"{origin}: {error}") from None


def _refuse(origin: str, where: str, key: str, value: object, right: str) -> NoReturn:
    raise ScheduleFileError(f"{origin}: {where}{key} = {show(value)}: {right}")


def _read(origin: str) -> dict[str, Any]:
    """Read a JSON object in which no key stands twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for i, (key, _) in enumerate(pairs) if key in [k for k, _ in pairs[:i]])
            raise ScheduleFileError(f"{origin}: {twice!r} stands twice in one object; leave one of them out")
        return found

    try:
        text = Path(origin).read_text("utf-8")
        document = json.loads(text, object_pairs_hook=once)
    except (OSError, ValueError) as error:
        if isinstance(error, json.JSONDecodeError):
            wrong = f"line {error.lineno}, column {error.colno}: {error.msg}; repair the JSON there"
        elif isinstance(error, UnicodeDecodeError):
            wrong = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        elif isinstance(error, OSError):
            wrong = f"{error.strerror}; name an existing JSON file, such as `ringsim verify --save` writes"
        else:
            wrong = f"{error}; name an existing JSON file"
        raise ScheduleFileError(f"{origin}: {wrong}") from None
    except RecursionError:
        raise ScheduleFileError(f"{origin}: too many brackets inside each other; a schedule needs four") from None
    if not isinstance(document, dict):
        raise ScheduleFileError(f"{origin}: holds {show(document)}; write an object with {', '.join(KEYS)}")
    return document


def _known(origin: str, where: str, said: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in said:
        if key not in known:
            raise ScheduleFileError(f"{origin}: {where}there is no key {key!r}; {suggest(key, known)}")


def _whole(origin: str, where: str, said: dict[str, Any], key: str, least: int | None = None) -> int:
    """Return a whole number that is neither too small nor out of all reason."""
    value = said.get(key, "(missing)")
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and -MOST < value < MOST
        and (least is None or value >= least)
    ):
        return value
    _refuse(origin, where, key, value, "write a whole number" + ("" if least is None else f", at least {least}"))


def _entry(origin: str, where: str, row: dict[str, Any], name: str) -> int:
    """Return what a row says in one column."""
    if name == "parked":
        parked = row.get(name, False)
        if not isinstance(parked, bool):
            _refuse(origin, where, name, parked, "write true or false")
        return parked
    return _whole(origin, where, USUAL | row, name)


def _waits(origin: str, where: str, waits: object, rows: int) -> list[tuple[int, int]]:
    """Return rows and lags."""
    right = f"write [[row, lag], ...] with rows from 0 to {rows - 1}"
    if not isinstance(waits, list):
        _refuse(origin, where, "waits", waits, right)
    for wait in waits:
        if not isinstance(wait, list) or len(wait) != 2:
            _refuse(origin, where, "waits", waits, right)
        if not 0 <= _whole(origin, where, {"waits": wait[0]}, "waits") < rows:
            _refuse(origin, where, "waits", waits, right)
        _whole(origin, where, {"waits": wait[1]}, "waits")
    return [(row, lag) for row, lag in waits]


def _runs(who: Ints) -> str | int | list[list[int]]:
    """Write a rank for each unit: ``"everyone"``, one rank for all, or [rank, units] one run after the other."""
    if (who == who[0]).all():
        return "everyone" if who[0] == EVERYONE else int(who[0])
    return [[rank, sum(1 for _ in run)] for rank, run in groupby(who.tolist())]


def _who(origin: str, key: str, runs: object, units: int) -> Ints:
    """Read what `_runs` writes, shape ``[units]``; in a list, −1 is everyone."""
    right = f'write "everyone", a rank, or [[rank, units], ...] for {units} units in all'
    if runs == "everyone":
        return np.full(units, EVERYONE)
    if isinstance(runs, int) and not isinstance(runs, bool) and 0 <= runs < MOST:
        return np.full(units, runs)
    if not isinstance(runs, list) or not all(isinstance(run, list) and len(run) == 2 for run in runs):
        _refuse(origin, "", key, runs, right)
    for rank, many in runs:
        _whole(origin, "", {key: rank}, key, EVERYONE)
        _whole(origin, "", {key: many}, key, 1)
    if sum(many for _, many in runs) != units:
        _refuse(origin, "", key, runs, right)
    rank_of, many_of = np.array(runs, np.int64).T
    return np.repeat(rank_of, many_of)
