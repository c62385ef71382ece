"""Programs one after the other: what a codec with several rounds runs, each a call of its own."""

from dataclasses import replace
from typing import Any

import numpy as np

from ringsim.program import Program


def behind(first: Program, second: Program) -> Program:
    """Rows of both programs, those of the second behind those of the first; nothing makes them wait for each other yet.

    Both must be of one topology and protocol, so that links are the same.
    """

    def joined(name: str) -> Any:
        return np.concatenate([getattr(first, name), getattr(second, name)])

    hops, waits = first.route_offsets[-1], first.dep_offsets[-1]
    padding = None if first.padding is None else joined("padding")
    closing = None if first.closing is None else joined("closing")
    return replace(
        first,
        bytes=joined("bytes"),
        count=joined("count"),
        reduces=joined("reduces"),
        latency=joined("latency"),
        work=joined("work"),
        overhead=joined("overhead"),
        cap=joined("cap"),
        route_offsets=np.concatenate([first.route_offsets, hops + second.route_offsets[1:]]),
        route_links=np.concatenate([first.route_links, second.route_links]),
        after=np.concatenate([first.after, np.where(second.after < 0, -1, second.after + first.rows)]),
        dep_offsets=np.concatenate([first.dep_offsets, waits + second.dep_offsets[1:]]),
        dep_row=np.concatenate([first.dep_row, second.dep_row + first.rows]),
        dep_lag=np.concatenate([first.dep_lag, second.dep_lag]),
        padding=padding,
        closing=closing,
    )
