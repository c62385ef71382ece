"""A calibration in words and tables, and as one JSON object."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ringsim import __version__
from ringsim.calibrate.calibration import Calibration
from ringsim.calibrate.constants import UNIT, Constant, value_of, words_of
from ringsim.calibrate.errors import BAD, by_band, off
from ringsim.formats.perf import PerfLog
from ringsim.report import LABEL, Line, counted
from ringsim.units import format_rate, format_size, format_time
from ringsim.writing import columns, micro, share

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 1

#: A constant whose standard error is larger than this, of a factor or of the time itself, is not told by the log.
VAGUE = 0.5

#: More sizes that fit badly than anybody reads.
_MOST_BAD = 12


def page(found: Calibration, *, quiet: bool = False) -> Sequence[Line]:
    """Say what was found and how far it is off; without what was assumed if `quiet`."""
    blank = Line("", "blank")
    lines = [] if quiet else [*_header(found), blank]
    lines += [*_errors(found), blank, *_constants(found)]
    if bad := _bad(found):
        lines += [blank, *bad]
    return [*lines, blank, *(Line(f"{label:<{LABEL}}{text}", "label") for label, text in _said(found))]


def _header(found: Calibration) -> list[Line]:
    title = f"constants of {found.was.name} for {counted(len(found.logs), 'log')}, ringsim {__version__}"
    return [Line(title, "title"), Line("", "blank")] + [
        Line(f"{label:<{LABEL}}{text}", "label") for label, text in _facts(found)
    ]


def _facts(found: Calibration) -> Iterator[tuple[str, str]]:
    for i, log in enumerate(found.logs):
        points = [point for point in found.points if point.log == i]
        sizes = sorted({point.bytes for point in points})
        yield "" if i else "measured", f"{log.path}: {_run(log, points[0].cards)}"
        span = f"{format_size(sizes[0])} to {format_size(sizes[-1])}"
        yield "", f"{counted(len(points), 'point')} of {counted(len(sizes), 'size')}, {span}"
        yield from (("", f"left out: {remark}") for remark in log.left_out)
    yield "fabric", f"{found.was.name}: {found.was.title}"
    if found.nodes > 1:
        yield "network", f"{found.was.network.name}: {found.was.network.title}"
    protocols = ", ".join(found.was.protocols)
    yield "model", f"at each size the faster of ring and tree, with the fastest of {protocols}, as simulated"
    yield (
        "fit",
        f"{counted(len(found.fit.constants), 'constant')}, least squares of log time, soft beyond a few per cent",
    )


def _run(log: PerfLog, cards: int) -> str:
    header = log.header
    where = f" on {counted(header.nodes, 'node')}" if header.nodes else ""
    parts = [header.tool, f"{counted(cards, 'rank')}{where}", *header.devices[:1], header.launch]
    return ", ".join([*filter(None, parts), *(["as a graph"] if header.graph else [])])


def _errors(found: Calibration) -> Iterator[Line]:
    cells = [
        ("size", "points", "before", "", "after", "", "", ""),
        ("", "", "median", "worst", "median", "worst", "at", "bias"),
    ]
    for was, now in zip(by_band(found.points, found.before), by_band(found.points, found.after), strict=True):
        cells.append(
            (was.band, str(was.points), share(was.median), share(was.worst), share(now.median), share(now.worst),
             format_size(now.worst_bytes), f"{now.bias:+.1%}")
        )  # fmt: skip
    lines = columns(cells, (0,))
    yield from (Line(line, "heading") for line in lines[:2])
    yield from (Line(line) for line in lines[2:])


def _constants(found: Calibration) -> Iterator[Line]:
    cells = [("constant", "found", "", "was", "now", "of", "")]
    for constant, at, spread in zip(found.fit.constants, found.fit.at, found.fit.spread, strict=True):
        keys = constant.keys(found.was)
        was, now = (_amount(keys[0], value_of(sheet, keys[0])) for sheet in (found.was, found.sheet))
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        cells.append(
            (constant.name, _moved(constant, at), _spread(constant, spread), was, now, keys[0] + more, constant.about)
        )
    lines = columns(cells, (0, 5, 6))
    yield Line(lines[0], "heading")
    yield from (Line(line) for line in lines[1:])
    for name in vague(found):
        yield Line(f"{name}: these logs hardly tell; sizes or numbers of cards on which it matters more would", "note")

    for one, other in found.fit.alike:
        yield Line(
            f"{one} and {other} look alike to these logs; a log of another number of cards may tell them apart", "note"
        )


def _amount(key: str, value: float) -> str:
    if ".limit" in key:
        return format_rate(value)
    return f"{value:.4g}" if key.endswith(".efficiency") else format_time(value)


def _moved(constant: Constant, at: float) -> str:
    return f"{at * UNIT * 1e6:+.2f}us" if constant.adds else f"×{math.exp(at):.3f}"


def _spread(constant: Constant, spread: float) -> str:
    if not math.isfinite(spread):
        return "?"
    return f"±{spread * UNIT * 1e6:.2f}us" if constant.adds else f"±{spread:.1%}"


def vague(found: Calibration) -> list[str]:
    """Names of constants about which the logs say too little."""
    names = []
    for constant, spread in zip(found.fit.constants, found.fit.spread, strict=True):
        now = max((value_of(found.sheet, key) for key in constant.keys(found.was)), default=0.0)
        part = spread * UNIT / max(now, UNIT / 10) if constant.adds else spread
        if not part < VAGUE:
            names.append(constant.name)
    return names


def badly(found: Calibration) -> list[int]:
    """Points that are off by more than `BAD`, the worst first."""
    error = np.abs(off(found.points, found.after))
    return [int(i) for i in np.argsort(-error, kind="stable") if error[i] > BAD]


def _bad(found: Calibration) -> list[Line]:
    bad, error = badly(found), off(found.points, found.after)
    if not bad:
        return []
    cells = [("fits badly", "measured", "simulated", "off", "plan", ""), ("", "(us)", "(us)", "", "", "")]
    for i in bad[:_MOST_BAD]:
        point, plan = found.points[i], found.plans[i].case
        cells.append(
            (format_size(point.bytes), micro(point.time_us / 1e6), micro(found.after[i] / 1e6), f"{error[i]:+.1%}",
             f"{plan.algorithm} ×{plan.channels} {plan.protocol}", "in place" if point.in_place else "")
        )  # fmt: skip
    lines = columns(cells, (0, 4, 5))
    more = [Line(f"and {len(bad) - _MOST_BAD} more", "note")] if len(bad) > _MOST_BAD else []
    return [*(Line(line, "heading") for line in lines[:2]), *map(Line, lines[2:]), *more]


def noise(found: Calibration) -> tuple[float, float] | None:
    """How far measurements of one size are from each other, median and most; None where each was measured once."""
    times = defaultdict[tuple[int, int], list[float]](list)
    for point in found.points:
        times[point.log, point.bytes].append(point.time_us)
    apart = [max(group) / min(group) - 1 for group in times.values() if len(group) > 1]
    return (float(np.median(apart)), max(apart)) if apart else None


def _said(found: Calibration) -> Iterator[tuple[str, str]]:
    after = by_band(found.points, found.after)[-1]
    yield "after", f"simulated times are off by {share(after.median)} in the median, {share(after.worst)} at most"
    if apart := noise(found):
        yield (
            "measured",
            f"measurements of one size differ by {share(apart[0])} in the median, {share(apart[1])} at most",
        )
    held = found.hold_out
    if held is None:
        yield "kept back", "nothing: too few sizes to predict some from the others"
        return
    *bands, all_of_them = held.errors
    sizes = ", ".join(map(format_size, held.sizes[:8])) + (", …" if len(held.sizes) > 8 else "")
    yield "kept back", f"{counted(len(held.sizes), 'size')} at random (seed {held.seed}): {sizes}"
    each = ", ".join(f"{share(error.median)} {error.band}" for error in bands)
    yield "", f"predicted by the others with {share(all_of_them.median)} in the median ({each}), "\
              f"{share(all_of_them.worst)} at most"  # fmt: skip


def document(found: Calibration, file: str | None = None) -> dict[str, Any]:
    """Everything as one JSON object.

    Parameters
    ----------
    found : Calibration
    file : str or None
        Name of the fabric file, where one was written.
    """
    error = off(found.points, found.after)
    apart = noise(found)
    return {
        "schema": SCHEMA,
        "ringsim": __version__,
        "fabric": found.was.name,
        "network": found.was.network.name,
        "nodes": found.nodes,
        "logs": [
            {"path": log.path, **asdict(log.header), "rows": len(log.rows), "left_out": log.left_out}
            for log in found.logs
        ],
        "constants": [
            {
                "name": constant.name, "about": constant.about,
                **({"added_us": at * UNIT * 1e6} if constant.adds else {"factor": math.exp(at)}),
                "spread": _finite(spread * UNIT * 1e6 if constant.adds else spread),
                "told": constant.name not in vague(found),
                "looks_like": [pair[pair[0] == constant.name] for pair in found.fit.alike if constant.name in pair],
                "keys": {
                    key: {"was": words_of(key, value_of(found.was, key)), "now": words_of(key, value_of(found.sheet, key))}
                    for key in constant.keys(found.was)
                },
            }
            for constant, at, spread in zip(found.fit.constants, found.fit.at, found.fit.spread, strict=True)
        ],
        "errors": {
            "before": [asdict(band) for band in by_band(found.points, found.before)],
            "after": [asdict(band) for band in by_band(found.points, found.after)],
        },
        "measured_twice": None if apart is None else {"median": apart[0], "most": apart[1]},
        "hold_out": None if found.hold_out is None else asdict(found.hold_out),
        "points": [
            {
                "log": point.log, "cards": point.cards, "bytes": point.bytes, "in_place": point.in_place,
                "measured_us": point.time_us, "before_us": float(before), "after_us": float(after), "off": float(part),
                "algorithm": plan.case.algorithm, "protocol": plan.case.protocol, "channels": plan.case.channels,
            }
            for point, before, after, part, plan in zip(
                found.points, found.before, found.after, error, found.plans, strict=True
            )
        ],
        "file": file,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
