"""Does it pay? For a fabric, a vector and so many cards: which codec wins, and on how fast an interconnect none would.

Slow links make compression pay, fast ones do not, and somewhere between them is the break-even. It is found by
simulation: all links of a cluster become faster or slower by one factor, steps, latencies and cards stay.
"""

from ringsim.break_even.crossing import LEAST, MOST, crossing
from ringsim.break_even.entrant import Entrant, faster, ways
from ringsim.break_even.table import DEFAULT, Row, Table, weigh
from ringsim.break_even.truth import GOOD, measured

__all__ = [
    "DEFAULT", "GOOD", "LEAST", "MOST", "Entrant", "Row", "Table", "crossing", "faster", "measured", "ways", "weigh",
]  # fmt: skip
