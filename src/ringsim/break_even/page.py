"""What pays and up to where, as a table for people and as one JSON object."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ringsim import __version__
from ringsim.break_even.crossing import LEAST, MOST
from ringsim.break_even.entrant import faster, time_us
from ringsim.break_even.table import GOOD, Row, Table
from ringsim.candidates import MEMORY
from ringsim.catalogue import GATHER
from ringsim.report import LABEL, WORDS, Line, cluster_facts, counted
from ringsim.result import Result
from ringsim.units import format_rate, format_size
from ringsim.writing import columns, micro, share

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 1

HEADINGS = ("codec", "algorithm", "ratio", "error", "time", "speed-up", "limited", "pays", "links", "NIC")
UNITS = ("", "×channels", "", "", "(us)", "", "by", "below", "(GB/s)", "(GB/s)")
_LEFT = (0, 1, 6)


def page(table: Table, *, quiet: bool = False) -> Sequence[Line]:
    """Lay out the table, fastest first, and what it comes to; without what was assumed if `quiet`."""
    blank = Line("", "blank")
    rows = sorted(table.rows, key=_time)
    cells = [HEADINGS, UNITS, _none(table), *(_cells(table, row) for row in rows)]
    lines = columns(cells, _LEFT)
    best = table.fastest(GOOD)
    roles = ["heading", "heading", "row", *("best" if row is best else "row" for row in rows)]
    said = [Line(f"{label:<{LABEL}}{text}", "label") for label, text in _said(table)]
    return [
        *([] if quiet else [*_header(table), blank]),
        *(Line(line, role) for line, role in zip(lines, roles, strict=True)),  # type: ignore[arg-type]
        *(Line(note, "note") for note in _notes(rows)),
        blank, *said,
    ]  # fmt: skip


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    yield from (f"{row.spec}: {row.refused}" for row in rows if row.refused)
    if any(row.best is not None and row.best.case.algorithm.startswith(GATHER) for row in rows):
        yield (
            f"{GATHER}…: each rank gets all codes and adds them himself, in fewer steps than a sum that is handed on; "
            "--algorithm all lets no compression save steps as well"
        )


def _time(row: Row) -> float:
    return math.inf if row.best is None else time_us(row.best)


# -- header ------------------------------------------------------------------------------------------------


def _header(table: Table) -> list[Line]:
    case = table.none.case
    what = format_size(case.bytes) + (f", the gradients of {case.model}," if case.model else "")
    title = f"does compression pay? all-reduce of {what} on {case.cards:,} cards, ringsim {__version__}"
    return [Line(title, "title"), Line("", "blank")] + [
        Line(f"{label:<{LABEL}}{text}", "label") for label, text in _facts(table)
    ]


def _facts(table: Table) -> Iterator[tuple[str, str]]:
    topology, case = table.topology, table.none.case
    yield from cluster_facts(topology)
    yield "vector", f"{case.count:,} × {case.dtype}"
    memory = topology.fabric.card.memory_bandwidth
    rate = f"at {format_rate(memory)}" if math.isfinite(memory) else "in no time: nobody says how fast it is"
    yield "memory", f"codecs pass the data through the memory of a card {rate}"
    yield "algorithm", f"the fastest of {table.question.algorithm}, for each codec and at each bandwidth"
    yield "error", "of one sum, on sampled gradients; error feedback sends later what is missing"
    yield "pays below", f"so many times the bandwidth of all links at once, between {LEAST:.2g} and {MOST:g}"
    yield "", "latencies, steps, limits of protocols and the memories of cards stay as they are"
    yield "", "links: all of a card in its domain, both directions, as data sheets have it; NIC: one"
    for i, change in enumerate(case.changed):
        yield "" if i else "changed", change


# -- table -------------------------------------------------------------------------------------------------


def _none(table: Table) -> tuple[str, ...]:
    case = table.none.case
    links, nic = _rates(table, 1.0)
    return (
        "none", f"{case.algorithm} ×{case.channels}", "1", "0.0%", micro(time_us(table.none) / 1e6), "1",
        _limit(table.none), "-", links, nic,
    )  # fmt: skip


def _cells(table: Table, row: Row) -> tuple[str, ...]:
    best = row.best
    if best is None:
        return (row.spec, *("-" for _ in HEADINGS[1:]))
    return (
        row.spec, f"{best.case.algorithm} ×{best.case.channels}", f"{best.ratio:,.4g}",
        "-" if best.error is None else share(best.error), micro(time_us(best) / 1e6), f"{table.gain(best):.3g}",
        _limit(best), _pays(row.factor), *_rates(table, row.factor),
    )  # fmt: skip


def _limit(result: Result) -> str:
    return result.bottleneck if result.bottleneck == "latency" else WORDS[result.bottleneck].split(",")[0]


def _pays(factor: float) -> str:
    if factor == 0:
        return "never"
    return f"{MOST:g}× or more" if math.isinf(factor) else f"{factor:.3g}×"


def _rates(table: Table, factor: float) -> tuple[str, str]:
    """Headline figures of the links with which a codec just pays; a dash where no number says it or nobody uses them."""
    topology = table.topology
    if not 0 < factor < math.inf:
        return "-", "-"
    sheet = faster(topology.fabric, factor)
    return (
        f"{sheet.domain.datasheet_bandwidth / 1e9:,.4g}" if topology.group > 1 else "-",
        f"{sheet.nic.bandwidth / 1e9:,.4g}" if topology.nodes > 1 else "-",
    )


# -- what it comes to --------------------------------------------------------------------------------------


def sentences(table: Table) -> dict[str, str]:
    """Say which codec is the fastest, which is the fastest of the true ones, and why."""
    return dict(_said(table))


def _said(table: Table) -> Iterator[tuple[str, str]]:
    fastest, good = table.fastest(), table.fastest(GOOD)
    if fastest is None:
        yield "fastest", f"none of {counted(len(table.rows), 'codec')} is faster than no compression"
        yield "why", f"without compression {_limited(table.none)}"
        return
    yield "fastest", _praise(table, fastest)
    below = f"error <{GOOD:.0%}"
    if good is None:
        yield below, "no codec of which that is known is faster than no compression"
    else:
        yield below, _praise(table, good)
    best = (good or fastest).best
    assert best is not None
    yield "why", f"without compression {_limited(table.none)}; with {(good or fastest).spec} {_limited(best)}"


def _praise(table: Table, row: Row) -> str:
    best = row.best
    assert best is not None
    error = "an error that was not measured" if best.error is None else f"an error of {share(best.error)}"
    links, nic = _rates(table, row.factor)
    where = " and ".join([f"{links} GB/s"] * (links != "-") + [f"{nic} GB/s a NIC"] * (nic != "-"))
    pays = f"pays on links below {_pays(row.factor)} these" + (f" ({where})" if where else "")
    if math.isinf(row.factor):
        pays = f"still pays on links {MOST:g} times as fast"
    return f"{row.spec}, {table.gain(best):.3g} times as fast as no compression, with {error}; {pays}"


def _limited(result: Result) -> str:
    does = "working" if result.busiest == MEMORY else "sending"
    busy = f"the busiest of the {WORDS[result.busiest].split(',')[0]} is {does} {share(result.busy)} of the time"
    return f"latency limits: {busy}" if result.bottleneck == "latency" else busy


# -- for programs ------------------------------------------------------------------------------------------


def document(table: Table) -> dict[str, Any]:
    """Build the object that ``ringsim break-even --json`` prints."""

    def one(result: Result) -> dict[str, Any]:
        return {"case": asdict(result.case) | {"id": result.case.id()}, "result": result.outputs()}

    def verdict(row: Row) -> dict[str, Any]:
        found: dict[str, Any] = {"compress": row.spec}
        if row.best is None:
            return found | {"refused": row.refused}
        pays = "never" if row.factor == 0 else "always" if math.isinf(row.factor) else "below"
        found |= {"speedup": table.gain(row.best), "pays": pays, "factor": None, "links_GBps": None, "nic_GBps": None}
        if pays == "below":
            sheet = faster(table.topology.fabric, row.factor)
            found |= {
                "factor": row.factor,
                "links_GBps": sheet.domain.datasheet_bandwidth / 1e9,
                "nic_GBps": sheet.nic.bandwidth / 1e9,
            }
        return found | one(row.best)

    fastest, good = table.fastest(), table.fastest(GOOD)
    return {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "factors": {"least": LEAST, "most": MOST},
        "none": one(table.none),
        "codecs": [verdict(row) for row in table.rows],
        "fastest": fastest and fastest.spec,
        "error_below": GOOD,
        "fastest_with_that_error": good and good.spec,
        "says": sentences(table),
    }
