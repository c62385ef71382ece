"""A table as one JSON object, for programs."""

import math
from dataclasses import asdict
from typing import Any

from ringsim import __version__
from ringsim.break_even.crossing import LEAST, MOST
from ringsim.break_even.entrant import faster
from ringsim.break_even.says import sentences
from ringsim.break_even.table import Row, Table
from ringsim.break_even.truth import GOOD
from ringsim.result import Result

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 2


def document(table: Table) -> dict[str, Any]:
    """Build the object that ``ringsim break-even --json`` prints; docs/compression.md says what the keys are."""
    return {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "factors": {"least": LEAST, "most": MOST},
        "none": _result(table.none),
        "codecs": [_row(table, row) for row in table.rows],
        "fastest": _pair(table.fastest()),
        "error_below": GOOD,
        "fastest_with_that_error": _pair(table.fastest(GOOD)),
        "says": sentences(table),
    }


def _result(result: Result) -> dict[str, Any]:
    return {"case": asdict(result.case) | {"id": result.case.id()}, "result": result.outputs()}


def _pair(row: Row | None) -> dict[str, str] | None:
    if row is None or row.best is None:
        return None
    return {"compress": row.spec, "algorithm": row.best.case.algorithm}


def _row(table: Table, row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"compress": row.spec}
    if row.best is None:
        return found | {"refused": row.refused}
    pays = "never" if row.factor == 0 else "always" if math.isinf(row.factor) else "below"
    found |= {"one_step": row.feeds_back, "speedup": table.gain(row.best), "pays": pays}
    found |= {"factor": None, "links_GBps": None, "nic_GBps": None}
    if pays == "below":
        sheet = faster(table.topology.fabric, row.factor)
        found |= {
            "factor": row.factor,
            "links_GBps": sheet.domain.datasheet_bandwidth / 1e9,
            "nic_GBps": sheet.nic.bandwidth / 1e9,
        }
    return found | _result(row.best)
