"""One node: its cards on a circle with their lanes or their switch in the middle, or in a grid."""

from math import ceil, cos, pi, sin

import numpy as np

from ringsim.picture.grid import box
from ringsim.picture.scene import Disc, Frame, Note, Point, Scene, Square, Wire
from ringsim.picture.view import Bundle, View
from ringsim.units import format_rate

#: Cards around one switch; more are a block below a bar.
MOST_AROUND = 40
#: Cards on a circle of lanes that are still told apart.
MOST_CIRCLED = 2_000
#: Cards in a block below a switch that are drawn one by one.
MOST_CELLS = 2_600


def wire(bundle: Bundle, path: list[Point]) -> Wire:
    """Lay a bundle along a path from its first to its second thing."""
    return Wire(
        path, bundle.rate, bundle.cables, bundle.there, bundle.back, bundle.link, bundle.scale_up, bundle.one_way
    )


def node(view: View) -> Scene:
    """Lay out a cluster that is one node."""
    topology = view.topology
    if len(topology.shape) > 1:
        return box(view, topology.shape, np.arange(topology.vertices[-1]))
    if topology.switches:
        return _hub(view) if topology.cards <= MOST_AROUND else _under_a_bar(view)
    if topology.cards > MOST_CIRCLED:
        return box(view, (topology.cards,), np.arange(topology.vertices[-1]))
    return _circle(view)


def _around(cards: int, radius: float) -> list[Point]:
    """Places on a circle, the first card on top and the others clockwise."""
    return [(radius * sin(2 * pi * k / cards), radius * cos(2 * pi * k / cards)) for k in range(cards)]


def _sizes(cards: int) -> tuple[float, float]:
    """Radius of the circle and side of a card on it."""
    radius = min(3.7, max(1.7, 0.62 * cards / (2 * pi)))
    return radius, min(0.42, 0.74 * 2 * pi * radius / cards)


def _circle(view: View) -> Scene:
    topology = view.topology
    radius, side = _sizes(topology.cards)
    places = _around(topology.cards, radius)
    scene = Scene()
    upright = topology.cards <= MOST_AROUND
    for rank, at in enumerate(places):
        turn = 0.0 if upright else -2 * pi * rank / topology.cards
        scene.squares.append(Square(f"card-{rank}", at, side, side, str(rank) if upright else "", angle=turn))
    if not upright:
        step = max(1, topology.cards // 32)
        for rank in range(0, topology.cards, step):
            x, y = (c * (1 + (side / 2 + 0.14) / radius) for c in places[rank])
            scene.notes.append(Note((x, y), str(rank), size=6))
    for bundle in view.bundles(np.arange(topology.vertices[-1])):
        scene.wires.append(wire(bundle, [places[bundle.a], places[bundle.b]]))
    return scene


def _hub(view: View) -> Scene:
    topology = view.topology
    radius, side = _sizes(topology.cards)
    places = [*_around(topology.cards, radius), (0.0, 0.0)]
    scene = Scene(discs=[Disc("switch-0", (0.0, 0.0), 0.42, text="switch")])
    for rank in range(topology.cards):
        scene.squares.append(Square(f"card-{rank}", places[rank], side, side, str(rank)))
    for bundle in view.bundles(np.arange(topology.vertices[-1])):
        scene.wires.append(wire(bundle, [places[bundle.a], places[bundle.b]]))
    return scene


def _under_a_bar(view: View) -> Scene:
    """Many cards behind one switch: rows of cards, coloured by their own link, server after server."""
    topology = view.topology
    cards, server = topology.cards, max(1, topology.server_size)
    cells = cards if cards <= MOST_CELLS else -(-cards // server)
    group = np.full(topology.vertices[-1], -1)
    group[:cards] = np.arange(cards) if cells == cards else np.arange(cards) // server
    load, link = view.busiest(group, cells, view.scale_up)
    tall = server if cells == cards and 1 < server <= 16 and cards > server else max(1, ceil((cells / 2.2) ** 0.5))
    wide = ceil(cells / tall)
    side, rows = max((min(0.28, 11.0 / ceil(wide / k), 5.0 / (k * (tall + 0.8))), -k) for k in range(1, wide + 1))
    rows = -rows
    per_row = ceil(wide / rows)
    scene = Scene()
    what = "card" if cells == cards else "server"
    for cell in range(cells):
        column, down = divmod(cell, tall)
        row, x = divmod(column, per_row)
        at = ((x + 0.5) * side, -(row * (tall + 0.8) + down + 0.5) * side)
        text = str(cell) if side > 0.2 else ""
        scene.squares.append(
            Square(f"{what}-{cell}", at, 0.86 * side, 0.86 * side, text, float(load[cell]), link=int(link[cell]))
        )
    width = per_row * side
    scene.frames.append(Frame((-0.1, -rows * (tall + 0.8) * side + 0.6 * side), (width + 0.1, 0.1), f"{cards:,} cards"))
    scene.discs.append(Disc("switch-0", (width / 2, 0.85), 0.16, max(1.0, width / 2), "one scale-up switch"))
    rate = float(topology.bandwidth[0])
    scene.notes.append(
        Note((width / 2 + 0.35, 0.42), f"{cards:,} × {format_rate(rate)} each way", align="left", size=7.5)
    )
    both = view.busiest(np.where(np.arange(topology.vertices[-1]) < cards, 0, -1), 1, view.scale_up)
    top, first = float(both[0][0]), int(both[1][0])
    scene.wires.append(Wire([(width / 2, 0.1), (width / 2, 0.69)], rate * cards, cards, top, top, max(first, 0), True))
    columns = f", a column is a server of {server}" if tall == server else ""
    scene.key.append(f"square: a {what}, coloured by its link to the switch{columns}")
    return scene
