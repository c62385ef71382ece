"""What might help a cluster that is a graph: the same graph with some of its links made better.

The graph that was read is copied and only attributes of edges are written over: vertices and edges keep their order, on
which the choice among equally good ways depends, so a copy with nothing changed takes exactly as long.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringsim.explain import evidence
from ringsim.explain.changes import (
    Change,
    changed,
    coding,
    faster_library,
    halved_software,
    more_channels,
)
from ringsim.explain.evidence import of_kinds, used
from ringsim.explain.subject import Subject
from ringsim.question import StudyError
from ringsim.report import WORDS
from ringsim.topology import LINK_KINDS, from_graph
from ringsim.topology.files import read_graph

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: A link is slower than most of its kind if it has less than this part of their rate.
SLOW = 1 - 1e-6


@dataclass(frozen=True, eq=False)
class Drawing:
    """A NetworkX graph, and which of its edges became which link."""

    graph: Any

    @cached_property
    def edge(self) -> Ints:
        """Edge of each link of the topology, in the order of the graph, shape ``[links]``."""
        # A copy in which the bandwidth of each edge is its number says where every link came from.
        marked = self.graph.copy()
        for i, (_, _, values) in enumerate(marked.edges(data=True)):
            values["bandwidth"] = float(i + 1)
        found: Ints = from_graph(marked, check=False).bandwidth.astype(np.int64) - 1
        return found

    def with_links(self, attribute: str, links: Ints, values: Floats) -> Any:
        """Copy the graph with another ``bandwidth`` or ``latency`` of some links.

        Parameters
        ----------
        attribute : str
        links : int array
        values : float array of the same shape
            An undirected edge is two links; it gets the larger value.
        """
        copy = self.graph.copy()
        edges = [attributes for _, _, attributes in copy.edges(data=True)]
        for link, value in sorted(zip(links.tolist(), values.tolist(), strict=True), key=lambda pair: pair[1]):
            edges[self.edge[link]][attribute] = value
        return copy


def drawing(graph: Any) -> Drawing:
    """Take a graph as a question has it, an object or the name of a file."""
    return Drawing(read_graph(Path(graph)) if isinstance(graph, str) else graph)


def graph_changes(subject: Subject) -> Iterator[Change]:
    """List what could be changed in a cluster that is a graph."""
    yield from more_channels(subject)
    drawn, topology = drawing(subject.question.graph), subject.topology
    kinds = _kinds(subject)
    repaired: list[tuple[Ints, Floats]] = []
    for name, group in kinds.items():
        links = of_kinds(subject, group)
        typical = _medians(topology.kind[links], topology.bandwidth[links])
        slow = topology.bandwidth[links] < typical * SLOW
        if slow.any():
            repaired.append((links[slow], typical[slow]))
            yield _repair(subject, drawn, f"slow {name} as fast as most", *repaired[-1])
    if len(repaired) > 1:
        links, typical = (np.concatenate([pair[i] for pair in repaired]) for i in (0, 1))
        yield _repair(subject, drawn, "all slow links as fast as most of their kind", links, typical)
    for name, group in kinds.items():
        yield _doubled(subject, drawn, f"{name} twice as fast", group, evidence.busiest(subject, group))
    if len(kinds) > 1:
        every = tuple(kind for group in kinds.values() for kind in group)
        yield _doubled(subject, drawn, "all links twice as fast", every, evidence.everything(subject))
    yield from faster_library(subject) if subject.question.fabric is not None else ()
    yield from coding(subject)
    software = halved_software(subject) if subject.question.fabric is not None else {}
    if topology.latency.any() or software:
        graph = drawn.with_links("latency", np.arange(topology.links), topology.latency / 2)
        question = changed(replace(subject.question, graph=graph), software)
        what = "all latencies and software steps halved" if software else "all latencies halved"
        yield Change(what, question, evidence.latency(subject))


def _repair(subject: Subject, drawn: Drawing, what: str, links: Ints, typical: Floats) -> Change:
    """Make some slow links as fast as is usual."""
    question = replace(subject.question, graph=drawn.with_links("bandwidth", links, typical))
    improves = frozenset(subject.topology.kind[links].tolist())
    return Change(what, question, evidence.slow(subject, links, typical), improves, partly=True)


def _doubled(subject: Subject, drawn: Drawing, what: str, kinds: tuple[int, ...], seen: str) -> Change:
    """Make all links of some kinds twice as fast."""
    links = of_kinds(subject, kinds)
    graph = drawn.with_links("bandwidth", links, 2 * subject.topology.bandwidth[links])
    return Change(what, replace(subject.question, graph=graph), seen, frozenset(kinds))


def _kinds(subject: Subject) -> dict[str, tuple[int, ...]]:
    """Kinds of links that are in use, by what people call them."""
    found: dict[str, tuple[int, ...]] = {}
    for kind in np.unique(subject.topology.kind).tolist():
        name = WORDS[LINK_KINDS[kind]]
        found[name] = (*found.get(name, ()), kind)
    return {name: group for name, group in found.items() if used(subject, group)}


def _medians(kind: NDArray[np.int8], rates: Floats) -> Floats:
    """Median rate of each link's own kind, the lower of two, shape like `rates`."""
    found = np.empty(len(rates))
    for one in np.unique(kind):
        found[kind == one] = np.quantile(rates[kind == one], 0.5, method="lower")
    return found


def save_graph(graph: Any, target: str | Path) -> None:
    """Write a graph as node-link JSON, so that ``--graph`` reads the same cluster.

    Raises
    ------
    StudyError
        If a vertex has a name that JSON cannot hold.
    OSError
        If the file cannot be written.
    """
    for vertex in graph:
        if isinstance(vertex, bool) or not isinstance(vertex, (str, int, float)):
            raise StudyError(f"vertex {vertex}: a file holds only names that are words or numbers; relabel the graph")
    nodes = [{"id": vertex} | values for vertex, values in graph.nodes(data=True)]
    links = [{"source": a, "target": b} | values for a, b, values in graph.edges(data=True)]
    document = {"directed": graph.is_directed(), "multigraph": graph.is_multigraph(), "nodes": nodes, "links": links}
    text = json.dumps(document, indent=1, default=lambda value: value.item())
    Path(target).write_text(text + "\n", encoding="utf-8")
