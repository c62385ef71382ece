"""Gradient compressors, real on arrays; `CODECS` is the list, written by hand."""

from ringsim.codecs.codec import (
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
from ringsim.codecs.parsing import CODECS, Entry, parse

__all__ = [
    "CODECS",
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
    "parse",
]
