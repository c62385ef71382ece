"""Networks that nobody drew on purpose, and how near to the bound an all-reduce comes on them.

Command::

    python benchmarks/irregular_graphs.py

Twenty graphs of 8 to 64 cards, the same ones every time: cards strewn over a square, random regular graphs with
unequal cables, trees of switches with extra cables, two halls with thin cables between them, tori and fat-trees with
cables missing, NICs of several speeds. Software costs nothing there, so what is seen is the network. For each graph and
size the table has the bound, the winner, and the times of a ring in the order of the ranks and of every other algorithm
at its defaults (empty where its busiest link alone takes longer than the winner).
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click
import networkx as nx
import numpy as np

from plots import figure, save
from ringsim import __version__, study, topology
from ringsim.collectives import ALGORITHMS
from ringsim.study import Question
from sweep import RESULTS, Row, Table, progress

HELP = """Example: python benchmarks/irregular_graphs.py --out /tmp/sweep

Find the fastest algorithm on twenty irregular graphs for three sizes, and draw how near it and a plain ring come to the
bound. Goes on where an interrupted run stopped.
"""

SIZES = {"1 MiB": 2**20, "64 MiB": 2**26, "1 GiB": 2**30}
COUNT = 20

# -- the graphs ------------------------------------------------------------------------------------------------

Random = np.random.Generator
Cable = Callable[[Any, Any, float, float], None]


def _empty(cards: int, **others: list[str]) -> tuple[nx.Graph, Cable]:
    """Cards and switches, and what lays a cable of so many GB/s and microseconds between two of them."""
    graph = nx.Graph()
    graph.add_nodes_from(range(cards), kind="card")
    for kind, names in others.items():
        graph.add_nodes_from(names, kind=kind)

    def cable(a: Any, b: Any, rate: float, delay: float) -> None:
        graph.add_edge(a, b, bandwidth=rate * 1e9, latency=delay * 1e-6)

    return graph, cable


def _lose(random: Random, graph: nx.Graph, cables: list[tuple[Any, Any]]) -> nx.Graph:
    """Cut one in eight of some cables, but none that the graph would fall apart without."""
    for i in random.permutation(len(cables))[: max(1, len(cables) // 8)].tolist():
        values = dict(graph.edges[cables[i]])
        graph.remove_edge(*cables[i])
        if not nx.is_connected(graph):
            graph.add_edge(*cables[i], **values)
    return graph


def strewn(random: Random) -> nx.Graph:
    """Cards strewn over a square, each joined to those nearby; long cables take longer."""
    cards = int(random.integers(12, 49))
    graph, cable = _empty(cards)
    place = random.random((cards, 2))
    apart = np.linalg.norm(place[:, None] - place, axis=2)
    near = {(a, b) for a in range(cards) for b in range(a) if apart[a, b] < 1.5 / cards**0.5}
    whole = nx.Graph((a, b, {"weight": apart[a, b]}) for a in range(cards) for b in range(a))
    for a, b in sorted(near | {(max(edge), min(edge)) for edge in nx.minimum_spanning_edges(whole, data=False)}):
        cable(a, b, float(random.choice([25, 50, 100])), 0.3 + 2 * float(apart[a, b]))
    return graph


def regular(random: Random) -> nx.Graph:
    """Equally many cables at every card, of three speeds."""
    cards, degree = 2 * int(random.integers(4, 33)), int(random.choice([3, 4, 6]))
    drawn = nx.Graph()
    while not (drawn and nx.is_connected(drawn)):
        drawn = nx.random_regular_graph(degree, cards, seed=int(random.integers(2**31)))
    graph, cable = _empty(cards)
    for a, b in sorted(sorted(edge) for edge in drawn.edges):
        cable(a, b, float(random.choice([12.5, 25, 50])), 0.5)
    return graph


def switches(random: Random) -> nx.Graph:
    """A tree of switches with a few cables more, and cards at any of them."""
    cards, count = int(random.integers(12, 65)), int(random.integers(4, 11))
    names = [f"s{i}" for i in range(count)]
    graph, cable = _empty(cards, switch=names)
    for i in range(1, count):
        cable(names[i], names[int(random.integers(i))], float(random.choice([50, 100, 200])), 0.3)
    for _ in range(count // 2):
        a, b = random.choice(count, 2, replace=False)
        cable(names[a], names[b], float(random.choice([50, 100])), 0.3)
    for card in range(cards):
        cable(card, names[int(random.integers(count))], 25, 0.5)
    return graph


def halls(random: Random) -> nx.Graph:
    """Two halls of switches with one to three thin cables between them; ranks are dealt out to both."""
    cards, sizes = 2 * int(random.integers(6, 25)), random.integers(2, 5, 2).tolist()
    inside = [[f"h{hall}s{i}" for i in range(size)] for hall, size in enumerate(sizes)]
    graph, cable = _empty(cards, switch=[name for names in inside for name in names])
    for hall, names in enumerate(inside):
        for i, name in enumerate(names):
            for other in names[:i]:
                cable(name, other, 100, 0.3)
        for card in range(hall, cards, 2):
            cable(card, names[int(random.integers(len(names)))], 25, 0.5)
    for _ in range(int(random.integers(1, 4))):
        a, b = (names[int(random.integers(2))] for names in inside)
        cable(a, b, float(random.choice([12.5, 25])), 5)
    return graph


def torus(random: Random) -> nx.Graph:
    """A torus of cards that has lost cables."""
    high, wide = random.integers(3, 9, 2).tolist()
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(high, wide, periodic=True), ordering="sorted")
    graph, cable = _empty(high * wide)
    for a, b in sorted(sorted(edge) for edge in grid.edges):
        cable(a, b, 50, 0.5)
    return _lose(random, graph, list(graph.edges))


def fat_tree(random: Random) -> nx.Graph:
    """Leaves and spines, some cables between them failed."""
    leaves, each, spines = (int(random.integers(low, high)) for low, high in ((3, 9), (3, 9), (2, 5)))
    low, high = [f"leaf{i}" for i in range(leaves)], [f"spine{i}" for i in range(spines)]
    graph, cable = _empty(leaves * each, leaf=low, spine=high)
    for card in range(leaves * each):
        cable(card, low[card // each], 25, 0.5)
    between = [(a, b) for a in low for b in high]
    for a, b in between:
        cable(a, b, 25 * max(1, each // spines), 0.3)
    return _lose(random, graph, between)


def nics(random: Random) -> nx.Graph:
    """NICs of three speeds at switches that are fast enough for all of them."""
    cards = 8 * int(random.integers(1, 9))
    names = [f"s{i}" for i in range(max(2, cards // 16))]
    graph, cable = _empty(cards, switch=[*names, "top"])
    for name in names:
        cable(name, "top", 400, 0.3)
    for card in range(cards):
        cable(card, names[int(random.integers(len(names)))], float(random.choice([12.5, 25, 50])), 0.5)
    return graph


FAMILIES = (strewn, regular, switches, halls, torus, fat_tree, nics)


def graphs() -> dict[str, nx.Graph]:
    """All of them by name, the families in turn."""
    found = {}
    for i in range(COUNT):
        number, family = divmod(i, len(FAMILIES))
        make = FAMILIES[family]
        found[f"{make.__name__.replace('_', '-')} {number + 1}"] = make(np.random.default_rng([family, number]))
    return found


# -- the table -------------------------------------------------------------------------------------------------


class Graphs(Table):
    """A table whose questions are about graphs, which have no name that could be written down."""

    def look(self, name: str, graph: nx.Graph, size: int) -> Row:
        """Return the row of one graph and size, from the table or, where it lacks it, from simulations."""
        hardware = topology.from_graph(graph).fingerprint()
        key = f"{hardware[:16]}-{size}"
        if key not in self.rows:
            every, ring = (study.answer(Question(None, None, size, graph=graph, algorithm=a)) for a in ("all", "ring"))
            best, times = every.best, {c.case.algorithm: c.time_us for c in (*every.candidates, ring.best)}
            self.simulated += 1
            self.append(
                {
                    "question_id": key, "series": name, "version": __version__, "id": best.case.id(),
                    "fingerprint": hardware, "cards": best.case.cards, "links": every.topology.links, "bytes": size,
                    "bound_us": best.bound_us, "ring_us": times["ring"], "time_us": best.time_us,
                    "reached": best.reached, "algorithm": best.case.algorithm, "channels": best.case.channels,
                    "pieces": best.case.pieces,
                }
                | {f"{algorithm}_us": times.get(algorithm) for algorithm in ALGORITHMS if algorithm != "ring"}
            )  # fmt: skip
        return self.rows[key]


def text(rows: list[Row]) -> list[str]:
    """Medians of the part of the bound that is reached, and of what is left to it, in Markdown."""
    lines = ["| size | ring in rank order | fastest of all | gap to the bound | winners |", "|---|---:|---:|---:|---|"]
    for name, size in SIZES.items():
        some = [row for row in rows if row["bytes"] == size]
        ring, best = (median(row["bound_us"] / row[time] for row in some) for time in ("ring_us", "time_us"))
        winners = ", ".join(f"{who} {count}" for who, count in Counter(row["algorithm"] for row in some).most_common())
        lines.append(f"| {name} | {ring:.1%} | {best:.1%} | {1 / best - 1:.1%} | {winners} |")
    return lines


def plot(rows: list[Row], picture: Path) -> None:
    fig, panels = figure(len(SIZES), height=5.0)
    for (name, size), axes in zip(SIZES.items(), panels, strict=True):
        some = [row for row in rows if row["bytes"] == size][::-1]
        place = range(len(some))
        for time, mark, colour, label in (
            ("ring_us", "o", "#0072B2", "ring in rank order"), ("time_us", "D", "#D55E00", "fastest of all"),
        ):  # fmt: skip
            axes.plot([100 * row["bound_us"] / row[time] for row in some], place, mark, color=colour, label=label)
        axes.set_yticks(place, [row["series"] for row in some])
        axes.set_xlim(0, 103)
        axes.set_xlabel("part of the bound, %")
        axes.set_title(name)
    panels[0].legend(frameon=False, loc="lower right")
    save(fig, picture)


@click.command(help=HELP)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, metavar="FOLDER",
              show_default="benchmarks/results", help="Where the table and the picture are.")  # fmt: skip
@click.option("--quick", is_flag=True, help="Three of the graphs, to try it out.")
@click.option("--plot-only", is_flag=True, help="Simulate nothing: draw what the table holds.")
def main(out: Path, quick: bool, plot_only: bool) -> None:
    table = Graphs(out / "irregular_graphs.csv")
    if not plot_only:
        drawn = graphs()
        table.keep({topology.from_graph(graph).fingerprint() for graph in drawn.values()})
        if quick:
            drawn = {name: drawn[name] for name in list(drawn)[4:7]}
        with progress([(name, size) for name in drawn for size in SIZES.values()], "graphs") as bar:
            for name, size in bar:
                table.look(name, drawn[name], size)
    rows = list(table.rows.values())
    if not rows:
        raise click.ClickException(f"{table.path}: no such table; run without --plot-only to fill it")
    for line in text(rows):
        click.echo(line)
    plot(rows, out / "irregular_graphs.png")
    click.echo(f"{table.path}: {len(rows)} cases, {table.simulated} of them simulated now")


if __name__ == "__main__":
    main()
