"""Pictures of clusters: what is joined to what, and after a run how busy each link was.

`view` folds and bundles what a topology has, the layouts (`node`, `tiers`, `grid`, `groups`, `force`) say where it goes
as a `scene`, `paint` draws that on a `page` and `words` says what is in it. matplotlib is needed for drawing only.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ringsim.picture import words
from ringsim.picture.errors import NoMatplotlib, PictureError
from ringsim.picture.force import force
from ringsim.picture.grid import grid
from ringsim.picture.groups import groups
from ringsim.picture.node import node
from ringsim.picture.scene import Scene
from ringsim.picture.tiers import tiers
from ringsim.picture.view import View
from ringsim.program import Program
from ringsim.topology import Cluster, Topology

__all__ = ["NoMatplotlib", "PictureError", "check_target", "draw", "load_of"]

FORMATS = (".svg", ".png")

#: A link cannot be busy for longer than the run, but sums of floats may say so.
ROUNDING = 1e-6


def draw(
    topology: Topology, target: str | Path, *, load: NDArray[np.float64] | None = None, title: str | None = None
) -> None:
    """Draw a cluster; the same cluster and load give the same file.

    Parameters
    ----------
    topology : Topology
    target : str or Path
        File to write; ``.svg`` or ``.png``.
    load : float array, shape ``[links]``, or None
        Part of the run for which each link was busy, 0 to 1 (`load_of`); None for no colours.
    title : str or None
        None for the cluster's name and cards.

    Raises
    ------
    PictureError
        For another kind of file, or loads that are none.
    NoMatplotlib
        Where matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    path = check_target(target)
    view = View(topology, None if load is None else _checked(load, topology.links))
    from ringsim.picture.page import write

    write(_layout(view), view, path, title or words.title(topology), words.subtitle(topology), words.busiest(view))


def check_target(target: str | Path) -> Path:
    """Return a file name as a path, or complain about its kind: before the work that the picture is to show.

    Raises
    ------
    PictureError
        If it does not end in ``.svg`` or ``.png``.
    """
    path = Path(target)
    if path.suffix.lower() not in FORMATS:
        raise PictureError(f"picture = {target}: not a picture that can be written; end its name in .svg or .png")
    return path


def load_of(program: Program, time: float) -> NDArray[np.float64]:
    """Part of a run for which each link was busy: its bytes over its bandwidth over the time.

    Parameters
    ----------
    program : Program
    time : float
        Seconds that the run took.

    Returns
    -------
    float array, shape ``[links]``, 0 to 1
    """
    if not time > 0:
        return np.zeros(len(program.bandwidth))
    return np.minimum(program.load() / program.bandwidth / time, 1.0)


def _checked(load: NDArray[np.float64], links: int) -> NDArray[np.float64]:
    found = np.asarray(load, np.float64)
    if found.shape != (links,):
        raise PictureError(f"load: of shape {found.shape}, and there are {links} links; give one number for each")
    if not (np.isfinite(found).all() and (found >= 0).all() and (found <= 1 + ROUNDING).all()):
        raise PictureError("load: the busy part of a run lies between 0 and 1; see `ringsim.picture.load_of`")
    return np.minimum(found, 1.0)


def _layout(view: View) -> Scene:
    topology = view.topology
    if not isinstance(topology, Cluster):
        return force(view)
    if topology.nodes == 1:
        return node(view)
    if topology.fabric.network.kind == "torus":
        return grid(view)
    return groups(view) if topology.fabric.network.kind == "dragonfly" else tiers(view)
