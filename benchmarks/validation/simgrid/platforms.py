"""Random platforms with random schedules on them, the same ones for the same seed, for ringsim and for SimGrid.

Five sets, because the two do not mean the same by latency. In SimGrid's CM02 a flow pays the latency of its route first
and sends then, and flows share a link in proportion to one over their latencies. In ringsim a flow sends first, arrives a
latency later, and all share alike.

* ``sleeps``: links have no latency in SimGrid. What ringsim calls latency passes there after the flow. Flows begin and
  end at the same time and share alike, so both simulate the same thing; nothing is left out of ringsim's law.
* ``caps``: the same, and half of the connections have a rate of their own that they cannot exceed.
* ``links``: SimGrid's links have latencies. The definitions coincide where all flows that could meet have the same
  latency, and where a firing waits for the delivery of the one before: then whatever is sent is sent exactly that latency
  later in SimGrid, by the same rates. So a platform is several islands without links between them and with a latency each;
  each connection enters through a link of its own that makes up the difference. Dependencies join the islands. Every
  fifth connection has links that nobody else uses, with any latency.
* ``collectives``: ringsim's algorithms on random graphs of cards and switches, with sleeps for latencies.
* ``unequal``: as ``links``, but routes take a whole, a half, a third or a quarter of the longest latency, and firings
  need not wait for deliveries. Here the two differ. The same cases with the program that says what CM02 does
  (`rewriting.as_cm02`) are ``unequal, as CM02``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from rewriting import as_cm02

from ringsim import topology
from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.engines import run
from ringsim.fabric import Protocol
from ringsim.program import Program, ProgramError, price

Random = np.random.Generator
Floats = NDArray[np.float64]

#: How many platforms each set has.
SETS = {"sleeps": 200, "caps": 40, "links": 100, "collectives": 60, "unequal": 40, "unequal, as CM02": 40}

#: A number for what each set draws; the last two draw the same flows.
DRAWN = {"sleeps": 0, "caps": 1, "links": 2, "collectives": 3, "unequal": 4, "unequal, as CM02": 4}

#: The longest latency of a route in ``unequal``, seconds.
LONGEST = 1.0

#: Firings that the reference engine, which is slow on purpose, works out in a second or so.
MOST_FIRINGS = 3_000


@dataclass(frozen=True, eq=False)
class Case:
    """One platform with flows on it.

    Attributes
    ----------
    program : Program
        What ringsim runs.
    flows : Program
        What SimGrid runs; its latencies pass after a flow.
    link_latency : float array, shape ``[links]``, seconds
        Of SimGrid's links.
    row : int array, shape ``[rows of flows]``
        The row of `program` that is a row of `flows`.
    """

    program: Program
    flows: Program
    link_latency: Floats
    row: NDArray[np.int64]


def draw(name: str, seed: int) -> Case:
    """Draw a case of a set; the next one where flows wait for each other for ever."""
    random = np.random.default_rng([DRAWN[name], seed])
    while True:
        program, latency = _collective(random) if name == "collectives" else _flows(random, name)
        try:
            run(program, "reference")
        except ProgramError:
            continue
        flows = replace(program, latency=np.zeros(program.rows)) if latency.any() else program
        row = np.arange(program.rows)
        if name.endswith("as CM02"):
            program, row = as_cm02(program, LONGEST)
        return Case(program, flows, latency, row)


# -- random flows on random graphs -----------------------------------------------------------------------------


def _flows(random: Random, name: str) -> tuple[Program, Floats]:
    """Draw a program and the latencies of its links, none where they pass after a flow."""
    paid, equal = name not in ("sleeps", "caps"), name == "links"
    bandwidth: list[float] = []
    latency: list[float] = []

    def link(seconds: float) -> int:
        bandwidth.append(1e9 * 2.0 ** random.uniform(-1, 2))
        latency.append(seconds if paid else 0.0)
        return len(bandwidth) - 1

    islands = [_island(random, link) for _ in range(random.integers(1, 4) if equal else 1)]
    reach = random.uniform(0.2, 1.0, len(islands))  # longer than any way inside

    def connection() -> list[int]:
        if equal and random.random() < 0.2:
            return [link(random.uniform(0, 0.5)) for _ in range(random.integers(1, 4))]
        i = random.integers(len(islands))
        way = _way(random, islands[i])
        if not paid:
            return way
        whole = reach[i] if equal else LONGEST / random.integers(1, 5)
        return [link(whole - sum(latency[hop] for hop in way)), *way]

    rows = int(random.integers(6, 41))
    count = random.integers(1, 7, rows)
    routes: list[list[int]] = []
    after: list[int] = []
    deps: list[list[tuple[int, int]]] = []
    for v in range(rows):
        before = int(random.integers(v)) if v and random.random() < 0.25 else -1
        if before in after or (before >= 0 and not routes[before]):
            before = -1  # only one row can come next on a connection, and joins have none
        after.append(before)
        routes.append(routes[before] if before >= 0 else [] if random.random() < 0.1 else connection())
        # Those before in the list at any lag; others, and itself, at one that lets both begin.
        needs = [
            (u, int(random.integers(-4 if u < v else 1, 5))) for u in random.integers(rows, size=random.integers(3))
        ]
        if equal:
            needs += [(v, 1)] + ([(before, int(1 - count[before]))] if before >= 0 else [])
        deps.append(needs)
    moves = np.array([len(route) > 0 for route in routes])

    def seconds() -> Floats:
        return np.where(moves & (random.random(rows) < 0.5), random.exponential(0.5, rows), 0.0)

    cap = np.full(rows, np.inf)
    if name == "caps":
        cap = np.where(random.random(rows) < 0.5, 1e9 * 2.0 ** random.uniform(-3, 1, rows), np.inf)
    ways = np.array([sum(latency[hop] for hop in route) for route in routes])
    program = Program(
        bandwidth=np.array(bandwidth),
        route_offsets=np.cumsum([0, *map(len, routes)]),
        route_links=np.array([hop for route in routes for hop in route], np.int32),
        bytes=np.where(moves, np.rint(1e9 * 2.0 ** random.uniform(-2, 2, rows)), 0.0),
        count=count,
        reduces=random.integers(0, count + 1),
        latency=ways if paid else seconds(),
        work=seconds(),
        overhead=seconds(),
        cap=np.where(moves, cap, 1.0),
        after=np.array(after),
        dep_offsets=np.cumsum([0, *map(len, deps)]),
        dep_row=np.array([u for needs in deps for u, _ in needs], np.int64),
        dep_lag=np.array([lag for needs in deps for _, lag in needs], np.int64),
    )
    return program, np.array(latency)


def _island(random: Random, link: Callable[[float], int]) -> nx.DiGraph:
    """Up to eight places in a tree and a few cables across it; each direction of a cable is a link of its own."""
    size = int(random.integers(3, 9))
    cables = [(v, int(random.integers(v))) for v in range(1, size)]
    cables += [(int(a), int(b)) for a, b in random.integers(size, size=(size // 2, 2)) if a != b]
    graph = nx.DiGraph()
    for a, b in sorted({(min(cable), max(cable)) for cable in cables}):
        graph.add_edge(a, b, link=link(random.uniform(0, 0.02)))
        graph.add_edge(b, a, link=link(random.uniform(0, 0.02)))
    return graph


def _way(random: Random, graph: nx.DiGraph) -> list[int]:
    """Links of a way between two places: the cheapest by tolls that are drawn anew each time."""
    start, end = random.choice(len(graph), 2, replace=False).tolist()
    tolls = {edge: random.random() for edge in graph.edges}
    places = nx.shortest_path(graph, start, end, weight=lambda a, b, _: tolls[a, b])
    return [graph.edges[hop]["link"] for hop in nx.utils.pairwise(places)]


# -- ringsim's algorithms on random graphs ---------------------------------------------------------------------


def _collective(random: Random) -> tuple[Program, Floats]:
    """Draw a graph of cards and switches, and one of the algorithms that have room on it, with a few hops of latency."""
    while True:
        cards, switches = int(random.integers(4, 17)), int(random.integers(1, 5))
        graph = nx.Graph()
        graph.add_nodes_from(range(cards), kind="card")
        graph.add_nodes_from((f"s{i}" for i in range(switches)), kind="switch")
        names = list(graph)
        for i in range(1, switches):
            graph.add_edge(f"s{i}", f"s{random.integers(i)}")
        for card in range(cards):
            graph.add_edge(card, f"s{random.integers(switches)}")
        for a, b in random.integers(len(names), size=(cards // 2, 2)):
            if a != b:
                graph.add_edge(names[a], names[b])
        for edge in graph.edges:
            graph.edges[edge].update(bandwidth=random.uniform(5, 40) * 1e9, latency=random.uniform(0.2, 2) * 1e-6)
        where = topology.from_graph(graph, seed=int(random.integers(1000)))
        algorithms = COLLECTIVES[list(COLLECTIVES)[random.integers(len(COLLECTIVES))]]
        how = algorithms[list(algorithms)[random.integers(len(algorithms))]]
        try:
            schedule = how.build(where, how.channels(where), 2)
        except CollectiveError:
            continue
        if schedule.transfers > MOST_FIRINGS:
            continue
        step, overhead = random.uniform(0.5, 5, 2) * 1e-6
        plain = Protocol(
            "plain",
            0.0,
            step,
            step,
            1.0,
            1,
            "max-min",
            send_overhead=overhead,
            reduce_bandwidth=random.uniform(50, 200) * 1e9,
        )
        # A whole number of bytes in each unit: SimGrid sends no fractions.
        payload = schedule.parts * float(np.rint(2 ** random.uniform(6, 22)))
        program = price(schedule, where, plain, payload, allotted=how.allotted)
        return program, np.zeros(len(program.bandwidth))
