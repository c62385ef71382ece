"""The page around a scene: words, colour bar, size, and the file that it becomes.

The page is laid out in inches, so that a letter has the size that it should have. matplotlib is needed here and in
`ringsim.picture.paint`, and nowhere else.
"""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from ringsim.picture import paint, words
from ringsim.picture.errors import NoMatplotlib
from ringsim.picture.scene import Point, Scene
from ringsim.picture.view import View

STYLE = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 8, "svg.fonttype": "none",
    "svg.hashsalt": "ringsim", "path.simplify": False,
}  # fmt: skip

#: Margins in inches: left and right, above for the words, below for colours and key.
SIDE, ABOVE, BELOW = 0.35, 0.82, 0.62
#: A page is at least this wide, so that the line below the title fits.
LEAST_WIDE = 7.2
#: Inches of the colour bar, and pixels of an inch.
BAR, DPI = 2.1, 150


def write(scene: Scene, view: View, path: Path, title: str, subtitle: str, busiest: str) -> None:
    """Write a scene to an SVG or PNG file.

    Parameters
    ----------
    scene : Scene
    view : View
    path : Path
    title, subtitle, busiest : str
        The words above, and the name of the busiest link.

    Raises
    ------
    NoMatplotlib
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise NoMatplotlib from None
    with mpl.rc_context(STYLE):
        low, high = _extent(scene)
        wide = max(high[0] - low[0] + 2 * SIDE, LEAST_WIDE)
        lines = _wrapped(subtitle, wide - 2 * SIDE)
        above = ABOVE + 0.15 * (len(lines) - 1)
        painter = paint.Painter(scene, view)
        key = list(scene.key)
        if painter.paired:
            key.append("two lines side by side: traffic keeps to the right")
        foot = _wrapped("; ".join(key), wide - 2 * SIDE - (BAR + 0.3 if view.loaded else 0.0), 7)
        named = _wrapped(busiest, wide - 2 * SIDE - BAR - 0.3)
        below = BELOW + 0.14 * (max(0, len(foot) - 1) + max(0, len(named) - 1))
        tall = high[1] - low[1] + above + below
        figure = Figure(figsize=(wide, tall), dpi=DPI)
        left = (low[0] + high[0] - wide) / 2
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(left, left + wide), ylim=(low[1] - below, high[1] + above))
        axes.axis("off")
        painter.everything(axes)
        x, top = left + SIDE, high[1] + above
        axes.text(x, top - 0.2, title, size=13, weight="bold", color=paint.INK, va="top")
        axes.text(x, top - 0.48, "\n".join(lines), size=8, color=paint.GREY, va="top", linespacing=1.3)
        axes.text(x, low[1] - 0.2, "\n".join(named), linespacing=1.3, size=8, color=paint.INK, va="top", weight="bold")
        axes.text(
            x,
            low[1] - (0.23 + 0.15 * len(named) if busiest else 0.2),
            "\n".join(foot),
            size=7,
            color=paint.GREY,
            va="top",
            linespacing=1.3,
        )
        if view.loaded:
            _colour_bar(axes, left + wide - SIDE, low[1] - 0.24)
        if path.suffix.lower() == ".svg":
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
        else:
            _save_png(figure, path)


def _save_png(figure: Any, path: Path) -> None:
    """Write with a palette: all that a picture has but for soft edges, at a third of the bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(np.int64)
    colours, which = np.unique(pixels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    split = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
    palette = np.array(_palette()).reshape(-1, 3)
    nearest = ((split[:, None] - palette) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    flat = Image.fromarray(nearest[which].reshape(pixels.shape[:2]), mode="P")
    flat.putpalette(_palette())
    flat.save(path, format="PNG", optimize=True, dpi=(DPI, DPI))


def _palette() -> list[int]:
    """256 colours: the ramp, and every ink thinned with white, as on the edge of a line."""
    from matplotlib.colors import to_rgb

    ramp = paint.colours()
    full = [ramp(k / 89)[:3] for k in range(90)]
    thin = [(ramp(k / 23)[:3], part) for k in range(24) for part in (0.25, 0.5, 0.75)]
    inks = (
        paint.INK,
        paint.GREY,
        paint.EDGE,
        paint.RIM,
        paint.SCALE_UP,
        paint.NETWORK,
        paint.CARD,
        paint.MARK,
        paint.SHADE,
        paint.LINE,
        *paint.TINTS[1:],
    )
    thin += [(to_rgb(ink), k / 7) for ink in inks[:8] for k in range(1, 8)]
    thin += [(to_rgb(ink), 1.0) for ink in inks[8:]]
    mixed = [tuple(1 - part * (1 - c) for c in colour) for colour, part in thin]
    greys = [(k / 30,) * 3 for k in range(4, 31)]
    found = [(1.0, 1.0, 1.0), *full, *mixed, *greys]
    return [round(255 * c) for colour in (found + found[:1] * 256)[:256] for c in colour]


def _wrapped(text: str, wide: float, size: float = 8) -> list[str]:
    return textwrap.wrap(text, max(30, int(wide / (0.0078 * size))))


def _extent(scene: Scene) -> tuple[Point, Point]:
    """Lower left and upper right corner of everything."""
    xs: list[float] = []
    ys: list[float] = []

    def see(x: float, y: float, dx: float = 0.0, dy: float = 0.0) -> None:
        xs.extend((x - dx, x + dx))
        ys.extend((y - dy, y + dy))

    for square in scene.squares:
        see(*square.at, square.width / 2, square.height / 2)
    for disc in scene.discs:
        see(*disc.at, max(disc.half, disc.radius), disc.radius)
    for frame in scene.frames:
        see(*frame.low)
        see(*frame.high)
        if frame.text:
            see(frame.low[0], frame.high[1] + 0.2 if frame.above else frame.low[1] - 0.2)
    for note in scene.notes:
        for k, line in enumerate(note.text.split("\n")):
            wide = 0.0086 * note.size * len(line)
            shift = {"left": wide / 2, "center": 0.0, "right": -wide / 2}[note.align]
            see(note.at[0] + shift, note.at[1] - 0.018 * note.size * k, wide / 2, 0.008 * note.size)
    for wire in scene.wires:
        for x, y in wire.path if len(wire.path) != 3 else (wire.path[0], wire.path[2], paint.middle(wire.path)):
            see(x, y)
    return (min(xs), min(ys)), (max(xs), max(ys))


def _colour_bar(axes: Any, right: float, top: float) -> None:
    wide, tall = BAR, 0.09
    axes.imshow(
        np.linspace(0, 1, 128)[None], extent=(right - wide, right, top - tall, top), cmap=paint.colours(), aspect="auto",
        zorder=5,
    )  # fmt: skip
    for part in (0.0, 0.5, 1.0):
        align = "left" if not part else "right" if part == 1 else "center"
        text = words.part(part) if part else "0"
        at = right - wide * (1 - part), top - tall - 0.04
        axes.text(*at, text, size=6.5, color=paint.GREY, ha=align, va="top")
    axes.text(right - wide, top + 0.035, "busy part of the run", size=7, color=paint.GREY, va="bottom")
