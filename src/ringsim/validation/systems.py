"""What was measured, and on what: two files, `systems.toml` and `measured.csv`, and what must hold between them."""

import csv
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringsim.bands import BANDS
from ringsim.fabric.errors import FileError, show, suggest
from ringsim.fabric.launch import UNKNOWN, launches
from ringsim.units import parse_size

SCHEMA = 1

#: Every key of a system, and whether it has to be there.
_KEYS = {
    "title": True, "hardware": True, "fabric": True, "network": False, "changes": False, "clusters": True, "launch": True,
    "library": True, "version": True, "algorithms": True, "confidence": True, "fit": False, "assume": False,
    "note": False,
}  # fmt: skip
_LISTS = ("changes", "clusters", "algorithms", "fit")

#: As what library kernels of others are entered, which have no published constants.
CUSTOM = "custom"


@dataclass(frozen=True)
class Measurement:
    """One published point.

    Attributes
    ----------
    id : str
        Of its row.
    cards, nodes, bytes : int
        `bytes` of the vector on each rank.
    time_us : float
    source, confidence : str
    derived : bool
        The source gives a bus bandwidth and no size; time and size follow from `System.assume`.
    """

    id: str
    cards: int
    nodes: int
    bytes: int
    time_us: float
    source: str
    confidence: str
    derived: bool = False


@dataclass(frozen=True)
class System:
    """One machine as somebody ran it; see the head of `systems.toml` for what each word means.

    Attributes
    ----------
    name, title, hardware : str
    fabric : str
        Name or path.
    network : str or None
    changes : tuple of str
    clusters : tuple of (int, int)
        Cards and nodes.
    launch, library, version : str
    algorithms : tuple of str
        The fastest of them counts.
    confidence : str
    fit : tuple of str
        Bands of sizes on whose rows a constant was fitted, so that no error may be quoted there.
    measurements : tuple of Measurement
    note : str
    """

    name: str
    title: str
    hardware: str
    fabric: str
    network: str | None
    changes: tuple[str, ...]
    clusters: tuple[tuple[int, int], ...]
    launch: str
    library: str
    version: str
    algorithms: tuple[str, ...]
    confidence: str
    fit: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    note: str = ""

    @property
    def custom(self) -> bool:
        """Whether it ran kernels of others, for whose constants those of NCCL stand in."""
        return self.library == CUSTOM


def data() -> Path:
    """Find the files: inside an installed package, or under ``benchmarks`` in a working copy."""
    inside = Path(__file__).parent / "data"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "benchmarks" / "validation"


def load(folder: Path | None = None) -> tuple[System, ...]:
    """Read every system with its measurements, in the order of the file.

    Parameters
    ----------
    folder : Path or None
        Where `systems.toml` and `measured.csv` are; None for those that come with ringsim.

    Raises
    ------
    FileError
        If a file is missing or cannot be read, or does not fit the other one.
    FabricError
        If the launch modes cannot be read.
    """
    folder = folder or data()
    sheet = folder / "systems.toml"
    try:
        written = tomllib.loads(sheet.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(f"{sheet}: {getattr(error, 'strerror', None) or error}; a TOML file is needed") from None
    if written.get("schema") != SCHEMA:
        raise FileError(f"{sheet}: schema = {written.get('schema')}: this ringsim reads schema {SCHEMA}")
    assumed = {
        name: parse_size(str(keys["assume"])) for name, keys in written.get("system", {}).items() if "assume" in keys
    }
    rows = _rows(folder / "measured.csv", assumed)
    for name in rows:
        if name not in written.get("system", {}):
            raise FileError(f"{folder / 'measured.csv'}: system = {name}: {suggest(name, written['system'])}")
    modes = (*launches().modes, UNKNOWN)
    return tuple(
        _system(f"{sheet}: system.{name}", folder, name, keys, rows.get(name, ()), modes)
        for name, keys in written.get("system", {}).items()
    )


def _system(
    where: str, folder: Path, name: str, keys: Mapping[str, Any], rows: tuple[Measurement, ...], modes: Sequence[str]
) -> System:  # fmt: skip
    for key in keys:
        if key not in _KEYS:
            raise FileError(f"{where}: {key} = {show(keys[key])}: there is no such key; {suggest(key, _KEYS)}")
    for key, needed in _KEYS.items():
        if needed and key not in keys:
            raise FileError(f"{where}: {key} is missing")
        kind, right = (list, "a list of texts") if key in _LISTS else (str, "a text")
        if key in keys and not isinstance(keys[key], kind):
            raise FileError(f"{where}: {key} = {show(keys[key])}: not {right}")
    bands = [band.name for band in BANDS]
    for key, word, known in (
        ("launch", keys["launch"], modes),
        *(("fit", band, bands) for band in keys.get("fit", ())),
    ):
        if word not in known:
            raise FileError(f"{where}: {key} = {word}: {suggest(str(word), known)}")
    clusters = tuple(_cluster(where, text) for text in keys["clusters"])
    found = {(row.cards, row.nodes) for row in rows}
    if found != set(clusters):
        words = ", ".join(f"{cards}x{nodes}" for cards, nodes in sorted(found)) or "none"
        raise FileError(f"{where}: clusters = {show(keys['clusters'])}: measured.csv has rows of {words}")
    return System(
        name=name, title=keys["title"], hardware=keys["hardware"], fabric=_file(folder, keys["fabric"]),
        network=_file(folder, keys["network"]) if "network" in keys else None, changes=tuple(keys.get("changes", ())),
        clusters=clusters, launch=keys["launch"], library=keys["library"], version=keys["version"],
        algorithms=tuple(keys["algorithms"]), confidence=keys["confidence"], fit=tuple(keys.get("fit", ())),
        measurements=rows, note=keys.get("note", ""),
    )  # fmt: skip


def _cluster(where: str, text: str) -> tuple[int, int]:
    cards, cross, nodes = str(text).partition("x")
    if not (cross and cards.isdigit() and nodes.isdigit() and int(nodes) > 0 and int(cards) % int(nodes) == 0):
        raise FileError(
            f'{where}: clusters = {text}: write cards x nodes such as "16x2", the cards a multiple of the nodes'
        )
    return int(cards), int(nodes)


def _file(folder: Path, written: str) -> str:
    """Return a shipped name as it is, and a path as one that can be opened from anywhere."""
    return str(folder / written) if written.endswith(".toml") else written


def _rows(path: Path, assumed: Mapping[str, int]) -> dict[str, tuple[Measurement, ...]]:
    """Measurements by system, in the order of the file."""
    found: dict[str, list[Measurement]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["system"], []).append(_measurement(path, row, assumed))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}; a CSV file is needed") from None
    except KeyError as error:
        raise FileError(f"{path}: no column {error.args[0]}") from None
    return {name: tuple(rows) for name, rows in found.items()}


def _measurement(path: Path, row: Mapping[str, str], assumed: Mapping[str, int]) -> Measurement:
    try:
        cards, nodes = int(row["cards"]), int(row["nodes"])
        if row["bytes"]:
            size, time = int(row["bytes"]), float(row["time_us"])
        elif row["system"] in assumed:
            # bus bandwidth is 2(p-1)/p of size over time; GB/s are 1,000 bytes in a microsecond
            size = assumed[row["system"]]
            time = 2 * (cards - 1) / cards * size / (float(row["busbw_GBs"]) * 1e3)
        else:
            raise FileError(f"{path}: {row['id']}: no bytes, and its system assumes no size")
        if not (cards > 1 and nodes > 0 and size > 0 and time > 0):
            raise ValueError
    except (TypeError, ValueError):
        raise FileError(
            f"{path}: {row['id']}: cards, nodes, bytes and time_us have to be numbers above 0, and 2 cards are the least"
        ) from None
    return Measurement(row["id"], cards, nodes, size, time, row["source"], row["confidence"], derived=not row["bytes"])
