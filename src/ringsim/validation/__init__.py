"""Validation: how far simulated times are from those that were published, machine by machine, with nothing hidden.

A simulator is worth what its error is. The measurements and what is known of the machines behind them are data,
`benchmarks/validation`; nothing here is fitted, and a system whose figures went into a fabric file says so and is not
counted. What comes out is compared with what machines of the same hardware differ by among themselves, because no model
that knows nothing but the hardware can be nearer than that.

`systems` reads the data, `simulating` asks ringsim for each point, `errors` sums up by band of sizes, `spread` says by how
much equal machines differ, and `page` is for people.
"""

from ringsim.validation.errors import BANDS, Band, Errors, by_band, overall
from ringsim.validation.simulating import Point, curve, simulate
from ringsim.validation.spread import Spread, spreads
from ringsim.validation.systems import Measurement, System, load

__all__ = [
    "BANDS", "Band", "Errors", "Measurement", "Point", "Spread", "System", "by_band", "curve", "load", "overall",
    "simulate", "spreads",
]  # fmt: skip
