"""Dragonflies: groups on a circle, each a small circle of switches with its cards outside."""

from math import ceil, cos, hypot, pi, sin

import numpy as np

from ringsim.picture.node import wire
from ringsim.picture.scene import Disc, Note, Point, Scene, Square
from ringsim.picture.view import Ints, View
from ringsim.topology import LEAF_LEAF
from ringsim.units import format_rate

#: Groups that are drawn with their switches, and cards that are drawn one by one.
MOST_GROUPS, MOST_CELLS = 40, 2_600
#: Inches from the middle to the groups, at most.
RADIUS = 3.3


def groups(view: View) -> Scene:
    """Lay out a dragonfly."""
    topology = view.topology
    leaf, beyond = topology.vertices[3:5]
    size = topology.fabric.network.group_switches or 1
    count = ceil((beyond - leaf) / size)
    switch = np.full(topology.vertices[-1], -1)
    switch[leaf:beyond] = np.arange(beyond - leaf)
    own = np.zeros(topology.cards, np.int64)
    source, target = view.ends
    plugged = view.plugs & (source < topology.cards)
    own[source[plugged]] = switch[target[plugged]]
    scene = Scene()
    if count > MOST_GROUPS:
        _coarse(view, scene, switch, own, size, count)
    else:
        _fine(view, scene, switch, own, size, count)
    cables = int((topology.kind == LEAF_LEAF).sum()) // 2
    rate = float(topology.bandwidth[topology.kind == LEAF_LEAF][0]) if cables else 0.0
    if cables:
        scene.key.append(f"{cables:,} cables between switches, {format_rate(rate)} each way")
    return scene


def _ring(count: int, k: float, radius: float) -> Point:
    """Place on a circle, the first on top and the others clockwise."""
    turn = 2 * pi * k / max(1, count)
    return radius * sin(turn), radius * cos(turn)


def _fine(view: View, scene: Scene, switch: Ints, own: Ints, size: int, count: int) -> None:
    topology = view.topology
    most = int(np.bincount(own).max())
    size = size if count > 1 else int(switch.max()) + 1
    # The circle of groups, the circle of a group's switches, and rows of cards outside, as large as they fit.
    radius = 0.0 if count == 1 else RADIUS if count <= 12 else 1.25 * RADIUS
    reach = min(2.3, 0.95 * radius * sin(pi / count)) if count > 1 else 2.6
    inner = 0.52 * reach if size > 1 else 0.0
    disc = min(0.17, 0.62 * inner * sin(pi / max(3, size))) if size > 1 else 0.2
    across = max(1, ceil((most / 2.5) ** 0.5))
    round_about = 2 * pi * (inner + disc) / size * 0.85
    cell = min(0.24, round_about / across, (reach - inner - disc) / (ceil(most / across) + 0.4))
    everyone = np.arange(topology.vertices[-1])
    cards = np.where(everyone < topology.cards, everyone, -1)
    inside, its = view.busiest(cards, topology.cards, view.scale_up)
    plug, of_plug = view.busiest(cards, topology.cards, view.plugs)
    places: dict[int, Point] = {}
    for number in range(int(switch.max()) + 1):
        group, place = divmod(number, size)
        cx, cy = _ring(count, group, radius)
        # Turned so that a group's first switch looks outwards.
        dx, dy = _ring(size, place + size * group / count, inner) if size > 1 else _ring(count, group, 1e-6)
        places[number] = cx + dx, cy + dy
        scene.discs.append(Disc(f"switch-{number}", places[number], disc, text=str(number)))
        long = hypot(dx, dy) or 1.0
        ox, oy = dx / long, dy / long
        for k, card in enumerate(np.flatnonzero(own == number).tolist() if topology.cards <= MOST_CELLS else []):
            out, beside = divmod(k, across)
            r, t = disc + (out + 0.85) * cell, (beside - (across - 1) / 2) * cell
            at = (cx + dx + ox * r + oy * t, cy + dy + oy * r - ox * t)
            turn = -2 * pi * (place / size + group / count) if cell < 0.14 else 0.0
            scene.squares.append(
                Square(
                    f"card-{card}", at, 0.86 * cell, 0.86 * cell, str(card) if cell >= 0.14 else "", float(inside[card]),
                    strip=float(plug[card]), angle=turn,
                    link=int(its[card]) if inside[card] >= plug[card] else int(of_plug[card]),
                )
            )  # fmt: skip
    if count > 1:
        for group in range(count):
            scene.notes.append(Note(_ring(count, group, radius), f"{group}", strong=True, size=8 if inner > 0.3 else 6))
    for bundle in view.bundles(switch, topology.kind == LEAF_LEAF):
        a, b = places[bundle.a], places[bundle.b]
        path = [a, b]
        if bundle.a // size != bundle.b // size:
            middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
            part = 0.8 - 0.5 * hypot(a[0] - b[0], a[1] - b[1]) / (2 * radius)
            path = [a, (middle[0] * part, middle[1] * part), b]
        scene.wires.append(wire(bundle, path))
    what = ", coloured by its busiest link in the node, above by its NIC" if view.loaded else ""
    scene.key.append(f"circle: a switch; square: a card{what}")


def _coarse(view: View, scene: Scene, switch: Ints, own: Ints, size: int, count: int) -> None:
    """Many groups: one disc each, and one line for all cables between two of them."""
    topology = view.topology
    radius = RADIUS
    disc = min(0.2, 0.8 * radius * sin(pi / count))
    group = np.where(switch >= 0, switch // size, -1)
    group[: topology.cards] = own // size
    load, link = view.busiest(group, count, view.scale_up | view.plugs)
    places = [_ring(count, k, radius) for k in range(count)]
    for k, at in enumerate(places):
        text = str(k) if disc > 0.08 else ""
        scene.squares.append(
            Square(
                f"group-{k}",
                at,
                1.6 * disc,
                1.6 * disc,
                text,
                float(load[k]),
                link=int(link[k]),
                angle=-2 * pi * k / count if disc <= 0.08 else 0.0,
            )
        )
    for bundle in view.bundles(group, topology.kind == LEAF_LEAF):
        a, b = places[bundle.a], places[bundle.b]
        scene.wires.append(wire(bundle, [a, (0.18 * (a[0] + b[0]), 0.18 * (a[1] + b[1])), b]))
    what = ", coloured by the busiest link of its cards" if view.loaded else ""
    scene.key.append(f"square: a group of {size} switches{what}; a line: all cables between two groups")
