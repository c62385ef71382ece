"""Programs for the laws: by hand, at random, and every algorithm on every fabric."""

from itertools import product
from math import inf

import numpy as np
from hypothesis import strategies as st

from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS
from ringsim.program import Program, price

#: Clusters whose every firing the reference engine can work out: a pair, odd and broken nodes, several nodes.
CARDS = (2, 3, 4, 7, 8, 16, 17, 64)

#: What `auto` tries.
CLASSIC = tuple(name for name, algorithm in ALGORITHMS.items() if algorithm.auto)


def by_hand(
    bandwidth: list[float], routes: list[list[int]], bytes: list[float], *, count: list[int] | None = None,
    deps: list[list[tuple[int, int]]] | None = None, after: list[int] | None = None,
    reduces: list[int] | None = None, **columns: list[float],
) -> Program:  # fmt: skip
    """Write a program in lists; whatever is left out costs nothing and waits for nothing."""
    n = len(routes)
    deps = deps or [[] for _ in range(n)]
    flat = [pair for row in deps for pair in row]
    column = {
        "latency": [0.0] * n, "work": [0.0] * n, "overhead": [0.0] * n, "cap": [inf] * n,
    } | columns  # fmt: skip
    return Program(
        bandwidth=np.array(bandwidth, float),
        route_offsets=np.cumsum([0, *map(len, routes)]),
        route_links=np.array([link for route in routes for link in route], np.int32),
        bytes=np.array(bytes, float),
        count=np.array(count or [1] * n),
        reduces=np.array(reduces or [0] * n),
        after=np.array(after or [-1] * n),
        dep_offsets=np.cumsum([0, *map(len, deps)]),
        dep_row=np.array([u for u, _ in flat], np.int64),
        dep_lag=np.array([lag for _, lag in flat], np.int64),
        **{name: np.array(values, float) for name, values in column.items()},
    )


@st.composite
def random_programs(draw: st.DrawFn, most_firings: int = 6) -> Program:
    """Programs with shared links, unequal bandwidths, caps, lags of either sign, joins and several rows on a connection.

    Some of them can never finish; then both engines must say so.
    """
    links = draw(st.integers(1, 5))
    rows = draw(st.integers(1, 7))
    bandwidth = draw(st.lists(st.sampled_from([1.0, 2.0, 3.0, 5.0, 7.5, 10.0]), min_size=links, max_size=links))
    count = draw(st.lists(st.integers(1, most_firings), min_size=rows, max_size=rows))
    times = st.sampled_from([0.0, 0.0, 0.1, 0.35, 1.0, 2.7])
    # Long ways put many deliveries under way at once.
    ways = st.sampled_from([0.0, 0.1, 1.0, 2.7, 20.0, 55.5]) if draw(st.booleans()) else times
    ring = draw(st.integers(1, 5)) if draw(st.integers(0, 3)) == 0 else 0
    routes: list[list[int]] = []
    after, deps = [], []
    for v in range(rows):
        follows = v > 0 and draw(st.integers(0, 3)) == 0
        before = draw(st.integers(0, v - 1)) if follows else -1
        if before in after[:v]:
            before = -1  # only one row can come next on a connection
        after.append(before)
        routes.append(
            routes[before]
            if before >= 0
            else []
            if draw(st.integers(0, 5)) == 0
            else draw(st.lists(st.integers(0, links - 1), min_size=1, max_size=3, unique=True))
        )
        inputs = [((v - 1) % rows, ring)] if ring and rows > 1 else []
        for _ in range(draw(st.integers(0, 2))):
            u = draw(st.integers(0, rows - 1))
            if u < v:
                lags = st.integers(-most_firings, most_firings) | st.integers(0, 2) | st.just(1 - count[u])
                inputs.append((u, draw(lags)))
            else:
                inputs.append((u, draw(st.integers(1, most_firings))))
        deps.append(inputs)
    # A row without links is a join: it carries nothing and costs nothing.
    bytes = draw(st.lists(st.sampled_from([0.5, 1.0, 1.0, 2.0, 3.7]), min_size=rows, max_size=rows))
    caps = [draw(st.sampled_from([inf, inf, 0.7, 2.0, 4.0])) for _ in range(rows)]

    def unless_join(values: list[float], instead: float = 0.0) -> list[float]:
        return [value if route else instead for value, route in zip(values, routes, strict=True)]

    return by_hand(
        bandwidth,
        routes,
        unless_join(bytes),
        count=count,
        deps=deps,
        after=after,
        reduces=[draw(st.integers(0, c)) for c in count],
        latency=unless_join([draw(ways) for _ in range(rows)]),
        work=unless_join([draw(times) for _ in range(rows)]),
        overhead=unless_join([draw(times) for _ in range(rows)]),
        cap=unless_join(caps, 1.0),
    )


def every_case(cards: tuple[int, ...] = CARDS) -> list[tuple[str, int, str, bool]]:
    """Every fabric × cards × {ring, tree} × {one channel, as many as fit}; `laws.clusters` has the other algorithms."""
    return list(product(fabric.available(), cards, CLASSIC, (False, True)))


def build(name: str, cards: int, algorithm: str, wide: bool, size: float = 1e5) -> Program:
    """The program of such a case."""
    sheet = fabric.load(name)
    cluster, how = topology.build(sheet, cards), ALGORITHMS[algorithm]
    channels = how.channels(cluster) if wide else 1
    pieces = 2 if cards <= 17 or how.piece == "chunks" else 1
    protocol = sheet.protocol(list(sheet.protocols)[-1], algorithm)
    return price(how.build(cluster, channels, pieces), cluster, protocol, size)
