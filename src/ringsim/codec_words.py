"""What the header of a run says about its codec: what becomes of bytes, of time and of the sum."""

import math
from collections.abc import Iterator

from ringsim.catalogue import GATHER
from ringsim.codecs import Codec, parse
from ringsim.result import Result
from ringsim.units import format_rate, format_size
from ringsim.writing import share

#: What becomes of codes on their way, by how they may be combined.
COMBINED = {
    "linear": "codes are added as they are",
    "quantiser": "sums are encoded anew, codes passed on as they are",
    "sparsifier": "lists are merged, and grow",
}


def codec_facts(best: Result, memory: float) -> Iterator[tuple[str, str]]:
    """Labels and texts; nothing without a codec.

    Parameters
    ----------
    best : Result
    memory : float
        Bandwidth of a card's memory, bytes/s.
    """
    if not best.case.compress:
        return
    codec = parse(best.case.compress)
    gathers = best.case.algorithm.startswith(GATHER)
    ways = "codes are gathered, and everybody adds them" if gathers else COMBINED[codec.combine]
    code = format_size(round(best.code_bytes))
    yield "codec", f"{codec.spec}: {best.ratio:,.4g} bytes become one, {code} a rank; {ways}"
    if not codec.sized:
        yield "", "the values decide how many bytes there are; so many it is for normally distributed ones"
    if math.isfinite(memory):
        busy = share(best.codec_us / best.time_us) if best.time_us else "-"
        yield (
            "memory",
            f"{format_rate(memory)} a card, through which codecs pass vectors and codes: busy {busy} of the time",
        )
    else:
        yield "memory", "encoding and decoding are free: nobody says how fast these cards' memory is"
    yield "error", _error(best, codec)


def _error(best: Result, codec: Codec) -> str:
    agree = "all ranks agree bit for bit" if best.agree else "RANKS DISAGREE"
    if best.error is not None:
        once = ", in one step: error feedback sends it later" if "error_feedback" in codec.spec else ""
        return f"{share(best.error)} of the sum's norm{once}, on {best.error_elements:,} sampled elements; {agree}"
    if best.agree is not None:
        return f"the sum overflows the type in which it is added; {agree}"
    if not codec.samples:
        return (
            f"not measured: {codec.spec} fits the vector as a whole, and it is long; `ringsim converge` trains with it"
        )
    return "not measured: so many sends take long to go through; `ringsim compress-check` does it"
