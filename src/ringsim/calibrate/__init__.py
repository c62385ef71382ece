"""Calibrate: find a handful of a fabric's constants anew from what somebody's own cluster measured.

Data sheets do not know how long a library takes to begin, or what cables and drivers leave of a link. A log of a benchmark
does. The model that is fitted is the simulation itself, with the plan that would be fastest at each size, so what comes
out is a fabric file like any other. There are at most five constants, each of which means something, because more would
fit any curve and predict none; a fifth of the sizes is kept back to see whether it does.

`constants` says what may move, `points` what was measured, `simulating` gives times for constants, `fitting` turns it
round, `errors` says how far it is off, `writing` makes the file and `page` the report.
"""

from ringsim.calibrate.calibration import Calibration, calibrate
from ringsim.calibrate.constants import CONSTANTS, MOST, Constant
from ringsim.calibrate.points import Point, guess, points_of
from ringsim.calibrate.writing import fabric_file

__all__ = ["CONSTANTS", "MOST", "Calibration", "Constant", "Point", "calibrate", "fabric_file", "guess", "points_of"]
