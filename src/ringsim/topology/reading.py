"""Graphs from outside: a NetworkX object becomes a topology, or a sentence says why not.

What is written: edges carry ``bandwidth`` (bytes/s as a number, or a text with its unit such as ``"25GB/s"`` or
``"200Gb/s"``) and ``latency`` (seconds, or a text such as ``"1us"``). An undirected edge is a link each way. Vertices
carry ``kind``: ``card``, or anything else for what only passes traffic on (``switch``, ``nic``, ``leaf``, ``spine``,
``core`` have places of their own); where no vertex says its kind all are cards. Cards may carry ``rank``, and ``node``:
the server they are in. Where the ranks of a server do not follow each other, cards are numbered server by server and the
topology remembers on which of them each rank sits.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ringsim.fabric import Card, Domain, Fabric, Network, Nic, Protocol, ProtocolSet
from ringsim.topology.graphs import GraphTopology
from ringsim.topology.kinds import (
    CARD_NIC,
    CORE_SPINE,
    DOWN,
    LANE,
    LEAF_LEAF,
    LEAF_NIC,
    LEAF_SPINE,
    LINK,
    LINK_KINDS,
    MOST_CARDS,
    NIC_CARD,
    NIC_LEAF,
    SPINE_CORE,
    SPINE_LEAF,
    UP,
    VERTEX_KINDS,
    Ints,
    TopologyError,
)  # fmt: skip
from ringsim.units import UnitError, parse_rate, parse_time

if TYPE_CHECKING:
    import networkx as nx

#: Where vertices that are not cards are numbered; what has no place of its own is a switch between nodes.
_PLACES = {"switch": 1, "nic": 2, "leaf": 3, "spine": 4, "core": 5}
_OTHER = 3

#: What a link may be; far outside of it no arithmetic finds a way.
_RANGES = {"bandwidth": (1.0, 1e18, "between 1 B/s and 1e18 B/s"), "latency": (0.0, 1e6, "at most 1e6 s")}


def from_graph(
    graph: "nx.Graph[Any]", *, fabric: Fabric | None = None, seed: int = 0, name: str = "graph", check: bool = True
) -> GraphTopology:
    """Make a topology of any graph.

    Parameters
    ----------
    graph : networkx Graph, DiGraph, MultiGraph or MultiDiGraph
        With ``bandwidth`` and ``latency`` on every edge.
    fabric : Fabric or None
        Whose protocols to use; None for one that costs nothing: no start-up, no steps, every byte once.
    seed : int
        For the choice among equally good ways.
    name : str
        What to call it.
    check : bool
        Whether to refuse a graph in which some card cannot reach some other. `findings` lists them otherwise.

    Raises
    ------
    TopologyError
        If something is wrong, as ``ELEMENT: what is wrong; what would be right``.
    """
    data = dict(graph.nodes(data=True))
    cards, others = _sorted_vertices(data)
    cards, placement = _server_by_server(graph, cards, data, {vertex: i for i, (vertex, _) in enumerate(others)})
    order = [*cards, *(vertex for vertex, _ in others)]
    number = {vertex: i for i, vertex in enumerate(order)}
    places = [place for _, place in others]
    first = tuple(np.cumsum([0, len(cards), *(places.count(place) for place in range(1, len(VERTEX_KINDS)))]).tolist())
    group, home = _nodes([data[vertex] for vertex in order], order, len(cards))
    edges = list(_edges(graph, number))
    if not edges:
        raise TopologyError("no edges: cards that nothing joins; write edges with bandwidth and latency")
    source, target = (np.array([edge[i] for edge in edges], np.int64) for i in (0, 1))
    rate, delay = (np.array([edge[i] for edge in edges], np.float64) for i in (2, 3))
    kind = kind_of_links(source, target, first, home)
    by_kind = np.argsort(kind, kind="stable")
    counts = np.bincount(kind, minlength=len(LINK_KINDS))
    found = GraphTopology(
        fabric=fabric or bare(name, group, float(rate.max())),
        cards=len(cards),
        group=group,
        seed=seed,
        placement=placement,
        first_vertex=first,
        first_edge=tuple(np.cumsum([0, *counts]).tolist()),
        source=source[by_kind],
        target=target[by_kind],
        rate=rate[by_kind],
        delay=delay[by_kind],
        home=home,
        names=tuple(str(vertex) for vertex in order),
    )
    if check:
        _check_reach(found)
    return found


def bare(name: str, group: int, rate: float) -> Fabric:
    """Make a fabric whose library costs nothing, for graphs that come without one."""
    protocol = Protocol("bare", startup=0.0, step_scale_up=0.0, step_network=0.0, wire=1.0, slices=1, share="max-min")
    return Fabric(
        name=name,
        title=f"{name}: a graph",
        path=name,
        card=Card("card", fp16_tflops=0.0, memory=0, memory_bandwidth=math.inf),
        domain=Domain("switch", group, (), 1, rate, 1.0, 0.0),
        nic=Nic(rate, 1.0, rate, 0.0),
        network=Network("graph", "as drawn", "graph", 0, None, 0.0, "hash"),
        protocols={"bare": ProtocolSet(protocol, {})},
    )


# -- vertices ----------------------------------------------------------------------------------------------


def _sorted_vertices(data: dict[Hashable, dict[str, Any]]) -> tuple[list[Hashable], list[tuple[Hashable, int]]]:
    """Cards by rank, and the others with their places, in the order of both."""
    stated = [vertex for vertex, values in data.items() if "kind" in values]
    if stated and len(stated) < len(data):
        silent = next(vertex for vertex in data if "kind" not in data[vertex])
        raise TopologyError(f'vertex {silent}: has no kind though others have; write kind = "card", or what it is')
    for vertex in stated:
        if not isinstance(data[vertex]["kind"], str):
            raise TopologyError(f'vertex {vertex}: kind = {data[vertex]["kind"]}: not a word; write "card" or "switch"')
    cards = [vertex for vertex, values in data.items() if values.get("kind", "card") == "card"]
    if not 2 <= len(cards) <= MOST_CARDS:
        raise TopologyError(
            f'{len(cards)} of {len(data)} vertices are cards: a collective needs 2 or more; write kind = "card" for them'
        )
    others = [
        (vertex, _OTHER if values["kind"] == "switch" and "node" not in values else _PLACES.get(values["kind"], _OTHER))
        for vertex, values in data.items()
        if values.get("kind", "card") != "card"
    ]
    others.sort(key=lambda pair: pair[1])
    return _by_rank(cards, data), others


def _by_rank(cards: list[Hashable], data: dict[Hashable, dict[str, Any]]) -> list[Hashable]:
    """Cards in the order of their ranks, or of the graph where none is stated."""
    ranked: dict[int, Hashable] = {}
    right = f"write each rank from 0 to {len(cards) - 1} once, or none at all"
    if not any("rank" in data[card] for card in cards):
        return cards
    for card in cards:
        rank = data[card].get("rank", "(missing)")
        if isinstance(rank, str) and rank.isdecimal():
            rank = int(rank)
        if isinstance(rank, bool) or not isinstance(rank, Integral) or not 0 <= int(rank) < len(cards):
            raise TopologyError(f"vertex {card}: rank = {rank}: not a rank of {len(cards)} cards; {right}")
        if int(rank) in ranked:
            raise TopologyError(f"vertex {card}: rank = {rank}: {ranked[int(rank)]} has it too; {right}")
        ranked[int(rank)] = card
    return [ranked[rank] for rank in range(len(cards))]


def _server_by_server(
    graph: "nx.Graph[Any]", cards: list[Hashable], data: dict[Hashable, dict[str, Any]], others: dict[Hashable, int]
) -> tuple[list[Hashable], Ints | None]:
    """Cards of a server next to each other, there in the order of their rails, and where each rank is then."""
    home = [data[card].get("node") for card in cards]
    if None in home or not all(map(_hashable, home)):
        return cards, None
    last = {node: rank for rank, node in enumerate(home)}
    size = Counter(home)
    if all(last[node] - rank < size[node] for rank, node in enumerate(home)):
        return cards, None
    first = {node: rank for rank, node in reversed(list(enumerate(home)))}
    most = max(size.values())
    seats = sorted(
        range(len(cards)),
        key=lambda rank: (size[home[rank]] < most, first[home[rank]], _rail(graph, cards[rank], data, others), rank),
    )
    return [cards[rank] for rank in seats], np.argsort(np.array(seats))


def _rail(
    graph: "nx.Graph[Any]", card: Hashable, data: dict[Hashable, dict[str, Any]], others: dict[Hashable, int]
) -> int:
    """Place of the switch between nodes that a card's NIC, or the card itself, is wired to; −1 for none."""
    ways = [vertex for vertex in graph[card] if vertex in others]
    nics = [vertex for vertex in ways if data[vertex].get("kind") == "nic"]
    beyond = [vertex for nic in nics for vertex in graph[nic] if vertex in others]
    return min((others[vertex] for vertex in ways + beyond if "node" not in data[vertex]), default=-1)


def _nodes(values: Sequence[dict[str, Any]], order: Sequence[Hashable], cards: int) -> tuple[int, Ints]:
    """Cards in a node, and the node of each vertex; cards without one are nodes of their own."""
    for vertex, attributes in zip(order, values, strict=True):
        if not _hashable(attributes.get("node")):
            raise TopologyError(
                f"vertex {vertex}: node = {attributes['node']}: not the name of a server; write a text or a number"
            )
    stated = [values[card].get("node") for card in range(cards)]
    home = np.full(len(order), -1)
    if all(node is None for node in stated):
        home[:cards] = np.arange(cards)
        return 1, home
    right = "all nodes but the last hold as many cards"
    numbers: dict[object, int] = {}
    for rank, node in enumerate(stated):
        if node is None:
            raise TopologyError(f"vertex {order[rank]}: has no node though other cards have; write node for every card")
        home[rank] = numbers.setdefault(node, len(numbers))
    for vertex in range(cards, len(order)):
        home[vertex] = numbers.get(values[vertex].get("node"), -1)
    sizes = np.bincount(home[:cards]).tolist()
    group = sizes[0]
    if any(size != group for size in sizes[:-1]) or sizes[-1] > group:
        names = list(numbers)
        wrong = next(i for i, size in enumerate(sizes) if size != group)
        raise TopologyError(f"node {names[wrong]}: {sizes[wrong]} cards, and node {names[0]} has {group}; {right}")
    return group, home


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


# -- edges -------------------------------------------------------------------------------------------------


def _edges(graph: "nx.Graph[Any]", number: dict[Hashable, int]) -> Iterator[tuple[int, int, float, float]]:
    """Directed links: both ends' numbers, bytes/s and seconds."""
    for a, b, values in graph.edges(data=True):
        what = f"edge {a} {'→' if graph.is_directed() else '–'} {b}"
        if a == b:
            raise TopologyError(f"{what}: leads back to where it begins; remove it")
        rate = _quantity(values, "bandwidth", what, parse_rate, 'bytes/s such as 25e9, or a text such as "25GB/s"')
        delay = _quantity(values, "latency", what, parse_time, 'seconds such as 1e-6, or a text such as "1us"')
        yield number[a], number[b], rate, delay
        if not graph.is_directed():
            yield number[b], number[a], rate, delay


def _quantity(values: dict[str, Any], key: str, what: str, parse: Callable[[str], float], right: str) -> float:
    """Read one attribute of an edge."""
    raw = values.get(key)
    if raw is None:
        raise TopologyError(f"{what}: has no {key}; write {right}")
    try:
        value = parse(raw) if isinstance(raw, str) else raw
    except UnitError as error:
        raise TopologyError(f"{what}: {key} = {raw}: {error.wrong}; {error.right}") from None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TopologyError(f"{what}: {key} = {raw}: not a quantity; write {right}")
    try:
        value = float(value)
    except OverflowError:
        raise TopologyError(f"{what}: {key}: a number of more than 308 digits; write {right}") from None
    if not math.isfinite(value) or value < 0 or (value == 0 and key == "bandwidth"):
        least = "larger than 0" if key == "bandwidth" else "0 or larger"
        raise TopologyError(f"{what}: {key} = {raw}: must be finite and {least}; write {right}")
    low, high, within = _RANGES[key]
    if not low <= value <= high:
        raise TopologyError(f"{what}: {key} = {raw}: must be {within}; write {right}")
    return value


def _check_reach(topology: GraphTopology) -> None:
    """Refuse a graph whose cards do not all reach each other."""
    for forth in (True, False):
        lost = np.flatnonzero(~reached(topology, 0, forth=forth)[: topology.cards])
        if len(lost):
            where = f"there is no way from {topology.name(0)}" if forth else f"there is no way to {topology.name(0)}"
            right = "add the edges that are missing, in a directed graph both directions"
            raise TopologyError(f"{topology.name(int(lost[0]))}: {where}; {right}")


def reached(topology: GraphTopology, start: int, *, forth: bool = True) -> np.ndarray:
    """Whether each vertex can be reached from `start` (or, backwards, can reach it), shape ``[vertices]``."""
    tail, head = topology.ends() if forth else topology.ends()[::-1]
    found = np.zeros(topology.vertices[-1], bool)
    found[start] = True
    while True:
        news = head[found[tail] & ~found[head]]
        if not len(news):
            return found
        found[news] = True


def kind_of_links(source: Ints, target: Ints, vertices: tuple[int, ...], home: Ints) -> Ints:
    """Kind of every link by what it joins, shape ``[links]``; `LINK` for what has no name of its own."""
    a, b = np.searchsorted(np.array(vertices[1:-1]), np.stack([source, target]), "right")
    card, switch, nic, leaf, spine, core = range(len(VERTEX_KINDS))
    found = np.full(len(source), LINK)
    for one, other, kind, back in (
        (card, nic, CARD_NIC, NIC_CARD), (nic, leaf, NIC_LEAF, LEAF_NIC), (leaf, spine, LEAF_SPINE, SPINE_LEAF),
        (spine, core, SPINE_CORE, CORE_SPINE), (leaf, leaf, LEAF_LEAF, LEAF_LEAF),
    ):  # fmt: skip
        found[(a == one) & (b == other)] = kind
        found[(a == other) & (b == one)] = back
    same = (home[source] == home[target]) & (home[source] >= 0)
    found[same & (found == LINK)] = LANE
    found[same & (a == card) & (b == switch)] = UP
    found[same & (a == switch) & (b == card)] = DOWN
    return found
