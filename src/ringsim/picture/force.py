"""Irregular graphs: nothing is known but who is joined to whom, so distances on paper follow those in the graph.

Stress majorisation (E. Gansner, Y. Koren, S. North, 2004) from classical scaling: the layout that Kamada and Kawai
wanted, without chance in it. Large graphs are only scaled, from a few pivots (U. Brandes, C. Pich, 2006), and cards
with a single neighbour are a heap beside it.
"""

from collections import deque
from itertools import pairwise
from math import atan2, ceil, cos, pi, sin

import numpy as np

from ringsim.picture.node import wire
from ringsim.picture.scene import Disc, Point, Scene, Square
from ringsim.picture.view import Floats, Ints, View
from ringsim.picture.words import vertex as name_of

#: Up to so many things are placed with care.
MOST_CAREFUL = 420
#: From so many vertices on cards with one neighbour are drawn beside it and not placed.
MOST_FREE = 150
#: Rounds of majorisation, and pivots for what is larger.
ROUNDS, PIVOTS = 200, 60
WIDE, HIGH = 11.0, 7.2


def force(view: View) -> Scene:
    """Lay out a graph of which nothing else is known."""
    topology = view.topology
    total, cards = topology.vertices[-1], topology.cards
    source, target = view.ends
    keep = source != target
    pairs = np.unique(np.sort(np.stack([source[keep], target[keep]]), axis=0), axis=1)
    drawn = np.unique(view.owner)
    heap = _heaps(pairs, total, cards) if len(drawn) > MOST_FREE else np.full(total, -1)
    placed = drawn[heap[drawn] < 0]
    number = np.full(total, -1)
    number[placed] = np.arange(len(placed))
    edges = number[pairs]
    where = _fit(_places(len(placed), edges[:, (edges >= 0).all(axis=0)]), len(placed), edges)
    spots = dict(zip(placed.tolist(), where, strict=True))
    side = _side(where)
    scene = Scene()
    for vertex in placed.tolist():
        x, y = spots[vertex]
        if vertex < cards:
            scene.squares.append(Square(f"card-{vertex}", (x, y), side, side, str(vertex)))
        else:
            label = name_of(topology, vertex).removeprefix("switch ")
            scene.discs.append(Disc(f"switch-{vertex}", (x, y), 0.58 * side, text=label if len(label) <= 6 else ""))
    _add_heaps(view, heap, spots, edges, placed, side, scene)
    for bundle in view.bundles(np.where(heap < 0, np.arange(total), -1)[view.owner]):
        scene.wires.append(wire(bundle, [spots[bundle.a], spots[bundle.b]]))
    scene.key.append("square: a card; circle: a switch" if topology.vertices[-1] > cards else "square: a card")
    return scene


def _heaps(pairs: Ints, total: int, cards: int) -> Ints:
    """The only neighbour of each card that has a single one, which is no such card, shape ``[vertices]``; −1 for others."""
    a, b = np.concatenate([pairs, pairs[::-1]], axis=1)
    degree = np.bincount(a, minlength=total)
    beside = np.full(total, -1)
    beside[a] = b
    single = (degree == 1) & (np.arange(total) < cards)
    single &= ~single[beside]
    return np.where(single, beside, -1)


def _add_heaps(
    view: View, heap: Ints, spots: dict[int, Point], edges: Ints, placed: Ints, side: float, scene: Scene
) -> None:
    """Cards beside the switch that is their only neighbour, coloured by their link to it."""
    total = view.topology.vertices[-1]
    load, link = view.busiest(np.where(heap >= 0, np.arange(total), -1), total, np.ones(view.topology.links, bool))
    ends = placed[edges[:, (edges >= 0).all(axis=0)]]
    for switch in np.unique(heap[heap >= 0]).tolist():
        mine = np.flatnonzero(heap == switch).tolist()
        wide = ceil(len(mine) ** 0.5)
        cell = min(0.16, 1.3 * side / wide) if len(mine) > 4 else 0.5 * side
        x, y = spots[switch]
        beside = np.concatenate([ends[1][ends[0] == switch], ends[0][ends[1] == switch]]).tolist()
        turn = _free(sorted(atan2(spots[b][1] - y, spots[b][0] - x) for b in beside))
        x, y = x + cos(turn) * (side + cell * wide / 2), y + sin(turn) * (side + cell * wide / 2)
        for k, card in enumerate(mine):
            down, across = divmod(k, wide)
            at = (float(x + (across - (wide - 1) / 2) * cell), float(y - (down - (wide - 1) / 2) * cell))
            scene.squares.append(
                Square(
                    f"card-{card}",
                    at,
                    0.86 * cell,
                    0.86 * cell,
                    str(card) if cell > 0.14 else "",
                    float(load[card]),
                    link=int(link[card]),
                )
            )


def _free(turns: list[float]) -> float:
    """Middle of the widest angle between neighbours, radians."""
    if not turns:
        return 0.0
    gaps = [(b - a, a + (b - a) / 2) for a, b in pairwise([*turns, turns[0] + 2 * pi])]
    return max(gaps)[1]


# -- places ------------------------------------------------------------------------------------------------


def _places(count: int, edges: Ints) -> Floats:
    """Coordinates in steps along edges, shape ``[count, 2]``."""
    around: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges.T.tolist():
        around[a].append(b)
        around[b].append(a)
    if count <= MOST_CAREFUL:
        apart = np.stack([_steps(around, k) for k in range(count)])
        return _majorised(_scaled(apart), apart)
    first = int(np.argmax([len(some) for some in around]))
    columns = [_steps(around, first)]
    for _ in range(PIVOTS - 1):
        columns.append(_steps(around, int(np.min(columns, axis=0).argmax())))
    return _scaled(np.stack(columns, axis=1))


def _steps(around: list[list[int]], start: int) -> Floats:
    """Edges from one thing to every other; a little more than the farthest for what cannot be reached."""
    found = np.full(len(around), -1.0)
    found[start] = 0
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for other in around[here]:
            if found[other] < 0:
                found[other] = found[here] + 1
                waiting.append(other)
    return np.where(found < 0, found.max() + 2, found)


def _scaled(apart: Floats) -> Floats:
    """Classical scaling: coordinates along the two directions in which distances differ most."""
    square = apart**2
    centred = -0.5 * (square - square.mean(axis=0) - square.mean(axis=1, keepdims=True) + square.mean())
    values, vectors = np.linalg.eigh(centred.T @ centred)
    flat = centred @ vectors[:, -1:-3:-1] if len(values) > 1 else np.zeros((len(apart), 2))
    if flat.shape[1] < 2:
        flat = np.hstack([flat, np.zeros((len(flat), 1))])
    flat = flat * np.sign(flat[np.abs(flat).argmax(axis=0), [0, 1]] + 1e-12)
    return np.asarray(flat * (apart.mean() / max(1e-9, float(np.abs(flat).mean()) * 2)))


def _majorised(start: Floats, apart: Floats) -> Floats:
    """Coordinates whose distances are as close to those wanted as can be, weighted by their inverse squares."""
    count = len(start)
    if count < 3:
        return np.array([[float(k), 0.0] for k in range(count)])
    # Things in the same place would stay there: spread them on a spiral that is far too small to matter.
    turn = np.arange(count) * 2.399963
    here = start + 1e-3 * np.stack([np.cos(turn), np.sin(turn)], axis=1) * (1 + np.arange(count))[:, None] ** 0.5
    wanted = apart + np.eye(count)
    weight = wanted**-2.0
    np.fill_diagonal(weight, 0.0)
    laplacian = np.diag(weight.sum(axis=1)) - weight
    inverse = np.linalg.inv(laplacian + 1.0 / count) - 1.0 / count
    for _ in range(ROUNDS):
        gap = here[:, None] - here[None]
        pull = weight * apart / np.maximum(np.hypot(gap[..., 0], gap[..., 1]), 1e-9)
        # Not by BLAS: its threads would spend more time on meeting than on multiplying.
        here = np.einsum("ij,jk->ik", inverse, pull.sum(axis=1)[:, None] * here - np.einsum("ij,jk->ik", pull, here))
    return here


def _fit(where: Floats, count: int, edges: Ints) -> list[Point]:
    """Turn the long way to lie flat, and scale to the page or to edges of a good length, whichever is smaller."""
    where = where - where.mean(axis=0)
    _, _, axes = np.linalg.svd(where, full_matrices=False) if count > 2 else (0, 0, np.eye(2))
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    flat = where @ axes.T
    inner = edges[:, (edges >= 0).all(axis=0)]
    long = np.hypot(*(flat[inner[0]] - flat[inner[1]]).T) if inner.size else np.ones(1)
    span = np.maximum(flat.max(axis=0) - flat.min(axis=0), 1e-6)
    scale = min(1.15 / max(1e-6, float(np.median(long))), WIDE / span[0], HIGH / span[1])
    return [(round(float(x * scale), 3), round(float(y * scale), 3)) for x, y in flat]


def _side(where: list[Point]) -> float:
    """Side of a card: most of what the closest two leave."""
    spots = np.array(where)
    if len(spots) > 1500 or len(spots) < 2:
        return 0.1 if len(spots) > 2 else 0.4
    gap = np.hypot(*(spots[:, None] - spots[None]).transpose(2, 0, 1))
    np.fill_diagonal(gap, np.inf)
    return float(np.clip(0.62 * np.percentile(gap.min(axis=1), 5), 0.07, 0.36))
