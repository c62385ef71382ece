"""What pays and up to where, as a table for people."""

import math
from collections.abc import Iterator, Sequence
from textwrap import wrap

from ringsim import __version__
from ringsim.break_even.crossing import LEAST, MOST
from ringsim.break_even.entrant import asks, time_us
from ringsim.break_even.says import ONE_STEP, UNITS, by, pays_below, rates, sentences
from ringsim.break_even.table import Row, Table
from ringsim.break_even.truth import GOOD
from ringsim.candidates import MEMORY
from ringsim.catalogue import GATHER
from ringsim.codecs import parse
from ringsim.report import LABEL, WORDS, Line, cluster_facts
from ringsim.result import Result
from ringsim.units import format_rate, format_size
from ringsim.writing import columns, micro, share

#: Columns of a terminal that everything fits.
WIDTH = 120

HEADINGS = ("codec", "algorithm", "error", "time", "speed-up", "pays", "limited", "ratio")
BELOW = ("", "×channels", "", "(us)", "", "below", "by", "")
_LEFT = (0, 1, 6)

#: What may be left out where a line would be too long, the first of these first.
_SPARE = ("ratio", "limited")


def page(table: Table, *, quiet: bool = False) -> Sequence[Line]:
    """Lay out the table, fastest first, and what it comes to; without what was assumed if `quiet`."""
    blank = Line("", "blank")
    rows = sorted(table.rows, key=_time)
    lines, left_out = _fitting([HEADINGS, BELOW, _none(table), *(_cells(table, row) for row in rows)])
    best = table.fastest(GOOD)
    roles = ["heading", "heading", "row", *("best" if row is best else "row" for row in rows)]
    return [
        *([] if quiet else [*_header(table), blank]),
        *(Line(line, role) for line, role in zip(lines, roles, strict=True)),  # type: ignore[arg-type]
        *(Line(part, "note") for note in _notes(table, rows, left_out) for part in wrap(note, WIDTH)),
        blank,
        *(line for label, text in sentences(table).items() for line in _labelled(label, text)),
    ]  # fmt: skip


def _fitting(cells: list[tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """Line up cells, without what may be left out if that is too wide; and what that was."""
    left_out = list[str]()
    for name in (*_SPARE, ""):
        kept = [i for i, heading in enumerate(HEADINGS) if heading not in left_out]
        left = [place for place, i in enumerate(kept) if i in _LEFT]
        lines = columns([tuple(row[i] for i in kept) for row in cells], left)
        if max(map(len, lines)) <= WIDTH or not name:
            break
        left_out.append(name)
    return lines, left_out


def _labelled(label: str, text: str) -> Iterator[Line]:
    for i, part in enumerate(wrap(text, WIDTH - LABEL, break_long_words=False, break_on_hyphens=False)):
        yield Line(f"{'' if i else label:<{LABEL}}{part}", "label")


def _notes(table: Table, rows: Sequence[Row], left_out: Sequence[str]) -> Iterator[str]:
    links, nic = rates(table, 1.0)
    used = [f"{links} {UNITS[0]} of links a card, both directions"] * (links != "-")
    used += [f"{nic} {UNITS[1]}"] * (nic != "-")
    less = f"; for want of room without {' and '.join(left_out)}, which --json has" if left_out else ""
    yield f"1×: {', '.join(used)}, as data sheets have it{less}"
    if any(row.feeds_back for row in rows):
        yield f"* {ONE_STEP}"
    if len(rows) > table.codecs:
        yield f"a codec twice: by its fastest algorithm, and by the fastest that leaves an error below {GOOD:.0%}"
    yield from (f"{row.spec}: {row.refused}" for row in rows if row.refused)
    yield from (
        f"{spec}: the values decide how many bytes there are; times and ratio are those of normally distributed ones"
        for spec in dict.fromkeys(row.spec for row in rows)
        if not parse(spec).sized
    )
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
    facts = (line for label, text in _facts(table) for line in _labelled(label, text))
    return [Line(title, "title"), Line("", "blank"), *facts]


def _facts(table: Table) -> Iterator[tuple[str, str]]:
    topology, case = table.topology, table.none.case
    yield from cluster_facts(topology)
    yield "vector", f"{case.count:,} × {case.dtype}"
    memory = topology.fabric.card.memory_bandwidth
    rate = f"at {format_rate(memory)}" if math.isfinite(memory) else "in no time: nobody says how fast it is"
    yield "memory", f"encode and decode cost: passes over card memory, a fused kernel at the roofline, {rate}"
    among = ", ".join(one.algorithm for one in asks(table.question, topology))
    adds = ", for switches here add" if "," in among else ""
    yield "algorithm", f"the fastest of {among}{adds}; for none and for each codec, at each bandwidth"
    yield "error", "of one sum, on sampled gradients, by the very schedule"
    yield "pays below", f"so many times the bandwidth of all links at once, between {LEAST:.2g} and {MOST:g};"
    yield "", "latencies, steps, limits of protocols and the memories of cards stay as they are"
    for i, change in enumerate(case.changed):
        yield "" if i else "changed", change


# -- table -------------------------------------------------------------------------------------------------


def _none(table: Table) -> tuple[str, ...]:
    none = table.none
    return "none", by(none), "0.0%" + _room(table), micro(time_us(none) / 1e6), "1", "-", _limit(none), "1"


def _cells(table: Table, row: Row) -> tuple[str, ...]:
    best = row.best
    if best is None:
        return (row.spec, *("-" for _ in HEADINGS[1:]))
    mark = "*" if row.feeds_back and best.error is not None else _room(table)
    return (
        row.spec, by(best), _error(best) + mark, micro(time_us(best) / 1e6), f"{table.gain(best):.3g}",
        pays_below(row.factor), _limit(best), f"{best.ratio:,.4g}",
    )  # fmt: skip


def _room(table: Table) -> str:
    """What stands in the place of a mark."""
    return " " * any(row.feeds_back for row in table.rows)


def _error(best: Result) -> str:
    if best.error is None:
        return "-" if best.agree is None else "overflow"
    return share(best.error)


def _limit(result: Result) -> str:
    if result.bottleneck == MEMORY:
        return "card memory"
    return WORDS.get(result.bottleneck, result.bottleneck).split(",")[0].partition(" between ")[0]
