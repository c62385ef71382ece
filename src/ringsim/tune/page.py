"""The tuner's table for people, and the same as one JSON object."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ringsim import __version__
from ringsim.candidates import seated
from ringsim.catalogue import find
from ringsim.codecs import parse
from ringsim.explain.command import command
from ringsim.report import Line, cluster_facts, counted
from ringsim.result import Case, Result
from ringsim.tune.reason import naive_name
from ringsim.tune.table import Row, Table
from ringsim.units import format_size
from ringsim.writing import columns, micro, share

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 1

HEADINGS = ("from", "below", "plan", "protocol", "at", "time", "busbw", "bound", "reached")
HEADING_LINES = 2
UNITS = ("", "", "", "", "", "(us)", "(GB/s)", "(us)", "", "(us)", "")

#: A column more for codecs: how far the sum is off.
ERROR = ("error", "of the sum")


def page(table: Table, reasons: Sequence[str], *, quiet: bool = False) -> Sequence[Line]:
    """Lay out the table, and a sentence for each row; without what was assumed if `quiet`.

    Parameters
    ----------
    table : Table
    reasons : sequence of str
        One for each row.
    quiet : bool
    """
    blank = Line("", "blank")
    above = [] if quiet else [*header(table), blank]
    more = [ERROR] if table.question.codec() else []
    headings = (*HEADINGS, naive_name(table.rows[0].tuned.naive.case), "gain", *(head for head, _ in more))
    units = (*UNITS, *(unit for _, unit in more))
    lines = columns([headings, units, *(_cells(row, row is table.rows[-1]) for row in table.rows)], left=(2, 3))
    starts = [format_size(row.tuned.bytes) for row in table.rows]
    width = max(map(len, starts))
    return [
        *above,
        *(Line(line, "heading" if i < HEADING_LINES else "row") for i, line in enumerate(lines)),
        blank,
        *(Line(f"{start:>{width}}  {reason}") for start, reason in zip(starts, reasons, strict=True)),
        blank,
        verdict(table),
    ]  # fmt: skip


def header(table: Table) -> list[Line]:
    """Say what was tuned, and for what cluster."""
    case, many = table.rows[0].tuned.best.case, sum(len(row.tuned.tried) for row in table.rows)
    first, last = (format_size(row.tuned.bytes) for row in (table.rows[0], table.rows[-1]))
    ends = f"{first}, the gradients of {case.model}," if case.model else f"{first} to {last}"
    title = f"{case.collective} of {ends} on {case.cards:,} cards of {case.fabric}, ringsim {__version__}"
    facts = [*cluster_facts(table.topology)]
    if table.topology.placement is not None:
        words = seated(table.question, table.topology)
        facts.append(("placement", f"{words}; plans may number ranks in another order"))
    if case.compress:
        facts.append(("codec", _codec(table)))
    facts.append(("tried", f"{counted(many, 'plan')}, every algorithm with its default parameters among them"))
    return [Line(title, "title"), Line("", "blank"), *(Line(f"{label:<11}{text}", "label") for label, text in facts)]


def _codec(table: Table) -> str:
    """Name the codec, and what it makes of vectors and sums."""
    results = [row.tuned.best for row in table.rows]
    codec, ratios = parse(results[0].case.compress), sorted(result.ratio for result in results)
    ratio = _range(f"{ratios[0]:,.4g}", f"{ratios[-1]:,.4g}")
    differ = [result for result in results if result.agree is False]
    agree = "; RANKS DISAGREE" if differ else ""
    naive = naive_name(table.rows[0].tuned.naive.case)
    return f"{codec.spec}, a {codec.combine} codec: {ratio} bytes become one, in all plans and in {naive}{agree}"


def plan(case: Case) -> str:
    """Name a plan: algorithm, channels, pieces, and the codec."""
    piece = find(case.collective, case.algorithm).piece.removesuffix("s")
    of = f" of {case.compress}" if case.compress else ""
    return f"{case.algorithm} ×{case.channels}, {counted(case.pieces, piece)}{of}"


def _cells(row: Row, last: bool) -> tuple[str, ...]:
    best, naive = row.tuned.best, row.tuned.naive
    assert best.time_us is not None
    assert naive.time_us is not None
    assert best.reached is not None
    cells = (
        format_size(row.low), "" if last else format_size(row.high + 1), plan(best.case), best.case.protocol,
        format_size(best.case.bytes), micro(best.time_us / 1e6), f"{best.busbw_GBps:.4g}", micro(best.bound_us / 1e6),
        share(best.reached), micro(naive.time_us / 1e6), f"{row.tuned.gain:.1f}×",
    )  # fmt: skip
    return (*cells, "-" if best.error is None else share(best.error)) if best.case.compress else cells


def verdict(table: Table) -> Line:
    """Say how near to the bound the plans come, and what is gained."""
    shares = sorted(row.tuned.best.reached or 0.0 for row in table.rows)
    gains = sorted(row.tuned.gain for row in table.rows)
    reached = _range(share(shares[0]), share(shares[-1]))
    gained = _range(f"{gains[0]:.1f}", f"{gains[-1]:.1f}")
    naive = naive_name(table.rows[0].tuned.naive.case)
    return Line(f"reached {reached} of the bound, {gained} times as fast as {naive}", "verdict")


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def document(table: Table, reasons: Sequence[str]) -> dict[str, Any]:
    """Build the object that ``ringsim tune --json`` prints."""

    def one(result: Result) -> dict[str, Any]:
        return {"case": asdict(result.case) | {"id": result.case.id()}, "result": result.outputs()}

    return {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "rows": [
            {
                "min_bytes": row.low, "max_bytes": row.high, "plan": one(row.tuned.best),
                "naive": one(row.tuned.naive), "gain": row.tuned.gain, "why": reason, "command": command(row.question),
                "tried": len(row.tuned.tried),
            }
            for row, reason in zip(table.rows, reasons, strict=True)
        ],
    }  # fmt: skip
