"""What a table comes to, in a few sentences: the fastest true sum, the fastest of all, and why."""

import math
from collections.abc import Iterator

from ringsim.break_even.crossing import MOST
from ringsim.break_even.entrant import faster, time_us
from ringsim.break_even.table import Row, Table
from ringsim.break_even.truth import GOOD
from ringsim.candidates import MEMORY
from ringsim.report import WORDS, counted
from ringsim.result import Result
from ringsim.writing import micro, share

#: What the error of a codec with a memory is, and is not.
ONE_STEP = "one step; error feedback sends the rest later"


def sentences(table: Table) -> dict[str, str]:
    """Say which codec is the fastest of those that leave a sum, which of all, and why; by label, in that order."""
    return dict(_said(table))


def _said(table: Table) -> Iterator[tuple[str, str]]:
    fastest, good = table.fastest(), table.fastest(GOOD)
    none = f"without compression {by(table.none)} is the fastest, in {micro(time_us(table.none) / 1e6)} us, and"
    if fastest is None:
        yield "fastest", f"none of {counted(table.codecs, 'codec')} is faster than no compression"
        yield "why", f"{none} {_limited(table.none)}"
        return
    below = f"error <{GOOD:.0%}"
    if good is None:
        yield below, "no codec of which that is known is faster than no compression"
    else:
        yield below, _praise(table, good)
    yield "fastest", "that one" if fastest is good else _praise(table, fastest)
    winner = good or fastest
    assert winner.best is not None
    yield "why", f"{none} {_limited(table.none)}; with {winner.spec} {_limited(winner.best)}"


def _praise(table: Table, row: Row) -> str:
    best = row.best
    assert best is not None
    rated = zip(rates(table, row.factor), UNITS, strict=True)
    where = " and ".join(f"{rate} {unit}" for rate, unit in rated if rate != "-")
    pays = f"pays on links below {pays_below(row.factor)} these" + (f" ({where})" if where else "")
    if math.isinf(row.factor):
        pays = f"still pays on links {MOST:g} times as fast"
    times = f"{table.gain(best):.3g} times as fast as no compression"
    return f"{row.spec} by {by(best)}, {times}, with {_error(row, best)}; {pays}"


def _error(row: Row, best: Result) -> str:
    if best.error is None:
        return "sums that overflow" if best.agree is not None else "an error that was not measured"
    return f"an error of {share(best.error)}" + (f" ({ONE_STEP})" if row.feeds_back else "")


def _limited(result: Result) -> str:
    does = "working" if result.busiest == MEMORY else "sending"
    busy = f"the busiest of the {WORDS[result.busiest].split(',')[0]} is {does} {share(result.busy)} of the time"
    return f"latency limits: {busy}" if result.bottleneck == "latency" else busy


# -- words that the table has as well ----------------------------------------------------------------------

#: Of `rates`.
UNITS = ("GB/s", "GB/s a NIC")


def by(result: Result) -> str:
    """Name a schedule."""
    return f"{result.case.algorithm} ×{result.case.channels}"


def pays_below(factor: float) -> str:
    """Write up to how many times the bandwidth of the links something pays."""
    if factor == 0:
        return "never"
    return f"{MOST:g}× or more" if math.isinf(factor) else f"{factor:.3g}×"


def rates(table: Table, factor: float) -> tuple[str, str]:
    """Headline figures, GB/s, of links that are so many times as fast: of all of a card, both directions, and of a NIC.

    A dash where no number says it or nobody uses them.
    """
    topology = table.topology
    if not 0 < factor < math.inf:
        return "-", "-"
    sheet = faster(topology.fabric, factor)
    return (
        _giga(sheet.domain.datasheet_bandwidth) if topology.group > 1 else "-",
        _giga(sheet.nic.bandwidth) if topology.nodes > 1 else "-",
    )


def _giga(rate: float) -> str:
    return f"{rate / 1e9:,.0f}" if rate >= 1e12 else f"{rate / 1e9:.4g}"
