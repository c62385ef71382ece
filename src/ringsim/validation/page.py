"""A validation for people, and the same as one JSON object."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ringsim import __version__
from ringsim.report import Line, counted
from ringsim.units import format_size
from ringsim.validation.errors import SINGLE, Errors, by_band, overall
from ringsim.validation.simulating import Point
from ringsim.validation.spread import Spread, spreads
from ringsim.validation.systems import System
from ringsim.writing import columns, micro

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 1

Points = Mapping[str, Sequence[Point]]


def page(systems: Sequence[System], points: Points, *, quiet: bool = False) -> list[Line]:
    """Lay out a table of errors, the points themselves where there is one system, and what is reached.

    Parameters
    ----------
    systems : sequence of System
    points : mapping
        Of each system by its name.
    quiet : bool
        Without what was compared with what.
    """
    blank = Line("", "blank")
    lines = [] if quiet else [*_header(systems), blank]
    errors = {system.name: by_band(points[system.name]) for system in systems}
    rows: list[tuple[str, ...]] = [("system", "sizes", "points", "median", "worst", "at", "bias", "")]
    for system in systems:
        for i, own in enumerate(errors[system.name]):
            rows.append((system.name if i == 0 else "", *_cells(own, system.clusters), _mark(system, own)))
    lines += _table(rows, (0, 1, 5, 7))
    if len(systems) == 1:
        lines += [blank, *_points(points[systems[0].name])]
    lines += [blank, *_floors(spreads(systems))]
    return [*lines, *_verdict(systems, errors)]


def _header(systems: Sequence[System]) -> list[Line]:
    title = f"validation against published measurements, ringsim {__version__}"
    if len(systems) > 1:
        said = [
            (
                "systems",
                f"{len(systems)}, of which {sum(s.used_for == 'fit' for s in systems)} gave a fabric file a number",
            )
        ]
    else:
        one = systems[0]
        said = [
            ("system", one.title),
            ("library", f"{one.library}, {one.version}; launch: {one.launch}"),
            ("asked for", f"{', '.join(_plain(n) for n in (one.fabric, one.network) if n)}; {' or '.join(one.algorithms)}"),
            ("source", "; ".join(dict.fromkeys(row.source for row in one.measurements))),
            ("confidence", one.confidence),
            *([("note", one.note)] if one.note else []),
        ]  # fmt: skip
    said.append(
        ("error", "of time, as a part of the measured one; bias is the signed median, + where simulation is slower")
    )
    return [Line(title, "title"), *(Line(f"{label:<11}{text}", "label") for label, text in said)]


def _plain(name: str) -> str:
    """A fabric's or a network's name without its folder."""
    return name.replace("\\", "/").rpartition("/")[2].removesuffix(".toml")


def _cells(own: Errors, clusters: Sequence[tuple[int, int]] = ()) -> tuple[str, ...]:
    at = own.worst_at
    where = format_size(at.bytes) if len(clusters) == 1 else f"{format_size(at.bytes)}, {at.cards:,} cards"
    return (own.band.name, str(own.points), f"{own.median:.1%}", f"{own.worst:.0%}", where, f"{own.bias:+.1%}")


def _mark(system: System, own: Errors) -> str:
    if system.used_for == "fit":
        return "fitted on this, not counted"
    return "" if own.reached() else "above target" if own.reached(SINGLE) else "above twice the target"


def _table(rows: Sequence[tuple[str, ...]], left: Sequence[int]) -> list[Line]:
    return [Line(line, "row" if i else "heading") for i, line in enumerate(columns(rows, left))]


def _points(points: Sequence[Point]) -> list[Line]:
    rows = [("cards", "size", "measured", "simulated", "error", "plan")]
    rows += [
        (f"{point.cards:,}", format_size(point.bytes), micro((point.measured_us or 0.0) / 1e6),
         micro(point.simulated_us / 1e6), f"{point.error:+.1%}", f"{point.algorithm} {point.protocol}")
        for point in points
    ]  # fmt: skip
    return _table(rows, (1, 5))


def _floors(found: Sequence[Spread]) -> list[Line]:
    if not found:
        return []
    rows = [("same hardware and library", "sizes", "common", "slowest/fastest", "no model below")]
    rows += [
        (", ".join(one.systems), one.band.name, str(one.sizes), f"{one.ratio:.2f}", f"{one.floor:.1%}") for one in found
    ]
    return [*_table(rows, (0, 1)), Line("", "blank")]


def _verdict(systems: Sequence[System], errors: Mapping[str, Sequence[Errors]]) -> list[Line]:
    judged = [errors[system.name] for system in systems if system.used_for == "test"]
    lines = []
    for all_of, own in ((one, [e for s in judged for e in s if e.band == one.band]) for one in overall(judged)):
        over = sum(not e.reached(SINGLE) for e in own)
        word = "reached" if all_of.reached() and not over else "not reached"
        lines.append(
            Line(
                f"{all_of.band.name}: median {all_of.median:.1%} of {counted(len(own), 'system')}, "
                f"target {all_of.band.target:.0%}; "
                f"{over} above {SINGLE * all_of.band.target:.0%}, where none may be: {word}",
                "verdict",
            )
        )
    return lines or [Line("nothing to judge: constants were fitted on this", "note")]


def document(systems: Sequence[System], points: Points) -> dict[str, Any]:
    """Build the object that ``ringsim validate --json`` prints."""
    errors = {system.name: by_band(points[system.name]) for system in systems}
    judged = [errors[system.name] for system in systems if system.used_for == "test"]
    return {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "overall": [_errors(one) | {"target": one.band.target, "reached": one.reached()} for one in overall(judged)],
        "systems": [
            {
                "name": system.name, "title": system.title, "hardware": system.hardware, "fabric": _plain(system.fabric),
                "network": _plain(system.network) if system.network else None, "changes": list(system.changes),
                "clusters": [{"cards": cards, "nodes": nodes} for cards, nodes in system.clusters],
                "launch": system.launch, "library": system.library, "version": system.version,
                "algorithms": list(system.algorithms), "confidence": system.confidence, "used_for": system.used_for,
                "note": system.note, "errors": [_errors(one) for one in errors[system.name]],
                "points": [asdict(point) | {"error": point.error} for point in points[system.name]],
            }
            for system in systems
        ],
        "spreads": [
            {"systems": list(one.systems), "band": one.band.name, "sizes": one.sizes, "ratio": one.ratio,
             "floor": one.floor}
            for one in spreads(systems)
        ],
    }  # fmt: skip


def _errors(one: Errors) -> dict[str, Any]:
    return {
        "band": one.band.name, "points": one.points, "median": one.median, "worst": one.worst, "bias": one.bias,
        "worst_id": one.worst_at.id,
    }  # fmt: skip
