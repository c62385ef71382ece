"""Tori: sites in a box seen from the front, the third side going back to the upper right.

What joins the ends of a side round the back is drawn as a stub at both ends.
"""

from math import ceil, prod

import numpy as np

from ringsim.picture.scene import Disc, Point, Scene, Square, Wire
from ringsim.picture.view import Ints, View

#: Sites that are drawn with their cards; beyond, a site is one square.
MOST_CELLS = 2_600
#: Inches that a box may take.
WIDE, HIGH = 11.5, 6.6


def grid(view: View) -> Scene:
    """Lay out a torus of nodes, each with the router that its NICs plug into."""
    topology = view.topology
    shape: tuple[int, ...] = getattr(getattr(topology, "network", None), "shape", ()) or (topology.nodes,)
    thing = np.full(topology.vertices[-1], -1)
    thing[: topology.cards] = np.arange(topology.cards) // topology.group
    low, high = topology.vertices[3:5]
    thing[low:high] = np.arange(high - low)
    return box(view, shape, thing)


def box(view: View, shape: tuple[int, ...], thing: Ints) -> Scene:
    """Lay out sites in a box.

    Parameters
    ----------
    view : View
    shape : tuple of int
        Sites along each side, the last one counted fastest.
    thing : int array, shape ``[vertices]``
        Site of each vertex.
    """
    topology = view.topology
    sites = prod(shape)
    cards = [np.flatnonzero(thing[: topology.cards] == site) for site in range(sites)] if sites <= MOST_CELLS else []
    single = not cards or topology.cards == sites or topology.cards > MOST_CELLS
    wide = 1 if single else max(1, ceil((2 * topology.group) ** 0.5))
    tall = 1 if single else ceil(topology.group / wide)
    shape3, steps = _steps(shape, wide, tall)
    corner = sum(abs(step[0]) * (side - 1) for side, step in zip(shape3, steps, strict=True))
    rise = sum(abs(step[1]) * (side - 1) for side, step in zip(shape3, steps, strict=True))
    unit = min(0.3 if single else 0.17, WIDE / (corner + 2 * wide), HIGH / (rise + 2 * tall))
    coordinates = np.stack(np.unravel_index(np.arange(sites), shape3), axis=1)
    places = [
        (
            float(sum(c * step[0] for c, step in zip(place, steps, strict=True)) * unit),
            float(sum(c * step[1] for c, step in zip(place, steps, strict=True)) * unit),
        )
        for place in coordinates.tolist()
    ]
    scene = Scene()
    inside, its = view.busiest(
        np.where(np.arange(len(thing)) < topology.cards, np.arange(len(thing)), -1), topology.cards, view.scale_up
    )
    plug, plugs_link = view.busiest(
        np.where(np.arange(len(thing)) < topology.cards, np.arange(len(thing)), -1), topology.cards, view.plugs
    )
    by_cards = not topology.leaves
    for site, (x, y) in enumerate(places):
        if single:
            mine = cards[site] if cards else np.array([site])
            load = 0.0 if by_cards else float(max(inside[mine].max(), plug[mine].max()))
            text = str(site) if unit > 0.15 else ""
            name = f"card-{site}" if by_cards else f"node-{site}"
            scene.squares.append(Square(name, (x, y), 0.9 * unit, 0.9 * unit, text, load, link=-1))
            continue
        scene.discs.append(Disc(f"router-{site}", (x, y), (tall / 2 + 0.28) * unit, (wide / 2 + 0.28) * unit))
        for k, card in enumerate(cards[site].tolist()):
            down, across = divmod(k, wide)
            at = (x + (across - (wide - 1) / 2) * unit, y - (down - (tall - 1) / 2) * unit)
            scene.squares.append(
                Square(
                    f"card-{card}", at, 0.86 * unit, 0.86 * unit, str(card) if unit > 0.145 else "", float(inside[card]),
                    strip=float(plug[card]),
                    link=int(its[card]) if inside[card] >= plug[card] else int(plugs_link[card]),
                )
            )  # fmt: skip
    clear = (wide / 2 + 0.9, tall / 2 + 0.9)
    for bundle in view.bundles(thing):
        for path, turned in _ways(places, coordinates, steps, unit, clear, bundle.a, bundle.b):
            there, back = (bundle.back, bundle.there) if turned else (bundle.there, bundle.back)
            scene.wires.append(Wire(path, bundle.rate, bundle.cables, there, back, bundle.link, bundle.scale_up))
    sides = "×".join(map(str, shape))
    what = "a card" if by_cards else "a node" if single else "a node on its router"
    round_back = any(side > 2 for side in shape)
    scene.key.append(
        f"{sides} torus; box: {what}" + ("; stubs at the rims are joined round the back" if round_back else "")
    )
    if view.loaded and not by_cards:
        if single:
            scene.key.append("coloured by the busiest link of its cards")
        else:
            scene.key.append("square: a card, coloured by its busiest link in the node, above by its NIC")
    return scene


def _steps(shape: tuple[int, ...], wide: float, tall: float) -> tuple[tuple[int, ...], list[Point]]:
    """Sides, and the step of one site along each of them in cells: right, down, and back to the upper right."""
    pad = 1.5 if wide > 1 else 0.9
    if len(shape) == 1:
        # A long ring is folded into rows like a line of text would be; a short one is a line.
        return shape, [(wide + pad, 0.0)]
    if len(shape) == 2:
        order = (0, 1) if shape[0] >= shape[1] else (1, 0)
        flat: list[Point] = [(wide + pad, 0.0), (0.0, -(tall + pad))]
        return shape, [flat[order.index(side)] for side in range(2)]
    ranked = sorted(range(len(shape)), key=lambda side: -shape[side])
    steps: list[Point] = [(0.0, 0.0)] * len(shape)
    deep = shape[ranked[2]]
    right, up = (wide + 0.55, 0.62 * tall + 0.4) if wide == 1 else (0.62 * wide + 0.3, tall + 1.3)
    steps[ranked[2]] = (right, up)
    steps[ranked[0]] = (right * (deep - 1) + wide + 1.9, 0.0)
    steps[ranked[1]] = (0.0, -(up * (deep - 1) + tall + 1.6))
    width = steps[ranked[0]][0] * shape[ranked[0]]
    for side in ranked[3:]:
        steps[side] = (width + 2.0, 0.0)
        width = steps[side][0] * shape[side]
    return shape, steps


def _ways(
    places: list[Point], coordinates: Ints, steps: list[Point], unit: float, clear: Point, a: int, b: int
) -> list[tuple[list[Point], bool]]:
    """Path between neighbours, or the two stubs of a way round; with each whether it runs from `b` to `a`."""
    apart = coordinates[b] - coordinates[a]
    side = int(np.abs(apart).argmax())
    if abs(int(apart[side])) <= 1 or len(np.flatnonzero(apart)) > 1:
        return [([places[a], places[b]], False)]
    sign = -1 if apart[side] > 0 else 1
    right, up = steps[side]
    # As far as the next site at most, and no farther than it takes to be seen beside the site's own box.
    part = min(0.62, *(limit / abs(step) for limit, step in zip(clear, (right, up), strict=True) if step))
    reach = (sign * part * unit * right, sign * part * unit * up)
    return [
        ([places[a], (places[a][0] + reach[0], places[a][1] + reach[1])], False),
        ([places[b], (places[b][0] - reach[0], places[b][1] - reach[1])], True),
    ]
