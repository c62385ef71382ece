"""A validation for people, and the same as one JSON object."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ringsim import __version__
from ringsim.bands import SINGLE
from ringsim.report import Line, counted
from ringsim.units import format_size
from ringsim.validation.errors import Errors, by_band, headlines, judged, missed, overall
from ringsim.validation.simulating import Point
from ringsim.validation.spread import Spread, spreads
from ringsim.validation.systems import System
from ringsim.writing import columns, micro

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 2

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
    rows: list[tuple[str, ...]] = [("system", "sizes", "points", "median", "worst", "at", "bias", "")]
    for system in systems:
        for i, own in enumerate(by_band(points[system.name])):
            rows.append((system.name if i == 0 else "", *_cells(system, own)))
    lines += _table(rows, (0, 1, 5, 7))
    if len(systems) == 1:
        lines += [blank, *_points(points[systems[0].name])]
    lines += [blank, *_floors(spreads(systems))]
    return [*lines, *_verdict(systems, points)]


def _header(systems: Sequence[System]) -> list[Line]:
    title = f"validation against published measurements, ringsim {__version__}"
    if len(systems) > 1:
        fitted = sum(bool(system.fit) for system in systems)
        said = [
            (
                "systems",
                f"{len(systems)}, of which {fitted} gave a constant its value in one band and are not counted there",
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


def _cells(system: System, own: Errors) -> tuple[str, ...]:
    """A row of the table; no error is quoted where a constant was fitted."""
    if own.band.name in system.fit:
        return (own.band.name, str(own.points), "", "", "", "", "a constant was fitted on this, not counted")
    at = own.worst_at
    where = format_size(at.bytes) if len(system.clusters) == 1 else f"{format_size(at.bytes)}, {at.cards:,} cards"
    mark = "" if own.reached() else "above target" if own.reached(SINGLE) else "above twice the target"
    return (own.band.name, str(own.points), f"{own.median:.1%}", f"{own.worst:.0%}", where, f"{own.bias:+.1%}", mark)


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


def _verdict(systems: Sequence[System], points: Points) -> list[Line]:
    lines = []
    for title, own in headlines(systems, _judged(systems, points)):
        lines.append(Line(f"{title}, against the targets", "heading"))
        lost = missed(own)
        for one in overall(own):
            beside = [errors for system in own for errors in system if errors.band == one.band]
            over = sum(not errors.reached(SINGLE) for errors in beside)
            word = "not reached" if one in lost else "reached"
            lines.append(
                Line(
                    f"{one.band.name}: median {one.median:.1%} of {counted(len(beside), 'system')}, "
                    f"target {one.band.target:.0%}; "
                    f"{over} above {SINGLE * one.band.target:.0%}, where none may be: {word}",
                    "verdict",
                )
            )
    return lines or [Line("nothing to judge: constants were fitted on this", "note")]


def reached(systems: Sequence[System], points: Points) -> bool:
    """Whether every target is reached by what counts: the libraries, and kernels of others where there is nothing else."""
    found = headlines(systems, _judged(systems, points))
    return not found or not missed(found[0][1])


def _judged(systems: Sequence[System], points: Points) -> dict[str, tuple[Errors, ...]]:
    return {system.name: judged(system, points[system.name]) for system in systems}


def document(systems: Sequence[System], points: Points) -> dict[str, Any]:
    """Build the object that ``ringsim validate --json`` prints."""
    errors = _judged(systems, points)
    return {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "overall": [
            {"of": title} | _errors(one) | {"target": one.band.target, "reached": one not in missed(own)}
            for title, own in headlines(systems, errors)
            for one in overall(own)
        ],
        "systems": [
            {
                "name": system.name, "title": system.title, "hardware": system.hardware, "fabric": _plain(system.fabric),
                "network": _plain(system.network) if system.network else None, "changes": list(system.changes),
                "clusters": [{"cards": cards, "nodes": nodes} for cards, nodes in system.clusters],
                "launch": system.launch, "library": system.library, "version": system.version,
                "algorithms": list(system.algorithms), "confidence": system.confidence, "fit": list(system.fit),
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
