"""Gradient compressors, real on arrays; `CODECS` is the list, written by hand."""

from ringsim.codecs.codec import (
    FREE,
    Code,
    Codec,
    CodecError,
    Combine,
    Cost,
    Floats,
    Passes,
    Rounds,
    Shape,
    State,
    Summed,
    code_bytes,
    elements,
)
from ringsim.codecs.parsing import CODECS, Entry, foreign, parse

__all__ = [
    "CODECS",
    "FREE",
    "Code",
    "Codec",
    "CodecError",
    "Combine",
    "Cost",
    "Entry",
    "Floats",
    "Passes",
    "Rounds",
    "Shape",
    "State",
    "Summed",
    "code_bytes",
    "elements",
    "foreign",
    "parse",
]
