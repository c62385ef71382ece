"""Validation: how far simulated times are from those that were published, machine by machine, with nothing hidden.

A simulator is worth what its error is. The measurements and what is known of the machines behind them are data,
`benchmarks/validation`; where a constant was fitted on a system's rows the system says in which band of sizes, and is
not counted there. What comes out is compared with what machines of the same hardware differ by among themselves, because
no model that knows nothing but the hardware can be nearer than that.

`bands` says what is judged together, `systems` reads the data, `simulating` asks ringsim for each point, `errors` sums up
by band of sizes, `spread` says by how much equal machines differ, `leaving` fits constants without each system in turn,
and `page` is for people.
"""

from ringsim.bands import BANDS, SINGLE, Band
from ringsim.validation.errors import Errors, by_band, headlines, judged, missed, overall
from ringsim.validation.leaving import Constant, Left, leave_one_out
from ringsim.validation.simulating import Point, curve, simulate
from ringsim.validation.spread import Spread, spreads
from ringsim.validation.systems import Measurement, System, load

__all__ = [
    "BANDS", "SINGLE", "Band", "Constant", "Errors", "Left", "Measurement", "Point", "Spread", "System", "by_band",
    "curve", "headlines", "judged", "leave_one_out", "load", "missed", "overall", "simulate", "spreads",
]  # fmt: skip
