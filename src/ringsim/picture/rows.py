"""The cards below a network of tiers: few of them in a row with every lane, many as blocks in columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from ringsim.picture.node import wire
from ringsim.picture.scene import Disc, Frame, Note, Point, Scene, Square
from ringsim.picture.view import Ints, View

#: Cards, and nodes, that are drawn one by one; beyond, a column is one square.
MOST_CELLS, MOST_NODES = 2_600, 6_000
#: Inches: what columns may take in all, and how deep a column may be.
WIDE, DEEP = 11.4, 4.2


@dataclass
class Columns:
    """Which column each vertex is in, shape ``[vertices]``, and for switches which plane and pod; −1 for none."""

    of: Ints
    plane: Ints
    pod: Ints
    count: int


def open_nodes(view: View, columns: Columns, scene: Scene) -> tuple[list[Point], list[tuple[float, float]]]:
    """Every card in one row, lanes as arcs below it; returns the upper edge of each card and the span of each column."""
    topology = view.topology
    cards, group = topology.cards, topology.group
    gap = 0.9
    side = min(0.36, WIDE / (cards + gap * (topology.nodes - 1)))
    x = [(k + gap * (k // group) + 0.5) * side for k in range(cards)]
    text = side > 0.12
    for k in range(cards):
        scene.squares.append(Square(f"card-{k}", (x[k], 0.0), 0.88 * side, 0.88 * side, str(k) if text else ""))
    deep = min(1.0, 0.55 * group * side)
    thing = np.arange(topology.vertices[-1])
    for node in range(topology.nodes):
        mine = x[node * group : (node + 1) * group]
        low = -0.5 * side - deep - 0.08
        scene.frames.append(Frame((mine[0] - 0.72 * side, low), (mine[-1] + 0.72 * side, 0.72 * side), f"node {node}"))
        if topology.switches:
            middle = (mine[0] + mine[-1]) / 2
            half = max(0.12, (mine[-1] - mine[0]) / 2)
            scene.discs.append(Disc(f"switch-{node}", (middle, low + 0.2), 0.1, half, "switch"))
    switch, nic = topology.vertices[1:3]
    for bundle in view.bundles(np.where(thing < nic, thing, -1)):
        a, b = x[bundle.a], x[bundle.b] if bundle.b < cards else x[bundle.a]
        if bundle.b >= switch:
            path = [(a, -0.44 * side), (a, -0.5 * side - deep + 0.22)]
        else:
            sag = deep * abs(b - a) / max(side, (group - 1) * side)
            path = [(a, -0.44 * side), ((a + b) / 2, -0.44 * side - 2 * sag + 0.08), (b, -0.44 * side)]
        scene.wires.append(wire(bundle, path))
    spans = []
    for column in range(columns.count):
        mine = [x[k] for k in np.flatnonzero(columns.of[:cards] == column)]
        spans.append((mine[0] - side / 2, mine[-1] + side / 2))
    margin(scene, spans, -0.3 * deep, f"{topology.nodes:,} nodes", f"of {group} cards")
    return [(at, 0.44 * side) for at in x], spans


def blocks(view: View, columns: Columns, scene: Scene) -> tuple[list[Point], list[tuple[float, float]]]:
    """Nodes as blocks of cards, or as squares; returns nothing for cards and the span of each column."""
    topology = view.topology
    cards, group = topology.cards, topology.group
    node = np.arange(cards) // topology.group
    mine = [np.unique(node[columns.of[:cards] == column]) for column in range(columns.count)]
    single = cards > MOST_CELLS
    whole = topology.nodes > MOST_NODES
    across = 1 if single else max(1, ceil((2 * group) ** 0.5)) if group > 2 else group
    down = 1 if single else ceil(group / across)
    between = 0.16 if single else 0.55
    gap = 0.3 if columns.count <= 8 else 0.14 if columns.count <= 20 else 0.08
    pad = 0.06 if columns.count <= 8 else 0.03
    numbers = 0.26 if not single and columns.count <= 8 and group > 2 else 0.0
    room = (WIDE - gap * (columns.count - 1)) / columns.count - numbers - 2 * pad
    most = 1 if whole else max(map(len, mine))
    side, wide = max(
        (
            min(0.34, room / (k * (across + between)), DEEP / (ceil(most / k) * (down + between))),
            -k,
        )
        for k in range(1, most + 1)
    )
    wide = -wide
    column_wide = max(wide * (across + between) * side + 2 * pad + numbers, 0.2)
    everyone = np.arange(topology.vertices[-1])
    per = np.where(everyone < cards, everyone if not single else everyone // group, -1)
    if whole:
        per = np.where(everyone < cards, columns.of, -1)
    cells = columns.count if whole else topology.nodes if single else cards
    inside, its = view.busiest(per, cells, view.scale_up)
    plug, of_plug = view.busiest(per, cells, view.plugs)
    spans, bottom = [], 0.0
    for column in range(columns.count):
        x0 = column * (column_wide + gap)
        spans.append((x0, x0 + column_wide))
        blocks = [column] if whole else mine[column].tolist()
        rows = ceil(len(blocks) / wide)
        low = -(rows * (down + between) * side + 2 * pad)
        bottom = min(bottom, low)
        for k, block in enumerate(blocks):
            row, at = divmod(k, wide)
            left = x0 + pad + numbers + (at * (across + between) + between / 2) * side
            top = -pad - (row * (down + between) + between / 2) * side
            if numbers and not at:
                scene.notes.append(Note((left - 0.06, top - down * side / 2), f"{block * group:,}", "right", size=5.5))
            for cell, name, place in _cells(block, group, cards, single, across, whole):
                x, y = left + (place[0] + 0.5) * side, top - (place[1] + 0.5) * side
                text = str(cell) if side > 0.2 and not whole else ""
                scene.squares.append(
                    Square(
                        name, (x, y), 0.88 * side, 0.88 * side, text, float(inside[cell]), strip=float(plug[cell]),
                        link=int(its[cell]) if inside[cell] >= plug[cell] else int(of_plug[cell]),
                    )
                )  # fmt: skip
        first, last = (int(k) for k in np.flatnonzero(columns.of[:cards] == column)[[0, -1]])
        label = f"cards {first:,}–{last:,}" if columns.count == 1 or column_wide > 0.9 else f"{first:,}"
        if columns.count > 16 and column_wide < 0.42 and column % ceil(0.42 / column_wide):
            label = ""
        scene.frames.append(Frame((x0, low), (x0 + column_wide, 0.0), label))
    size = f"of {group} cards"
    if columns.count > 1 and column_wide <= 0.9:
        size += "\nbelow: first card"
    margin(scene, spans, min(bottom / 2, -0.3), f"{topology.nodes:,} nodes", size)
    what = "the nodes of a column" if whole else "a node" if single else "a card"
    if view.loaded:
        scene.key.append(f"square: {what}, coloured by its busiest link in the node, above by its NIC")
    else:
        scene.key.append(f"square: {what}")
    return [], spans


def _cells(
    block: int, group: int, cards: int, single: bool, across: int, whole: bool
) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Number, name and place in its block of every square of a node."""
    if single:
        yield block, f"{'nodes' if whole else 'node'}-{block}", (0, 0)
        return
    for k, card in enumerate(range(block * group, min(cards, (block + 1) * group))):
        yield card, f"card-{card}", (k % across, k // across)


def margin(scene: Scene, spans: list[tuple[float, float]], y: float, name: str, detail: str) -> None:
    """Write in the left margin what stands at a height."""
    x = spans[0][0] - 0.22
    if name:
        scene.notes.append(Note((x, y + (0.08 if detail else 0)), name, "right", strong=True, size=8))
    if detail:
        scene.notes.append(Note((x, y - (0.08 if name else 0) - 0.06 * detail.count("\n")), detail, "right", size=7))
