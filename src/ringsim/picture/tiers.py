"""Networks of tiers: nodes below, leaves above them, spines on top, cores above those.

Nodes and the leaves they plug into are a column. A few nodes are drawn with every card, lane and cable; more of them
are blocks of cards, and the cables between a column's nodes and one of its leaves are one line.
"""

import numpy as np
from numpy.typing import NDArray

from ringsim.picture.node import wire
from ringsim.picture.rows import Columns, blocks, margin, open_nodes
from ringsim.picture.scene import Disc, Point, Scene
from ringsim.picture.view import Ints, View, components
from ringsim.topology import NIC_LEAF
from ringsim.units import format_rate

#: So many cards are drawn with their lanes and cables.
MOST_OPEN = 72
#: Columns side by side, lines between two tiers, and switches of a tier that are drawn one by one.
MOST_COLUMNS, MOST_LINES, MOST_SWITCHES = 40, 4_500, 160
#: Inches between tiers.
TO_LEAVES, TO_SPINES = 0.85, 1.35


def tiers(view: View) -> Scene:
    """Lay out a cluster whose network has leaves, and perhaps spines and cores."""
    topology = view.topology
    scene, columns = Scene(), _columns(view)
    if topology.cards <= MOST_OPEN:
        tops, spans = open_nodes(view, columns, scene)
    else:
        tops, spans = blocks(view, columns, scene)
    thing = np.full(topology.vertices[-1], -1)
    places = _leaves(view, columns, scene, thing, tops, spans)
    _above(view, columns, scene, thing, places, spans)
    return scene


def _columns(view: View) -> Columns:
    """Nodes with the leaves they share; with all of a pod where that makes too many, then several together."""
    topology = view.topology
    total, cards = topology.vertices[-1], topology.cards
    leaf, spine, core = topology.vertices[3:6]
    source, target = view.ends
    node = np.arange(cards) // topology.group
    number = np.concatenate([node, np.arange(total - cards) + topology.nodes])
    plugs = view.topology.kind == NIC_LEAF
    between = topology.kind > NIC_LEAF + 1
    low = between & (source < core) & (target < core)

    def parts(links: NDArray[np.bool_]) -> Ints:
        found = components(topology.nodes + total - cards, number[source[links]], number[target[links]])
        return np.asarray(found[number])

    own, pods = parts(plugs), parts(plugs | low)
    count = int(own[:cards].max()) + 1
    if count > MOST_COLUMNS and core < total:
        own, count = pods.copy(), int(pods[:cards].max()) + 1
    several = -(-count // MOST_COLUMNS)
    of = np.where(np.arange(total) < spine, own // several, -1)
    of[cards:leaf] = -1
    planes = components(total, source[between], target[between])
    plane = np.full(total, 0)
    plane[leaf:] = np.unique(planes[leaf:], return_inverse=True)[1]
    few = spine < total and core == total and 1 < int(plane.max()) + 1 <= 4
    pod = np.full(total, 0)
    if core < total:
        pod[:cards] = pods[:cards]
        pod[leaf:core] = pods[leaf:core]
    return Columns(of, plane if few else np.zeros(total, np.int64), pod, -(-count // several))


# -- switches ----------------------------------------------------------------------------------------------


def _leaves(
    view: View, columns: Columns, scene: Scene, thing: Ints, tops: list[Point], spans: list[tuple[float, float]]
) -> dict[int, Point]:
    """Leaves in a row above their column; returns the places of what stands for them and fills in `thing`."""
    topology = view.topology
    leaf, spine = topology.vertices[3:5]
    y = (tops[0][1] if tops else 0.0) + TO_LEAVES
    places: dict[int, Point] = {}
    counts = [int((columns.of[leaf:spine] == column).sum()) for column in range(columns.count)]
    pitch = min((high - low) / max(1, n) for (low, high), n in zip(spans, counts, strict=True))
    one_by_one = pitch >= 0.07 and spine - leaf <= 4 * MOST_SWITCHES
    radius, boxed = min(0.15, 0.42 * pitch), 0
    for column, (low, high) in enumerate(spans):
        mine = leaf + np.flatnonzero(columns.of[leaf:spine] == column)
        mine = mine[np.argsort(columns.plane[mine], kind="stable")]
        if not len(mine):
            continue
        if not one_by_one:
            thing[mine] = mine[0]
            places[int(mine[0])] = ((low + high) / 2, y)
            half = max(0.05, (high - low) / 2)
            scene.discs.append(Disc(f"leaves-{column}", ((low + high) / 2, y), 0.1, half, f"{len(mine)}"))
            boxed = len(mine) if boxed == 0 else boxed
            continue
        for k, vertex in enumerate(mine.tolist()):
            at = (low + (k + 0.5) * (high - low) / len(mine), y)
            thing[vertex], places[vertex] = vertex, at
            scene.discs.append(
                Disc(f"leaf-{vertex - leaf}", at, radius, 0.0, str(vertex - leaf), int(columns.plane[vertex]))
            )
    _down(view, columns, scene, thing, places, tops)
    kinds = topology.kind == NIC_LEAF
    rate = float(topology.bandwidth[kinds][0])
    each = f"{int(kinds.sum()):,} cables\n{format_rate(rate)} each"
    bundled = max(wire.cables for wire in scene.wires if not wire.scale_up)
    each += f"\na line is {bundled:,}" if bundled > 1 else ""
    margin(
        scene,
        spans,
        y,
        f"{spine - leaf:,} {'leaf' if spine - leaf == 1 else 'leaves'}",
        f"of {topology.fabric.network.radix} ports" + (f"\na box is {boxed}" if boxed > 1 else ""),
    )
    margin(scene, spans, y - TO_LEAVES / 2 - 0.02, "", each)
    return places


def _down(view: View, columns: Columns, scene: Scene, thing: Ints, places: dict[int, Point], tops: list[Point]) -> None:
    """Cables from cards, or from whole columns, to leaves."""
    topology = view.topology
    cards = topology.cards
    below = thing.copy()
    if tops:
        below[:cards] = np.arange(cards)
    else:
        # Columns take the numbers of cards, which are free here.
        below[:cards] = columns.of[:cards]
    for bundle in view.bundles(below, view.plugs):
        x, y = places[bundle.b]
        start = tops[bundle.a] if tops else (x, 0.0)
        scene.wires.append(wire(bundle, [start, (x, y)]))


def _above(
    view: View, columns: Columns, scene: Scene, thing: Ints, places: dict[int, Point], spans: list[tuple[float, float]]
) -> None:
    """Spines over what they join, cores over everything, and the lines between tiers."""
    topology = view.topology
    spine, core, total = topology.vertices[4:7]
    if spine == total:
        return
    y = next(iter(places.values()))[1]
    left, right = spans[0][0], spans[-1][1]
    lines = topology.kind > NIC_LEAF + 1
    for low, high, name, many in ((spine, core, "spine", topology.spines), (core, total, "core", topology.cores)):
        if low == high:
            continue
        y += TO_SPINES
        groups = _over(view, columns, spans, low, high, (left, right))
        few = high - low <= MOST_SWITCHES and len(places) * (high - low) <= MOST_LINES * len(groups)
        pitch = min((b - a) / len(mine) for a, b, mine in groups)
        bars: dict[int, tuple[float, float]] = {}
        for k, (a, b, mine) in enumerate(groups):
            tint = int(columns.plane[mine[0]])
            if (len(mine) == 1 and (many > high - low or b - a > 0.5)) or not few or pitch < 0.07:
                thing[mine] = mine[0]
                count = round(many / len(groups))
                text = f"{count:,} {name}{'s' if count != 1 else ''}"
                if many > high - low and b - a > 2:
                    text += ", one trunk from each switch below"
                if b - a < 0.8:
                    text = f"{count:,}"
                places[int(mine[0])] = ((a + b) / 2, y)
                bars[int(mine[0])] = (a, b)
                scene.discs.append(Disc(f"{name}s-{k}", ((a + b) / 2, y), 0.13, (b - a) / 2, text, tint))
                continue
            radius = min(0.15, 0.42 * pitch)
            for j, vertex in enumerate(mine.tolist()):
                at = (a + (j + 0.5) * (b - a) / len(mine), y)
                thing[vertex], places[vertex] = vertex, at
                scene.discs.append(Disc(f"{name}-{vertex - low}", at, radius, 0.0, str(vertex - low), tint))
        here = np.zeros(total, bool)
        here[low:high] = True
        source, target = view.ends
        bundled = 0
        for bundle in view.bundles(thing, lines & (here[source] | here[target])):
            (ax, ay), (bx, by) = places[bundle.a], places[bundle.b]
            if bundle.b in bars:
                bx = min(max(ax, bars[bundle.b][0]), bars[bundle.b][1])
            bundled = max(bundled, bundle.cables)
            scene.wires.append(wire(bundle, [(ax, ay), (bx, by)]))
        chosen = np.flatnonzero(lines & here[target] & (source < low))
        rate = float(topology.bandwidth[chosen].max()) if len(chosen) else 0.0
        kind = "trunks" if many > high - low else "cables"
        margin(scene, spans, y, f"{many:,} {name}{'s' if many != 1 else ''}", "")
        margin(
            scene,
            spans,
            y - TO_SPINES / 2,
            "",
            f"{len(chosen):,} {kind}\n{format_rate(rate)} each" + (f"\na line is {bundled:,}" if bundled > 1 else ""),
        )


def _over(
    view: View, columns: Columns, spans: list[tuple[float, float]], low: int, high: int, ends: tuple[float, float]
) -> list[tuple[float, float, Ints]]:
    """Left and right edge of each set of switches of a tier that belong together, and the switches."""
    topology = view.topology
    core, total = topology.vertices[5:7]
    switches = np.arange(low, high)
    if core < total and high <= core:
        found = []
        cards = np.arange(topology.cards)
        where = columns.of[cards]
        for pod in np.unique(columns.pod[switches]).tolist():
            mine = where[columns.pod[cards] == pod]
            a, b = (spans[int(mine.min())][0], spans[int(mine.max())][1]) if len(mine) else ends
            found.append((a, b, switches[columns.pod[switches] == pod]))
        if len(found) <= MOST_COLUMNS:
            return found
        return [(*ends, switches)]
    planes = np.unique(columns.plane[switches]).tolist()
    step = (ends[1] - ends[0]) / len(planes)
    return [
        (ends[0] + k * step + (0.1 if k else 0), ends[0] + (k + 1) * step, switches[columns.plane[switches] == plane])
        for k, plane in enumerate(planes)
    ]
