"""Shapes and wires of a scene as matplotlib draws them, from the back to the front.

Colours are sequential in lightness, from the grey of an idle link to a dark red, which people with any colour vision
can put in order; the mark of the busiest is blue.
"""

from collections.abc import Iterator
from math import atan2, cos, hypot, log10, pi, sin
from typing import Any

from ringsim.picture import words
from ringsim.picture.scene import Disc, Note, Point, Scene, Square, Wire
from ringsim.picture.view import View

INK, GREY, EDGE, SHADE, MARK, RIM, LINE = (
    "#1F2933", "#6B7785", "#8A96A3", "#F4F6F8", "#0072B2", "#52606D", "#DDE2E7",
)  # fmt: skip
RAMP = ("#DADDE1", "#F5CF7E", "#EF9A48", "#D9583B", "#A3203B", "#5E0B3A")
CARD, SCALE_UP, NETWORK = "#D6E4F0", "#4F8BBD", "#9AA5B1"
TINTS = ("#FFFFFF", "#E3EFF8", "#FBEBDD", "#E4F3EA")

#: So many busiest links are marked; if more are alike, their colour says enough.
MOST_MARKED = 4
#: Loads of two directions that differ by less are drawn as one line.
APART = 0.05
#: So many wires may be drawn as two lines.
MOST_PAIRED = 260
#: Points; smaller letters are left out.
LEAST_TEXT = 4.2
#: Inches; beside a shorter wire, not on it, is written how busy it is.
SHORT = 0.75
#: Loads that differ by less are alike.
ALIKE = 1e-6


def colours() -> Any:
    """The colour map of loads from 0 to 1."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("busy", RAMP)


def middle(path: list[Point], part: float = 0.5) -> Point:
    """Point of a wire part of the way along it."""
    if len(path) == 3:
        (ax, ay), (bx, by), (cx, cy) = path
        p, q, r = (1 - part) ** 2, 2 * part * (1 - part), part**2
        return p * ax + q * bx + r * cx, p * ay + q * by + r * cy
    (ax, ay), (bx, by) = path[0], path[-1]
    return ax + (bx - ax) * part, ay + (by - ay) * part


def _shifted(path: list[Point], by: float) -> list[Point]:
    """The wire moved to its right, looking from its first to its last point."""
    dx, dy = path[-1][0] - path[0][0], path[-1][1] - path[0][1]
    long = hypot(dx, dy) or 1.0
    return [(x + by * dy / long, y - by * dx / long) for x, y in path]


class Painter:
    """Puts the shapes of a scene on axes in inches, from the back to the front."""

    axes: Any

    def __init__(self, scene: Scene, view: View) -> None:
        self.scene, self.view = scene, view
        self.colours = colours()
        count = len(scene.wires)
        self.base = 1.7 if count <= 40 else 1.2 if count <= 160 else 0.8 if count <= 700 else 0.5
        rates = [wire.rate for wire in scene.wires]
        self.least = min(rates, default=1.0)
        self.peak = view.peak[0]
        # What is alike is written alike: as the longest text would fit.
        self.square_text = max((square.text for square in scene.squares), key=len, default="")
        self.disc_text = max((disc.text for disc in scene.discs if not disc.half), key=len, default="")

    @property
    def paired(self) -> bool:
        """Whether some wire is drawn as two lines."""
        return any(len(list(self._lines(wire))) > 1 for wire in self.scene.wires)

    def everything(self, axes: Any) -> None:
        """Frames, wires, switches, cards, words, marks."""
        self.axes = axes
        self._frames()
        self._wires()
        for disc in self.scene.discs:
            self._disc(disc)
        for square in self.scene.squares:
            self._square(square)
        for note in self.scene.notes:
            self._note(note)
        self._marks()

    # -- wires ---------------------------------------------------------------------------------------------

    def _wide(self, wire: Wire) -> float:
        """Width in points: by bandwidth, on a log scale."""
        return self.base * min(4.0, 1 + 1.1 * log10(max(1.0, wire.rate / self.least)))

    def _lines(self, wire: Wire) -> Iterator[tuple[list[Point], float, float]]:
        """Path, width and load of the one or two lines that show a wire."""
        wide = self._wide(wire)
        differ = self.view.loaded and abs(wire.there - wire.back) > APART and not wire.one_way
        if not differ or len(self.scene.wires) > MOST_PAIRED:
            yield wire.path, wide, wire.load
            return
        by = (wide * 0.5 + 0.35) / 72
        yield _shifted(wire.path, by), wide * 0.85, wire.there
        yield _shifted(wire.path, -by), wide * 0.85, wire.back

    def _paint(self, wire: Wire, load: float) -> Any:
        if self.view.loaded:
            return self.colours(load)
        return SCALE_UP if wire.scale_up else NETWORK

    def _wires(self) -> None:
        from matplotlib.collections import PathCollection

        lines = [
            (load, k, path, wide, self._paint(wire, load))
            for k, wire in enumerate(self.scene.wires)
            for path, wide, load in self._lines(wire)
        ]
        lines.sort(key=lambda line: (line[0], line[1]))
        self.axes.add_collection(
            PathCollection(
                [_outline(path) for _, _, path, _, _ in lines], facecolors="none", capstyle="round",
                edgecolors=[colour for *_, colour in lines], linewidths=[wide for *_, wide, _ in lines], zorder=2,
                gid="wires",
            )
        )  # fmt: skip
        for wire in self.scene.wires:
            if wire.one_way:
                self._arrow(wire)

    def _arrow(self, wire: Wire) -> None:
        """A head in the middle of a wire that leads one way only."""
        (ax, ay), (bx, by) = (middle(wire.path, part) for part in (0.48, 0.52))
        turn = atan2(by - ay, bx - ax) + (pi if wire.one_way < 0 else 0)
        x, y = middle(wire.path)
        corners = [(x + 0.07 * cos(turn + t), y + 0.07 * sin(turn + t)) for t in (0.0, 2.5, -2.5)]
        self.axes.add_patch(
            _polygon(corners, facecolor=self._paint(wire, wire.load), edgecolor=INK, linewidth=0.5, zorder=3)
        )

    # -- shapes --------------------------------------------------------------------------------------------

    def _frames(self) -> None:
        for frame in self.scene.frames:
            (x0, y0), (x1, y1) = frame.low, frame.high
            self.axes.add_patch(_rounded(x0, y0, x1, y1, facecolor=SHADE, edgecolor=LINE, linewidth=0.7, zorder=1))
            if frame.text:
                y = y1 + 0.06 if frame.above else y0 - 0.06
                self.axes.text((x0 + x1) / 2, y, frame.text, size=6.5, color=GREY, ha="center",
                               va="bottom" if frame.above else "top")  # fmt: skip

    def _disc(self, disc: Disc) -> None:
        from matplotlib.patches import Circle

        (x, y), radius = disc.at, disc.radius
        look: dict[str, Any] = {
            "facecolor": TINTS[disc.tint % len(TINTS)], "edgecolor": EDGE if radius < 0.05 else RIM,
            "linewidth": 0.5 if radius < 0.05 else 0.9, "zorder": 4, "gid": disc.name,
        }  # fmt: skip
        if disc.half:
            self.axes.add_patch(_rounded(x - disc.half, y - radius, x + disc.half, y + radius, **look))
        else:
            self.axes.add_patch(Circle((x, y), radius, **look))
        room = 2 * (disc.half or radius)
        like = "" if disc.half else self.disc_text
        self._inside(x, y, disc.text, room * 0.9, min(2 * radius, 0.34), 8.0, INK, like)

    def _square(self, square: Square) -> None:
        (x, y), wide, tall = square.at, square.width, square.height
        hot = self._hot(square)
        load = square.load if self.view.loaded else None
        fill = CARD if load is None else self.colours(load)
        edge = 0.5 if min(wide, tall) > 0.1 else 0.3
        look: dict[str, Any] = {
            "facecolor": fill, "edgecolor": MARK if hot else EDGE if load is None else "#FFFFFF",
            "linewidth": 1.6 if hot else edge, "zorder": 6 if hot else 5, "gid": square.name,
        }  # fmt: skip
        corners = [(-wide / 2, -tall / 2), (wide / 2, -tall / 2), (wide / 2, tall / 2), (-wide / 2, tall / 2)]
        self.axes.add_patch(_polygon(_turned(corners, square.angle, x, y), **look))
        strip = 0.0
        if self.view.loaded and square.strip is not None:
            strip = 0.3 * tall
            upper = [
                (-wide / 2, tall / 2 - strip),
                (wide / 2, tall / 2 - strip),
                (wide / 2, tall / 2),
                (-wide / 2, tall / 2),
            ]
            self.axes.add_patch(
                _polygon(_turned(upper, square.angle, x, y), facecolor=self.colours(square.strip), edgecolor="#FFFFFF",
                         linewidth=0.3, zorder=6)
            )  # fmt: skip
        dark = load is not None and load > 0.5
        self._inside(
            x, y - strip / 2, square.text, wide * 0.86, tall - strip, 8.5, "#FFFFFF" if dark else INK, self.square_text
        )

    def _hot(self, square: Square) -> bool:
        """Whether the busiest link of all is hidden in this one."""
        return 0 <= self.view.peak[1] == square.link and self.view.peak[2] <= MOST_MARKED

    # -- words ---------------------------------------------------------------------------------------------

    def _inside(
        self, x: float, y: float, text: str, wide: float, tall: float, most: float, colour: str, like: str = ""
    ) -> None:
        """Write as large as fits, or as `like` would; nothing where it would be too small to read."""
        if text:
            size = min(most, wide / (0.0088 * max(len(text), len(like))), tall / 0.0165)
            if size >= LEAST_TEXT:
                self.axes.text(x, y, text, size=size, color=colour, ha="center", va="center_baseline", zorder=7)

    def _note(self, note: Note) -> None:
        plate = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        behind = plate if note.strong and note.align == "center" else None
        self.axes.text(
            *note.at, note.text, size=note.size, ha=note.align, va="center", color=INK if note.strong else GREY,
            weight="bold" if note.strong else "normal", zorder=8, linespacing=1.25, bbox=behind,
        )  # fmt: skip

    def _marks(self) -> None:
        """Outline the busiest wires and write how busy at the first."""
        if not self.peak:
            return
        hot = [wire for wire in self.scene.wires if wire.load >= self.peak * (1 - ALIKE)]
        if not 0 < len(hot) <= MOST_MARKED:
            return
        for wire in hot:
            for path, wide, load in self._lines(wire):
                if load < self.peak * (1 - ALIKE):
                    continue
                self.axes.add_patch(_stroke(path, MARK, wide + min(2.6, 0.8 + wide), 2.5))
                self.axes.add_patch(_stroke(path, self._paint(wire, load), wide, 2.6))
        x, y = middle(hot[0].path)
        (ax, ay), (bx, by) = hot[0].path[0], hot[0].path[-1]
        if (long := hypot(bx - ax, by - ay)) < SHORT:
            # Outwards: whatever is there matters less than the ends of the wire.
            side = 0.26 if x * (by - ay) - y * (bx - ax) >= 0 else -0.26
            x, y = x + side * (by - ay) / (long or 1.0), y - side * (bx - ax) / (long or 1.0)
        self.axes.text(
            x, y, words.part(self.peak), size=7.5, weight="bold", color=MARK, ha="center", va="center",
            zorder=9, bbox={"boxstyle": "round,pad=0.22", "facecolor": "white", "edgecolor": MARK, "linewidth": 0.9},
        )  # fmt: skip


def _outline(path: list[Point]) -> Any:
    from matplotlib.path import Path as Outline

    codes = [1, 3, 3] if len(path) == 3 else [1] + [2] * (len(path) - 1)
    return Outline(path, codes)


def _stroke(path: list[Point], colour: Any, wide: float, order: float) -> Any:
    from matplotlib.patches import PathPatch

    return PathPatch(_outline(path), facecolor="none", edgecolor=colour, linewidth=wide, capstyle="round", zorder=order)


def _turned(corners: list[Point], angle: float, x: float, y: float) -> list[Point]:
    c, s = cos(angle), sin(angle)
    return [(x + dx * c - dy * s, y + dx * s + dy * c) for dx, dy in corners]


def _polygon(corners: list[Point], **look: Any) -> Any:
    from matplotlib.patches import Polygon

    return Polygon(corners, closed=True, **look)


def _rounded(x0: float, y0: float, x1: float, y1: float, **look: Any) -> Any:
    from matplotlib.patches import FancyBboxPatch

    round_by = min(0.07, (y1 - y0) / 2.2, (x1 - x0) / 2.2)
    return FancyBboxPatch(
        (x0 + round_by, y0 + round_by), x1 - x0 - 2 * round_by, y1 - y0 - 2 * round_by,
        boxstyle=f"round,pad={round_by},rounding_size={round_by}", **look,
    )  # fmt: skip
